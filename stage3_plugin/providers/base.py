"""What a provider of pictures is: a profile, and a conversation without I/O.

``begin`` turns a request into the first step, the one request that is paid for; ``next`` turns each
complete answer into the next step, or into the verdict that ends the conversation. Neither sleeps,
retries, opens a socket, touches the disk or sees the key: :mod:`stage3_plugin.attempt.conversation`
does, and begins again in the middle where a run has died. So ``next`` depends on nothing but the
answer, a provider is tested by calling it, and the next one is one file.

A provider with a queue says ``Accepted`` to the answer of its submit; then ``polled`` turns each
answer of the job's into the next step. One with a listing is asked for a request whose answer was
lost: ``look_for`` says where, ``looked`` what a page of it shows. What happens upon a verdict is
decided in :mod:`stage3_plugin.policy.retry`.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

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
from stage3_plugin.domain.money import Estimate, Prices
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict

Next: TypeAlias = Verdict | Fetch | Accepted
"""What follows from the answer to the one request that is paid for."""
Polled: TypeAlias = Verdict | Fetch | Poll | Unsaid | Gone | Unclear
"""What follows from an answer of a job's."""
Looked: TypeAlias = Found | NotListed | Unsaid
"""What a page of a listing shows."""


class Provider(Protocol):
    """A paid service over HTTP."""

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

    def look_for(self, lost: Lost) -> str:
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
