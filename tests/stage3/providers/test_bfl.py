"""Black Forest Labs: tasks that are billed; what answers come to stands in ``recorded/bfl``."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Reply,
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
