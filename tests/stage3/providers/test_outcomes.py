"""What every recorded answer means: the rows of the outcome table, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import pytest

from stage3_plugin.domain.money import Prices
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Provider
from tests.fakes import recorded as bodies
from tests.fakes.behaviours import Json
from tests.stage3.providers.replies import (
    ELSEWHERE,
    PNG,
    PROVIDERS,
    SUCCESSES,
    openai,
    openrouter,
    page,
    recorded,
    reply,
    verdict_on,
)


def judged(answer: Json, providers: Mapping[str, Provider] = PROVIDERS) -> Verdict:
    """Judge an answer; every provider must see the same in it."""
    verdicts = [verdict_on(provider, recorded(answer)) for provider in providers.values()]
    assert all(verdict == verdicts[0] for verdict in verdicts)
    return verdicts[0]


@pytest.mark.parametrize("name", bodies.MODERATION)
def test_a_policy_refusal_is_refused_and_unbilled(name: str) -> None:
    """Moderation fails the scene alone, whatever its shape and status."""
    verdict = judged(bodies.MODERATION[name])

    assert verdict.kind is VerdictKind.REFUSED
    assert not verdict.may_be_billed
    assert not verdict.stops_run
    assert verdict.message.endswith("change the scene's prompt")
    assert "lighthouse" not in verdict.message


@pytest.mark.parametrize("name", bodies.MONEY)
def test_an_empty_purse_stops_the_run(name: str) -> None:
    """Money is recognised by its words, although it comes as 400, 402, 403 and 429."""
    verdict = judged(bodies.MONEY[name])

    assert verdict.kind is VerdictKind.OUT_OF_MONEY
    assert verdict.stops_run
    assert not verdict.may_be_billed


def test_a_budget_tells_when_it_begins_anew() -> None:
    """The provider's date stands in the message."""
    verdict = judged(bodies.MONEY["openrouter 403 openrouter_workspace_budget"])

    assert "resets at 2026-12-01T00:00:00Z" in verdict.message
    assert verdict.provider_code == "openrouter_workspace_budget"


@pytest.mark.parametrize("name", bodies.CREDENTIALS)
def test_a_bad_key_stops_the_run_and_is_not_shown(name: str) -> None:
    """A wrong key, or one that may not do this, is true for every scene."""
    verdict = judged(bodies.CREDENTIALS[name])

    assert verdict.kind is VerdictKind.BAD_CREDENTIALS
    assert verdict.stops_run
    assert not verdict.may_be_billed
    assert "sk-" not in verdict.message


@pytest.mark.parametrize("name", bodies.FOR_EVERY_SCENE)
def test_what_no_scene_can_pass_stops_the_run(name: str) -> None:
    """A missing model, a region, a bad setting: rejected, and for all."""
    verdict = judged(bodies.FOR_EVERY_SCENE[name])

    assert verdict.kind is VerdictKind.REJECTED
    assert verdict.stops_run
    assert not verdict.may_be_billed


@pytest.mark.parametrize("name", bodies.FOR_ONE_SCENE)
def test_a_bad_request_fails_its_scene(name: str) -> None:
    """Rejected, unbilled, and no reason to stop the others."""
    verdict = judged(bodies.FOR_ONE_SCENE[name])

    assert verdict.kind is VerdictKind.REJECTED
    assert not verdict.stops_run
    assert not verdict.may_be_billed
    assert "secret" not in verdict.message


@pytest.mark.parametrize("name", bodies.RATE_LIMITS)
def test_a_rate_limit_carries_its_hint_or_lowers_capacity(name: str) -> None:
    """429 waits as long as it is told to; told nothing, fewer requests must do."""
    answer, hint_s = bodies.RATE_LIMITS[name]
    verdict = judged(answer)

    assert verdict.kind is VerdictKind.RATE_LIMITED
    assert verdict.hint_s == (None if hint_s is None else pytest.approx(hint_s))
    assert verdict.lower_capacity == (hint_s is None)
    assert not verdict.stops_run
    assert not verdict.may_be_billed


@pytest.mark.parametrize("name", bodies.PASSING)
def test_trouble_in_words_documented_as_free_passes_and_is_unbilled(name: str) -> None:
    """From 500 on only a vendor's own documented words prove that nothing was billed."""
    answer = bodies.PASSING[name]
    verdict = judged(answer)

    assert judged(answer, ELSEWHERE) == verdict
    assert verdict.kind is VerdictKind.BUSY
    assert not verdict.may_be_billed
    assert not verdict.stops_run
    assert verdict.lower_capacity == (answer.status in {503, 529} or "503" in name)


