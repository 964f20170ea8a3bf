"""Where a model class is, without importing it: its module is looked for, and its source read.

So ``check`` and ``plan`` can refuse what is not there, and nothing of the user's runs in them.
What a source does not show, such as a name that another module brings, is taken on trust: a replica
finds out.
"""

from __future__ import annotations

import ast
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_LONGEST_SOURCE_BYTES = 4 << 20


class NotFound(Exception):
    """There is no such class, in words; ``hint`` is what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        self.hint = hint
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class FoundClass:
    """What is known of a model class beforehand.

    Attributes:
        name: Its own name, without its module.
        at_once: How many pictures it renders in one call, if its source says so.
    """

    name: str
    at_once: int | None = None


def found_class(model_class: str, folders: Sequence[str] = ()) -> FoundClass:
    """Look for a model class.

    Args:
        model_class: ``module:Class``.
        folders: Where modules are looked for behind all that Python knows.

    Raises:
        NotFound: Its module is not there, cannot be read as Python, or has no such class.
    """
    module, _, name = model_class.partition(":")
    spec = _spec_of(module, folders)
    if spec is None:
        where = f", nor is it in {folders[0]}" if folders else ""
        raise NotFound(
            f"there is no module {module!r} for {model_class!r}",
            "write the module as Python imports it, without .py"
            if module.endswith(".py")
            else f"Python does not find it on its path{where}; install it where this program is, "
            "or correct the name",
        )
    source = _source_of(spec, model_class)
    return FoundClass(name) if source is None else _class_in(source, name, model_class)


def _spec_of(module: str, folders: Sequence[str]) -> ModuleSpec | None:
    """Find a module without importing the packages it is in."""
    spec: ModuleSpec | None = None
    path: Sequence[str] | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = _found(name, path)
        if spec is None and path is None and folders:
            spec = PathFinder.find_spec(name, list(folders))
        if spec is None and path is not None:
            spec = _namespace(name, [Path(folder, part) for folder in path])
        if spec is None:
            return None
        path = _below(spec)
    return spec


def _found(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)  # a finder of an old kind has none
        try:
            spec: ModuleSpec | None = None if find_spec is None else find_spec(name, path)
        except Exception:  # noqa: BLE001, S112 - a finder that asks for imported parents, say
            continue
        if spec is not None:
            return spec
    return None


def _namespace(name: str, folders: Sequence[Path]) -> ModuleSpec | None:
    """Find a folder without ``__init__``, which Python itself finds only in imported packages."""
    found = [str(folder) for folder in folders if folder.is_dir()]
    if not found:
        return None
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = found
    return spec


def _below(spec: ModuleSpec) -> list[str]:
    """Return the folders of a package; none of a module."""
    return list(spec.submodule_search_locations or ())


def _source_of(spec: ModuleSpec, model_class: str) -> ast.Module | None:
    """Read the source of a module; ``None`` if it has none that can be read."""
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    try:
        if path.stat().st_size > _LONGEST_SOURCE_BYTES:
            return None
        with tokenize.open(path) as file:
            return ast.parse(file.read(), str(path))
    except OSError:
        return None
    except (SyntaxError, ValueError) as error:  # ValueError: NUL, or no such encoding
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        words = error.msg if isinstance(error, SyntaxError) else str(error)
        raise NotFound(
            f"the module of {model_class!r} is no Python: {words} ({path}{line})", "correct it"
        ) from None


def _class_in(source: ast.Module, name: str, model_class: str) -> FoundClass:
    """Look for a class at the top of a module, or within another class there."""
    inside: ast.Module | ast.ClassDef = source
    parts = name.split(".")
    for number, part in enumerate(parts):
        found = _bound(inside, part)
        if found is None:
            raise _unbound(source, ".".join(parts[: number + 1]), model_class)
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
            raise NotFound(
                f"{model_class!r} is a function, and no class",
                "write a class with a method render(self, request)",
            )
        if not isinstance(found, ast.ClassDef):
            return FoundClass(parts[-1])  # another module brings it, or a call makes it
        inside = found
    at_once = _at_once_in(inside) if isinstance(inside, ast.ClassDef) else None
    return FoundClass(parts[-1], at_once)


def _unbound(source: ast.Module, name: str, model_class: str) -> NotFound:
    known = [one.name for one in ast.walk(source) if isinstance(one, ast.ClassDef)]
    near = get_close_matches(name.rpartition(".")[2], known, n=1)
    classes = ", ".join(dict.fromkeys(known)) or "none"
    return NotFound(
        f"the module {model_class.partition(':')[0]!r} has no {name}",
        f"did you mean {near[0]!r}?" if near else f"its classes: {classes}",
    )


def _bound(inside: ast.Module | ast.ClassDef, name: str) -> ast.AST | None:
    """Return what binds a name; the last that does. A module that may bind any name does."""
    found: ast.AST | None = None
    for statement in _statements(inside.body):
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if statement.name == name:
                found = statement
            elif statement.name == "__getattr__":
                found = found or ast.Pass()
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names = {one.asname or one.name.partition(".")[0] for one in statement.names}
            if name in names:
                found = statement
            elif "*" in names:
                found = found or statement
        elif any(
            isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store) and one.id == name
            for one in ast.walk(statement)
        ):
            found = statement
        elif _is_magic(statement):
            found = found or statement
    return found


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements in their order, and in the place of an ``if`` or a ``try`` what is in it."""
    for statement in body:
        inner = [
            one
            for field in ("body", "orelse", "finalbody")
            for one in getattr(statement, field, ())
            if not isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        handlers: Sequence[ast.ExceptHandler] = getattr(statement, "handlers", ())
        inner += [one for handler in handlers for one in handler.body]
        if inner:
            yield from _statements(inner)
        else:
            yield statement


def _is_magic(statement: ast.stmt) -> bool:
    """Return whether a statement may bind names that it does not show."""
    return any(
        isinstance(one, ast.Name) and one.id in {"globals", "exec", "setattr"}
        for one in ast.walk(statement)
    )


def _at_once_in(found: ast.ClassDef) -> int | None:
    """Return the plain number that ``at_once`` is in the body of a class."""
    number: int | None = None
    for statement in found.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        is_it = any(isinstance(one, ast.Name) and one.id == "at_once" for one in targets)
        if is_it and isinstance(value, ast.Constant) and type(value.value) is int:
            number = value.value if value.value >= 1 else None
    return number
