"""The templates: what they make is whole, conforms as it comes out, and takes no odd answers."""

from __future__ import annotations

import keyword
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from host_stub.cli.parser import COMMANDS
from tests.kit.templates import TEMPLATES, Made, needs_tools, read_yaml
from tests.rules.repository import ROOT

pytestmark = needs_tools

IMAGE, PROVIDER = "image-plugin", "provider"
LONGEST: dict[str, dict[str, str]] = {
    IMAGE: {
        "name": "abcdefghijkl_abcdefghijk",
        "summary": "Pictures of 灯塔 & 'every' <kind>, {{ odd }} ones {% as %} well",
        "distribution": "abcdefgh-abcdefghij-abcdefghijkl",
        "author": "Zoë 張 O'Neil, Söhne & Daughters 😀",
        "repository": "https://github.com/you/abcdefgh-abcdefghij-abcdefghijkl",
    },
    PROVIDER: {
        "name": "abcdefghijkl_abcdefghijk",
        "vendor": "Ofen & Söhne {{ 1 }} 窯",
        "distribution": "abcdefgh-abcdefghij-abcdefghijkl",
        "base_url": "https://abcdefghijklmnopqrstuvwxyz.abcdefghijkl.example:8080/v1",
        "author": "Zoë 張 O'Neil, Söhne & Daughters 😀",
        "repository": "https://github.com/you/abcdefgh-abcdefghij-abcdefghijkl",
    },
}
SHORTEST: dict[str, dict[str, str]] = {
    IMAGE: {"name": "a", "summary": "a", "distribution": "a-b", "author": "a"},
    PROVIDER: {
        "name": "a",
        "vendor": "a",
        "distribution": "a-b",
        "base_url": "https://a",
        "author": "a",
    },
}
EITHER = {IMAGE: "service", PROVIDER: "queue"}
"""The question that makes two kinds of each."""


@pytest.mark.parametrize(
    "template, name, either",
    [
        (IMAGE, "cards", "false"),
        (IMAGE, "studio", "true"),
        (PROVIDER, "kiln", "true"),
        (PROVIDER, "painter", "false"),
    ],
)
def test_what_is_made_passes_its_own_ci(
    template: str, name: str, either: str, tmp_path: Path
) -> None:
    """Each line, on what pip has installed: style, types, its tests, and the kit or the laws."""
    made = Made.of(template, tmp_path, name=name, **{EITHER[template]: either})
    made.install()
    said = {line: made.do(line) for line in made.steps()}

    assert list(said)[:4] == ["ruff check", "ruff format --check", "mypy", "pytest"]
    (of_the_kit,) = list(said)[4:]
    if template == IMAGE:
        assert of_the_kit == f"host-stub conform {name}"
    else:
        assert of_the_kit.startswith(f"python -m stage3_plugin.testing {name} ")
        assert "BROKEN" not in said[of_the_kit]
    assert " failed" not in said["pytest"]


