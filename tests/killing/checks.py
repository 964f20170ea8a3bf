"""What must be true whatever was killed when: each check by the side that knows.

What was received and billed is told by the service, what was complete by the files of the dead
run, what is counted by the ledger's rows. Nothing here asks the code under test what it thinks of
itself, but for the ledger's own complaints, which are one check among the others.

Every check raises ``AssertionError`` with a sentence of its own, so that a test can show which of
them finds a broken protocol.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from host_stub.commands import CommandError
from stage3_plugin.domain.states import COUNTED, OPEN, State
from tests.doors import Row, rows, stage3
from tests.fakes.image_api import ImageApi
from tests.killing.driver import ANSWERS

LEDGER = "ledger.db"
PRICE_MICROUSD = 50_000
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What lies on the disk of a project.

    Attributes:
        purchases: Every row, by attempt.
        answered: The attempts whose answers lie complete in the spool.
        heard: The attempts whose answers did so at any time.
        spooled: The attempts of which there is a folder.
        unsent: The attempts and batches of which the lists of dead runs say that they never left.
        problems: What the ledger complains of.
        committed_microusd: Its total.
    """

    purchases: Mapping[str, Row]
    answered: frozenset[str]
    heard: frozenset[str]
    spooled: frozenset[str]
    unsent: frozenset[str]
    problems: tuple[str, ...]
    committed_microusd: int

    def of(self, *states: State) -> list[Row]:
        """Return the purchases in some states."""
        return [purchase for purchase in self.purchases.values() if purchase.state in states]

    @property
    def unanswered(self) -> set[str]:
        """Return the attempts that were held and have no complete answer."""
        sending = {one.attempt_id for one in self.of(State.SENDING)}
        return sending - self.answered

    @property
    def lost(self) -> set[str]:
        """Return those of them that may have been billed, since they may have left."""
        return {
            attempt_id
            for attempt_id in self.unanswered
            if {attempt_id, self.purchases[attempt_id].batch}.isdisjoint(self.unsent)
        }

    @property
    def whole(self) -> set[str]:
        """Return the attempts whose complete answer waits to be taken in."""
        return {one.attempt_id for one in self.of(State.SENDING)} & self.answered


def left_in(folder: Path) -> Left:
    """Look at a project without touching it: the ledger is opened as a copy.

    Its write-ahead log is thus left for the next run to recover.
    """
    state_dir = folder / "state"
    spool = state_dir / "spool"
    spooled = list(spool.iterdir()) if spool.is_dir() else []
    answered = frozenset(path.name for path in spooled if _has_ended(path / "answer"))
    copy = _copied(state_dir)
    found, problems = _told_of(copy) if copy is not None else ([], ())
    return Left(
        purchases={one.attempt_id: one for one in found},
        answered=answered,
        heard=answered | _heard(folder),
        spooled=frozenset(path.name for path in spooled),
        unsent=_marked(state_dir, " -") - _marked(state_dir, " +"),
        problems=problems,
        committed_microusd=sum(one.counted_microusd for one in found),
    )


def _marked(state_dir: Path, mark: str) -> frozenset[str]:
    """Return the requests with a mark in a list; one that waited for room stands there twice."""
    lists = (path.read_text("ascii") for path in (state_dir / "owners").glob("*.sent"))
    lines = (line for one in lists for line in one.splitlines())
    return frozenset(line.removesuffix(mark) for line in lines if line.endswith(mark))


def _has_ended(answer: Path) -> bool:
    return answer.is_file() and answer.read_bytes().endswith(b"\nend\n")


def _heard(folder: Path) -> frozenset[str]:
    answers = folder / ANSWERS
    return frozenset(answers.read_text("utf-8").split() if answers.exists() else ())


def _told_of(state_dir: Path) -> tuple[list[Row], tuple[str, ...]]:
    """Return the rows of a ledger, and what is wrong with it; of its pictures there is no copy."""
    try:
        found = rows(state_dir)
    except CommandError as error:
        if error.code != "ledger_missing":
            raise
        return [], ()
    verified = stage3("verify", "--state-dir", str(state_dir)).data["problems"]
    return found, tuple(one["message"] for one in verified if one["kind"] == "ledger")


