"""What a provider of pictures is: a profile and two pure functions, or a local renderer.

``compose`` turns a request into the one HTTP call to make; ``judge`` turns a complete answer into a
verdict. Neither sleeps, retries, opens a socket or touches the disk, so a provider is tested by
calling it, and the next one is one file. What happens upon a verdict is decided in ``retry``.
"""

from __future__ import annotations

from typing import Protocol

from stage3_plugin.domain.exchange import Call, Reply
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
        """Give the price table in force: the settings' own, else the shipped one."""
        ...

    def compose(self, request: PictureRequest) -> Call:
        """Turn a request into the one call to make."""
        ...

    def judge(self, reply: Reply) -> Verdict:
        """Tell what a complete answer means."""
        ...

    def estimate(self, request: PictureRequest) -> Estimate:
        """Tell what the picture is expected to cost by the price table."""
        ...
