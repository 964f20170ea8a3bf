"""Write the page of names that may be imported: ``python docs/api.py``, or ``--check`` it.

Signatures and docstrings are read from the sources and become plain Markdown, which a repository
browser shows as well as the site does. ``CONTENTS`` says which names there are: all public ones of
a module, or those that are listed behind it.
"""
# ruff: noqa: INP001, E501  - a script beside the pages, with whole lines of one

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import TypeAlias

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PAGE = DOCS / "api.md"
PACKAGES = ("host_stub", "stage3_plugin")
MOST_COLUMNS = 96

TOP = """\
# The API's names

<!-- written by `python docs/api.py` from the sources -->

What may be imported, and stays: [Versions](versions.md) says for how long. Everything else is an inner matter and may
change in any version. Programs start best with [Call it from Python](library.md), authors with
[Writing a plugin](writing-a-plugin.md) or [Writing a provider](writing-a-provider.md).
"""


@dataclass(frozen=True)
class Part:
    """A heading with what stands under it.

    Attributes:
        modules: Each with the names of it that are shown; none means all that are public.
    """

    title: str
    prose: str
    modules: Sequence[tuple[str, tuple[str, ...]]] = ()


CONTENTS = (
    Part(
        "For programs that make pictures",
        "[Call it from Python](library.md) has examples. Settings are those of [Configuration](configuration.md#stage3-pluginstage3),\n"
        "by the same names.",
        [
            (
                "stage3_plugin",
                (
                    "make_pictures",
                    "plan_pictures",
                    "wait_for_pictures",
                    "open_stage",
                    "PictureStage",
                    "PictureRun",
                    "Pictures",
                    "Summary",
                    "Progress",
                    "Waited",
                    "Stop",
                    "Stage3Error",
                    "PicturesMissing",
                    "BudgetReached",
                    "ScenesRefused",
                    "SettingsRefused",
                    "NotStarted",
                    "StageUnusable",
                ),
            ),
        ],
    ),
    Part(
        "For callers of the original stage",
        "One import line changes; names, arguments and files stay. What was made is remembered in `.stage3` below the\n"
        "output folder, as [Costs and retries](costs-and-retries.md) says. A scene that may have been billed without a\n"
        "picture fails with the code `unknown` until it is decided: `stage3 attempts --state-dir OUTPUT/.stage3`.",
        [
            (
                "stage3_plugin",
                ("Stage3ImageGenerationService", "Stage2Output", "Stage3Output", "ScenesFailed"),
            ),
            ("stage3_plugin.errors", ("SceneIdRefused", "StorageFailed")),
        ],
    ),
    Part("For plugin authors: the contract", "", [("host_stub.contract", ())]),
    Part("For plugin authors: the hooks", "", [("host_stub.hookspecs", ())]),
    Part("For plugin authors: commands of a plugin", "", [("host_stub.commands", ())]),
    Part(
        "For authors of a model class",
        "Having `render` is enough; nothing of this needs to be imported for it.",
        [("stage3_plugin.domain.model", ())],
    ),
    Part(
        "For authors of an executor",
        "Its class is named in the entry-point group `stage3.executors`.",
        [
            ("stage3_plugin.executors.base", ()),
            ("stage3_plugin.errors", ("JobFailed", "WorkerLost", "NoWorker", "WorkUnusable")),
        ],
    ),
    Part(
        "For programs that run the host",
        "",
        [("host_stub.errors", ("HostError", "Problem"))],
    ),
    Part(
        "For programs that look after a ledger",
        "`stage3 attempts`, `resolve` and `verify` print one JSON object with `--json`\n"
        "([the `stage3` command](command-line.md#the-ledgers-own-command-stage3)). The functions behind them are in\n"
        "`stage3_plugin.maintenance`; [Looking after a ledger](looking-after-a-ledger.md) has an example.",
    ),
)

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Named: TypeAlias = ast.ClassDef | Function

_ROLE = re.compile(r":(?:class|func|meth|attr|mod|data|exc|ref):`(~?)([^`]+)`", re.DOTALL)
_PAGE = re.compile(r":doc:`([a-z-]+)`")
_CODE = re.compile(r"``([^`]+)``")
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")
_ITEM = re.compile(r"^(\*{0,2}[\w.]+)(?:\s\([^)]*\))?:\s*(.*)$")


def _written(node: ast.AST) -> str:
    """Write a piece of code as people do, with double quotes."""
    return re.sub(r"'([^'\"\\]*)'", r'"\1"', ast.unparse(node))


