"""Reading odd answers: nothing paid for is lost, nothing secret is shown, nothing can fail."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.money import Usage
from stage3_plugin.domain.picture import InlinePicture, RemotePicture, SpooledPart
from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.providers.replies.reading import cleaned
from stage3_plugin.providers.replies.usage import gateway_usd_of, reported_usd_of, usage_in
from tests.stage3.providers.replies import (
    PNG,
    SUCCESSES,
    openai,
    openrouter,
    part,
    reply,
    step_on,
    verdict_on,
)

BASE = "https://server.test/v1"
INLINE = InlinePicture(PNG)
FULL_PNG = "iVBORw0KGgoAAAANSUhEUgAA"


@pytest.mark.parametrize("name", SUCCESSES["pictures"])
def test_a_picture_is_found_wherever_answers_have_put_it(name: str) -> None:
    """Every provider reads every recorded shape: a compatible server may answer any of them."""
    document, told = (SUCCESSES["pictures"][name][one] for one in ("body", "source"))
    source = InlinePicture(**told) if "base64" in told else RemotePicture(**told)
    for provider in (
        openai(base_url=BASE),
        openrouter(base_url=BASE),
        openrouter("chat", base_url=BASE),
    ):
        verdict = verdict_on(provider, reply(document))

        assert verdict.kind is VerdictKind.PICTURES
        assert verdict.may_be_billed
        assert step_on(provider, reply(document)).sources[0] == source


BAD_ADDRESSES = {
    "a bracket": "http://[",
    "a bracket behind slashes": "//[",
    "no host": "https://",
    "only a port": "https://:80/x.png",
    "a line break within": "https://a.test/x\n.png",
    "a tab within": "https://a.te\tst/x.png",
    "NUL": "https://a.test/x.png\x00",
    "DEL": "https://a.test/\x7f.png",
    "a lone surrogate": "https://a.test/\ud800.png",
    "a bidi mark": "https://a.test/\u202egnp.x",
    "a port of letters": "https://a.test:https/x.png",
    "a port beyond all": "https://a.test:99999/x.png",
    "a name no IDNA knows": "https://\u2488com.\u0378/x.png",
    "an empty label": "https://a..test/x.png",
    "a long label": f"https://{'a' * 64}.test/x.png",
    "a long name": f"https://{'a.' * 200}test/x.png",
    "70 KB": f"https://a.test/{'x' * 70_000}.png",
    "70 KB of name": f"https://{'a' * 70_000}/x.png",
}


@pytest.mark.parametrize("name", BAD_ADDRESSES)
def test_an_address_that_cannot_be_one_leaves_in_doubt_what_was_bought(name: str) -> None:
    """A success that names a picture was paid for; it is kept as it came, and a person decides."""
    document = {"data": [{"url": BAD_ADDRESSES[name]}]}
    verdict = verdict_on(openai(base_url=BASE), reply(document))

    assert verdict.kind is VerdictKind.UNKNOWN
    assert verdict.may_be_billed

    document["data"].append({"url": "https://a.test/good.png"})
    assert step_on(openai(base_url=BASE), reply(document)).sources == (
        RemotePicture("https://a.test/good.png"),
    )


@pytest.mark.parametrize("url", ["", "  ", None, {"url": {}}])
def test_what_is_no_address_is_no_picture(url: Any) -> None:
    """The answer is a success all the same, and may have been billed."""
    verdict = verdict_on(openai(), reply({"data": [{"url": url}]}))

    assert verdict.kind is VerdictKind.NO_PICTURE
    assert verdict.may_be_billed


def test_all_pictures_are_kept_in_order() -> None:
    """The first is the scene's; the others were paid for as well."""
    verdict = verdict_on(openai(), reply({"data": [{"b64_json": "AAAA"}, {"b64_json": "BBBB"}]}))

    assert verdict.sources == (InlinePicture("AAAA"), InlinePicture("BBBB"))


def test_a_spooled_picture_is_found_by_its_placeholder() -> None:
    """A long string was decoded while it arrived; the document holds its placeholder."""
    document = {"data": [{"b64_json": "\x00nonce-1"}]}
    verdict = verdict_on(
        openai(), reply(document, parts={"\x00nonce-0": part(0), "\x00nonce-1": part(1)})
    )

    assert verdict.sources == (SpooledPart(1), SpooledPart(0))


def test_a_picture_told_twice_is_two_ways_to_it() -> None:
    """What cannot be read as base64 may be had from its address; the same again is not tried."""
    item = {"b64_json": "!!", "url": "https://a.test/x.png"}
    step = step_on(openai(), reply({"data": [item, item]}))

    assert step.sources == (InlinePicture("!!"), RemotePicture("https://a.test/x.png"))


