"""One trace of what a run does, and its listeners.

What happens is reported here once: a moment with :func:`event`, which is sent an object of a class
of its own; what has a beginning and an end with :func:`span`, by name. The listeners are a property
of the run and not of each function it goes through: a listener is put in force around the run, as
its interrupt is, and names what it is to be called for. What logs the contract's events
(``domain/events``) is the first, ``engine/contract_events``. A span without a listener costs a look
into a dictionary.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import Field, dataclass, fields
from datetime import datetime
from decimal import Decimal
from time import perf_counter
from types import TracebackType
from typing import Any, ClassVar, Final, Protocol, Self, cast, dataclass_transform

_LOG: Final = logging.getLogger(__name__)
"""Python's own, for what cannot be told to the listener it is about; nothing is configured."""

SPANS: Final = ("stage", "claim", "attempt", "receive", "ingest", "settle", "publish")
"""What a run reports as spans: itself, and what it does for a scene.

Each of a scene has its ``attempt_id`` at the end, but for a ``claim`` that held nothing; all but
``receive`` and ``ingest``, which lie within ``attempt``, have its ``scene_id``.
"""


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


class Listener(Protocol):
    """Is called in the task in which something happens.

    One that raises is called no more, and nothing else comes of it: what is reported may be that
    money is held, and no picture is lost, or in doubt, because somebody could not note it down.
    """

    @property
    def names(self) -> Collection[str]:
        """Name the events and the spans to be called for."""
        ...

    def handle(self, name: str, fields: Mapping[str, object], /) -> None:
        """Handle an event; a span is two of them, ``NAME.started`` and ``NAME.finished``.

        The second has the fields of the first, those noted since, ``took_s``, and where there is
        one an ``outcome``: the one noted, or the name of the exception that ended the span.
        """
        ...


class _Ear:
    """A listener in force, until it raises."""

    __slots__ = ("_is_muted", "listener")

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self._is_muted = False

    def hear(self, name: str, fields: Mapping[str, object]) -> None:
        """Have it handled, unless it has raised before."""
        if self._is_muted:
            return
        try:
            self.listener.handle(name, fields)
        except Exception as error:  # noqa: BLE001 - see Listener
            self._is_muted = True
            kind, problem = type(self.listener).__name__, type(error).__name__
            _LOG.error("the listener %s is muted: it raised %s at %s", kind, problem, name)


class Span:
    """What has a beginning and an end; entered once."""

    __slots__ = ("_began_s", "_ears", "_fields", "_name")

    def __init__(self, name: str, fields: dict[str, object], ears: tuple[_Ear, ...]) -> None:
        self._name, self._fields, self._ears = name, fields, ears

    def note(self, **fields: object) -> None:
        """Add fields to its end."""
        self._fields.update(fields)

    def __enter__(self) -> Self:
        """Report the beginning."""
        self._report("started")
        self._began_s = perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Report the end."""
        self.note(took_s=perf_counter() - self._began_s)
        if kind is not None:
            self.note(outcome=kind.__name__)
        self._report("finished")

    def _report(self, what: str) -> None:
        fields = dict(self._fields)
        for ear in self._ears:
            ear.hear(f"{self._name}.{what}", fields)


class _Unheard(Span):
    """The span without a listener: one for all, since it keeps nothing."""

    __slots__ = ()

    def __init__(self) -> None: ...

    def note(self, **fields: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


_UNHEARD: Final = _Unheard()
_in_force: ContextVar[Mapping[str, tuple[_Ear, ...]]] = ContextVar("trace")


@contextmanager
def listening(*listeners: Listener) -> Generator[None]:
    """Put listeners in force inside the block, beside those that are.

    There is one of a kind: a run that is started inside another one has its own events.
    """
    by_name = dict(_in_force.get({}))
    for listener in listeners:
        ear, kind = _Ear(listener), type(listener)
        for name in listener.names:
            others = (one for one in by_name.get(name, ()) if type(one.listener) is not kind)
            by_name[name] = (*others, ear)
    token = _in_force.set(by_name)
    try:
        yield
    finally:
        _in_force.reset(token)


def event(happened: Event) -> None:
    """Report a moment."""
    ears = _in_force.get({}).get(happened.name, ())
    said = happened.fields() if ears else {}
    for ear in ears:
        ear.hear(happened.name, said)


def span(name: str, /, **fields: object) -> Span:
    """Return the span to enter around what has a beginning and an end."""
    ears = _in_force.get({}).get(name)
    return _UNHEARD if ears is None else Span(name, fields, ears)
