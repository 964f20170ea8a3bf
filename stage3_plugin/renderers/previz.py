"""``previz`` as the stage sees it: a renderer on this machine that is free and needs no network.

It joins the cast pass, which runs here, with the drawing, which an executor has done; this side
never imports what draws. The only module that imports ``previz/``.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import cast

from anyio.lowlevel import checkpoint
from pydantic import Field, JsonValue

from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.errors import JobFailed, NoWorker, WorkerLost
from stage3_plugin.executors.base import Executor
from stage3_plugin.previz.cast import Cast, Describing, Naming
from stage3_plugin.previz.edition import DRAWING, Guides, Tone
from stage3_plugin.previz.order import Order, job_of
from stage3_plugin.previz.plate import Plate, Sheet
from stage3_plugin.renderers.base import not_drawn
from stage3_plugin.settings import PictureMaker, ProviderOptions

WORK = "stage3_plugin.previz.worker:draw"
"""What its executor runs: imported there, and never here."""

_SCENES_A_TURN = 16
"""How many scenes are studied, at some 0.3 ms each, before the event loop has its turn."""


class PrevizOptions(ProviderOptions):
    """What only storyboards have."""

    tone: Tone = Field(default="colour", description="`grey` is read by light alone.")
    guides: Guides = Field(
        default="none", description="Lines over the frame: thirds, or a screen's safe areas."
    )


class Previz(PictureMaker):
    """Draws storyboard frames.

    Args:
        executor: Does :data:`WORK`.
        caption: Whether the slate is written over the pictures; without it they are clean.
        options: The setting ``options``, as ``Options`` has taken it.
    """

    work = WORK
    Options = PrevizOptions
    needs_model = False
    default_size_px = (1280, 720)
    """16:9, as the video will be."""

    @staticmethod
    def api_problem(_api: str, /) -> None:
        """Draw whatever way of asking is set: nothing is asked."""

    def __init__(
        self,
        executor: Executor,
        *,
        caption: bool = True,
        options: Mapping[str, JsonValue] | None = None,
    ) -> None:
        self._executor = executor
        self._caption = caption
        self._options = PrevizOptions.model_validate(options or {})
        self._cast = Cast()

    def unmet(self, request: PictureRequest) -> tuple[str, ...]:
        """Name the wishes of a request that change nothing, by their field.

        Frames are drawn from words, always opaque, and there is one quality only.
        """
        wishes = {
            "negative_prompt": bool(request.negative_prompt),
            "style_tags": bool(request.unsaid_tags),
            "model": bool(request.model),
            "quality": request.quality != "medium",
            "references": bool(request.references or request.wishes),
            "background": request.background == "transparent",
        }
        return tuple(name for name, is_unmet in wishes.items() if is_unmet)

    async def study(self, story: Iterable[PictureRequest]) -> None:
        """Find out the names and looks of all characters; iterates ``story`` twice.

        Memory grows with the characters and their names, not with the scenes.
        """
        naming = Naming()
        await _show(story, naming.see)
        describing = Describing(naming.solve())
        await _show(story, describing.see)
        self._cast = describing.cast()

    def edition(self, request: PictureRequest) -> str:
        """Name what decides a picture.

        The release and its way of drawing, the scene, what its people look like, the caption, and
        what is not as usual.
        """
        drawing = (DRAWING, _release())
        known = self._cast.only(request.characters)
        unusual = self._options.model_dump(exclude_defaults=True)
        decides = (*drawing, _plate(request), known, self._caption, *sorted(unusual.items()))
        return hashlib.sha256(repr(decides).encode("utf-8", "surrogatepass")).hexdigest()

    async def render(self, request: PictureRequest, path: Path) -> Verdict | None:
        """Draw a picture, or return why not; ``path`` is there only when it is whole."""
        scene = repr(request.scene_id[:40])
        try:
            await self._executor.run(job_of(self._order(request)), path)
        except JobFailed as error:
            return not_drawn(f"scene {scene} could not be drawn: {error}")
        except NoWorker as error:
            return not_drawn(f"no renderer process can be started: {error}")
        except WorkerLost as lost:
            words = f"; its last words: {lost.last_words}" if lost.last_words else ""
            return not_drawn(f"the renderer process {lost.how} while it drew scene {scene}{words}")
        return None

    def _order(self, request: PictureRequest) -> Order:
        return Order(
            plate=_plate(request),
            cast=self._cast.only(request.characters),
            width_px=request.width_px,
            height_px=request.height_px,
            seed=request.seed or 0,
            caption=self._caption,
            tone=self._options.tone,
            guides=self._options.guides,
            output_format=request.output_format,
        )


async def _show(story: Iterable[PictureRequest], see: Callable[[Plate], None]) -> None:
    for count, request in enumerate(story, start=1):
        see(_plate(request))
        if count % _SCENES_A_TURN == 0:
            await checkpoint()


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
    def text_of(*fields: str) -> str | None:
        return next((value for field in fields if isinstance(value := entry.get(field), str)), None)

    character = text_of("id", "name")
    if not character:
        return None
    return Sheet(character, text_of("name"), text_of("description", "appearance") or "")
