"""Black Forest Labs: what is sent, and what the answers of its tasks come to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Asked,
    Fetch,
    Gone,
    InlinePictureOf,
    Poll,
    Reply,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.free_checks import Ask
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.picture import RemotePicture
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Polled
from stage3_plugin.providers.bfl import FAILED, NOT_FOUND, PENDING, READY, REFUSED, Bfl
from stage3_plugin.testing.dialects.bfl import BflDialect
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.pngs import make_png
from stage3_plugin.testing.queues import Queued
from stage3_plugin.testing.talking import Talk
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.picture_hosts import Place
from tests.stage3.providers.replies import NOW_S, page, reply, request

POLL = "https://api.us2.bfl.ai/v1/get_result?id=8d1f"
JOB = Accepted(job_id="8d1f", poll_url=POLL, keeps_s=3600.0, cost_usd=Decimal("0.03"))
SENT = SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=10)
SHOWN = Reference(wish=ReferenceWish(image="a"), sha256="a" * 64, sent=SENT)
SAMPLE = "https://delivery-us1.bfl.ai/results/a.png?se=1&sig=2"
KNOWN = {*PENDING, READY, *REFUSED, *FAILED, NOT_FOUND}


def bfl(model: str = "flux-2-pro", *, base_url: str | None = None, **settings: Any) -> Bfl:
    endpoint = Endpoint(provider="bfl", base_url=base_url, model=model)
    return Bfl(endpoint, clock=lambda: NOW_S, **settings)


# What is sent ------------------------------------------------------------------------------------


def test_a_request_is_said_in_pixels_with_references_by_number() -> None:
    """In bare base64; a token has no field, since nothing could be found by it."""
    asked = request(seed=7, token="0" * 32, output_format="jpeg", shown=(SHOWN, SHOWN))
    send = bfl().begin(asked)

    assert send.url == "https://api.bfl.ai/v1/flux-2-pro"
    assert send.payload == {
        "prompt": "a lighthouse at dusk",
        "width": 1024,
        "height": 1024,
        "output_format": "jpeg",
        "seed": 7,
        "disable_pup": True,
        "input_image": InlinePictureOf(SENT),
        "input_image_2": InlinePictureOf(SENT),
    }
    assert (dict(send.headers), send.dropped) == ({}, ())
    assert "seed" not in bfl().begin(replace(asked, seed=None)).payload


@pytest.mark.parametrize(
    "model, size, form, dropped",
    [
        ("flux-kontext-pro", (1024, 576), {"aspect_ratio": "16:9", "prompt_upsampling": False}, ()),
        (
            "flux-kontext-pro",
            (1000, 640),
            {"aspect_ratio": "3:2", "prompt_upsampling": False},
            ("size",),
        ),
        ("../credits?x", (64, 64), {"width": 64, "height": 64}, ()),
    ],
)
def test_some_models_know_ratios(
    model: str, size: tuple[int, int], form: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    send = bfl(model).begin(request(width_px=size[0], height_px=size[1]))

    assert send.payload == {"prompt": "a lighthouse at dusk", "output_format": "png", **form}
    assert send.dropped == dropped
    assert send.url.count("/") == 4


def test_what_there_is_no_word_for_is_named() -> None:
    send = bfl("flux-kontext-pro").begin(request(output_format="webp", background="opaque"))

    assert send.payload["output_format"] == "png"
    assert set(send.dropped) == {"output_format", "background"}


def test_a_hold_is_for_the_first_megapixel_and_each_further_one() -> None:
    """References are some of those; what a task really costs its submit says."""
    found = bfl().estimate(request(width_px=2048, height_px=2048, shown=(SHOWN,)))

    assert found == Estimate(low_microusd=135_000, high_microusd=150_000)


def test_the_key_goes_where_jobs_are_asked_for() -> None:
    """And where all of it is moved, to no place of the vendor's."""
    profile = bfl().profile
    vendors = JobHosts(profile.base_url, profile.base_url, profile.job_hosts)
    moved = JobHosts("http://127.0.0.1:9", profile.base_url, profile.job_hosts)
    known = Place.of("https", "api.us2.bfl.ai", None)

    assert vendors.objection(known) is None
    assert vendors.objection(Place.of("https", "bfl.ai.evil.test", None)) is not None
    assert vendors.objection(Place.of("http", "api.us2.bfl.ai", None)) is not None
    assert moved.objection(known) is not None


