"""Every row of the outcome table, end to end: from settings over real sockets to files on disk.

What was billed is asked of the server, not of the stage.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from host_stub.contract import StageError
from stage3_plugin.settings import Settings
from tests.doors import Ran, run_stage, settings_for, story
from tests.fakes.behaviours import (
    BadBase64,
    Behaviour,
    CutBody,
    CutJson,
    CutPng,
    Drip,
    EmptyData,
    Endless,
    Gzip,
    Hang,
    Json,
    Limited,
    Ok,
    Page,
    Raw,
    Redirect,
    ResetAfterRead,
    ServerError,
    TextOnly,
)
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.stage3 import running

pytestmark = pytest.mark.anyio

Result = TypeVar("Result")


def error(status: int, **fields: object) -> Json:
    """Answer an error object, as OpenAI shapes it."""
    return Json({"error": {"message": "no", "param": None, **fields}}, status=status)


def openrouter_error(status: int, message: str = "no", **metadata: object) -> Json:
    """Answer an error object, as OpenRouter shapes it."""
    return Json(
        {"error": {"code": status, "message": message, "metadata": metadata}}, status=status
    )


@dataclass(frozen=True)
class Row:
    """One row: what the server does to scene ``b`` first, and what must come of it.

    ``sent`` is how often scene ``b`` is received, ``stops`` whether the run ends with it.
    """

    name: str
    behaviour: Behaviour
    code: str
    sent: int = 1
    stops: bool = False
    cost_is_known: bool = True
    more: tuple[tuple[str, Any], ...] = ()


OPENROUTER = (("provider", "openrouter"),)
CHAT = (("provider", "openrouter"), ("api", "chat"))
SHORT = (("timeout_s", 0.5),)
SMALL = (("max_reply_bytes", 1 << 20),)

IN_FLIGHT_BUDGET = {
    "error": {
        "code": 402,
        "message": "too much in flight",
        "metadata": {"limit_source": "openrouter_in_flight_budget"},
    }
}

ROWS = [
    # answers with a picture, however odd
    Row("a picture", Ok(), "made", cost_is_known=True),
    Row("chunked", Ok(framing="chunked", heavy=True), "made"),
    Row("closed at its end", Ok(framing="close", heavy=True), "made"),
    Row("no usage", Ok(usage=None), "made", cost_is_known=False),
    Row("a data URL", Ok(data_url=True), "made"),
    Row("an address", Ok(url="own"), "made"),
    Row("a relative address", Ok(url="relative"), "made"),
    Row("gzip unasked", Gzip(), "made"),
    Row("a raw picture", Raw(make_png("b", 64, 64)), "made", cost_is_known=False),
    Row("another size", Ok(size_px=(32, 48)), "made"),
    Row("odd fields", Ok(extra={"created": 0, "size": "1536x864", "new": {"a": [1]}}), "made"),
    # provably not run, or told by the provider: sent again
    Row("429 with a hint", Limited(hint="retry-after", wait_s=0.05), "made", sent=2),
    Row("429 in milliseconds", Limited(hint="retry-after-ms", wait_s=0.05), "made", sent=2),
    Row("429 in words", Limited(hint="text", wait_s=0.05), "made", sent=2),
    Row("429 in details", Limited(hint="retry-info", wait_s=0.05), "made", sent=2),
    Row("429 without a hint", Limited(), "made", sent=2),
    Row("429 for too long", Limited(hint="retry-after", wait_s=500), "rate_limited"),
    Row("500", ServerError(500), "made", sent=2),
    Row("503", ServerError(503), "made", sent=2),
    Row("529", openrouter_error(529, "Overloaded"), "made", sent=2, more=OPENROUTER),
    Row("402 in flight", Json(
        IN_FLIGHT_BUDGET, status=402, headers={"Retry-After": "0"}
    ), "made", sent=2, more=OPENROUTER),
    Row("402 in flight, a minute by default", Json(
        IN_FLIGHT_BUDGET, status=402
    ), "rate_limited", more=(*OPENROUTER, ("max_wait_s", 59))),
    # this scene fails, the others go on
    Row("moderation", error(
        400, code="moderation_blocked", type="image_generation_user_error"
    ), "refused"),
    Row("older moderation", error(400, code="content_policy_violation"), "refused"),
    Row("403 moderation", openrouter_error(
        403, reasons=["violence"], flagged_input="a very secret prompt"
    ), "refused", more=OPENROUTER),
    Row("Gemini's moderation", openrouter_error(
        400, block_reason="PROHIBITED_CONTENT"
    ), "refused", more=OPENROUTER),
    Row("unknown parameter", error(400, code="unknown_parameter", param="size"), "rejected"),
    Row("413", error(413), "rejected"),
    Row("422", Json({"detail": [{"loc": ["body"], "msg": "too long"}]}, status=422), "rejected"),
    # may have been billed: never sent again
    Row("reset after reading", ResetAfterRead(), "unknown", cost_is_known=False),
    Row("reset in the body", CutBody(by="reset"), "unknown", cost_is_known=False),
    Row("closed in the body", CutBody(by="close"), "unknown", cost_is_known=False),
    Row("cut chunks", CutBody(by="close", framing="chunked"), "unknown", cost_is_known=False),
    Row("cut without framing", CutBody(by="close", framing="close"), "unknown",
        cost_is_known=False),
    Row("no answer", Hang(), "unknown", cost_is_known=False, more=SHORT),
    Row("a dripping answer", Drip(), "unknown", cost_is_known=False, more=SHORT),
    Row("a proxy's page", Page(502), "unknown", cost_is_known=False),
    Row("a page with 200", Page(200), "unknown", cost_is_known=False),
    Row("504 without the provider", Page(504), "unknown", cost_is_known=False),
    Row("cut JSON", CutJson(), "unknown", cost_is_known=False),
    Row("408", ServerError(408), "unknown", cost_is_known=False),
    Row("504 in the provider's words", ServerError(504), "unknown", cost_is_known=False),
    Row("529 in other words", openrouter_error(529, "Provider returned error"), "unknown",
        cost_is_known=False, more=OPENROUTER),
    Row("303", Redirect("http://127.0.0.1:9/", status=303), "unknown", cost_is_known=False),
    Row("a redirect", Redirect("http://127.0.0.1:9/"), "unknown", cost_is_known=False, stops=True),
    Row("endless", Endless(), "unknown", cost_is_known=False, more=SMALL),
    Row("a bomb", Gzip(bomb=True), "unknown", cost_is_known=False, more=SMALL),
    Row("bad base64", BadBase64(), "unreadable"),
    Row("a cut PNG", CutPng(heavy=True), "unreadable"),
    Row("a foreign address", Ok(url="foreign"), "pending"),
    Row("empty data", EmptyData(), "no_picture"),
    Row("text only", TextOnly(), "no_picture", more=CHAT),
    # 200 with an error: by its code
    Row("200 with moderation", error(200, code="moderation_blocked"), "refused"),
    Row("200 with overload", Json(
        {"choices": [{"finish_reason": "error", "error": {"code": 503, "message": "overloaded"}}]}
    ), "made", sent=2, more=CHAT),
    # nothing more can be made
    Row("401", error(401, code="invalid_api_key"), "credentials", stops=True),
    Row("Gemini's bad key", Json({"error": {
        "code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT",
        "details": [{"reason": "API_KEY_INVALID"}],
    }}, status=400), "credentials", stops=True),
    Row("hard limit", error(400, code="billing_hard_limit_reached"), "out_of_money", stops=True),
    Row("no quota", error(
        429, type="insufficient_quota", code="insufficient_quota"
    ), "out_of_money", stops=True),
    Row("402", openrouter_error(
        402, limit_source="openrouter_credits"
    ), "out_of_money", stops=True, more=OPENROUTER),
    Row("403 key limit", openrouter_error(
        403, "Key limit exceeded (daily limit)"
    ), "out_of_money", stops=True, more=OPENROUTER),
    Row("free tier", openrouter_error(
        429, limit_source="openrouter_free_tier_daily"
    ), "out_of_money", stops=True, more=OPENROUTER),
    Row("unknown model", error(404, code="model_not_found"), "rejected", stops=True),
]  # fmt: skip


EVIDENCE = {"unknown", "unreadable", "no_picture", "pending"}
"""The codes of what was perhaps billed and has brought no picture yet: its answer is kept."""


def settings_of(row: Row, api: ImageApi) -> Settings:
    return settings_for(api, capacity=1, **dict(row.more))


async def run_row(row: Row, api: ImageApi, folder: Path) -> Ran:
    api.script(row.behaviour, scene="b:")
    return await run_stage(settings_of(row, api), story("a", "b", "c"), folder)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # of an answer, no loop says more
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_row_of_the_outcome_table(row: Row, image_api: ImageApi, tmp_path: Path) -> None:
    """The scene ends as the row says, it was sent as often, and the others are not harmed.

    The next run makes it unless it is there, or may have been billed and may still come.
    """
    ran = await run_row(row, image_api, tmp_path)

    assert ran.code("a") == "made"
    assert ran.code("b") == row.code
    assert ran.code("c") == ("not_tried" if row.stops else "made")
    assert image_api.received("b:") == row.sent
    assert ran.outcomes["b"].attempts == row.sent
    assert (ran.ending is not None and ran.ending.stopped is not None) == row.stops
    if row.cost_is_known is False:
        is_held = row.code in {"made", "unreadable", "no_picture"}
        assert ran.outcomes["b"].cost.basis == ("held" if is_held else "unknown")
    for scene_id, outcome in ran.outcomes.items():
        if outcome.image is not None:
            assert outcome.sha256 is not None
            check_picture(outcome.image, outcome.sha256, scene_id, tmp_path)
    assert {path.name for path in (tmp_path / "out" / "images").iterdir()} == {
        f"{scene_id}.png" for scene_id in "abc" if ran.code(scene_id) == "made"
    }
    kept = list((tmp_path / ".stage3" / "spool").iterdir())
    assert len(kept) == (
        row.code in EVIDENCE
    )  # what may have been paid for; others are tidied away
    if kept and not isinstance(row.behaviour, ResetAfterRead | Hang):
        assert (kept[0] / "answer").exists()
    later = await run_stage(settings_of(row, image_api), story("a", "b", "c"), tmp_path)
    is_settled = row.code in {"made", "unknown", "pending"}
    assert later.code("b") == (row.code if is_settled else "made")
    assert image_api.received("b:") == row.sent + (not is_settled)


def check_picture(path: Path, sha256: str, scene_id: str, folder: Path) -> None:
    """A picture that counts is a whole file in its place, and its object is kept beside."""
    assert path == folder / "out" / "images" / f"{scene_id}.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    assert list((folder / ".stage3" / "objects").rglob(sha256))


async def test_pictures_are_kept_exactly_as_received(image_api: ImageApi, tmp_path: Path) -> None:
    """A provenance chunk survives, since nothing is encoded again."""
    png = make_png("b", 64, 64)
    chunk = bytes.fromhex("00000004") + b"caBX" + b"c2pa"
    signed = png[:33] + chunk + zlib.crc32(b"caBXc2pa").to_bytes(4, "big") + png[33:]
    image_api.script(Ok(picture=signed), scene="b:")
    await run_stage(settings_for(image_api), story("b"), tmp_path)

    assert (tmp_path / "out" / "images" / "b.png").read_bytes() == signed


async def test_nothing_listening_is_tried_again_and_then_given_up(tmp_path: Path) -> None:
    """Nothing was sent, so nothing was spent."""
    with ImageApi() as api:
        settings = settings_for(api, max_attempts=3)
    ran = await run_stage(settings, story("a"), tmp_path)

    assert ran.code("a") == "unavailable"
    assert ran.outcomes["a"].attempts == 3
    assert ran.outcomes["a"].cost.usd == 0


async def test_a_reset_before_the_request_is_never_taken_for_billed_twice(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Accept and reset at once: whichever way it is seen, at most one picture is billed."""
    image_api.reset_on_connect()
    ran = await run_stage(settings_for(image_api), story("a"), tmp_path)

    assert ran.code("a") in {"made", "unknown"}
    assert image_api.billed() <= 1


