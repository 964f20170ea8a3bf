"""What makes a picture the same, and what a damaged ledger buys: by the commands of a project."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from host_stub.contract import StageError
from tests.doors import Ran, painter, run_stage, settings_for, story
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import ImageApi

pytestmark = pytest.mark.anyio


def reused(ran: Ran) -> bool:
    [outcome] = ran.outcomes.values()
    return outcome.reused


@pytest.mark.parametrize(
    "change, is_found",
    [
        ({"seed": 7}, 1),
        ({"capacity": 1}, 1),
        ({"budget_usd": "9"}, 1),
        ({"quality": "high"}, 0),
        ({"size": "96x96"}, 0),
        ({"model": "gpt-image-2.5-flare"}, 0),
        ({"output_format": "webp"}, 0),
        ({"background": "opaque"}, 0),
    ],
    ids=str,
)
async def test_what_decides_a_picture_buys_it_anew_and_nothing_else(
    change: dict[str, object], is_found: int, image_api: ImageApi, tmp_path: Path
) -> None:
    """A seed that the provider is not sent decides nothing; changed back, all are found."""
    first, asked = settings_for(image_api, price_usd="0.05"), story("s1")
    await run_stage(first, asked, tmp_path)
    ran = await run_stage(settings_for(image_api, price_usd="0.05", **change), asked, tmp_path)
    back = await run_stage(first, asked, tmp_path)

    assert (reused(ran), reused(back)) == (is_found, True)
    assert image_api.received() == 2 - is_found


@pytest.mark.parametrize("seed", [0, 7])
async def test_a_seed_decides_a_picture_where_it_is_sent(
    seed: int, image_api: ImageApi, tmp_path: Path
) -> None:
    """Nought is one like any other; without it, the picture from before is found."""
    settings = painter(image_api)
    await run_stage(settings, story("s1"), tmp_path)
    ran = await run_stage(settings, story("s1", seed=seed), tmp_path)
    back = await run_stage(settings, story("s1"), tmp_path)

    assert (reused(ran), reused(back)) == (False, True)
    assert [asked.document.get("seed") for asked in image_api.asked("s1")] == [None, seed]


async def test_another_address_buys_anew_unless_it_is_said_to_be_the_same(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Or a mock server's pictures would be taken for the real one's."""
    with ImageApi() as other:
        await run_stage(painter(image_api), story("s1"), tmp_path)
        named = {"name": "studio", "was": [image_api.base_url]}
        same = await run_stage(painter(other, endpoint=named), story("s1"), tmp_path)
        apart = await run_stage(painter(other), story("s1"), tmp_path)

    assert (reused(same), reused(apart)) == (True, False)


@pytest.mark.parametrize("seed", range(12))
async def test_one_bit_of_a_ledger_buys_nothing(
    seed: int, image_api: ImageApi, tmp_path: Path
) -> None:
    """Of a ledger that somebody died over: it is refused, or the pictures are found."""
    image_api.always(Ok(usage=None))
    await run_stage(painter(image_api), story("s1", "s2", "s3"), tmp_path)
    ledger = tmp_path / ".stage3" / "ledger.db"
    data = bytearray(ledger.read_bytes())
    chance = random.Random(seed)
    data[chance.randrange(100, len(data))] ^= 1 << chance.randrange(8)
    ledger.write_bytes(data)
    (tmp_path / ".stage3" / "owners" / f"{purchases_of_the_dead()}.lock").touch(mode=0o600)

    with suppress(StageError):  # with what is wrong, and the next step
        await run_stage(painter(image_api), story("s1", "s2", "s3"), tmp_path)

    assert image_api.received() == 3


def purchases_of_the_dead() -> str:
    """Name a run whose lock is there and that does not live: a start looks through its ledger."""
    return "d" * 32
