"""The providers' batch lanes and the fake's services: they understand each other, to the end."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from stage3_plugin.domain.batch import (
    BatchEnded,
    LineSaid,
    Uploaded,
    line_of,
)
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Fetch, Found, Lost, NotListed
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.gemini import Gemini
from stage3_plugin.providers.openai_images import OpenAIImages
from stage3_plugin.testing.batch_plans import Batched, BatchEnds, Line
from stage3_plugin.testing.bill import by_the_table
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.pngs import make_png
from stage3_plugin.testing.talking import BatchTalk, NoAnswer
from tests.fakes.requests import Refusing
from tests.stage3.providers.replies import request

TOKEN = "0123456789abcdef" * 2
NOBODY = "f" * 32
OPENED = datetime(2026, 11, 30, tzinfo=UTC)
MODELS = {"openai": "gpt-image-2.5-flare", "gemini": "gemini-nano-banana-2.1"}


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with ImageApi() as api:
        api.bill = by_the_table
        api.refuses = Refusing()
        yield api


@pytest.fixture(params=["openai", "gemini"])
def talk(api: ImageApi, request: pytest.FixtureRequest) -> BatchTalk:
    name: str = request.param
    url = api.root_url if name == "gemini" else api.base_url
    endpoint = Endpoint(provider=name, base_url=url, model=MODELS[name])
    provider = Gemini(endpoint) if name == "gemini" else OpenAIImages(endpoint)
    return BatchTalk(provider, KEY)


def wishes(*scenes: str, **more: Any) -> list[PictureRequest]:
    return [request(scene_id=scene, prompt=f"{scene}: a harbour", **more) for scene in scenes]


def ended(talk: BatchTalk, *scenes: str) -> BatchEnded:
    job = talk.begin(wishes(*scenes), TOKEN)
    assert isinstance(job, Accepted), job
    step = talk.await_end(job)
    assert isinstance(step, BatchEnded), step
    return step


def by_number(said: list[LineSaid]) -> dict[int | None, LineSaid]:
    return {line_of(TOKEN, one.key): one for one in said}


def kind_of(step: Verdict | Fetch) -> VerdictKind:
    return (step if isinstance(step, Verdict) else step.verdict).kind


def test_a_batch_is_made_as_its_provider_asks(api: ImageApi, talk: BatchTalk) -> None:
    """All that is sent is what the vendor takes, and every line is understood."""
    end = ended(talk, "one", "two", "three")
    said = by_number(talk.results(end))

    assert (end.how, end.verdict) == ("completed", None)
    assert (end.lines and (end.lines.done, end.lines.failed)) == (3, 0)
    assert sorted(map(str, said)) == ["0", "1", "2"]
    assert {kind_of(one.step) for one in said.values()} == {VerdictKind.PICTURES}
    assert (api.batches.billed(), api.received()) == (3, 0)
    assert [batch.label.removeprefix("stage3-") for batch in api.batches.all] == [TOKEN]


def test_its_lines_end_each_in_their_way(api: ImageApi, talk: BatchTalk) -> None:
    """And what is nobody's says so."""
    api.batches.script(Batched(foreign=1))
    api.batches.script_line(Line(ends="refused"), scene="bad")
    api.batches.script_line(Line(ends="failed"), scene="worse")
    said = by_number(talk.results(ended(talk, "good", "bad", "worse")))

    assert kind_of(said[0].step) is VerdictKind.PICTURES
    assert kind_of(said[1].step) is VerdictKind.REFUSED
    assert kind_of(said[2].step) is VerdictKind.BUSY
    assert said[None].key == "nobody-0"


@pytest.mark.parametrize("how", ["expired", "cancelled"])
def test_what_was_done_in_time_is_said(api: ImageApi, talk: BatchTalk, how: BatchEnds) -> None:
    """The rest never ran."""
    api.batches.script(Batched(ends=how, done=1))
    end = ended(talk, "one", "two")
    said = by_number(talk.results(end))
    ran = api.batches.ran()

    assert (end.how, end.lacking) == (how, "never_ran")
    assert ran == (0 if how == "expired" and talk.provider.profile.name == "gemini" else 1)
    pictures = [one for one in said.values() if kind_of(one.step) is VerdictKind.PICTURES]
    assert len(pictures) == ran
    assert all(one in pictures or one.never_ran for one in said.values())


def test_a_queue_that_is_full_is_told(api: ImageApi, talk: BatchTalk) -> None:
    """Nothing ran, for all lines alike, and it may be tried later."""
    api.batches.most_queued_lines = 1
    job = talk.begin(wishes("one", "two"), TOKEN)
    end = talk.await_end(job) if isinstance(job, Accepted) else job
    verdict = end.verdict if isinstance(end, BatchEnded) else end

    assert isinstance(verdict, Verdict)
    assert not verdict.may_be_billed
    assert api.batches.billed() == 0


def test_a_lost_create_is_found_by_its_label(api: ImageApi, talk: BatchTalk) -> None:
    """Among others, on a later page; what was not begun is not there."""
    api.batches.page_batches = 1
    api.batches.script(Batched(lost="begun"), Batched())
    with pytest.raises(NoAnswer):
        talk.begin(wishes("one"), TOKEN)
    talk.begin(wishes("two"), NOBODY[::-1].replace("f", "e"))
    kind = talk.lane.kind(wishes("one")[0])
    found = talk.find(Lost(token=TOKEN, endpoint=kind, opened_at=OPENED))
    absent = talk.find(Lost(token=NOBODY, endpoint=kind, opened_at=OPENED))

    assert isinstance(found, Found)
    assert absent == NotListed(next_url=None)
    step = talk.await_end(found.accepted)
    assert isinstance(step, BatchEnded)
    assert len(talk.results(step)) == 1


def test_lines_show_pictures_as_the_provider_wants_them(api: ImageApi, talk: BatchTalk) -> None:
    """Uploaded once, and named by all that show them; or in each line itself."""
    data = make_png("a face", 64, 64)
    sha256 = hashlib.sha256(data).hexdigest()
    sent = SentPicture(
        sha256=sha256,
        media_type="image/png",
        size_bytes=len(data),
        base64=lambda: memoryview(base64.b64encode(data)),
    )
    shown = Reference(wish=ReferenceWish(image="face.png"), sha256=sha256, sent=sent)
    names: dict[str, str] = {}
    if talk.lane.terms.references == "file":
        handed = talk.hand_over(data, "reference", "image/png")
        assert isinstance(handed, Uploaded)
        names[sha256] = handed.name
    requests = wishes("one", "two", shown=(shown,))
    job = talk.begin(requests, TOKEN, names)
    assert isinstance(job, Accepted)
    end = talk.await_end(job)
    assert isinstance(end, BatchEnded)
    said = by_number(talk.results(end))

    assert {kind_of(one.step) for one in said.values()} == {VerdictKind.PICTURES}
    assert len(api.batches.files) == 1 + len(names)
