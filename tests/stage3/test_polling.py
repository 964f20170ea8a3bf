"""A conversation with a queue: accepted, asked for until it is done, or left to a later run.

The provider is its steps alone, and the vendor is a script: what each address answers next. The
clock is the event loop's, and moves by itself.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.attempt.conversation import Conversation
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.exchange import Asked, Fetch, Gone, Poll, Reply, Send, Unclear, Unsaid
from stage3_plugin.domain.job import Accepted, BeingMade, Job, Jobs, NewJob
from stage3_plugin.domain.picture import RemotePicture
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import FetchRefused, LedgerFailed
from stage3_plugin.policy.polling import (
    FIRST_WAIT_S,
    GROWS,
    LONGEST_WAIT_S,
    STRANGE_WAITS,
    UNHEARD_S,
    GiveUp,
    Leave,
    Wait,
    follows,
)
from stage3_plugin.policy.settlement import settlement_of
from stage3_plugin.providers.base import Polled
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.interrupt import Interrupt
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool.polls import OLD_S
from stage3_plugin.storage.spool.receipt import Receipt
from stage3_plugin.storage.spool.writing import Caps
from stage3_plugin.transport.bodies import Base64Of, no_pictures
from stage3_plugin.transport.client import Client, Exchange
from stage3_plugin.transport.exchange import OpenSink
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.picture_hosts import PictureHosts
from tests.fakes.pngs import make_png
from tests.stage3.providers.replies import request
from tests.stage3.stored import Stored
from tests.stage3.test_conversation import Gallery

T = TypeVar("T")

API = "https://queue.test/v1"
STATUS, RESULT = f"{API}/jobs/j-1", f"{API}/jobs/j-1/result"
ACCEPTED = Accepted(job_id="j-1", poll_url=STATUS, result_url=RESULT, keeps_s=3600)
PICTURE = make_png("a harbour", 32, 32)
LATE = timedelta(hours=2)

MAKING: dict[str, Any] = {"state": "making"}
DONE: dict[str, Any] = {"state": "done"}
DOWN = Exchange(sent=True, complete=False, problem="the connection was lost")


@dataclass(frozen=True)
class Says:
    """A whole answer."""

    document: Any
    status: int = 200

    @property
    def body(self) -> bytes:
        is_raw = isinstance(self.document, bytes)
        return cast("bytes", self.document) if is_raw else json.dumps(self.document).encode()


class Shop(Gallery):
    """A provider with a queue that says what its vendor says."""

    def __init__(self) -> None:
        super().__init__(API, lambda _reply: Verdict(kind=VerdictKind.BUSY))
        self.profile = replace(self.profile, has_jobs=True)

    def next(self, reply: Reply) -> Any:
        return ACCEPTED if "job" in cast("dict[str, Any]", reply.document) else super().next(reply)

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:  # noqa: ARG002 - its answers say so themselves
        if reply.status == 404:
            return Gone(message="no such job")
        if reply.status in {401, 429, 500}:
            hint = 7.0 if reply.status == 429 else None
            return Unsaid(
                message=f"status {reply.status}", hint_s=hint, stops_run=reply.status == 401
            )
        if "" in reply.parts:
            source = reply.source("", base_url="")
            assert source is not None
            verdict = Verdict(kind=VerdictKind.PICTURES, may_be_billed=True)
            return Fetch(sources=(source,), verdict=verdict)
        document = cast("dict[str, Any]", reply.document)
        if "picture" in document:
            source = RemotePicture(document["picture"])
            verdict = Verdict(kind=VerdictKind.PICTURES, may_be_billed=True)
            return Fetch(sources=(source,), verdict=verdict)
        match document["state"]:
            case "making":
                return Poll(url=job.poll_url)
            case "done":
                return Poll(url=job.result_url or "", of="result")
            case "refused":
                return Verdict(kind=VerdictKind.REFUSED, message="policy")
            case word:
                return Unclear(message=f"the job is said to be {word!r}")


@dataclass
class Vendor:
    """What each address answers next; the last answer is repeated. A client that has no network."""

    submit: Says = Says({"job": "j-1"})
    status: Sequence[Says | Exchange] = (Says(DONE),)
    result: Sequence[Says | Exchange] = (Says(PICTURE),)
    takes_s: float = 0.0
    account: str = "a"
    dead: tuple[str, ...] = ()
    asked: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    sent: int = 0

    async def post(
        self,
        send: Send,
        open_sink: OpenSink,
        *,
        base64_of: Base64Of = no_pictures,
        is_late: Callable[[], bool] = lambda: False,
    ) -> Exchange:
        del send, base64_of, is_late
        self.sent += 1
        return _answered(self.submit, open_sink)

    async def read(self, url: str, open_sink: OpenSink, *, hosts: JobHosts) -> Exchange:
        del hosts
        self.asked.append((url, trio.current_time()))
        await trio.sleep(self.takes_s)
        answers = self.status if url == STATUS else self.result
        answer = answers[min(self.times(url), len(answers)) - 1]
        return answer if isinstance(answer, Exchange) else _answered(answer, open_sink)

    async def fetch(self, url: str, open_sink: OpenSink, *, hosts: PictureHosts) -> None:
        del hosts
        if url in self.dead:
            raise FetchRefused("status 403", reason="trouble", status=403)
        sink = open_sink(200, {})
        sink.feed(PICTURE)
        sink.finish("whole")

    def times(self, url: str) -> int:
        return sum(asked == url for asked, _ in self.asked)

    @property
    def waits(self) -> list[float]:
        """Return the seconds between two looks at how far the job is."""
        moments = [at for url, at in self.asked if url == STATUS]
        return [round(b - a, 3) for a, b in pairwise(moments)]


def _answered(answer: Says, open_sink: OpenSink) -> Exchange:
    kind = "image/png" if isinstance(answer.document, bytes) else "application/json"
    sink = open_sink(answer.status, {"content-type": kind})
    sink.feed(answer.body)
    sink.finish("whole")
    return Exchange(sent=True, complete=True)


@dataclass
class Book:
    """Where accepted jobs are written down, and how much had been asked by then."""

    vendor: Vendor
    age: timedelta = timedelta()
    fails: bool = False
    is_taken: bool = True
    accepted: list[tuple[str, Accepted, int]] = field(
        default_factory=list[tuple[str, Accepted, int]]
    )

    async def accept(self, attempt_id: str, accepted: Accepted) -> Job | None:
        self.accepted.append((attempt_id, accepted, len(self.vendor.asked)))
        if self.fails:
            raise LedgerFailed(Path("ledger.db"), "is locked", hint="wait")
        return job(self.age) if self.is_taken else None


def job(age: timedelta = timedelta()) -> Job:
    at = datetime.now(UTC) - age
    new = NewJob(token="0" * 32, account="a", endpoint="m")
    until = at + timedelta(seconds=ACCEPTED.keeps_s)
    return Job(
        new=new, provider="shop", opened_at=at, accepted=ACCEPTED, accepted_at=at, expires_at=until
    )


async def at_once(work: Callable[[], T], /) -> T:
    return work()


def speaking(vendor: Vendor, state_dir: Path) -> tuple[Conversation, Pictures]:
    pictures = Stored(state_dir).pictures(max_pixels=1 << 24, blocking=at_once)
    conversation = Conversation(
        Shop(),
        cast("Client", vendor),
        pictures,
        hosts=PictureHosts(API),
        job_hosts=JobHosts(API, API),
        caps=Caps(),
    )
    return conversation, pictures


def begun(
    vendor: Vendor,
    state_dir: Path,
    *,
    book: Book | None = None,
    waits_s: float = 600,
    cut_after_s: float | None = None,
    told: list[BeingMade] | None = None,
) -> AttemptResult:
    """Hold a conversation from its beginning, in the folder ``a1`` and in virtual time."""

    async def main() -> AttemptResult:
        conversation, pictures = speaking(vendor, state_dir)
        folder = pictures.new_folder("a1")
        heard = [] if told is None else told
        jobs = Jobs(book=book or Book(vendor), waits_s=waits_s, told=heard.append)
        interrupt = Interrupt()
        async with trio.open_nursery() as nursery:
            if cut_after_s is not None:
                nursery.start_soon(_later, cut_after_s, interrupt.trigger)
            with interrupt.in_force():
                result = await conversation.begin(request(), folder, Receipt(folder), jobs)
            nursery.cancel_scope.cancel()
        return result

    return virtually(main)


async def _later(wait_s: float, then: Callable[[], None]) -> None:
    await trio.sleep(wait_s)
    then()


def virtually(main: Callable[[], Awaitable[T]]) -> T:
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def asked_later(
    vendor: Vendor,
    state_dir: Path,
    before: BeingMade | None = None,
    *,
    age: timedelta = timedelta(),
) -> AttemptResult:
    """Ask for the job once, as another process would: it has the ledger's row and the disk."""

    async def main() -> AttemptResult:
        conversation, pictures = speaking(vendor, state_dir)
        known = before or BeingMade(job=job(age))
        return await conversation.ask(pictures.spool.folder_of("a1"), known)

    return virtually(main)


