"""``stage3 providers``: who is installed, and what each can."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stage3_plugin.cli import main
from stage3_plugin.maintenance.providers import installed
from tests.stage3.providers.conftest import GROUP, Installing

QUEUED = """
from stage3_plugin.domain.profile import Listing, Profile
from stage3_plugin.providers.openai_images import OpenAIImages
from stage3_plugin.settings import ProviderOptions
from pydantic import ConfigDict

class Options_(ProviderOptions):
    model_config = ConfigDict(extra="allow")
    brush: int = 1

class Painter(OpenAIImages):
    Options = Options_

    @staticmethod
    def profile_of(endpoint, /):
        return Profile(
            name="painter", vendor="The Painters", base_url="https://painter.example/v1",
            key_variable="PAINTER_KEY", has_jobs=True, keeps_s=5400, seed=True, reports_cost=True,
            listing=Listing(proves_absence=True, settle_s=60, reaches_back_s=3600),
        )
"""


ITS_ANSWERS = (
    "has a queue, and keeps what came of a job for 1.5 h; "
    "a lost answer is found, or proved never to have been asked for"
)


def test_each_is_listed_with_what_it_can(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours as all others; by either way of calling it, without a config or a ledger."""
    assert main(["providers", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["format"] == "stage3-providers/1"
    ours: dict[str, Any] = {one["name"]: one for one in told["providers"]}
    assert list(ours) == sorted(ours)
    assert {"gemini", "openai", "openrouter", "previz"} <= set(ours)
    assert all(one["problem"] is None for one in ours.values())

    openai = ours["openai"]
    assert openai["options"] == ["complexity", "moderation", "output_compression"]
    assert openai["key_variable"] == "OPENAI_API_KEY"
    assert (openai["references"], openai["seed"], openai["queue"]) == (True, False, False)
    assert openai["lost_answer"] == "unknown"
    assert "gpt-image-2" in openai["models"]
    assert openai["by_model"] == []
    assert {
        "begins": ["gpt-image-1-mini", "gpt-image-1.5", "chatgpt-image-latest"],
        "on": "2026-12-01",
        "instead": ["gpt-image-2.6-flare", "gpt-image-2.6-sunburst"],
    } in openai["ends"]
    assert openai["batch"] == {
        "within_s": 86_400.0,
        "most_lines": 50_000,
        "most_bytes": 200_000_000,
        "lost_create": "proved",
        "shares": {"gpt-image-2": 0.5, "gpt-image-2.5-flare": 0.5, "gpt-image-2.5-sunburst": 0.5},
    }
    assert ours["gemini"]["batch"]["within_s"] == 2 * 86_400
    assert ours["replicate"]["batch"] is ours["previz"]["batch"] is None
    assert ours["replicate"]["references"]
    assert "references" in ours["replicate"]["by_model"]
    assert ours["replicate"]["lost_answer"] == "proved"
    assert (ours["previz"]["is_paid"], ours["previz"]["key_variable"]) == (False, None)

    assert main(["providers"]) == 0
    text = capsys.readouterr().out
    assert "\n  options: complexity, moderation, output_compression\n" in text
    assert (
        "\n  has a batch lane, which ends within 24 h; 50 % of the price of gpt-image-2, "
        "gpt-image-2.5-flare, gpt-image-2.5-sunburst; a lost create is found, or proved never to "
        "have arrived\n"
    ) in text
    assert "): draws on this machine, for nothing\n" in text
    assert (
        "\n  end on 2026-10-29: gemini-3.1-flash-image; in their place: gemini-nano-banana-2.1\n"
    ) in text


def test_a_strangers_queue_is_shown_as_it_says_of_itself(installing: Installing) -> None:
    """How long it keeps a result, and what becomes of an answer that was lost."""
    offers = installing(
        "painter-pictures",
        f"[{GROUP}]\npainter = queued_pictures:Painter\n",
        module="queued_pictures",
        source=QUEUED,
    )
    lines = [line for line in installed(offers).text.splitlines() if "batch lane" not in line]
    start = lines.index("painter (painter-pictures 1.0): The Painters; its key is in PAINTER_KEY")

    assert lines[start + 1 : start + 4] == [
        "  no references, seed, no negative prompt, answers say what they cost",
        f"  {ITS_ANSWERS}",
        "  options: brush, what its models take",
    ]


@pytest.mark.parametrize(
    "source, problem",
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("Painter = 1", "it is no class that derives from"),
        (
            QUEUED.replace('name="painter"', "name=1"),
            "a Profile whose name should be a valid string",
        ),
        (QUEUED.replace("Options = Options_", "Options = 1"), "AttributeError: "),
    ],
)
def test_a_broken_one_is_listed_with_its_problem_and_hides_no_other(
    installing: Installing, source: str, problem: str
) -> None:
    """As are two that have one name, neither of which is imported."""
    installing("rogue-pictures", f"[{GROUP}]\ngemini = rogue_pictures:Gemini\n")
    offers = installing(
        "painter-pictures",
        f"[{GROUP}]\npainter = broken_pictures:Painter\n",
        module="broken_pictures",
        source=source,
    )
    report = installed(offers)
    found = {one.name: one for one in report.providers}

    assert problem in str(found["painter"].problem)
    assert found["painter"].hint
    assert "more than one distribution offers" in str(found["gemini"].problem)
    assert found["gemini"].hint == "uninstall all but one of them"
    assert [name for name, one in found.items() if one.problem] == ["gemini", "painter"]
    assert found["openai"].is_paid
    assert json.loads(json.dumps(report.data)) == report.data
    assert "painter (painter-pictures 1.0): cannot be used: " in report.text