def tree_of(module: str) -> ast.Module:
    """Read a module of ours."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def markdown(docstring: str) -> str:
    """Turn a docstring into Markdown: sections into lists, code and references into code."""
    out: list[str] = []
    paragraphs = re.split(r"\n{2,}", dedent(docstring).strip("\n"))
    code: list[str] = []
    for paragraph in paragraphs:
        if code and paragraph.startswith("    "):
            code.append(paragraph)
            continue
        out += _fenced(code)
        code = []
        out.append(_paragraph(paragraph))
        if paragraph.rstrip().endswith("::"):
            code = [""]
    return "\n\n".join(part for part in [*out, *_fenced(code)] if part)


def _fenced(code: Sequence[str]) -> list[str]:
    body = dedent("\n\n".join(code).strip("\n"))
    if not body:
        return []
    language = (
        "python"
        if re.search(r"^\s*(import|from|class|def|async|@|raise) ?", body, re.MULTILINE)
        else "text"
    )
    return [f"```{language}\n{body}\n```"]


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if _SECTION.match(line):
            before = _flowing(lines[:number])
            title = line.rstrip(":")
            listed = _listed(
                dedent("\n".join(lines[number + 1 :])), is_prose=title in {"Returns", "Yields"}
            )
            return "\n\n".join(part for part in (before, f"*{title}:*", listed) if part)
    return _flowing(lines)


def _flowing(lines: Sequence[str]) -> str:
    """Join lines to a paragraph, which is wrapped by whoever shows it; lists stay lists."""
    text = "\n".join(lines).rstrip()
    text = re.sub(r"\s*::$", ":" if not re.search(r"(^|\n)::$", text) else "", text)
    if re.match(r"[*-] ", text):
        return "\n".join(
            f"- {_words(item)}" for item in re.split(r"\n?^[*-] ", text, flags=re.MULTILINE) if item
        )
    return _words(text)


def _words(text: str) -> str:
    """Write code and references as code, in one line."""
    line = " ".join(text.split())
    line = _ROLE.sub(
        lambda match: f"`{match[2].rpartition('.')[2] if match[1] else match[2]}`", line
    )
    line = _PAGE.sub(
        lambda match: f"[{match[1].replace('-', ' ').capitalize()}]({match[1]}.md)", line
    )
    return _escaped(_CODE.sub(r"`\1`", line))


def _escaped(line: str) -> str:
    """Escape what Markdown would take for its own, outside of code and of links."""
    parts = re.split(r"(`[^`]*`|\[[^\]]*\]\([^)]*\))", line)
    return "".join(
        part if part[:1] in {"`", "["} and number % 2 else re.sub(r"([*_<>\[\]])", r"\\\1", part)
        for number, part in enumerate(parts)
    )


def _listed(text: str, *, is_prose: bool) -> str:
    """Write a section's entries as a list, each in one line."""
    if is_prose:
        return _words(text)
    items: list[list[str]] = []
    for line in text.splitlines():
        if not line.startswith(" ") and (match := _ITEM.match(line)):
            items.append([match[1], match[2]])
        elif items:
            items[-1].append(line)
    return "\n".join(f"- `{name}`: {_words(' '.join(words))}" for name, *words in items)


def signature(function: Function) -> str:
    """Write how a function is called, over several lines where it is long."""
    kind = "async def" if isinstance(function, ast.AsyncFunctionDef) else "def"
    bare = _written(function.args)
    returned = f" -> {_written(function.returns)}" if function.returns else ""
    line = f"{kind} {function.name}({bare}){returned}"
    if len(line) <= MOST_COLUMNS:
        return line
    single = _parameters(function.args)
    return "\n".join(
        [f"{kind} {function.name}(", *(f"    {one}," for one in single), f"){returned}"]
    )


def _parameters(spec: ast.arguments) -> list[str]:
    """Write each parameter for itself, as ``ast`` writes all of them."""
    told: list[str] = []
    places = [*spec.posonlyargs, *spec.args]
    without = len(places) - len(spec.defaults)
    for number, one in enumerate(places):
        default = spec.defaults[number - without] if number >= without else None
        told.append(_parameter(one, default))
    if spec.vararg:
        told.append(f"*{_written(spec.vararg)}")
    elif spec.kwonlyargs:
        told.append("*")
    told += [_parameter(*pair) for pair in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    return [*told, f"**{_written(spec.kwarg)}"] if spec.kwarg else told


def _parameter(one: ast.arg, default: ast.expr | None) -> str:
    if default is None:
        return _written(one)
    return f"{_written(one)} = {_written(default)}"


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def entries(module: str, names: Sequence[str]) -> Iterator[str]:
    """Write what a module has, in its own order; with names, those alone in that order."""
    tree = tree_of(module)
    found: dict[str, str] = {}
    for statement, below in zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True):
        match statement:
            case ast.ClassDef(name=name):
                found[name] = _class(statement)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found[name] = _function(statement)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if (told := _told(below)) is not None or _is_literal(statement):
                    found[name] = _constant(statement, told)
            case _:
                pass
    for name in set(names) - set(found):
        found[name] = _elsewhere(module, tree, name)
    for name in names or filter(_is_public, found):
        yield f"### `{name}`\n\n*from `{module}`*\n\n{found[name]}"


