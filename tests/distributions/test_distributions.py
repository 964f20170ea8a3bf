"""What is published, as strangers get it: a wheel and an sdist, each tried where nothing else is.

Both are built from this checkout once; each is installed from its file into an environment that was
made for it, and has to make pictures there. ``tox -e proof`` runs this: it
takes a minute, and pip fetches what is depended on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from filelock import FileLock

from tests.rules.repository import PACKAGES, ROOT, blocks, files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
STEM = f"{PROJECT['name'].replace('-', '_')}-{PROJECT['version']}"
PATIENCE_S = 600
"""A limit for what waits for pip; nothing is expected to take so long."""


def run(*words: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command to its good end, and return what it wrote to stdout."""
    result = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env=_surroundings() | (env or {}),
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=PATIENCE_S,
    )
    assert result.returncode == 0, f"{words}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    return result.stdout


def _surroundings() -> dict[str, str]:
    """Return the environment as a stranger's shell has it, with what pip and the network need."""
    ours = ("PYTHON", "PYTEST", "TOX", "VIRTUAL_ENV", "COVERAGE")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both, once for all workers; the wheel comes from the sdist, as for who publishes."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "distributions"
    with FileLock(f"{place}.lock"):
        if not place.exists():
            part = place.with_suffix(".part")
            run(sys.executable, "-m", "build", "--no-isolation", "--outdir", part, cwd=ROOT)
            part.rename(place)
    return place


@pytest.fixture
def wheel(built: Path) -> Path:
    """Return the wheel's file."""
    return built / f"{STEM}-py3-none-any.whl"


@pytest.fixture
def sdist(built: Path) -> Path:
    """Return the sdist's file."""
    return built / f"{STEM}.tar.gz"


def environment(folder: Path, *what: str | Path) -> Path:
    """Make an environment, install something into it, and return where its programs are."""
    venv.create(folder, with_pip=True, symlinks=True)
    programs = folder / "bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", *what, cwd=folder)
    return programs


def unpacked(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist, and return the folder it makes."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / STEM


def makes_pictures(programs: Path, folder: Path) -> None:
    """See that what is installed begins a project and makes its pictures, from no checkout."""
    run(programs / "host-stub", "init", "story", cwd=folder)
    told = json.loads(
        run(programs / "host-stub", "run", "scenes.json", "--json", cwd=folder / "story")
    )

    assert (told["exit_code"], told["total_failures"]) == (0, 0)
    assert told["total_images"] == 3
    assert len(list((folder / "story/out/images").glob("*.png"))) == 3
    plugins = json.loads(run(programs / "host-stub", "plugins", "--json", cwd=folder))["plugins"]
    assert {"plain", "stage3"} <= {plugin["name"] for plugin in plugins}
    assert "attempts" in run(programs / "stage3", "--help", cwd=folder)


# What is in them ---------------------------------------------------------------------------------


def names_in(wheel: Path) -> Iterator[str]:
    """Return the files of a wheel that are not about the wheel itself."""
    with zipfile.ZipFile(wheel) as archive:
        yield from (name for name in archive.namelist() if ".dist-info/" not in name)


def metadata_of(wheel: Path) -> Message:
    """Return what the wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        return message_from_string(archive.read(f"{STEM}.dist-info/METADATA").decode())


def test_the_wheel_has_the_packages_and_nothing_else(wheel: Path) -> None:
    """Each file of theirs, data and licences too; no test, no page, no leftover."""
    ours = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert set(names_in(wheel)) == ours


def test_the_sdist_has_what_the_pages_and_tests_need(sdist: Path) -> None:
    """All text of the checkout but what git and its host keep for themselves; no leftover."""
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    ours = {path.relative_to(ROOT).as_posix() for path in files()}
    left_out = {".gitignore", ".editorconfig"}

    assert ours - inside <= left_out
    assert [name for name in inside if "__pycache__" in name or name.endswith(".pyc")] == []
    assert {"LICENSE", "README.md", "PKG-INFO", "docs/images/lighthouse.jpg"} <= inside


def test_the_metadata_is_what_a_person_looks_for(wheel: Path) -> None:
    """Where to read and to ask, which Pythons, which licence; and the README as its page."""
    told = metadata_of(wheel)
    links = dict(line.split(", ", 1) for line in told.get_all("Project-URL") or [])

    assert {"Documentation", "Source", "Issues", "Changelog"} <= set(links)
    assert told["License-Expression"] == "MIT"
    assert told["Requires-Python"] == PROJECT["requires-python"]
    assert told["Description-Content-Type"] == "text/markdown"
    assert str(told.get_payload()).strip().startswith("# Stage3")
    assert set(told.get_all("Classifier") or []) == set(PROJECT["classifiers"])


# What they do ------------------------------------------------------------------------------------


def test_the_wheel_makes_pictures_where_nothing_else_is(wheel: Path, tmp_path: Path) -> None:
    """Installed from its file; the packages come from there and not from a checkout."""
    programs = environment(tmp_path / "environment", wheel)
    where = run(
        programs / "python",
        "-c",
        "import host_stub, stage3_plugin; print(host_stub.__file__, stage3_plugin.__file__)",
        cwd=tmp_path,
    )

    assert all(place.startswith(str(tmp_path)) for place in where.split())
    makes_pictures(programs, tmp_path)


@pytest.mark.heavy
def test_the_sdist_makes_pictures_and_passes_tests_of_its_own(sdist: Path, tmp_path: Path) -> None:
    """Installed from its file, and its tests run from what is in it."""
    programs = environment(tmp_path / "environment", sdist)
    makes_pictures(programs, tmp_path)
    folder = unpacked(sdist, tmp_path)
    test = ("-m", "pip", "install", "--quiet", "--group", f"{folder / 'pyproject.toml'}:test")
    run(programs / "python", "-m", "pip", "install", "--quiet", "--upgrade", "pip", cwd=tmp_path)
    run(programs / "python", *test, cwd=tmp_path)

    told = run(
        programs / "python",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/rules/test_packaging.py",
        "tests/rules/test_links.py",
        "tests/rules/test_readme.py",
        "tests/rules/test_words.py",
        "tests/host/test_config.py",
        "tests/stage3/test_pricing.py",
        cwd=folder,
        env={"PYTHONSAFEPATH": "1", "PYTHONWARNDEFAULTENCODING": "1"},
    )

    assert " passed" in told


def test_the_first_command_of_the_readme_makes_the_pictures_that_it_shows(
    sdist: Path, tmp_path: Path
) -> None:
    """Pasted whole into a shell, in what a stranger has unpacked."""
    folder = unpacked(sdist, tmp_path)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    command = next(block for block in blocks(readme, "console") if "tox -e demo" in block)

    run("/bin/sh", "-e", "-c", command, cwd=folder)

    manifest = json.loads((folder / "out/manifest.json").read_text(encoding="utf-8"))
    assert manifest["total_images"] == 6
    assert len(list((folder / "out/images").glob("*.png"))) == 6
