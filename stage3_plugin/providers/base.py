"""What a provider of pictures is: a profile, and a conversation without I/O.

``begin`` turns a request into the first step, the one request that is paid for; ``next`` turns each
complete answer into the next step, or into the verdict that ends the conversation. Neither sleeps,
retries, opens a socket, touches the disk or sees the key: :mod:`stage3_plugin.attempt.conversation`
does, and begins again in the middle where a run has died. So ``next`` depends on nothing but the
answer, a provider is tested by calling it, and the next one is one file.

A kind of step that is not there yet, such as asking a queue how far it is, is one more type that
``next`` may return, beside :class:`~stage3_plugin.domain.exchange.Fetch`, and one more branch of
the conversation. What happens upon a verdict is decided in :mod:`stage3_plugin.policy.retry`.
"""

from __future__ import annotations

from typing import Protocol

from stage3_plugin.domain.exchange import Fetch, Reply, Send
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.domain.money import Estimate, Prices
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict


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

    def next(self, reply: Reply) -> Verdict | Fetch:
        """Return what follows from a complete answer."""
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
