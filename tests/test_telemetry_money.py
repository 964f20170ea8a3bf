"""What spans and metrics say of money is what the ledger says, request by request, to the cent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.testing.dialects.fal import FalDialect
from stage3_plugin.testing.queues import Queued
from tests.fakes.behaviours import BadBase64, Json, Limited, ResetAfterRead, ServerError
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.projects import Project
from tests.watched_runs import AMOUNT, Kept, amounts, booked, run_watched, said_of

NO: dict[str, Any] = {
    "error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"]}}
}
MODEL = """
from pathlib import Path

class Painter:
    def render(self, request):
        return Path(__file__).with_name("grey.png").read_bytes()
"""
SECOND_KEY = "sk-second-91c3e7a2b5d84f60"
BILLED_REFUSAL = Json(NO | {"usage": {"cost": 0.05}}, status=403, billed=True)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def second() -> Iterator[ImageApi]:
    with ImageApi(key=SECOND_KEY) as api:
        yield api


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    return Project(tmp_path)


def agrees(project: Project, kept: Kept) -> Decimal:
    """See that every request has its cost, in spans and in the counter; return the sum."""
    in_spans, in_ledger = amounts(kept.spans), booked(project.purchases())
    assert in_spans == in_ledger
    total = sum(in_spans.values(), Decimal(0))
    assert round(kept.total("stage3.cost"), 6) == float(total)
    assert round(kept.total("stage3.held"), 6) == 0
    assert kept.total("stage3.in_flight") == 0
    run_sums = [said_of(one)["stage3.cost_usd"] for one in kept.named("invoke_workflow")]
    assert round(sum(one for one in run_sums if isinstance(one, float)), 6) == float(total)
    return total


def add(project: Project, text: str) -> None:
    with (project.folder / "host.toml").open("a", encoding="utf-8") as config:
        config.write(text)


def test_retries_and_billed_failures_and_what_is_reused(
    image_api: ImageApi, project: Project, kept: Kept
) -> None:
    """Each request has its own cost; a second run adds nothing but what it buys itself."""
    project.scenes(5)
    project.config(image_api)
    image_api.script(Limited(), ServerError(), scene="s01")
    image_api.script(BadBase64(), scene="s02")
    image_api.script(Json(NO, status=403), scene="s03")
    run_watched(project.folder, kept)
    first = agrees(project, kept)
    run_watched(project.folder, kept)

    assert first > 0
    assert agrees(project, kept) > first  # those that failed were asked for once more
    outcomes = [said_of(one)["stage3.outcome"] for one in kept.named("scene")]
    assert outcomes.count("reused") == 3
    assert kept.total("stage3.retries") == 2
    attempts = kept.named("generate_content")
    assert len(attempts) == len(project.purchases()) == image_api.received()


def test_an_unknown_outcome_has_no_amount(
    image_api: ImageApi, project: Project, kept: Kept
) -> None:
    """Its status is not an error either: it may have been billed, and may have its picture."""
    project.scenes(2)
    project.config(image_api)
    image_api.script(ResetAfterRead(), scene="s02")
    run_watched(project.folder, kept)

    agrees(project, kept)
    (lost,) = [one for one in kept.named("generate") if said_of(one)["stage3.outcome"] == "unknown"]
    assert AMOUNT not in said_of(lost)
    assert said_of(lost)["stage3.cost_basis"] == "unknown"
    assert lost.status.is_unset
    assert kept.total("stage3.cost.unknown") == 1
    (run,) = kept.named("invoke_workflow")
    assert said_of(run)["stage3.unknown_costs"] == 1


def test_takes_sheets_and_a_ladder_with_a_billed_refusal(
    image_api: ImageApi, second: ImageApi, project: Project, kept: Kept, tmp_path: Path
) -> None:
    """Several pictures of a scene, those that are made beside, and several routes for one."""
    project.config(image_api, after_billed_refusal=True, capacity=1)
    (tmp_path / "second.key").write_text(SECOND_KEY, encoding="utf-8")
    add(
        project,
        '\n[[plugin.stage3.fallback]]\nprovider = "openrouter"\nmodel = "b/painter"\n'
        f'base_url = "{second.base_url}"\nprice_usd = "0.07"\n'
        'api_key = { file = "second.key" }\n'
        '\n[plugin.stage3.cast.tomas]\nprompt = "Tomas, an old keeper"\nname = "Tomas"\n',
    )
    story = [
        {"scene_id": "s1", "image_prompt": "s1: a fight", "characters_in_scene": ["tomas"]},
        {"scene_id": "s2", "image_prompt": "s2: the sea"},
    ]
    (tmp_path / "scenes.json").write_text(json.dumps(story), encoding="utf-8")
    image_api.script(BILLED_REFUSAL, Json(NO, status=403), scene="s1: a fight")
    run_watched(project.folder, kept, takes=2)

    assert agrees(project, kept) > Decimal("0.05")
    attempts = [said_of(one) for one in kept.named("generate_content")]
    assert len(attempts) == len(project.purchases())
    assert {one["gen_ai.request.model"] for one in attempts} == {"a/painter", "b/painter"}
    assert {(one["stage3.scene_id"], one["stage3.take"]) for one in attempts} == {
        ("tomas", 1), ("s1", 1), ("s1", 2), ("s2", 1), ("s2", 2)
    }  # fmt: skip
    assert {one["server.port"] for one in attempts} == {
        urlsplit(one.base_url).port for one in (image_api, second)
    }


def test_a_model_of_ones_own_costs_nothing_that_is_known(project: Project, kept: Kept) -> None:
    """Free is an amount, and no unknown."""
    project.scenes(2)
    (project.folder / "grey.png").write_bytes(make_png("grey", 16, 16))
    (project.folder / "a_model.py").write_text(MODEL, encoding="utf-8")
    (project.folder / "host.toml").write_text(
        '[plugin.stage3]\nprovider = "local"\nmodel_class = "a_model:Painter"\nsize = "16x16"\n',
        encoding="utf-8",
    )
    run_watched(project.folder, kept)

    assert agrees(project, kept) == 0
    said = [said_of(one) for one in kept.named("generate_content")]
    assert [one[AMOUNT] for one in said] == [0.0, 0.0]
    assert {one["stage3.cost_basis"] for one in said} == {"free"}


def test_what_a_queue_makes_is_paid_in_the_run_that_takes_it_in(
    project: Project, kept: Kept
) -> None:
    """The run that bought it has a span without an amount; the one that has its bill says it."""
    with ImageApi(dialect=FalDialect()) as api:
        api.script(Queued(polls=10_000), scene="s01")
        project.scenes(1)
        model = {"provider": "fal", "model": "fal-ai/flux-2/turbo"}
        project.config(api, **model, deadline_s=1)
        run_watched(project.folder, kept)
        agrees(project, kept)
        (left,) = [one for one in project.purchases() if one.state is State.ACCEPTED]
        for job in api.queue.jobs:
            job.plan = Queued(polls=0)
        project.config(api, **model)
        run_watched(project.folder, kept)

    agrees(project, kept)
    spans = [one for one in kept.spans if left.attempt_id in said_of(one).values()]
    assert [AMOUNT in said_of(one) for one in spans] == [False, True]
    assert [said_of(one)["stage3.outcome"] for one in spans] == ["pending", "made"]
    assert said_of(spans[1])["stage3.recovered"] is True
