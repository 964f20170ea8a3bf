"""Pictures for a rehearsal: what the prompt says as a storyboard, another one each time.

Apart from the server, which answers with patterns in tests and needs nothing but Python for that:
here worker processes draw, by the renderer ``previz``, in the size and the format that were asked
for. The first request for a prompt is its take 1, and the number stands on the picture.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.executors.replicas import Processes
from stage3_plugin.renderers.previz import WORK, Previz
from stage3_plugin.testing.bill import SIDES
from stage3_plugin.testing.wire import Asked

_STEP_PX = 16


class Storyboards:
    """Draws what is asked for; called in any one thread."""

    def __init__(self, portal: BlockingPortal, previz: Previz, folder: Path) -> None:
        self._portal, self._previz, self._folder = portal, previz, folder
        self._takes = Counter[str]()
        self.begun: list[Future[Verdict | None]] = []

    def __call__(self, asked: Asked) -> Callable[[], bytes]:
        """Begin to draw, and return what waits for the picture's bytes."""
        self._takes[asked.prompt] += 1
        take = self._takes[asked.prompt]
        said = _flat(asked.document)
        width_px, height_px = _size_px(said)
        request = PictureRequest(
            scene_id=f"take {take}",
            prompt=asked.prompt,
            width_px=width_px,
            height_px=height_px,
            output_format=str(said.get("output_format", "png")).replace("jpg", "jpeg"),
            seed=take,
        )
        path = self._folder / f"{len(self.begun)}"
        future = self._portal.start_task_soon(self._previz.render, request, path)
        self.begun.append(future)

        def drawn() -> bytes:
            if (failed := future.result()) is not None:
                raise RuntimeError(failed.message)
            return path.read_bytes()

        return drawn


@contextmanager
def storyboards() -> Generator[Storyboards]:
    """Draw until the end of the block; what is not drawn then is given up."""
    with (
        TemporaryDirectory() as folder,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Processes(WORK)) as executor,
    ):
        draws = Storyboards(portal, Previz(executor), Path(folder))
        try:
            yield draws
        finally:
            for future in draws.begun:
                future.cancel()


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request, wherever its vendor has them."""
    flat: dict[str, Any] = {}
    for name, value in document.items():
        inner = isinstance(value, dict)
        flat |= _flat(cast("dict[str, Any]", value)) if inner else {name: value}
    return flat


def _size_px(said: Mapping[str, Any]) -> tuple[int, int]:
    """Return the size that is asked for, in pixels or by a ratio and a tier."""
    if isinstance(width := said.get("width"), int) and isinstance(
        height := said.get("height"), int
    ):
        return width, height
    if (size := re.fullmatch(r"(\d+)x(\d+)", str(said.get("size")))) is not None:
        return int(size[1]), int(size[2])
    ratio = re.fullmatch(r"(\d+):(\d+)", str(said.get("aspect_ratio") or said.get("aspectRatio")))
    across, down = (int(ratio[1]), int(ratio[2])) if ratio else (1, 1)
    words = (said.get(name) for name in ("image_size", "imageSize", "resolution", "size"))
    tier = next((SIDES[word] for one in words if (word := str(one).upper()) in SIDES), SIDES["1K"])
    scale = tier / math.sqrt(across * down) / _STEP_PX
    return round(across * scale) * _STEP_PX, round(down * scale) * _STEP_PX
