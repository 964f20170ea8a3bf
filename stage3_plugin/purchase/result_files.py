"""Has the result files of a batch come to the disk, and takes them apart into lines.

Both with flat memory, whatever a file has: a file flows into the disk as it comes, and a line into
a folder as it is read. What lacks in files that are whole says something; what lacks in a cut one
says nothing. Apart from the rest of a batch because it knows no purchase: whose a line is, and
whether it is still wanted, is found by who takes it.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

import anyio

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchEnded, LineSaid, line_of
from stage3_plugin.domain.exchange import Fetch, Unclear
from stage3_plugin.domain.job import Job
from stage3_plugin.domain.money import FREE, UNKNOWN
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import SpoolRefused, StorageFailed
from stage3_plugin.files.new_file import remove
from stage3_plugin.policy.polling import UNHEARD_S
from stage3_plugin.policy.waiting import batch_wait_s
from stage3_plugin.providers.base import BatchLane
from stage3_plugin.purchase.asking import Asking
from stage3_plugin.purchase.ingest import FileSink
from stage3_plugin.runtime import interrupt
from stage3_plugin.storage.inflating import inflate_file
from stage3_plugin.storage.spool import batch_files, polls
from stage3_plugin.storage.spool.covering import cover
from stage3_plugin.storage.spool.receipt import is_complete
from stage3_plugin.storage.spool.result_file import PassedBy, SpooledLine, lines_in
from stage3_plugin.transport.sinks import Ignored

if TYPE_CHECKING:
    from stage3_plugin.transport.exchange import Exchange  # imports httpx, which drawing needs not

MOST_ANEW = 3
"""Times that whole files are asked for anew which have fewer lines than their provider counts."""
_OK = 200
_BAD_KEY = frozenset({401, 403})
_MORE_LINES = 8
"""Of a result file, beside twice those of its batch, as long as an answer may be: a file without
end is not taken until the disk is full."""


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
        again_s: Seconds after which the rest may be asked for again; ``None`` where nothing is to
            come, or it cannot be asked for with the settings of this run.
        interrupted: It was cut short by us.
        stops_run: It would be the same for every other batch, such as a key that is not taken.
        storage: The disk did not take a file.
        is_over: Nobody can be asked for the rest any more.
        is_of_the_key: A file was not given for the key.
    """

    files: tuple[ResultFile, ...] = ()
    problem: str = ""
    again_s: float | None = None
    interrupted: bool = False
    stops_run: bool = False
    storage: StorageFailed | None = None
    is_over: bool = False
    is_of_the_key: bool = False

    def weight(self) -> tuple[bool, ...]:
        """Return what says which of two is the worse."""
        return (self.storage is not None, self.interrupted, self.stops_run, bool(self.problem))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """A line of a result file, spooled as an answer of its own.

    Attributes:
        key: What it calls itself; ``domain.batch.line_of`` says whose it is.
        folder: Where it lies; removed when the next one is read, unless claimed.
        has_picture: It has pictures, or the addresses of some.
    """

    key: str
    folder: Path
    has_picture: bool


_How: TypeAlias = Literal["whole", "unframed", "cut"]
_Standing: TypeAlias = Literal["whole", "in doubt", "lacking", "not here"]
"""What is here says all; something that nobody knows; less than the provider counts; it is not all
here."""
_MORE_COMES = frozenset({"lacking", "not here"})
"""Then a line without a picture is not believed yet: another one of its key may have it."""


