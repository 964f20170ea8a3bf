"""Money as a user sees it: what the two commands print, and the codes they end with."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from host_stub.cli import main
from stage3_plugin.domain.states import State
from tests.doors import bills
from tests.fakes.behaviours import Json, ResetAfterRead
from tests.fakes.image_api import ImageApi
from tests.projects import Project


@pytest.fixture
def project(tmp_path: Path, image_api: ImageApi) -> Project:
    """Make a project of six scenes that are billed at 0.05 USD each."""
    image_api.always(bills(0.05))
    project = Project(tmp_path)
    project.scenes(6)
    project.config(image_api, capacity=2)
    return project


def plan(project: Project, *arguments: str) -> dict[str, Any]:
    ran = project.run("plan", "scenes.json", "--json", *arguments)
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def test_a_cap_that_is_reached_ends_with_3(project: Project, image_api: ImageApi) -> None:
    """Naming the cap, what is gone of it, and what to do; the plan said so before."""
    project.config(image_api, capacity=2, total_usd="0.20")
    planned = plan(project)
    ran = project.run("run", "scenes.json")

    assert ran.returncode == 3, ran.stderr
    assert "total_usd of $0.20" in ran.stderr
    assert "raise total_usd" in ran.stderr
    assert image_api.billed() == planned["make"] == 4
    assert planned["refused"] == 2
    assert project.manifest()["stopped"] == "budget"
    assert Decimal(project.manifest()["cost_usd"]) == Decimal(planned["cost_high_usd"])


def test_a_run_can_be_given_a_cap_of_its_own(project: Project, image_api: ImageApi) -> None:
    """``--max-cost``, for the plan as for the run; the next run is free of it."""
    planned = plan(project, "--max-cost", "0.12")
    capped = project.run("run", "scenes.json", "--max-cost", "0.12")
    billed = image_api.billed()
    free = project.run("run", "scenes.json")

    assert capped.returncode == 3, capped.stderr
    assert billed == planned["make"] == 2
    assert free.returncode == 0, free.stderr
    assert image_api.billed() == 6


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_cap_without_a_price_ends_with_2(
    project: Project, image_api: ImageApi, command: str
) -> None:
    """Both settings that would help are named, and nothing was sent or kept."""
    project.config(image_api, price_usd="0", model="another")
    text = (project.folder / "host.toml").read_text(encoding="utf-8")
    without = text.replace('price_usd = "0"', 'budget_usd = "1"')
    (project.folder / "host.toml").write_text(without, encoding="utf-8")
    ran = project.run(command, "scenes.json")

    assert ran.returncode == 2
    assert "price_usd" in ran.stderr
    assert "the most that one picture can cost" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert image_api.received() == 0
    assert not (project.folder / ".stage3").exists()


def test_five_requests_without_an_answer_end_with_3(project: Project, image_api: ImageApi) -> None:
    """The breaker goes before the 4 that each of them would give."""
    image_api.always(ResetAfterRead())
    project.config(image_api, capacity=1)
    ran = project.run("run", "scenes.json")

    assert ran.returncode == 3, ran.stderr
    assert "5 requests in a row, and no answer says what came of them" in ran.stderr
    assert image_api.received() == 5


def test_an_unknown_outcome_from_first_to_last(project: Project, image_api: ImageApi) -> None:
    """Exit code 4 until it is decided; the id that the run shows is the one to give."""
    image_api.script(ResetAfterRead(), scene="s03")
    first = project.run("run", "scenes.json")
    second = project.run("run", "scenes.json")
    planned = plan(project)
    listed = project.stage3("attempts")
    short = project.purchases()[2].attempt_id[:8]
    decided = project.stage3("resolve", short, "--not-billed")
    third = project.run("run", "scenes.json")
    verified = project.stage3("verify")

    assert [ran.returncode for ran in (first, second, third)] == [4, 4, 0], first.stderr
    assert project.purchases()[2].scene_id == "s03"
    assert f"stage3 resolve {short}" in second.stdout  # the summary; progress has less room
    assert (planned["held"], planned["reused"], planned["make"]) == (1, 5, 0)
    assert short in listed.stdout
    assert decided.returncode == 0, decided.stderr
    assert verified.returncode == 0, verified.stdout
    assert image_api.received() == 7
    assert sorted(purchase.state for purchase in project.purchases()) == [
        *[State.PAID] * 6,
        State.REFUSED,
    ]


def test_a_rerun_costs_nothing_and_tells_so(project: Project, image_api: ImageApi) -> None:
    """In its manifest and in its JSON; the first run's cost is that of its bills."""
    refused = Json({"error": {"code": "content_policy", "message": "policy"}}, status=403)
    image_api.script(refused, scene="s06")
    first = project.run("run", "scenes.json", "--json")
    second = project.run("run", "scenes.json", "--json")
    told = json.loads(second.stdout)

    assert (first.returncode, second.returncode) == (1, 0), first.stderr
    assert json.loads(first.stdout)["cost_usd"] == "0.25"
    assert told["cost_usd"] == "0.05"
    assert [image["reused"] for image in project.manifest()["images"]] == [True] * 5 + [False]
    assert image_api.billed() == 6


