"""What becomes of a batch and of each of its lines: values that a test lines up.

A batch's plan is a behaviour: it answers the create. What its lines come to is billed by the plan,
whether anybody asks for the results or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from stage3_plugin.testing.behaviours import Behaviour, Gate
from stage3_plugin.testing.queues import Loss, answer_begun
from stage3_plugin.testing.wire import Exchange, Framing

LineEnds: TypeAlias = Literal["made", "refused", "failed", "empty", "said"]
"""A picture; the vendor's policy; its fault; a success without a picture; a document of one's own.

A line that never ran has no plan: that is said by its batch.
"""
BatchEnds: TypeAlias = Literal["completed", "expired", "cancelled", "failed"]
Order: TypeAlias = Literal["asked", "reversed", "shuffled"]
CutBy: TypeAlias = Literal["reset", "close", "end"]
"""A reset, or an early end of what was promised; or it is passed off as the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What becomes of a line that runs.

    Attributes:
        ends: How.
        billed: Whether it is billed; ``None``: if it has a picture, or is a success without one.
        heavy: Its picture weighs 3 bytes per pixel.
        size_px: Of its picture, if not what was asked for.
        picture: The picture's bytes, instead.
        document: The body of what is ``said``.
        status: Its status.
    """

    ends: LineEnds = "made"
    billed: bool | None = None
    heavy: bool = False
    size_px: tuple[int, int] | None = None
    picture: bytes | None = None
    document: object = None
    status: int = 200

    @property
    def is_billed(self) -> bool:
        """Whether money is taken for it."""
        return self.ends in {"made", "empty"} if self.billed is None else self.billed

    @property
    def is_good(self) -> bool:
        """Whether the vendor counts it as done, not as failed."""
        return self.ends in {"made", "empty"} or (self.ends == "said" and self.status < 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batched:
    """Begin a batch: how its create is answered, and what becomes of it.

    Attributes:
        polls: How many looks find it unfinished.
        takes_s: Seconds before which it is not finished either.
        until: Nor before this gate is opened.
        delay_s: The create is answered so late.
        gate: It waits for this first; the batch is begun before.
        lost: The create's answer does not come.
        ends: How it ends.
        done: So many of its first lines ran by then; ``None``: all that its end allows, which is
            none of a batch that failed.
        why: The code of a batch that failed.
        word: What its last state is called, instead of the vendor's word.
        between: What the first looks at it meet instead of its state.
        lag: So many looks after its end come before its files.
        order: Of its lines in the result file.
        again: So many of its lines are in the file twice; the second is an error.
        foreign: So many lines of its file are nobody's.
        tells_expired: Where it expired, its file of errors names the lines that never ran, if the
            vendor has such a file.
        no_file: How the lack of a file is said, where that can be chosen.
        kept: Looks after which the vendor does not know it any more.
        unlisted: How many listings come too early to have it.
        framing: What says where a result file ends.
    """

    polls: int = 1
    takes_s: float = 0.0
    until: Gate | None = None
    delay_s: float = 0.0
    gate: Gate | None = None
    lost: Loss | None = None
    ends: BatchEnds = "completed"
    done: int | None = None
    why: str = "token_limit_exceeded"
    word: str | None = None
    between: Sequence[Behaviour] = ()
    lag: int = 0
    order: Order = "shuffled"
    again: int = 0
    foreign: int = 0
    tells_expired: bool = True
    no_file: Literal[""] | None = ""
    kept: int | None = None
    unlisted: int = 0
    framing: Framing = "length"

    async def answer(self, exchange: Exchange) -> None:
        await answer_begun(exchange, self, lost=self.lost, delay_s=self.delay_s, gate=self.gate)


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFile:
    """Send only the beginning of a result file.

    Attributes:
        at: So many bytes of it; below zero, so many are missing.
        by: How it stops.
    """

    at: int
    by: CutBy = "reset"

    async def answer(self, exchange: Exchange) -> None:
        if exchange.content is None:
            raise LookupError("only a file of results can be cut: line this up for 'results'")
        whole = exchange.content.size_bytes
        left = kept = max(0, min(whole, self.at if self.at >= 0 else whole + self.at))
        promised = kept if self.by == "end" else whole
        media = {"Content-Type": "application/octet-stream", "Content-Length": str(promised)}
        await exchange.head(200, media)
        for piece in exchange.content.pieces():
            await exchange.send(piece[:left])
            left -= min(left, len(piece))
            if not left:
                break
        if self.by == "end":
            return
        await asyncio.sleep(0.02)  # let it arrive: RST discards what is on its way
        if self.by == "reset":
            exchange.reset()
        else:
            exchange.close()
