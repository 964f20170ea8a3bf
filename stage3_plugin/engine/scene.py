"""One scene, once through the rooms: claim, gather or drive, follow.

It goes forward only. Each room returns what the next one needs, and the last returns what the run
is to do with the scene. No decision is made here: whether a scene may be sent is ``checkout``'s,
and what follows from what came of it is said in ``following``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import anyio

from host_stub.contract import Failure
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.job import BeingMade
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.purchase import Held, Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import why_unsendable
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.engine.following import Came, Following, Place
from stage3_plugin.engine.scene_state import (
    ENDED,
    Due,
    Ended,
    Next,
    SceneState,
    Waiting,
)
from stage3_plugin.engine.showing.references import Unshown, is_awaiting
from stage3_plugin.engine.showing.stale import with_facts
from stage3_plugin.errors import StorageFailed
from stage3_plugin.policy.capacity.limiter import Limiter, Permit
from stage3_plugin.policy.retry import Again, was_taken, was_turned_away
from stage3_plugin.policy.reuse import Reuse
from stage3_plugin.purchase import messages
from stage3_plugin.purchase.checkout import Denied, LineRefused, NotNow
from stage3_plugin.purchase.maker import Jobs
from stage3_plugin.purchase.run_ledger import Line

_NO_BATCHES = "it has no batch lane, so nothing was sent (lane)"


class SceneRunner:
    """Brings scenes through the rooms.

    Args:
        run: What they are brought on with, which does what follows for them.
        more: Takes further takes of a scene, once it is known that they are wanted.
    """

    def __init__(self, run: Following, more: Callable[[SceneState], None]) -> None:
        self._run = run
        self._more = more

    async def bring_on(self, scene: SceneState) -> Next:
        """Bring a scene through the rooms once, with one request at most."""
        failure = self._why_not(scene)
        if failure is not None:
            return self._run.fail(scene, failure)
        following: Next = ENDED
        with self._run.ending([scene]):
            if scene.is_for_a_batch:
                with anyio.CancelScope(shield=True):
                    following = await self._gather(scene)
            else:  # the limiter is entered before anything is awaited: others ask it, too
                with (
                    self._run.place_of(scene).limiter.enter() as permit,
                    anyio.CancelScope(shield=True) as shield,
                ):
                    following = await self._buy(scene, permit, shield)
        return following

    def _why_not(self, scene: SceneState) -> Failure | None:
        """Return why a scene is not even claimed: it cannot be sent, or its turn comes too late."""
        settings = self._run.settings
        unsendable = why_unsendable(self._run.place_of(scene).route, scene.request)
        if unsendable is not None:
            return Failure(code="rejected", message=unsendable)
        if scene.was_started and self._run.now() - scene.started_at > settings.deadline_s:
            message = f"the scene's deadline_s is reached ({scene.cause.replace('_', ' ')})"
            return Failure(code=scene.cause, message=message, retryable=True)
        return None

    async def _buy(self, scene: SceneState, permit: Permit, shield: anyio.CancelScope) -> Next:
        """Take a scene from its claim to what follows; only a renderer may be cut short."""
        place = await self._arrive(scene)
        if not isinstance(place, Place):
            return place
        held = await place.checkout.claim(scene.request, scene.part)
        if not isinstance(held, Held):
            return await self._without_hold(scene, held)
        unsent = await self._unsent(scene, place, held)
        if unsent is not None:
            return unsent
        scene.number, key_number = held.number, place.key_number
        result = await self._drive(scene, held, permit, shield)
        came = await self._settle(scene, held, result)
        if await self._run.has_another_key(place, key_number, result):
            scene.turned_away += 1
            return self._run.again(scene, came, Again(0.0, "credentials"), permit)
        overrun = place.checkout.overrun()
        if overrun is not None:
            self._run.stop(overrun)
        return self._run.follow(scene, came, permit)

    async def _gather(self, scene: SceneState) -> Next:
        """Take a scene as far as it comes before its batch: nothing of it is held yet."""
        place = await self._arrive(scene)
        if not isinstance(place, Place):
            return place
        if place is not self._run.places[0] or place.route.is_here:
            failure = Failure(code="rejected", message=f"{scene.request.provider}: {_NO_BATCHES}")
            return self._run.fail(scene, failure)
        line = await place.checkout.look(scene.request, scene.part)
        if not isinstance(line, Line):
            return await self._without_hold(scene, line)
        scene.number = line.take or 1
        return await self._unsent(scene, place, None) or line

    async def _arrive(self, scene: SceneState) -> Place | Next:
        """Know all that is asked for, and where that is; or what follows before it is claimed."""
        if self._run.asked.references.shows(scene.request):
            ended = await self._show(scene)
            if ended is not None:
                return ended
        if scene.basis is None:
            self._know_basis(scene)
        place = self._run.place_of(scene)  # its permit is of this one
        self._run.begin(scene)
        return place if place is self._run.place_of(scene) else Due(self._run.now())

    # Claim -------------------------------------------------------------------------------

    async def _without_hold(self, scene: SceneState, claim: NotNow) -> Next:
        """Do what follows where nothing is to be sent now, at this step."""
        if isinstance(claim, Denied):
            return self._run.deny(scene, claim)
        if isinstance(claim, LineRefused):
            return self._run.end_late(scene, claim.purchase, claim.attempted, is_own=False)
        if claim.means in {Reuse.BUSY, Reuse.AWAITED}:
            return Waiting(purchase_id=claim.purchase.new.attempt_id, since=self._run.now())
        self._run.turn_to(scene, claim.purchase)
        if claim.means is Reuse.RESEND:  # by another step
            return Due(self._run.now())
        return await self._run.reuse(scene, claim.purchase)

    async def _unsent(self, scene: SceneState, place: Place, held: Held | None) -> Next | None:
        """Return what follows where the run was stopped, or the place closed, meanwhile."""
        if not self._run.is_going_on:
            if held is not None:
                await place.checkout.release(held, "the run was stopped before it was sent")
            return self._run.not_sent(scene)
        unsent = scene.unfit or place.closed
        if unsent is None:
            return None
        if held is None:
            return self._run.give_up(scene, unsent)
        await place.checkout.release(held, f"not sent: {unsent.message}")
        return self._run.give_up(scene, unsent, attempt_id=held.attempt_id)

    def _know_basis(self, scene: SceneState) -> None:
        """Find out what a scene's pictures are made from, and how many are wanted of that."""
        basis = scene.basis = self._run.asked.steps.basis_of(scene.request)
        for part in scene.part.more(self._run.asked.wanted_of(scene.request, basis)):
            self._more(
                SceneState(
                    request=scene.wanted,
                    queued_at=self._run.now(),
                    part=part,
                    basis=basis,
                )
            )

    # Show ----------------------------------------------------------------------------------------

    async def _show(self, scene: SceneState) -> Ended | None:
        """Have the pictures that a scene shows, as its route takes them."""
        if scene.request.wanted is None:
            return None if scene.request.shown else await self._bring_references(scene)
        if scene.request.shown:
            shown = await self._run.asked.references.bring(replace(scene.request, shown=()))
            if isinstance(shown, Unshown):
                scene.unfit = Failure(code="rejected", message=shown.why)
            elif is_awaiting(shown):
                scene.unfit = Failure(code="rejected", message="its references are not made")
            else:
                scene.request = shown
        return None

    async def _bring_references(self, scene: SceneState) -> Ended | None:
        """Have the pictures that a scene shows, before any money is held; or end it without."""
        shown = await self._run.asked.references.bring(scene.request)
        if isinstance(shown, PictureRequest):
            if is_awaiting(shown):  # the run has stopped, and nothing comes any more
                return self._run.not_sent(scene)
            scene.request = shown
            return None
        may_stay = shown.is_refused and scene.take == 1
        there = self._run.checkout.made_with_others(scene.request) if may_stay else None
        if there is not None:
            return await self._run.reuse(scene, there)
        refused = self._run.place_of(scene).route.refuse(scene.request)
        if refused is not None:  # no sheet was made for it
            return self._run.fail(scene, Failure(code="rejected", message=refused))
        self._run.reporter.failed(scene, shown.failure, waits_for=shown.waits_for)
        return ENDED

    # Drive ---------------------------------------------------------------------------------------

    async def _drive(
        self, scene: SceneState, held: Held, permit: Permit, shield: anyio.CancelScope
    ) -> AttemptResult:
        """Make the attempt, which knows by itself what of it may be cut short."""
        place = self._run.place_of(scene)

        async def send() -> AttemptResult:
            permit.sent(self._run.now())
            request = scene.sent_to(place.route, self._run.draw)
            jobs = self._jobs_of(scene, held, place.route.profile)
            shield.shield = False
            try:
                result = await place.sender.attempt(
                    held.attempt_id, replace(request, token=held.token), jobs
                )
            finally:
                shield.shield = True
            return with_facts(result, self._run.asked.steps.facts_of(scene, request))

        result = await self._run.drive([(scene, held)], send)
        self._teach(place.limiter, result.verdict, permit)
        return result

    def _jobs_of(self, scene: SceneState, held: Held, profile: Profile | None) -> Jobs:
        """Return where a scene's job is written down, and how long it is waited for."""
        now = self._run.now()
        until = scene.started_at + self._run.settings.deadline_s
        waiting = Waiting(purchase_id=held.attempt_id, since=now)

        def told(making: BeingMade) -> None:
            self._run.in_flight[held.attempt_id] = waiting.making = making
            wait_s, left_s = making.again_s or 0.0, max(0.0, until - self._run.now())
            self._run.reporter.awaited(scene, waiting, "pending", wait_s=wait_s, left_s=left_s)

        listing = None if profile is None else profile.listing
        return Jobs(
            ledger=self._run.checkout.run_ledger,
            waits_s=max(0.0, until - now),
            told=told,
            is_late=partial(self._run.is_late, held, listing),
        )

    def _teach(self, limiter: Limiter, verdict: Verdict, permit: Permit) -> None:
        """Report to the limiter what the provider made of a request; others teach it nothing."""
        now = self._run.now()
        if was_turned_away(verdict):
            is_obeyed = verdict.hint_s is None or verdict.hint_s <= self._run.settings.max_wait_s
            permit.rejected(now, verdict.hint_s if is_obeyed else None)
        elif was_taken(verdict):
            permit.answered(now)
        if verdict.used_up_s is not None:
            limiter.hold_back(now, min(verdict.used_up_s, self._run.settings.max_wait_s))

    # Settle and publish --------------------------------------------------------------------------

    async def _settle(self, scene: SceneState, held: Held, result: AttemptResult) -> Came:
        """Record what the attempt came to, bring the picture where it belongs, and tidy.

        The answer stays where it is evidence.
        """
        result, overtaken = await self._run.settle([(scene, held)], result)
        scene.dropped = result.dropped
        came = Came(result=result, held=held)
        if result.picture is not None:
            came = await self._show_own(scene, came, held, result.picture, overtaken)
        if overtaken is None and not result.leaves_evidence:
            await self._run.pictures.remove_answer(held.attempt_id)
        return came

    async def _show_own(
        self, scene: SceneState, came: Came, held: Held, own: Picture, overtaken: Purchase | None
    ) -> Came:
        """Show a scene's own picture, or the one it has got instead: it keeps that one."""
        picture, instead = own, None
        try:
            if overtaken is not None:
                instead = await self._keep_late(scene, overtaken, own)
                if instead is not None and instead.picture is not None:
                    picture = instead.picture
            placed = await self._run.results.publish(
                picture, scene.request, take=scene.take, is_new=instead is None
            )
        except StorageFailed as failure:
            lost = messages.lost_picture(held.attempt_id, failure)
            return replace(came, placed=lost, instead=instead)
        return replace(came, placed=placed, instead=instead)

    async def _keep_late(
        self, scene: SceneState, purchase: Purchase, picture: Picture
    ) -> Purchase | None:
        """Keep a picture whose purchase was given up; return the purchase made instead, if any."""
        if purchase.state is not State.PAID:
            await self._run.pictures.note_late(purchase.new.attempt_id, picture)
        instead = self._run.checkout.made_instead(scene.request, scene.part)
        scene_id = scene.request.scene_id
        warn_of(messages.overtaken(scene_id, purchase, instead, self._run.checkout.caretaker))
        return instead
