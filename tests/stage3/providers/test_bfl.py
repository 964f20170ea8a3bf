"""Black Forest Labs: what is sent, and what the answers of its tasks come to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Reply,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.free_checks import Ask
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Polled
from stage3_plugin.providers.bfl import Bfl
from tests.stage3.providers.replies import NOW_S, page, reply

POLL = "https://api.us2.bfl.ai/v1/get_result?id=8d1f"
JOB = Accepted(job_id="8d1f", poll_url=POLL, keeps_s=3600.0, cost_usd=Decimal("0.03"))


def bfl(model: str = "flux-2-pro", *, base_url: str | None = None, **settings: Any) -> Bfl:
    endpoint = Endpoint(provider="bfl", base_url=base_url, model=model)
    return Bfl(endpoint, clock=lambda: NOW_S, **settings)


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
