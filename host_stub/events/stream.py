"""The host's private event pipeline: what a plugin logs is checked, written down and passed on.

The plugin gets a structlog logger whose processors are all here; structlog's own configuration,
which belongs to the whole process, is never touched, and neither is the standard library's
``logging``. (So the loggers ``httpx`` and ``httpcore`` stay as silent as Python leaves them. They
write headers and keys at level DEBUG: a program that turns them on sends them past the redaction
below, which only sees what comes through this pipeline.)

Each event goes its way at once, in the thread that logged it: made plain, addresses shortened,
stamped, redacted, checked, written to the journal, shown by the progress display, passed to
observers one by one. A logging call never raises because of what it was given.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NoReturn, Protocol, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from host_stub.contract import Event, RunInfo
from host_stub.errors import in_one_line
from host_stub.events.journal import EventJournal, json_line
from host_stub.events.schema import PREFIXES, EventRefused, checked
from host_stub.text.addresses import in_value
from host_stub.text.plain_values import plain
from host_stub.text.redaction import Redactor

MOST_REJECTED = 100
"""Kinds of invalid events that are told of; further ones are only counted."""
_NAMES = frozenset({"scene_id"})
"""Fields with a user's own name for something: an address in one is that name, and is kept."""


_STAMPS = frozenset({"event", "level", "timestamp", "run_id", "plugin"})


class Observer(Protocol):
    """What receives events and runs; both calls may raise anything."""

    @property
    def name(self) -> str: ...
    @property
    def on_event(self) -> Callable[[Event], None] | None: ...
    @property
    def on_run(self) -> Callable[[RunInfo], None] | None: ...
    @property
    def secrets(self) -> Iterable[str]: ...


class EventStream:
    """Takes the events of one run.

    Args:
        run_id: Stamped on every event.
        plugin: The image plugin's name in the config; stamped likewise.
        redactor: Takes secrets out, last.
        now: The wall clock, aware.
        journal: Where events are written, if anywhere.
        observers: Called in this order.
        listener: The host's own, called before the observers.

    Attributes:
        rejected_count: How many invalid events there were.
        muted: Names of observers that raised and are not called any more.
    """

    def __init__(
        self,
        *,
        run_id: str,
        plugin: str,
        redactor: Redactor,
        now: Callable[[], datetime],
        journal: EventJournal | None = None,
        observers: Sequence[Observer] = (),
        listener: Callable[[Event], None] | None = None,
    ) -> None:
        self.rejected_count = 0
        self.muted: list[str] = []
        self._run_id = run_id
        self._plugin = plugin
        self._redactor = redactor
        self._now = now
        self._journal = journal
        self._observers = list(observers)
        self._listener = listener
        self._reported: set[tuple[str, tuple[str, ...]]] = set()
        self._turn = threading.RLock()  # a plugin may log from a worker thread

    @property
    def journal_failure(self) -> OSError | None:
        """Why the journal could not be written to its end, if so."""
        return None if self._journal is None else self._journal.failure

    def logger(self) -> FilteringBoundLogger:
        """Make the logger for the plugin."""
        return logger_to(self._take)

    def host(self, event: str, *, level: str = "info", **fields: object) -> None:
        """Write an event of the host's own to the journal."""
        with self._turn:
            self._write(self._stamped({"event": event, "level": level, **fields}))

    def announce(self, run: RunInfo) -> None:
        """Report to the observers that the run begins or is over."""
        with self._turn:
            for observer in list(self._observers):
                if observer.on_run is not None:
                    self._notify(observer, observer.on_run, run)

    def _take(self, fields: EventDict) -> None:
        with self._turn:
            record = self._stamped(fields)
            if str(record["event"]).startswith(PREFIXES):
                self._pass_on(record)
            else:
                self._write(record)

    def _stamped(self, fields: EventDict) -> dict[str, Any]:
        """Make an event plain, and shorten the addresses in it."""
        record = stamped(fields, now=self._now(), run_id=self._run_id, plugin=self._plugin)
        own = record.keys() - _STAMPS - _NAMES
        return record | {name: in_value(record[name]) for name in record if name in own}

    def _pass_on(self, record: dict[str, Any]) -> None:
        """Pass a valid event to journal, listener and observers; reject an invalid one."""
        event, line = _if_valid(record)
        if event is None or self._redactor.may_be_in(line):
            # Rare: it is invalid, or may hold a secret. What follows sees it without secrets.
            record = self._redactor.value(record)
            try:
                event = checked(record)
            except EventRefused as refusal:
                self._reject(record, refusal.problems)
                return
            line = json_line(event)
        self._append(line)
        frozen: Event = MappingProxyType(event)
        if self._listener is not None:
            self._listener(frozen)
        for observer in list(self._observers):
            if observer.on_event is not None:
                self._notify(observer, observer.on_event, frozen)

    def _reject(self, record: dict[str, Any], problems: tuple[str, ...]) -> None:
        self.rejected_count += 1
        kind = (record["event"], problems)
        if kind not in self._reported and len(self._reported) < MOST_REJECTED:
            self._reported.add(kind)
            self.host(
                "host.event_rejected", level="warning", problems=list(problems), rejected=record
            )

    def _notify(self, observer: Observer, call: Callable[..., object], what: object) -> None:
        try:
            call(what)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an observer harms no other
            self._observers.remove(observer)
            self.muted.append(observer.name)
            self.host(
                "host.observer_muted",
                level="warning",
                observer=observer.name,
                cause=in_one_line(error),
                traceback=self._redactor.traceback(error),
            )

    def _write(self, record: dict[str, Any]) -> None:
        """Write a line that is no event of the contract's to the journal."""
        if self._journal is not None:
            line = json_line(record)
            if self._redactor.may_be_in(line):
                line = json_line(self._redactor.value(record))
            self._append(line)

    def _append(self, line: bytes) -> None:
        if self._journal is not None:
            self._journal.write(line)


def _if_valid(record: dict[str, Any]) -> tuple[dict[str, Any] | None, bytes]:
    """Return an event and its line in the journal, or ``None`` and nothing."""
    try:
        event = checked(record)
    except EventRefused:
        return None, b""
    return event, json_line(event)


def logger_to(take: Callable[[EventDict], None]) -> FilteringBoundLogger:
    """Make a logger for a plugin; every level passes, and what is logged goes there alone."""

    def end(_logger: object, _method: str, fields: EventDict) -> NoReturn:
        take(fields)
        raise structlog.DropEvent  # structlog's chain ends: it has arrived where it should

    log = structlog.wrap_logger(
        structlog.ReturnLogger(),  # structlog's default one wants a stdout, which may be closed
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,  # without the values of local variables
            end,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return cast("FilteringBoundLogger", log.bind())


def stamped(fields: EventDict, *, now: datetime, run_id: str, plugin: str) -> dict[str, Any]:
    """Make what was logged plain; the host's stamps win over a plugin's fields."""
    record: dict[str, Any] = {
        "event": str(plain(fields.pop("event", ""))),
        "level": fields.pop("level", "info"),
        "timestamp": now.astimezone(UTC).isoformat(timespec="microseconds"),
        "run_id": run_id,
        "plugin": plugin,
    }
    for name, value in fields.items():
        if name not in record:
            record[name] = plain(value)
    return record
