"""A plugin's config table against its settings model: what is wrong, without showing any value.

pydantic's messages may quote the input, and those of a plugin's validators may say anything. Both
are translated here into dotted paths, the ones that ``--set`` takes, with the closest valid name
for an unknown one. The other direction is here too: validated settings as ``check`` shows them,
with secrets masked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Final, cast, get_args, get_origin

from pydantic import AliasChoices, BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from host_stub.config.absent import AbsentSecret
from host_stub.config.secrets import ResolvedTable
from host_stub.errors import PluginSettingsError, Problem, SecretUnavailable, closest
from host_stub.text.redaction import Redactor

MASK: Final = "****"
"""Stands for a secret wherever settings are shown."""

_SHORTEST_QUOTE: Final = 6
"""Characters; a shorter value could be one of the message's own words."""


def validate(
    model: type[BaseModel],
    table: ResolvedTable,
    *,
    plugin: str,
    source: str,
    path: Path | None = None,
) -> BaseModel:
    """Make settings from a table.

    A model that ignores unknown keys gets the host's own check of their names, since a misspelt
    setting would otherwise do nothing; one that allows them (``extra="allow"``) does not. In the
    context of its validation a model finds ``secrets``: the texts that came from variables, files
    and commands, should it take a value from there alone.

    Raises:
        PluginSettingsError: Something does not fit; every problem is listed, and no value.
        SecretUnavailable: The model reads a secret that could not be had.
    """
    root = f"plugin.{plugin}"
    problems = list(_unknown_keys(model, table.values, root))
    secrets = {*table.secrets, *_secret_texts(model, table.values)}
    try:
        settings = model.model_validate(table.values, context={"secrets": frozenset(table.secrets)})
    except ValidationError as error:
        details = error.errors(include_url=False)
        for detail in details:
            if isinstance(detail["input"], AbsentSecret):  # its field is of plain text
                detail["input"].get_secret_value()
        problems += [_problem(detail, model, root, secrets) for detail in details]
    except SecretUnavailable:
        raise
    except Exception as error:  # noqa: BLE001  - a plugin's own validator may raise anything
        problems.append(Problem(root, f"its settings model raised {type(error).__name__}"))
    else:
        if not problems:
            return settings
    # Raised out here, so that no cause hangs on it: pydantic's error holds the input.
    raise PluginSettingsError(plugin, source, problems, path=path)


def masked(settings: BaseModel, secrets: Iterable[str] = ()) -> dict[str, object]:
    """Return settings as plain JSON values to be shown, with secrets masked.

    Args:
        settings: Validated settings.
        secrets: Texts to mask although their fields are not ``SecretStr``.
    """
    known = frozenset(secrets)
    redactor = Redactor(known, mask=MASK)
    shown = {name: _masked(value, known, redactor) for name, value in settings}
    for name, field in type(settings).model_fields.items():
        if not field.repr and shown[name] is not None:  # its author wants it unseen
            shown[name] = MASK
    return shown


def _masked(value: object, secrets: AbstractSet[str], redactor: Redactor) -> object:
    if isinstance(value, SecretStr | SecretBytes):
        return MASK
    if isinstance(value, BaseModel):
        return masked(value, secrets)
    if isinstance(value, Enum):
        return _masked(value.value, secrets, redactor)
    if isinstance(value, Mapping):
        table = cast("Mapping[object, object]", value)
        return {str(name): _masked(part, secrets, redactor) for name, part in table.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(part, secrets, redactor) for part in cast("Iterable[object]", value)]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    text = str(value)
    return MASK if text in secrets else redactor.text(text)  # a short one too, where it is all


def _problem(
    detail: ErrorDetails, model: type[BaseModel], root: str, secrets: Iterable[str]
) -> Problem:
    """Put one of pydantic's findings into our words."""
    location = detail["loc"]
    where = ".".join([root, *map(str, location)])
    if detail["type"] == "extra_forbidden":
        return _unknown(where, str(location[-1]), _model_at(model, location[:-1]))
    if detail["type"] == "missing":
        return Problem(where, "is required")
    if detail["type"] == "union_tag_invalid":  # its message quotes the tag
        expected = detail.get("ctx", {}).get("expected_tags", "")
        return Problem(where, f"should be one of the kinds {expected}")
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should", "should", 1)
    message = message.partition(" or instance of ")[0]
    for kind, words in _KINDS.items():
        if message.startswith(kind):
            message = words
    message += _example(message, model, location)
    quoted = detail["input"]
    if isinstance(quoted, str) and len(quoted) >= _SHORTEST_QUOTE:
        message = message.replace(quoted, "…")
    return Problem(where, Redactor(secrets, mask=MASK).text(message))


_KINDS: Final = {
    "should be a valid string": "should be text, in quotes",
    "should be a valid decimal": "should be an amount, with a point and no comma",
    "should be a valid number": "should be a number, without quotes",
    "should be a valid integer": "should be a whole number, without quotes",
    "should be a valid boolean": "should be true or false, without quotes",
    "should be a valid tuple": "should be a list, in brackets",
    "should be a valid list": "should be a list, in brackets",
    "should be a valid dictionary": "should be a table, in braces",
}
"""What pydantic calls a kind, in the words of a config file."""