@pytest.mark.parametrize("name", bodies.IN_DOUBT)
def test_trouble_in_any_other_words_may_have_been_billed(name: str) -> None:
    """However it is told, by whomever at somebody's address: it is not sent again by itself."""
    verdict = judged(bodies.IN_DOUBT[name], ELSEWHERE)

    assert verdict.kind is VerdictKind.UNKNOWN
    assert verdict.may_be_billed
    assert verdict.message.endswith("; it may have been billed")
    assert verdict.should_retry is None


def _has_error(answer: Json) -> bool:
    document = cast("Mapping[str, object] | list[object]", answer.document)
    return isinstance(document, Mapping) and "error" in document


ERRORS: Mapping[str, Json] = {
    **bodies.MODERATION,
    **bodies.MONEY,
    **bodies.CREDENTIALS,
    **bodies.FOR_EVERY_SCENE,
    **bodies.FOR_ONE_SCENE,
    **{name: answer for name, (answer, _) in bodies.RATE_LIMITS.items()},
    **bodies.PASSING,
    **bodies.IN_DOUBT,
}


@pytest.mark.parametrize("name", [name for name, one in ERRORS.items() if _has_error(one)])
def test_an_error_in_a_list_of_one_says_the_same_as_without_it(name: str) -> None:
    """Google's endpoint for OpenAI's shapes writes it so: neither words nor waits are lost."""
    answer = ERRORS[name]
    wrapped = Json([answer.document], answer.status, answer.headers)

    assert judged(wrapped, ELSEWHERE) == judged(answer, ELSEWHERE)


def test_of_a_list_of_two_no_error_is_believed() -> None:
    """Beside an error may stand what was made."""
    answer = bodies.FOR_ONE_SCENE["200 with an error nobody knows"]
    verdict = judged(Json([answer.document, {"odd": 1}], 200))

    assert verdict.kind is VerdictKind.UNKNOWN


@pytest.mark.parametrize("name", bodies.IN_DOUBT)
def test_no_header_makes_a_doubtful_answer_free(name: str) -> None:
    """Somebody's yes to trying again says nothing about money."""
    answer = bodies.IN_DOUBT[name]
    headers = {"x-should-retry": "true", "X-Fal-Retryable": "true", "Retry-After": "1"}
    verdict = judged(Json(answer.document, answer.status, headers), ELSEWHERE)

    assert (verdict.kind, verdict.may_be_billed) == (VerdictKind.UNKNOWN, True)


FREE_SETTINGS: dict[str, dict[str, Any]] = {
    "price_usd": {"flat_usd": Decimal(0)},
    "prices": {"prices": Prices(output_image=Decimal(0), input_text=Decimal(0))},
    "both": {"prices": Prices(output_image=Decimal(0)), "flat_usd": Decimal(0)},
}
PAID_SETTINGS: dict[str, dict[str, Any]] = {
    "nothing told": {},
    "a price": {"flat_usd": Decimal("0.04")},
    "a price beside free tokens": {
        "prices": Prices(output_image=Decimal(0)), "flat_usd": Decimal("0.04"),
    },
    "prices": {"prices": Prices(output_image=Decimal(30), input_text=Decimal(0))},
    "no price for pictures": {"prices": Prices(input_text=Decimal(0))},
}  # fmt: skip


@pytest.mark.parametrize("name", FREE_SETTINGS)
@pytest.mark.parametrize("case", ["openai 500 in other words", "google INTERNAL", "museq 500"])
def test_a_server_that_costs_nothing_is_believed(name: str, case: str) -> None:
    """Where a picture costs 0 at an address of one's own, there is nothing to pay twice."""
    answer = recorded(bodies.IN_DOUBT[case])
    own = openai(base_url="http://localhost:8080/v1", **FREE_SETTINGS[name])

    assert verdict_on(own, answer).kind is VerdictKind.BUSY
    assert not verdict_on(own, answer).may_be_billed
    assert verdict_on(own, page(500)).kind is VerdictKind.UNKNOWN


@pytest.mark.parametrize(
    "settings, base_url",
    [(settings, "http://localhost:8080/v1") for settings in PAID_SETTINGS.values()]
    + [(settings, None) for settings in FREE_SETTINGS.values()]
    + [(settings, "https://api.openai.com/v1/") for settings in FREE_SETTINGS.values()],
)
def test_whoever_may_bill_is_not(settings: dict[str, Any], base_url: str | None) -> None:
    """A price that is not zero, or the vendor's own address: then the doubt stands."""
    provider = openai(base_url=base_url, **settings)
    verdict = verdict_on(provider, recorded(bodies.IN_DOUBT["openai 500 in other words"]))

    assert (verdict.kind, verdict.may_be_billed) == (VerdictKind.UNKNOWN, True)


