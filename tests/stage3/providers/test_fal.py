"""fal.ai: what is sent, what its queue and its history say, and what each answer comes to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Asked,
    Fetch,
    Gone,
    Lost,
    NotListed,
    Poll,
    Reply,
    Send,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.free_checks import Ask
from stage3_plugin.domain.job import Accepted, seed_of
from stage3_plugin.domain.picture import RemotePicture
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Polled
from stage3_plugin.providers.fal import COMPLETED, Fal
from stage3_plugin.providers.models import inputs_of
from stage3_plugin.testing.subject import TOKEN, WORDS
from tests.stage3.providers.replies import NOW_S, page, reply, request

TURBO = "fal-ai/flux-2/turbo"
FLUX3 = "blackforestlabs/flux-3"
QUEUE = "https://queue.fal.run/fal-ai/flux-2/requests/764c"
HISTORY = "https://api.fal.ai/v1/models/requests/by-endpoint"
JOB = Accepted(
    job_id="764c",
    poll_url=f"{QUEUE}/status",
    result_url=QUEUE,
    cancel_url=f"{QUEUE}/cancel",
    keeps_s=3600.0,
)
SENT = SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=10)
SHOWN = Reference(wish=ReferenceWish(image="a"), sha256="a" * 64, sent=SENT)
OPENED = datetime(2026, 11, 26, 12, tzinfo=UTC)
LOST = Lost(token=TOKEN, endpoint=TURBO, opened_at=OPENED)
PICTURE = {"url": "https://v3b.fal.media/files/b/a.png", "content_type": "image/png"}


def fal(model: str = TURBO, *, base_url: str | None = None, **settings: Any) -> Fal:
    endpoint = Endpoint(provider="fal", base_url=base_url, model=model)
    return Fal(endpoint, clock=lambda: NOW_S, **settings)


def said(send: Send) -> dict[str, Any]:
    return dict(send.payload)


# What is sent ------------------------------------------------------------------------------------


def test_a_request_is_one_picture_in_the_queue() -> None:
    """Retries of its own, another endpoint, and waiting without an end are switched off."""
    send = fal().begin(request(token=TOKEN, negative_prompt="fog", quality="high"))

    assert send.url == f"https://queue.fal.run/{TURBO}"
    assert send.payload == {
        "prompt": "a lighthouse at dusk. Avoid: fog",
        "num_images": 1,
        "image_size": {"width": 1024, "height": 1024},
        "seed": seed_of(TOKEN),
        "output_format": "png",
        "enable_prompt_expansion": False,
    }
    assert dict(send.headers) == {
        "x-fal-no-retry": "1",
        "x-fal-request-timeout": "120",
        "x-app-fal-disable-fallback": "true",
    }
    assert send.dropped == ("quality",)


@pytest.mark.parametrize(
    "model, shows, endpoint",
    [
        (TURBO, True, f"{TURBO}/edit"),
        (f"{TURBO}/edit", False, TURBO),
        ("openai/gpt-image-2", True, "openai/gpt-image-2/edit"),
        ("fal-ai/bytedance/seedream/v4/text-to-image", True, "fal-ai/bytedance/seedream/v4/edit"),
        ("fal-ai/bytedance/seedream/v4/edit", False, "fal-ai/bytedance/seedream/v4/text-to-image"),
        ("fal-ai/flux-pro/kontext", True, "fal-ai/flux-pro/kontext"),
        ("fal-ai/flux-pro/kontext", False, "fal-ai/flux-pro/kontext/text-to-image"),
        ("fal-ai/flux-pro/kontext/max/text-to-image", True, "fal-ai/flux-pro/kontext/max"),
        (f"{FLUX3}/text-to-image", True, f"{FLUX3}/edit-image"),
        ("fal-ai/flux-2/text-to-image", True, "fal-ai/flux-2/edit"),
        ("fal-ai/flux-kontext/dev/text-to-image", True, "fal-ai/flux-kontext/dev/edit"),
        ("fal-ai/recraft/v3/text-to-image", True, "fal-ai/recraft/v3/text-to-image"),
        (f"{FLUX3}/edit", False, f"{FLUX3}/edit"),
        ("somebody/painter/text-to-image", True, "somebody/painter/edit"),
        ("somebody/painter/edit", True, "somebody/painter/edit"),
        ("somebody/painter/edit", False, "somebody/painter/edit"),
    ],
)
def test_who_shows_pictures_asks_the_sibling_that_takes_them(
    model: str,
    shows: bool,  # noqa: FBT001 - a column of the table
    endpoint: str,
) -> None:
    assert inputs_of("fal", model).endpoint_of(model, shows=shows) == endpoint


def test_a_sibling_is_asked_in_the_fields_of_its_family() -> None:
    """What its name ends in says nothing of them."""
    send = fal("openai/gpt-image-3/x/text-to-image").begin(request(seed=7, shown=(SHOWN,)))

    assert send.url == "https://queue.fal.run/openai/gpt-image-3/x/edit"
    assert {"image_urls", "quality"} <= set(send.payload)
    assert send.dropped == ("seed",)


def test_an_endpoint_stays_where_the_key_may_go() -> None:
    send = fal("../../x?y#z").begin(request())

    assert send.url == "https://queue.fal.run/x%3Fy%23z"


def test_a_base_url_alone_moves_queue_history_and_prices() -> None:
    """All of it lies below one address then."""
    there = fal(base_url="http://127.0.0.1:9/")
    gone = there.polled(reply({"detail": "Request not found"}, 404), JOB, "result")
    asks = [one.url for one in there.checks((TURBO,)) if isinstance(one, Ask)]

    assert there.begin(request()).url.startswith("http://127.0.0.1:9/fal-ai/")
    assert there.look_for(LOST).startswith("http://127.0.0.1:9/v1/models/requests/by-endpoint?")
    assert isinstance(gone, Poll)
    assert gone.url.startswith("http://127.0.0.1:9/v1/models/requests/by-endpoint?")
    assert [url.startswith("http://127.0.0.1:9/v1/models/pricing?") for url in asks] == [True]


# What a submit is answered -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer, kind, stops, billed",
    [
        (reply({"detail": "User is locked. Reason: Exhausted balance."}, 403),
         VerdictKind.OUT_OF_MONEY, True, False),
        (reply({"detail": "Exhausted balance"}, 402), VerdictKind.OUT_OF_MONEY, True, False),
        (reply({"detail": "No."}, 403), VerdictKind.BAD_CREDENTIALS, True, False),
        (reply({"detail": "Invalid key"}, 401), VerdictKind.BAD_CREDENTIALS, True, False),
        (reply({"detail": "Application not found"}, 404), VerdictKind.REJECTED, True, False),
        (reply({"detail": [{"loc": ["body", "seed"], "msg": "bad"}]}, 422),
         VerdictKind.REJECTED, False, False),
        (reply({"detail": "Too many"}, 429), VerdictKind.RATE_LIMITED, False, False),
        (reply({"detail": "x", "error_type": "runner_scheduling_failure"}, 503),
         VerdictKind.BUSY, False, False),
        (reply({"detail": "upstream timed out", "error_type": "gateway_timeout"}, 504),
         VerdictKind.UNKNOWN, False, True),
        (reply({"detail": "generated and billed", "error_type": "bad_gateway"}, 502),
         VerdictKind.UNKNOWN, False, True),
        (reply({"detail": "Internal Server Error"}, 500), VerdictKind.UNKNOWN, False, True),
        (page(502), VerdictKind.UNKNOWN, False, True),
        (reply({"status": "IN_QUEUE", "request_id": "764c"}), VerdictKind.UNKNOWN, False, True),
        (reply({"request_id": "764c", "status_url": "ftp://x", "response_url": "https://["}),
         VerdictKind.UNKNOWN, False, True),
    ],
)  # fmt: skip
def test_a_submit_that_is_not_accepted(
    answer: Reply,
    kind: VerdictKind,
    stops: bool,  # noqa: FBT001 - a column of the table
    billed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """What fal says no to is free; what is not said may be in the queue."""
    step = fal().next(answer)

    assert isinstance(step, Verdict)
    assert (step.kind, step.stops_run, step.may_be_billed) == (kind, stops, billed)


# How far a job is --------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["runner_disconnected", "startup_timeout", "request_timeout"])
def test_a_job_that_fals_machines_failed_is_free(word: str) -> None:
    """A server's error is never charged; one that never began says that too many were before it."""
    completed = {"status": COMPLETED, "error": "The runner was lost", "error_type": word}
    step = fal().polled(reply(completed), JOB, "status")

    assert isinstance(step, Verdict)
    assert (step.kind, step.may_be_billed) == (VerdictKind.BUSY, False)
    assert step.message == f"{word}: The runner was lost"
    assert step.lower_capacity is (word == "request_timeout")