def state_of(result: AttemptResult) -> State | None:
    settlement = settlement_of(result, may_be_cut=False, hold_microusd=50_000)
    return None if settlement is None else settlement.state


def lies_there(state_dir: Path) -> set[str]:
    """Return the names of a job's answers, without what is in them."""
    folder = state_dir / "spool" / "a1"
    return {path.name.split("-")[0] + "-…" * ("-" in path.name) for path in folder.iterdir()}


# In the run that bought it -----------------------------------------------------------------------


def test_a_job_is_written_down_before_it_is_asked_for_and_asked_for_until_it_is_done(
    tmp_path: Path,
) -> None:
    """One request that is paid for; its waits grow, and its result is fetched with the success."""
    vendor = Vendor(status=[Says(MAKING)] * 8 + [Says(DONE)])
    book, told = Book(vendor), list[BeingMade]()
    result = begun(vendor, tmp_path, book=book, told=told)

    assert result.picture is not None
    assert state_of(result) is State.PAID
    assert book.accepted == [("a1", ACCEPTED, 0)]
    assert vendor.sent == 1
    assert vendor.waits == [1.0, 1.5, 2.25, 3.375, 5.062, 7.594, 10.0, 10.0]
    assert vendor.times(RESULT) == 1
    assert vendor.asked[-1][1] == vendor.asked[-2][1]
    assert result.took_s == pytest.approx(vendor.asked[-1][1] - (vendor.asked[0][1] - 1.0))
    assert [making.asked for making in told] == list(range(9))