def test_an_in_flight_budget_passes_and_wants_fewer_at_once() -> None:
    """The one 402 that is not about an empty purse; without Retry-After a minute is waited."""
    answer = bodies.IN_FLIGHT_BUDGET
    silent, told = (
        judged(answer),
        judged(Json(answer.document, answer.status, {"Retry-After": "9"})),
    )

    assert silent.kind is told.kind is VerdictKind.RATE_LIMITED
    assert silent.lower_capacity
    assert told.lower_capacity
    assert not silent.stops_run
    assert (silent.hint_s, told.hint_s) == (60.0, 9.0)


def test_a_wait_of_zero_is_left_to_backoff() -> None:
    """Told that no wait is needed, a minute is not waited; but nobody knocks in a busy loop."""
    for answer in (bodies.IN_FLIGHT_BUDGET, bodies.RATE_LIMITS["litellm"][0]):
        verdict = judged(Json(answer.document, answer.status, {"Retry-After": "0"}))

        assert verdict.hint_s is None
        assert verdict.lower_capacity


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 524, 408, 409])
@pytest.mark.parametrize(
    "answer",
    [page(0), page(0, ""), reply({"message": "Endpoint request timed out"}), reply([]), reply({})],
    ids=["page", "nothing", "a gateway's JSON", "a list", "an empty object"],
)
def test_trouble_in_foreign_words_is_unknown(status: int, answer: Any) -> None:
    """A proxy speaks; the service behind it may have worked on and may have billed."""
    for provider in PROVIDERS.values():
        verdict = verdict_on(
            provider,
            type(answer)(status=status, headers={}, document=answer.document, text=answer.text),
        )

        assert verdict.kind is VerdictKind.UNKNOWN
        assert verdict.may_be_billed
        assert verdict.provider_status == status


