"""Where the checkout's files are: found from here, since the packages under test are installed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGES = ("stage3_plugin", "host_stub")

_NOT_OURS = {"__pycache__", "build", "dist", "out", "node_modules"}
_LEFT_BY_GIT_AND_COVERAGE = (".git", ".coverage")  # in a second worktree .git is a file
_BINARY = {".png", ".jpg", ".jpeg", ".webp", ".ttf", ".otf", ".woff2", ".gz", ".bin"}


def files(*suffixes: str) -> Iterator[Path]:
    """Return the checkout's own files, by suffix; none means all that are text."""
    for path in sorted(_below(ROOT)):
        wanted = path.suffix in suffixes if suffixes else path.suffix not in _BINARY
        is_left = path.name in _LEFT_BY_GIT_AND_COVERAGE or path.name.startswith(".coverage.")
        if wanted and not is_left:
            yield path


def _below(folder: Path) -> Iterator[Path]:
    """Return the files of a folder and its folders; environments and the like are not entered."""
    for path in folder.iterdir():
        if path.is_file():
            yield path
        elif path.is_dir() and not _is_foreign(path.name):
            yield from _below(path)


def _is_foreign(name: str) -> bool:
    is_hidden = name.startswith(".") and name != ".ci"
    return is_hidden or name in _NOT_OURS or "egg-info" in name


def modules(package: str) -> Iterator[tuple[str, Path]]:
    """Return the modules of one of our packages with their dotted names."""
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), path


def imported(source: str, module: str, *, is_package: bool = False) -> Iterator[tuple[str, int]]:
    """Return every import of a source, wherever it stands, as full dotted names with their line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".") if is_package else module.split(".")[:-1]
                parts = parts[: len(parts) - node.level + 1]
                base = ".".join([*parts, base]).rstrip(".")
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno


@cache
def imports_of(module: str, path: Path) -> tuple[tuple[str, int], ...]:
    """Return the imports of one of our modules; many rules ask for them."""
    source = path.read_text(encoding="utf-8")
    return tuple(imported(source, module, is_package=path.name == "__init__.py"))


def our_imports(module: str, path: Path, known: set[str]) -> Iterator[tuple[str, int]]:
    """Yield the ``known`` modules that a module imports, or imports something of, with the line."""
    for name, line in imports_of(module, path):
        owner = name if name in known else name.rpartition(".")[0]
        if owner in known and owner != module:
            yield owner, line


def page(name: str) -> str:
    """Read a page of the documentation."""
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one that is not below it."""
    match = re.search(rf"^(#+) +{re.escape(heading)}\s*$", text, re.MULTILINE)
    assert match is not None, f"there is no heading {heading!r}"
    rest = text[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of every table row in a piece of Markdown, heads left out."""
    rows: list[list[str]] = []
    previous_is_row = False
    for line in text.splitlines():
        is_row = line.startswith("|") and line.rstrip().endswith("|")
        if is_row and previous_is_row and not set(line) <= set("|-: "):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]])
        previous_is_row = is_row
    return rows


def code(cell: str) -> str:
    """Take the backticks from a cell that is one piece of code."""
    match = re.fullmatch(r"`([^`]+)`", cell)
    assert match is not None, f"{cell!r} is not one piece of code"
    return match[1]


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
