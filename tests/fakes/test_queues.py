"""The vendor's queue that tests talk to: what it does, what it can be made to do, what it bills."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Fetch,
    Found,
    Gone,
    Lost,
    Poll,
    Unsaid,
)
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.testing.behaviours import CutJson, Missing, ServerError
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.queues import Queued
from stage3_plugin.testing.talking import Talk
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


def test_looks_meet_what_is_lined_up(api: ImageApi) -> None:
    """First what the server has for all, then what the job's plan has; the job goes on."""
    talk, job = begun(api, Queued(polls=0, between=(Missing(), ServerError(503))))
    api.poll(*(api.queue.dialect.tells(trouble) for trouble in ("limited", "bad key")))
    steps = [talk.follow(job, most=1) for _ in range(5)]

    assert [type(step) for step in steps] == [Unsaid, Unsaid, Gone, Unsaid, Poll]
    assert [step.stops_run for step in steps if isinstance(step, Unsaid)] == [False, True, False]


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
