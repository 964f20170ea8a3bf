"""What the fake bills by the shipped table is what a plan of the same request expects."""

from __future__ import annotations

import tomllib
from itertools import product

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.money import to_microusd
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.registry import provider_at
from tests.fakes.bill import by_the_table
from tests.fakes.wire import prompt_of
from tests.rules.repository import ROOT


def models(kind: str) -> list[tuple[str, str]]:
    rows = tomllib.loads((ROOT / "stage3_plugin/providers/models.toml").read_text("utf-8"))[kind]
    return [(row["provider"], model) for row in rows for model in row["models"]]


WITHOUT_QUEUE = {"openai", "gemini", "openrouter"}
"""Others have a dialect with a bill of its own."""
SIZES = ((1024, 1024), (1536, 1024), (1280, 720), (1344, 768))
QUALITIES = ("low", "medium", "high")


@pytest.mark.parametrize(
    "provider, model",
    [one for one in (*models("tokens"), *models("flat")) if one[0] in WITHOUT_QUEUE],
)
def test_a_bill_is_within_what_is_expected(provider: str, model: str) -> None:
    """Of every model in the price table, at each endpoint that it can be asked for at.

    With references, too; only of two models it is not known what they cost.
    """
    sent = SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=10)
    shown = Reference(wish=ReferenceWish(image="a", name="Mira"), sha256="a" * 64, sent=sent)
    apis = ("images", "chat") if provider == "openrouter" else ("images",)
    endpoints = [Endpoint(provider=provider, api=api, model=model) for api in apis]
    for size, quality, count, endpoint in product(SIZES, QUALITIES, (0, 3), endpoints):
        request = PictureRequest(
            scene_id="s",
            prompt="a pier at dawn",
            width_px=size[0],
            height_px=size[1],
            quality=quality,
            shown=(shown,) * count,
        )
        asked = provider_at(endpoint)
        payload = {"model": model, **asked.begin(request).payload}
        bill = by_the_table(payload, prompt_of(payload))
        expected = asked.estimate(request)

        assert bill is not None
        if count and model.startswith(("recraft/", "microsoft/")):
            assert expected.high_microusd is None
            continue
        assert bill.image_in >= 64 * count or (provider, model) in models("flat")
        assert expected.high_microusd is not None
        assert to_microusd(bill.usd) <= expected.high_microusd
