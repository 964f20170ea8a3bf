"""What the main process tells a worker and what it hears back: one JSON object per line.

Both ends import this module and it imports nothing that draws. JSON and not pickle, so that a line
can be read by people and says nothing but data; lone surrogates pass as escapes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stage3_plugin.previz.cast import Cast, Member
from stage3_plugin.previz.plate import Plate


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One picture to draw.

    Attributes:
        plate: The scene.
        cast: The cast of this scene.
        width_px: The picture's width.
        height_px: The picture's height.
        seed: Another one moves what the prompt leaves open.
        caption: Whether the slate is written over it.
        path: Where the whole PNG appears.
        part: Where it is written first, in the same folder.
    """

    plate: Plate
    cast: Cast
    width_px: int
    height_px: int
    seed: int
    caption: bool
    path: str
    part: str


def order_line(order: Order) -> bytes:
    """Write an order as a line."""
    document = {
        "scene_id": order.plate.scene_id,
        "prompt": order.plate.prompt,
        "characters": order.plate.characters,
        "cast": {who: asdict(member) for who, member in order.cast.members.items()},
        "width_px": order.width_px,
        "height_px": order.height_px,
        "seed": order.seed,
        "caption": order.caption,
        "path": order.path,
        "part": order.part,
    }
    return json.dumps(document).encode("ascii") + b"\n"


def order_from(line: bytes) -> Order:
    """Read an order that :func:`order_line` wrote."""
    document: Mapping[str, Any] = json.loads(line)
    return Order(
        plate=Plate(document["scene_id"], document["prompt"], tuple(document["characters"])),
        cast=Cast({who: Member(**member) for who, member in document["cast"].items()}),
        width_px=document["width_px"],
        height_px=document["height_px"],
        seed=document["seed"],
        caption=document["caption"],
        path=document["path"],
        part=document["part"],
    )


def answer_line(problem: str | None) -> bytes:
    """Write what became of an order: ``None`` is well."""
    return json.dumps({"problem": problem}).encode("ascii") + b"\n"


def problem_in(line: bytes) -> str | None:
    """Read what became of an order."""
    problem: str | None = json.loads(line)["problem"]
    return problem
