"""What a renderer on this machine is: free, it needs no network, and it may simply run again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind


class LocalRenderer(Protocol):
    """A renderer on this machine: free, needs no network, may simply run again."""

    def unmet(self, request: PictureRequest) -> tuple[str, ...]:
        """Name the wishes of a request that the renderer cannot honour, by their field."""
        ...

    async def study(self, story: Iterable[PictureRequest]) -> None:
        """See the whole story before the first picture; ``story`` can be iterated repeatedly."""
        ...

    def edition(self, request: PictureRequest) -> str:
        """Name whatever decides the picture beside the request's own words.

        Two requests that are the same in these and in that are drawn alike. Paths of references are
        none of these words: a renderer that reads their files names the bytes here.
        """
        ...

    async def render(self, request: PictureRequest, path: Path) -> Verdict | None:
        """Write the picture to ``path``, or return why it is not there.

        Raises:
            StorageFailed: The disk did not take it.
        """
        ...


def not_drawn(problem: str, *, may_pass: bool = True) -> Verdict:
    """Return that a picture could not be made.

    Args:
        problem: Why, in one line.
        may_pass: It may be made the next time; else it would be the same again.
    """
    should_retry = None if may_pass else False
    return Verdict(kind=VerdictKind.UNREADABLE, message=problem, should_retry=should_retry)
