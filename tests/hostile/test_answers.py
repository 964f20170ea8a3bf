"""What an answer means, through the door: what may have been billed is sent once and counted."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from stage3_plugin.domain.states import State
from tests.doors import counted, painter, purchases, run_stage, scenes, settings_for, states, story
from tests.fakes import recorded
from tests.fakes.behaviours import Behaviour, CutJson, Json, Ok, Redirect
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.wire import Exchange
from tests.projects import Project

pytestmark = pytest.mark.anyio

GATEWAYS = Path(__file__).parents[1] / "stage3" / "providers" / "gateways"


def gateway(name: str) -> Json:
    """Return a recorded answer of LiteLLM's proxy, behind which the vendor billed."""
    told = json.loads((GATEWAYS / f"litellm-{name}.json").read_text("utf-8"))
    lines = (line.partition(": ") for line in told["headers"])
    headers = {key: value for key, _, value in lines if key.startswith("x-litellm-")}
    return Json(json.loads(told["body"]), int(told["status"].split()[1]), headers, billed=True)


@dataclass(frozen=True)
class Answer:
    """Answer this text as JSON, with the picture in it where ``{png}`` or ``{url}`` stands."""

    text: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    status: int = 200

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        png = make_png(exchange.asked.prompt, 64, 64)
        url = f"{exchange.base_url.removesuffix('/v1')}/pictures/{exchange.asked.number}.png"
        body = self.text.replace("{png}", base64.b64encode(png).decode()).replace("{url}", url)
        body = body.replace("{percent}", quote(png, safe=""))
        headers = {"Content-Type": "application/json", **self.headers}
        await exchange.reply(self.status, body.encode(), headers)


TOLD_IN_JSON: dict[str, Behaviour] = {
    **{
        name: Json(answer.document, answer.status, answer.headers, billed=True)
        for name, answer in recorded.IN_DOUBT.items()
    },
    **{f"litellm {name}": gateway(name)
    for name in (
        "down", "noretries-cutbody", "noretries-error200", "noretries-html", "noretries-http408",
        "noretries-http500", "noretries-http502", "noretries-http503", "noretries-http529",
        "noretries-reset", "short-timeout",
    )},
    "303 to a POST": Redirect("http://127.0.0.1:9/", status=303),
    "a page in JSON": Json({"html-message": "<html>Just a moment</html>"}, billed=True),
    "JSON that breaks off": CutJson(),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD_IN_JSON)
