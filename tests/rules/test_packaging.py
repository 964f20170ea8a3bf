"""What is installed: entry points, types, data with licences, and nothing that was not meant."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable

import pytest

from tests.rules.repository import PACKAGES, ROOT, page, section, table_rows

DISTRIBUTION = "stage3-plugin"
PREVIZ = "stage3_plugin.previz"
LICENSES = {
    "fonts": ("OFL-Noto.txt", "SIL OPEN FONT LICENSE Version 1.1"),
    "chinese font": ("OFL-NotoSansSC.txt", "SIL OPEN FONT LICENSE Version 1.1"),
    "icons": ("LICENSE-fluent-emoji.txt", "MIT License"),
}


def tree(folder: Traversable) -> list[Traversable]:
    """Return every file below a folder of an installed package."""
    return [
        file
        for entry in folder.iterdir()
        for file in (tree(entry) if entry.is_dir() else [entry])
        if "__pycache__" not in str(file)
    ]


def test_two_plugins_are_offered_to_the_host() -> None:
    """The real one and the reference one; the host finds both by their names."""
    ours = {
        entry.name: entry.value
        for entry in entry_points(group="host_stub.plugins")
        if entry.dist is not None and entry.dist.name == DISTRIBUTION
    }

    assert ours == {
        "stage3": "stage3_plugin.hooks",
        "plain": "host_stub.plain_image",
        "otel": "host_stub.telemetry.plugin:otel",
    }


@pytest.mark.parametrize("name, package", [("host-stub", "host_stub"), ("stage3", "stage3_plugin")])
def test_the_programs_are_installed(name: str, package: str) -> None:
    """``host-stub`` is the host's command line, and ``stage3`` the plugin's own."""
    (script,) = entry_points(group="console_scripts", name=name)

    assert script.value == f"{package}.__main__:main"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_that_it_is_typed(package: str) -> None:
    """Type checkers look into a package only if it says so."""
    assert files(package).joinpath("py.typed").is_file()


@pytest.mark.parametrize("what", LICENSES)
def test_borrowed_data_comes_with_its_licence(what: str) -> None:
    """Fonts and icons belong to others, who ask for their text to travel along."""
    name, title = LICENSES[what]
    text = files(PREVIZ).joinpath("data", name).read_text(encoding="utf-8")

    assert title.lower() in text.lower()
    assert "copyright" in text.lower()


def test_the_licences_are_named_in_the_metadata() -> None:
    """Who looks at the distribution alone finds every licence in it."""
    paths = distribution(DISTRIBUTION).metadata.get_all("License-File") or []
    named = {path.rpartition("/")[2] for path in paths}

    assert named == {"LICENSE", *(name for name, _ in LICENSES.values())}


def test_every_font_has_a_licence_of_its_family() -> None:
    """A font that is added later must not come without one."""
    fonts = {
        file.name for file in tree(files(PREVIZ).joinpath("data")) if file.name.endswith(".ttf")
    }

    assert fonts
    assert {name for name in fonts if not name.startswith("Noto")} == set()


def test_the_data_is_installed_whole() -> None:
    """Every data file of the checkout is in the package, and no leftover of anybody's work."""
    for package in PACKAGES:
        installed = {
            file.name for file in tree(files(package)) if not file.name.endswith((".py", ".pyc"))
        }
        listed = {
            path.name
            for path in (ROOT / package).rglob("*")
            if path.is_file() and path.suffix not in {".py", ".pyc"}
        }

        assert installed == listed


def test_every_runtime_dependency_has_a_reason() -> None:
    """``design.md`` tells for each why it is worth its place in other people's environments."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {re.split(r"[<>=!~\[; ]", one)[0] for one in project["dependencies"]}
    reasons = dict(table_rows(section(page("design.md"), "Runtime dependencies")))

    assert set(reasons) == required
    assert [name for name, reason in reasons.items() if len(reason) < 10] == []


def test_the_installed_version_is_that_of_the_checkout() -> None:
    """The tests meet what was built from these files, not an older wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert distribution(DISTRIBUTION).version == project["version"]
