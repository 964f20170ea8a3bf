"""Every page reads well as the plain Markdown it is, and each link of it leads somewhere."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from tests.rules.repository import DOCS, ROOT, files, page

PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted(DOCS.glob("*.md")),
]
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]

_FENCED = re.compile(r"^( *)(```+|~~~+).*?^\1\2`*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"(?<!\\)(!?)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_ROLES = "doc|ref|term|numref|download|any|mod|class|func|meth|attr|data|exc|obj"
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def prose(text: str) -> str:
    """Take away blocks of code, in which nothing is a link."""
    return _FENCED.sub("", text)


def links(text: str) -> list[tuple[bool, str]]:
    """Return where a page's links lead, and whether each is a picture."""
    without = _CODE.sub(lambda match: "`" * (match.end() - match.start()), prose(text))
    return [(bool(mark), target) for mark, target in _LINK.findall(without)]


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the names by which a page's headings can be linked to, as repository browsers do."""
    found: dict[str, int] = {}
    for heading in _HEADING.findall(prose(path.read_text(encoding="utf-8"))):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
        count = found.get(slug, 0)
        found[slug] = count + 1
        if count:
            found[f"{slug}-{count}"] = 1
    return frozenset(found)


def problem(source: Path, target: str) -> str | None:
    """Return what is wrong with a link, or None."""
    if re.match(r"https?://|mailto:", target):
        return None if re.match(r"https://[\w.-]+\.[a-z]+(/|$)|mailto:", target) else "not https"
    place, _, anchor = target.partition("#")
    path = (source.parent / place).resolve() if place else source
    if not path.exists():
        return "no such file"
    if ROOT not in path.parents:
        return "outside of the checkout"
    if anchor and (path.suffix != ".md" or anchor not in anchors(path)):
        return "no such heading"
    return None


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    """Files, headings and pictures, from where the page lies; others' pages by https."""
    path = ROOT / name
    found = links(path.read_text(encoding="utf-8"))

    assert [(target, why) for _, target in found if (why := problem(path, target))] == []
    assert [target for is_picture, target in found if is_picture and "://" in target] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_nothing_that_only_the_site_understands(name: str) -> None:
    """A repository browser would show it as it stands there."""
    text = (ROOT / name).read_text(encoding="utf-8")
    outside = _CODE.sub("", prose(text))

    assert re.findall(r"^ *(?:`{3,}|~{3,}|:{3,})\s*\{.*$", text, re.MULTILINE) == []
    assert re.findall(rf"\{{(?:py:)?(?:{_ROLES})\}}`", text) == []
    assert re.findall(r"^\([\w-]+\)=$", text, re.MULTILINE) == []
    assert re.findall(r"^\.\. [\w-]+::.*$|:[a-z]+:`", outside, re.MULTILINE) == []
    assert re.findall(r"^\[![A-Z]+\]|^> \[![A-Z]+\]", outside, re.MULTILINE) == []


def test_all_pages_are_markdown() -> None:
    """What is written for Sphinx alone cannot be read without it."""
    assert [path.name for path in files(".rst")] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_begins_with_its_one_title(name: str) -> None:
    """It is what the site's contents and a search show."""
    text = prose((ROOT / name).read_text(encoding="utf-8"))

    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert text.lstrip().startswith("# ")


def test_a_link_that_is_wrong_is_found() -> None:
    """The rules above would see it."""
    source = DOCS / "index.md"
    wrong = {
        "nowhere.md": "no such file",
        "recipes.md#no-such-heading": "no such heading",
        "images/lighthouse.jpg#a": "no such heading",
        "#nothing-here": "no such heading",
        "../../elsewhere": "no such file",
        "http://example.com/": "not https",
    }

    assert {target: problem(source, target) for target in wrong} == wrong
    assert problem(source, "recipes.md#redo-what-failed") is None
    assert links("`[a](b)` and [c `d`](e.md#f) ```[g](h)``` ![i](j.jpg)") == [
        (False, "e.md#f"),
        (True, "j.jpg"),
    ]
    assert links("```text\n[a](b)\n```\n[c](d)") == [(False, "d")]


# The site ----------------------------------------------------------------------------------------


def conf() -> ModuleType:
    """Return ``docs/conf.py``."""
    spec = importlib.util.spec_from_file_location("docs_conf", DOCS / "conf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_contents_of_the_site_are_the_links_of_its_first_page() -> None:
    """Each page once, under the first heading that it stands under, in order."""
    contents = conf().contents(page("index.md"))
    listed = re.findall(r"^([a-z0-9-]+)$", contents, re.MULTILINE)
    captions = re.findall(r":caption: (.+)", contents)

    assert sorted(listed) == sorted(path.stem for path in DOCS.glob("*.md") if path.stem != "index")
    assert captions == re.findall(r"^## (.+)$", page("index.md"), re.MULTILINE)
    assert captions[0] == "Start"
    assert captions[-2:] == ["Reference", "Reasons"]


def test_the_site_shows_a_table_where_the_page_links_to_it() -> None:
    """In a checkout it is a file of its own, which benchmarks write."""
    text = page("performance.md")
    (place,) = re.findall(r"^\[.+\]\((benchmarks/.+?\.md)\)", text, re.MULTILINE)

    assert (DOCS / place).read_text(encoding="utf-8").strip() in conf().with_tables(text)


def test_the_site_leaves_quotes_and_hyphens_as_they_are() -> None:
    """Options and commands are copied from it."""
    assert conf().smartquotes is False


def test_the_site_shows_the_changelog() -> None:
    """Whole, below the title that the page has already."""
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    shown = conf().with_changes(page("changes.md"))

    assert changes.partition("\n")[2] in shown
    assert shown.count("\n# ") == 0
