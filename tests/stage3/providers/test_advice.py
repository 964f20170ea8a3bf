"""Warnings about what a vendor is known not to take, and silence about everything else."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.providers.advice import Wish, advice
from stage3_plugin.providers.models import models_known_of, table
from stage3_plugin.providers.registry import hosted_named

TODAY = date(2026, 11, 25)


def vendor_of(provider: str) -> str:
    """Return what a provider's profile calls its vendor; nothing where nobody is paid."""
    made_by = hosted_named(provider)
    return "" if made_by is None else made_by.profile_of(Endpoint(provider=provider)).vendor


def told(**changes: Any) -> tuple[str, ...]:
    """Return the advice on a picture that OpenAI takes, changed as given."""
    provider = changes.get("provider", "openai")
    usual: dict[str, Any] = {
        "provider": provider, "vendor": vendor_of(provider), "api": "images",
        "model": "gpt-image-2", "quality": "medium", "width_px": 1024, "height_px": 1024,
        "prompt_characters": 400,
    }  # fmt: skip
    return advice(Wish(**usual | changes), today=TODAY)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"quality": "auto"},
        {"width_px": 3840, "height_px": 2160},
        {"model": "gpt-image-2.5-flare-2026-09-08", "quality": "max"},
        {"prompt_characters": 32_000},
        {"provider": "openrouter", "model": "recraft/recraft-v4.1", "width_px": 1000},
        {
            "provider": "gemini",
            "model": "gemini-3-pro-image",
            "quality": "mediun",
            "width_px": 1820,
        },
        {"provider": "previz", "quality": "mediun", "prompt_characters": 10**6},
    ],
)
def test_what_is_not_known_to_be_wrong_is_not_warned_of(changes: dict[str, Any]) -> None:
    """Models expire, and new ones come: silence is no promise, and no false alarm."""
    assert told(**changes) == ()


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"quality": "mediun"}, "quality 'mediun' is not one that OpenAI lists for 'gpt-image-2'"),
        ({"width_px": 1000, "height_px": 1000}, "both sides divisible by 16"),
        ({"width_px": 4000}, "a ratio between 1:3 and 3:1"),
        ({"width_px": 2896, "height_px": 2880}, "655,360 to 8,294,400 pixels in all"),
        (
            {"provider": "bfl", "model": "flux-2-pro", "width_px": 4096, "height_px": 2048},
            "Black Forest Labs wants 4,096 to 4,194,304 pixels in all",
        ),
        ({"model": "gpt-image-1-mini"}, "will be switched off by OpenAI on 2026-12-01"),
        (
            {"provider": "xai", "model": "grok-imagine-image-2.0", "quality": "high"},
            "quality 'high' is sent as 'medium'",
        ),
        ({"prompt_characters": 32_001}, "a prompt of 32,001 characters: OpenAI takes at most"),
        (
            {
                "provider": "openrouter",
                "api": "chat",
                "model": "recraft/recraft-v4.1",
                "width_px": 1440,
            },
            "size '1440x1024': OpenRouter takes ratios, and 4:3 is the nearest",
        ),
    ],
)
def test_what_a_vendor_is_known_not_to_take_is_warned_of(
    changes: dict[str, Any], words: str
) -> None:
    """With what it does take, and the date of the table."""
    lines = told(**changes)

    assert len(lines) == 1
    assert words in lines[0]
    assert lines[0].endswith("(as of 2026-12-01)")


@pytest.mark.parametrize(
    "provider, model, near",
    [
        ("openai", "gpt-image-3-flare", "gpt-image-2.6-flare"),
        ("openrouter", "openai/gpt-image-3", "openai/gpt-image-2"),
        ("gemini", "gemini-3.2-flash-lite-image", "gemini-3.1-flash-lite-image"),
        ("replicate", "black-forest-labs-2/flux-dev", "black-forest-labs/flux-dev"),
    ],
)
def test_a_model_that_came_after_the_table_is_named_with_what_to_write(
    provider: str, model: str, near: str
) -> None:
    """The nearest that is known and goes on; whoever has written it is told nothing more."""
    (line,) = told(provider=provider, model=model)

    assert f"nothing is known of model {model!r} at {vendor_of(provider)}: neither" in line
    assert f'write like = "{near}"' in line
    assert told(provider=provider, model=model, like=near) == ()


@pytest.mark.parametrize(
    "provider, model, begin",
    [
        ("openai", "gpt-image-2.7-flare", "gpt-image-2."),
        ("xai", "grok-imagine-image-3", "grok-imagine-image"),
        ("fal", "openai/gpt-image-2.6/flare/text-to-image", "openai/gpt-image-2."),
    ],
)
def test_a_newer_model_of_a_known_family_is_told_of(provider: str, model: str, begin: str) -> None:
    """How it is asked, and that no price comes with that; whoever says what it is like knows."""
    (line,) = told(provider=provider, model=model)

    assert line.startswith(f"model {model!r} is not in the table by its own name: it is asked as")
    assert f"those that begin with {begin!r}; " in line
    assert "its price is not known" in line
    assert told(provider=provider, model=model, like=models_known_of(provider)[-1]) == ()


def test_what_a_model_is_like_is_what_it_takes() -> None:
    """Its sizes and qualities are known then, and the own ones of a later row are not asked."""
    (quality,) = told(model="gpt-image-3", like="gpt-image-2", quality="max")
    (size,) = told(model="gpt-image-3", like="gpt-image-1", width_px=1040)

    assert "quality 'max' is not one that OpenAI lists for 'gpt-image-3'" in quality
    assert "size '1040x1024' is not one that OpenAI lists" in size


def test_the_profile_of_every_provider_in_the_table_names_its_vendor() -> None:
    """A warning about a vendor without a name would read as if a word were missing."""
    assert [takes for takes in table().takes if not vendor_of(takes.provider)] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"in_batch": True},
        {"in_batch": True, "model": "gpt-image-2-2026-04-21"},
        {"in_batch": True, "provider": "gemini", "model": "models/gemini-3-pro-image"},
        {"model": "gpt-image-2.6-flare"},
        {"in_batch": True, "provider": "fal", "model": "fal-ai/flux-2/turbo"},
    ],
)
def test_a_model_that_batches_are_known_of_needs_no_word(changes: dict[str, Any]) -> None:
    """Nor does one that is bought at once, nor a vendor of whose batches nothing is known."""
    assert told(**changes) == ()


@pytest.mark.parametrize(
    "provider, model, known",
    [
        ("openai", "gpt-image-2.6-flare", "gpt-image-2, gpt-image-2.5-flare"),
        ("gemini", "gemini-of-tomorrow", "gemini-2.5-flash-image"),  # which is unknown, too
    ],
)
def test_a_model_that_no_batches_are_known_of_is_named(
    provider: str, model: str, known: str
) -> None:
    """Neither that it is taken nor what it costs there is known."""
    *_, line = told(provider=provider, model=model, in_batch=True)

    assert f"model {model!r} is not one that {vendor_of(provider)} is known to make" in line
    assert f"may cost the whole price; known are {known}" in line
