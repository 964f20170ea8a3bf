"""The table of models: whole, dated, and the one place where a ratio or a tier is chosen."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stage3_plugin.providers.models import (
    Table,
    Takes,
    limits_of,
    nearest_ratio,
    shapes_of,
    side_of,
    table,
    takes_of,
    tier_of,
    value_of,
)

WIDE = shapes_of("gemini", "gemini-nano-banana-2.1")


@pytest.mark.parametrize("said", ["source", "kind", "date"])
def test_a_row_that_does_not_say_who_says_so_and_when_is_no_row(said: str) -> None:
    """What expires can be checked again only where it says where it is from."""
    row: dict[str, Any] = {
        "provider": "openai", "begins": ["one"], "seed": "none", "source": "a page",
        "kind": "vendor", "date": date(2026, 11, 25),
        "references": {"most": 1, "media_types": ["image/png"]},
    }  # fmt: skip
    Takes.model_validate(row)

    with pytest.raises(ValidationError, match=said):
        Takes.model_validate({name: row[name] for name in row if name != said})


@pytest.mark.parametrize(
    "spoilt",
    [
        {"sizes": ["square"]},
        {"seed": "perhaps"},
        {"references": {"most": -1, "media_types": ["image/png"]}},
        {"references": {"most": 1, "media_types": ["image/gif"]}},
        {"referenses": {}},
    ],
)
def test_a_slip_in_the_table_is_an_error(spoilt: dict[str, Any]) -> None:
    """Not a model of which nothing is known."""
    whole = table().model_dump()
    whole["takes"] = [whole["takes"][0] | spoilt]

    with pytest.raises(ValidationError):
        Table.model_validate(whole)


def test_what_is_read_of_each_provider_is_the_whole_table() -> None:
    """A plan reads its own provider's rows alone, by where they stand in the file."""
    whole = table().model_dump()
    for field in whole.keys() - {"as_of"}:
        providers = dict.fromkeys(row["provider"] for row in whole[field])
        apart = [row for one in providers for row in table(one).model_dump()[field]]

        assert sorted(map(str, apart)) == sorted(map(str, whole[field]))
        assert table("nobody").model_dump()[field] == ()


@pytest.mark.parametrize(
    "provider, model, most, largest",
    [
        ("openai", "gpt-image-2.5-flare", 16, 15_728_000),
        ("openai", "gpt-image-7", 16, 15_728_000),
        ("openrouter", "bytedance-seed/seedream-4.5", 10, 10_000_000),
        ("gemini", "gemini-2.5-flash-image", 3, None),
    ],
)
def test_a_model_has_bounds_for_references(
    provider: str, model: str, most: int, largest: int | None
) -> None:
    """Of which each provider has its own."""
    takes = takes_of(provider, model)

    assert takes is not None
    assert (takes.references.most, takes.references.most_bytes) == (most, largest)


def test_a_reference_fits_as_a_data_url() -> None:
    """OpenAI counts the characters: base64 has four for three bytes."""
    takes = takes_of("openai", "gpt-image-2.6-flare")

    assert takes is not None
    assert takes.references.most_bytes is not None
    address = len("data:image/jpeg;base64,") + -(-takes.references.most_bytes // 3) * 4
    assert address <= 20_971_520


@given(st.integers(1, 16384), st.integers(1, 16384))
def test_no_other_ratio_is_nearer(width: int, height: int) -> None:
    """Counted in times, since a picture that is half as wide is as far off as one twice as wide."""
    assert WIDE is not None
    asked = Fraction(width, height)

    def apart(name: str) -> Fraction:
        return max(asked / value_of(name), value_of(name) / asked)

    chosen = nearest_ratio(width, height, WIDE.ratios)
    assert apart(chosen) == min(map(apart, WIDE.ratios))


@given(st.integers(1, 16384), st.integers(1, 16384))
def test_a_tier_is_as_large_as_the_size_or_the_largest(width: int, height: int) -> None:
    """But for half as many pixels again: 1536x1024 is asked for as 1K."""
    tiers = ("512", "1K", "2K", "4K")
    chosen = tier_of(width, height, tiers)
    smaller = tiers[: tiers.index(chosen)]

    assert chosen == "4K" or width * height <= side_of(chosen) ** 2 * 3 // 2
    assert all(width * height > side_of(tier) ** 2 * 3 // 2 for tier in smaller)


@pytest.mark.parametrize("count", range(1, 17))
def test_references_fit_into_a_request_together(count: int) -> None:
    """Base64 makes four bytes of three, and half a megabyte is left for the prompt."""
    limits = limits_of("gemini", "models/gemini-nano-banana-2.1", count)

    assert limits.most == 14
    assert limits.most_bytes is not None
    shown = min(count, limits.most)
    assert shown * -(-limits.most_bytes // 3 * 4) <= 19_500_000
    assert limits.most_bytes * min(2 * count, limits.most) >= 14_000_000
