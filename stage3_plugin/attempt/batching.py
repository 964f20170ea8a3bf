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
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from stage3_plugin.attempt.asking import Asking, NotAsked
from stage3_plugin.attempt.batched import (
    Measured,
    ReadLine,
    ReadLines,
    Results,
    Written,
)
from stage3_plugin.attempt.finding import Finding, moment_of
from stage3_plugin.attempt.handing_over import HandingOver
from stage3_plugin.attempt.ingest import not_taken_in, storage_behind
from stage3_plugin.attempt.maker import shielded
from stage3_plugin.attempt.polling import OTHER_KEY, lost, tell_of_strange
from stage3_plugin.attempt.result_files import ResultFiles
from stage3_plugin.attempt.sending import (
    open_spool,
    unsendable,
    without_answer,
    without_storage,
)
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
from stage3_plugin.domain.exchange import Gone, Lost, Poll, Sought, Unclear, Unsaid
from stage3_plugin.domain.job import TOKEN_DIGITS, Accepted, BeingMade, Job
from stage3_plugin.domain.money import FREE, UNKNOWN
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.errors import ProviderBroken, SpoolRefused, StorageFailed
from stage3_plugin.files.descriptors import is_lack
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.policy.polling import Follows, GiveUp, Wait, follows, without_asking
from stage3_plugin.policy.waiting import STRANGE_TIMES, batch_wait_s
from stage3_plugin.providers.base import BatchLane
from stage3_plugin.runtime import interrupt
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool import batch_files, polls
from stage3_plugin.storage.spool.receipt import Receipt
from stage3_plugin.storage.spool.writing import Caps
from stage3_plugin.transport.bodies import Base64Of, line_of_json, no_pictures

if TYPE_CHECKING:
    from datetime import datetime

    from stage3_plugin.transport.client import Client  # imports httpx, which drawing needs not

TakeIn: TypeAlias = Callable[[Path, float], Awaitable[AttemptResult]]
"""Goes on from a line in a folder, which has lain there for so many seconds."""

_LONGEST_KEY = key_of("0" * TOKEN_DIGITS, 10**9 - 1)
_LONGEST_NAME = "f" * 128
"""Stands for the name of an uploaded picture while a line is measured."""
_NotEnded: TypeAlias = BatchMaking | Unsaid | Gone | Unclear | NotAsked