def _elsewhere(module: str, tree: ast.Module, name: str) -> str:
    """Write what a module imports from another one of ours."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGES)):
            continue
        if name in {alias.asname or alias.name for alias in node.names}:
            (entry,) = entries(node.module or "", (name,))
            return entry.partition("\n\n")[2].partition("\n\n")[2]
    raise SystemExit(f"{module} has no {name}: mend CONTENTS of docs/api.py")


def _is_literal(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.AnnAssign) and "Literal[" in _written(statement)


def _told(below: ast.stmt) -> str | None:
    match below:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
        case _:
            return None


def _constant(statement: ast.Assign | ast.AnnAssign, told: str | None) -> str:
    shown = _written(statement)
    block = f"```python\n{_broken(shown)}\n```"
    return f"{block}\n\n{markdown(_reflowed(told))}" if told else block


def _broken(line: str) -> str:
    """Break a long choice of words into lines."""
    if len(line) <= MOST_COLUMNS or "[" not in line:
        return line
    head, _, rest = line.partition("[")
    words = rest.rstrip("]").split(", ")
    lines: list[str] = []
    row = "   "
    for word in words:
        if len(row) + len(word) + 2 > MOST_COLUMNS:
            lines.append(row)
            row = "   "
        row += f" {word},"
    return "\n".join([f"{head}[", *lines, row, "]"])


def _reflowed(text: str) -> str:
    """Take away the indent of all lines but the first, which has none in a docstring."""
    first, _, rest = text.partition("\n")
    return f"{first}\n{dedent(rest)}".strip()


def _class(made: ast.ClassDef) -> str:
    parts = [f"```python\n{_head(made)}\n```"]
    if told := ast.get_docstring(made):
        parts.append(markdown(told))
    for one in made.body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and _is_public(one.name):
            is_property = any("property" in _written(mark) for mark in one.decorator_list)
            is_checked = any("validator" in _written(mark) for mark in one.decorator_list)
            if not is_checked:
                parts.append(_method(one, is_property=is_property))
    return "\n\n".join(parts)


def _head(made: ast.ClassDef) -> str:
    """Write a class as it is made: with its fields, or with the arguments of its init."""
    bases = [_written(base) for base in made.bases if not _written(base).startswith("_")]
    head = f"class {made.name}({', '.join(bases)})" if bases else f"class {made.name}"
    fields = [
        f"    {_written(one)}"
        for one in made.body
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and _is_public(one.target.id)
    ]
    if fields:
        return "\n".join([f"{head}:", *fields])
    init = next((one for one in made.body if _is_init(one)), None)
    is_made_by_others = "Args:" in (ast.get_docstring(made) or "")
    if not isinstance(init, ast.FunctionDef) or not is_made_by_others:
        return head
    given = [f"        {one}," for one in _parameters(init.args)]
    return "\n".join([f"{head}:", "    def __init__(", *given, "    )"])


def _is_init(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "__init__"


def _method(one: Function, *, is_property: bool) -> str:
    told = ast.get_docstring(one)
    if is_property:
        shown = f"{one.name}: {_written(one.returns)}" if one.returns else one.name
    else:
        shown = signature(one)
    block = f"```python\n{shown}\n```"
    return f"{block}\n\n{markdown(told)}" if told else block


def _function(function: Function) -> str:
    told = ast.get_docstring(function)
    block = f"```python\n{signature(function)}\n```"
    return f"{block}\n\n{markdown(told)}" if told else block


def page() -> str:
    """Write the page.

    Raises:
        SystemExit: A name in ``CONTENTS`` is not there any more.
    """
    parts = [TOP.strip()]
    for part in CONTENTS:
        parts += [f"## {part.title}", part.prose]
        for module, names in part.modules:
            told = ast.get_docstring(tree_of(module))
            if told and not names:
                parts.append(markdown(told))
            parts += entries(module, names)
    return "\n\n".join(filter(None, parts)) + "\n"


def main() -> int:
    """Write the page anew, or report that it would change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if out of date")
    options = parser.parse_args()
    wanted = page()
    is_new = not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted
    if is_new and options.check:
        sys.stderr.write(f"{PAGE.name} out of date; run python docs/api.py\n")
    elif is_new:
        PAGE.write_text(wanted, encoding="utf-8", newline="\n")
    return 1 if is_new and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
