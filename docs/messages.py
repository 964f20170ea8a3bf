"""Write the page of messages from the code: ``python docs/messages.py``, or ``--check`` it.

Every text that an error, a scene's failure or a warning of ours can have is found in the sources,
where it is made: by reading them, not by running them, so that no text is missed because nobody
provoked it. What a text is about, and the next step where the code itself names none, is written by
hand in ``messages.toml``, a section for a kind of error. A kind without a section ends this script
with the line to add.
"""
# ruff: noqa: INP001  - a script beside the pages, not a module of a package

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice, product
from math import prod
from pathlib import Path
from typing import TypeAlias, cast

from stage3_plugin.providers.replies.taxonomy import meanings

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PACKAGES = ("host_stub", "stage3_plugin")
SECTIONS = DOCS / "messages.toml"
PAGE = DOCS / "troubleshooting.md"

HOLE = "\0"
"""Stands in a text for what differs from case to case."""
MOST_WAYS = 8
"""So many variants of one text are told apart; with more, the rest is left as a hole."""
DEEPEST = 5
"""Through so many calls a text is followed to where its words are."""
MOST_HINTS = 3
ENOUGH_OF_A_FRAME = 3
"""So many texts that begin alike make the one that ends there a mere frame of theirs."""
FEWEST_LETTERS = 8
"""A text with fewer of its own says nothing that could be looked for."""

BUILTIN = {"ValueError", "TypeError", "LookupError", "RuntimeError", "ArgumentTypeError"}
"""Exceptions of others that carry our words."""
OF_THE_SYSTEM = {"OSError", "FileExistsError", "IsADirectoryError", "BlockingIOError"}
"""Exceptions that carry our words behind a number."""
OPAQUE = {
    "cleaned",
    "escaped",
    "shortened",
    "masked",
    "usd_text",
    "in_one_line",
    "_in_one_line",
    "kind",
    "_kind",
    "shown",
}
"""Functions that return what somebody else said, made safe to be shown."""
VALUES = {
    "Problem": "what",
    "Failure": "message",
    "Verdict": "message",
    "Finding": "message",
    "Unsaid": "message",
    "Gone": "message",
    "Unclear": "message",
    "End": "message",
    "StageSummary": "message",
    "Meaning": "next_step",
}
"""What is no exception and has a message all the same, with the field that holds it."""

_COMMAND = re.compile(r"'((?:host-stub|stage3|pip|python) [^'`]*)'(?!\w)")
"""What a next step quotes to be typed."""
_INFLECTED = re.compile(r"[a-z]{0,5}")
"""What differs between one thing and several."""

Texts: TypeAlias = tuple[str, ...]
Env: TypeAlias = dict[str, Texts]
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

NOTHING: Texts = (HOLE,)


@dataclass(frozen=True)
class Found:
    """A text, and what its maker says to do.

    Attributes:
        kind: The class that carries it, and behind a colon the module where it is made.
        text: With holes.
        hints: Next steps, as the code has them; none where it has none.
    """

    kind: str
    text: str
    hints: Texts