@pytest.mark.parametrize(
    "trouble",
    [DOWN, Says({"error": "overloaded"}, status=500), Says({"error": "slow"}, status=429)],
    ids=["no answer", "500", "429"],
)
def test_a_poll_that_fails_changes_nothing(tmp_path: Path, trouble: Says | Exchange) -> None:
    """It is asked again, however often; a wait that is asked for is kept to."""
    vendor = Vendor(status=[trouble] * 5 + [Says(DONE)], result=[trouble, Says(PICTURE)])
    result = begun(vendor, tmp_path)

    assert result.picture is not None
    assert vendor.sent == 1
    if isinstance(trouble, Says) and trouble.status == 429:
        assert vendor.waits[:5] == [7.0] * 5


def test_a_job_that_is_not_known_twice_in_a_row_is_unknown(tmp_path: Path) -> None:
    """Once may be a provider's parts that have not heard of it yet."""
    gone = Says({}, status=404)
    found = begun(Vendor(status=[gone, Says(MAKING), gone, Says(DONE)]), tmp_path / "found")
    lost = begun(Vendor(status=[Says(MAKING), gone, gone]), tmp_path / "lost")

    assert found.picture is not None
    assert state_of(lost) is State.UNKNOWN
    assert "j-1" in lost.verdict.message
    assert lost.verdict.should_retry is False


class Warned:
    """Hears what a person is warned of."""

    names = frozenset({"stage.warned"})

    def __init__(self) -> None:
        self.messages: list[str] = []

    def handle(self, name: str, fields: Mapping[str, object], /) -> None:
        del name
        self.messages.append(str(fields["message"]))