@dataclass(frozen=True, slots=True, eq=False)
class ResultFiles:
    """The result files of batches at one provider.

    Args:
        lane: Says what a line is.
        asking: Asks for files.
    """

    lane: BatchLane
    asking: Asking

    async def are_here(self, folder: Path, ended: BatchEnded) -> bool:
        """Return whether all files of a batch are here whole.

        Raises:
            StorageFailed: The disk does not say.
        """
        wholes = [batch_files.whole_of(folder, url) for url in ended.files]
        return await self.asking.pictures.blocking(lambda: all(map(batch_files.is_there, wholes)))

    async def here(
        self, folder: Path, ended: BatchEnded, job: Job, *, lines: int | None = None
    ) -> Results:
        """Have the files come that are not here, each as a stream to the disk, until it is whole.

        Of a file without end no more is taken than twice what ``lines`` lines can have. Where an
        address does not give its file and what ended the batch is not new, the batch is to be asked
        for again, which does so by itself.
        """
        files: list[ResultFile] = []
        worst = Results()
        most_bytes = None if lines is None else self.asking.most_bytes * (2 * lines + _MORE_LINES)
        for url in ended.files:
            came = await self._came(folder, url, most_bytes)
            files += came.files
            worst = max(worst, came, key=Results.weight)
            if came.interrupted or came.storage is not None:
                break
        return replace(worst, files=tuple(files), is_over=self._is_over(job, worst))

    def _is_over(self, job: Job, worst: Results) -> bool:
        """Return whether the time is over for which the provider has promised to have the files."""
        if job.expires_at is None or worst.interrupted or worst.storage is not None:
            return False
        left_s = (job.expires_at - self.asking.now()).total_seconds()
        is_unaskable = worst.problem and worst.again_s is None
        return left_s <= (-UNHEARD_S if is_unaskable else 0.0)

    async def _came(self, folder: Path, url: str, most_bytes: int | None) -> Results:
        """Have one file come, unless it is here; once more where another key can be had."""
        whole = batch_files.whole_of(folder, url)
        try:
            if await self.asking.pictures.blocking(partial(batch_files.is_there, whole)):
                return Results(files=(ResultFile(path=whole, is_whole=True),))
            download = partial(self._downloaded, url, whole, most_bytes)
            return await self.asking.by_key(download, lambda came: came.is_of_the_key)
        except StorageFailed as failure:
            return Results(problem=str(failure), storage=failure)

    async def _downloaded(self, url: str, whole: Path, most_bytes: int | None) -> Results:
        """Get a file once, into one of its own; what is worth nothing is removed."""
        part = await self.asking.pictures.blocking(partial(batch_files.new_part, whole))
        came = Results()
        try:
            with closing(_Arriving(part, most_bytes)) as arriving:
                exchange = await self.asking.client.download(
                    self.asking.masked.restored(url), arriving.opened, hosts=self.asking.hosts
                )
            if exchange.storage is not None:
                raise exchange.storage
            is_whole = False
            if arriving.status == _OK:
                inflate = partial(inflate_file, part, arriving.codings, most_bytes=most_bytes)
                is_whole = await self.asking.pictures.blocking(inflate) and exchange.complete
                await self.asking.pictures.blocking(partial(cover, part, self.asking.masked))
            if is_whole:
                await self.asking.pictures.blocking(partial(batch_files.keep, part, whole))
                came = Results(files=(ResultFile(path=whole, is_whole=True),))
            else:
                came = _not_whole(exchange, arriving.status)
                if arriving.status == _OK and not exchange.interrupted:
                    file = ResultFile(path=part, is_whole=False, is_unframed=arriving.is_unframed)
                    came = replace(came, files=(file,))
        finally:
            if not came.files:
                with anyio.CancelScope(shield=True):
                    await self.asking.pictures.blocking(partial(remove, part))
        return came

    # Line by line --------------------------------------------------------------------------------

    def reading(self, folder: Path, ended: BatchEnded, results: Results) -> Reading:
        """Return what reads the files of a batch once, line by line.

        Args:
            folder: Of the batch.
            ended: What has ended it.
            results: Its files.
        """
        return Reading(self, folder, ended, results)

    async def claim(self, line: ReadLine, to: Path) -> None:
        """Make a line the answer of its purchase: from now on it lies in that one's folder.

        A whole answer that is there already stays, unless only this one has a picture.

        Raises:
            StorageFailed: The disk did not let us.
        """
        blocking = self.asking.pictures.blocking
        if await blocking(partial(batch_files.move_line, line.folder, to)):
            return
        is_there = await blocking(partial(is_complete, to))
        if is_there and not (line.has_picture and await self._lacks_picture(to)):
            return

        def take_its_place() -> None:  # in one go: what was there lies in the line meanwhile
            batch_files.put_aside(line.folder, to)
            batch_files.move_line(line.folder, to)

        await blocking(take_its_place)

    async def _lacks_picture(self, folder: Path) -> bool:
        """Return whether the line that lies in a folder has no picture."""
        said = await self.asking.understood(folder, self.lane.said)
        return isinstance(said, Unclear) or not _has_picture(said)


