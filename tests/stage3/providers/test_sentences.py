"""A bad key, an empty account, an unknown model, a wrong region: one sentence with the next step.

Answers are in the shapes of each vendor's own (facts ``providers.md`` 1.5, 2.3, 4 and
``providers2.md`` 3, 4, 5, 9), and are judged by its provider, as a run does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.registry import maker_named, provider_at
from stage3_plugin.runtime.offers import PROVIDERS


class Trouble(NamedTuple):
    """What is wrong, and what has to be said of it.

    Attributes:
        kind: Of the verdict; each of them stops the run, and costs nothing.
        step: The next step, which ends the sentence.
    """

    kind: VerdictKind
    step: str


TROUBLES = {
    "bad key": Trouble(VerdictKind.BAD_CREDENTIALS, "; check api_key"),
    "no money": Trouble(
        VerdictKind.OUT_OF_MONEY, "; add credit or raise the limit at the provider"
    ),
    "no model": Trouble(
        VerdictKind.REJECTED, "; check model, api and base_url (many servers want /v1 at its end)"
    ),
    "region": Trouble(
        VerdictKind.REJECTED, "; use a model or a provider that serves where you are"
    ),
    "host": Trouble(VerdictKind.REJECTED, "; set base_url to the host of your account's region"),
}
NEEDED = {"bad key", "no money", "no model"}


def _openai(status: int, code: str, message: str, kind: str = "invalid_request_error") -> Any:
    return status, {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _google(status: int, word: str, message: str, **more: Any) -> Any:
    return status, {"error": {"code": status, "message": message, "status": word, **more}}


def _openrouter(status: int, message: str, **more: Any) -> Any:
    return status, {"error": {"code": status, "message": message, **more}}


ANSWERS: dict[tuple[str, str], Any] = {
    ("openai", "bad key"): _openai(401, "invalid_api_key", "Incorrect API key provided: sk-0…ef."),
    ("openai", "no money"): _openai(
        429, "insufficient_quota", "You exceeded your current quota.", "insufficient_quota"
    ),
    ("openai", "no model"): _openai(404, "model_not_found", "The model 'm' does not exist."),
    ("openai", "region"): _openai(
        403, "unsupported_country_region_territory", "Country, region, or territory not supported"
    ),
    ("openai", "host"): _openai(
        401, "incorrect_hostname", "Attempted to access resource with incorrect regional hostname."
    ),
    ("openrouter", "bad key"): _openrouter(401, "No auth credentials found"),
    ("openrouter", "no money"): _openrouter(402, "Insufficient credits."),
    ("openrouter", "no model"): _openrouter(400, "a/painter is not a valid model ID"),
    ("openrouter", "region"): _openrouter(
        403,
        "This model is not available in your region.",
        availability={"code": "region_restricted", "retryable": False},
    ),
    ("gemini", "bad key"): _google(
        400, "INVALID_ARGUMENT", "API key not valid.", details=[{"reason": "API_KEY_INVALID"}]
    ),
    ("gemini", "no money"): _google(
        429, "RESOURCE_EXHAUSTED", "Quota exceeded for metric: free_tier_requests, limit: 0"
    ),
    ("gemini", "no model"): _google(
        404, "NOT_FOUND", "models/m is not found for API version v1beta."
    ),
    ("gemini", "region"): _google(
        400, "FAILED_PRECONDITION", "User location is not supported for the API use."
    ),
    ("fal", "bad key"): (401, {"detail": "No user found for Key ID and Secret"}),
    ("fal", "no money"): (403, {"detail": "User is locked. Reason: Exhausted balance."}),
    ("fal", "no model"): (404, {"detail": "Application 'flux-9' not found"}),
    ("bfl", "bad key"): (403, {"detail": "Not authenticated - Invalid Authentication"}),
    ("bfl", "no money"): (402, {"detail": "Insufficient credits."}),
    ("bfl", "no model"): (404, {"detail": "Not Found"}),
    ("replicate", "bad key"): (
        401,
        {"title": "Unauthenticated", "detail": "You did not pass a valid token", "status": 401},
    ),
    ("replicate", "no money"): (
        402,
        {"title": "Insufficient credit", "detail": "You have insufficient credit.", "status": 402},
    ),
    ("replicate", "no model"): (
        404,
        {"detail": "The requested resource could not be found.", "status": 404},
    ),
    ("xai", "bad key"): (
        400,
        {"code": "invalid-argument", "error": "Incorrect API key provided: xa***42."},
    ),
    ("xai", "no money"): (
        429,
        {
            "code": "Some resource has been exhausted",
            "error": "Your team 1 has either used all available credits or reached its limit.",
        },
    ),
    ("xai", "no model"): (
        404,
        {"code": "Some requested entity was not found", "error": "The model m does not exist."},
    ),
    ("xai", "region"): (
        403,
        {"code": "permission-denied", "error": "The model m is not available in your region."},
    ),
}


def told(provider: str, trouble: str, base_url: str | None = None) -> Verdict:
    """Return what a provider makes of the answer."""
    status, document = ANSWERS[provider, trouble]
    endpoint = Endpoint(provider=provider, model="a/painter", base_url=base_url)
    step = provider_at(endpoint).next(Reply(status=status, headers={}, document=document))
    assert isinstance(step, Verdict)
    return step


def test_every_paid_provider_of_ours_is_in_the_table() -> None:
    """With what can be wrong at each of them."""
    ours = {offer.name for offer in PROVIDERS.all if offer.distribution == "stage3-plugin"}
    paid = {name for name in ours if issubclass(maker_named(name), Hosted)}

    assert {(name, trouble) for name in paid for trouble in NEEDED} <= set(ANSWERS)


@pytest.mark.parametrize(
    "provider, trouble", [row for row in ANSWERS if row[0] in PROVIDERS.names], ids=" ".join
)
def test_what_is_wrong_for_every_scene_is_said_with_the_next_step(
    provider: str, trouble: str
) -> None:
    """In the vendor's own words, in one line, before anything is spent."""
    verdict = told(provider, trouble)
    kind, step = TROUBLES[trouble]

    assert (verdict.kind, verdict.stops_run, verdict.may_be_billed) == (kind, True, False)
    assert verdict.message.endswith(step)
    assert len(verdict.message) > len(step) + 5
    assert verdict.message.isprintable()


@pytest.mark.parametrize("provider", ["openai", "openrouter", "gemini", "replicate", "xai"])
def test_a_bad_key_at_another_server_may_be_another_regions(provider: str) -> None:
    """A relay, or a region's own host: there the address may be what is wrong."""
    elsewhere = told(provider, "bad key", "https://eu.relay.example/v1")

    assert elsewhere.kind is VerdictKind.BAD_CREDENTIALS
    assert elsewhere.message.endswith(
        "; check api_key and base_url: a key is of one server, and may be of one region"
    )
