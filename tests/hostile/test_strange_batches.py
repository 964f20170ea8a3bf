"""A lane of batches whose code is wrong: each value is looked at before anything is done by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from stage3_plugin.domain.batch import (
    BatchEnded,
    BatchLine,
    BatchMaking,
    BatchTerms,
    LineSaid,
    Upload,
    Uploaded,
)
from stage3_plugin.domain.exchange import Found, Lost, Reply, Send
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.picture import InlinePicture
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import ProviderBroken
from stage3_plugin.providers.base import BatchLane
from stage3_plugin.providers.guarding import guarded
from tests.hostile.test_strange_providers import Strange, with_
from tests.stage3.providers.replies import request

AT = "https://strange.example/v1"
TERMS = BatchTerms(
    most_lines=10,
    most_bytes=1000,
    within_s=60.0,
    listing=Listing(settle_s=1.0, reaches_back_s=60.0),
    references="file",
)
LINE = BatchLine(payload={"key": "k"})
UPLOAD = Upload(url=f"{AT}/files")
SEND = Send(url=f"{AT}/batches", payload={})
JOB = Accepted(job_id="b1", poll_url=f"{AT}/batches/b1", keeps_s=60.0)
MAKING = BatchMaking(lines=LineCount(total=2, done=1), hint_s=5.0, message="made")
ENDED = BatchEnded(how="completed", files=(f"{AT}/files/1",))
NO = Verdict(kind=VerdictKind.REJECTED, message="no")
PICTURES = Verdict(
    kind=VerdictKind.PICTURES, may_be_billed=True, sources=(InlinePicture("iVBORw0KGgo="),)
)
IN_DOUBT = Verdict(kind=VerdictKind.UNKNOWN, may_be_billed=True)
SAID = LineSaid(key="k", step=PICTURES)
REPLY = Reply(status=200, headers={})
LOST = cast("Lost", None)

ASKS: dict[str, Callable[[BatchLane], object]] = {
    "terms": lambda lane: lane.terms,
    "share": lambda lane: lane.share("m"),
    "kind": lambda lane: lane.kind(request()),
    "line": lambda lane: lane.line(request(), "k", {}),
    "upload": lambda lane: lane.upload(1, "lines", "application/jsonl"),
    "uploaded": lambda lane: lane.uploaded(REPLY, 1, "lines"),
    "create": lambda lane: lane.create("f", "t", "k"),
    "created": lambda lane: lane.created(REPLY),
    "polled": lambda lane: lane.polled(REPLY, JOB),
    "look_for": lambda lane: lane.look_for(LOST),
    "looked": lambda lane: lane.looked(REPLY, LOST),
    "said": lambda lane: lane.said(REPLY),
}


class StrangeLane:
    """Says what it is told to, whatever it is asked."""

    def __init__(self, found: object) -> None:
        self._found = found

    def __getattr__(self, name: str) -> Any:
        if name == "terms":
            return self._say()
        return self._say

    def _say(self, *_asked: object) -> object:
        if isinstance(self._found, BaseException):
            raise self._found
        return self._found


def lane_of(found: object) -> BatchLane:
    lane = guarded(Strange(batch=StrangeLane(found)), "strange").batch
    assert lane is not None
    return lane


WRONG: list[tuple[str, object]] = [
    ("terms", None),
    ("terms", with_(TERMS, most_lines=0)),
    ("terms", with_(TERMS, most_bytes=1.5)),
    ("terms", with_(TERMS, most_queued_tokens=True)),
    ("terms", with_(TERMS, most_reference_bytes="many")),
    ("terms", with_(TERMS, within_s=float("nan"))),
    ("terms", with_(TERMS, listing=None)),
    ("terms", with_(TERMS, references="both")),
    ("share", 0.5),
    ("share", Decimal(2)),
    ("share", Decimal("-0.1")),
    ("share", Decimal("NaN")),
    ("kind", ""),
    ("kind", None),
    ("kind", "two\nlines"),
    ("kind", "x" * 3000),
    ("line", {"key": "k"}),
    ("line", with_(LINE, payload=[])),
    ("line", with_(LINE, dropped=["seed"])),
    ("line", with_(LINE, tokens=-1)),
    ("line", with_(LINE, tokens=1.0)),
    ("upload", None),
    ("upload", with_(UPLOAD, url="file:///etc/passwd")),
    ("upload", with_(UPLOAD, headers={"content-length": "1"})),
    ("upload", with_(UPLOAD, headers={"x-how": "two\r\nlines"})),
    ("upload", with_(UPLOAD, has_file=1)),
    ("upload", with_(UPLOAD, payload={"a": 1})),
    ("upload", with_(UPLOAD, has_file=False, payload=7)),
    ("upload", with_(UPLOAD, file_field="")),
    ("upload", with_(UPLOAD, fields={"purpose": 'a\r\n"b"'})),
    ("upload", with_(UPLOAD, fields=[])),
    ("upload", with_(UPLOAD, media_type="image/png\r\nX: 1")),
    ("upload", with_(UPLOAD, file_name=None)),
    ("uploaded", Uploaded("")),
    ("uploaded", Uploaded("f\n1")),
    ("uploaded", with_(NO, may_be_billed=True)),
    ("uploaded", PICTURES),
    ("uploaded", with_(NO, kind=VerdictKind.UNKNOWN)),
    ("create", UPLOAD),
    ("create", with_(SEND, url="/batches")),
    ("created", None),
    ("created", PICTURES),
    ("created", with_(JOB, job_id="")),
    ("created", with_(JOB, poll_url="ftp://x")),
    ("created", with_(NO, kind=VerdictKind.NOT_SENT)),
    ("polled", NO),
    ("polled", PICTURES),
    ("polled", with_(ENDED, how="paused")),
    ("polled", with_(ENDED, lacking="lost")),
    ("polled", with_(ENDED, files=[f"{AT}/files/1"])),
    ("polled", with_(ENDED, files=("files/1",))),
    ("polled", with_(ENDED, verdict=NO)),
    ("polled", with_(ENDED, files=(), verdict=IN_DOUBT)),
    ("polled", with_(ENDED, files=(), verdict=PICTURES)),
    ("look_for", "/batches"),
    ("looked", None),
    ("looked", Found(accepted=cast("Any", None))),
    ("said", PICTURES),
    ("said", with_(SAID, step=None)),
    ("said", with_(SAID, step=with_(PICTURES, sources=()))),
    ("said", with_(SAID, never_ran=1)),
    ("said", with_(SAID, never_ran=True)),
    ("said", LineSaid(key="k", step=IN_DOUBT, never_ran=True)),
]


@pytest.mark.parametrize("ask, found", WRONG)
def test_what_is_wrong_is_refused_by_name(ask: str, found: object) -> None:
    """Nothing is sent, and nothing is given up, by a value that is not what it should be."""
    with pytest.raises(ProviderBroken, match=rf"batch\.{ask} of the provider 'strange' returned "):
        ASKS[ask](lane_of(found))


@pytest.mark.parametrize("ask", ASKS)
def test_what_is_raised_is_named(ask: str) -> None:
    """By the method that raised it."""
    with pytest.raises(
        ProviderBroken, match=rf"batch\.{ask} of the provider 'strange' raised KeyError"
    ):
        ASKS[ask](lane_of(KeyError("x")))


def test_every_method_of_a_lane_is_looked_at() -> None:
    """One that is added to the protocol is added here."""
    asked = {name for name in vars(BatchLane) if not name.startswith("_")}

    assert asked == set(ASKS)
    assert asked <= {name for name, _ in WRONG}


def test_a_fact_that_is_odd_is_left_out() -> None:
    """It is only shown: the batch goes on all the same."""
    odd = with_(MAKING, lines="many", hint_s=-1, message=7)
    lane = lane_of(odd)

    assert lane.polled(REPLY, JOB) == BatchMaking()
    counted = with_(ENDED, lines=LineCount(total=cast("Any", "3")), message="x" * 5000)
    assert lane_of(counted).polled(REPLY, JOB) == replace(ENDED, message="x" * 300)
    assert lane_of(with_(SAID, key=7)).said(REPLY) == replace(SAID, key=None)


def test_a_lane_that_is_a_method_is_named() -> None:
    """Whoever forgets that it is a property is told so."""
    strange = Strange(batch=lambda: StrangeLane(TERMS))
    with pytest.raises(ProviderBroken, match="batch of the provider 'strange' returned a func"):
        _ = guarded(strange, "strange").batch
