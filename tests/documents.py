"""Every JSON document that a command writes in a test is held to the schema that is shipped.

In this process all of them pass :meth:`host_stub.text.console.Console.write_object`, which is
listened to; what another process wrote is checked where tests run it. The shipped schemas let keys
be added; here an object has just those that its schema names. And each command that is named as a
next step has to be one that can be typed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, cast

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no stubs needed
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]  # likewise

from host_stub.cli import parser as host_parser
from host_stub.cli.plugin_commands import command_parser
from host_stub.errors import HostError
from host_stub.text.console import Console
from stage3_plugin import cli as stage3_cli

PLACES = {"host_stub.cli": "host-stub", "stage3_plugin.maintenance": "stage3"}
"""Where schemas lie, and whose they are."""

_problems: list[str] = []
"""What was wrong since this was asked last: raised in a command it would be an error of its own."""


@functools.cache
def schemas() -> Mapping[str, dict[str, Any]]:
    """Return the shipped schemas by the format that they describe."""
    found: dict[str, dict[str, Any]] = {}
    for place in PLACES:
        for file in (files(place) / "schemas").iterdir():
            schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            name = schema["properties"]["format"]["const"]
            assert file.name == f"{name.partition('/')[0]}.json"
            found[name] = schema
    return found


def check(document: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a document; one of a stranger's has next steps, if nothing else."""
    name = document.get("format")
    schema = schemas().get(str(name))
    if schema is None:
        return [f"{name}: there is no schema of it"] if str(name).startswith("stage3-") else []
    faults = [
        f"{name}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in _errors(str(name), document)
    ]
    return faults + [f"{name}: {fault}" for fault in _untypable(document)]


def check_text(text: str) -> None:
    """Check what a process wrote, if that is a document."""
    if text.startswith("{"):
        with contextlib.suppress(json.JSONDecodeError):
            assert check(json.loads(text)) == []


def listen() -> None:
    """Check from now on what is written in this process."""
    write = Console.write_object

    def checked(self: Console, value: Mapping[str, object]) -> None:
        if "next_actions" in value:  # a schema of settings is none of ours
            _problems.extend(check(json.loads(json.dumps(value))))
        write(self, value)

    Console.write_object = checked  # type: ignore[method-assign]  # listens, and lets all through


def problems() -> list[str]:
    """Return what was wrong since this was asked last."""
    found = _problems[:]
    _problems.clear()
    return found


def _errors(name: str, document: object) -> Iterator[ValidationError]:
    validator: Any = _validator(name)
    yield from validator.iter_errors(document)


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(_closed(schema))


def _closed(schema: Any) -> Any:
    """Return a schema whose objects have no other keys than it names."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in cast("dict[str, Any]", schema).items()}
    if "properties" in closed and "required" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def actions_of(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return the commands that a document names."""
    yield from document["next_actions"]
    if document.get("retry_with") is not None:
        yield document["retry_with"]


def _untypable(document: Mapping[str, Any]) -> Iterator[str]:
    for action in actions_of(document):
        program, *words = action["command"]
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
            try:
                unknown = _parsed(program, words)
            except HostError as error:
                unknown = [str(error)]
            if unknown:
                yield f"cannot be typed: {action['command']}: {unknown}"


def _parsed(program: str, words: list[str]) -> list[str]:
    """Read a command, and return what is not understood of it."""
    if program == "stage3" or words[:1] == ["stage3"]:
        rest = words if program == "stage3" else words[1:]
        return _of_stage3().parse_known_args(rest)[1]
    assert program == "host-stub"
    if words and words[0] not in host_parser.COMMANDS and not words[0].startswith("-"):
        return []  # a stranger's
    return _of_host().parse_known_args(words)[1]


@functools.cache
def _of_host() -> ArgumentParser:
    return host_parser.parsers()[0]


@functools.cache
def _of_stage3() -> ArgumentParser:
    return command_parser("stage3", stage3_cli.commands(), description="")