STRANGE: Sequence[Says] = (Says({"state": "MELTED"}), Says([]))
"""A word that nobody knows, and an answer over which the provider breaks."""


@pytest.mark.parametrize("strange", STRANGE, ids=["word", "shape"])
def test_what_is_not_understood_is_asked_on_slowly_for_two_minutes(
    tmp_path: Path, strange: Says
) -> None:
    """Then the job is left to a later run, accepted, with what was said; one warning is given."""
    vendor, warned = Vendor(status=[strange]), Warned()
    with trace.listening(warned):
        result = begun(vendor, tmp_path)

    assert state_of(result) is None
    assert result.making is not None
    assert result.making.again_s is None
    assert vendor.waits == [5.0, 10.0, 15.0, 30.0, 60.0]
    assert sum(vendor.waits) == 120.0
    assert lies_there(tmp_path) == {"answer", "unclear-…"}
    (message,) = warned.messages
    assert result.making.problem in message
    assert message.startswith("shop says what is not known here: ")


@pytest.mark.parametrize("at", ["status", "result"])
def test_what_is_not_understood_is_had_once_it_is(tmp_path: Path, at: str) -> None:
    """By the run that asks on; a word in between that is known begins the two minutes anew."""
    odd = Says({"state": "MELTED"})
    states = [*[odd] * 5, Says(MAKING), *[odd] * 5, Says(DONE)]
    vendor = Vendor(status=states) if at == "status" else Vendor(result=[odd, Says(PICTURE)])
    result = begun(vendor, tmp_path)

    assert result.picture is not None
    assert vendor.sent == 1


def test_a_scene_that_may_not_take_so_long_leaves_what_is_not_understood_sooner(
    tmp_path: Path,
) -> None:
    vendor = Vendor(status=[Says({"state": "MELTED"})])
    result = begun(vendor, tmp_path, waits_s=40)

    assert result.making is not None
    assert vendor.waits == [5.0, 10.0, 15.0]


def test_a_provider_that_breaks_over_an_answer_loses_no_job(tmp_path: Path) -> None:
    """What came is kept, once, and read again by a provider that is mended."""
    result = begun(Vendor(status=[Says([])]), tmp_path)
    assert lies_there(tmp_path) == {"answer", "unclear-…"}
    again = asked_later(Vendor(status=[Says(DONE)]), tmp_path)

    assert state_of(result) is None
    assert again.picture is not None


def test_a_key_that_is_not_taken_stops_the_run_and_leaves_the_job(tmp_path: Path) -> None:
    """Every other job would be answered the same."""
    result = begun(Vendor(status=[Says({}, status=401)]), tmp_path)

    assert state_of(result) is None
    assert result.making is not None
    assert result.making.stops_run


def test_a_run_that_waits_no_longer_leaves_the_job_accepted(tmp_path: Path) -> None:
    """Its own deadline is no reason to give up what was bought."""
    vendor = Vendor(status=[Says(MAKING)])
    result = begun(vendor, tmp_path, waits_s=20)

    assert state_of(result) is None
    assert result.making is not None
    assert result.making.problem == ""
    assert vendor.asked[-1][1] - vendor.asked[0][1] < 20


@pytest.mark.parametrize("cut_after_s", [1.2, 4.0])
def test_an_interrupt_ends_the_waiting_at_once_and_not_the_job(
    tmp_path: Path, cut_after_s: float
) -> None:
    """While an answer is on its way, and between two."""
    vendor = Vendor(status=[Says(MAKING)], takes_s=0.3)
    result = begun(vendor, tmp_path, cut_after_s=cut_after_s)

    assert state_of(result) is None
    assert result.making is not None
    assert vendor.asked[-1][1] <= cut_after_s
    assert lies_there(tmp_path) == {"answer"}


def test_a_ledger_that_does_not_take_a_job_leaves_it_to_the_spool(tmp_path: Path) -> None:
    """Nothing is asked: the answer of the submit is all that names it, and it is whole."""
    vendor = Vendor()
    failed = begun(vendor, tmp_path / "a", book=Book(vendor, fails=True))
    overtaken = begun(vendor, tmp_path / "b", book=Book(vendor, is_taken=False))

    assert failed.storage is not None
    assert state_of(failed) is state_of(overtaken) is None
    assert vendor.asked == []
    assert lies_there(tmp_path / "a") == {"answer"}


