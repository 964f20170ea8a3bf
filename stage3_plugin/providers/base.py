"""What a provider of pictures is: a profile, and a conversation without I/O.

``begin`` turns a request into the first step, the one request that is paid for; ``next`` turns each
complete answer into the next step, or into the verdict that ends the conversation. Neither sleeps,
retries, opens a socket, touches the disk or sees the key: `purchase/drive` does, and begins
again in the middle where a run has died. So ``next`` depends on nothing but the answer, a provider
is tested by calling it, and the next one is one file.

A provider with a queue says ``Accepted`` to the answer of its submit; then ``polled`` turns each
answer of the job's into the next step. One with a listing is asked for a request whose answer was
lost: ``look_for`` says where, ``looked`` what a page of it shows. What happens upon a verdict is
decided in :mod:`stage3_plugin.policy.retry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Protocol, TypeAlias

from stage3_plugin.domain.batch import (
    BatchLine,
    BatchPolled,
    BatchTerms,
    CreateStep,
    LineSaid,
    UploadedAs,
    UploadStep,
)
from stage3_plugin.domain.exchange import (
    Asked,
    Fetch,
    Found,
    Gone,
    Lost,
    NotListed,
    Poll,
    Reply,
    Send,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.money import Estimate, Prices, Share
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.runtime.declared import Address, Name, ReadBy, Wrong

Next: TypeAlias = Verdict | Fetch | Accepted
"""What follows from the answer to the one request that is paid for."""
Polled: TypeAlias = Verdict | Fetch | Poll | Unsaid | Gone | Unclear
"""What follows from an answer of a job's."""
Looked: TypeAlias = Found | NotListed | Unsaid
"""What a page of a listing shows."""


class BatchLane(Protocol):
    """The face of a provider that also makes pictures in batches, for less and later.

    As pure as the rest: it says the steps, and takes none. ``look_for`` and ``looked`` are the
    listing of batches, by the label that is the batch's token.
    """

    @property
    def terms(self) -> BatchTerms:
        """Return what it takes and promises."""
        ...

    def share(self, model: str) -> Share | None:
        """Return what part of the ordinary price a picture costs; ``None`` if it is not known."""
        ...

    def kind(self, request: PictureRequest) -> Name:
        """Return what the lines of one batch have in common, such as the address they are for.

        It is kept as the job's ``endpoint``, and handed to ``create``.
        """
        ...

    def line(self, request: PictureRequest, key: str, files: Mapping[str, str]) -> BatchLine:
        """Return a request as a line.

        Args:
            request: The picture.
            key: What its result is called.
            files: The names of the pictures that it shows, by the SHA-256 of what is sent, where
                the terms want them uploaded.
        """
        ...

    def upload(self, size_bytes: int, of: UploadedAs, media_type: str) -> UploadStep:
        """Return the first step of handing over a file."""
        ...

    def uploaded(self, reply: Reply, size_bytes: int, of: UploadedAs) -> UploadStep:
        """Return what follows from the answer to a step of it."""
        ...

    def create(self, input_file: str, label: str, kind: str) -> Send:
        """Return the request that begins a batch: the one that is paid for."""
        ...

    def created(self, reply: Reply) -> CreateStep:
        """Return what follows from its complete answer."""
        ...

    def polled(self, reply: Reply, job: Accepted) -> BatchPolled:
        """Return what follows from a complete answer to a poll; a failed poll is ``Unsaid``."""
        ...

    def look_for(self, lost: Lost) -> Address:
        """Return the address of the first page of the listing."""
        ...

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        """Return what a page of it shows."""
        ...

    def said(self, reply: Reply) -> LineSaid:
        """Return what one line of a result file says, read as if it were an answer of its own."""
        ...


def _lane(found: object) -> object:
    if callable(found):
        raise Wrong("should be a lane, and is what makes one")
    return found


Lane: TypeAlias = Annotated[BatchLane, ReadBy(_lane)]


class Provider(Protocol):
    """A paid service over HTTP."""

    @property
    def batch(self) -> Lane | None:
        """Return its batch lane; ``None`` where it has none."""
        ...

    @property
    def profile(self) -> Profile: ...

    @property
    def prices(self) -> Prices | None:
        """Return the price table in force: the settings' own, else the shipped one."""
        ...

    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""
        ...

    def next(self, reply: Reply) -> Next:
        """Return what follows from a complete answer."""
        ...

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        """Return what follows from a complete answer to a poll.

        A failed poll is :class:`~stage3_plugin.domain.exchange.Unsaid`, and never a verdict.

        Args:
            reply: The answer.
            job: What was asked for.
            of: Which of its addresses answered.
        """
        ...

    def look_for(self, lost: Lost) -> Address:
        """Return the address of the first page of a listing that would have a lost request's job.

        Asked only where the profile has a ``listing``.
        """
        ...

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        """Return what a page of it shows."""
        ...

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what the picture is expected to cost by the price table."""
        ...

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        """Return what can be asked for free about key, models and account.

        A finding stands where there is nothing to ask. Nothing at all means that this provider
        cannot be asked.
        """
        ...