# What came of it ---------------------------------------------------------------------------------


def result(document: Any, status: int = 200, **headers: str) -> Polled:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fal().polled(reply(document, status, named), JOB, "result")


def test_a_single_picture_and_shapes_of_others_are_found() -> None:
    """It was paid for."""
    for document in ({"image": PICTURE}, {"data": [PICTURE]}, {"images": [PICTURE["url"]]}):
        step = result(document)

        assert isinstance(step, Fetch)
        assert step.sources == (RemotePicture(PICTURE["url"]),)


@pytest.mark.parametrize(
    "entry, kind, about",
    [
        ({"loc": ["body", "prompt"], "type": "content_policy_violation", "msg": "flagged"},
         VerdictKind.REFUSED, "prompt"),
        ({"loc": ["body", "image_urls", 0], "type": "content_policy_violation", "msg": "flagged"},
         VerdictKind.REFUSED, "reference"),
        ({"loc": ["body"], "type": "content_policy_violation",
          "msg": "Output contains sensitive content"}, VerdictKind.REFUSED, "output"),
        ({"loc": ["body", "image_size"], "type": "value_error", "msg": "too large"},
         VerdictKind.REJECTED, None),
        ({"loc": ["body", "image_urls", 0], "type": "image_load_error", "msg": "no picture"},
         VerdictKind.REJECTED, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("headers", [{}, {"x_fal_retryable": "true"}])
def test_the_models_own_error_may_have_been_billed(
    entry: dict[str, Any], kind: VerdictKind, about: str | None, headers: dict[str, str]
) -> None:
    """Whatever it says of trying again: that would be paid for, too."""
    step = result({"detail": [entry]}, 422, **headers)

    assert isinstance(step, Verdict)
    assert (step.kind, step.about, step.may_be_billed) == (kind, about, True)
    assert step.should_retry is None
    assert not step.stops_run


FLAT = {"detail": "x", "error_type": "runner_disconnected"}


@pytest.mark.parametrize(
    "document, status, named, is_free",
    [
        (FLAT, 503, "764c", True),
        ({"detail": "Service temporarily unavailable"}, 503, "764c", None),
        ({"detail": "x", "error_type": "gateway_timeout"}, 504, "764c", None),
        ({"detail": "Internal Server Error"}, 500, "764c", None),
        ({"detail": [{"type": "gateway_error", "msg": "upstream"}]}, 502, "", None),
        ({"detail": [{"type": "value_error", "msg": "x"}]}, 422, "", False),
        ({"detail": "Bad input"}, 400, "764c", False),
        (FLAT, 503, "", None),
        (FLAT, 503, "another", None),
        ({"detail": "Bad input"}, 400, "", None),
        ({}, 422, "", None),
    ],
)
def test_an_error_counts_where_it_is_the_jobs(
    document: dict[str, Any],
    status: int,
    named: str,
    is_free: bool | None,  # noqa: FBT001 - drawn
) -> None:
    """Else it may be the queue's, which says of itself what it says of jobs."""
    step = result(document, status, x_fal_request_id=named)

    if is_free is None:
        assert isinstance(step, Unsaid)
        return
    assert isinstance(step, Verdict)
    assert (step.kind is VerdictKind.BUSY, step.may_be_billed) == (is_free, not is_free)


def test_fals_word_for_a_failure_may_stand_in_a_header() -> None:
    """An answer has it in both places; what stands before the queue may leave one."""
    named = {"x_fal_request_id": "764c", "x_fal_error_type": "runner_disconnected"}
    step = result({"detail": "x"}, 503, **named)

    assert isinstance(step, Verdict)
    assert (step.kind, step.may_be_billed) == (VerdictKind.BUSY, False)


def test_a_queue_that_completed_too_early_is_asked_again() -> None:
    assert result({"detail": "Request is still in progress"}, 400) == Poll(url=JOB.poll_url)
    assert result({"status": "IN_PROGRESS"}, 202) == Poll(url=JOB.poll_url)


@pytest.mark.parametrize("document", [{}, {"image": {"url": 7}}, {"images": [{"url": "http://["}]}])
def test_a_result_that_is_not_understood_is_kept_for_a_person(document: dict[str, Any]) -> None:
    assert isinstance(result(document), Unclear)


def test_a_result_that_says_how_far_its_job_is_is_no_result() -> None:
    """Each page may say so; a word that nobody knows is no success without a picture."""
    step = result({"status": "PONDERING", "images": []})

    assert isinstance(step, Unclear)
    assert "PONDERING" in step.message


def test_no_picture_at_all_was_paid_for() -> None:
    step = result({"images": []})

    assert isinstance(step, Verdict)
    assert (step.kind, step.may_be_billed) == (VerdictKind.NO_PICTURE, True)


# What the history still has ----------------------------------------------------------------------


def record(*items: dict[str, Any], of: Asked = "record") -> Polled:
    job = replace(JOB, result_url=None if of == "status" else QUEUE)
    return fal().polled(reply({"items": list(items), "has_more": False}), job, of)


@pytest.mark.parametrize("of", ["status", "record"])
def test_the_history_has_what_the_result_was(of: Asked) -> None:
    """A job that was found in it has no other address."""
    made = {"request_id": "764c", "status_code": 200, "json_output": {"images": [PICTURE]}}
    refused = {"detail": [{"loc": ["body", "prompt"], "type": "content_policy_violation"}]}
    fetch = record({"request_id": "another", "status_code": 500}, made, of=of)
    refusal = record(made | {"status_code": 422, "json_output": refused}, of=of)
    failure = record(made | {"status_code": 500, "json_output": None}, of=of)

    assert isinstance(fetch, Fetch)
    assert isinstance(refusal, Verdict)
    assert (refusal.kind, refusal.may_be_billed) == (VerdictKind.REFUSED, True)
    assert isinstance(failure, Verdict)
    assert (failure.kind, failure.may_be_billed) == (VerdictKind.BUSY, False)


@pytest.mark.parametrize("word", ["PONDERING", 102, 302, True, 7, 999])
def test_a_status_in_the_history_that_is_none_ends_nothing(word: object) -> None:
    """Neither a word nor a number that nobody knows is taken for the model's own error."""
    step = record({"request_id": "764c", "status_code": word, "json_output": None})

    assert isinstance(step, Unclear)
    assert repr(str(word)) in step.message


def test_what_the_history_does_not_have_is_gone() -> None:
    assert isinstance(record(), Gone)
    assert isinstance(record({"request_id": "764c", "status_code": 200}), Gone)
    assert isinstance(fal().polled(reply({"error": "no"}, 404), JOB, "record"), Gone)
    assert record({"request_id": "764c"}) == Poll(
        url=f"{HISTORY}?endpoint_id={TURBO},{TURBO}/edit&request_id=764c&expand=payloads",
        of="record",
    )


# A request whose answer was lost -----------------------------------------------------------------


def listed(
    seed: object, name: str = "764c", endpoint: str = TURBO, prompt: str = WORDS
) -> dict[str, Any]:
    given = {"seed": seed, "prompt": prompt}
    return {"request_id": name, "endpoint_id": endpoint, "json_input": given}


def looked(*items: dict[str, Any], lost: Lost = LOST, **more: Any) -> Any:
    return fal().looked(reply({"items": list(items), "has_more": False, **more}), lost)


def test_the_history_is_read_from_a_day_before() -> None:
    assert fal().look_for(LOST) == (
        f"{HISTORY}?endpoint_id={TURBO},{TURBO}/edit&start=2026-11-25T12:00:00Z&limit=100"
        "&expand=payloads"
    )


def test_what_is_another_requests_is_not_found() -> None:
    """Another seed, endpoint or prompt, a job of ours; and nothing proves that it never came."""
    mine = listed(seed_of(TOKEN))
    others = [
        listed(seed_of(TOKEN) + 1),
        listed(seed_of(TOKEN), prompt="a castle"),
        mine | {"endpoint_id": "fal-ai/flux/dev"},
    ]

    assert looked(*others) == NotListed(next_url=None)
    assert looked(mine, lost=replace(LOST, taken=frozenset({"764c"}))) == NotListed(next_url=None)
    listing = fal().profile.listing
    assert listing is not None
    assert not listing.proves_absence
    assert fal("openai/gpt-image-2").profile.listing is None  # nothing could be told from another


def test_a_persons_seed_finds_nothing() -> None:
    assert isinstance(looked(listed(7), lost=replace(LOST, token=None)), Unsaid)


@pytest.mark.parametrize("answer", [page(500), reply({"detail": "no"}, 401), reply({"items": 1})])
def test_a_listing_that_fails_says_nothing(answer: Reply) -> None:
    assert isinstance(fal().looked(answer, LOST), Unsaid)


# Free questions ----------------------------------------------------------------------------------


def test_the_list_of_prices_has_what_there_is() -> None:
    """Nothing free is known of the key and of the balance."""
    provider = fal()
    ask, *others = provider.checks((TURBO,))
    assert isinstance(ask, Ask)
    today = date(2026, 11, 26)
    there = ask.judged(reply({"prices": [{"endpoint_id": TURBO, "unit_price": 0.008}]}), today)
    absent = ask.judged(reply({"error": {"type": "not_found", "message": "no"}}, 404), today)
    refused = ask.judged(reply({"detail": "Invalid key"}, 401), today)

    assert [one.verdict for one in there] == ["good"]
    assert [one.verdict for one in absent] == ["bad"]
    assert ("key", "bad") in [(one.about, one.verdict) for one in refused]
    assert [(one.about, one.verdict) for one in others if not isinstance(one, Ask)] == [
        ("key", "unknown"),
        ("account", "unknown"),
    ]


def test_no_answer_shows_the_prompt_in_what_is_said_of_it() -> None:
    """An error's ``input`` repeats it."""
    entry = {"loc": ["body", "prompt"], "type": "content_policy_violation", "msg": "flagged",
             "input": "a secret prompt"}  # fmt: skip
    step = result({"detail": [entry]}, 422)

    assert "secret" not in json.dumps(str(step))