def test_a_refusal_is_what_the_last_answer_says(tmp_path: Path) -> None:
    """Whole and durable before it counts."""
    result = begun(Vendor(result=[Says({"state": "refused"})]), tmp_path)

    assert state_of(result) is State.REFUSED
    assert "done-…" in lies_there(tmp_path)


# In any later run --------------------------------------------------------------------------------


def test_any_run_goes_on_from_the_ledger_alone(tmp_path: Path) -> None:
    """Also one whose disk has nothing of it; and a last answer that lies there is not asked for."""
    vendor = Vendor(status=[Says(MAKING), Says(DONE)])
    first = asked_later(vendor, tmp_path)
    second = asked_later(vendor, tmp_path, first.making)
    asked = len(vendor.asked)
    third = asked_later(vendor, tmp_path)

    assert (state_of(first), state_of(second), state_of(third)) == (None, State.PAID, State.PAID)
    assert third.picture == second.picture
    assert len(vendor.asked) == asked == 3
    assert vendor.sent == 0


def test_what_is_still_known_after_its_time_is_taken_and_what_is_not_is_unknown(
    tmp_path: Path,
) -> None:
    """The promise is the provider's least; nothing is given up without asking once."""
    taken = asked_later(Vendor(), tmp_path / "taken", age=LATE)
    last: dict[str, Says | Exchange] = {
        "gone": Says({}, status=404),
        "odd": Says({"state": "MELTED"}),
        "strange": Says([]),
    }
    results = {
        name: asked_later(Vendor(status=[answer]), tmp_path / name, age=LATE)
        for name, answer in last.items()
    }

    assert state_of(taken) is State.PAID
    assert {name: state_of(one) for name, one in results.items()} == dict.fromkeys(
        results, State.UNKNOWN
    )
    assert all("over" in one.verdict.message for one in results.values())


def test_what_is_still_being_made_after_its_time_has_its_time_once_more(tmp_path: Path) -> None:
    """By the word of its provider, never by our clock: what comes then is judged as before."""
    gone, odd = Says({}, status=404), Says({"state": "MELTED"})
    vendor = Vendor(status=[Says(MAKING), gone, Says(MAKING), odd, Says(DONE)])
    results = [asked_later(vendor, tmp_path, age=timedelta(days=40))]
    for _ in range(4):
        results.append(asked_later(vendor, tmp_path, results[-1].making))
    first = results[0].making

    assert first is not None
    assert first.again_s == 1.0
    assert first.job.expires_at is not None
    left_s = (first.job.expires_at - datetime.now(UTC)).total_seconds()
    assert 3500 < left_s <= ACCEPTED.keeps_s
    assert [state_of(one) for one in results] == [None, None, None, None, State.PAID]


@pytest.mark.parametrize("trouble", [DOWN, Says({}, status=500), Says({}, status=401)])
def test_trouble_after_its_time_says_nothing_of_a_job_for_a_day(
    tmp_path: Path, trouble: Says | Exchange
) -> None:
    """An outage at the first look is no reason; but a job has its end where nobody ever answers."""
    left = asked_later(Vendor(status=[trouble]), tmp_path / "left", age=LATE)
    over = asked_later(Vendor(status=[trouble]), tmp_path / "over", age=timedelta(days=2))

    assert state_of(left) is None
    assert left.making is not None
    assert state_of(over) is State.UNKNOWN
    assert "over" in over.verdict.message


def test_an_old_answer_whose_address_gives_nothing_is_asked_for_anew(tmp_path: Path) -> None:
    """Addresses may be good for some minutes only; a job is known for longer."""
    before, after = ({"picture": f"https://queue.test/{name}.png"} for name in ("old", "new"))
    vendor = Vendor(result=[Says(before), Says(after)], dead=(before["picture"],))
    first = asked_later(vendor, tmp_path)
    second = asked_later(vendor, tmp_path, first.making)
    asked = vendor.times(RESULT)
    answer = tmp_path / "spool" / "a1" / "done-result" / "answer"
    os.utime(answer, (0, answer.stat().st_mtime - 2 * OLD_S))
    third = asked_later(vendor, tmp_path, second.making)

    assert first.not_here is not None
    assert second.not_here is not None
    assert asked == 1
    assert third.picture is not None
    assert third.image_url == after["picture"]
    assert lies_there(tmp_path) == {"awaited.json", "done-…", "older-…"}


