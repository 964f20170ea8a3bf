"""What providers are asked for free, and what their answers say of key, model and account."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.providers.gemini import Gemini
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.openai_images import OpenAIImages
from stage3_plugin.providers.openrouter import OpenRouter
from tests.fakes.free_pages import FreePages
from tests.stage3.providers.replies import page, reply

TODAY = date(2026, 11, 25)
OWN = "http://127.0.0.1:8080/v1"
MODELS = ("a/painter",)
SERVER = {"provider_name": "Somebody"}


def asks(provider: Hosted, *models: str) -> list[Ask]:
    return [check for check in provider.checks(models or MODELS) if isinstance(check, Ask)]


def openai(base_url: str | None = None) -> Hosted:
    return OpenAIImages(Endpoint(provider="openai", base_url=base_url))


def openrouter(base_url: str | None = None, *, api: str = "images") -> Hosted:
    return OpenRouter(Endpoint(provider="openrouter", base_url=base_url, api=api))


def gemini(base_url: str | None = None) -> Hosted:
    return Gemini(Endpoint(provider="gemini", base_url=base_url))


def verdicts(found: Iterable[Finding]) -> dict[str, str]:
    return {finding.about: finding.verdict for finding in found}


def judged(ask: Ask, answer: Reply, today: date = TODAY) -> dict[str, str]:
    return verdicts(ask.judged(answer, today))


def error(code: int, message: str = "no", /, **more: Any) -> Reply:
    return reply({"error": {"message": message, **more}}, code)


def test_chat_completions_have_a_list_of_their_own() -> None:
    """A model may be served by one of the two ways alone."""
    (ask,) = asks(openrouter(api="chat"))[2:]

    assert ask.url == "https://openrouter.ai/api/v1/models/a/painter/endpoints"


@pytest.mark.parametrize("model", ["painter", "a/b/c", "a/"])
def test_a_name_that_has_no_page_at_openrouter_is_unknown(model: str) -> None:
    """It is not asked for by a path that is another one's."""
    (found,) = [one for one in openrouter().checks((model,)) if isinstance(one, Finding)]

    assert (found.about, found.verdict, found.model) == ("model", "unknown", model)


BAD_KEYS = [
    error(401, "Incorrect API key provided.", code="invalid_api_key"),
    error(
        400,
        "API key not valid.",
        status="INVALID_ARGUMENT",
        details=[{"reason": "API_KEY_INVALID"}],
    ),
    error(403, "denied", status="PERMISSION_DENIED"),
    page(401),
    reply({"detail": "Authentication Error"}, 401),
]


@pytest.mark.parametrize("answer", BAD_KEYS)
@pytest.mark.parametrize("base_url", [None, OWN])
@pytest.mark.parametrize("provider", [openai, openrouter, gemini])
def test_a_key_that_is_refused_is_bad_wherever_it_is(
    provider: Any, base_url: str | None, answer: Reply
) -> None:
    """And whatever else was asked by it stays unknown."""
    ask = asks(provider(base_url))[0]
    found = judged(ask, answer)

    assert found.pop("key") == "bad"
    assert set(found.values()) == {"unknown"}


SAYS_NOTHING = [
    page(404),
    page(200),
    error(404, "Invalid URL (GET /v1/models/x)"),
    error(405, "Method Not Allowed"),
    error(429, "slow down", code="rate_limit_exceeded"),
    error(500, "server error"),
    page(503),
    page(407),
    page(302, location="https://elsewhere.example/v1"),
    reply({"object": "list"}),
    reply([]),
    reply(None),
    error(403, "You have insufficient permissions. Missing scopes: api.model.read"),
    error(401, "Virtual key is not allowed to call this route."),
]


@pytest.mark.parametrize("answer", SAYS_NOTHING)
@pytest.mark.parametrize("base_url", [None, OWN])
def test_an_answer_that_says_nothing_leaves_all_unknown(
    base_url: str | None, answer: Reply
) -> None:
    """Nothing is called bad that nobody called so."""
    (ask,) = asks(openai(base_url))

    assert set(judged(ask, answer).values()) == {"unknown"}


@pytest.mark.parametrize("answer", [page(404), page(302, location="https://elsewhere.example/")])
def test_openrouter_too_says_no_in_its_own_words_alone(answer: Reply) -> None:
    """A page in front of it is not its word."""
    for ask in asks(openrouter()):
        assert set(judged(ask, answer).values()) == {"unknown"}


@pytest.mark.parametrize(
    "change, key, account",
    [
        ({}, "good", "good"),
        ({"limit": None, "limit_remaining": None}, "good", "good"),
        ({"limit_remaining": 0}, "good", "bad"),
        ({"limit_remaining": -0.25}, "good", "bad"),
        ({"limit": None, "limit_remaining": None, "is_free_tier": True}, "good", "unknown"),
        ({"expires_at": "2026-11-24T23:59:59Z"}, "bad", "good"),
        ({"expires_at": "2027-11-24T23:59:59Z"}, "good", "good"),
        ({"is_management_key": True}, "bad", "good"),
        ({"limit_remaining": True, "limit": "much", "expires_at": "x"}, "good", "good"),
    ],
)
def test_openrouter_says_what_a_key_may_spend(
    change: dict[str, Any], key: str, account: str
) -> None:
    """By its own page; the label in it holds a part of the key, and is never said."""
    document = {"data": FreePages().key | change}
    found = asks(openrouter())[0].judged(reply(document), TODAY)

    assert verdicts(found) == {"key": key, "account": account}
    assert not any("sk-or" in f"{finding.message}{finding.hint}" for finding in found)


@pytest.mark.parametrize(
    "answer, verdict",
    [
        (reply({"data": {"total_credits": 100.5, "total_usage": 25.75}}), "good"),
        (reply({"data": {"total_credits": 100, "total_usage": 100}}), "bad"),
        (reply({"data": {"total_credits": 0, "total_usage": 0}}), "bad"),
        (reply({"data": {}}), "unknown"),
        (error(403, "Only management keys can fetch credits", code=403), "unknown"),
    ],
)
def test_the_balance_counts_where_it_is_told(answer: Reply, verdict: str) -> None:
    """To an ordinary key it is not, which says nothing against the key."""
    assert judged(asks(openrouter())[1], answer) == {"account": verdict}


@pytest.mark.parametrize(
    "document, verdict",
    [
        ({"id": "a/painter", "endpoints": [SERVER]}, "good"),
        (
            {"data": {"endpoints": [SERVER], "architecture": {"output_modalities": ["image"]}}},
            "good",
        ),
        ({"data": {"endpoints": [SERVER], "architecture": {"output_modalities": ["text"]}}}, "bad"),
        ({"endpoints": []}, "bad"),
        ({"endpoints": [SERVER], "expiration_date": "2026-11-01"}, "bad"),
        ({"endpoints": 7}, "unknown"),
    ],
)
def test_openrouter_says_who_serves_a_model(document: Any, verdict: str) -> None:
    """A model that nobody serves now, and one that writes words, make no picture."""
    assert judged(asks(openrouter())[2], reply(document)) == {"model": verdict}


def test_a_model_for_something_else_is_bad_at_google() -> None:
    """It is there, and cannot be asked for a picture in our way."""
    (ask,) = asks(gemini())
    document = {"name": "models/x", "supportedGenerationMethods": ["embedContent"]}

    assert judged(ask, reply(document)) == {"key": "good", "model": "bad"}
