"""A vendor at its own address that is busy, or refuses, as a user of the command sees it.

The loopback server is the vendor's own address here: the one that the provider's profile names.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from host_stub.cli import main
from stage3_plugin.domain.states import State
from tests.fakes.behaviours import Behaviour, Json
from tests.fakes.image_api import KEY, ImageApi
from tests.places import vendor_at
from tests.projects import Project

HIGH_DEMAND = (
    "This model is currently experiencing high demand. Spikes in demand are usually temporary. "
    "Please try again later."
)
WORDS = (
    HIGH_DEMAND,
    "The model is overloaded. Please try again later.",
    "The service is currently unavailable.",
    "Visibility check was unavailable. Please retry the request.",
    "Come back soon!",
)


def google(status: int, message: str, word: str = "UNAVAILABLE") -> Json:
    return Json({"error": {"code": status, "message": message, "status": word}}, status)


class Command:
    """A project at the loopback server, and the command run in it, in this process."""

    def __init__(
        self,
        api: ImageApi,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.project, self._api = Project(folder), api
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.chdir(folder)
        monkeypatch.setenv("LOOPBACK_KEY", KEY)

    def config(self, provider: str, model: str, /, *, is_vendors: bool = True) -> None:
        """Write the config, and let the server be the vendor's own address, or another."""
        at = self._api.root_url if provider in {"gemini", "xai"} else self._api.base_url
        if is_vendors:
            vendor_at(self._monkeypatch, provider, at)
        values: dict[str, Any] = {
            "provider": provider, "model": model, "base_url": at, "size": "1024x1024",
            "backoff_base_s": 0.01, "backoff_max_s": 0.02, "budget_usd": "9",
        }  # fmt: skip
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        table = ["[plugin.stage3]", 'api_key = { env = "LOOPBACK_KEY" }', *lines]
        Path("host.toml").write_text("\n".join(table), encoding="utf-8")

    def run(self) -> tuple[int, str]:
        code = main(["run", "scenes.json"])
        said = self._capsys.readouterr()
        return code, said.out + said.err


@pytest.fixture
def command(
    image_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    return Command(image_api, tmp_path, monkeypatch, capsys)


GEMINI = ("gemini", "gemini-3.1-flash-image")


def test_a_passing_503_of_googles_for_each_scene_leaves_every_picture(
    command: Command, image_api: ImageApi
) -> None:
    """In the words that it has now: nothing is unknown, and nobody has to decide anything."""
    command.project.scenes(20)
    command.config(*GEMINI)
    for number in range(1, 21):
        busy = google(503, WORDS[number % len(WORDS)])
        image_api.script(busy, scene=f"s{number:02}:")
    code, said = command.run()

    assert code == 0, said
    assert set(command.project.codes().values()) == {"made"}
    assert (image_api.received(), image_api.billed()) == (40, 20)
    assert {one.state for one in command.project.purchases()} == {State.REFUSED, State.PAID}
    assert "unknown" not in said  # of no scene, and of no event: [unknown_events]
    assert "no answer says" not in said


@pytest.mark.parametrize(
    "provider, model, busy",
    [
        (*GEMINI, google(500, "An internal error has occurred.", "INTERNAL")),
        (*GEMINI, google(500, "Deadline exceeded while drawing", "INTERNAL")),
        (
            "openai",
            "gpt-image-2",
            Json({"error": {"message": HIGH_DEMAND, "type": "server_error", "code": None}}, 503),
        ),
        (
            "openrouter",
            "google/gemini-3-pro-image",
            Json({"error": {"message": "Provider returned error", "code": 503}}, 503),
        ),
    ],
    ids=["500", "500 of a time-out", "openai", "openrouter"],
)
def test_what_a_vendor_does_not_charge_for_is_tried_again(
    command: Command, image_api: ImageApi, provider: str, model: str, busy: Behaviour
) -> None:
    """At its own address, and at no other."""
    command.project.scenes(1)
    command.config(provider, model)
    image_api.script(busy)
    code, said = command.run()

    assert code == 0, said
    assert (image_api.received(), image_api.billed()) == (2, 1)


def test_the_same_words_at_another_address_are_for_a_person(
    command: Command, image_api: ImageApi
) -> None:
    """A gateway may say so of a request that Google has worked on; it did answer, each time."""
    command.project.scenes(8)
    command.config(*GEMINI, is_vendors=False)
    image_api.always(google(503, HIGH_DEMAND))
    code, said = command.run()

    assert code == 3
    assert "5 requests in a row, and no answer says what came of them" in said
    assert "were not answered" not in said
    assert {one.state for one in command.project.purchases()} == {State.UNKNOWN}


def test_a_blocked_prompt_costs_the_tokens_that_its_answer_counts(
    command: Command, image_api: ImageApi
) -> None:
    """Ten of them, which is far less than a thousandth of a picture."""
    blocked = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 10, "totalTokenCount": 10},
    }
    command.project.scenes(2)
    command.config(*GEMINI)
    image_api.script(Json(blocked, billed=True), scene="s01:")
    code, said = command.run()
    refused = next(one for one in command.project.purchases() if one.scene_id == "s01")

    assert code == 1, said
    assert command.project.codes() == {"s01": "refused", "s02": "made"}
    assert (refused.state, refused.basis) == (State.PAID_BAD, "tokens")
    assert refused.counted_microusd == 5  # ten at $0.50 for a million
    (failure,) = command.project.manifest()["failures"]
    assert Decimal(failure["cost_usd"]) == Decimal("0.000005")


def test_what_xai_withholds_is_charged_unless_its_answer_says_a_cost_of_0(
    command: Command, image_api: ImageApi
) -> None:
    """An answer that says nothing of a cost is no free one."""
    withheld = {"data": [{"mime_type": "image/jpeg", "respect_moderation": False}]}
    command.project.scenes(2)
    command.config("xai", "grok-imagine-image-2.0")
    image_api.script(Json(withheld, billed=True), scene="s01:")
    image_api.script(Json(withheld | {"usage": {"cost_in_usd_ticks": 0}}), scene="s02:")
    code, said = command.run()
    charged, free = sorted(command.project.purchases(), key=lambda one: one.scene_id)

    assert code == 1, said
    assert command.project.codes() == {"s01": "refused", "s02": "refused"}
    assert (charged.state, free.state) == (State.PAID_BAD, State.REFUSED)
    assert charged.counted_microusd == charged.hold_microusd > 0
    assert image_api.received() == 2


def test_too_much_in_flight_is_waited_for_and_no_empty_purse(
    command: Command, image_api: ImageApi
) -> None:
    """What OpenRouter holds for requests in flight is free again when they have ended."""
    details = {"limit_source": "openrouter_in_flight_budget"}
    busy = {"error": {"code": 402, "message": "too much in flight", "metadata": details}}
    command.project.scenes(2)
    command.project.config(image_api, capacity=1)
    image_api.script(Json(busy, 402, {"Retry-After": "0.01"}), scene="s01:")
    code, said = command.run()

    assert code == 0, said
    assert command.project.codes() == {"s01": "made", "s02": "made"}
    assert (image_api.received(), image_api.billed()) == (3, 2)
