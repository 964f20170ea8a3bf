"""What the main process orders of a worker: one picture, as a JSON object.

Both ends import this module and it imports nothing that draws. JSON and not pickle, so that an
order can be read by people and says nothing but data; lone surrogates pass as escapes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stage3_plugin.previz.cast import Cast, Member
from stage3_plugin.previz.edition import Guides, Tone
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
        tone: Whether it has colours.
        guides: Which lines are laid over it.
        output_format: ``png``, ``jpeg`` or ``webp``.
    """

    plate: Plate
    cast: Cast
    width_px: int
    height_px: int
    seed: int
    caption: bool
    tone: Tone = "colour"
    guides: Guides = "none"
    output_format: str = "png"


def job_of(order: Order) -> bytes:
    """Write an order down."""
    document = {
        "scene_id": order.plate.scene_id,
        "prompt": order.plate.prompt,
        "characters": order.plate.characters,
        "cast": {who: asdict(member) for who, member in order.cast.members.items()},
        "width_px": order.width_px,
        "height_px": order.height_px,
        "seed": order.seed,
        "caption": order.caption,
        "tone": order.tone,
        "guides": order.guides,
        "output_format": order.output_format,
    }
    return json.dumps(document).encode("ascii")


def order_from(job: bytes) -> Order:
    """Read an order that :func:`job_of` wrote."""
    document: Mapping[str, Any] = json.loads(job)
    return Order(
        plate=Plate(document["scene_id"], document["prompt"], tuple(document["characters"])),
        cast=Cast({who: Member(**member) for who, member in document["cast"].items()}),
        width_px=document["width_px"],
        height_px=document["height_px"],
        seed=document["seed"],
        caption=document["caption"],
        tone=document["tone"],
        guides=document["guides"],
        output_format=document["output_format"],
    )
