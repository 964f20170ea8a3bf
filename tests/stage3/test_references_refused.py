"""How a vendor says no to a reference, and what that costs: over the loopback API, in its words."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from host_stub.contract import Scene, SceneReference
from stage3_plugin.settings import Settings
from tests.doors import Ran, Story, micro, purchases, run_stage, settings_for
from tests.fakes.behaviours import Json
from tests.fakes.bill import by_the_table
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.requests import Refusing, shown_in

pytestmark = pytest.mark.anyio

PROVIDERS: dict[str, dict[str, Any]] = {
    "openai": {},
    "openrouter": {"provider": "openrouter", "model": "openai/gpt-image-2"},
    "chat": {
        "provider": "openrouter",
        "api": "chat",
        "model": "google/gemini-3.1-flash-image",
    },
    "gemini": {"provider": "gemini", "model": "gemini-3.1-flash-image"},
}
MIRA, PIER = (make_png(one, 64, 64) for one in ("mira", "pier"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mira.png").write_bytes(MIRA)
    (tmp_path / "pier.png").write_bytes(PIER)
    return tmp_path


def buying(api: ImageApi, name: str, /, **more: Any) -> Settings:
    how = PROVIDERS[name]
    if how.get("provider") == "gemini":
        how = {**how, "base_url": api.root_url}
    return settings_for(api, **{"size": "1024x1024", "capacity": 1, **how, **more})


def showing(scene_id: str, *images: str, seed: int | None = None) -> Scene:
    return Scene(
        scene_id=scene_id,
        prompt=f"{scene_id}: a pier at dusk",
        seed=seed,
        references=images,
        reference_details=tuple(SceneReference(image=one, name=one) for one in images),
    )


async def run(settings: Settings, folder: Path, *scenes: Scene, **more: Any) -> Ran:
    return await run_stage(settings, Story(scenes), folder, scenes_dir=folder, **more)


def flagging(data: bytes) -> Refusing:
    return Refusing(frozenset({hashlib.sha256(data).hexdigest()}))


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("seed", [None, 7])
async def test_a_flagged_reference_is_a_cause_of_its_own(
    name: str, seed: int | None, image_api: ImageApi, folder: Path
) -> None:
    """It is asked for once, with no other seed; a scene that shows another one is made."""
    image_api.refuses = flagging(MIRA)
    scenes = showing("s1", "pier.png", "mira.png", seed=seed), showing("s2", "pier.png")
    ran = await run(buying(image_api, name), folder, *scenes)

    failure = ran.outcomes["s1"].failure
    assert failure is not None
    assert (failure.code, failure.cause, failure.retryable) == ("refused", "reference", False)
    assert "reference" in failure.message
    assert ran.code("s2") == "made"
    assert image_api.received("s1:") == 1


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_flagged_prompt_is_none(name: str, image_api: ImageApi, folder: Path) -> None:
    """The same is said of a scene that shows nothing."""
    image_api.refuses = Refusing(word="dusk")
    ran = await run(buying(image_api, name), folder, showing("s1"))

    failure = ran.outcomes["s1"].failure
    assert failure is not None
    assert (failure.code, failure.cause) == ("refused", "prompt")
    assert "reference" not in failure.message


async def test_a_picture_that_came_out_badly_is_not_the_references_fault(
    image_api: ImageApi, folder: Path
) -> None:
    details = {"moderation_stage": "output", "categories": ["violence"]}
    error = {"code": "moderation_blocked", "message": "Blocked.", "moderation_details": details}
    image_api.script(Json({"error": error}, status=400), scene="s1:")
    ran = await run(buying(image_api, "openai"), folder, showing("s1", "mira.png"))

    failure = ran.outcomes["s1"].failure
    assert failure is not None
    assert failure.cause == "output"


@pytest.mark.parametrize("name", PROVIDERS)
async def test_no_bill_is_above_its_hold(name: str, image_api: ImageApi, folder: Path) -> None:
    """Also where references are most of it: so a cap is kept with fourteen of them as with none."""
    image_api.bill = by_the_table
    many = [f"{number}.png" for number in range(14)]
    for one in many:
        (folder / one).write_bytes(make_png(one, 32, 32))
    scenes = [showing("s0"), *(showing(f"s{number}", *many) for number in range(1, 6))]
    ran = await run(buying(image_api, name), folder, *scenes, max_cost_usd=Decimal("0.40"))

    bought = purchases(folder)
    assert {one.scene_id for one in bought} == {
        one for one in ran.outcomes if ran.code(one) == "made"
    }
    for purchase in bought:
        assert purchase.cost_microusd is not None
        assert purchase.cost_microusd <= purchase.hold_microusd
    dearest = max(one.cost_microusd or 0 for one in bought)
    assert dearest > (micro(ran.outcomes["s0"].cost.usd) or 0)


async def test_what_is_too_much_together_goes_as_smaller_copies(
    image_api: ImageApi, folder: Path
) -> None:
    """Google takes 20 MB a request, so fourteen files of a megabyte and a half do not go as is."""
    image_api.refuses = Refusing()
    many = [f"{number}.png" for number in range(14)]
    for number, one in enumerate(many):
        (folder / one).write_bytes(noise(number, 700))
    ran = await run(buying(image_api, "gemini"), folder, showing("s1", *many))

    assert ran.code("s1") == "made"
    (asked,) = image_api.asked("s1:")
    assert int(asked.headers["content-length"]) < 20_000_000
    shown = shown_in(asked)
    params: Any = ran.outcomes["s1"].generation_params["references"]
    assert [one["sent_sha256"] for one in params] == [one.sha256 for one in shown]
    assert [one["sha256"] for one in params] == [
        hashlib.sha256((folder / one).read_bytes()).hexdigest() for one in many
    ]


def noise(seed: int, side_px: int) -> bytes:
    """Make a PNG that cannot be packed."""
    pixels = random.Random(seed)
    rows = b"".join(b"\0" + pixels.randbytes(3 * side_px) for _ in range(side_px))
    head = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)
        for kind, data in chunks
    )


async def test_a_server_without_edits_makes_what_shows_nothing(
    image_api: ImageApi, folder: Path
) -> None:
    """And says of the others what may be wrong; it costs nothing."""
    image_api.script(Json({"error": {"message": "Not Found"}}, status=404), scene="s1:")
    scenes = showing("s1", "mira.png"), showing("s2")
    ran = await run(buying(image_api, "openai"), folder, *scenes)

    failure = ran.outcomes["s1"].failure
    assert failure is not None
    assert failure.code == "rejected"
    assert "takes references" in failure.message
    assert ran.code("s2") == "made"
