"""The vendor's queue that tests talk to: what it does, what it can be made to do, what it bills."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Fetch,
    Found,
    Gone,
    Lost,
    NotListed,
    Poll,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.testing.behaviours import CutJson, Missing, ServerError
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.pngs import make_png
from stage3_plugin.testing.queues import Loss, Queued
from stage3_plugin.testing.talking import NoAnswer, Talk
from tests.fakes.plain import Plain, PlainDialect
from tests.stage3.providers.replies import request

TOKEN = "0123456789abcdef" * 2
OPENED = datetime(2026, 11, 26, tzinfo=UTC)
LOST = Lost(token=TOKEN, endpoint="m", opened_at=OPENED)
WISH = request(token=TOKEN, width_px=64, height_px=64)


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with ImageApi(dialect=PlainDialect()) as api:
        yield api


def talking(api: ImageApi, key: str = KEY) -> Talk:
    return Talk(Plain(Endpoint(provider="plain", base_url=api.base_url, model="m")), key)


def begun(api: ImageApi, plan: Queued | None = None) -> tuple[Talk, Accepted]:
    api.script(plan or Queued())
    talk = talking(api)
    job = talk.submit(WISH)
    assert isinstance(job, Accepted)
    return talk, job


def test_a_job_waits_is_made_and_is_billed_once(api: ImageApi) -> None:
    """Its picture is the one that was asked for, and looking at it again costs nothing."""
    talk, job = begun(api, Queued(polls=3))
    steps = [talk.follow(job), talk.follow(job)]

    assert [isinstance(step, Fetch) for step in steps] == [True, True]
    assert isinstance(steps[0], Fetch)
    assert talk.picture(steps[0]) == make_png(WISH.prompt, 64, 64)
    assert steps[0].verdict.reported_usd == Decimal("0.03")
    assert len(api.polls("status")) == 5  # three early ones, and the two that find it done
    assert len(api.polls("result")) == 2
    assert (api.received(), api.billed(), len(api.visits())) == (1, 1, 1)
    assert api.queue.billed_usd == Decimal("0.03")


@pytest.mark.parametrize(
    "plan, kind",
    [
        (Queued(ends="refused"), VerdictKind.REFUSED),
        (Queued(ends="failed"), VerdictKind.BUSY),
    ],
)
def test_a_job_that_ends_without_a_picture_is_not_billed(
    api: ImageApi, plan: Queued, kind: VerdictKind
) -> None:
    """Unless its plan says so."""
    talk, job = begun(api, plan)
    step = talk.follow(job)

    assert isinstance(step, Verdict)
    assert step.kind is kind
    assert api.billed() == 0


def test_a_word_that_nobody_knows(api: ImageApi) -> None:
    """It is the plan's."""
    talk, job = begun(api, Queued(ends="odd", word="PAUSED"))

    assert talk.follow(job) == Unclear(message="the job is said to be 'PAUSED'")


@pytest.mark.parametrize("lost, billed", [("begun", 1), ("cut", 1), ("not begun", 0)])
def test_a_lost_submit_is_in_the_listing_if_it_was_begun(
    api: ImageApi, lost: Loss, billed: int
) -> None:
    """It is found by its token, page by page, and never by another one's."""
    api.script(Queued(lost=lost, unlisted=1), Queued(), Queued())
    api.queue.page_jobs = 1
    talk = talking(api)
    with pytest.raises(NoAnswer):
        talk.submit(WISH)
    others = [talk.submit(request(seed=number)) for number in (1, 2)]
    early, found = talk.look(LOST), talk.look(LOST)

    assert api.billed() == billed + len(others)
    assert early == NotListed(next_url=None)
    if not billed:
        assert found == NotListed(next_url=None)
        return
    assert isinstance(found, Found)
    assert isinstance(talk.follow(found.accepted), Fetch)


def test_a_job_that_is_forgotten(api: ImageApi) -> None:
    """After so many looks there never was one."""
    talk, job = begun(api, Queued(polls=1, kept=2))

    assert isinstance(talk.follow(job, most=1), Poll)
    assert isinstance(talk.follow(job, most=1), Poll)  # done, and its result is not fetched
    assert isinstance(talk.follow(job), Gone)
    assert api.billed() == 1


def test_a_job_finishes_twice(api: ImageApi) -> None:
    """It is done, is being made again when its result is asked for, and is billed once."""
    talk, job = begun(api, Queued(polls=0, again=2))
    kinds = [type(talk.follow(job, most=1)) for _ in range(3)]
    made = talk.follow(job)

    assert kinds == [Poll, Poll, Poll]
    assert isinstance(made, Fetch)
    assert api.queue.billed_usd == Decimal("0.03")


def test_looks_meet_what_is_lined_up(api: ImageApi) -> None:
    """First what the server has for all, then what the job's plan has; the job goes on."""
    talk, job = begun(api, Queued(polls=0, between=(Missing(), ServerError(503))))
    api.poll(*(api.queue.dialect.tells(trouble) for trouble in ("limited", "bad key")))
    steps = [talk.follow(job, most=1) for _ in range(5)]

    assert [type(step) for step in steps] == [Unsaid, Unsaid, Gone, Unsaid, Poll]
    assert [step.stops_run for step in steps if isinstance(step, Unsaid)] == [False, True, False]


def test_a_wrong_key_is_turned_away_at_every_page(api: ImageApi) -> None:
    """Nothing is begun, and nothing is told."""
    _, job = begun(api)
    thief = talking(api, "sk-wrong")
    refused = thief.submit(WISH)

    assert isinstance(refused, Verdict)
    assert refused.kind is VerdictKind.BAD_CREDENTIALS
    assert isinstance(thief.follow(job), Unsaid)
    assert isinstance(thief.look(LOST), Unsaid)
    assert len(api.queue.jobs) == 1


def test_there_is_room_for_so_many(api: ImageApi) -> None:
    """One more is turned away until one is done."""
    api.queue.most_unfinished = 1
    talk, job = begun(api)
    refused = talk.submit(WISH)
    made = talk.follow(job)

    assert isinstance(refused, Verdict)
    assert refused.kind is VerdictKind.RATE_LIMITED
    assert isinstance(made, Fetch)
    assert isinstance(talk.submit(WISH), Accepted)


def test_every_request_may_meet_trouble(api: ImageApi) -> None:
    """Whoever makes it hears what was asked for; a submit that is answered badly was begun."""
    met: list[str] = []

    def trouble(_asked: object, kind: Any) -> CutJson | None:
        met.append(kind)
        return CutJson() if len(met) == 1 else None

    api.trouble = trouble
    talk = talking(api)
    cut = talk.submit(WISH)
    found = talk.look(LOST)
    assert isinstance(found, Found)
    made = talk.follow(found.accepted)
    assert isinstance(made, Fetch)
    talk.picture(made)

    assert isinstance(cut, Verdict)
    assert cut.is_unknown
    assert met == ["submit", "listing", "status", "status", "result", "visit"]
    assert (len(api.queue.jobs), api.billed()) == (1, 1)


def test_nothing_leaves_this_machine() -> None:
    """A provider that was given no address would ask the vendor's."""
    with pytest.raises(LookupError, match="base_url"):
        Talk(Plain(Endpoint(provider="plain", model="m")), KEY).submit(WISH)


def test_a_server_without_a_dialect_has_no_queue(image_api: ImageApi) -> None:
    """That is said where a test asks for one."""
    with pytest.raises(LookupError, match="dialect="):
        _ = image_api.queue
