"""A key that a command gives: had anew once, and only before anything was bought with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from host_stub.cli import main
from stage3_plugin.runtime.masking import MASK, Masked
from stage3_plugin.settings import Settings
from stage3_plugin.testing.wire import Exchange
from tests import doors
from tests.doors import settings_for
from tests.fakes.behaviours import Gate, Json, Ok
from tests.fakes.image_api import KEY, ImageApi
from tests.stage3.running import run_stage, story


def test_a_secret_that_comes_later_is_masked_beside_the_first() -> None:
    """Whatever search was made of the first alone."""
    masked = Masked(["first-key-0123456789"])
    assert masked.text("first-key-0123456789") == MASK
    masked.add(["second-key-0123456789"])
    told = "first-key-0123456789 second-key-0123456789"

    assert masked.text(told) == f"{MASK} {MASK}"
    assert masked.covered(told.encode()) == b"*" * 20 + b" " + b"*" * 21


# In a run ---------------------------------------------------------------------------------------

STALE = "sk-stale-5678901234567890"


@dataclass
class Anew:
    """Reads settings whose key is another one by now."""

    settings: Settings | None
    asked: int = 0

    def __call__(self) -> Settings | None:
        self.asked += 1
        return self.settings


def keys_of(api: ImageApi) -> list[str]:
    """Return the keys that requests came with."""
    return [entry.asked.headers["authorization"].removeprefix("Bearer ") for entry in api.entries]


@pytest.mark.anyio
async def test_a_run_whose_key_has_run_out_goes_on_with_the_next(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Every scene that was turned away is sent again, and no picture is bought twice."""
    anew = Anew(settings_for(image_api))
    stale = settings_for(image_api, api_key=STALE, capacity=3)
    ran = await run_stage(stale, story("s1", "s2", "s3", "s4"), tmp_path, anew=anew)
    keys = keys_of(image_api)

    assert {scene: ran.code(scene) for scene in ran.outcomes} == dict.fromkeys(
        ("s1", "s2", "s3", "s4"), "made"
    )
    assert anew.asked == 1
    assert keys.count(KEY) == image_api.billed() == 4
    assert 1 <= keys.count(STALE) <= 3
    assert len(ran.named("scene.retried")) == keys.count(STALE)
    assert all(event["cause"] == "credentials" for event in ran.named("scene.retried"))


@dataclass(frozen=True)
class TurnedAway:
    """Take no key, and say so once all requests are there."""

    gate: Gate

    async def answer(self, exchange: Exchange) -> None:
        await self.gate.passed()
        await exchange.reply_json(401, {"error": {"code": "invalid_api_key", "message": "no"}})


@pytest.mark.anyio
async def test_all_that_left_with_a_key_that_has_run_out_are_sent_with_the_next(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Whoever hears of it first asks for the next key, and the others go on with that one."""
    gate, image_api.key = Gate(), None
    image_api.script(*[TurnedAway(gate)] * 3)
    anew = Anew(settings_for(image_api))

    async def open_once_all_are_there() -> None:
        while image_api.received() < 3:
            await anyio.sleep(0.01)
        gate.open()

    ran = doors.Ran()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(open_once_all_are_there)
        stale = settings_for(image_api, api_key=STALE, capacity=3, adaptive=False)
        await doors.run_stage(stale, doors.scenes(3), tmp_path, anew=anew, into=ran)

    assert {ran.code(scene) for scene in ran.outcomes} == {"made"}
    assert anew.asked == 1
    assert sorted(keys_of(image_api)) == sorted([STALE] * 3 + [KEY] * 3)


@pytest.mark.anyio
@pytest.mark.parametrize("api_key", [STALE, "sk-other-567890123456789", None])
async def test_a_key_that_is_not_taken_either_ends_the_run(
    image_api: ImageApi, tmp_path: Path, api_key: str | None
) -> None:
    """It is asked for once; the sentence is the usual one."""
    anew = Anew(None if api_key is None else settings_for(image_api, api_key=api_key))
    stale = settings_for(image_api, api_key=STALE, capacity=1)
    ran = await run_stage(stale, story("s1", "s2"), tmp_path, anew=anew)

    assert (ran.code("s1"), ran.code("s2")) == ("credentials", "not_tried")
    assert (anew.asked, image_api.billed()) == (1, 0)
    assert keys_of(image_api) == ([STALE] if api_key in {STALE, None} else [STALE, api_key])


@pytest.mark.anyio
async def test_a_key_that_pictures_were_bought_with_is_kept(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Another one may be of another account, whose limits nobody has looked at."""
    image_api.script(Ok(), Json({"error": {"code": "invalid_api_key"}}, status=401))
    anew = Anew(settings_for(image_api, api_key="sk-other-567890123456789"))
    ran = await run_stage(
        settings_for(image_api, capacity=1), story("s1", "s2", "s3"), tmp_path, anew=anew
    )

    assert [ran.code(scene) for scene in ("s1", "s2", "s3")] == ["made", "credentials", "not_tried"]
    assert anew.asked == 0


def everything_in(folder: Path) -> Iterator[bytes]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".txt":
            yield path.read_bytes()


def test_a_command_is_asked_twice_at_most_and_neither_key_is_written(
    image_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the command line: the first key has run out, and the server quotes whatever it is sent."""
    monkeypatch.chdir(tmp_path)
    image_api.key = None  # it says by itself which key it does not take
    stale = {"error": {"message": f"Incorrect API key: {STALE}", "code": "invalid_api_key"}}
    quoting = {"error": {"message": f"{KEY} is the key, {STALE} was", "code": "invalid_value"}}
    image_api.script(Json(stale, status=401), Ok(), Json(quoting, status=400))
    (tmp_path / "keys.txt").write_text(f"{STALE}\n{KEY}\n", "utf-8")
    told = [{"scene_id": name, "image_prompt": "a pier"} for name in ("s1", "s2")]
    (tmp_path / "scenes.json").write_text(json.dumps(told), "utf-8")
    script = "head -n 1 keys.txt && sed -i 1d keys.txt && echo asked >> asked.txt"
    (tmp_path / "host.toml").write_text(
        '[plugin.stage3]\nprovider = "openai"\nmodel = "gpt-image-2"\n'
        f'base_url = "{image_api.base_url}"\ncapacity = 1\n'
        f"api_key = {{ command = {json.dumps(['sh', '-c', script])} }}\n",
        "utf-8",
    )
    code = main(["run", "scenes.json"])
    said: Any = capsys.readouterr()
    written = b"".join([*everything_in(tmp_path), said.out.encode(), said.err.encode()])

    assert code == 1, said.err
    assert keys_of(image_api) == [STALE, KEY, KEY]
    assert b"*** is the key, ***" in written
    assert (tmp_path / "asked.txt").read_text("utf-8").split() == ["asked"] * 2
    assert KEY.encode() not in written
    assert STALE.encode() not in written
