"""The words of one request at a provider: a plain one, or one that a queue makes a job of.

``drive`` has the way that all go. What a provider with a queue answers is a job: it is durable in
the ledger before it is asked for the first time; from then on nothing about it is unknown, whoever
dies.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.exchange import Asked, Fetch, Reply
from stage3_plugin.domain.job import Accepted, BeingMade
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.errors import ProviderBroken, StorageFailed
from stage3_plugin.policy.refusal import refused_for
from stage3_plugin.providers.base import Next, Polled, Provider
from stage3_plugin.purchase.asking import Asking
from stage3_plugin.purchase.batching import Batching
from stage3_plugin.purchase.drive import Drive, Ended, Heard, being_made
from stage3_plugin.purchase.ingest import Ingest
from stage3_plugin.purchase.maker import Jobs, shielded
from stage3_plugin.transport.picture_hosts import PictureHosts


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