@pytest.mark.parametrize("template", [IMAGE, PROVIDER])
@pytest.mark.parametrize("answers", [LONGEST, SHORTEST], ids=["longest", "shortest"])
@pytest.mark.parametrize("either", ["true", "false"])
def test_whatever_the_names_what_is_made_is_in_style(
    template: str, answers: dict[str, dict[str, str]], either: str, tmp_path: Path
) -> None:
    """Long ones push no line over its end, short ones leave none broken; odd letters stay."""
    chosen = answers[template] | {EITHER[template]: either}
    made = Made.of(template, tmp_path, **chosen)
    made.do("ruff check")
    made.do("ruff format --check")
    project = tomllib.loads((made.folder / "pyproject.toml").read_text("utf-8"))["project"]

    assert project["name"] == chosen["distribution"]
    assert project["authors"] == [{"name": chosen["author"]}]
    assert chosen["author"] in (made.folder / "LICENSE").read_text("utf-8")
    assert project.get("urls", {}).get("Source") == chosen.get("repository")
    told = chosen.get("summary") or chosen["vendor"]
    assert told in project["description"]
    assert told in (made.folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize("template", [IMAGE, PROVIDER])
def test_what_is_published_is_whole(template: str, tmp_path: Path) -> None:
    """The sdist has the tests; the wheel has types, licence and entry points, and no tests."""
    made = Made.of(template, tmp_path, name="kiln")
    sdist, wheel = made.build()
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith("/METADATA")]
        text = archive.read(metadata).decode()

    assert {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml"} <= sources
    assert any(name.startswith("tests/") for name in sources)
    assert any(name.endswith("/py.typed") for name in names)
    assert any(name.endswith("/entry_points.txt") for name in names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert [name for name in names if "test_" in name] == []
    assert "License-Expression: MIT" in text


@pytest.mark.parametrize("template", [IMAGE, PROVIDER])
def test_it_is_published_without_a_token(template: str, tmp_path: Path) -> None:
    """By an identity that only the job that publishes has, and only for a release."""
    made = Made.of(template, tmp_path, name="kiln")
    workflow = made.workflow("publish")
    text = (made.folder / ".github" / "workflows" / "publish.yml").read_text("utf-8")

    assert "on:\n  release:\n    types: [published]\n" in text
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert workflow["jobs"]["publish"]["environment"] == "pypi"
    assert "permissions" not in workflow["jobs"]["build"]
    assert "secrets." not in text
    assert "password" not in text


HOSTILE: list[tuple[str, dict[str, str], str]] = [
    (template, answers, words)
    for template in (IMAGE, PROVIDER)
    for answers, words in (
        ({"name": "my cards"}, "small letters"),
        ({"name": "cards\n"}, "small letters"),
        ({"name": "../cards"}, "small letters"),
        ({"name": "{{ 7 * 7 }}"}, "small letters"),
        ({"name": "class"}, "a word of Python's own"),
        ({"name": "a" * 25}, "at most 24"),
        ({"distribution": "cards"}, "two words or more"),
        ({"distribution": "my--cards"}, "two words or more"),
        ({"distribution": "../my-cards"}, "two words or more"),
        ({"distribution": "stage3-plugin"}, "is installed beside it"),
        ({"distribution": "host-stub"}, "is installed beside it"),
        ({"distribution": "sre-parse"}, "comes with Python"),
        ({"author": 'Robert "); drop'}, "leave out"),
        ({"author": "two\nlines"}, "one line"),
        ({"author": "back\\slash"}, "leave out"),
        ({"author": "right\u202eto left"}, "one line"),
        ({"author": "a" * 81}, "at most 80"),
        ({"repository": 'https://github.com/you/cards"'}, "an address of a repository"),
        ({"repository": "https://you:secret@github.com/you/cards"}, "an address of a repository"),
    )
] + [
    (IMAGE, {"name": "stage3"}, "comes with stage3-plugin"),
    (IMAGE, {"name": "plain"}, "comes with stage3-plugin"),
    (IMAGE, {"name": "run"}, "a command of host-stub"),
    (IMAGE, {"summary": 'of "cards"'}, "leave out"),
    (IMAGE, {"summary": "two\nlines"}, "one line"),
    (IMAGE, {"summary": "a" * 73}, "at most 72"),
    (PROVIDER, {"name": "openai"}, "comes with stage3-plugin"),
    (PROVIDER, {"vendor": 'the "Kiln"'}, "leave out"),
    (PROVIDER, {"vendor": "two\nlines"}, "one line"),
    (PROVIDER, {"vendor": "a" * 25}, "at most 24"),
    (PROVIDER, {"base_url": "http://kiln.example/v1"}, "an API's address"),
    (PROVIDER, {"base_url": "https://kiln.example/v1/"}, "an API's address"),
    (PROVIDER, {"base_url": "https://kiln.example/v1?key=1"}, "an API's address"),
    (PROVIDER, {"base_url": "https://you:secret@kiln.example"}, "an API's address"),
]


@pytest.mark.parametrize("template, answers, words", HOSTILE)
def test_an_odd_answer_is_refused_with_words(
    template: str, answers: dict[str, str], words: str, tmp_path: Path
) -> None:
    """Nothing is written, and the sentence says what would be taken."""
    from copier import run_copy  # as its command does, without a process for each answer

    with pytest.raises(ValueError, match=f"(?s)Validation error for question .*{words}"):
        run_copy(
            str(TEMPLATES / template),
            tmp_path / "made",
            data={"name": "cards", **answers},
            defaults=True,
            quiet=True,
        )
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "template, group", [(IMAGE, "host_stub.plugins"), (PROVIDER, "stage3.providers")]
)
def test_no_word_of_ours_is_taken(template: str, group: str) -> None:
    """The lists in the templates have every plugin, command, provider and keyword that there is."""
    taken = {
        entry.name
        for entry in entry_points(group=group)
        if entry.dist is not None and entry.dist.name == "stage3-plugin"
    }
    taken |= {word.lower() for word in (*keyword.kwlist, *keyword.softkwlist) if word != "_"}
    if template == IMAGE:
        taken |= set(COMMANDS)
    rule: str = read_yaml(TEMPLATES / template / "copier.yml")["name"]["validator"]

    assert {word for word in taken if f"'{word}'" not in rule} == set()


def test_the_sdist_carries_the_templates(tmp_path: Path) -> None:
    """All of them, also what begins with a dot: who has no checkout begins from there."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    ours = {path.relative_to(ROOT).as_posix() for path in TEMPLATES.rglob("*") if path.is_file()}

    assert len(ours) > 30
    assert ours - names == set()


@pytest.mark.parametrize("template", [IMAGE, PROVIDER])
def test_no_tool_of_ours_takes_a_template_for_its_own(template: str) -> None:
    """Each file ends in .jinja, so that no test, type or page of it is looked at as it stands."""
    files = [path for path in (TEMPLATES / template / "template").rglob("*") if path.is_file()]

    assert len(files) > 10
    assert [path.name for path in files if path.suffix != ".jinja"] == []