Plans: TypeAlias = Callable[..., str]


@pytest.fixture
def plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Plans:
    """Make a project of two scenes; return what says the plan of a model, with more words."""
    monkeypatch.chdir(tmp_path)
    Project(tmp_path).scenes(2)

    def plan_of(settings: dict[str, str], *words: str) -> str:
        listed = [f'{name} = "{is_}"' for name, is_ in settings.items()]
        table = ["[plugin.stage3]", 'api_key = "k-0123456789abcdef"', *listed]
        Path("host.toml").write_text("\n".join(table), encoding="utf-8")
        assert main(["plan", "scenes.json", *words]) == 0
        return capsys.readouterr().out

    return plan_of


@pytest.mark.parametrize(
    "settings, low, high",
    [
        ({"provider": "bfl", "model": "flux-3-image", "size": "3840x2160"}, "0.607", "0.9105"),
        ({"provider": "xai", "model": "grok-imagine-image-2.0", "quality": "low"}, "0.04", "0.06"),
    ],
)
def test_a_price_that_a_third_party_says_is_held_higher_and_told(
    plans: Plans, settings: dict[str, str], low: str, high: str
) -> None:
    """In words and in JSON, also where the cap leaves all of it out; one's own price is not."""
    planned, words = json.loads(plans(settings, "--json")), plans(settings)
    capped = json.loads(plans(settings, "--json", "--max-cost", low))
    own = json.loads(plans(settings | {"price_usd": low}, "--json"))

    told = (
        f"the price of '{settings['model']}' at '{settings['provider']}' is by a third party: 1.5 "
    )
    assert Decimal(planned["cost_low_usd"]) == 2 * Decimal(low)
    assert Decimal(planned["cost_high_usd"]) == 2 * Decimal(high)
    assert [line for line in planned["warnings"] if told in line] != []
    assert f"warning: {told}times its upper figure is held" in words
    assert (capped["make"], capped["refused"]) == (0, 2)
    assert [line for line in capped["warnings"] if told in line] != []
    assert Decimal(own["cost_high_usd"]) == 2 * Decimal(low)
    assert "third party" not in json.dumps(own)


def test_a_third_partys_word_of_how_many_tokens_a_picture_has_is_a_third_partys_price(
    plans: Plans,
) -> None:
    """Whoever says what a million of them costs: half as much again is held."""
    by_vendor = {"provider": "openai", "quality": "high", "model": "gpt-image-2"}
    by_others = by_vendor | {"model": "gpt-image-2.6-flare"}
    vendors, others = (json.loads(plans(one, "--json")) for one in (by_vendor, by_others))

    assert Decimal(others["cost_high_usd"]) >= Decimal("1.5") * Decimal(others["cost_low_usd"])
    assert "'gpt-image-2.6-flare' at 'openai' is by a third party" in str(others["warnings"])
    assert "third party" not in json.dumps(vendors)


def test_a_plan_for_openai_is_what_its_calculator_says(
    project: Project, image_api: ImageApi
) -> None:
    """Also of a size that stands in no list, and at another server that has its models."""
    project.config(image_api, provider="openai", model="gpt-image-2", size="1280x720")
    config = project.folder / "host.toml"
    config.write_text(config.read_text("utf-8").replace("price_usd", "# price_usd"), "utf-8")
    planned = plan(project)

    bill = 6 * Decimal(947 * 30 + 7 * 5) / 10**6  # 947 by the calculator, 7 or so of the prompt
    low, high = Decimal(planned["cost_low_usd"]), Decimal(planned["cost_high_usd"])
    assert low <= bill <= high <= low * Decimal("1.3")
    assert "third party" not in json.dumps(planned)
