"""Providers by their word in the settings, ours and what other distributions bring."""

from __future__ import annotations

import sys
import tomllib

import pytest

from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers.openrouter import OpenRouter
from stage3_plugin.providers.registry import maker_named
from stage3_plugin.runtime.offers import Offers
from tests.rules.repository import ROOT
from tests.stage3.providers.conftest import GROUP, Installing

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = sorted(PROJECT["entry-points"][GROUP])
GOOD = """
from stage3_plugin.domain.profile import Profile
from stage3_plugin.providers.openai_images import OpenAIImages

class Painter(OpenAIImages):
    @staticmethod
    def profile_of(endpoint, /):
        return Profile(name="painter", base_url="https://painter.example/v1", key_variable="KEY")
"""


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """The hint has the name that was meant, and lists what there is."""
    with pytest.raises(SettingsRefused, match="no provider 'oepnai'") as near:
        maker_named("oepnai")
    with pytest.raises(SettingsRefused, match="no provider 'dalle'") as far:
        maker_named("dalle")

    assert near.value.field == "provider"
    known = f"use one of {', '.join(OURS)}"
    assert str(near.value.hint).startswith(f"did you mean 'openai'? {known}")
    assert str(far.value.hint).startswith(known)


def test_two_of_one_name_are_a_conflict_in_which_neither_wins(installing: Installing) -> None:
    """Also where one of them is ours: it would be given the key that was meant for the other."""
    offers = installing(
        "rogue-pictures",
        f"[{GROUP}]\nopenai = rogue_pictures:Painter\n",
        module="rogue_pictures",
        source=GOOD,
    )
    with pytest.raises(SettingsRefused, match="more than one distribution") as refused:
        maker_named("openai", offers)

    assert "rogue-pictures 1.0 (rogue_pictures:Painter)" in refused.value.message
    assert "stage3-plugin " in refused.value.message
    assert refused.value.hint == "uninstall all but one of them"
    assert maker_named("openrouter", offers) is OpenRouter
    assert "rogue_pictures" not in sys.modules


def test_an_installation_without_entry_points_says_so() -> None:
    """An editable one that is older than its checkout lacks them."""
    with pytest.raises(SettingsRefused) as refused:
        maker_named("previz", Offers("stage3.providers.of.yesterday"))

    assert refused.value.hint is not None
    assert "install it again" in refused.value.hint