# What a submit is answered -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "cost, usd", [(3.0, "0.03"), (4.5, "0.045"), (None, None), (-1, None), ("many", None)]
)
def test_a_submit_says_where_it_is_asked_for_and_what_it_costs(cost: Any, usd: str | None) -> None:
    """In credits of a cent; the address is that of the region which took it."""
    document = {"id": "8d1f", "polling_url": POLL, "cost": cost, "input_mp": 0, "output_mp": 0.6}
    expected = replace(JOB, cost_usd=None if usd is None else Decimal(usd))

    assert bfl().next(reply(document)) == expected


@pytest.mark.parametrize(
    "answer, kind, stops, billed",
    [
        (reply({"detail": "Not authenticated"}, 403), VerdictKind.BAD_CREDENTIALS, True, False),
        (reply({"detail": "Insufficient credits"}, 402), VerdictKind.OUT_OF_MONEY, True, False),
        (reply({"detail": "Not Found"}, 404), VerdictKind.REJECTED, True, False),
        (reply({"detail": [{"loc": ["body", "width"], "msg": "too large"}]}, 422),
         VerdictKind.REJECTED, False, False),
        (reply({"detail": "Too many"}, 429), VerdictKind.RATE_LIMITED, False, False),
        (reply({"detail": "Internal Server Error"}, 500), VerdictKind.UNKNOWN, False, True),
        (reply({"id": "8d1f"}), VerdictKind.UNKNOWN, False, True),
        (page(200), VerdictKind.UNKNOWN, False, True),
    ],
)  # fmt: skip
def test_a_submit_that_is_not_accepted(
    answer: Reply,
    kind: VerdictKind,
    stops: bool,  # noqa: FBT001 - a column of the table
    billed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """What it says no to is free; what it does not say may have begun."""
    step = bfl().next(answer)

    assert isinstance(step, Verdict)
    assert (step.kind, step.stops_run, step.may_be_billed) == (kind, stops, billed)


# What came of a task -----------------------------------------------------------------------------


def polled(word: str, status: int = 200, job: Accepted = JOB, **more: Any) -> Polled:
    return bfl().polled(reply({"id": "8d1f", "status": word, **more}, status), job, "status")


@pytest.mark.parametrize(
    "word", ["Pending", "Reasoning", "Generating", "Queued", "Request Accepted"]
)
def test_a_task_that_is_made_is_asked_for_again(word: str) -> None:
    """By each of the words that it was seen to have on its way."""
    assert polled(word) == Poll(url=POLL)


def test_a_task_that_is_ready_costs_what_its_submit_said() -> None:
    """Its picture lies at a signed address: sources say for an hour, or for ten minutes."""
    step = polled("Ready", result={"sample": SAMPLE, "seed": 42})

    assert isinstance(step, Fetch)
    assert step.sources == (RemotePicture(SAMPLE),)
    assert (step.verdict.reported_usd, step.verdict.details["seed"]) == (Decimal("0.03"), "42")
    assert bfl().profile.pictures_last_s == 3600.0


@pytest.mark.parametrize(
    "word, kind, about",
    [
        ("Request Moderated", VerdictKind.REFUSED, "input"),
        ("Content Moderated", VerdictKind.REFUSED, "output"),
        ("Error", VerdictKind.NO_PICTURE, None),
        ("Failed", VerdictKind.NO_PICTURE, None),
    ],
)
@pytest.mark.parametrize("status", [200, 503])
def test_a_task_without_a_picture_counts_as_billed(
    status: int, word: str, kind: VerdictKind, about: str | None
) -> None:
    """That it is free is nowhere said; a status of an overload says nothing against its body."""
    step = polled(word, status, details={"Moderation Reasons": ["Derivative Works Filter"]})

    assert isinstance(step, Verdict)
    assert (step.kind, step.about, step.may_be_billed) == (kind, about, True)
    assert (step.reported_usd, step.provider_code) == (Decimal("0.03"), word)
    assert ("Derivative Works Filter" in step.message) is (kind is VerdictKind.REFUSED)


@pytest.mark.parametrize("status", [200, 404])
def test_a_task_that_is_not_known_is_gone(status: int) -> None:
    assert isinstance(polled("Task not found", status), Gone)
    assert isinstance(bfl().polled(reply({"detail": "Not Found"}, 404), JOB, "status"), Gone)


@given(st.text(min_size=1, max_size=60).filter(lambda word: word not in KNOWN))
def test_a_word_that_is_not_known_is_no_end(word: str) -> None:
    """Neither is it taken for one of a task that goes on; with an overload it says nothing."""
    assert isinstance(polled(word), Unclear)
    assert isinstance(polled(word, 503), Unsaid)


@pytest.mark.parametrize(
    "result", [None, {}, {"sample": ""}, {"sample": 7}, {"sample": "http://["}]
)
def test_a_ready_task_without_an_address_is_not_understood(result: Any) -> None:
    """So that it is asked for again: the next answer may have it."""
    assert isinstance(polled("Ready", result=result), Unclear)


@pytest.mark.parametrize(
    "answer",
    [
        page(200), page(502), page(404), reply([], 200), reply({}, 200),
        reply({"detail": "Internal Server Error"}, 500), reply({"detail": "x"}, 429),
        reply({"detail": "Not authenticated"}, 403), reply({"status": "Ready"}, 500),
        page(503), reply({}, 503), reply({"detail": "overloaded"}, 503),
        reply({"status": "Pending"}, 503), reply({"status": "Error"}, 500),
    ],
)  # fmt: skip
def test_what_says_nothing_of_the_task_changes_nothing(answer: Reply) -> None:
    assert isinstance(bfl().polled(answer, JOB, "status"), Unsaid)


@given(
    st.recursive(
        st.none() | st.integers() | st.sampled_from([*sorted(KNOWN), SAMPLE, POLL, "8d1f"]),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
            st.sampled_from(["id", "status", "polling_url", "cost", "result", "sample", "details",
                             "Moderation Reasons", "detail"]), inner, max_size=4),
        max_leaves=10,
    ),
    st.sampled_from([200, 202, 302, 400, 402, 404, 422, 500]),
)  # fmt: skip
def test_nothing_that_comes_breaks_it(document: Any, status: int) -> None:
    """And no task of which anything is said is free."""
    answer = reply(document, status)
    bfl().next(answer)
    asked: tuple[Asked, ...] = ("status", "result", "record")
    for of in asked:
        step = bfl().polled(answer, JOB, of)
        assert not isinstance(step, Verdict) or step.may_be_billed


