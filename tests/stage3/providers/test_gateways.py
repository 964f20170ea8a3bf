"""What the recorded answers of a gateway mean: LiteLLM's proxy, whatever happened behind it."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from tests.stage3.providers.replies import (
    PROVIDERS,
    openai,
    verdict_on,
)

FOLDER = Path(__file__).parent / "gateways"
NAMES = sorted(path.stem.removeprefix("litellm-") for path in FOLDER.glob("litellm-*.json"))


def recording(name: str) -> dict[str, Any]:
    """Read a recording."""
    document: dict[str, Any] = json.loads((FOLDER / f"litellm-{name}.json").read_text("utf-8"))
    return document


MEANS: dict[str, Any] = {name: recording(name)["means"] for name in NAMES if "hang" not in name}
"""What each means, and whether it stops the run; ``noretries-hang`` has no answer to judge."""
MAY_BE_BILLED = {VerdictKind.UNKNOWN, VerdictKind.PICTURES, VerdictKind.NO_PICTURE}


def reply_of(name: str) -> Reply:
    """Make the reply that a recording would be."""
    told = recording(name)
    lines = (line.partition(":") for line in told["headers"])
    headers = {name.lower(): value.strip() for name, _, value in lines}
    status = int(told["status"].split()[1])
    if headers["content-type"] == "application/json":
        document = json.loads(told["body"], parse_float=Decimal)
        return Reply(status=status, headers=headers, document=document)
    return Reply(status=status, headers=headers, text=told["body"])


def verdict_of(name: str, **settings: Any) -> Verdict:
    """Judge a recording as the answer of a gateway at an address of one's own."""
    provider = openai(base_url="http://127.0.0.1:4000/v1", model="the-model", **settings)
    return verdict_on(provider, reply_of(name))


@pytest.mark.parametrize("name", MEANS)
def test_a_gateways_answer_means_what_happened_behind_it(name: str) -> None:
    """It hides the vendor's code, and speaks of its own troubles in the vendor's shape."""
    verdict = verdict_of(name)

    assert (verdict.kind, verdict.stops_run) == (MEANS[name]["kind"], MEANS[name]["stops_run"])
    assert verdict.may_be_billed == (verdict.kind in MAY_BE_BILLED)
    for provider in PROVIDERS.values():
        assert verdict_on(provider, reply_of(name)).kind is verdict.kind


@pytest.mark.parametrize("name", MEANS)
def test_a_gateways_name_of_the_exchange_is_kept(name: str) -> None:
    """With it the gateway's own records say what was sent to the vendor, and how often."""
    headers = reply_of(name).headers

    assert verdict_of(name).request_id == headers.get("x-litellm-call-id")


@pytest.mark.parametrize(
    "name", [name for name, one in MEANS.items() if one["kind"] == "unknown" and name != "no-key"]
)
def test_a_gateways_failure_is_believed_only_where_it_quotes_the_vendor(name: str) -> None:
    """The same answer with the vendor's documented sentence in it is free, at 500 and 503 alone."""
    told = reply_of(name)
    sentence = "The server had an error while processing your request. Sorry about that!"
    text = json.dumps(told.document, default=str)
    quoted = re.sub("OpenAIException - [^\\\\]*", f"OpenAIException - {sentence}", text)
    verdict = verdict_on(
        openai(), Reply(status=told.status, headers=told.headers, document=json.loads(quoted))
    )
    its_own = ("APIConnectionError", "Timeout", "BadGatewayError")
    is_free = told.status in {500, 503} and not any(word in quoted for word in its_own)

    assert verdict.kind is (VerdictKind.BUSY if is_free else VerdictKind.UNKNOWN)
    assert verdict.may_be_billed is not is_free


def test_a_gateways_price_is_no_bill() -> None:
    """It stands apart from what a vendor says that it charged."""
    verdict = verdict_of("priced")

    assert verdict.reported_usd is None
    assert verdict.gateway_usd == Decimal("0.07")
