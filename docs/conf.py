"""How the site is built: ``sphinx-build -n -W docs OUT``, without the internet.

The pages are plain Markdown that a repository browser shows as it is: no directive stands in them.
What only the site has is added here as it reads them: the contents beside each page, from the
lists of links in ``index.md``, and the changelog and the newest tables of figures in place of the
links to them.
"""
# ruff: noqa: INP001  - Sphinx runs this file by its path; it is no module of a package

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

project = "Stage3"
author = "The Stage3 authors"
copyright = "The Stage3 authors"  # noqa: A001  - Sphinx's name for it
release = version_of("stage3-plugin")
version = release

extensions = ["myst_parser"]
exclude_patterns = ["examples", "benchmarks", "templates"]
suppress_warnings: list[str] = []

smartquotes = False  # two hyphens are an option's, and what is quoted is to be typed

html_theme = "furo"
html_title = f"Stage3 {release}"
html_copy_source = False
html_show_sourcelink = False

myst_heading_anchors = 4

DOCS = Path(__file__).parent


def contents(index: str) -> str:
    """Return the contents that the site shows: a list for each heading, of the pages it links to.

    A page that stands under two headings is in the first list alone.
    """
    lists: list[str] = []
    seen: set[str] = set()
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        linked = dict.fromkeys(re.findall(r"\]\(([a-z0-9-]+)\.md[)#]", text))
        pages = [name for name in linked if name not in seen]
        seen |= set(pages)
        if pages:
            named = "\n".join(pages)
            lists.append(f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n{named}\n```\n")
    return "\n".join(lists)


def with_tables(text: str) -> str:
    """Put a table that is a file of its own where a line links to it."""
    line = re.compile(r"^\[[^\]]+\]\((benchmarks/\S+\.md)\).*$", re.MULTILINE)
    return line.sub(lambda match: (DOCS / match[1]).read_text(encoding="utf-8"), text)


def with_changes(text: str) -> str:
    """Put the changelog, which is a file above this folder, where a line links to it."""
    changes = (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    _, _, below = changes.partition("\n")
    return re.sub(r"^\[.*\]\(\.\./CHANGELOG\.md\).*$", lambda _: below, text, flags=re.MULTILINE)


def _as_read(_app: object, page: str, source: list[str]) -> None:
    text = with_tables(source[0])
    if page == "changes":
        text = with_changes(text).replace("](docs/", "](")
    if page == "index":
        text += f"\n{contents(text)}"
    source[0] = text.replace("](../CHANGELOG.md)", "](changes.md)")


def setup(app: Any) -> dict[str, Any]:
    """Have each page read through here."""
    app.connect("source-read", _as_read)
    return {"parallel_read_safe": True}
