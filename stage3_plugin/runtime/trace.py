"""What a run does, told as it happens to the one who listens.

An event is an object of a class of its own (``domain/events``), sent with :func:`event` from
wherever it happens. Who listens is a property of the run and not of each function it goes through:
it is put in force around the run, as its interrupt is. ``engine/reporter`` does, which
writes the contract's events.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import Field, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final, cast, dataclass_transform

_LOG: Final = logging.getLogger(__name__)
"""Python's own, for what cannot be told to the listener it is about; nothing is configured."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Event:
    """What has happened. A class that derives from it is a frozen dataclass of its fields.

    Attributes:
        name: What it is called; a class that others share their fields with has none.
        level: At which it is logged.
        counts_as: What of a run's totals it adds to.
        kinds: Every class that has a name.
    """

    name: ClassVar[str]
    level: ClassVar[str]
    counts_as: ClassVar[str | None]
    kinds: ClassVar[list[type[Event]]] = []
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __init_subclass__(
        cls, *, name: str = "", level: str = "info", counts_as: str | None = None
    ) -> None:
        dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)  # these take time to make
        cls.name, cls.level, cls.counts_as = name, level, counts_as
        if name:
            Event.kinds.append(cls)

    def fields(self) -> dict[str, object]:
        """Return what is written down: plain values, without those that have their default."""
        said = ((one, getattr(self, one.name)) for one in fields(self))
        return {one.name: _plain(value) for one, value in said if value != one.default}


def _plain(value: object) -> object:
    """Return a value as it is written down: seconds rounded, money and moments as text."""
    match value:
        case float():
            return round(value, 6)
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat()
        case tuple():
            return list(cast("tuple[object, ...]", value))
        case _:
            return value


_in_force: ContextVar[Callable[[Event], None] | None] = ContextVar("trace", default=None)


@contextmanager
def listening(listener: Callable[[Event], None]) -> Generator[None]:
    """Have events that happen inside the block heard, in the task in which they happen.

    A listener that raises is called no more, and nothing else comes of it: what is reported may be
    that money is held, and no picture is lost, or in doubt, because somebody could not note it
    down. A run that is started inside another one has its own listener.
    """
    is_muted = False

    def hear(happened: Event) -> None:
        nonlocal is_muted
        if is_muted:
            return
        try:
            listener(happened)
        except Exception as error:  # noqa: BLE001 - see above
            is_muted = True
            problem = type(error).__name__
            _LOG.error("no more events of this run: %s was raised at %s", problem, happened.name)

    token = _in_force.set(hear)
    try:
        yield
    finally:
        _in_force.reset(token)


def event(happened: Event) -> None:
    """Report what has happened."""
    hear = _in_force.get()
    if hear is not None:
        hear(happened)
