"""Takes the steps of a batch, one at a time: the file, its upload, the create, polls and results.

::

    write ── upload ── (all lines are held) ── create ──┬── accepted ── poll ── ended
                                                        │                        │
    resume_create: its answer lies in the spool ────────┘        results ── read ── resume_line

Each step is one call, begins with what lies on the disk, and may be done again but for ``create``,
the one that is paid for. What follows from one to the next, and what is written to the ledger in
between, is not known here. All files of a batch lie in ``spool/<token>/``:

::

    lines.jsonl        what is uploaded
    answer, …          the answer to the create, as any answer in the spool
    done-status/       the answer that has ended the batch
    results-…          a result file that came whole; results-….part-… one that is coming in
    line-…/            a line of a result file, spooled as an answer of its own, until it is claimed
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchEnded, BatchTerms, Uploaded
from stage3_plugin.domain.exchange import Lost
from stage3_plugin.domain.job import Accepted, BeingMade
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.transport.bodies import Base64Of, no_pictures

if TYPE_CHECKING:
    from stage3_plugin.attempt.finding import Sought
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
    """

    path: Path
    is_whole: bool


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
    """

    files: tuple[ResultFile, ...] = ()
    problem: str = ""
    again_s: float | None = None
    interrupted: bool = False
    stops_run: bool = False
    storage: StorageFailed | None = None

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
    """

    key: str
    folder: Path
    has_picture: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLines:
    """What the result files hold, all in all.

    Attributes:
        lines: How many lines were handed on: one for each key.
        repeated: Further lines with the key of another; one with a picture goes before one without.
        odd: Lines that do not say whose they are, or that nobody here understands. Where there is
            one, a line that seems to be lacking may be it, and has to be taken for unknown.
    """

    lines: int = 0
    repeated: int = 0
    odd: int = 0


class Batching:
    """Takes the steps of batches at the provider of one endpoint; see the module.

    ``Conversation.batching`` has it, where the provider has a batch lane. No method raises for what
    a provider or a network did.
    """

    @property
    def terms(self) -> BatchTerms:
        """Return what the provider's lane takes and promises."""
        raise NotImplementedError

    @property
    def account(self) -> str:
        """Return a hash of the key that is in use, as ``jobs`` have it."""
        raise NotImplementedError

    @property
    def listing(self) -> Listing:
        """Return what the listing of batches can prove."""
        return self.terms.listing

    # Before anything is held ---------------------------------------------------------------------

    def kind(self, request: PictureRequest) -> str | AttemptResult:
        """Return what the lines of one batch have in common; it becomes the job's ``endpoint``.

        Of a request that cannot be made into a line, return that instead: ``never_sent``.
        """
        raise NotImplementedError

    def measured(
        self, request: PictureRequest, *, base64_of: Base64Of = no_pictures
    ) -> Measured | AttemptResult:
        """Return how large a request is as a line, or that it cannot be one: ``never_sent``."""
        raise NotImplementedError

    async def upload_references(
        self,
        token: str,
        requests: Sequence[PictureRequest],
        names: dict[str, str],
        *,
        base64_of: Base64Of = no_pictures,
    ) -> AttemptResult | None:
        """Upload the pictures that requests show, where the terms want them as files.

        Trouble on the way is tried again here, a few times; the interrupt cuts it short.

        Args:
            token: Of the batch; answers lie in its folder meanwhile.
            requests: What becomes its lines.
            names: By the SHA-256 of what is sent, what the provider calls it: what is in it is not
                uploaded, what was uploaded is added. The run keeps it.
            base64_of: Has the pictures.

        Returns:
            ``None`` once all are there; else why not, for free. Nothing was bought.
        """
        raise NotImplementedError

    async def write(
        self,
        token: str,
        requests: Sequence[PictureRequest],
        names: Mapping[str, str],
        *,
        base64_of: Base64Of = no_pictures,
    ) -> Written | AttemptResult:
        """Write the file of a batch; the key of ``requests[N]`` is ``key_of(token, N)``.

        Args:
            token: New: no batch has it.
            requests: In the order of their lines.
            names: As :meth:`upload_references` has filled it.
            base64_of: Has the pictures that lines hold themselves.
        """
        raise NotImplementedError

    async def upload(self, token: str) -> Uploaded | AttemptResult:
        """Hand the file of a batch over. Trouble is tried again here, a few times; it is free."""
        raise NotImplementedError

    # The one paid request ------------------------------------------------------------------------

    async def create(
        self,
        token: str,
        input_file: str,
        kind: str,
        *,
        is_late: Callable[[], bool] = lambda: False,
    ) -> Accepted | AttemptResult:
        """Begin the batch: the one request that is paid for. All of its lines are held before.

        Returns:
            The job, which is not written down yet; else what is true of every line:
            ``NOT_SENT`` (nothing left: void), a verdict that is not ``may_be_billed`` (refused),
            or one that is (unknown). ``stays_open`` where a whole answer lies in the spool and
            only the disk kept us from reading it.
        """
        raise NotImplementedError

    async def resume_create(self, token: str) -> Accepted | AttemptResult:
        """Go on from the whole answer to a create in ``spool/<token>/``, as :meth:`create` does."""
        raise NotImplementedError

    # The batch -----------------------------------------------------------------------------------

    async def poll(self, token: str, before: BeingMade) -> BeingMade | BatchEnded | AttemptResult:
        """Ask once how far a batch is; what has ended it is kept, and found without asking again.

        Returns:
            How far it is; or that it has ended; or, where nobody can be asked any more, what is
            true of every line that is not final: ``UNKNOWN``.
        """
        raise NotImplementedError

    async def results(self, token: str, ended: BatchEnded) -> Results:
        """Have the result files come, each once until it is whole, as a stream to the disk.

        Where an address does not give its file and what ended the batch is not new, the batch is
        to be polled again: :meth:`poll` does so by itself.
        """
        raise NotImplementedError

    async def read(
        self, token: str, results: Results, take: Callable[[ReadLine], Awaitable[None]]
    ) -> ReadLines:
        """Read result files line by line with flat memory, and hand on one line for each key.

        Those with a picture come as they stand in the files, those without after all of them.

        Args:
            token: Of the batch.
            results: Its files.
            take: Claims a line, or leaves it; what it raises is passed on.

        Raises:
            StorageFailed: The disk did not take a line, or did not give one.
        """
        raise NotImplementedError

    async def claim(self, line: ReadLine, attempt_id: str) -> None:
        """Make a line the answer of its purchase: from now on it lies in ``spool/<attempt_id>/``.

        A whole answer that is there already stays, unless only this one has a picture.

        Raises:
            StorageFailed: The disk did not let us.
        """
        raise NotImplementedError

    async def resume_line(self, attempt_id: str, *, age_s: float = 0.0) -> AttemptResult:
        """Go on from the line in ``spool/<attempt_id>/`` as ``Conversation.resume`` does.

        The step is the lane's, and the cost the lane's share.
        """
        raise NotImplementedError

    async def find(self, token: str, lost: Lost) -> Sought:
        """Ask the listing of batches for one whose create was lost, by its label.

        Raises:
            StorageFailed: The disk did not take a page.
        """
        raise NotImplementedError
