"""Small pictures for stories, and takes of them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from host_stub.contract import Cost, Role
from host_stub.story.keeper import Story
from host_stub.story.takes import NewTake, Take

KINDS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
PAID = Cost(usd=Decimal("0.04"), basis="flat")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def picture(number: int, kind: str = "PNG") -> bytes:
    """Return a picture; each number has its own."""
    file = io.BytesIO()
    Image.new("RGB", (8, 4), (number % 256, number // 256 % 256, 7)).save(
        file, kind, **({} if kind == "PNG" else {"quality": 95})
    )
    return file.getvalue()


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def new_take(scene_id: str, number: int, *, kind: str = "PNG", **changes: Any) -> NewTake:
    """Return a take of a scene with a picture of this number, bought as ``<scene>/<number>``."""
    said: dict[str, Any] = {
        "scene_id": scene_id,
        "sha256": sha256_of(picture(number, kind)),
        "media_type": KINDS[kind],
        "width": 8,
        "height": 4,
        "plugin": "stage3",
        "purchase": f"{scene_id}/{number}/{kind}",
        "basis": "A",
        "cost": PAID,
        "made_at": LONG_AGO + timedelta(seconds=number),
    }
    return NewTake(**(said | changes))


def numbered(number: int, **changes: Any) -> Take:
    """Return a take of scene ``s1`` as it is written down."""
    new = new_take("s1", number)
    said: dict[str, Any] = {one.name: getattr(new, one.name) for one in fields(new)}
    said.update(changes, number=number)
    return Take(**said)


def put(story: Story, take: NewTake, content: bytes) -> Path:
    """Put a picture where its take lies, as a plugin does."""
    place = story.files.place_of(take)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def deliver(
    story: Story,
    scene_id: str,
    number: int,
    *,
    kind: str = "PNG",
    basis: str | None = "A",
    keep_bytes: bool = False,
    **changes: Any,
) -> Take:
    """Take in a picture of a scene whose present basis is the take's own."""
    take = new_take(scene_id, number, kind=kind, **({"basis": basis} | changes))
    put(story, take, picture(number, kind))
    (taken,) = story.take_in([(take, basis)], keep_bytes=keep_bytes)
    return taken


def shown_in(out_dir: Path, role: Role = "scene") -> dict[str, bytes]:
    """Return all that lies in ``images``, but for folders."""
    folder = out_dir / "images"
    if not folder.is_dir():
        return {}
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}
