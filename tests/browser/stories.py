"""Made-up stories as the page is told them: by the code of real ones, with made-up pictures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from host_stub.contract import Cost, Scene
from host_stub.review.told import NAME, THUMBS, Told, row_of, write_page
from host_stub.standing.standing import SceneStanding
from host_stub.story.takes import Take

BASIS = "0" * 64
EARLIER = "1" * 64
PRICE = Decimal("0.042")
BEGAN = datetime(2026, 11, 26, 9, tzinfo=UTC)
PLACES = (
    "a harbour at dusk",
    "the lamp room in a storm",
    "two oilskins on a hook",
    "an empty pier",
)
COLOURS = ("#26465a", "#7a4a2b", "#3d5a3a", "#5a3a55", "#8a7a3a", "#2b2b38")


def sha256_of(*words: object) -> str:
    return hashlib.sha256("/".join(map(str, words)).encode()).hexdigest()


def take(scene_id: str, number: int, **other: Any) -> Take:
    """Return a take that was paid for and is current, but for what is said otherwise."""
    values: dict[str, Any] = {
        "scene_id": scene_id,
        "number": number,
        "sha256": sha256_of(scene_id, number),
        "media_type": "image/png",
        "width": 1536,
        "height": 1024,
        "plugin": "stage3",
        "purchase": sha256_of("purchase", scene_id, number)[:26],
        "basis": BASIS,
        "provider": "openai",
        "model": "gpt-image-2",
        "cost": Cost(usd=PRICE, basis="reported"),
        "made_at": BEGAN + timedelta(seconds=number),
    }
    return Take(**(values | other))


def standing(scene_id: str, position: int, takes: Iterable[Take], **other: Any) -> SceneStanding:
    """Return how a scene stands that shows its first take, but for what is said otherwise."""
    own = tuple(takes)
    prompt = f"{PLACES[position % len(PLACES)]}, picture {position + 1}"
    values: dict[str, Any] = {
        "scene_id": scene_id,
        "position": position,
        "scene": Scene(scene_id=scene_id, prompt=prompt),
        "state": "current" if own else "missing",
        "shown": own[0] if own else None,
        "takes": own,
        "basis": BASIS,
        "size": "1536x1024",
        "cost_usd": PRICE,
    }
    return SceneStanding(**(values | other))


def story_of(count: int, takes: int = 3) -> Iterator[SceneStanding]:
    """Return scenes that are all made, each with so many takes."""
    for position in range(count):
        name = f"scene_{position + 1:03}"
        own = [take(name, number) for number in range(1, takes + 1)]
        yield standing(name, position, own, wanted=takes)


def every_kind(count: int = 40) -> list[SceneStanding]:
    """Return a story in which every state, mark and kind of take is found."""
    scenes = list(story_of(count))
    name = [one.scene_id for one in scenes]
    old = [replace(one, basis=EARLIER) for one in scenes[1].takes]
    scenes[1] = replace(scenes[1], state="stale", reasons=("prompt", "sheet"), takes=tuple(old))
    scenes[2] = standing(name[2], 2, ())
    scenes[3] = standing(name[3], 3, (), state="held", problem="a request may have been billed")
    scenes[4] = standing(name[4], 4, (), problem="refused: the provider's policy says no")
    scenes[5] = replace(scenes[5], wrong_aspect=True)
    scenes[6] = standing(
        name[6],
        6,
        [
            take(
                name[6],
                1,
                is_draft=True,
                provider="previz",
                cost=Cost(usd=Decimal(0), basis="free"),
            ),
            take(name[6], 2),
            take(name[6], 3, is_import=True, plugin=None, purchase=None, provider=None, model=None),
            take(name[6], 4, is_rejected=True),
        ],
    )
    scenes[7] = standing(name[7], 7, [take(name[7], 1)])
    scenes[8] = standing(name[8], 8, [take(name[8], number) for number in range(1, 21)])
    sheet = standing("mira", 0, [take("mira", 1), take("mira", 2)], role="sheet", scene=None)
    return [replace(sheet, position=None), *scenes]


def rows_of(
    scenes: Iterable[SceneStanding],
    *,
    has_thumb: Callable[[str], bool] = lambda _: True,
    notes: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return what the page is told of scenes."""
    return [
        row_of(
            one,
            number=(one.position or 0) + 1,
            path_of=lambda own: f"takes/{own.scene_id}/{own.sha256[:12]}.png",
            has_thumb=has_thumb,
            notes=[("ben", words)] if (words := (notes or {}).get(one.scene_id)) else [],
        )
        for one in scenes
    ]


def written(
    out: Path,
    scenes: Iterable[SceneStanding],
    *,
    name: str = "The lighthouse",
    is_running: bool = False,
    notes: dict[str, str] | None = None,
    whole_pictures: bool = True,
) -> Path:
    """Write a story's page with its pictures, and return the folder of the results.

    Args:
        out: That folder.
        scenes: The story.
        name: The story's.
        is_running: A run is at work on it.
        notes: What is noted, by scene.
        whole_pictures: The takes themselves are there, too.
    """
    scenes = list(scenes)
    rows = rows_of(scenes, notes=notes)
    write_page(out, Told(story_id="t", name=name, scenes=rows, is_running=is_running))
    takes = [own for one in scenes for own in one.takes]
    _put(out, "webp", takes, lambda own: out / NAME / THUMBS / f"{own.sha256}.webp")
    if whole_pictures:
        _put(out, "png", takes, lambda own: out / "takes" / own.scene_id / f"{own.sha256[:12]}.png")
    return out


def _put(out: Path, kind: str, takes: Iterable[Take], place: Callable[[Take], Path]) -> None:
    """Give each take one of a few pictures: many names cost little, many pictures a lot."""
    drawn = [_drawn(out / f"made-up-{number}.{kind}", number) for number in range(len(COLOURS))]
    for position, own in enumerate(takes):
        path = place(own)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(drawn[position % len(drawn)], path)


def _drawn(path: Path, number: int) -> Path:
    picture = Image.new("RGB", (320, 213), COLOURS[number])
    draw = ImageDraw.Draw(picture)
    draw.polygon([(0, 213), (90 + 20 * number, 70), (320, 213)], fill="#101418")
    draw.ellipse([220 - 9 * number, 25, 260 - 9 * number, 65], fill="#f3e3b3")
    picture.save(path)
    return path
