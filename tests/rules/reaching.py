"""What of the product a test knows: its own imports, and those of each helper that it calls.

Read from the source: a name leads to where it is defined, there to the names that are used in it,
and so on, fixtures too. Where it leads into the product, that is what is known.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.rules.repository import PACKAGES, ROOT

_Defined: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.stmt
_IN_TEXT = re.compile(
    rf"(?:from|import) ((?:{'|'.join(PACKAGES)})[\w.]*)(?: import (\w+))?"
    rf"|^((?:{'|'.join(PACKAGES)})\.[\w.]+)$",
    re.MULTILINE,
)
"""A script for another process, or the name of what is replaced."""


class _Module(NamedTuple):
    defined: dict[str, list[_Defined]]
    imported: dict[str, str]
    """By what name, and what: ``tests.doors.rows``."""


@cache
def _module(name: str) -> _Module | None:
    path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    if not path.is_file():
        return None
    defined: dict[str, list[_Defined]] = {}
    imported: dict[str, str] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported.update(_imports(node))
        for one in _names_defined_by(node):
            defined.setdefault(one, []).append(node)
        for method in node.body if isinstance(node, ast.ClassDef) else ():
            for one in _names_defined_by(method):
                defined[f"{getattr(node, 'name', '')}::{one}"] = [method]
    return _Module(defined, imported)


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    for one in node.names:
        if isinstance(node, ast.ImportFrom):
            yield one.asname or one.name, f"{node.module}.{one.name}"
        else:
            yield one.asname or one.name.partition(".")[0], one.name


def _names_defined_by(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    return [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and _is_stored(one)]


def known_to(path: str, test: str, *, trusted: frozenset[str]) -> dict[str, str]:
    """Return what of the product a test knows, each with the helper that knows it.

    Args:
        path: Its file, below ``tests``.
        test: Its name, behind that of its class, if it has one: ``TestRuns::test_it``.
        trusted: Modules of ours that are not looked into.
    """
    module = ".".join(("tests", *Path(path).with_suffix("").parts))
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    todo = [(module, test), *_always_there(module)]
    while todo:
        where, name = todo.pop()
        if (where, name) in seen or where in trusted:
            continue
        seen.add((where, name))
        for what in _used_by(where, name):
            if what.partition(".")[0] in PACKAGES:
                found.setdefault(what, f"{where}:{name}")
            else:
                todo.extend(_step(what))
        if (module_of := _module(where)) is not None:
            for node in module_of.defined.get(name, ()):
                todo.extend(_fixtures(where, node))
    return found


def _always_there(where: str) -> Iterator[tuple[str, str]]:
    """Return the fixtures that every test of a module has, and its marks."""
    module = _module(where)
    assert module is not None
    if "pytestmark" in module.defined:
        yield where, "pytestmark"
        for node in module.defined["pytestmark"]:
            yield from _asked_for(where, _words_in(node))
    for name, nodes in module.defined.items():
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                "autouse=True" in ast.unparse(one) for one in node.decorator_list
            ):
                yield where, name


def _step(what: str) -> Iterator[tuple[str, str]]:
    """Return where a name of the tests leads: its module and the name there."""
    if not what.startswith("tests."):
        return
    module, _, name = what.rpartition(".")
    if _module(module) is not None:
        yield module, name


def _used_by(where: str, name: str) -> Iterator[str]:
    """Return what is used in a definition, each by its whole name."""
    module = _module(where)
    if module is None:
        return
    if name in module.imported:
        yield module.imported[name]
    for node in module.defined.get(name, ()):
        own = _own_names(node)
        for one in ast.walk(node):
            held = one.value if isinstance(one, ast.Attribute) else one
            if not (isinstance(held, ast.Name) and held.id in own):
                yield from _used_in(one, where, module)


def _own_names(node: _Defined) -> set[str]:
    """Return what a function calls something of its own, whatever the module calls so."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return set()
    stored = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and _is_stored(one)}
    return stored | {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _used_in(node: ast.AST, where: str, module: _Module) -> Iterator[str]:
    match node:
        case ast.Import() | ast.ImportFrom():
            yield from dict(_imports(node)).values()
        case ast.Constant(value=str(text)):
            for module_named, name, whole in _IN_TEXT.findall(text):
                yield f"{module_named}.{name}" if name else module_named or whole
        case ast.Attribute(value=ast.Name(id=held), attr=attr) if held in module.imported:
            yield f"{module.imported[held]}.{attr}"
        case ast.Name(id=name, ctx=ast.Load()):
            if name in module.imported:
                yield module.imported[name]
            elif name in module.defined:
                yield f"{where}.{name}"
        case _:
            pass


def _fixtures(where: str, node: _Defined) -> Iterator[tuple[str, str]]:
    """Return the fixtures that a test, or a fixture, asks for."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        asked = [one.arg for one in (*node.args.args, *node.args.kwonlyargs)]
        for decorator in node.decorator_list:
            asked += _words_in(decorator)
        yield from _asked_for(where, asked)


def _words_in(node: ast.AST) -> list[str]:
    values = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
    return [value for value in values if isinstance(value, str)]


def _asked_for(where: str, names: list[str]) -> Iterator[tuple[str, str]]:
    folders = where.split(".")[:-1]
    homes = [where, *(".".join((*folders[:n], "conftest")) for n in range(len(folders), 0, -1))]
    for name in names:
        for home in homes:
            module = _module(home)
            if module is not None and (name in module.defined or name in module.imported):
                yield home, name
                break
