"""What no file of the checkout may say, what no module may be called, and how files are read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rules.repository import PACKAGES, ROOT, files, modules

# Written so that this file does not find itself.
UNWANTED = {
    "a path of one machine": r"(?<![\w.:/])/(?:wor[k]|tm[p]|roo[t]|hom[e]|User[s])/[\w.]",
    "a tracker's number": r"(?i)(?<![-/\w])issu[e] #?\d",
    "unfinished work": r"\b(?:TOD[O]|FIXM[E]|XX[X])\b",
    "a conflict's mark": r"^(?:<{7}|>{7})[ ]",
    "a key that looks real": r"\bs[k]-(?:or-v1-|proj-)?[0-9a-zA-Z]{32,}",
}
"""What, and the pattern by which it is found."""


def found_in(path: Path, pattern: str) -> list[str]:
    """Return the places in a file where a pattern is found."""
    text = path.read_text(encoding="utf-8", errors="replace")
    place = path.relative_to(ROOT)
    return [
        f"{place}:{number}: {line.strip()[:120]}"
        for number, line in enumerate(text.splitlines(), start=1)
        if re.search(pattern, line)
    ]


@pytest.mark.parametrize("what", UNWANTED)
def test_no_file_holds(what: str) -> None:
    """A checkout reads the same on every machine and leaves nothing half done."""
    found = [place for path in files() for place in found_in(path, UNWANTED[what])]

    assert found == []


def test_no_page_and_no_message_installs_from_an_index() -> None:
    """No index has the distribution: what is shown has to be a folder or a file.

    The changelog keeps what was said of earlier versions.
    """
    # Escapes of a table and line breaks may stand between; a requirement of a template is none.
    wanted = re.compile(r"pip\s+install\s[^`\n;|]{0,40}?\s?[\s'\"]stage3-plugin\b(?!\S*\.whl)")
    found = [
        str(path.relative_to(ROOT))
        for path in files(".md", ".py", ".toml", ".html")
        if path.name != "CHANGELOG.md" and path != Path(__file__).resolve()
        if wanted.search(path.read_text(encoding="utf-8", errors="replace"))
    ]

    assert found == []


def test_the_patterns_find_what_they_are_for(tmp_path: Path) -> None:
    """A pattern that finds nothing would let everything through."""
    samples = {
        "a path of one machine": "see /ho" + "me/ada/notes.txt",
        "a tracker's number": "as Issu" + "e 12 asks",
        "unfinished work": "# TO" + "DO later",
        "a conflict's mark": "<" * 7 + " ours",
        "a key that looks real": "s" + "k-or-v1-" + "0123456789abcdef" * 4,
    }

    assert samples.keys() == UNWANTED.keys()
    assert [what for what, text in samples.items() if not re.search(UNWANTED[what], text)] == []


def test_the_checkout_is_read_whole() -> None:
    """The rules above look at the packages, the tests, the pages and the files around them."""
    seen = {path.relative_to(ROOT).as_posix() for path in files()}

    assert {
        "README.md",
        "pyproject.toml",
        ".ci/run",
        "docs/index.md",
        "host_stub/cli/parser.py",
        "stage3_plugin/providers/models.toml",
        "tests/conftest.py",
    } <= seen


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_a_drawer_for_everything(package: str) -> None:
    """A module is one noun or one verb."""
    drawers = {"common", "helpers", "misc", "tools", "util", "utils"}
    found = {module for module, _ in modules(package) if module.rpartition(".")[2] in drawers}

    assert found == set()