@pytest.mark.parametrize(
    "url",
    [
        f"DATA:IMAGE/PNG;BASE64,{PNG}",
        f'data:image/png;name="a,b.png";base64,{PNG}',
        "data:image/png,%89PNG%0D%0A",
        f"\n data:image/png;base64,{PNG} ",
    ],
)
def test_a_data_url_is_one_however_it_is_written(url: str) -> None:
    """In capitals, with quoted parameters, percent-encoded, with white space around it."""
    verdict = verdict_on(openai(), reply({"data": [{"url": url}]}))

    assert verdict.sources == (InlinePicture(url.strip()),)


def test_pictures_in_a_text_come_in_its_order() -> None:
    """Data URLs and Markdown's addresses; a link is no picture."""
    content = (
        f"![a](https://a.test/1) [b](https://a.test/2) DATA:image/png;base64,{PNG} ![](http://c/3)"
    )
    step = step_on(openrouter("chat"), reply({"choices": [{"message": {"content": content}}]}))

    assert step.sources == (
        RemotePicture("https://a.test/1"),
        InlinePicture(f"DATA:image/png;base64,{PNG}"),
        RemotePicture("http://c/3"),
    )


def test_a_raw_picture_as_body_is_the_picture() -> None:
    """vLLM-Omni answers bytes when asked for a file."""
    verdict = verdict_on(openai(), Reply(status=200, headers={}, parts={"": part()}))

    assert (verdict.kind, verdict.sources) == (VerdictKind.PICTURES, (SpooledPart(0),))


def test_a_picture_at_a_place_nobody_knows_is_not_lost() -> None:
    """A long base64 string was paid for; one that calls itself a picture comes first."""
    document = {"output": {"thought": "\x00n-0", "deep": ["\x00n-1"]}}
    parts = {"\x00n-0": part(0, None), "\x00n-1": part(1)}

    verdict = verdict_on(openai(), reply(document, parts=parts))

    assert verdict.sources == (SpooledPart(1), SpooledPart(0))


@pytest.mark.parametrize("status", [302, 400, 429, 500, 503, 600])
@pytest.mark.parametrize("error", [{"code": "x"}, {"code": "overloaded"}, None])
def test_a_picture_outweighs_the_status(status: int, error: Any) -> None:
    """It was made and is here: thrown away, it would be bought again."""
    answers = [
        reply({"data": [{"b64_json": FULL_PNG}], "error": error}, status),
        reply({"error": error, "x": "\x00n"}, status, parts={"\x00n": part(0, "image/png")}),
    ]
    for answer in answers:
        verdict = verdict_on(openai(), answer)

        assert (verdict.kind, verdict.may_be_billed) == (VerdictKind.PICTURES, True)


def test_what_is_no_picture_in_an_error_leaves_it_one() -> None:
    """An error may hold text where a success has pictures, or a long string."""
    document = {"data": ["prompt"], "error": {"code": "x"}}
    verdict = verdict_on(openai(), reply(document, 400, parts={"\x00n": part(0, None)}))

    assert verdict.kind is VerdictKind.REJECTED


def test_the_facts_about_a_picture_are_kept() -> None:
    """A revised prompt, the quality that was really made, who made it, and the exchange's name."""
    verdict = verdict_on(
        openrouter(),
        reply(
            {
                "quality": "high",
                "data": [{"b64_json": PNG, "revised_prompt": "A tall\nlighthouse"}],
            },
            headers={"X-Generation-Id": "gen-img-1", "X-Provider-Name": "Google"},
        ),
    )

    assert verdict.request_id == "gen-img-1"
    assert verdict.details == {
        "quality": "high",
        "revised_prompt": "A tall lighthouse",
        "served_by": "Google",
    }


@pytest.mark.parametrize(
    "headers, document, expected",
    [
        ({"apim-request-id": "apim-1", "cf-ray": "ray-1"}, {}, "apim-1"),
        ({"x-litellm-call-id": "call-1", "cf-ray": "ray-1"}, {}, "call-1"),
        ({"x-litellm-call-id": "call-1", "x-request-id": "req-1"}, {}, "req-1"),
        ({"x-litellm-call-id": "call-1"}, {"id": "gen-1"}, "gen-1"),
        ({"cf-ray": "ray-1"}, {"request_id": "body-1"}, "body-1"),
        ({"cf-ray": "ray-1\x00"}, {}, "ray-1"),
        ({"x-request-id": " ", "cf-ray": "ray-1"}, {}, "ray-1"),
        ({"x-request-id": "r" * 500}, {}, "r" * 127 + "…"),
        ({}, {"id": 7}, None),
    ],
)
def test_the_exchange_has_the_name_that_leads_furthest(
    headers: dict[str, str], document: Any, expected: str | None
) -> None:
    """The vendor's own before a gateway's, and that before the network's; every verdict has one."""
    for status in (200, 400, 500):
        assert verdict_on(openai(), reply(document, status, headers)).request_id == expected