@dataclass
class Source:
    """A module, taken apart.

    Attributes:
        functions: By name; of two with one name the first.
        classes: Likewise.
        constants: What is assigned in the module itself.
        imports: Names that come from elsewhere: module, and the name there.
        calls: Each call, with the functions around it and the class.
        raises: Each ``raise``.
        own: What gives a function's names their values, or leaves it, in order.
    """

    name: str
    functions: dict[str, Function] = field(default_factory=dict[str, Function])
    classes: dict[str, ast.ClassDef] = field(default_factory=dict[str, ast.ClassDef])
    constants: dict[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    imports: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    calls: list[tuple[ast.Call, tuple[Function, ...], str]] = field(
        default_factory=list[tuple[ast.Call, tuple[Function, ...], str]]
    )
    raises: list[ast.Raise] = field(default_factory=list[ast.Raise])
    own: dict[Function, list[ast.AST]] = field(default_factory=dict[Function, list[ast.AST]])


def sources() -> dict[str, Source]:
    """Read every module of both packages."""
    read: dict[str, Source] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            read[name] = _taken_apart(name, ast.parse(path.read_text(encoding="utf-8")))
    return read


def _taken_apart(name: str, tree: ast.Module) -> Source:
    """Go through a module once: of half a million nodes few matter."""
    source = Source(name)
    waiting: list[tuple[ast.AST, tuple[Function, ...], str]] = [(tree, (), "")]
    while waiting:
        node, functions, within = waiting.pop()
        match node:
            case ast.ClassDef():
                source.classes.setdefault(node.name, node)
                within = node.name
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                source.functions.setdefault(node.name, node)
                source.own[node] = []
                functions = (*functions, node)
            case ast.ImportFrom(module=str(module)):
                for alias in node.names:
                    source.imports[alias.asname or alias.name] = (module, alias.name)
            case ast.Raise():
                source.raises.append(node)
            case ast.Call():
                source.calls.append((node, functions, within))
            case _:
                pass
        if functions and isinstance(node, _MATTERS):
            source.own[functions[-1]].append(node)
        waiting += [(child, functions, within) for child in reversed(list(_children(node)))]
    source.constants.update(_values(tree))
    return source


class Reader:
    """Follows texts through expressions, names and calls to the words they are made of."""

    def __init__(self, read: Mapping[str, Source]) -> None:
        self._read = read
        self._errors = _errors(read)
        self._data = _data(read)

    def all(self) -> Iterator[Found]:
        """Yield every text that is given to an error, a failure or a warning."""
        for step in filter(None, (one.next_step for one in meanings().meaning)):
            yield Found(f"Meaning:{meanings.__module__}", step, ())
        for source in self._read.values():
            for found in self._in(source):
                yield replace(found, kind=f"{found.kind}:{source.name}")

    def sentences(self, module: str) -> Iterator[str]:
        """Yield what the functions of a module return or yield as text."""
        source = self._read[module]
        for function in source.functions.values():
            if function.returns is None or "str" not in ast.unparse(function.returns):
                continue
            env = self._locals(source, function, {}, 0)
            for node in source.own[function]:
                value = node.value if isinstance(node, ast.Return | ast.Yield) else None
                for one in value.elts if isinstance(value, ast.List | ast.Tuple) else [value]:
                    if one is not None:
                        yield from self.texts(source, one, env)

    def _in(self, source: Source) -> Iterator[Found]:
        known: dict[tuple[Function, ...], Env] = {(): {}}
        for call, functions, within in source.calls:
            if functions not in known:
                known[functions] = {
                    name: texts
                    for function in functions
                    for name, texts in self._locals(source, function, {}, 0).items()
                }
            name = _name(call.func)
            made = ast.Name(within if name == "cls" else name)
            called = ast.Call(made, call.args, call.keywords)
            yield from self._made(source, called, known[functions])

    def _made(self, source: Source, call: ast.Call, env: Env, depth: int = 0) -> Iterator[Found]:
        """Yield what a call makes, if it makes something that has a message."""
        name = _name(call.func)
        words = {word.arg: word.value for word in call.keywords if word.arg}
        if name not in VALUES and (name in self._errors or name in BUILTIN):
            texts, hints = self._constructed(name, *self._arguments(source, call, env))
            yield from (Found(name, text, hints) for text in texts)
        elif (message := _message(name, call, words)) is not None:
            kind = {"replace": "Verdict", "model_copy": "Failure", "warn_of": "warning"}.get(
                name, "OSError" if name in OF_THE_SYSTEM else name
            )
            hint = words.get("hint", ast.Constant(None))
            hints = _said(self.texts(source, hint, env))
            yield from (Found(kind, text, hints) for text in self.texts(source, message, env))
        elif depth < DEEPEST and name:
            yield from self._by_way_of(source, call, env, depth + 1)

    def _by_way_of(self, home: Source, call: ast.Call, env: Env, depth: int) -> Iterator[Found]:
        """Yield what a function of ours makes of these arguments and returns, if it is an error."""
        found = self._function(home, _name(call.func))
        if found is None:
            return
        source, function = found
        returned = re.findall(r"\w+", ast.unparse(function.returns or ast.Constant(None)))
        if not set(returned) & (self._errors.keys() | VALUES.keys() | BUILTIN):
            return
        args, words = self._arguments(home, call, env)
        inner = self._locals(source, function, self._bound(source, function, args, words), 0)
        for node in source.own[function]:
            if isinstance(node, ast.Return | ast.Assign) and node.value is not None:
                for made in ast.walk(node.value):
                    if isinstance(made, ast.Call):
                        yield from self._made(source, made, inner, depth)

    def _function(self, source: Source, name: str) -> tuple[Source, Function] | None:
        """Return a function of ours by its name in a module, with the module that has it."""
        if name in source.functions:
            return source, source.functions[name]
        module, original = source.imports.get(name, ("", ""))
        other = self._read.get(module)
        return self._function(other, original) if other else None

    def _arguments(
        self, source: Source, call: ast.Call, env: Env, depth: int = 0
    ) -> tuple[list[Texts], Env]:
        """Return what a call is given: by position, and by name."""
        args = [self.texts(source, arg, env, depth) for arg in call.args]
        words = ((word.arg, word.value) for word in call.keywords)
        return args, {name: self.texts(source, value, env, depth) for name, value in words if name}

    def _constructed(
        self, kind: str, args: Sequence[Texts], words: Mapping[str, Texts]
    ) -> tuple[Texts, Texts]:
        """Return what an error made of these arguments says, and the next steps it names."""
        source, made = self._errors.get(kind, (None, None))
        if source is None or made is None:
            return (args[0] if args else ()), _said(words.get("hint", ()))
        base = next((_name(one) for one in made.bases if _name(one)), "Exception")
        of_class = chain.from_iterable(
            self.texts(source, value, {}) for name, value in _values(made) if name == "hint"
        )
        hints = _said(of_class)
        init = next((one for one in made.body if _is_init(one)), None)
        if not isinstance(init, ast.FunctionDef):
            told, more = self._constructed(base, args, words)
            return told, more or hints
        env = self._locals(source, init, self._bound(source, init, args, words), 0)
        said: Texts = ()
        for node in source.own[init]:
            match node:
                case ast.Call(func=ast.Attribute(attr="__init__")):
                    said, more = self._constructed(base, *self._arguments(source, node, env))
                    hints = more or hints
                case ast.Assign(targets=[ast.Attribute(attr="hint")], value=value):
                    hints = _said(self.texts(source, value, env)) or hints
                case ast.Assign(
                    targets=[ast.Attribute(attr="args")], value=ast.Tuple(elts=[value])
                ):
                    said = self.texts(source, value, env)
                case _:
                    pass
        return said, hints

    def _bound(
        self,
        source: Source,
        function: Function,
        args: Sequence[Texts],
        words: Mapping[str, Texts],
    ) -> Env:
        """Bind a function's parameters to texts."""
        spec = function.args
        names = [one.arg for one in (*spec.posonlyargs, *spec.args)]
        if names and names[0] in {"self", "cls"}:
            names = names[1:]
        env: Env = {}
        defaults = zip(
            reversed([*spec.posonlyargs, *spec.args]), reversed(spec.defaults), strict=False
        )
        optional = zip(spec.kwonlyargs, spec.kw_defaults, strict=True)
        for parameter, default in chain(defaults, optional):
            if default is not None:
                env[parameter.arg] = self.texts(source, default, {})
        for parameter in (*spec.args, *spec.kwonlyargs):
            env.setdefault(parameter.arg, NOTHING)
        return env | dict(zip(names, args, strict=False)) | dict(words)

    def _locals(self, source: Source, function: Function, env: Env, depth: int) -> Env:
        """Add what a function's names stand for, whichever way it goes."""
        known = dict(env)
        for parameter in (*function.args.args, *function.args.kwonlyargs):
            known.setdefault(parameter.arg, NOTHING)
        assigned: dict[str, list[ast.expr]] = {}
        for node in source.own[function]:
            for name, value in _assigned(node):
                assigned.setdefault(name, []).append(value)
        for name, values in assigned.items():
            texts = chain.from_iterable(self.texts(source, one, known, depth + 1) for one in values)
            known[name] = _few((*known.get(name, ()), *texts) if name in env else texts)
        return known

    def texts(  # noqa: C901, PLR0912  - a table of expressions, a row for each
        self, source: Source, value: ast.expr, env: Env, depth: int = 0
    ) -> Texts:
        """Return what an expression can say, each way once."""
        if depth > DEEPEST:
            return NOTHING
        deeper = depth + 1
        match value:
            case ast.Constant(value=None):
                return ()
            case ast.Constant(value=str(text)):
                return (text,)
            case ast.Constant(value=bool()):
                return NOTHING
            case ast.Constant(value=int(number)):
                return (str(number),)
            case ast.JoinedStr(values=parts):
                return _joined(self.texts(source, part, env, depth) for part in parts)
            case ast.FormattedValue(value=inner, conversion=conversion):
                quote = "'" if conversion == ord("r") else ""
                found = self.texts(source, inner, env, deeper) or NOTHING
                return tuple(f"{quote}{text or HOLE}{quote}" for text in found)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                sides = (self.texts(source, one, env, depth) for one in (left, right))
                return _joined(sides)
            case ast.IfExp(body=body, orelse=orelse):
                return self._either(source, (body, orelse), env, depth)
            case ast.BoolOp(values=values):
                return self._either(source, values, env, depth)
            case ast.NamedExpr(value=inner) | ast.Await(value=inner) | ast.Starred(value=inner):
                return self.texts(source, inner, env, depth)
            case ast.Name(id=name):
                return self._named(source, name, env, deeper)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return env.get(f"self.{name}") or self._data.get(name, NOTHING)
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                place = ".".join(source.imports.get(module, ()))
                other = self._read.get(place)
                return self._named(other, name, {}, deeper) if other else NOTHING
            case ast.Subscript(value=inner, slice=ast.Slice()):
                return self.texts(source, inner, env, depth)
            case ast.Subscript(value=ast.Name(id=name)):
                return self._one_of(source, name, deeper)
            case ast.List(elts=values) | ast.Tuple(elts=values) if values:
                return self._either(source, values, env, depth)
            case ast.Call():
                return self._called(source, value, env, deeper)
            case _:
                return NOTHING

    def _either(self, source: Source, values: Iterable[ast.expr], env: Env, depth: int) -> Texts:
        return _few(chain.from_iterable(self.texts(source, one, env, depth) for one in values))

    def _named(self, source: Source, name: str, env: Env, depth: int) -> Texts:
        if name in env:
            return env[name]
        if name in source.constants:
            return self.texts(source, source.constants[name], {}, depth)
        module, original = source.imports.get(name, ("", ""))
        other = self._read.get(module)
        return self._named(other, original, {}, depth) if other and original else NOTHING

    def _one_of(self, source: Source, name: str, depth: int) -> Texts:
        """Return the values of a table of texts."""
        table = source.constants.get(name)
        if not isinstance(table, ast.Dict):
            return NOTHING
        return self._either(source, table.values, {}, depth)

    def _called(self, source: Source, call: ast.Call, env: Env, depth: int) -> Texts:
        args, words = self._arguments(source, call, env, depth)
        match call.func:
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in OPAQUE:
                return next((one for one in args if _is_told(one)), NOTHING)
            case ast.Name(id="Problem" | "_listed"):
                several = [*args, *words.values()]
                first, *rest = [one for one in several if one != ("",)] or [NOTHING]
                return _joined([first, *(part for one in rest for part in ((": ",), one))])
            case ast.Attribute(value=ast.Name(id=name), attr="get") if name in source.constants:
                return _few((*self._one_of(source, name, depth), *chain.from_iterable(args[1:])))
            case ast.Attribute(attr="get" | "getattr"):
                return NOTHING
            case ast.Attribute(value=text, attr="strip" | "rstrip" | "lstrip" | "capitalize"):
                return self.texts(source, text, env, depth)
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name):
                found = self._returned(source, name, args, words, depth)
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                other = self._read.get(".".join(source.imports.get(module, ())))
                found = self._returned(other, name, args, words, depth) if other else NOTHING
            case _:
                found = NOTHING
        if _is_told(found):
            return found
        return next((one for one in args if _is_told(one)), NOTHING)

    def _returned(
        self,
        source: Source,
        name: str,
        args: Sequence[Texts],
        words: Mapping[str, Texts],
        depth: int,
    ) -> Texts:
        """Return what a function returns for these arguments, if it is one of ours."""
        found = self._function(source, name)
        if found is None or depth > DEEPEST:
            return NOTHING
        source, function = found
        if function.returns and "str" not in ast.unparse(function.returns):
            return NOTHING
        env = self._locals(source, function, self._bound(source, function, args, words), depth)
        returned = (node.value for node in source.own[function] if isinstance(node, ast.Return))
        values = [value for value in returned if value is not None]
        return self._either(source, values, env, depth)


