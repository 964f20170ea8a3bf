"""Providers by their word in the settings, ours and what other distributions bring."""

from __future__ import annotations

import sys
import tomllib

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers.openai_images import OpenAIImages
from stage3_plugin.providers.openrouter import OpenRouter
from stage3_plugin.providers.registry import Listed, hosted_named, listed, maker_named, provider_at
from stage3_plugin.renderers.previz import Previz
from stage3_plugin.runtime.offers import Offers
from stage3_plugin.settings import Settings
from tests.rules.repository import ROOT
from tests.stage3.providers.conftest import GROUP, Installing

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = sorted(PROJECT["entry-points"][GROUP])
WISH = PictureRequest(scene_id="s", prompt="a pier at dawn", width_px=1024, height_px=1024)
GOOD = """
from stage3_plugin.domain.profile import Profile
from stage3_plugin.providers.openai_images import OpenAIImages

class Painter(OpenAIImages):
    @staticmethod
    def profile_of(endpoint, /):
        return Profile(name="painter", base_url="https://painter.example/v1", key_variable="KEY")
"""


def test_ours_are_found_like_anybodys() -> None:
    """By the entry points of the installed distribution; the profile's name is the word."""
    assert maker_named("openai") is OpenAIImages
    assert maker_named("openrouter") is OpenRouter
    assert maker_named("previz") is Previz
    for name in ("gemini", "openai", "openrouter"):
        found = hosted_named(name)
        assert found is not None
        assert found.profile_of(Endpoint(provider=name)).name == name
    assert hosted_named("previz") is None


def test_a_provider_is_made_by_its_name() -> None:
    """The settings' words choose the class, the endpoint and the address."""
    openai = provider_at(Endpoint(provider="openai", base_url="http://localhost:1/v1", model="m"))
    chat = provider_at(Endpoint(provider="openrouter", api="chat", model="m"))

    assert openai.begin(WISH).url == "http://localhost:1/v1/images/generations"
    assert chat.begin(WISH).url == "https://openrouter.ai/api/v1/chat/completions"


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


def test_a_third_partys_is_found_by_its_word(installing: Installing) -> None:
    """It is listed without being imported, and made when it is asked for."""
    offers = installing(
        "painter-pictures",
        f"[{GROUP}]\npainter = painter_pictures:Painter\n",
        module="painter_pictures",
        source=GOOD,
    )
    known = {one.name: one for one in listed(offers)}

    assert known["painter"] == Listed(name="painter", sources=("painter-pictures 1.0",))
    assert set(known) == {*OURS, "painter"}
    assert "painter_pictures" not in sys.modules
    provider = provider_at(Endpoint(provider="painter", model="m"), offers=offers)
    assert provider.profile.base_url == "https://painter.example/v1"


@pytest.mark.parametrize(
    "source, target, problem",
    [
        ("import no_such_library", "Painter", "ModuleNotFoundError: No module named 'no_such_l"),
        ("raise SystemExit(3)", "Painter", "SystemExit: 3"),
        ("Painter = 1", "Painter", "it is no class that derives from stage3_plugin.providers.hos"),
        ("class Painter: pass", "Painter", "it is no class that derives from stage3_plugin.prov"),
        ("", "Painter", "AttributeError: "),
        (
            "from stage3_plugin.providers.hosted import Hosted\nclass Painter(Hosted): pass",
            "Painter",
            "TypeError: Can't instantiate abstract class Painter",
        ),
        (GOOD.replace("return Profile(", "raise ValueError("), "Painter", "TypeError: "),
    ],
)
def test_a_broken_one_is_refused_by_its_distribution(
    installing: Installing, source: str, target: str, problem: str
) -> None:
    """With the next step; every other one works on, and the settings alone refuse nothing."""
    offers = installing(
        "painter-pictures",
        f"[{GROUP}]\npainter = broken_pictures:{target}\n",
        module="broken_pictures",
        source=source,
    )
    for _ in range(2):  # a failed import is told again, and not tried again
        with pytest.raises(SettingsRefused) as refused:
            provider_at(Endpoint(provider="painter", model="m"), offers=offers)
        told = refused.value.message
        start = f"provider 'painter' of painter-pictures 1.0 (broken_pictures:{target}) cannot be"
        assert f"{start} used: {problem}" in told
        assert "pip install --force-reinstall 'painter-pictures'" in str(refused.value.hint)

    assert maker_named("openai", offers) is OpenAIImages


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


def test_a_malformed_distribution_hides_no_provider(installing: Installing) -> None:
    """What its metadata does is nobody else's trouble."""
    offers = installing("odd-pictures", f"[{GROUP}]\nodd = \nno line at all", metadata="")

    assert maker_named("openai", offers) is OpenAIImages


def test_an_installation_without_entry_points_says_so() -> None:
    """An editable one that is older than its checkout lacks them."""
    with pytest.raises(SettingsRefused) as refused:
        maker_named("previz", Offers("stage3.providers.of.yesterday"))

    assert refused.value.hint is not None
    assert "install it again" in refused.value.hint


def test_settings_leave_a_name_they_do_not_know_to_the_stage() -> None:
    """Nothing is known of what it needs; opening a stage refuses it, with the nearest name."""
    settings = Settings(provider="dalle")

    assert settings.default_size_px == (1024, 1024)
