"""What a field must be that a provider fills, as a type that says more than ``str`` or ``float``.

A checker reads the type alone. What a stranger's code has put there is validated by pydantic, as
:mod:`stage3_plugin.providers.guarding` asks it to: strictly where something is decided by it, and
else it is taken for unknown, or cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import CoreSchema, core_schema

MOST_MESSAGE = 300
MOST_FACT = 2000
HEADER_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,127}")
OUR_HEADERS = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length", "content-type",
        "cookie", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""What says how the request travels, or how long it is: only the client may set these."""


class Wrong(ValueError):
    """What a value should be, or is instead; pydantic has it told with where it stands."""


@dataclass(frozen=True, slots=True)
class ReadBy:
    """Has a value read by a function alone, whatever else its type says."""

    read: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)


def _or_none(found: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(found)
    except ValidationError:
        return None


or_unknown = WrapValidator(_or_none)
"""Takes for unknown what is not what it should be: it is no reason to lose what was bought."""


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_one = False
    if not is_one:
        raise Wrong("should be an http address")
    return url


def _not_ours(name: str) -> str:
    if name.lower() in OUR_HEADERS:
        raise Wrong(f"should not have the header {name.lower()}: the program itself sets it")
    return name


def _is_mapping(found: object) -> bool:
    return isinstance(found, Mapping)


def _mapping(found: object) -> object:
    if not _is_mapping(found):
        raise Wrong("should be a mapping")
    return found


def _facts(found: Any) -> dict[str, str]:
    facts: Mapping[Any, Any] = found if _is_mapping(found) else {}
    return {one: fact for one, fact in facts.items() if isinstance(one, str) and type(fact) is str}


def _cut(found: object) -> str | None:
    return found[:MOST_FACT] if isinstance(found, str) else None


def _told(found: object) -> str:
    return found[:MOST_MESSAGE] if isinstance(found, str) else ""


as_it_is = ReadBy(_mapping)
"""For a mapping whose values are looked at when they are sent."""

Address: TypeAlias = Annotated[str, AfterValidator(_address)]
Line: TypeAlias = Annotated[str, StringConstraints(pattern="^[ -~]+$")]
"""Printable ASCII."""
LineOrEmpty: TypeAlias = Annotated[str, StringConstraints(pattern="^[ -~]*$")]
Name: TypeAlias = Annotated[Line, StringConstraints(max_length=MOST_FACT)]
Header: TypeAlias = Annotated[
    str, StringConstraints(pattern=f"^{HEADER_NAME.pattern}$"), AfterValidator(_not_ours)
]
AnyCase: TypeAlias = Annotated[
    str, StringConstraints(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"), AfterValidator(_not_ours)
]
Headers: TypeAlias = Mapping[AnyCase, Line]
Words: TypeAlias = Mapping[Line, Line]
Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Amount: TypeAlias = PositiveInt
Count: TypeAlias = NonNegativeInt

# Nothing is decided by these.

Message: TypeAlias = Annotated[str, BeforeValidator(_told)]
"""For people, in one line."""
Fact: TypeAlias = Annotated[str, BeforeValidator(_cut), or_unknown]
Facts: TypeAlias = Annotated[Mapping[str, str], ReadBy(_facts)]
Key: TypeAlias = Annotated[str, StringConstraints(max_length=MOST_FACT), or_unknown]
Hint: TypeAlias = Annotated[Seconds, or_unknown]
"""Seconds."""
Status: TypeAlias = Annotated[Count, or_unknown]