def test_a_run_that_must_not_ask_is_slow_to_say_that_the_time_is_over(tmp_path: Path) -> None:
    """Other settings say little of a job; but it has its end, and is had later all the same."""
    forbidden = Exchange(sent=False, complete=False, problem="not a place", permanent=True)
    left = asked_later(Vendor(status=[forbidden]), tmp_path, age=LATE)
    over = asked_later(Vendor(status=[forbidden]), tmp_path, age=timedelta(days=2))
    had = asked_later(Vendor(), tmp_path, age=timedelta(days=3))

    assert state_of(left) is None
    assert left.making is not None
    assert left.making.again_s is None
    assert state_of(over) is State.UNKNOWN
    assert state_of(had) is State.PAID


def test_another_accounts_key_does_not_prove_that_a_job_is_gone(tmp_path: Path) -> None:
    """Nobody there has ever heard of it; it stays accepted, and what to do is said."""
    vendor = Vendor(status=[Says({}, status=404)], account="b")
    first = asked_later(vendor, tmp_path)
    second = asked_later(vendor, tmp_path, first.making)

    assert state_of(first) is state_of(second) is None
    assert second.making is not None
    assert "set them again" in second.making.problem


def test_two_that_ask_at_once_do_no_harm(tmp_path: Path) -> None:
    """Both get the picture, and the last answer lies there once."""
    vendor = Vendor(takes_s=1.0)

    async def main() -> list[AttemptResult]:
        results = list[AttemptResult]()

        async def ask() -> None:
            conversation, pictures = speaking(vendor, tmp_path)
            folder = pictures.spool.folder_of("a1")
            results.append(await conversation.ask(folder, BeingMade(job=job())))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        return results

    first, second = virtually(main)

    assert first.picture == second.picture
    assert first.picture is not None
    assert lies_there(tmp_path) == {"done-…"}


# The rule ----------------------------------------------------------------------------------------

STEPS = st.one_of(
    st.builds(Poll, url=st.just(STATUS), after_s=st.none() | st.floats(0, 1e6)),
    st.builds(
        Unsaid, message=st.just("m"), hint_s=st.none() | st.floats(0, 1e6), stops_run=st.booleans()
    ),
    st.builds(Gone, message=st.just("m")),
    st.builds(Unclear, message=st.just("m")),
)


@given(
    step=STEPS,
    asked=st.integers(1, 10_000),
    was_gone=st.booleans(),
    strange=st.integers(0, 10),
    left_s=st.floats(-1e6, 1e7),
)
def test_a_job_is_given_up_only_when_its_time_is_over_or_it_is_gone_twice(
    *, step: Poll | Unsaid | Gone | Unclear, asked: int, was_gone: bool, strange: int, left_s: float
) -> None:
    """And every wait is long enough for the provider and short enough for its promise."""
    following = follows(step, asked=asked, was_gone=was_gone, strange=strange, left_s=left_s)
    grace_s = math.inf if isinstance(step, Poll) else UNHEARD_S * isinstance(step, Unsaid)

    is_gone_twice = was_gone and isinstance(step, Gone)
    assert isinstance(following, GiveUp) == (left_s <= -grace_s or is_gone_twice)
    if isinstance(following, Wait) and isinstance(step, Unclear):
        assert following.wait_s > FIRST_WAIT_S * GROWS**strange  # of a word that is known
    elif isinstance(following, Wait):
        assert 1.0 <= following.wait_s <= max(LONGEST_WAIT_S, left_s / 2)
    if isinstance(following, Leave):
        is_long = isinstance(step, Unclear) and strange >= len(STRANGE_WAITS)
        assert is_long or (isinstance(step, Unsaid) and step.stops_run)
