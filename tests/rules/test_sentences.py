"""What people read first is short, and said in sentences that are read at once."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean

import pytest

from tests.rules.repository import DOCS, ROOT
from tests.sentences import MEAN_WORDS, MOST_WORDS, lengths_of, sentences_of

README = ROOT / "README.md"
MOST_WORDS_OF_THE_README = 600
MOST_WORDS_OF_A_WAY = 1500
MOST_WORDS_OF_THE_DESIGN = 8000
MOST_WORDS_OF_ALL_PAGES = 40_000
MADE_BY_SCRIPTS = {"api.md", "changes.md", "conformance.md", "json.md", "options.md"}
MADE_TABLE = re.compile(r"<!-- table: .*?<!-- end of table -->", re.DOTALL)
WAYS = ["keep-a-face.md", "directors-chair.md", "one-file-provider.md"]
"""What a newcomer reads after the README: code counts, too."""
FIRST_PAGES = [README, *(DOCS / name for name in ("index.md", "getting-started.md", *WAYS))]


@pytest.mark.parametrize("path", FIRST_PAGES, ids=lambda path: path.name)
def test_a_first_page_has_short_sentences(path: Path) -> None:
    """No sentence is over thirty words, and eighteen is the mean."""
    text = path.read_text(encoding="utf-8")
    lengths = lengths_of(text)
    long = [
        one for one, words in zip(sentences_of(text), lengths, strict=True) if words > MOST_WORDS
    ]

    assert lengths
    assert long == []
    assert mean(lengths) <= MEAN_WORDS


def test_the_readme_fits_two_screens() -> None:
    """Words of code and of links count, too."""
    assert len(README.read_text(encoding="utf-8").split()) <= MOST_WORDS_OF_THE_README


def test_the_design_is_a_map_and_the_decisions_that_matter() -> None:
    """Reasons that concern one module alone are in its docstring."""
    assert len((DOCS / "design.md").read_text(encoding="utf-8").split()) <= MOST_WORDS_OF_THE_DESIGN


def test_the_pages_that_people_read_are_forty_thousand_words() -> None:
    """Code counts; tables and pages that scripts write do not, nor does the map of the code."""
    pages = [README, *sorted(DOCS.glob("*.md"))]
    read = [one for one in pages if one.name not in {*MADE_BY_SCRIPTS, "design.md"}]
    texts = [MADE_TABLE.sub("", one.read_text(encoding="utf-8")) for one in read]

    assert sum(len(re.findall(r"\S*\w\S*", text)) for text in texts) <= MOST_WORDS_OF_ALL_PAGES


@pytest.mark.parametrize("name", ["getting-started.md", *WAYS])
def test_a_way_in_is_short(name: str) -> None:
    """From the README's first word to the page's last one."""
    texts = [path.read_text(encoding="utf-8") for path in (README, DOCS / name)]

    assert sum(len(text.split()) for text in texts) <= MOST_WORDS_OF_A_WAY


def test_a_long_sentence_is_found() -> None:
    """Of a page with code, a table and links around it."""
    long = "one " * (MOST_WORDS + 1)
    page = f"# Title\n\n```text\n{long}.\n```\n\n| {long} |\n\nShort [link]({long}). {long}.\n"

    assert [words > MOST_WORDS for words in lengths_of(page)] == [False, True]