def _example(message: str, model: type[BaseModel], location: Sequence[int | str]) -> str:
    """Show a right value: the author's example, or the default where that is a plain one."""
    if " such as " in message or "for example" in message or not location:
        return ""
    for depth in range(len(location), 0, -1):  # of the field itself, or of the one it is part of
        owner = _model_at(model, location[: depth - 1]) if depth > 1 else model
        name = str(location[depth - 1])
        field = None if owner is None else dict(_fields(owner)).get(name)
        if field is None:
            continue
        if field.examples:
            return f", such as {name} = {_in_toml(field.examples[0])}"
        if isinstance(field.default, bool | int | float | str) and field.repr:
            return f", such as {name} = {_in_toml(field.default)}"
    return ""


def _in_toml(value: object) -> str:
    if isinstance(value, Mapping):
        table = cast("Mapping[str, object]", value).items()
        return f"{{ {', '.join(f'{name} = {_in_toml(part)}' for name, part in table)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_in_toml, cast('Iterable[object]', value)))}]"
    return json.dumps(value)


def _unknown_keys(
    model: type[BaseModel], values: Mapping[str, Any], root: str
) -> Iterator[Problem]:
    names = set(_names(model))
    ignores = model.model_config.get("extra", "ignore") == "ignore"  # one that forbids says so
    fields = dict(_fields(model))
    for key, value in values.items():
        inner = _inner_model(fields[key]) if key in fields else None
        if ignores and key not in names:
            yield _unknown(f"{root}.{key}", key, model)
        elif inner is not None and isinstance(value, dict):
            yield from _unknown_keys(inner, cast("Mapping[str, Any]", value), f"{root}.{key}")


def _unknown(where: str, key: str, model: type[BaseModel] | None) -> Problem:
    near = closest(key, _names(model)) if model is not None else None
    return Problem(where, f"unknown setting; did you mean {near!r}?" if near else "unknown setting")


def _names(model: type[BaseModel]) -> Iterator[str]:
    """Return the keys a model accepts."""
    for name, field in model.model_fields.items():
        aliases = list(_aliases(field))
        yield from aliases
        by_name = model.model_config.get("validate_by_name") or model.model_config.get(
            "populate_by_name"
        )
        if not aliases or by_name:
            yield name


def _aliases(field: FieldInfo) -> Iterator[str]:
    alias = field.validation_alias
    for choice in alias.choices if isinstance(alias, AliasChoices) else [alias]:
        if isinstance(choice, str):
            yield choice
        elif choice is not None and isinstance(choice.path[0], str):
            yield choice.path[0]


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Return each field under every key that may set it."""
    for name, field in model.model_fields.items():
        for key in {name, *_aliases(field)}:
            yield key, field


def _mentioned(annotation: object) -> Iterator[type]:
    """Return the classes an annotation is built from."""
    if isinstance(annotation, type):
        yield annotation
    for part in get_args(annotation):
        yield from _mentioned(part)


def _models(field: FieldInfo) -> list[type[BaseModel]]:
    return [kind for kind in _mentioned(field.annotation) if issubclass(kind, BaseModel)]


def _inner_model(field: FieldInfo) -> type[BaseModel] | None:
    """Return the one model a field holds itself, and none for a list or dictionary of models."""
    choices = [field.annotation, *get_args(field.annotation)]  # ``Model``, or ``Model | None``
    held = [kind for kind in _models(field) if kind in choices]
    container = isinstance(get_origin(field.annotation), type) and not isinstance(
        field.annotation, UnionType
    )
    return held[0] if len(held) == 1 and not container else None


def _model_at(model: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel] | None:
    """Follow a location to the model it ends in; ``None`` where that is not known."""
    current = model
    in_container = False  # then the next step is an index, or a key of the user's own
    for step in location:
        if in_container:
            in_container = False
            continue
        field = dict(_fields(current)).get(str(step))
        models = [] if field is None else _models(field)
        if field is None or len(models) != 1:
            return None
        current = models[0]
        in_container = _inner_model(field) is None
    return current


def _secret_texts(model: type[BaseModel], values: Mapping[str, Any]) -> Iterator[str]:
    """Return the texts in a table that its model would hold as secrets."""
    for key, field in _fields(model):
        value = values.get(key)
        inner = _inner_model(field)
        kinds = list(_mentioned(field.annotation))
        secret = any(issubclass(kind, SecretStr | SecretBytes) for kind in kinds)
        if secret or (inner is None and _models(field)):  # of a list of models all, to be safe
            yield from _texts(value)
        elif inner is not None and isinstance(value, dict):
            yield from _secret_texts(inner, cast("Mapping[str, Any]", value))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(cast("dict[str, object]", value).values()))
    elif isinstance(value, list):
        for part in cast("list[object]", value):
            yield from _texts(part)