@pytest.mark.parametrize("row", SUCCESSES["usages"].values(), ids=SUCCESSES["usages"])
def test_tokens_are_read_by_price_class(row: dict[str, Any]) -> None:
    """Both vocabularies, with and without a breakdown; nothing is a usage of nothing."""
    expected = None if row["tokens"] is None else Usage(**row["tokens"])

    assert usage_in({"usage": row["usage"]}) == expected


def test_recorded_tokens_come_to_their_recorded_cost() -> None:
    """The arithmetic agrees with what OpenRouter charged for the same answer."""
    usage = usage_in({"usage": SUCCESSES["usages"]["openrouter"]["usage"]})
    prices = openrouter(model="google/gemini-3.1-flash-lite-image").prices

    assert usage is not None
    assert prices is not None
    assert prices.price(usage) == 34227  # 0.03422675, rounded up


@pytest.mark.parametrize("row", SUCCESSES["costs"].values(), ids=SUCCESSES["costs"])
def test_the_providers_own_figure_is_read_exactly(row: dict[str, Any]) -> None:
    """As decimal, with the real spend of a key of one's own, and never a guess."""
    found = reported_usd_of(reply({"usage": row["usage"]}))

    assert found == (None if row["usd"] is None else Decimal(row["usd"]))


@pytest.mark.parametrize(
    "value, expected",
    [
        ("0.04284000000000001", "0.04284000000000001"), ("0.0", None), ("x", None), ("1_0", None),
        ("\uff11", None), ("nan", None), ("1e999990", None), ("9" * 5000, None), ("-1", None),
    ],
)  # fmt: skip
def test_litellms_header_is_a_gateways_figure_unless_it_is_zero(
    value: str, expected: str | None
) -> None:
    """Its zero means that it does not know the model; it is never the provider's own figure."""
    answer = reply({}, headers={"x-litellm-response-cost": value})

    assert gateway_usd_of(answer) == (None if expected is None else Decimal(expected))
    assert reported_usd_of(answer) is None


ODD_FIGURES = [
    Decimal("NaN"), Decimal("-Infinity"), Decimal("1e999999"), Decimal("1e999990"), 10**5000,
    -(10**5000), Decimal("9" * 5000), float("inf"), 1_000_001, "1_0", "\uff11\uff10", "1e999990",
    "9" * 5000, " ", -0.0, Decimal("-0.0"), "-0.0", "1_000", "+1", "0x10", "Infinity",
    [1], {"usd": 1},
]  # fmt: skip


@pytest.mark.parametrize("figure", ODD_FIGURES, ids=lambda figure: str(type(figure).__name__))
def test_a_figure_that_cannot_be_a_bill_costs_no_picture(figure: Any) -> None:
    """Not finite, negative, beyond a million dollars, or no plain number: then it is unknown."""
    usage = dict.fromkeys(("cost", "input_tokens", "output_tokens", "image_tokens"), figure)
    document: Any = {"data": [{"b64_json": PNG}], "usage": {**usage, "cost_in_usd_ticks": None}}
    verdict = verdict_on(openrouter(), Reply(status=200, headers={}, document=document))

    assert verdict.sources == (INLINE,)
    assert verdict.reported_usd is None
    assert verdict.usage is None or figure == 1_000_001


@pytest.mark.parametrize(
    "text, shown",
    [
        ("  two\r\nlines\t ", "two lines"),
        ("bell\x07 \x1b[31mred\x9b \u202eright\u2066 \ud800", "bell [31mred right"),
        ("key sk-proj-abcDEF_123 here", "key [key] here"),
        ("provided: sk-test-********4b06.", "provided: [key]"),
        ("Bearer abc.def", "[key]"),
        ("AIzaSyA-1234567890", "[key]"),
        ("key-frames of a sk-y", "key-frames of a sk-y"),
        ("key-frames-sk-abcdefgh", "key-frames-[key]"),
        ("xai-" + "a" * 9 + "1", "[key]"),
        ("a \x07 b", "a b"),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_a_message_is_safe_to_show(text: str, shown: str) -> None:
    """One line without controls, bidi marks or keys, at most 300 characters."""
    assert cleaned(text) == shown