@pytest.mark.parametrize(
    "status, kind, stops_run",
    [
        (400, VerdictKind.REJECTED, False),
        (401, VerdictKind.BAD_CREDENTIALS, True),
        (402, VerdictKind.OUT_OF_MONEY, True),
        (403, VerdictKind.REJECTED, False),
        (404, VerdictKind.REJECTED, True),
        (405, VerdictKind.REJECTED, True),
        (413, VerdictKind.REJECTED, False),
        (429, VerdictKind.RATE_LIMITED, False),
    ],
)
def test_a_page_that_turns_the_request_away_is_unbilled(
    status: int,
    kind: VerdictKind,
    stops_run: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Below 500 even a proxy's page says that the request did not go through."""
    verdict = verdict_on(openai(), page(status))

    assert (verdict.kind, verdict.stops_run, verdict.may_be_billed) == (kind, stops_run, False)
    assert verdict.message.startswith(f"HTTP {status} ")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("document", [None, {"error": {"message": "moved"}}])
def test_a_redirect_is_not_followed_and_may_have_been_billed(status: int, document: Any) -> None:
    """It would carry a paid request and a key elsewhere; who answered may have handed it on."""
    verdict = verdict_on(
        openai(), reply(document, status, {"Location": "https://other.test/a?sig=b"})
    )

    assert verdict.kind is VerdictKind.UNKNOWN
    assert verdict.may_be_billed
    assert verdict.message.startswith(f"HTTP {status} ")
    assert "to https://other.test/a: a redirect" in verdict.message
    assert verdict.message.endswith("set base_url to the address that answers itself")
    assert verdict.stops_run == (status in {301, 302, 307, 308})


@pytest.mark.parametrize("location", ["", "http://[", "//[", "\ud800", "x" * 70_000, "ftp://a/b"])
def test_a_redirect_to_nowhere_is_told_all_the_same(location: str) -> None:
    """Where it leads is shown only if it is an address."""
    verdict = verdict_on(openai(), reply(None, 307, {"Location": location}))

    assert verdict.message.startswith("HTTP 307 Temporary Redirect: a redirect")


@pytest.mark.parametrize("document", [None, {"error": {"message": "x", "type": "server_error"}}])
@pytest.mark.parametrize(
    "headers, name",
    [({"Via": "1.1 tinyproxy"}, ": 1.1 tinyproxy"), ({"Server": "squid"}, ": squid"), ({}, "")],
)
def test_a_proxy_that_wants_a_login_is_named_and_stops_the_run(
    document: Any, headers: dict[str, str], name: str
) -> None:
    """A 407 is a proxy's alone: it has handed nothing on, and will for no scene."""
    verdict = verdict_on(openai(), reply(document, 407, headers))

    assert verdict.kind is VerdictKind.BAD_CREDENTIALS
    assert verdict.message.startswith(f"the proxy wants a login{name} (HTTP 407 ")
    assert verdict.stops_run
    assert not verdict.may_be_billed


def test_a_gateways_flat_message_is_shown_below_500() -> None:
    """It says what is wrong, and is no word on what was billed."""
    told = "Either x-portkey-config or x-portkey-provider header is required"
    verdict = verdict_on(openai(), reply({"status": "failure", "message": told}, 400))

    assert verdict.kind is VerdictKind.REJECTED
    assert verdict.message == f"HTTP 400 Bad Request: {told}"
    assert not verdict.may_be_billed


@pytest.mark.parametrize("text", ["<html>Just a moment...</html>", "", "data: {}", "\x00\x01"])
def test_a_success_that_is_no_json_is_unknown(text: str) -> None:
    """HTML with 200 comes from a proxy; the origin may have billed."""
    verdict = verdict_on(openai(), page(200, text))

    assert verdict.kind is VerdictKind.UNKNOWN
    assert verdict.may_be_billed


@pytest.mark.parametrize("text", ['{"data": [{"b64_js', "\ufeff\n [1,"])
def test_a_success_that_breaks_off_is_unknown(text: str) -> None:
    """It was cut on the way, like every other cut, by somebody who told its end in good order."""
    verdict = verdict_on(openai(), page(200, text))

    assert verdict.kind is VerdictKind.UNKNOWN
    assert verdict.may_be_billed
    assert "breaks off" in verdict.message


@pytest.mark.parametrize(
    "document",
    [
        {"html-message": "<html><body>Just a moment</body></html>"},
        {"status": 1, "body": "\n <!DOCTYPE html>"},
        {"error": {"message": "<html>Just a moment"}},
        "<HTML>",
    ],
)
def test_a_page_wrapped_in_json_is_a_page(document: Any) -> None:
    """A gateway that meets a page where it expected JSON puts it into some of its own."""
    verdict = verdict_on(openai(), reply(document))

    assert verdict.kind is VerdictKind.UNKNOWN
    assert verdict.may_be_billed


@pytest.mark.parametrize("name", SUCCESSES["unfamiliar"])
def test_a_success_that_is_not_understood_is_kept(name: str) -> None:
    """Nobody has said that there is no picture; another is not bought for a shape of our own."""
    for provider in PROVIDERS.values():
        verdict = verdict_on(provider, reply(SUCCESSES["unfamiliar"][name]))

        assert (verdict.kind, verdict.may_be_billed) == (VerdictKind.UNKNOWN, True)


@pytest.mark.parametrize("name", SUCCESSES["no_picture"])
def test_a_success_without_a_picture_may_have_been_billed(name: str) -> None:
    """Silence about money is no proof that it was free, save where that is documented."""
    answer = reply(SUCCESSES["no_picture"][name])
    verdicts = [verdict_on(provider, answer) for provider in PROVIDERS.values()]

    assert {verdict.kind for verdict in verdicts} == {VerdictKind.NO_PICTURE}
    *billed, by_google = (verdict.may_be_billed for verdict in verdicts)
    assert billed == [True, False, True]
    assert by_google is not name.startswith("google")  # its own answers count what they charge
    assert "cannot" not in verdicts[0].message


@pytest.mark.parametrize(
    "usage, may_be_billed",
    [
        ({"cost": 0.0007}, True),
        ({"cost": 0}, False),
        ({"prompt_tokens": 9, "completion_tokens": 30}, True),
        ({"prompt_tokens": 0, "completion_tokens": 0}, False),
        ({"cost": None}, False),
    ],
)
def test_a_reported_charge_decides_whether_an_empty_success_was_billed(
    usage: Any,
    may_be_billed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """The provider's own figure is the best word on it."""
    verdict = verdict_on(openrouter(), reply({"data": [], "usage": usage}))

    assert verdict.may_be_billed == may_be_billed


@pytest.mark.parametrize("name", SUCCESSES["refused"])
def test_a_refusal_with_200_is_refused(name: str) -> None:
    """The reason of a success without a picture says whether another try could help."""
    verdict = verdict_on(openai(), reply(SUCCESSES["refused"][name]))

    assert verdict.kind is VerdictKind.REFUSED
    assert verdict.may_be_billed


def test_a_refusal_keeps_the_tokens_it_charged() -> None:
    """A recorded refusal had used 1,119 tokens of prompt."""
    verdict = verdict_on(
        openrouter("chat"),
        reply({"choices": [{"finish_reason": "content_filter"}], "usage": {"prompt_tokens": 1119}}),
    )

    assert verdict.may_be_billed
    assert verdict.usage is not None
    assert verdict.usage.input_text == 1119


def test_a_limited_account_stops_the_run() -> None:
    """Google says so as the reason of a success."""
    verdict = verdict_on(
        openai(), reply({"candidates": [{"finishReason": "PUP_LIMITED_DISABLED"}]})
    )

    assert verdict.kind is VerdictKind.BAD_CREDENTIALS
    assert verdict.stops_run


@pytest.mark.parametrize(
    "usage, may_be_billed",
    [({"cost": 0.01}, True), ({"cost": 0}, False), (None, False), ({"total_tokens": 0}, False)],
)
def test_an_error_with_200_is_billed_only_if_it_says_so(
    usage: Any,
    may_be_billed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """The last chunk of a recorded stream had an error beside a usage."""
    error = {
        "code": 503,
        "message": "Overloaded",
        "metadata": {"error_type": "provider_overloaded"},
    }
    verdict = verdict_on(openrouter(), reply({"error": error, "usage": usage}))

    assert verdict.kind is VerdictKind.BUSY
    assert verdict.may_be_billed == may_be_billed


def test_a_picture_is_kept_whatever_error_stands_beside_it() -> None:
    """What was paid for and can be seen is never thrown away for a word."""
    verdict = verdict_on(openai(), reply({"data": [{"b64_json": PNG}], "error": {"code": "odd"}}))

    assert verdict.kind is VerdictKind.PICTURES


@pytest.mark.parametrize(
    "headers, document, expected",
    [
        ({"x-should-retry": "true"}, {"error": {"code": "odd"}}, (VerdictKind.BUSY, True)),
        ({"X-Fal-Retryable": "1"}, {"detail": "hm"}, (VerdictKind.BUSY, True)),
        ({"x-should-retry": "perhaps"}, {"error": {"code": "odd"}}, (VerdictKind.REJECTED, None)),
        (
            {},
            {"error": {"availability": {"code": "no_endpoints", "retryable": True}}},
            (VerdictKind.BUSY, True),
        ),
        ({"x-should-retry": "true"}, bodies.MONEY["openai insufficient_quota"].document,
         (VerdictKind.OUT_OF_MONEY, None)),
        ({"x-should-retry": "true"}, bodies.MODERATION["openai moderation_blocked"].document,
         (VerdictKind.REFUSED, None)),
    ],
)  # fmt: skip
def test_an_explicit_yes_is_obeyed_save_for_money_and_policy(
    headers: dict[str, str], document: Any, expected: tuple[VerdictKind, bool | None]
) -> None:
    """The provider knows best whether trying again can help, but not whether we may pay."""
    verdict = verdict_on(openai(), reply(document, 400, headers))

    assert (verdict.kind, verdict.should_retry) == expected
    assert verdict.stops_run == (expected[0] is VerdictKind.OUT_OF_MONEY)


@pytest.mark.parametrize("answer", [page(429), reply({"error": {"code": "x"}}, 429)])
def test_an_explicit_no_is_passed_on(answer: Any) -> None:
    """A limit that will not lift is told as such, in JSON or not."""
    answer.headers["x-should-retry"] = "false"

    verdict = verdict_on(openai(), answer)

    assert verdict.kind is VerdictKind.RATE_LIMITED
    assert verdict.should_retry is False


def test_the_profile_can_call_a_status_billed() -> None:
    """An answer of the provider's own is unbilled unless its profile lists the status."""
    from dataclasses import replace

    from stage3_plugin.providers.openai_images import PROFILE
    from stage3_plugin.providers.replies.judging import judge_reply

    careful = replace(PROFILE, billed_statuses=frozenset({422}))
    steps = [
        judge_reply(
            reply({"error": {"message": "no"}}, status), profile=careful, base_url="", now_s=0.0
        )
        for status in (400, 422)
    ]

    assert [isinstance(one, Verdict) and one.may_be_billed for one in steps] == [False, True]


def test_the_verdict_names_the_exchange() -> None:
    """Status, code and request id are there for logs and for the provider's support."""
    verdict = judged(bodies.MONEY["openai insufficient_quota"])

    assert verdict.provider_status == 429
    assert verdict.provider_code == "insufficient_quota"
    assert verdict.request_id == "req_0123"
