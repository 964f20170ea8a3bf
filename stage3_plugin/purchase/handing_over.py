"""Hands files over to a provider, step by step, and again from the beginning where that fails.

What is handed over is the file of a batch, or a picture that lines of it show. It costs nothing,
so that nothing has to be kept of it, and trouble on the way is tried again right here. Apart from
the rest of a batch because it knows no job and no purchase.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pybase64

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import Upload, Uploaded, UploadedAs, UploadStep
from stage3_plugin.domain.money import FREE
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.providers.base import BatchLane
from stage3_plugin.purchase.asking import Asking, NotAsked
from stage3_plugin.purchase.ingest import storage_behind
from stage3_plugin.purchase.sending import slept, unsendable, without_storage
from stage3_plugin.storage.spool import batch_files
from stage3_plugin.transport.bodies import Base64Of, Content

MOST_TRIES = 3
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
"""Who asks for more is come back to by who has called: nothing is held meanwhile."""
_MOST_STEPS = 5
_PIECE_BYTES = 64 * 1024
_AGAIN = {VerdictKind.NOT_SENT, VerdictKind.BUSY, VerdictKind.RATE_LIMITED}


@dataclass(frozen=True, slots=True)
class HandingOver:
    """Hands files over to one provider.

    Attributes:
        lane: Says the steps.
        asking: Takes them.
    """

    lane: BatchLane
    asking: Asking

    async def picture(
        self, folder: Path, sent: SentPicture, base64_of: Base64Of
    ) -> Uploaded | AttemptResult:
        """Hand over a picture, decoded piece by piece from what all requests share of it."""
        content = Content(size_bytes=sent.size_bytes, pieces=partial(_decoded, sent, base64_of))
        return await self._handed_over(folder, content, "reference", sent.media_type)

    async def lines(self, folder: Path) -> Uploaded | AttemptResult:
        """Hand over the file of a batch that lies in its folder."""
        path = folder / batch_files.LINES
        try:
            size_bytes = await self.asking.pictures.blocking(partial(_size_bytes, path))
        except StorageFailed as failure:
            return without_storage(failure)
        content = Content(size_bytes=size_bytes, pieces=partial(_read, path))
        return await self._handed_over(folder, content, "lines", "application/jsonl")

    async def _handed_over(
        self, folder: Path, content: Content, of: UploadedAs, media_type: str
    ) -> Uploaded | AttemptResult:
        ask = partial(self._tried, folder, content, of, media_type)
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
        self, folder: Path, content: Content, of: UploadedAs, media_type: str
    ) -> Uploaded | AttemptResult:
        """Take one step after the other, from the first."""
        try:
            step = self.lane.upload(content.size_bytes, of, media_type)
            for _ in range(_MOST_STEPS):
                if not isinstance(step, Upload):
                    break
                step = await self._answered(folder, step, content, of)
        except NotAsked as problem:
            return _not_handed_over(problem)
        except Exception as error:  # noqa: BLE001 - nothing is bought by an upload
            storage = storage_behind(error, folder)
            return unsendable(error) if storage is None else without_storage(storage)
        if isinstance(step, Uploaded):
            return step
        if isinstance(step, Upload):
            message = "handing a file over does not come to an end; nothing was bought"
            step = Verdict(kind=VerdictKind.UNREADABLE, message=message, should_retry=False)
        verdict = self.asking.masked.record(replace(step, may_be_billed=False))
        return AttemptResult(verdict=verdict, cost=FREE)

    async def _answered(
        self, folder: Path, step: Upload, content: Content, of: UploadedAs
    ) -> UploadStep:
        async with self.asking.uploaded(folder, step, content) as answer:
            return await self.asking.judged(
                answer, lambda reply: self.lane.uploaded(reply, content.size_bytes, of)
            )


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


def _not_handed_over(problem: NotAsked) -> AttemptResult:
    verdict = Verdict(
        kind=VerdictKind.NOT_SENT,
        message=f"a file could not be handed over: {problem.problem}; nothing was bought",
        should_retry=False if problem.is_for_good else None,
        stops_run=problem.stops_run,
    )
    return AttemptResult(verdict=verdict, cost=FREE, interrupted=problem.interrupted)


def _decoded(sent: SentPicture, base64_of: Base64Of) -> Iterator[bytes]:
    text = base64_of(sent)
    for start in range(0, len(text), _PIECE_BYTES):  # in whole groups of four
        yield pybase64.b64decode(text[start : start + _PIECE_BYTES], validate=True)


def _read(path: Path) -> Iterator[bytes]:
    with on_disk(path, reading=True), path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _size_bytes(path: Path) -> int:
    with on_disk(path, reading=True):
        return path.stat().st_size