# Over sockets ------------------------------------------------------------------------------------


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with ImageApi(dialect=BflDialect()) as api:
        yield api


def talking(api: ImageApi) -> Talk:
    return Talk(bfl(base_url=api.base_url), KEY)


def test_a_picture_is_made_of_it(api: ImageApi) -> None:
    """At the price that it was billed."""
    api.script(Queued(polls=3))
    talk = talking(api)
    job = talk.submit(request(width_px=2000, height_px=1000))
    assert isinstance(job, Accepted)
    step = talk.follow(job)

    assert isinstance(step, Fetch)
    assert talk.picture(step) == make_png("a lighthouse at dusk", 2000, 1000)
    assert step.verdict.reported_usd == api.queue.billed_usd == Decimal("0.045")


def test_a_task_that_was_forgotten(api: ImageApi) -> None:
    api.script(Queued(kept=1))
    talk = talking(api)
    job = talk.submit(request())

    assert isinstance(job, Accepted)
    assert isinstance(talk.follow(job), Gone)


@pytest.mark.parametrize(
    "trouble, kind",
    [
        ("bad key", VerdictKind.BAD_CREDENTIALS),
        ("no money", VerdictKind.OUT_OF_MONEY),
        ("no model", VerdictKind.REJECTED),
        ("limited", VerdictKind.RATE_LIMITED),
    ],
)
def test_who_is_turned_away_is_told_why(api: ImageApi, trouble: Any, kind: VerdictKind) -> None:
    api.script(BflDialect().tells(trouble))
    step = talking(api).submit(request())

    assert isinstance(step, Verdict)
    assert (step.kind, step.may_be_billed) == (kind, False)


# Free questions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer, expected",
    [
        (reply({"credits": 412.5}), [("key", "good"), ("account", "good")]),
        (reply({"credits": 0}), [("key", "good"), ("account", "bad")]),
        (reply({"detail": "Not authenticated"}, 403), [("key", "bad"), ("account", "unknown")]),
        (page(502), [("key", "unknown"), ("account", "unknown")]),
    ],
)
def test_the_credits_are_told_to_a_good_key(answer: Reply, expected: list[tuple[str, str]]) -> None:
    """Whether there is a model is told by no page."""
    ask, model = bfl().checks(("flux-2-pro",))
    assert isinstance(ask, Ask)
    found = ask.judged(answer, date(2026, 11, 26))

    assert ask.url == "https://api.bfl.ai/v1/credits"
    assert [(one.about, one.verdict) for one in found] == expected
    assert not isinstance(model, Ask)
    assert (model.about, model.verdict) == ("model", "unknown")


def test_its_own_server_answers_them(api: ImageApi) -> None:
    talk = talking(api)
    ask = talk.provider.checks(("flux-2-pro",))[0]
    assert isinstance(ask, Ask)
    found = ask.judged(talk.read(ask.url), date(2026, 11, 26))

    assert [one.message for one in found][1] == "$4.12 of credit is left"
