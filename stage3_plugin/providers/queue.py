"""What providers with a queue have in common: how a job is taken, and what it comes to in the end.

Each says where a job's name and its addresses stand in the answer to a submit, and reads the words
for how far it is, which are nobody else's.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import ClassVar

from stage3_plugin.domain.addressing import address_of
from stage3_plugin.domain.exchange import Lost, Payload, Reply
from stage3_plugin.domain.job import Accepted, seed_of
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Next
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.models import Inputs
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.reading import Json, at, name_at, text_at

SINCE = timedelta(days=1)
"""Before the money was held a listing is read from: clocks are set, and not all of them well."""


class Queue(Hosted, ABC):
    """The shared part of a provider whose submits are answered by a job."""

    _keeps_s: ClassVar[float]
    """For how long it promises to know a job and to have its result."""
    _id: ClassVar[str] = "id"
    """Where a document has the name of a job."""
    _poll: ClassVar[tuple[str, ...]]
    """Where it has the address that is asked how far the job is."""
    _result: ClassVar[tuple[str, ...] | None] = None
    """Where it has that of the result; ``None`` if this is on the same page."""
    _cancel: ClassVar[tuple[str, ...]] = ()
    """Where it has the one for calling it off; nothing if there is none."""

    def next(self, reply: Reply) -> Next:
        """Return what follows from the answer to a submit."""
        accepted = self._accepted(reply.document) if 200 <= reply.status < 300 else None
        return accepted or self.forbidding(reply)

    def _accepted(self, document: Json) -> Accepted | None:
        """Return a job; ``None`` if it does not say where it is asked for."""
        name, poll_url = name_at(document, self._id), self._address(document, self._poll)
        result_url = self._address(document, self._result or ())
        if not name or poll_url is None or (self._result and result_url is None):
            return None
        return Accepted(
            job_id=name,
            poll_url=poll_url,
            result_url=result_url,
            cancel_url=self._address(document, self._cancel),
            keeps_s=self._keeps_s,
        )

    def _address(self, document: Json, path: tuple[str, ...]) -> str | None:
        return address_of(text_at(document, *path), base_url=self.base_url) if path else None


def since(lost: Lost) -> str:
    """Return from which moment on a listing would have a lost request's job."""
    return (lost.opened_at - SINCE).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ended(reply: Reply, job: Accepted, kind: VerdictKind, message: str = "") -> Verdict:
    """Return what a job comes to that ended, at the cost that its acceptance named, if it did."""
    return Verdict(
        kind=kind,
        message=message,
        may_be_billed=True,
        reported_usd=job.cost_usd,
        provider_status=reply.status,
        request_id=job.job_id,
    )


def seed_said(
    request: PictureRequest, inputs: Inputs, *, most: int | None = None
) -> Mapping[str, Payload]:
    """Say the seed that a person has set, else the one by which the request is found.

    Args:
        request: The picture.
        inputs: What its model is asked by.
        most: The highest that can be said; ``None`` where any can.
    """
    if not inputs.seed or (request.seed is None and request.token is None):
        return {}
    seed = seed_of(request.token or "") if request.seed is None else request.seed
    return {"seed": seed} if most is None or 0 <= seed <= most else {}


def seed_at(document: Json, *path: str, most: int = 2**64) -> dict[str, str]:
    """Return the seed of a picture as a fact that is worth keeping, if it is there."""
    seed = figure_of(at(document, *path), most=most)
    return {} if seed is None else {"seed": f"{seed:f}"}
