"""The words of a request at a provider, of one or of a batch, and what goes before a batch.

``drive`` has the way that all go. What a provider with a queue answers is a job: it is durable in
the ledger before it is asked for the first time; from then on nothing about it is unknown, whoever
dies. Of a batch the file is handed over before, for nothing::

    write ── upload ── (all lines are held) ── create ──┬── accepted ── ask ── ended
                                                        │                       │
    resume: its answer lies in the spool ───────────────┘        results ── resume_line

Each step is one call, begins with what lies on the disk, and may be done again but for ``create``,
the one that is paid for. What follows from one step to the next, and what is written to the ledger
of its lines, is not known here. All files of a batch lie in ``spool/<token>/``::

    lines.jsonl    what is uploaded; it goes once that is done
    answer, …      the answer to the create, as any answer in the spool
    done-status    the answer that has ended the batch
    results-…      its result files
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import cast

import pybase64

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import (
    BatchEnded,
    BatchLine,
    BatchMaking,
    BatchPolled,
    BatchTerms,
    CreateStep,
    Upload,
    Uploaded,
    UploadedAs,
    key_of,
)
from stage3_plugin.domain.exchange import Asked, Fetch, Reply
from stage3_plugin.domain.job import TOKEN_DIGITS, Accepted, BeingMade
from stage3_plugin.domain.money import FREE
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import ProviderBroken, StorageFailed
from stage3_plugin.files.new_file import NewFile, remove
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.policy.batching import Load
from stage3_plugin.policy.refusal import refused_for
from stage3_plugin.providers.base import BatchLane, Next, Polled, Provider
from stage3_plugin.purchase.asking import Asking, NotAsked, storage_behind
from stage3_plugin.purchase.drive import (
    Drive,
    Ended,
    Heard,
    being_made,
    sendable,
    slept,
    unsendable,
)
from stage3_plugin.purchase.ingest import Ingest
from stage3_plugin.purchase.maker import Jobs, shielded
from stage3_plugin.purchase.result_files import ResultFiles
from stage3_plugin.storage.spool import batch_files
from stage3_plugin.transport.bodies import Content, body_of
from stage3_plugin.transport.picture_hosts import PictureHosts

MOST_TRIES = 3
"""Of handing a file over."""
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
"""Who asks for more is come back to by who has called: nothing is held meanwhile."""
_MOST_STEPS = 5
_PIECE_BYTES = 64 * 1024
_AGAIN = {VerdictKind.NOT_SENT, VerdictKind.BUSY, VerdictKind.RATE_LIMITED}

_LONGEST_KEY = key_of("0" * TOKEN_DIGITS, 10**9 - 1)
_LONGEST_NAME = "f" * 128
"""Stands for the name of an uploaded picture while a line is measured."""


class Conversation(Drive):
    """Speaks with the provider of one endpoint of one request after the other.

    Args:
        provider: Says the steps.
        asking: Has who sends, and the folders for answers.
        hosts: Where pictures may be fetched from.
        flat_usd: The settings' price per picture.
        model: What a line of a batch has its price by.
    """

    def __init__(
        self,
        provider: Provider,
        asking: Asking,
        hosts: PictureHosts,
        *,
        flat_usd: Decimal | None = None,
        model: str = "",
    ) -> None:
        ingest = Ingest(asking, hosts, lasts_s=provider.profile.pictures_last_s)
        super().__init__(provider, provider, asking, ingest, flat_usd)
        self._model = model

    async def begin(self, attempt_id: str, request: PictureRequest, jobs: Jobs) -> AttemptResult:
        """Buy one picture; see :meth:`~.drive.Drive.buy`.

        Holding the money before it and settling after it are the run's. What was paid for must be
        stored and reported, so it is shielded from end to end; only the waiting for an answer is
        cut short, by the interrupt in force.
        """
        send = partial(self.provider.begin, request)
        result = await shielded(partial(self.buy, attempt_id, send, jobs))
        return replace(result, verdict=refused_for(result.verdict, request))

    async def ask(self, name: str, before: BeingMade) -> Heard:
        """Ask once for an accepted job; what the disk did not take is no word of its provider's."""
        try:
            return await super().ask(name, before)
        except StorageFailed as failure:
            return replace(being_made(BeingMade(job=before.job)), storage=failure)

    @cached_property
    def batching(self) -> Batching | None:
        """Return who takes the steps of batches here; ``None`` where the provider makes none.

        Raises:
            ProviderBroken: What it calls its lane is none.
        """
        lane = self.provider.batch
        return None if lane is None else Batching(lane, self, self._model)

    @property
    def listing(self) -> Listing | None:
        """Return what the provider's listing can prove; ``None`` if there is none to be asked."""
        return self.provider.profile.listing

    def _first(self, reply: Reply) -> Next:
        step, profile = self.provider.next(reply), self.provider.profile
        if isinstance(step, Accepted) and not profile.has_jobs:
            raise ProviderBroken(profile.name, "next", "returned a job, and its profile has none")
        return step

    def _polled(self, reply: Reply, accepted: Accepted, of: Asked) -> Polled:
        return self.provider.polled(reply, accepted, of)

    async def _ended(self, folder: Path, accepted: Accepted, ended: Ended) -> AttemptResult:
        """Go on from the last answer of a job, which lies on the disk, as from any whole answer."""
        answer = ended.answer

        def last(reply: Reply) -> Verdict | Fetch:
            step = self.provider.polled(reply, accepted, answer.of)
            if not isinstance(step, Verdict | Fetch):
                raise ProviderBroken(
                    self.provider.profile.name, "polled", "does not end any more what it has ended"
                )
            return step

        return await self.after_the_answer(folder, last, lies_in=answer.folder, age_s=answer.age_s)

    async def _may_have_moved(self, _folder: Path, came: Heard) -> bool:
        """Return whether a picture's address did not give it: a newer answer may name another."""
        if not isinstance(came, AttemptResult) or came.picture is not None:
            return False
        return not (came.image_url is None or came.interrupted or came.storage is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The file of a batch lies on the disk whole.

    Attributes:
        size_bytes: Of the file.
        dropped: For each line, in order: wishes of its request that it cannot express.
    """

    size_bytes: int
    dropped: tuple[tuple[str, ...], ...] = ()


class Batching(Drive):
    """Takes the steps of batches at the provider of one endpoint; see the module.

    ``Conversation.batching`` has it, where the provider has a batch lane. No method raises for what
    a provider or a network did.

    Args:
        lane: Says the steps.
        at: Speaks with the provider.
        model: What a line has its price by.

    Attributes:
        files: Has its results come.
    """

    def __init__(self, lane: BatchLane, at: Drive, model: str) -> None:
        super().__init__(lane, at.provider, at.asking, at.ingest, at.flat_usd)
        self._lane = lane
        self._model = model
        self.files = ResultFiles(lane, at.asking)

    @property
    def terms(self) -> BatchTerms:
        """Return what the provider's lane takes and promises."""
        return self._lane.terms

    @property
    def listing(self) -> Listing:
        """Return what the listing of batches can prove."""
        return self.terms.listing

    # Before anything is held ---------------------------------------------------------------------

    def kind(self, request: PictureRequest) -> str | AttemptResult:
        """Return what the lines of one batch have in common; it becomes the job's ``endpoint``.

        Of a request that cannot be made into a line, return that instead: ``never_sent``.
        """
        return sendable(partial(self._lane.kind, request))

    def measured(self, request: PictureRequest) -> Load | AttemptResult:
        """Return how large a request is as a line, or that it cannot be one: ``never_sent``."""

        def load() -> Load:
            names = dict.fromkeys((shown.sent.sha256 for shown in request.shown), _LONGEST_NAME)
            line = self._line(request, _LONGEST_KEY, names)
            return Load(body_of(line.payload, is_line=True).length, tokens=line.tokens)

        return sendable(load)

    async def upload_references(
        self,
        token: str,
        requests: Sequence[PictureRequest],
        names: dict[str, str],
    ) -> AttemptResult | None:
        """Upload the pictures that requests show, where the terms want them as files.

        Trouble on the way is tried again here, a few times; the interrupt cuts it short.

        Args:
            token: Of the batch; answers lie in its folder meanwhile.
            requests: What becomes its lines.
            names: By the SHA-256 of what is sent, what the provider calls it: what is in it is not
                uploaded, what was uploaded is added. The run keeps it.

        Returns:
            ``None`` once all are there; else why not, for free. Nothing was bought.
        """
        if self.terms.references != "file":
            return None
        shown = {one.sent.sha256: one.sent for request in requests for one in request.shown}
        for sha256, sent in shown.items():
            if sha256 in names:
                continue
            content = Content(size_bytes=sent.size_bytes, pieces=partial(_decoded, sent))
            said = await self._handed_over(token, content, "reference", sent.media_type)
            if isinstance(said, AttemptResult):
                return said
            names[sha256] = said.name
        return None

    async def write(
        self,
        token: str,
        requests: Sequence[PictureRequest],
        names: Mapping[str, str],
    ) -> Written | AttemptResult:
        """Write the file of a batch; the key of ``requests[N]`` is ``key_of(token, N)``.

        Args:
            token: New: no batch has it.
            requests: In the order of their lines.
            names: As :meth:`upload_references` has filled it.
        """
        try:
            return await self._pictures.blocking(partial(self._write, token, requests, names))
        except Exception as error:  # noqa: BLE001 - nothing has left, so it is no unknown
            return unsendable(error)

    def _write(
        self,
        token: str,
        requests: Sequence[PictureRequest],
        names: Mapping[str, str],
    ) -> Written:
        folder = self._pictures.new_folder(token)
        dropped: list[tuple[str, ...]] = []
        with NewFile(folder / batch_files.LINES) as file:
            for number, request in enumerate(requests):
                line = self._line(request, key_of(token, number), names)
                for piece in body_of(line.payload, is_line=True):
                    file.write(bytes(piece))
                dropped.append(line.dropped)
        return Written(size_bytes=file.size_bytes, dropped=tuple(dropped))

    def _line(self, request: PictureRequest, key: str, names: Mapping[str, str]) -> BatchLine:
        return self._lane.line(request, key, names if self.terms.references == "file" else {})

    async def upload(self, token: str, written: Written) -> Uploaded | AttemptResult:
        """Hand the file of a batch over. Trouble is tried again here, a few times; it is free.

        Once it is there it is removed here: it may have gigabytes, and nobody reads it again.
        """
        lines = self._folder(token) / batch_files.LINES
        content = Content(size_bytes=written.size_bytes, pieces=partial(_read, lines))
        said = await self._handed_over(token, content, "lines", "application/jsonl")
        if isinstance(said, Uploaded):
            await self._pictures.blocking(partial(remove, lines))
        return said

    async def _handed_over(
        self, token: str, content: Content, of: UploadedAs, media_type: str
    ) -> Uploaded | AttemptResult:
        """Hand a file over step by step, and again from the beginning where that fails."""
        ask = partial(self._tried, token, content, of, media_type)
        tried = 0
        while True:
            said = await self.asking.by_key(ask, _is_of_the_key)
            if isinstance(said, Uploaded):
                return said
            tried += 1
            wait_s = _wait_s(said, tried)
            if wait_s is None:
                return said
            if not await slept(wait_s):
                return replace(said, interrupted=True)

    async def _tried(
        self, token: str, content: Content, of: UploadedAs, media_type: str
    ) -> Uploaded | AttemptResult:
        """Take one step after the other, from the first."""
        folder = self._folder(token)
        try:
            step = self._lane.upload(content.size_bytes, of, media_type)
            for _ in range(_MOST_STEPS):
                if not isinstance(step, Upload):
                    break
                async with self.asking.answer(folder, step.url, (step, content)) as answer:
                    step = await self.asking.judged(
                        answer, lambda reply: self._lane.uploaded(reply, content.size_bytes, of)
                    )
        except NotAsked as problem:
            return _not_handed_over(problem)
        except Exception as error:  # noqa: BLE001 - nothing is bought by an upload
            return unsendable(storage_behind(error, folder) or error)
        if isinstance(step, Uploaded):
            return step
        if isinstance(step, Upload):
            message = "handing a file over does not come to an end; nothing was bought"
            step = Verdict(kind=VerdictKind.UNREADABLE, message=message, should_retry=False)
        verdict = self.asking.masked.record(replace(step, may_be_billed=False))
        return AttemptResult(verdict=verdict, cost=FREE)

    # The one paid request ------------------------------------------------------------------------

    async def create(self, token: str, input_file: str, kind: str, jobs: Jobs) -> AttemptResult:
        """Begin the batch: the one request that is paid for. All of its lines are held before.

        Returns:
            ``making`` once it is accepted and durable; else what is true of every line:
            ``NOT_SENT`` (nothing left: void), a verdict that is not ``may_be_billed`` (refused),
            or one that is (unknown). ``stays_open`` where a whole answer lies in the spool and
            only the disk kept us from reading it, or its name from being written down.
        """
        return await self.buy(token, partial(self._lane.create, input_file, token, kind), jobs)

    def _first(self, reply: Reply) -> CreateStep:
        return self._lane.created(reply)

    # The batch -----------------------------------------------------------------------------------

    def _polled(self, reply: Reply, accepted: Accepted, _of: Asked) -> BatchPolled:
        step = self._lane.polled(reply, accepted)
        if isinstance(step, BatchEnded) and _lags(step):
            return BatchMaking(lines=step.lines, message="its results are not there yet")
        return step

    async def _ended(self, _folder: Path, _accepted: Accepted, ended: Ended) -> BatchEnded:
        return cast("BatchEnded", ended.says)  # as `_polled` has it: nothing else ends a batch

    async def _may_have_moved(self, folder: Path, came: Heard) -> bool:
        """Return whether its files may lie at another address by now."""
        return isinstance(came, BatchEnded) and not await self.files.are_here(folder, came)

    async def resume_line(self, attempt_id: str) -> AttemptResult:
        """Go on from the line in ``spool/<attempt_id>/`` as ``resume`` does.

        The step is the lane's, and the cost the lane's share.
        """

        def said(reply: Reply) -> Verdict | Fetch:
            return self._lane.said(reply).step

        share = partial(self._lane.share, self._model)
        return await self.after_the_answer(self._folder(attempt_id), said, share=share)


def _lags(ended: BatchEnded) -> bool:
    """Return whether a batch that has ended has no file of what was made, and nothing says why."""
    made = 0 if ended.lines is None else ended.lines.done
    return not ended.files and made > 0 and ended.lacking == "never_ran"


def _is_of_the_key(said: Uploaded | AttemptResult) -> bool:
    return isinstance(said, AttemptResult) and said.verdict.kind is VerdictKind.BAD_CREDENTIALS


def _wait_s(said: AttemptResult, tried: int) -> float | None:
    """Return the wait before a file is handed over once more; ``None`` if it is not."""
    verdict = said.verdict
    is_passing = verdict.kind in _AGAIN and verdict.should_retry is not False
    if tried >= MOST_TRIES or not is_passing or verdict.stops_run:
        return None
    if said.interrupted or said.storage is not None:
        return None
    wait_s = max(_FIRST_WAIT_S * 2 ** (tried - 1), verdict.hint_s or 0.0)
    return wait_s if wait_s <= _LONGEST_WAIT_S else None


def _not_handed_over(unasked: NotAsked) -> AttemptResult:
    exchange = unasked.exchange
    verdict = Verdict(
        kind=VerdictKind.NOT_SENT,
        message=f"a file could not be handed over: {exchange.problem}; nothing was bought",
        should_retry=False if unasked.is_for_good else None,
        stops_run=exchange.stops_run,
    )
    return AttemptResult(verdict=verdict, cost=FREE, interrupted=exchange.interrupted)


def _decoded(sent: SentPicture) -> Iterator[bytes]:
    text = sent.base64()
    for start in range(0, len(text), _PIECE_BYTES):  # in whole groups of four
        yield pybase64.b64decode(text[start : start + _PIECE_BYTES], validate=True)


def _read(path: Path) -> Iterator[bytes]:
    with on_disk(path, reading=True), path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
