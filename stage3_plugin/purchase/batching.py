"""Takes the steps of a batch, one at a time: the file, its upload, the create, polls and results.

::

    write ── upload ── (all lines are held) ── create ──┬── accepted ── poll ── ended
                                                        │                        │
    resume_create: its answer lies in the spool ────────┘        results ── read ── resume_line

Each step is one call, begins with what lies on the disk, and may be done again but for ``create``,
the one that is paid for. What follows from one to the next, and what is written to the ledger in
between, is not known here. All files of a batch lie in ``spool/<token>/``:

::

    lines.jsonl    what is uploaded; it goes once that is done
    answer, …      the answer to the create, as any answer in the spool
    done-status    the answer that has ended the batch
    results-…      its result files
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import (
    BatchEnded,
    BatchLine,
    BatchMaking,
    BatchPolled,
    BatchTerms,
    Uploaded,
    key_of,
)
from stage3_plugin.domain.exchange import Gone, Lost, Reply, Sought
from stage3_plugin.domain.job import TOKEN_DIGITS, Accepted, BeingMade, Job
from stage3_plugin.domain.money import FREE, UNKNOWN
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.new_file import NewFile, remove
from stage3_plugin.providers.base import BatchLane
from stage3_plugin.purchase.asking import Asking
from stage3_plugin.purchase.batched import (
    Measured,
    ReadLine,
    ReadLines,
    Results,
    Written,
)
from stage3_plugin.purchase.finding import moment_of, sought
from stage3_plugin.purchase.handing_over import HandingOver
from stage3_plugin.purchase.ingest import not_taken_in
from stage3_plugin.purchase.maker import shielded
from stage3_plugin.purchase.polling import after, is_of_the_key
from stage3_plugin.purchase.result_files import ResultFiles
from stage3_plugin.purchase.sending import (
    unsendable,
    without_answer,
    without_storage,
)
from stage3_plugin.storage.spool import batch_files, polls
from stage3_plugin.storage.spool.receipt import Receipt
from stage3_plugin.transport.bodies import Base64Of, body_of, no_pictures

TakeIn: TypeAlias = Callable[[Path, float], Awaitable[AttemptResult]]
"""Goes on from a line in a folder, which has lain there for so many seconds."""

_LONGEST_KEY = key_of("0" * TOKEN_DIGITS, 10**9 - 1)
_LONGEST_NAME = "f" * 128
"""Stands for the name of an uploaded picture while a line is measured."""


class Batching:
    """Takes the steps of batches at the provider of one endpoint; see the module.

    ``Conversation.batching`` has it, where the provider has a batch lane. No method raises for what
    a provider or a network did.

    Args:
        lane: Says the steps.
        asking: Asks and hands over what costs nothing.
        take_in: Takes in a line that lies in a folder.
    """

    def __init__(self, lane: BatchLane, asking: Asking, *, take_in: TakeIn) -> None:
        self._lane = lane
        self._asking = asking
        self._pictures = asking.pictures
        self._take_in = take_in
        self._files = ResultFiles(lane, asking)

    @property
    def terms(self) -> BatchTerms:
        """Return what the provider's lane takes and promises."""
        return self._lane.terms

    @property
    def account(self) -> str:
        """Return a hash of whose account is asked, as ``jobs`` have it."""
        return self._asking.client.account

    @property
    def listing(self) -> Listing:
        """Return what the listing of batches can prove."""
        return self.terms.listing

    # Before anything is held ---------------------------------------------------------------------

    def kind(self, request: PictureRequest) -> str | AttemptResult:
        """Return what the lines of one batch have in common; it becomes the job's ``endpoint``.

        Of a request that cannot be made into a line, return that instead: ``never_sent``.
        """
        try:
            return self._lane.kind(request)
        except Exception as error:  # noqa: BLE001 - nothing has left, so it is no unknown
            return unsendable(error)

    def measured(
        self, request: PictureRequest, *, base64_of: Base64Of = no_pictures
    ) -> Measured | AttemptResult:
        """Return how large a request is as a line, or that it cannot be one: ``never_sent``."""
        names = dict.fromkeys((shown.sent.sha256 for shown in request.shown), _LONGEST_NAME)
        try:
            line = self._line(request, _LONGEST_KEY, names)
            size_bytes = body_of(line.payload, base64_of, is_line=True).length
        except Exception as error:  # noqa: BLE001 - nothing has left, so it is no unknown
            return unsendable(error)
        return Measured(size_bytes=size_bytes, tokens=line.tokens, dropped=line.dropped)

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
        if self.terms.references != "file":
            return None
        shown = {one.sent.sha256: one.sent for request in requests for one in request.shown}
        handing_over = HandingOver(self._lane, self._asking)
        for sha256, sent in shown.items():
            if sha256 in names:
                continue
            said = await handing_over.picture(self._folder(token), sent, base64_of)
            if isinstance(said, AttemptResult):
                return said
            names[sha256] = said.name
        return None

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
        try:
            work = partial(self._write, token, requests, names, base64_of)
            return await self._pictures.blocking(work)
        except StorageFailed as failure:
            return without_storage(failure)
        except Exception as error:  # noqa: BLE001 - nothing has left, so it is no unknown
            return unsendable(error)

    def _write(
        self,
        token: str,
        requests: Sequence[PictureRequest],
        names: Mapping[str, str],
        base64_of: Base64Of,
    ) -> Written:
        folder = self._pictures.new_folder(token)
        dropped: list[tuple[str, ...]] = []
        with NewFile(folder / batch_files.LINES) as file:
            for number, request in enumerate(requests):
                line = self._line(request, key_of(token, number), names)
                for piece in body_of(line.payload, base64_of, is_line=True):
                    file.write(bytes(piece))
                dropped.append(line.dropped)
        return Written(lines=len(requests), size_bytes=file.size_bytes, dropped=tuple(dropped))

    def _line(self, request: PictureRequest, key: str, names: Mapping[str, str]) -> BatchLine:
        return self._lane.line(request, key, names if self.terms.references == "file" else {})

    async def upload(self, token: str) -> Uploaded | AttemptResult:
        """Hand the file of a batch over. Trouble is tried again here, a few times; it is free.

        Once it is there it is removed here: it may have gigabytes, and nobody reads it again.
        """
        folder = self._folder(token)
        said = await HandingOver(self._lane, self._asking).lines(folder)
        if isinstance(said, Uploaded):
            lines = folder / batch_files.LINES
            await self._pictures.blocking(partial(remove, lines))
        return said

    # The one paid request ------------------------------------------------------------------------

    async def create(
        self,
        token: str,
        input_file: str,
        kind: str,
        *,
        is_late: Callable[[], bool] = lambda: False,
        leave: Callable[[], None] = lambda: None,
    ) -> Accepted | AttemptResult:
        """Begin the batch: the one request that is paid for. All of its lines are held before.

        Returns:
            The job, which is not written down yet; else what is true of every line:
            ``NOT_SENT`` (nothing left: void), a verdict that is not ``may_be_billed`` (refused),
            or one that is (unknown). ``stays_open`` where a whole answer lies in the spool and
            only the disk kept us from reading it.
        """
        return await shielded(partial(self._create, token, input_file, kind, is_late, leave))

    async def _create(
        self,
        token: str,
        input_file: str,
        kind: str,
        is_late: Callable[[], bool],
        leave: Callable[[], None],
    ) -> Accepted | AttemptResult:
        try:
            send = self._lane.create(input_file, token, kind)
        except Exception as error:  # noqa: BLE001 - nothing has left, so it is no unknown
            return unsendable(error)
        try:
            folder = self._pictures.new_folder(token)
            receipt = Receipt(folder)
        except StorageFailed as failure:
            return without_storage(failure)
        try:
            opened = self._asking.into(folder, receipt)
            exchange = await self._asking.client.post(send, opened, is_late=is_late, leave=leave)
        finally:
            with suppress(StorageFailed):  # where no answer came, nothing is in it
                receipt.close()
        if not exchange.complete:
            if exchange.sent:  # what came of it is the only evidence
                await self._pictures.secure(token)
            return without_answer(exchange)
        return await self.resume_create(token)

    async def resume_create(self, token: str) -> Accepted | AttemptResult:
        """Go on from the whole answer to a create in ``spool/<token>/``, as :meth:`create` does."""
        folder = self._folder(token)
        try:
            step = await self._asking.judged(folder, self._lane.created)
        except Exception as error:  # noqa: BLE001 - what strangers' bytes raise is a verdict
            result = not_taken_in(error, folder)
        else:
            if isinstance(step, Accepted):
                return step
            result = AttemptResult(verdict=step, cost=UNKNOWN if step.may_be_billed else FREE)
        if result.leaves_evidence:
            await self._pictures.secure(token)
        return replace(
            result,
            verdict=self._asking.masked.record(result.verdict),
            stays_open=result.storage is not None,
        )

    # The batch -----------------------------------------------------------------------------------

    async def poll(self, token: str, before: BeingMade) -> BeingMade | BatchEnded | AttemptResult:
        """Ask once how far a batch is; what has ended it is kept, and found without asking again.

        It may be called by any run, and any number of times; the interrupt in force cuts it short.

        Returns:
            How far it is; or that it has ended; or, where nobody can be asked any more, what is
            true of every line that is not final: ``UNKNOWN``.

        Raises:
            StorageFailed: The disk did not take an answer, or does not say.
        """
        folder, accepted = self._folder(token), before.job.accepted
        assert accepted is not None, "only an accepted batch is asked for"
        judge = partial(self._polled, accepted)
        kept: BatchEnded | None = None
        for answer in await self._pictures.blocking(partial(polls.kept, folder)):
            step = await self._asking.understood(answer.folder, judge)
            if isinstance(step, BatchEnded):
                if not answer.is_old or await self._files.are_here(folder, step):
                    return step
                kept = step
                break
        ask = partial(self._asking.heard, folder, accepted.poll_url, "status", judge, _is_last)
        said = await self._asking.by_key(ask, is_of_the_key)
        if isinstance(said, BatchEnded):
            return said
        return kept or after(said, before, before.job, self._asking)  # it has ended, whatever now

    def _polled(self, accepted: Accepted, reply: Reply) -> BatchPolled:
        step = self._lane.polled(reply, accepted)
        if isinstance(step, BatchEnded) and _lags(step):
            return BatchMaking(lines=step.lines, message="its results are not there yet")
        return replace(step, said_at=moment_of(reply)) if isinstance(step, Gone) else step

    async def results(
        self, token: str, ended: BatchEnded, job: Job, *, lines: int | None = None
    ) -> Results:
        """Have the result files come, each once until it is whole, as a stream to the disk.

        Of a file without end no more is taken than twice what ``lines`` lines can have.

        Where an address does not give its file and what ended the batch is not new, the batch is
        to be polled again: :meth:`poll` does so by itself.
        """
        return await self._files.here(self._folder(token), ended, job, lines=lines)

    async def read(
        self,
        token: str,
        ended: BatchEnded,
        results: Results,
        take: Callable[[ReadLine], Awaitable[None]],
    ) -> ReadLines:
        """Read result files line by line with flat memory, and hand on one line for each key.

        Those with a picture come as they stand in the files, those without after all of them, and
        only if nothing more is to come.

        Args:
            token: Of the batch.
            ended: What has ended it.
            results: Its files.
            take: Claims a line, or leaves it; what it raises is passed on.

        Raises:
            StorageFailed: The disk did not take a line, or did not give one.
        """
        return await self._files.read(self._folder(token), ended, results, take)

    async def claim(self, line: ReadLine, attempt_id: str) -> None:
        """Make a line the answer of its purchase: from now on it lies in ``spool/<attempt_id>/``.

        A whole answer that is there already stays, unless only this one has a picture.

        Raises:
            StorageFailed: The disk did not let us.
        """
        await self._files.claim(line, self._folder(attempt_id))

    async def resume_line(self, attempt_id: str, *, age_s: float = 0.0) -> AttemptResult:
        """Go on from the line in ``spool/<attempt_id>/`` as ``Conversation.resume`` does.

        The step is the lane's, and the cost the lane's share.
        """
        return await self._take_in(self._folder(attempt_id), age_s)

    async def find(self, token: str, lost: Lost) -> Sought:
        """Ask the listing of batches for one whose create was lost, by its label.

        Raises:
            StorageFailed: The disk did not take a page.
        """
        return await sought(self._lane, self._asking, self._folder(token), lost)

    def _folder(self, name: str) -> Path:
        return self._pictures.spool.folder_of(name)


def _is_last(step: object) -> bool:
    return isinstance(step, BatchEnded)


def _lags(ended: BatchEnded) -> bool:
    """Return whether a batch that has ended has no file of what was made, and nothing says why."""
    made = 0 if ended.lines is None else ended.lines.done
    return not ended.files and made > 0 and ended.lacking == "never_ran"
