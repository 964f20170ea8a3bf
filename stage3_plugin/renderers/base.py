"""What a renderer on this machine is: free, it needs no network, and it may simply run again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, TypeGuard

from pydantic import BaseModel, JsonValue

from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.executors.base import Executor
from stage3_plugin.settings import PictureMaker


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


class RendererType(Protocol):
    """A class of renderers, beside what every :class:`~stage3_plugin.settings.PictureMaker` has."""

    @property
    def work(self) -> str:
        """What its executor runs, as ``module:function``; imported there, and never here."""
        ...

    @property
    def Options(self) -> type[BaseModel]:  # noqa: N802 - a class of its own
        """What the setting ``options`` may hold."""
        ...

    def __call__(
        self, executor: Executor, /, *, caption: bool, options: Mapping[str, JsonValue]
    ) -> LocalRenderer: ...


def is_renderer(made_by: type[PictureMaker]) -> TypeGuard[RendererType]:
    """Return whether a class is one of renderers."""
    return hasattr(made_by, "work") and hasattr(made_by, "render")