def _copied(state_dir: Path) -> Path | None:
    copy = state_dir.with_name("looked-at")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for path in state_dir.glob(f"{LEDGER}*"):  # the log, or the journal of its making
        if not path.name.endswith("-shm"):
            shutil.copyfile(path, copy / path.name)
    return copy if (copy / LEDGER).exists() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the service says of some scenes: how often each was asked for and billed."""

    received: Counter[str]
    billed: Counter[str]

    @classmethod
    def by(cls, api: ImageApi, scenes: Collection[str], *, since: int) -> Told:
        """Ask the service, once it has nothing in hand any more.

        Args:
            api: The service.
            scenes: Their names.
            since: So many of its entries are older than the scenes.
        """
        wait_for(api)
        received, billed = Counter[str](), Counter[str]()
        for entry in api.entries[since:]:
            scene = entry.asked.prompt.partition(":")[0]
            if scene in scenes:
                received[scene] += 1
                billed[scene] += entry.is_billed
        return cls(received=received, billed=+billed)


def wait_for(api: ImageApi) -> None:
    """Wait until a service has nothing in hand any more.

    What a dead run has sent may still lie in a socket. Whoever comes after that is served after it;
    twice, because a request is taken up in more than one turn of the event loop.
    """
    for _ in range(2):
        with closing(HTTPConnection(urlsplit(api.base_url).netloc)) as visit:
            visit.request("GET", "/nothing")
            assert visit.getresponse().status == 404
    deadline = time.monotonic() + PATIENCE_S
    while api.in_flight:
        assert time.monotonic() < deadline, "the service is still answering somebody"
        time.sleep(0.002)


# The checks --------------------------------------------------------------------------------------


def check_billing(told: Told, left: Left) -> None:
    """Nothing is sent or billed twice, but for what was written off; nothing without a row."""
    for scene, times in told.received.items():
        rows = [one for one in left.purchases.values() if one.scene_id == scene]
        written_off = sum(one.state is State.WROTE_OFF for one in rows)
        counted = sum(one.state in COUNTED for one in rows)
        billed = told.billed[scene]
        assert billed <= 1 + written_off, f"{scene} was billed {billed} times"
        assert times <= 1 + written_off, f"{scene} was sent {times} times"
        assert billed <= counted, f"{scene} was billed {billed} times and counted {counted} times"


def check_cap(told: Told, left: Left, cap_microusd: int) -> None:
    """Neither what was billed nor what is counted passes the cap, and all that is billed counts."""
    billed = told.billed.total() * PRICE_MICROUSD
    assert billed <= cap_microusd, f"billed were {billed}, over the cap of {cap_microusd}"
    assert left.committed_microusd <= cap_microusd, "more is counted than the cap allows"
    assert billed <= left.committed_microusd, "more was billed than is counted"


def check_counters(left: Left) -> None:
    """Every counter is the sum of its rows, which is the first that the ledger looks at."""
    assert left.problems == (), f"the ledger complains: {left.problems}"


def check_answers(left: Left) -> None:
    """Every answer that was ever complete is a picture; all of the service's were good ones."""
    for attempt_id in left.heard:
        purchase = left.purchases.get(attempt_id)
        state = None if purchase is None else purchase.state
        assert state is State.PAID, f"a complete answer ended as {state}"


def check_recovered(before: Left, after: Left) -> None:
    """A complete answer or a job became a picture; the lack of one unknown, or void if not sent."""
    assert after.of(*OPEN, State.ACCEPTED) == [], "a purchase of a dead run is still open"
    for attempt_id, old in before.purchases.items():
        new = after.purchases[attempt_id].state
        if attempt_id in before.whole:
            assert new is State.PAID, f"a complete answer of {old.scene_id} ended as {new}"
        elif old.state is State.ACCEPTED:
            assert new is State.PAID, f"the job of {old.scene_id} ended as {new}"
        elif attempt_id in before.unanswered:
            is_lost = attempt_id in before.lost
            expected = {State.UNKNOWN, State.WROTE_OFF} if is_lost else {State.VOID}
            assert new in expected, f"a request of {old.scene_id} ended as {new}"
        elif old.state is State.UNKNOWN:
            assert new in {State.UNKNOWN, State.WROTE_OFF}, "an unknown outcome was forgotten"
        elif old.state not in OPEN:
            assert new is old.state, "a settled purchase has changed"


def check_pictures(folder: Path, left: Left) -> None:
    """Every paid picture is among the objects and in the results, whole, and as it was sent."""
    verified = stage3("verify", "--state-dir", str(folder / "state")).data["problems"]
    for one in verified:
        assert one["kind"] != "missing", f"{one['scene_ids']} is paid and its picture is not there"
    assert verified == []
    for scene in {one.scene_id for one in left.of(State.PAID)}:
        published = folder / "out" / "images" / f"{scene}.png"
        assert published.is_file(), f"{scene} is paid and not among the results"
        data = published.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        kept = folder / "state" / "objects" / sha256[:2] / sha256
        assert kept.is_file(), f"{scene} is not whole among the results"
    halves = [path.name for path in (folder / "out").rglob("*") if path.suffix != ".png"]
    assert [name for name in halves if not name.startswith(".tmp-") and name != "images"] == []


def check_outcomes(outcomes: Mapping[str, str], left: Left, cap_microusd: int) -> None:
    """Every scene is there, reported as unknown, or left out because the cap is full."""
    paid = {one.scene_id for one in left.of(State.PAID)}
    unknown = {one.scene_id for one in left.of(State.UNKNOWN)}
    is_full = left.committed_microusd + PRICE_MICROUSD > cap_microusd
    for scene, code in outcomes.items():
        if scene in paid:
            assert code in {"made", "reused"}, f"{scene} is paid and told as {code}"
        elif scene in unknown:
            assert code == "unknown", f"{scene} is unknown and told as {code}"
        else:
            assert code in {"budget", "not_tried"}, f"{scene} ended as {code}"
            assert is_full, f"{scene} was left out although there is money"


def check_spools(left: Left) -> None:
    """What is paid has left nothing behind, and what is unknown keeps what there is of it."""
    paid = {one.attempt_id for one in left.of(State.PAID)}
    assert not paid & left.spooled, "the answer of a stored picture was left behind"