def _not_whole(exchange: Exchange, status: int | None) -> Results:
    """Return why a file is not here whole."""
    if exchange.interrupted:
        return Results(problem="its results did not come: interrupted", interrupted=True)
    is_unaskable = exchange.permanent and not exchange.sent
    if status is None:
        problem = f"its results did not come: {exchange.problem}"
    elif status == _OK:
        problem = f"its results came in part: {exchange.problem}"
    else:
        problem = f"its results did not come: status {status}"
    return Results(
        problem=problem,
        again_s=None if is_unaskable else batch_wait_s(1),
        stops_run=exchange.stops_run or status in _BAD_KEY,
        is_of_the_key=status in _BAD_KEY,
    )


@dataclass(eq=False, repr=False)
class Reading:
    """One walk through the result files of a batch, with flat memory: one line for each key.

    Those with a picture come as they stand in the files. Those without wait on the disk until all
    were read, and come only if nothing more is to come: a file may have a key twice. Of two that
    say different things the one is taken by which more may have been billed.

    Attributes:
        passed: Short lines that do not name the batch, which were only counted: some have come
            before.
        lacking: Once all has come, what is true of every line that did not: that it never ran, or
            that it may have been billed. ``None`` where that shows later, since a file is not here
            whole, or where the interrupt has cut it short: the files stay, for a later run.
    """

    of: ResultFiles
    folder: Path
    ended: BatchEnded
    results: Results
    passed: int = 0
    lacking: AttemptResult | None = None

    def __post_init__(self) -> None:
        self._blocking = self.of.asking.pictures.blocking
        self._into = self.folder / f"lines-{secrets.token_hex(8)}"
        self._later: dict[str, ReadLine] = {}
        self._weights: dict[str, int] = {}
        self._ran: set[int] = set()
        self._good = self._odd = 0

    async def lines(self) -> AsyncGenerator[ReadLine]:
        """Yield the lines.

        Raises:
            StorageFailed: The disk did not take a line, or did not give one.
        """
        ended, results, how, passed = self.ended, self.results, list[_How](), 0
        make = self.of.asking.pictures.spool.state_dir.make
        try:
            await self._blocking(partial(make, self._into, below=self.folder))
            for file in results.files:
                good, odd = self._good, self._odd
                lines = lines_in(
                    file.path,
                    is_whole=file.is_whole,
                    into=self._into,
                    most_bytes=self.of.asking.most_bytes,
                    masked=self.of.asking.masked,
                    token=self.folder.name,
                )
                try:
                    while (one := await self._blocking(partial(next, lines, None))) is not None:
                        if interrupt.current().triggered:
                            return
                        if isinstance(one, PassedBy):
                            passed += one.lines
                            continue
                        line = await self._weighed(one)
                        if line is not None:
                            yield line
                            await self._remove(line.folder)
                finally:
                    # Where asyncio itself cancelled us, a thread is in it yet, and ends it.
                    with suppress(ValueError):
                        lines.close()
                how.append(await self._read_to_its_end(file, good, odd))
            standing = await self._standing(how)
            is_over = results.is_over
            for line in self._later.values() if is_over or standing not in _MORE_COMES else ():
                yield line
                await self._remove(line.folder)
            self.passed, self.lacking = passed, _lacking(ended, standing, is_over=is_over)
        finally:
            with anyio.CancelScope(shield=True):
                await self._blocking(partial(shutil.rmtree, self._into, ignore_errors=True))

    async def _read_to_its_end(self, file: ResultFile, good: int, odd: int) -> _How:
        """Return whether what lacks in a file says something.

        It does not where the file was cut, or is none of a batch at all, such as a page of a proxy:
        such a one is removed, and comes again.
        """
        is_strange = self._good == good and self._odd > odd
        if is_strange:
            self._odd = odd
        if is_strange or not file.is_whole:
            await self._blocking(partial(remove, file.path))
        if is_strange:
            return "cut"
        return "whole" if file.is_whole else "unframed" if file.is_unframed else "cut"

    async def _standing(self, how: Sequence[_How]) -> _Standing:
        """Return what the files say that were read; those with too little in them come again."""
        standing = _standing(self.ended, how, ran=len(self._ran), odd=self._odd)
        if standing != "lacking" or self.results.is_over:
            return standing
        files = [file.path for file in self.results.files]
        asked = await self._blocking(partial(batch_files.ask_anew, self.folder, files))
        return "in doubt" if asked > MOST_ANEW else standing

    async def _weighed(self, line: SpooledLine) -> ReadLine | None:
        """Return a line that has a picture; one that has none waits, and a lighter one goes."""
        said: LineSaid | Unclear | None = None
        if not line.problem:
            said = await self.of.asking.understood(line.folder, self.of.lane.said)
        if not isinstance(said, LineSaid) or said.key is None:
            self._odd += 1
            await self._remove(line.folder)
            return None
        self._good += 1
        key, weight = said.key, _weight(said)
        number = line_of(self.folder.name, key)
        if number is not None and not said.never_ran:
            self._ran.add(number)
        if weight <= self._weights.get(key, -1):
            await self._remove(line.folder)
            return None
        self._weights[key] = weight
        lighter = self._later.pop(key, None)
        if lighter is not None:
            await self._remove(lighter.folder)
        read = ReadLine(key=key, folder=line.folder, has_picture=_has_picture(said))
        if read.has_picture:
            return read
        self._later[key] = read
        return None

    async def _remove(self, folder: Path) -> None:
        await self._blocking(partial(polls.remove, folder))


