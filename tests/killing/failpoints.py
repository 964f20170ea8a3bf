"""Every step of a purchase at which the process may die, by name, and how it is made to die there.

The product knows nothing of this: a named callable of it is wrapped in the process that is to be
killed, and at its n-th call the process sends itself ``SIGKILL``. A name that is not there any
more is an error, so that no point is passed by unnoticed.
"""

from __future__ import annotations

import inspect
import itertools
import os
import signal
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Literal, TypeAlias

import anyio

from tests.killing.steps import Step, place_of

Edge: TypeAlias = Literal["before", "after"]
Leaves: TypeAlias = Literal["nothing", "unsent", "no answer", "whole answer", "job", "paid"]
"""What the purchase that died there has left: no row, a request that never left, one that may have
been billed, an answer that lies complete in the spool, a job to be asked for, or a settled row."""
Act: TypeAlias = Callable[..., Awaitable[None] | None]
"""Takes the arguments of the call it is done before or after; what it returns is awaited."""


def _any(*_arguments: Any, **_named: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Failpoint:
    """One place to die.

    Attributes:
        name: ``step.moment``.
        target: A :class:`~tests.killing.steps.Step`, where it is looked up.
        edge: Before the call, or once it has returned.
        leaves: See :data:`Leaves`.
        among: Only calls with such arguments count.
        of: Only calls count that come after one of this target, by the same thread or not; and
            every call of ``target`` that ``among`` takes uses that up.
        times: At how many of its first calls it is tried.
        stalls: Calls before the one that dies wait for it, so that all of them are caught at the
            same step; for calls of coroutine functions.
    """

    name: str
    target: Step
    edge: Edge
    leaves: Leaves
    among: Callable[..., bool] = _any
    of: Step | None = None
    times: int = 3
    stalls: bool = False


def _is_of_lines(*_: Any, lines: object = None, **__: Any) -> bool:
    return lines is not None


def _is_commit(_database: object, statement: str) -> bool:
    return statement == "COMMIT"


def _is_first_piece(body: Any) -> bool:
    return not body.asked


def _is_written(body: Any) -> bool:
    """Return whether the transport asks for more: what it was given is on its way."""
    return bool(body.asked)


def _has_begun(spool: Any, data: bytes) -> bool:
    """Return whether more came than is written now; how the network parts a body has no say."""
    return bool(spool.received_bytes > len(data))


def _is_the_end(_file: object, data: bytes) -> bool:
    return data.endswith(b"\nend\n")


def _is_an_object(_aside: Path, path: Path) -> bool:
    return "objects" in Path(path).parts


def _is_file(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _is_folder(descriptor: int) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def _is_spooled(path: Any, *, dir_fd: int | None = None) -> bool:
    name = Path(path).name
    return name == "answer" or name.startswith("part-")


def _both(
    step: str, target: Step, before: Leaves, after: Leaves, **more: Any
) -> tuple[Failpoint, Failpoint]:
    return (
        Failpoint(name=f"{step}.before", target=target, edge="before", leaves=before, **more),
        Failpoint(name=f"{step}.after", target=target, edge="after", leaves=after, **more),
    )


def _after(step: str, target: Step, leaves: Leaves, **more: Any) -> Failpoint:
    return Failpoint(name=f"{step}.after", target=target, edge="after", leaves=leaves, **more)


def _before(step: str, target: Step, leaves: Leaves, **more: Any) -> Failpoint:
    return Failpoint(name=f"{step}.before", target=target, edge="before", leaves=leaves, **more)


_OPENING = (
    # Once for the writer, once for the reader; the second time nothing is left to be made.
    *_both("ledger", Step.LEDGER, "nothing", "nothing", times=2),
    _after("schema", Step.SCHEMA, "nothing", times=1),
    _after("owner", Step.OWNER, "nothing", times=1),
)
_HOLDING = (
    _after("hold", Step.HOLD, "nothing"),
    _before("hold commit", Step.STATEMENT, "nothing", among=_is_commit, of=Step.HOLD, times=2),
    _after("hold commit", Step.STATEMENT, "unsent", among=_is_commit, of=Step.HOLD, times=2),
    _after("held", Step.HELD, "unsent"),
)
_SENDING = (
    *_both("folder", Step.NEW_FOLDER, "unsent", "unsent"),
    *_both("noted", Step.LEAVES, "unsent", "no answer"),
    _before("post", Step.POST, "unsent"),
    _before("request", Step.REQUEST, "unsent", among=_is_first_piece),
    _before("request sent", Step.REQUEST, "no answer", among=_is_written),
)
_RECEIVING = (
    *_both("head", Step.HEAD, "no answer", "no answer"),
    _after("first piece", Step.PIECE, "no answer"),
    _before("middle of the body", Step.BODY, "no answer", among=_has_begun),
    _before("finish", Step.FINISH, "no answer"),
    *_both("end", Step.LINE, "no answer", "whole answer", among=_is_the_end),
    _after("finish", Step.FINISH, "whole answer"),
)
_ASKING = (
    _after("accept", Step.ACCEPT, "whole answer"),
    _before("accept commit", Step.STATEMENT, "whole answer", among=_is_commit, of=Step.ACCEPT),
    _after("accept commit", Step.STATEMENT, "job", among=_is_commit, of=Step.ACCEPT),
    *_both("asked", Step.READ, "job", "job"),
    *_both("last answer", Step.LAST, "job", "job"),
)
JOB_POINTS: tuple[Failpoint, ...] = (
    *_ASKING,
    *_both("made fetch", Step.FETCH, "job", "job"),
    _after("made keep", Step.STORED, "job"),
    _before("made commit", Step.STATEMENT, "job", among=_is_commit, of=Step.SETTLE),
    _after("made commit", Step.STATEMENT, "paid", among=_is_commit, of=Step.SETTLE),
    *_both("made tidy", Step.TIDY, "paid", "paid"),
)
"""Where a provider has a queue, from the answer to its submit on."""
BATCH_POINTS: tuple[Failpoint, ...] = (
    *_both("owner noted", Step.NOTED, "nothing", "nothing", times=1),
    *_both("written", Step.WRITTEN, "nothing", "nothing", times=1),
    *_both("uploaded", Step.UPLOADED, "nothing", "nothing", times=1),
    _before("lines held", Step.HELD, "nothing", times=1),
    _before("lines commit", Step.STATEMENT, "nothing", among=_is_commit, of=Step.HOLD, times=1),
    _after("lines commit", Step.STATEMENT, "unsent", among=_is_commit, of=Step.HOLD, times=1),
    _after("lines held", Step.HELD, "unsent", times=1),
    *_both("create", Step.CREATE, "unsent", "no answer", times=1),
    _before("create sent", Step.REQUEST, "no answer", among=_is_written, of=Step.HOLD, times=1),
    _after("accept batch", Step.ACCEPT, "no answer", times=1),
    _before("batch commit", Step.STATEMENT, "no answer", among=_is_commit, of=Step.ACCEPT, times=1),
    _after("batch commit", Step.STATEMENT, "job", among=_is_commit, of=Step.ACCEPT, times=1),
    *_both("poll", Step.POLL, "job", "job"),
    *_both("end kept", Step.LAST, "job", "job", times=1),
    *_both("results", Step.RESULTS, "job", "job", times=1),
    *_both("results kept", Step.KEPT, "job", "job", times=1),
    *_both("claim", Step.CLAIM, "job", "job"),
    *_both("resumed", Step.RESUMED, "job", "job"),
    _after("line kept", Step.STORED, "job"),
    _before("line commit", Step.STATEMENT, "job", among=_is_commit, of=Step.SETTLE),
    _after("line commit", Step.STATEMENT, "paid", among=_is_commit, of=Step.SETTLE),
    *_both("line tidy", Step.TIDY, "paid", "paid"),
    *_both("lines settled", Step.SETTLE, "job", "job", among=_is_of_lines, times=1),
    _after("lines settled commit", Step.SETTLE_LINES, "nothing", times=1),
)
"""Of a batch, from its file to its last line; then as of any answer."""
_TAKING_IN = (
    *_both("reading", Step.READING, "whole answer", "whole answer"),
    _after("inspection", Step.INSPECTION, "whole answer"),
    *_both("link", Step.LINK, "whole answer", "whole answer"),
    *_both("sync", Step.SYNC, "whole answer", "whole answer"),
    *_both("rename", Step.RENAME, "whole answer", "whole answer", among=_is_an_object),
    *_both("folder sync", Step.SYNC_FOLDER, "whole answer", "whole answer"),
    _after("keep", Step.STORED, "whole answer"),
)
_SETTLING = (
    _after("settle", Step.SETTLE, "whole answer"),
    _before("settle commit", Step.STATEMENT, "whole answer", among=_is_commit, of=Step.SETTLE),
    _after("settle commit", Step.STATEMENT, "paid", among=_is_commit, of=Step.SETTLE),
    _after("settled", Step.SETTLED, "paid"),
)
_PUBLISHING = (
    *_both("publish", Step.PUBLISH, "paid", "paid"),
    *_both("copy", Step.COPY, "paid", "paid"),
    *_both("tidy", Step.TIDY, "paid", "paid"),
    _after("half tidy", Step.UNLINK, "paid", among=_is_spooled),
    _after("outcome", Step.OUTCOME, "paid"),
)
FAILPOINTS: tuple[Failpoint, ...] = (
    *_OPENING,
    *_HOLDING,
    *_SENDING,
    *_RECEIVING,
    *_TAKING_IN,
    *_SETTLING,
    *_PUBLISHING,
)
"""In the order of a purchase."""
WITH_A_QUEUE = (*_OPENING, *_HOLDING, *_SENDING, *_RECEIVING, *_ASKING, *FAILPOINTS)
"""Likewise, of one at a provider with a queue, as far as what is named for the first time goes."""

FETCH_POINTS: tuple[Failpoint, ...] = (
    *_both("fetch", Step.FETCH, "whole answer", "whole answer", times=2),
    _after("fetched piece", Step.FETCHED_PIECE, "whole answer", times=2),
)
"""Where the answer is an address, and the picture is fetched from there."""
SYNC_POINTS: tuple[Failpoint, ...] = (
    _after("file on disk", Step.FSYNC, "whole answer", among=_is_file),
    _after("name on disk", Step.FSYNC, "whole answer", among=_is_folder),
)
"""For their order alone: a killed process loses nothing that was not synced."""
WITH_ALL_IN_HAND = Failpoint(
    name="all in hand",
    target=Step.INGEST,
    edge="before",
    leaves="whole answer",
    stalls=True,
)
"""Leaves as many complete answers as calls were waited for."""
RECOVERY_POINTS: tuple[Failpoint, ...] = (
    _after("found dead", Step.LIVES, "whole answer", times=1),
    _before("recovery", Step.RECOVER, "whole answer", times=1),
    _after("recovery", Step.RECOVER, "nothing"),
    *_both("adoption", Step.ADOPT, "whole answer", "paid", times=1),
    _after("adopted link", Step.LINK, "whole answer", times=1),
    _after("adopted rename", Step.RENAME, "whole answer", among=_is_an_object, times=1),
    _after("adopted keep", Step.STORED, "whole answer", times=1),
    _before(
        "adopted commit", Step.STATEMENT, "whole answer", among=_is_commit, of=Step.SETTLE, times=2
    ),
    _after("adopted commit", Step.STATEMENT, "nothing", among=_is_commit, of=Step.SETTLE, times=2),
    _before("clearing", Step.CLEAR, "paid", times=1),
    _after("cleared", Step.TIDY, "paid", times=1),
)
"""Where the next run may die while it looks after the one that has died before."""


ALL_POINTS = (
    *FAILPOINTS,
    *JOB_POINTS,
    *BATCH_POINTS,
    *FETCH_POINTS,
    *SYNC_POINTS,
    WITH_ALL_IN_HAND,
    *RECOVERY_POINTS,
)


def point_named(name: str) -> Failpoint:
    """Return a failpoint.

    Raises:
        LookupError: There is none of this name.
    """
    for point in ALL_POINTS:
        if point.name == name:
            return point
    raise LookupError(name)


def die(*_arguments: Any, **_named: Any) -> None:
    """Kill this process as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def plant(point: Failpoint, nth: int) -> None:
    """Let this process die at the ``nth`` call, counted from 1."""
    do_at(point, nth, die)


def trace(name: str, path: Path) -> None:
    """Write a line into a file at every call of a point, durable for what outlives us."""

    def write(*_arguments: Any, **_named: Any) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")

    do_at_each(point_named(name), write)


def do_at(point: Failpoint, nth: int, act: Act) -> None:
    """Do something at the ``nth`` call of a point, and only then."""
    counted = itertools.count(1)

    def reached(*arguments: Any, **named: Any) -> Awaitable[None] | None:
        number = next(counted)
        if number == nth:
            return act(*arguments, **named)
        return anyio.sleep_forever() if number < nth and point.stalls else None

    do_at_each(point, reached)


def do_at_each(point: Failpoint, act: Act) -> None:
    """Do something at every call of a point."""
    noted: list[None] = []

    def reached(*arguments: Any, **named: Any) -> Awaitable[None] | None:
        if not point.among(*arguments, **named):
            return None
        if point.of is not None:
            if not noted:
                return None
            noted.clear()
        return act(*arguments, **named)

    if point.of is not None:
        wrap(point.of, "after", lambda *_, **__: noted.append(None))
    wrap(point.target, point.edge, reached)


def wrap(target: str, edge: Edge, act: Act) -> None:
    """Do something before or after every call of a named callable of this process.

    Raises:
        AttributeError: There is no such callable any more; the table needs to learn its new name.
    """
    place = place_of(target)
    place.put(_wrapped(place.held, edge, act))


async def _whatever(done: Awaitable[None] | None) -> None:
    if done is not None:
        await done


def _wrapped(original: Callable[..., Any], edge: Edge, act: Act) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(original):

        @wraps(original)
        async def later(*arguments: Any, **named: Any) -> Any:
            if edge == "before":
                await _whatever(act(*arguments, **named))
            result = await original(*arguments, **named)
            if edge == "after":
                await _whatever(act(*arguments, **named))
            return result

        return later

    @wraps(original)
    def now(*arguments: Any, **named: Any) -> Any:
        if edge == "before":
            act(*arguments, **named)
        result = original(*arguments, **named)
        if edge == "after":
            act(*arguments, **named)
        return result

    return now
