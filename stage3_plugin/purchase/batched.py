"""What the steps of a batch come to, as plain values; see :mod:`.batching`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.errors import StorageFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a request is as a line, before anything is written.

    Attributes:
        size_bytes: Of the line with its end, at most.
        tokens: What counts against ``BatchTerms.most_queued_tokens``, at most; 0 if unknown.
        dropped: Wishes that it cannot express.
    """

    size_bytes: int
    tokens: int = 0
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The file of a batch lies on the disk whole.

    Attributes:
        lines: How many.
        size_bytes: Of the file.
        dropped: For each line, in order: wishes of its request that it cannot express.
    """

    lines: int
    size_bytes: int
    dropped: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """A result file on the disk.

    Attributes:
        path: Where.
        is_whole: All of it came. One that was cut has whole lines, and proves nothing of others.
        is_unframed: Nothing says how long it is, so that only its lines can show it to be whole.
    """

    path: Path
    is_whole: bool
    is_unframed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What is here of the result files of a batch that has ended.

    Attributes:
        files: Those that came, also in part.
        problem: Why not all of them are here whole; empty if they are.
        again_s: Seconds after which the rest may be asked for again.
        interrupted: It was cut short by us.
        stops_run: It would be the same for every other batch, such as a key that is not taken.
        storage: The disk did not take a file.
        is_over: Nobody can be asked for the rest any more.
        is_of_the_key: A file was not given for the key.
        is_unaskable: A file cannot be asked for with the settings of this run.
    """

    files: tuple[ResultFile, ...] = ()
    problem: str = ""
    again_s: float | None = None
    interrupted: bool = False
    stops_run: bool = False
    storage: StorageFailed | None = None
    is_over: bool = False
    is_of_the_key: bool = False
    is_unaskable: bool = False

    def weight(self) -> tuple[bool, ...]:
        """Return what says which of two is the worse."""
        return (self.storage is not None, self.interrupted, self.stops_run, bool(self.problem))

    @property
    def are_whole(self) -> bool:
        """Return whether every file is here whole."""
        return not self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """A line of a result file, spooled as an answer of its own.

    Attributes:
        key: What it calls itself; ``domain.batch.line_of`` says whose it is.
        folder: Where it lies; removed when the call that it was handed to returns, unless claimed.
        has_picture: It has pictures, or the addresses of some.
        never_ran: Its provider says that the batch ended before it was begun.
    """

    key: str
    folder: Path
    has_picture: bool
    never_ran: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLines:
    """What the result files hold, all in all.

    Attributes:
        lines: How many lines were handed on: one for each key.
        repeated: Further lines with the key of another; one with a picture goes before one without.
        odd: Lines that do not say whose they are, or that nobody here understands.
        passed: Short lines that do not name the batch, which were only counted: some were handed
            on before.
        lacking: What is true of every line that was not handed on: that it never ran, or that it
            may have been billed. ``None`` where that shows later, since a file is not here whole.
    """

    lines: int = 0
    repeated: int = 0
    odd: int = 0
    passed: int = 0
    lacking: AttemptResult | None = None


class ReadingStopped(Exception):
    """The run ends while result files are read: they stay, and are read by a later one."""