def _has_picture(said: LineSaid) -> bool:
    return isinstance(said.step, Fetch) or said.step.kind is VerdictKind.PICTURES


def _weight(said: LineSaid) -> int:
    """Return how much a line says of money.

    It never ran; it is unbilled; nobody knows; it ran, and may have been billed; it has a picture.
    """
    if _has_picture(said):
        return 4
    if said.never_ran:
        return 0
    verdict = said.step.verdict if isinstance(said.step, Fetch) else said.step
    if not verdict.may_be_billed:
        return 1
    return 2 if verdict.kind is VerdictKind.UNKNOWN else 3


def _standing(ended: BatchEnded, how: Sequence[_How], *, ran: int, odd: int) -> _Standing:
    """Return what the files of a batch say of a line that none of them has.

    Args:
        ended: What has ended the batch.
        how: Of each file that is here: whether it is whole, or without a word of how long it is.
        ran: How many lines they have of those that ran.
        odd: How many they have that do not say whose they are.
    """
    lines = ended.lines
    counted = 0 if lines is None else lines.done + lines.failed
    if lines is not None and ended.how == "completed":  # all of them ran, though counts may lag
        counted = max(counted, lines.total - lines.expired)
    if "cut" in how or len(how) < len(set(ended.files)):
        return "not here"
    none_ran = lines is not None and 0 < lines.total == lines.expired
    if "unframed" in how and not ((counted or none_ran) and counted <= ran):
        return "not here"
    if counted > ran:
        return "lacking"
    is_in_doubt = ended.lacking == "unknown" or (odd > 0 and not counted)
    return "in doubt" if is_in_doubt else "whole"


def _lacking(ended: BatchEnded, standing: _Standing, *, is_over: bool) -> AttemptResult | None:
    """Return what is true of a line that no file has; ``None`` where that shows later.

    Args:
        ended: What has ended the batch.
        standing: What its files say.
        is_over: Nobody can be asked for the rest any more.
    """
    if standing in {"not here", "lacking"} and not is_over:
        return None
    if standing != "whole":
        message = (
            f"the batch has ended ({ended.how}), and nothing is said of this line; it may have "
            "been billed"
        )
        verdict = Verdict(kind=VerdictKind.UNKNOWN, message=message, may_be_billed=True)
        return AttemptResult(verdict=verdict, cost=UNKNOWN)
    if ended.verdict is not None:
        return AttemptResult(verdict=replace(ended.verdict, may_be_billed=False), cost=FREE)
    reason = f": {ended.message}" if ended.message else ""
    message = f"the batch has ended ({ended.how}) before this line was begun{reason}"
    return AttemptResult(verdict=Verdict(kind=VerdictKind.BUSY, message=message), cost=FREE)


class _Arriving(FileSink):
    """A result file on its way into a file of ours; of any other status it takes nothing."""

    status: int | None = None
    is_unframed = False

    def opened(self, status: int, headers: Mapping[str, str]) -> Self | Ignored:
        """Take a body, if it is of a file."""
        self.status = status
        self.is_unframed = not {"content-length", "transfer-encoding"} & set(headers)
        return super().opened(status, headers) if status == _OK else Ignored("result file")

    def too_long(self) -> SpoolRefused:
        return SpoolRefused(f"the answer is longer than {self._most_bytes} bytes")

    def finish(self, how: str) -> bool:
        self.close()
        return how == "whole"  # where nothing says how long a file is, it may have been cut
