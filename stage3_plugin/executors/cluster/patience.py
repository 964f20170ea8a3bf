"""When people are told that replicas are being waited for: a decision, without a clock."""

from __future__ import annotations

FIRST_S = 30.0
"""Seconds after which a wait is worth a sentence."""
AGAIN_S = 300.0
"""Seconds after which it is said again."""


class Patience:
    """Remembers since when replicas are lacking, and what was said about it.

    Args:
        wanted: How many there should be.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._next_s: float | None = None

    def sentence(self, lacking: int, *, now_s: float) -> str | None:
        """Return what to say, if it is time to say something.

        Args:
            lacking: How many replicas are not ready.
            now_s: Seconds of any clock that does not go back.
        """
        if lacking == 0:
            self._next_s = None
            return None
        if self._next_s is None:
            self._next_s = now_s + FIRST_S
        if now_s < self._next_s:
            return None
        self._next_s = now_s + AGAIN_S
        return (
            f"waiting for {lacking} of {self._wanted} replicas: the cluster has no place for them "
            "yet, or they still load their model (`ray status` says what is free)"
        )
