"""Gemini: what is sent, what its answers come to, and a story bought from it over real sockets."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.settings import Settings
from tests.doors import settings_for
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.requests import Refusing
from tests.stage3.providers.replies import PNG, gemini, reply, request, verdict_on
from tests.stage3.running import run_stage, story

# What is sent ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model, size, config",
    [
        ("gemini-2.5-flash-image", (4096, 4096), {"aspectRatio": "1:1"}),
        ("gemini-3.1-flash-lite-image", (4096, 4096), {"aspectRatio": "1:1", "imageSize": "1K"}),
        ("gemini-3.1-flash-image", (512, 512), {"aspectRatio": "1:1", "imageSize": "512"}),
        ("gemini-3-pro-image", (3840, 2160), {"aspectRatio": "16:9", "imageSize": "4K"}),
        ("models/gemini-3-pro-image", (1024, 1536), {"aspectRatio": "2:3", "imageSize": "1K"}),
        ("one-of-tomorrow", (1000, 777), {"aspectRatio": "5:4", "imageSize": "1K"}),
    ],
)
def test_a_ratio_is_always_sent_and_a_tier_where_the_model_has_some(
    model: str, size: tuple[int, int], config: dict[str, str]
) -> None:
    """Left out, the service chooses a wide picture by itself."""
    send = gemini(model=model).begin(request(width_px=size[0], height_px=size[1]))

    assert send.url.endswith(f"/models/{model.removeprefix('models/')}:generateContent")
    asked: Any = send.payload["generationConfig"]
    assert asked["imageConfig"] == config


def test_a_models_name_stays_one_step_of_the_path() -> None:
    """Whatever a setting holds, the key goes to no other address."""
    send = gemini(model="../../x?y#z").begin(request())

    assert send.url.endswith("/v1beta/models/..%2F..%2Fx%3Fy%23z:generateContent")


# What answers come to ----------------------------------------------------------------------------

COUNTED = {"promptTokenCount": 1119, "thoughtsTokenCount": 240, "totalTokenCount": 1359}


def blocked(**more: Any) -> dict[str, Any]:
    return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "responseId": "r1", **more}


def ended(reason: str, **more: Any) -> dict[str, Any]:
    return {"candidates": [{"finishReason": reason, "content": {"parts": []}}], **more}


@pytest.mark.parametrize(
    "document, kind",
    [
        (blocked(), VerdictKind.REFUSED),
        *((ended(reason), VerdictKind.REFUSED) for reason in (
            "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "LANGUAGE", "ESCALATION", "MODEL_ARMOR",
        )),
        *((ended(reason), VerdictKind.NO_PICTURE) for reason in (
            "NO_IMAGE", "IMAGE_OTHER", "OTHER", "MAX_TOKENS", "MALFORMED_RESPONSE", "STOP",
        )),
    ],
)  # fmt: skip
def test_a_refusal_costs_what_it_counts(document: dict[str, Any], kind: VerdictKind) -> None:
    """It comes as a success; where no token is counted nothing was charged."""
    free = verdict_on(gemini(), reply(document))
    charged = verdict_on(gemini(), reply(document | {"usageMetadata": COUNTED}))

    assert (free.kind, free.may_be_billed, free.usage) == (kind, False, None)
    assert (charged.kind, charged.may_be_billed) == (kind, True)
    assert charged.usage is not None
    assert (charged.usage.input_text, charged.usage.output_text) == (1119, 240)


def test_silence_of_another_proves_nothing() -> None:
    """What a gateway answers in another shape may have been charged all the same."""
    assert verdict_on(gemini(), reply({"data": []})).may_be_billed
    assert verdict_on(
        gemini(), reply(blocked(usageMetadata={"promptTokenCount": "?"}))
    ).may_be_billed


def test_a_picture_counts_whatever_it_ended_with() -> None:
    """It was paid for."""
    inline = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    candidate = {"finishReason": "IMAGE_OTHER", "content": {"parts": [inline]}}
    verdict = verdict_on(gemini(), reply({"candidates": [candidate]}))

    assert (verdict.kind, len(verdict.sources)) == (VerdictKind.PICTURES, 1)


# Bought over real sockets ------------------------------------------------------------------------


def painter(api: ImageApi, **more: Any) -> Settings:
    values = {"provider": "gemini", "model": "gemini-3-pro-image", "base_url": api.root_url}
    return settings_for(api, **(values | more))


@pytest.mark.anyio
async def test_a_story_is_bought(image_api: ImageApi, tmp_path: Path) -> None:
    """With the key in Google's header and nowhere else, in a shape that Google takes."""
    image_api.refuses = Refusing()
    ran = await run_stage(painter(image_api), story("a", "b"), tmp_path)

    assert [ran.code(one) for one in ("a", "b")] == ["made", "made"]
    asked = image_api.asked()
    assert {one.path for one in asked} == {"/v1beta/models/gemini-3-pro-image:generateContent"}
    assert all(one.headers["x-goog-api-key"] == KEY for one in asked)
    assert all("authorization" not in one.headers for one in asked)
    assert KEY not in "".join(one.path for one in asked)
    # 12 at $2, 1120 at $120 and 96 + 87 at $12 for a million each
    assert {ran.outcomes[one].cost.usd for one in ("a", "b")} == {Decimal("0.13662")}
    assert {ran.outcomes[one].cost.basis for one in ("a", "b")} == {"tokens"}


@pytest.mark.anyio
async def test_a_wish_that_is_not_sent_buys_nothing_anew(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """There is no field for a quality, and none for a format."""
    await run_stage(painter(image_api), story("a"), tmp_path)
    changed = painter(image_api, quality="high", output_format="webp", background="opaque")
    ran = await run_stage(changed, story("a"), tmp_path)

    assert ran.outcomes["a"].reused
    assert image_api.billed() == 1