async def test_a_failure_that_may_have_been_billed_is_sent_once(
    name: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """However it is told: once, counted, and no cap is passed by trying again."""
    image_api.always(TOLD_IN_JSON[name])
    settings = painter(image_api, budget_usd="0.10", capacity=1)
    ran = await run_stage(settings, scenes(4), tmp_path)
    again = await run_stage(settings, scenes(2), tmp_path)

    assert [ran.code(f"s{number:02}") for number in (1, 2)] == ["unknown", "unknown"]
    assert {ran.code(f"s{number:02}") for number in (3, 4)} <= {"budget", "not_tried"}
    assert {again.code("s01"), again.code("s02")} == {"unknown"}
    assert image_api.received() == 2
    assert states(tmp_path) == [State.UNKNOWN, State.UNKNOWN]
    assert counted(tmp_path) == 100_000


def test_a_time_out_told_in_json_ends_the_command_with_4(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """A person is told that money may be spent, and the same command sends nothing more."""
    image_api.always(gateway("short-timeout"))
    project = Project(tmp_path)
    project.scenes(1)
    project.config(image_api, budget_usd="0.10")
    first, second = project.run("run", "scenes.json"), project.run("run", "scenes.json")

    assert (first.returncode, second.returncode) == (4, 4), first.stderr
    assert project.codes() == {"s01": "unknown"}
    assert image_api.received() == image_api.billed() == 1
    (purchase,) = project.purchases()
    assert purchase.state is State.UNKNOWN
    assert purchase.counted_microusd == 50_000
    assert "Request timed out" in purchase.why
    assert purchase.request_id == "8980903e-1ade-43cd-b5f6-21a1b2f0227b"


@pytest.mark.parametrize("name", [name for name in recorded.PASSING if "409" not in name])
async def test_a_failure_in_words_that_are_known_to_be_free_is_sent_again(
    name: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """Whoever quotes the vendor: the picture is made, and only that is counted."""
    image_api.script(recorded.PASSING[name])
    ran = await run_stage(painter(image_api, budget_usd="0.10"), scenes(1), tmp_path)

    assert ran.code("s01") == "made"
    assert image_api.received() == 2
    assert states(tmp_path) == [State.REFUSED, State.PAID]


async def test_a_server_that_costs_nothing_is_asked_again(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """At an address of one's own with a price of 0 there is nothing to pay twice."""
    image_api.script(gateway("noretries-http500"), Json({"detail": "CUDA out of memory"}, 500))
    settings = painter(image_api, provider="openai", model="mine", price_usd="0")
    ran = await run_stage(settings, scenes(1), tmp_path)

    assert ran.code("s01") == "made"
    assert image_api.received() == 3


@pytest.mark.parametrize(
    "name, code",
    [
        ("budget-exceeded", "out_of_money"),
        ("noretries-quota", "out_of_money"),
        ("bad-key", "credentials"),
        ("unknown-model", "rejected"),
    ],
)
async def test_what_a_gateway_says_of_every_scene_stops_the_run(
    name: str, code: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """Asked for once, and not once a scene."""
    image_api.always(gateway(name))
    ran = await run_stage(painter(image_api, capacity=1), scenes(3), tmp_path)

    assert [ran.code(f"s{number:02}") for number in (1, 2, 3)] == [code, "not_tried", "not_tried"]
    assert image_api.received() == 1
    assert states(tmp_path) == [State.REFUSED]


async def test_an_address_that_has_moved_stops_the_run(image_api: ImageApi, tmp_path: Path) -> None:
    """It says so of every request, and names where to."""
    image_api.always(Redirect("https://elsewhere.test/v1/images?sig=secret", status=308))
    ran = await run_stage(painter(image_api, capacity=1), scenes(3), tmp_path)
    failure = ran.outcomes["s01"].failure

    assert [ran.code(f"s{number:02}") for number in (1, 2, 3)] == [
        "unknown", "not_tried", "not_tried",
    ]  # fmt: skip
    assert failure is not None
    assert "https://elsewhere.test/v1/images" in failure.message
    assert "sig=secret" not in failure.message
    assert image_api.received() == 1


@pytest.mark.parametrize(
    "more, expected",
    [
        ({}, (42_840, "gateway")),
        ({"price_usd": "0.04", "budget_usd": "1"}, (40_000, "flat")),
        ({"prices": {"input_text": "5", "output_image": "40"}}, (42_840, "tokens")),
        ({"prices": {"input_text": "0", "output_image": "30"}}, (31_680, "tokens")),
    ],
)
async def test_a_persons_own_prices_come_before_a_gateways_guess(
    more: dict[str, Any], expected: tuple[int, str], image_api: ImageApi, tmp_path: Path
) -> None:
    """The header is the gateway's own table times the tokens, and not what the vendor charged."""
    usage = {"input_tokens": 120, "output_tokens": 1056}
    body = json.dumps({"data": [{"b64_json": "{png}"}], "usage": usage})
    image_api.always(Answer(body, {"x-litellm-response-cost": "0.04284"}))
    settings = settings_for(image_api, model="the-model", **more)
    ran = await run_stage(settings, story("a", "b"), tmp_path)

    assert (ran.code("a"), ran.code("b")) == ("made", "made")
    for purchase in purchases(tmp_path):
        assert (purchase.cost_microusd, purchase.basis) == expected


ODD_BUT_PAID = {
    "a cost that is no number": '{"data":[{"b64_json":"{png}"}],"usage":{"cost":NaN}}',
    "a cost without an end": '{"data":[{"b64_json":"{png}"}],"usage":{"cost":-Infinity}}',
    "a cost of 5,000 digits": (
        f'{{"data":[{{"b64_json":"{{png}}"}}],"usage":{{"cost":{"9" * 5000}}}}}'
    ),
    "a cost beyond all": '{"data":[{"b64_json":"{png}"}],"usage":{"cost":1e999999}}',
    "a cost that stalls": '{"data":[{"b64_json":"{png}"}],"usage":{"output_tokens":1e999990}}',
    "tokens of 5,000 digits": (
        f'{{"data":[{{"b64_json":"{{png}}"}}],"usage":{{"output_tokens":{"9" * 5000}}}}}'
    ),
    "a name that is there twice": '{"data":[{"b64_json":"{png}"}],"data":[]}',
    "the responses API": '{"output":[{"type":"image_generation_call","result":"{png}"}]}',
    "a list": '[{"b64_json":"{png}"}]',
    "an address in brackets": '{"data":[{"url":"<{url}>"}]}',
    "an address and a line break": '{"data":[{"url":" {url}\\n"}]}',
    "a data URL in capitals": '{"data":[{"url":"DATA:IMAGE/PNG;BASE64,{png}"}]}',
    "a data URL with a quoted part": (
        '{"data":[{"url":"data:image/png;name=\\"a,b.png\\";base64,{png}"}]}'
    ),
    "a data URL in percent": '{"data":[{"url":"data:image/png,{percent}"}]}',
}


@pytest.mark.parametrize("name", ODD_BUT_PAID)
async def test_a_paid_picture_is_not_lost_to_what_stands_beside_it(
    name: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """A figure that cannot be a bill is none; an address or a data URL is read as it is meant."""
    image_api.always(Answer(ODD_BUT_PAID[name]))
    ran = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert ran.code("s01") == "made"
    assert image_api.received() == 1
    assert states(tmp_path) == [State.PAID]


@pytest.mark.parametrize("status", [400, 429, 500, 503])
async def test_a_picture_in_a_failed_answer_is_delivered_and_not_bought_again(
    status: int, image_api: ImageApi, tmp_path: Path
) -> None:
    """Whatever the status and the words beside it."""
    body = {"data": [{"b64_json": "{png}"}], "error": {"code": "overloaded"}}
    image_api.always(Answer(json.dumps(body), status=status))
    ran = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert ran.code("s01") == "made"
    assert image_api.received() == 1
    assert states(tmp_path) == [State.PAID]


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 12, "output_tokens": 0, "total_tokens": 12}, {"input_tokens": 12},
        {"input_tokens": 12, "output_tokens": "x"}, {"input_tokens": 12, "output_tokens": 1},
        {"cost": 0}, {"cost": 0, "input_tokens": 12}, {"cost": 1e-30},
        {"input_tokens": 900, "output_tokens_details": {"text_tokens": 5}},
        {"output_tokens": 300}, {"input_tokens": 0, "output_tokens": 300},
        {"input_tokens": "x", "output_tokens": 300}, {"input_tokens": -4, "output_tokens": 300},
    ],
)  # fmt: skip
async def test_a_bill_that_says_next_to_nothing_lets_nothing_through_a_cap(
    usage: dict[str, Any], image_api: ImageApi, tmp_path: Path
) -> None:
    """Tokens without a picture's own, and a zero for what has a price, are no bill of it."""
    image_api.always(Answer(json.dumps({"data": [{"b64_json": "{png}"}], "usage": usage})))
    settings = painter(
        image_api, provider="openai", model="gpt-image-1", price_usd="0.04", budget_usd="0.40"
    )
    ran = await run_stage(settings, scenes(13), tmp_path)
    held = purchases(tmp_path)[0].hold_microusd

    assert image_api.received() == len(purchases(tmp_path))
    assert 400_000 - held < counted(tmp_path) <= 400_000
    assert "made" in {ran.code(f"s{number:02}") for number in range(1, 14)}


async def test_no_picture_and_a_zero_of_a_gateway_are_no_proof_of_an_unbilled_request(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """It reports 0 for what it has no price for: sent once, and what was held counts."""
    image_api.script(Answer(json.dumps({"data": [], "usage": {"cost": 0}})))
    settings = painter(image_api, provider="openai", model="gpt-image-1", price_usd=None)
    await run_stage(settings, scenes(1), tmp_path)
    [bad] = purchases(tmp_path)

    assert image_api.received() == 1
    assert bad.state is State.PAID_BAD
    assert bad.counted_microusd == bad.hold_microusd > 0


@pytest.mark.parametrize("usage", [{}, {"input_tokens": 0}, {"prompt_tokens": "many"}])
async def test_tokens_without_the_requests_own_are_a_part_of_a_bill(
    usage: dict[str, Any], image_api: ImageApi, tmp_path: Path
) -> None:
    """What was held counts then, unless what is told is more; it is never the whole cost."""
    for scene, tokens in (("s01", 300), ("s02", 10**6)):
        body = {"data": [{"b64_json": "{png}"}], "usage": usage | {"output_tokens": tokens}}
        image_api.script(Answer(json.dumps(body)), scene=scene)
    settings = painter(image_api, provider="openai", model="gpt-image-1", price_usd=None)
    await run_stage(settings, scenes(2), tmp_path)

    little, much = sorted(purchases(tmp_path), key=lambda one: one.scene_id)
    assert little.hold_microusd > 12_000
    assert (little.cost_microusd, little.counted_microusd) == (None, little.hold_microusd)
    assert much.counted_microusd == 40_000_000


BAD_ADDRESSES = {
    "a line break": "https://a.test/x\\n.png", "a tab": "https://a.te\\tst/x.png",
    "NUL": "https://a.test/x.png\\u0000", "DEL": "https://a.test/\\u007f.png",
    "a lone surrogate": "https://a.test/\\ud800.png", "70 KB": f"https://a.test/{'x' * 70_000}",
    "a bad port": "https://a.test:99999/x.png", "a bad name": "https://\\u0378.test/x.png",
    "a bracket": "http://[", "no host": "https:///x.png",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ADDRESSES)
async def test_an_address_that_cannot_be_one_harms_no_other_scene(
    name: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """What was bought is kept as it came and waits for a person; the run and the next one go on."""
    image_api.script(Answer(f'{{"data":[{{"url":"{BAD_ADDRESSES[name]}"}}]}}'), scene="s01")
    image_api.always(Ok())
    ran = await run_stage(painter(image_api, capacity=1), scenes(2), tmp_path)
    again = await run_stage(painter(image_api, capacity=1), scenes(3), tmp_path)

    assert (ran.code("s01"), ran.code("s02")) == ("unknown", "made")
    assert [again.code(f"s{number:02}") for number in (1, 2, 3)] == ["unknown", "made", "made"]
    assert image_api.received("s01") == 1
    assert states(tmp_path, "s01") == [State.UNKNOWN]
    (kept,) = (tmp_path / ".stage3" / "spool").iterdir()
    assert b"url" in b"".join(path.read_bytes() for path in kept.iterdir())


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({"X-Request-Id": "req_1", "CF-Ray": "ray_1"}, "req_1"),
        ({"apim-request-id": "apim_1", "CF-Ray": "ray_1"}, "apim_1"),
        ({"x-litellm-call-id": "call_1"}, "call_1"),
        ({"CF-Ray": "ray_1"}, "ray_1"),
    ],
)
async def test_the_providers_name_of_an_exchange_is_in_the_ledger(
    headers: dict[str, str], expected: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """Of a picture, of a refusal, and of what may have been billed: with it a person can ask."""
    image_api.script(Answer('{"data":[{"b64_json":"{png}"}]}', headers), scene="s01")
    image_api.script(Json({"error": {"message": "no"}}, 400, headers), scene="s02")
    image_api.script(Json({"error": {"message": "no"}}, 500, headers), scene="s03")
    await run_stage(painter(image_api), scenes(3), tmp_path)

    assert {purchase.request_id for purchase in purchases(tmp_path)} == {expected}
    assert {purchase.state for purchase in purchases(tmp_path)} == {
        State.PAID, State.REFUSED, State.UNKNOWN,
    }  # fmt: skip


def test_check_and_plan_warn_of_what_the_vendor_will_not_take(tmp_path: Path) -> None:
    """With a date, and without refusing: the table is old as soon as it is written."""
    project = Project(tmp_path)
    long = {"scene_id": "s03", "image_prompt": "x" * 33_000}
    project.scenes(2)
    stories = json.loads((tmp_path / "scenes.json").read_text("utf-8"))
    (tmp_path / "scenes.json").write_text(json.dumps([*stories, long]), "utf-8")
    (tmp_path / "host.toml").write_text(
        '[plugin.stage3]\nprovider = "openai"\nmodel = "gpt-image-2"\nquality = "medium"\n'
        'size = "1000x1000"\nprice_usd = "0.05"\napi_key = { env = "LOOPBACK_KEY" }\n',
        encoding="utf-8",
    )
    checked, planned = project.run("check"), project.run("plan", "scenes.json")
    warned = [
        [line for line in told.splitlines() if line.startswith("warning: ")]
        for told in (checked.stdout + checked.stderr, planned.stdout + planned.stderr)
    ]

    assert (checked.returncode, planned.returncode) == (0, 0), planned.stderr
    assert ["divisible by 16" in line for line in warned[0]] == [True]
    assert len(warned[1]) == 2
    assert "'s03': a prompt of 33,000 characters" in warned[1][1]