class Batching:
    """Takes the steps of batches at the provider of one endpoint; see the module.

    ``Conversation.batching`` has it, where the provider has a batch lane. No method raises for what
    a provider or a network did.

    Args:
        lane: Says the steps.
        client: Sends the create.
        asking: Asks and hands over what costs nothing.
        pictures: Has the folders.
        take_in: Takes in a line that lies in a folder.
        caps: How much of an answer, and of a line, is taken.
        masked: Covers secrets in what comes back.
        now: The wall clock, aware.
    """

    def __init__(
        self,
        lane: BatchLane,
        client: Client,
        asking: Asking,
        pictures: Pictures,
        *,
        take_in: TakeIn,
        caps: Caps,
        masked: Masked,
        now: Callable[[], datetime],
    ) -> None:
        self._lane = lane
        self._client = client
        self._asking = asking
        self._pictures = pictures
        self._take_in = take_in
        self._caps = caps
        self._masked = masked
        self._now = now
        self._finding = Finding(lane, asking, now=now)
        self._handing_over = HandingOver(lane, asking, pictures, masked=masked)
        self._files = ResultFiles(lane, asking, pictures, caps=caps, masked=masked, now=now)

    @property
    def terms(self) -> BatchTerms:
        """Return what the provider's lane takes and promises."""
        return self._lane.terms

    @property
    def account(self) -> str:
        """Return a hash of whose account is asked, as ``jobs`` have it."""
        return self._client.account

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
            size_bytes = line_of_json(line.payload, base64_of).length
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
        for sha256, sent in shown.items():
            if sha256 in names:
                continue
            said = await self._handing_over.picture(self._folder(token), sent, base64_of)
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
                for piece in line_of_json(line.payload, base64_of):
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
        said = await self._handing_over.lines(folder)
        if isinstance(said, Uploaded):
            lines = folder / batch_files.LINES
            await self._pictures.blocking(partial(batch_files.remove, lines))
        return said

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
        return await shielded(partial(self._create, token, input_file, kind, is_late))

    async def _create(
        self, token: str, input_file: str, kind: str, is_late: Callable[[], bool]
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
            opened = partial(
                open_spool, folder, receipt=receipt, caps=self._caps, masked=self._masked
            )
            exchange = await self._client.post(send, opened, is_late=is_late)
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
            verdict=self._masked.record(result.verdict),
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
        kept = await self._kept(folder, accepted)
        if kept is not None and (not kept.is_old or await self._files.are_here(folder, kept.ended)):
            return kept.ended
        said = await self._said(folder, before.job, accepted)
        if isinstance(said, BatchEnded):
            return said
        if kept is not None:  # it has ended, whatever is said now
            return kept.ended
        if interrupt.current().triggered:  # an answer that was cut short says nothing
            return BeingMade(job=before.job, asked=before.asked, lines=before.lines)
        tell_of_strange(said, before)
        return _after(said, before, now=self._now())

    async def _said(self, folder: Path, job: Job, accepted: Accepted) -> BatchEnded | _NotEnded:
        """Ask once, and once more where another key can be had; what ends the batch is kept."""
        number = self._asking.number
        said = await self._asked(folder, accepted)
        is_of_the_key = isinstance(said, Unsaid) and said.stops_run
        if is_of_the_key and await self._asking.has_another_key_since(number):
            said = await self._asked(folder, accepted)
        if isinstance(said, Gone) and job.new.account != self._asking.account:
            return Unsaid(message=f"{said.message}; {OTHER_KEY}")
        return said

    async def _asked(self, folder: Path, accepted: Accepted) -> BatchEnded | _NotEnded:
        try:
            async with self._asking.answer(folder, accepted.poll_url) as answer:
                step = await self._polled(answer, accepted)
                if isinstance(step, BatchEnded):
                    keep = partial(polls.keep, answer, "status", how="done")
                    await self._pictures.blocking(keep)
                elif isinstance(step, Unclear):
                    keep = partial(polls.keep, answer, "status", how="unclear")
                    await self._pictures.blocking(keep)
                return step
        except NotAsked as problem:
            return problem
        except StorageFailed as failure:
            if is_lack(failure.cause):  # of descriptors: others will free some
                return Unsaid(message=str(failure))
            raise

    async def _kept(self, folder: Path, accepted: Accepted) -> _Kept | None:
        """Return what has ended the batch, if that lies on the disk."""
        for answer in await self._pictures.blocking(partial(polls.kept, folder)):
            step = await self._polled(answer.folder, accepted)
            if isinstance(step, BatchEnded):
                return _Kept(step, is_old=answer.is_old)
        return None

    async def _polled(self, answer: Path, accepted: Accepted) -> BatchPolled:
        """Ask the provider what an answer means; one that breaks over it does not understand it."""
        try:
            step, said_at = await self._asking.judged(
                answer, lambda reply: (self._lane.polled(reply, accepted), moment_of(reply))
            )
        except Exception as error:
            storage = storage_behind(error, answer)
            if storage is not None:
                raise storage from error
            known = isinstance(error, ProviderBroken | SpoolRefused)
            what = str(error) if known else type(error).__name__
            return Unclear(message=f"an answer could not be understood: {what}")
        if isinstance(step, BatchEnded) and _lags(step):
            return BatchMaking(lines=step.lines, message="its results are not there yet")
        return replace(step, said_at=said_at) if isinstance(step, Gone) else step

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
        return await self._finding.sought(self._folder(token), lost)

    def _folder(self, name: str) -> Path:
        return self._pictures.spool.folder_of(name)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What has ended a batch, and lies on the disk."""

    ended: BatchEnded
    is_old: bool


def _lags(ended: BatchEnded) -> bool:
    """Return whether a batch that has ended has no file of what was made, and nothing says why."""
    made = 0 if ended.lines is None else ended.lines.done
    return not ended.files and made > 0 and ended.lacking == "never_ran"


def _after(said: _NotEnded, before: BeingMade, *, now: datetime) -> BeingMade | AttemptResult:
    """Return how a batch stands after an answer that has not ended it."""
    asked = before.asked + 1
    is_for_good = isinstance(said, NotAsked) and said.is_for_good
    step = said.said if isinstance(said, NotAsked) else said
    job = before.job.still_made(now) if isinstance(step, BatchMaking) else before.job
    assert job.accepted is not None, "an accepted batch"
    assert job.expires_at is not None, "an accepted job is kept until some time"
    left_s = (job.expires_at - now).total_seconds()
    if is_for_good:
        following: Follows = without_asking(left_s)
    else:
        as_of_a_job = (
            Poll(url=job.accepted.poll_url, after_s=step.hint_s)
            if isinstance(step, BatchMaking)
            else step
        )
        # No run waits for a batch for minutes, and who stays for it asks on. Nor do two looks call
        # it lost, however far apart: how much time is between them is known by the ledger alone.
        following = follows(as_of_a_job, asked=asked, was_gone=False, strange=0, left_s=left_s)
    if isinstance(following, GiveUp):
        return lost(job, following.why)
    return BeingMade(
        job=job,
        asked=asked,
        problem="" if isinstance(step, BatchMaking) else step.message,
        again_s=_again_s(following, step, asked),
        is_gone=isinstance(step, Gone),
        gone_at=step.said_at if isinstance(step, Gone) else None,
        strange=0 if isinstance(step, BatchMaking) else before.strange + isinstance(step, Unclear),
        stops_run=isinstance(step, Unsaid) and step.stops_run,
        lines=(isinstance(step, BatchMaking) and step.lines) or before.lines,
    )


def _again_s(
    following: Follows, step: BatchMaking | Unsaid | Gone | Unclear, asked: int
) -> float | None:
    """Return the wait before a batch is asked for again: they are made within a day."""
    if not isinstance(following, Wait):
        return None
    if isinstance(step, BatchMaking | Unsaid):
        return batch_wait_s(asked, hint_s=step.hint_s)
    return batch_wait_s(asked) * (STRANGE_TIMES if isinstance(step, Unclear) else 1)
