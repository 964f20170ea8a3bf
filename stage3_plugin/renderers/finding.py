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
from difflib import get_close_matches
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from stage3_plugin.errors import SettingsRefused

_LONGEST_SOURCE_BYTES = 4 << 20
_ANY_NAME = {"*", "__getattr__", "globals", "exec", "setattr"}
"""What is named so may bind names that a source does not show."""


def find_class(model_class: str, folders: Sequence[str] = ()) -> int | None:
    """Look for a model class; return how many pictures it renders at once, if its source says so.

    Args:
        model_class: ``module:Class``.
        folders: Where modules are looked for behind all that Python knows.

    Raises:
        SettingsRefused: Its module is not there, cannot be read as Python, or has no such class.
    """
    module, _, name = model_class.partition(":")
    try:
        file = _file_of(module, folders)
    except LookupError:
        where = f", nor is it in {folders[0]}" if folders else ""
        raise _refused(
            f"there is no module {module!r} for {model_class!r}",
            "write the module as Python imports it, without .py"
            if module.endswith(".py")
            else f"Python does not find it on its path{where}; install it where this program is, "
            "or correct the name",
        ) from None
    source = _source_of(file, model_class)
    return None if source is None else _at_once_of(source, name, model_class)


def _file_of(module: str, folders: Sequence[str]) -> Path | None:
    """Find a module without importing the packages it is in; return its file, if it has one.

    Raises:
        LookupError: There is none.
    """
    path: list[str] | None = None
    file: str | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = _found(name, path)
        if spec is None and path is None:
            spec = PathFinder.find_spec(name, list(folders))
        if spec is not None:
            path, file = list(spec.submodule_search_locations or ()), spec.origin
            continue
        # A folder without ``__init__``, which Python itself finds only in imported packages.
        within = [Path(folder, part) for folder in path or ()]
        path, file = [str(folder) for folder in within if folder.is_dir()], None
        if not path:
            raise LookupError(module)
    return None if file is None else Path(file)


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


def _source_of(path: Path | None, model_class: str) -> ast.Module | None:
    """Read the source of a module; ``None`` if it has none that can be read."""
    if path is None or path.suffix != ".py":
        return None
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
        raise _refused(
            f"the module of {model_class!r} is no Python: {words} ({path}{line})", "correct it"
        ) from None


def _at_once_of(source: ast.Module, name: str, model_class: str) -> int | None:
    """Look for a class at the top of a module, or within another class there."""
    inside: ast.Module | ast.ClassDef = source
    parts = name.split(".")
    for number, part in enumerate(parts):
        found = _bound(inside, part)
        if found is None:
            raise _unbound(source, ".".join(parts[: number + 1]), model_class)
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) and found.name == part:
            raise _refused(
                f"{model_class!r} is a function, and no class",
                "write a class with a method render(self, request)",
            )
        if not isinstance(found, ast.ClassDef):
            return None  # another module brings it, or a call makes it
        inside = found
    return _at_once_in(inside)


def _refused(problem: str, hint: str) -> SettingsRefused:
    return SettingsRefused("model_class", problem, hint=hint)


def _unbound(source: ast.Module, name: str, model_class: str) -> SettingsRefused:
    known = [one.name for one in ast.walk(source) if isinstance(one, ast.ClassDef)]
    near = get_close_matches(name.rpartition(".")[2], known, n=1)
    classes = ", ".join(dict.fromkeys(known)) or "none"
    return _refused(
        f"the module {model_class.partition(':')[0]!r} has no {name}",
        f"did you mean {near[0]!r}?" if near else f"its classes: {classes}",
    )


def _bound(inside: ast.Module | ast.ClassDef, name: str) -> ast.AST | None:
    """Return what binds a name; the last that does. What may bind any name does."""
    found: ast.AST | None = None
    for node in _seen(inside):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                bound = node.name
            case ast.alias():
                bound = node.asname or node.name.partition(".")[0]
            case ast.Name(ctx=ast.Store()) | ast.Name(id="globals" | "exec" | "setattr"):
                bound = node.id
            case _:
                continue
        if bound == name:
            found = node
        elif bound in _ANY_NAME:
            found = found or node
    return found


def _seen(inside: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a module or a class, in its order, and not what is in those within it."""
    for node in ast.iter_child_nodes(inside):
        yield node
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _seen(node)


def _at_once_in(found: ast.Module | ast.ClassDef) -> int | None:
    """Return the plain number that ``at_once`` is in the body of a class."""
    number: int | None = None
    for statement in found.body:
        match statement:
            case ast.Assign(
                targets=[ast.Name(id="at_once")], value=ast.Constant(value=int(value))
            ) | ast.AnnAssign(ast.Name(id="at_once"), value=ast.Constant(value=int(value))) if (
                value >= 1 and value is not True
            ):
                number = value
            case _:
                pass
    return number