async def test_a_picture_that_has_arrived_is_kept_though_the_run_is_cancelled(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Cancelled at every step behind the last byte, and the paid picture is there all the same."""
    for step in range(1, 5):
        ran, folder = running.Ran(), tmp_path / str(step)
        scope, earlier = anyio.CancelScope(), image_api.billed()
        disk = _CancellingDisk(scope, step, has_come=partial(_has_billed, image_api, earlier))
        with scope:
            await running.run_stage(
                settings_for(image_api), running.story(f"s{step}"), folder, into=ran, blocking=disk
            )

        assert scope.cancelled_caught
        assert disk.steps >= step
        assert ran.code(f"s{step}") == "made"
        assert (folder / "out" / "images" / f"s{step}.png").exists()


def _has_billed(api: ImageApi, earlier: int) -> bool:
    return api.billed() > earlier


class _CancellingDisk:
    """Does disk work in place, and cancels the run at one step of it behind a picture's coming."""

    def __init__(
        self, scope: anyio.CancelScope, step: int, *, has_come: Callable[[], bool]
    ) -> None:
        self.scope = scope
        self.step = step
        self.steps = 0
        self.has_come = has_come

    async def __call__(self, work: Callable[[], Result], /) -> Result:
        self.steps += self.has_come()
        if self.steps == self.step:
            self.scope.cancel()
        await anyio.sleep(0.01)
        return work()


@pytest.mark.parametrize("provider", ["openai", "previz"])
async def test_no_place_for_a_ledger_keeps_a_run_from_starting(
    provider: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """The state folder cannot be made, so no picture is paid for that could not be kept."""
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    settings = settings_for(image_api, provider=provider, state_dir="taken/state", capacity=1)
    with pytest.raises(StageError, match="nothing was sent") as refused:
        await run_stage(settings, story("a", "b"), tmp_path)

    assert refused.value.hint
    assert image_api.received() == 0


@pytest.mark.parametrize("provider", ["openai", "previz"])
async def test_no_place_for_an_answer_stops_the_run_before_anything_is_sent(
    provider: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """The folder for answers is none: nobody knows what it held, so no run begins on it."""
    (tmp_path / ".stage3").mkdir()
    (tmp_path / ".stage3" / "spool").write_text("a file", encoding="utf-8")
    settings = settings_for(image_api, provider=provider, capacity=1)
    with pytest.raises(StageError, match=r"cannot read .*spool: Not a directory"):
        await run_stage(settings, story("a", "b"), tmp_path)
    (tmp_path / ".stage3" / "spool").unlink()
    ran = await run_stage(settings, story("a", "b"), tmp_path)

    assert (ran.code("a"), ran.code("b")) == ("made", "made")
    assert image_api.received() == (0 if provider == "previz" else 2)


async def test_a_results_folder_that_cannot_be_made_loses_no_paid_picture(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The run stops, and the picture lies in the store."""
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    ran = await run_stage(settings_for(image_api, capacity=1), story("a", "b"), tmp_path)
    objects = [path for path in (tmp_path / ".stage3" / "objects").rglob("*") if path.is_file()]

    assert (ran.code("a"), ran.code("b")) == ("storage", "not_tried")
    assert ran.outcomes["a"].cost.usd
    assert image_api.billed() == len(objects) == 1
