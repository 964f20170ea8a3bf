"""A plugin written from the pages alone: it conforms, and what the pages say of the kit is so."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tests.kit.templates import Made, needs_tools
from tests.rules.repository import blocks, page

pytestmark = needs_tools

WRITING, TESTING = page("writing-a-plugin.md"), page("testing-a-plugin.md")
CARDS = blocks(WRITING, "python")[0]
PROJECT = blocks(WRITING, "toml")[0]
CASE, STUDIO, OWN_TEST = blocks(TESTING, "python")
CASE_ENTRY, KNOWN = blocks(TESTING, "toml")


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Do what the pages say, and install what comes of it."""
    where = tmp_path_factory.mktemp("cards")
    folder = where / "checkout"
    (folder / "tests").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT, "utf-8")
    (folder / "cards_plugin.py").write_text(CARDS, "utf-8")
    (folder / "case.py").write_text(CASE, "utf-8")
    (folder / "known.toml").write_text(KNOWN, "utf-8")
    (folder / "tests" / "test_story.py").write_text(OWN_TEST, "utf-8")
    made = Made(folder, where / "site")
    made.install()
    return made


def test_the_plugin_of_the_page_conforms(cards: Made) -> None:
    """To the contract that it names, without a case, and the first line says so."""
    first, *lines, last = cards.do("host-stub conform cards").splitlines()

    shown = blocks(TESTING, "console")[0].splitlines()[1:]
    said = [first, *lines]
    assert [line for line in shown if line != "…" and line not in said] == []
    assert "without a case: only what needs no backend is tried" in first
    assert last.endswith("cards keeps what was tried of contract 1.0")


def test_the_case_of_the_page_is_taken(cards: Made) -> None:
    """More is tried with it: its wrong settings."""
    said = cards.do("host-stub conform cards --case case.py --only settings.refused")

    assert "with the case case.py" in said
    assert "\npass        settings.refused: " in said


def test_an_installed_case_is_found_by_its_entry_point(cards: Made, tmp_path: Path) -> None:
    """Without an option."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    project = PROJECT.replace('"cards_plugin.py"', '"cards_plugin.py", "cards_case.py"')
    (folder / "pyproject.toml").write_text(f"{project}\n{CASE_ENTRY}", "utf-8")
    (folder / "cards_plugin.py").write_text(CARDS, "utf-8")
    (folder / "cards_case.py").write_text(CASE, "utf-8")
    made = Made(folder, tmp_path / "site")
    made.install()

    assert "with the case cards_case:case" in made.do("host-stub conform cards --only hooks.sync")


def test_the_authors_own_test_passes(cards: Made) -> None:
    """It starts the host as users do."""
    assert "1 passed" in cards.do("pytest -q -p no:cacheprovider tests")


def test_the_backend_of_the_page_is_enough_to_begin_with(tmp_path: Path) -> None:
    """What it is told of is tried, with a plugin that asks a service; the rest says why not."""
    made = Made.of("image-plugin", tmp_path, name="studio", service="true")
    made.install()
    (made.folder / "case.py").write_text(STUDIO, "utf-8")
    said = made.do("host-stub conform studio --case case.py")

    assert "\npass        faults.no-retry-on-refusal: " in said
    assert "not written yet" in said


def test_a_backend_that_lacks_something_is_told_what(cards: Made) -> None:
    """It is the case's author who is told, and not that the kit has failed."""
    less = STUDIO.replace("def connections(", "def connected(")
    (cards.folder / "lacks.py").write_text(less, "utf-8")

    with pytest.raises(AssertionError, match="backend lacks connections: see") as failed:
        cards.do("host-stub conform cards --case lacks.py --only result.complete")
    assert "KIT FAILED" not in str(failed.value)


def test_what_a_case_imports_is_not_the_plugins(cards: Made) -> None:
    """A case may bring what the plugin itself must not import before it is opened."""
    (cards.folder / "heavy.py").write_text(f"import httpx\nimport PIL\n{CASE}", "utf-8")

    said = cards.do("host-stub conform cards --case heavy.py --only hooks.light-import")

    assert "\npass        hooks.light-import: " in said


def test_the_workflow_of_the_page_is_that_of_the_template(tmp_path: Path) -> None:
    """Its three lines are steps there."""
    (lines,) = blocks(TESTING, "yaml")
    made = Made.of("image-plugin", tmp_path, name="cards")
    commands = re.findall(r"run: (.*)", textwrap.dedent(lines))

    assert len(commands) == 3
    assert commands[0] == "python -m pip install . --group dev"
    assert set(commands[1:]) <= set(made.steps())
