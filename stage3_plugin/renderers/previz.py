"""``previz`` as the stage sees it: a renderer on this machine that is free and needs no network.

It joins the cast pass, which runs here, with the drawing, which runs in worker processes; this
side never imports what draws.
"""

from __future__ import annotations

import functools
import hashlib
import uuid
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from anyio.lowlevel import checkpoint

from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.previz.cast import Cast, Describing, Naming
from stage3_plugin.previz.edition import DRAWING
from stage3_plugin.previz.order import Order
from stage3_plugin.previz.plate import Plate, Sheet
from stage3_plugin.renderers.processes import Workers

_SCENES_A_TURN = 16
"""How many scenes are studied, at some 0.3 ms each, before the event loop has its turn."""


class Previz:
    """Draws storyboard frames in worker processes.

    Use it as an asynchronous context manager; leaving it ends the workers.
    """

    def __init__(self, *, workers: int | None = None, caption: bool = True) -> None:
        """Prepare to draw; nothing is started yet.

        Args:
            workers: How many processes draw at once; by default, one per usable core.
            caption: Whether the slate is written over the pictures; without it they are clean.
        """
        self._workers = Workers(workers)
        self._caption = caption
        self._cast = Cast()

    @property
    def workers(self) -> int:
        """Tell how many pictures are drawn at once."""
        return self._workers.count

    async def __aenter__(self) -> Self:
        await self._workers.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._workers.__aexit__(kind, error, trace)

    async def study(self, story: Iterable[PictureRequest]) -> None:
        """Find out who everybody is and looks like; iterates ``story`` twice.

        Memory grows with the characters and their names, not with the scenes.
        """
        naming = Naming()
        for count, request in enumerate(story, start=1):
            naming.see(_plate(request))
            if count % _SCENES_A_TURN == 0:
                await checkpoint()
        describing = Describing(naming.solve())
        for count, request in enumerate(story, start=1):
            describing.see(_plate(request))
            if count % _SCENES_A_TURN == 0:
                await checkpoint()
        self._cast = describing.cast()

    def edition(self, request: PictureRequest) -> str:
        """Name what decides a picture.

        The release and its way of drawing, the scene, what its people look like, and the caption.
        """
        drawing = (DRAWING, _release())
        known = self._cast.only(request.characters)
        decides = (*drawing, _plate(request), known, self._caption)
        return hashlib.sha256(repr(decides).encode("utf-8", "surrogatepass")).hexdigest()

    async def render(self, request: PictureRequest, path: Path) -> None:
        """Draw a picture; ``path`` is there only when it is whole.

        Raises:
            RenderFailed: The picture could not be drawn, or its worker died.
        """
        await self._workers.draw(self._order(request, path))

    def _order(self, request: PictureRequest, path: Path) -> Order:
        path = path.absolute()
        return Order(
            plate=_plate(request),
            cast=self._cast.only(request.characters),
            width_px=request.width_px,
            height_px=request.height_px,
            seed=request.seed or 0,
            caption=self._caption,
            path=str(path),
            part=str(path.with_name(f".{uuid.uuid4().hex}.part")),
        )


@functools.cache
def _release() -> str:
    """Another release may draw another picture; making one anew is free."""
    return version("stage3-plugin")


def _plate(request: PictureRequest) -> Plate:
    return Plate(request.scene_id, request.prompt, request.characters, _sheets(request.extra))


def _sheets(extra: Mapping[str, object]) -> tuple[Sheet, ...]:
    """Read what a scene file says about its characters, if it does: a list of objects."""
    found: list[Sheet] = []
    listed = extra.get("character_sheets")
    for entry in cast("list[object]", listed) if isinstance(listed, list) else []:
        if isinstance(entry, dict):
            sheet = _sheet(cast("dict[str, object]", entry))
            if sheet is not None:
                found.append(sheet)
    return tuple(found)


def _sheet(entry: Mapping[str, object]) -> Sheet | None:
    def told(*fields: str) -> str | None:
        return next((value for field in fields if isinstance(value := entry.get(field), str)), None)

    character = told("id", "name")
    if not character:
        return None
    return Sheet(character, told("name"), told("description", "appearance") or "")
