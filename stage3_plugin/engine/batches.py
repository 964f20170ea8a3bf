"""Gathers the scenes that are to be lines of a batch, and sends them together.

::

    scene looked at ── gathered ── cut ── files uploaded ── all lines held ── create ── its job
                                            for nothing        one commit      paid

A scene comes here without capacity, and waits until there is nothing more to gather, or until its
batch is full. What keeps a batch from being made is decided once for all of its lines: a rate limit
that has turned one create away has turned away one request, and not two hundred. Once its job is
known each scene waits beside dispatch, by itself, as for the job of a queue.

Up to the hold all of it is free, so a run that stops ends it at once; from there to the job's name
nothing is cut short but the waiting for the answer.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import anyio

from host_stub.contract import Failure
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import Uploaded
from stage3_plugin.domain.events import BatchCreated, BatchUploaded
from stage3_plugin.domain.job import TOKEN_DIGITS, BeingMade, NewJob
from stage3_plugin.domain.money import UNKNOWN, to_usd
from stage3_plugin.domain.purchase import Held
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.following import Came, Following, Tries
from stage3_plugin.engine.scene_state import Due, Next, Put, SceneState
from stage3_plugin.errors import StorageFailed
from stage3_plugin.policy.batching import Filling, Load, why_too_large, with_room
from stage3_plugin.policy.retry import Again, Decision, GiveUp, was_turned_away
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.checkout import Denied, NotNow
from stage3_plugin.purchase.conversation import Batching
from stage3_plugin.purchase.maker import Jobs, shielded
from stage3_plugin.purchase.run_ledger import Line
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.interrupt import Interrupt
from stage3_plugin.storage.spool import batch_files

MOST_TURNED_AWAY = 3
"""Creates of one batch that a limit turns away, before its scenes are left to a later run: each has
its file uploaded anew, and a queue that is full stays so for hours."""


@dataclass(slots=True, kw_only=True)
class _Line:
    """A scene that is to be a line.

    Attributes:
        scene: That.
        request: What is asked for, with the seed of its take.
        found: What looking at it said, which is held.
        load: What it adds to its batch.
        held: What is held for it, once that is so.
        is_over: It has been handed on.
    """

    scene: SceneState
    request: PictureRequest
    found: Line
    load: Load
    held: Held | None = None
    is_over: bool = False


@dataclass(slots=True)
class _Batch:
    """What goes together: lines of one kind and model.

    Attributes:
        batching: Takes the steps.
        model: The lines'.
        kind: What the lines have in common.
        filling: How full it is.
        lines: Those that are gathered, or left to be sent.
    """

    batching: Batching
    model: str
    kind: str
    filling: Filling
    lines: list[_Line] = field(default_factory=list[_Line])


class GatheredScenes:
    """The scenes of one run that are to be lines of batches, all of them of one route.

    Args:
        run: What they are sent with, which does what follows for a scene.
        put: Does with a scene what it needs next.
    """

    def __init__(self, run: Following, put: Put) -> None:
        self._run = run
        self._place = run.places[0]
        self._put = put
        self._filling: dict[tuple[str, str], _Batch] = {}
        self._queued_tokens = Counter[tuple[str, str]]()
        """What this run has in the provider's queue, by model and kind."""
        self._names: dict[str, str] = {}
        self._denied: list[tuple[SceneState, Denied]] = []
        self._sending = 0
        self._uploads = Interrupt()
        """Cuts uploads short as the run stops, and pauses: they cost nothing."""

    @property
    def are_there(self) -> bool:
        """Return whether any scene is gathered and not sent."""
        return bool(self._filling)

    def left(self) -> Iterator[SceneState]:
        """Yield the scenes that were gathered and that nothing was sent for."""
        for batch in self._take_all():
            for line in batch.lines:
                yield line.scene

    def halt(self) -> None:
        """Upload nothing more: it would be in vain."""
        self._uploads.trigger()

    # Gather --------------------------------------------------------------------------------------

    async def add(self, scene: SceneState, found: Line) -> None:
        """Gather a scene; where its batch is full, send that."""
        full: _Batch | None = None
        with self._run.ending([scene]):
            full = self._add(scene, found)
        if full is not None:
            await self._send_all([full])

    def _add(self, scene: SceneState, found: Line) -> _Batch | None:
        request = scene.sent_to(self._place.route, self._run.draw)
        batching = self._place.sender.batching_at(self._place.route.endpoint_of(request.model))
        if batching is None:
            why = f"{request.provider} {request.model} makes no batches; nothing was sent"
            self._end(scene, Failure(code="rejected", message=why))
            return None
        kind = batching.kind(request)
        if isinstance(kind, AttemptResult):
            self._put(scene, self._run.follow(scene, Came(result=kind)))
            return None
        load = batching.measured(request)
        if isinstance(load, AttemptResult):
            self._put(scene, self._run.follow(scene, Came(result=load)))
            return None
        why = why_too_large(load, batching.terms)
        if why:
            self._end(scene, Failure(code="rejected", message=f"{why}; nothing was sent"))
            return None
        known_as, full = (request.model, kind), None
        batch = self._filling.get(known_as)
        if batch is None or not batch.filling.fits(load):
            full, batch = batch, _Batch(batching, *known_as, Filling(batching.terms))
            self._filling[known_as] = batch
        batch.filling.add(load)
        batch.lines.append(_Line(scene=scene, request=request, found=found, load=load))
        return full

    def _end(self, scene: SceneState, failure: Failure) -> None:
        """End the step of a scene that cannot be a line."""
        self._put(scene, self._run.give_up(scene, failure))

    def _take_all(self) -> list[_Batch]:
        batches = list(self._filling.values())
        self._filling.clear()
        return batches

    # Send ----------------------------------------------------------------------------------------

    async def send_all(self) -> None:
        """Send all that is gathered, several batches at once."""
        await self._send_all(self._take_all())

    async def _send_all(self, batches: Sequence[_Batch]) -> None:
        self._sending += 1
        try:
            async with anyio.create_task_group() as senders:
                for batch in batches:
                    senders.start_soon(self._send, batch)
        finally:
            self._sending -= 1
            if not self._sending:
                self._deny()

    def _deny(self) -> None:
        """End the scenes that no cap has room for, and with them the run, once all else is sent."""
        denied, self._denied = self._denied, []
        for scene, why in denied:
            self._put(scene, self._run.deny(scene, why))

    async def _send(self, batch: _Batch) -> None:
        """Send one batch, as often as that has sense; every line is handed on."""
        tries = Tries(self._run.now())
        with self._run.ending(line.scene for line in batch.lines if not line.is_over):
            self._keep_to_the_queue(batch)
            while batch.lines and self._run.is_going_on:
                batch.lines = await self._try(batch, tries)
            for line in batch.lines:
                self._hand_on(line, self._run.not_sent(line.scene))

    def _keep_to_the_queue(self, batch: _Batch) -> None:
        """End lines that the provider's queue has no room for."""
        loads, known_as = [line.load for line in batch.lines], (batch.model, batch.kind)
        queued_tokens = self._queued_tokens[known_as]
        count = with_room(loads, batch.batching.terms, queued_tokens=queued_tokens)
        self._queued_tokens[known_as] += sum(load.tokens for load in loads[:count])
        for line in batch.lines[count:]:
            full = messages.queue_is_full(line.request.provider)
            self._hand_on(line, self._run.fail(line.scene, full))
        del batch.lines[count:]

    async def _try(self, batch: _Batch, tries: Tries) -> list[_Line]:
        """Try once to make a batch; return the lines that are to be tried again, if the run may."""
        token, key_number = secrets.token_hex(TOKEN_DIGITS // 2), self._place.key_number
        tries.ran += 1
        is_kept = False
        try:
            with self._uploads.in_force():
                came: Uploaded | AttemptResult | list[_Line]
                came = await self._uploaded(token, batch)
            if not self._run.is_going_on:
                return batch.lines
            if isinstance(came, Uploaded):
                is_kept = True  # as long as it is not known that nothing can come of it
                came = await shielded(partial(self._create, token, batch, came))
                is_kept = isinstance(came, AttemptResult) and (
                    came.leaves_evidence or came.stays_open or came.storage is not None
                )
        finally:
            if not is_kept:
                await self._remove(token)
        if isinstance(came, AttemptResult):
            return await self._follow(batch.lines, came, tries, key_number)
        return came

    def _hand_on(self, line: _Line, following: Next) -> None:
        line.is_over = True
        self._put(line.scene, following)

    # Upload --------------------------------------------------------------------------------------

    async def _uploaded(self, token: str, batch: _Batch) -> Uploaded | AttemptResult:
        """Bring a batch's file, and the pictures that its lines show, to the provider."""
        batching, lines = batch.batching, batch.lines
        requests = [line.request for line in lines]
        folder = await self._run.recovery.new_batch_folder(token)
        failed = await batching.upload_references(token, requests, self._names)
        if failed is not None:
            return failed
        written = await batching.write(token, requests, self._names)
        if isinstance(written, AttemptResult):
            return written
        for line, dropped in zip(lines, written.dropped, strict=False):
            line.scene.dropped = dropped
        facts = [self._run.asked.steps.facts_of(line.scene, line.request) for line in lines]
        await self._run.pictures.blocking(partial(batch_files.write_facts, folder, facts))
        uploaded = await batching.upload(token, written)
        if isinstance(uploaded, Uploaded):
            size_bytes = written.size_bytes
            trace.event(BatchUploaded(batch=token, lines=len(lines), size_bytes=size_bytes))
        return uploaded

    async def _remove(self, token: str) -> None:
        """Remove the folder of a batch that was not made, for certain."""
        with anyio.CancelScope(shield=True), suppress(StorageFailed):
            await self._run.pictures.remove_answer(token)  # else the next run of this home does

    # Create --------------------------------------------------------------------------------------

    async def _create(
        self, token: str, batch: _Batch, uploaded: Uploaded
    ) -> AttemptResult | list[_Line]:
        """Hold all lines and make the batch.

        Returns:
            What came of it: it is being made, or why it is not. Or the lines that are to be tried
            again, since others of them were in the way.
        """
        batching, lines = batch.batching, batch.lines
        new = NewJob(
            token=token,
            account=batching.asking.client.account,
            endpoint=batch.kind,
            lane="batch",
            input_file=uploaded.name,
        )
        held = await self._run.checkout.hold([line.found for line in lines], new)
        if isinstance(held, dict):
            return self._without_those_in_the_way(lines, held)
        if not self._run.is_going_on:  # it was stopped while the money was being held
            await self._run.checkout.release(held[0], "the run was stopped before it was sent")
            return lines
        for line, one in zip(lines, held, strict=True):
            line.held, line.scene.number = one, one.number

        async def send() -> AttemptResult:
            jobs = Jobs(
                ledger=self._run.checkout.run_ledger,
                waits_s=0.0,
                is_late=partial(self._run.is_late, held[0], batching.listing),
            )
            return await batching.create(token, uploaded.name, batch.kind, jobs)

        all_held = [(line.scene, one) for line, one in zip(lines, held, strict=True)]
        created = await self._run.drive(all_held, send)
        if created.making is None:
            created, _ = await self._run.settle(all_held, created)
        else:
            self._tell_created(token, lines, held, created.making)
        return created

    def _without_those_in_the_way(
        self, lines: Sequence[_Line], found: dict[int, Line | NotNow]
    ) -> list[_Line]:
        """Hand on the lines that cannot be held now, and return the others."""
        for place, looked in found.items():
            line = lines[place]
            if isinstance(looked, Line):
                line.found, line.scene.number = looked, looked.take or 1
                line.request = line.scene.sent_to(self._place.route, self._run.draw)
            elif isinstance(looked, Denied) and looked.stops:
                line.is_over = True
                self._denied.append((line.scene, looked))
            elif isinstance(looked, Denied):  # looking does not see it: it would come here for ever
                self._hand_on(line, self._run.deny(line.scene, looked))
            else:  # it is looked at anew, and then goes on by what stands for it
                self._hand_on(line, Due(self._run.now()))
        return [line for line in lines if not line.is_over]

    def _tell_created(
        self, token: str, lines: Sequence[_Line], held: Sequence[Held], making: BeingMade
    ) -> None:
        """Tell that a batch is being made: all of its scenes wait for it."""
        first, accepted = lines[0].request, making.job.accepted
        trace.event(
            BatchCreated(
                batch=token,
                job="" if accepted is None else accepted.job_id,
                lines=len(lines),
                held_usd=to_usd(sum(one.hold_microusd for one in held)),
                provider=first.provider,
                model=first.model,
            )
        )
        for line in lines:
            line.scene.costs.append(UNKNOWN)

    # What follows --------------------------------------------------------------------------------

    async def _follow(
        self, lines: Sequence[_Line], result: AttemptResult, tries: Tries, key_number: int
    ) -> list[_Line]:
        """Do what follows for all lines, decided once; return those that are to be tried again."""
        first = lines[0].scene
        decision: Decision = Again(0.0, "credentials")
        if not await self._run.has_another_key(self._place, key_number, result):
            tries.turned_away += was_turned_away(result.verdict)
            decision = self._run.decide_for_all(first, result, tries)
        if isinstance(decision, Again) and tries.turned_away >= MOST_TURNED_AWAY:
            decision = GiveUp(messages.queue_is_full(first.request.provider))
        left: list[_Line] = []
        for line in lines:
            came = Came(result=result, held=line.held, is_own=line.held is not None)
            following = self._run.follow(line.scene, came, decided=decision)
            if isinstance(decision, Again) and isinstance(following, Due):
                line.held = None
                left.append(line)
            else:
                self._hand_on(line, following)
        if left and isinstance(decision, Again):
            with anyio.CancelScope() as pause, self._uploads.calling(pause.cancel):
                await anyio.sleep(decision.wait_s)
        return left