def _errors(read: Mapping[str, Source]) -> dict[str, tuple[Source, ast.ClassDef]]:
    """Return the exceptions of both packages; of two with one name, either will do."""
    classes = {
        name: (source, made) for source in read.values() for name, made in source.classes.items()
    }

    def is_error(name: str) -> bool:
        if name not in classes:
            return name.endswith(("Error", "Exception"))
        return any(is_error(_name(base)) for base in classes[name][1].bases)

    return {name: place for name, place in classes.items() if is_error(name)}


def _data(read: Mapping[str, Source]) -> Mapping[str, Texts]:
    """Return what classes say as data, by the name of the attribute, in whichever class it is."""
    found: dict[str, Texts] = {}
    classes = (one for source in read.values() for one in source.classes.values())
    for node in (node for one in classes for node in one.body):
        for name, value in _pairs(node):
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
                found[name] = tuple(dict.fromkeys((*found.get(name, ()), value.value)))
    return {name: texts for name, texts in found.items() if name.startswith("_")}


def _pairs(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            yield from (
                (one.id, it)
                for one, it in zip(names, values, strict=True)
                if isinstance(one, ast.Name)
            )
        case _:
            pass


def _message(name: str, call: ast.Call, words: Mapping[str, ast.expr]) -> ast.expr | None:
    """Return the argument that is the message, of a call that is given one."""
    if name in VALUES:
        return words.get(VALUES[name], call.args[-1] if call.args else None)
    if name in OF_THE_SYSTEM:
        return call.args[1] if len(call.args) > 1 else None
    if name == "replace":  # what is known of an answer is made more precise
        return words.get("message", words.get("next_step"))
    if name == "model_copy" and isinstance(update := words.get("update"), ast.Dict):
        keyed = zip(update.keys, update.values, strict=True)
        return next((said for key, said in keyed if _is_word(key, "message")), None)
    if name == "warn_of":
        return call.args[0] if call.args else None
    return words.get("message") if name == "warning" else None


def _is_word(node: ast.expr | None, word: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == word


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _name(value)
        case _:
            return ""


_MATTERS = (
    ast.Assign,
    ast.AnnAssign,
    ast.AugAssign,
    ast.NamedExpr,
    ast.Return,
    ast.Yield,
    ast.Call,
)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is within a node, without what only says that a name is read."""
    for name in node._fields:
        if name == "ctx":
            continue
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            yield value
        elif isinstance(value, list):
            yield from (one for one in cast("list[object]", value) if isinstance(one, ast.AST))


def _is_init(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "__init__"


def _values(made: ast.ClassDef | ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield what a class or a module assigns in itself."""
    for statement in made.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case _:
                pass


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            pairs = zip(names, values, strict=False)
            yield from ((name.id, value) for name, value in pairs if isinstance(name, ast.Name))
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value):
            yield f"self.{name}", value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.NamedExpr(target=ast.Name(id=name), value=value):
            yield name, value
        case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
            yield name, ast.BinOp(ast.Name(name), ast.Add(), value)
        case _:
            pass


def _joined(parts: Iterable[Texts]) -> Texts:
    """Put parts together, each way of each; where those are too many, a hole takes their place."""
    several = [part or ("",) for part in parts]
    varying = [place for place, part in enumerate(several) if len(part) > 1]
    for place in varying:  # such as "is" and "are": the row would stand there for each
        if len(varying) > 1 and all(map(_INFLECTED.fullmatch, several[place])):
            several[place] = NOTHING
    while prod(map(len, several)) > MOST_WAYS:
        most = max(range(len(several)), key=lambda place: len(several[place]))
        several[most] = NOTHING
    return _few("".join(one) for one in product(*several))


def _few(texts: Iterable[str]) -> Texts:
    return tuple(islice(dict.fromkeys(texts), MOST_WAYS))


def _said(texts: Iterable[str]) -> Texts:
    return tuple(text for text in dict.fromkeys(texts) if text.replace(HOLE, "").strip())


def _is_told(texts: Texts) -> bool:
    return any(re.search(r"\w\w", text) for text in texts)


# The page ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """What is written by hand about some kinds of errors.

    Attributes:
        kinds: Their classes.
        cause: What has happened, where one of them is met.
        next: What to do, where the text has no next step of its own.
        modules: Whose functions return such texts, too.
        further: What is raised and no other section has stands here.
    """

    title: str
    kinds: tuple[str, ...]
    cause: str
    next: str
    modules: tuple[str, ...] = ()
    further: bool = False


def sections() -> tuple[str, tuple[Section, ...], frozenset[str]]:
    """Return what stands on top, the sections, and the kinds that nobody outside ever meets."""
    document = tomllib.loads(SECTIONS.read_text(encoding="utf-8"))
    written = tuple(
        Section(
            one["title"],
            tuple(one["kinds"]),
            one["cause"],
            one["next"],
            tuple(one.get("modules", ())),
            one.get("further", False),
        )
        for one in document["section"]
    )
    return document["top"], written, frozenset(document["inside"])


def shown(text: str) -> str:
    """Write a text as it looks, with a sign where it differs from case to case."""
    line = " ".join(re.sub(rf"{HOLE}+", "…", text).split())
    return re.sub(r"(?:…[\s,;:'\"()]*){2,}(?=…|$)", "", line).strip()


def is_worth_it(text: str) -> bool:
    """Whether somebody could look for it: it has two words of its own at least."""
    own = re.findall(r"[^\W\d_]{2,}", shown(text))
    return len(own) > 1 and len("".join(own)) >= FEWEST_LETTERS


def messages(read: Mapping[str, Source]) -> dict[str, dict[str, Texts]]:
    """Return every text by kind, each with its next steps."""
    told: dict[str, dict[str, Texts]] = {}
    for found in Reader(read).all():
        hints = tuple(map(shown, found.hints))
        line = shown(found.text)
        for hint in hints:  # some are in the text itself, too
            line = line.removesuffix(f" ({hint})")
        if is_worth_it(line):
            known = told.setdefault(found.kind, {}).get(line, ())
            told[found.kind][line] = tuple(dict.fromkeys((*known, *hints)))
    return told


def page() -> str:
    """Write the page.

    Raises:
        SystemExit: A kind of error has no section, or a section has none of its kinds any more.
    """
    top, written, inside = sections()
    read = sources()
    told = messages(read)
    listed = {kind: section.title for section in written for kind in section.kinds}
    listed |= dict.fromkeys(inside, "")
    places = {made: _place(made, listed) for made in told}
    if lacking := sorted({made.partition(":")[0] for made, at in places.items() if at is None}):
        raise SystemExit(
            f"{', '.join(lacking)}: list this kind of error in docs/messages.toml, in `kinds` of "
            "the section it belongs to, or in a [[section]] of its own with cause and next step"
        )
    reader = Reader(read)
    tables = {
        section.title: _rows(
            [told[made] for made in told if places[made] == section.title],
            [text for module in section.modules for text in reader.sentences(module)],
        )
        for section in written
    }
    everything = "\n".join(text for rows in tables.values() for row in rows.items()
                           for text in (row[0], *row[1]))  # fmt: skip
    lines = [top.strip(), ""]
    for section in written:
        rows = tables[section.title]
        if section.further:
            rows |= {text: () for text in raised(read) if text not in everything}
        lines += [f"## {section.title}", "", section.cause.strip(), ""]
        lines += [f"**What to do:** {section.next.strip()}", ""]
        lines += _table(rows)
    return "\n".join(lines).rstrip() + "\n"


def _place(made: str, listed: Mapping[str, str]) -> str | None:
    """Return the section of a kind of error: the one that is said for the innermost package."""
    kind, _, module = made.partition(":")
    parts = module.split(".")
    inner = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    packages = list(inner)
    named = (*(f"{kind}:{one}" for one in packages), *(f"*:{one}" for one in packages), kind)
    return next((listed[name] for name in named if name in listed), None)


def _rows(told: Iterable[Mapping[str, Texts]], said: Iterable[str]) -> dict[str, Texts]:
    """Return the texts of a section; what another one says more fully is left out."""
    rows: dict[str, Texts] = {}
    for text, hints in chain.from_iterable(one.items() for one in told):
        rows[text] = tuple(dict.fromkeys((*rows.get(text, ()), *hints)))
    rows |= {text: () for text in map(shown, said) if is_worth_it(text) and text not in rows}
    return {text: hints for text, hints in rows.items() if not _is_said_by_another(text, rows)}


def _is_said_by_another(text: str, rows: Iterable[str]) -> bool:
    if text.startswith("the command line: ") and f"config …{text[16:]}" in rows:
        return True
    if any(other.endswith(f" {text}") for other in rows):
        return True
    start = text.rstrip(" …:'(")
    among = sum(len(other) > len(text) and other.startswith(start) for other in rows)
    is_cut = text != start and not text.endswith("…")
    return among >= (1 if is_cut else ENOUGH_OF_A_FRAME)


def raised(read: Mapping[str, Source]) -> Iterator[str]:
    """Yield every piece of text that stands in a ``raise``, however it becomes a message."""
    for node in chain.from_iterable(source.raises for source in read.values()):
        if isinstance(node.exc, ast.Call) and _name(node.exc.func) == "AssertionError":
            continue
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                text = shown(part.value)
                if is_worth_it(text):
                    yield text


def _table(rows: Mapping[str, Texts]) -> Iterator[str]:
    def by_words(item: tuple[str, Texts]) -> str:
        return re.sub(r"^[^\w]+", "", item[0]).casefold()

    has_hints = any(rows.values())
    yield "| It says | Next step |" if has_hints else "| It says |"
    yield "|---|---|" if has_hints else "|---|"
    for text, hints in sorted(rows.items(), key=by_words):
        cells = [_code(text)]
        if has_hints:
            cells.append("; or: ".join(map(_plain, hints[:MOST_HINTS])) or "as above")
        yield f"| {' | '.join(cells)} |"
    yield ""


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    space = " " if fence == "``" else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


def _plain(text: str) -> str:
    """Escape what Markdown would take for its own, outside of code."""
    text = _COMMAND.sub(r"`\1`", text)
    parts = re.split(r"(`[^`]*`)", text)
    escaped = (
        part if part.startswith("`") else re.sub(r"([\\*_<>\[\]#$~])", r"\\\1", part)
        for part in parts
    )
    return "".join(escaped).replace("|", "\\|")


def main() -> int:
    """Write the page anew, or report that it would change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if out of date")
    options = parser.parse_args()
    wanted = page()
    is_new = not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted
    if is_new and options.check:
        sys.stderr.write(f"{PAGE.name} out of date; run python docs/messages.py\n")
    elif is_new:
        PAGE.write_text(wanted, encoding="utf-8", newline="\n")
    return 1 if is_new and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
