"""The power goes after any write that was not synced: what is paid is there, or somebody is asked.

One run is recorded, on a disk that notes what it was asked for; its folder is then made anew as a
power cut at any moment of it would leave it, and the product is started there again, against the
same service, which keeps the bills. Some moments are tried each time, all of them by
``--hypothesis-profile night``.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as law

from host_stub.cli import main as host
from host_stub.run import pipeline
from stage3_plugin.cli import main as stage3
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.engine import pending
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.policy import refetch
from tests.doors import bills
from tests.fakes.behaviours import Behaviour, CutBody
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.wire import Asked
from tests.heavy import first_of
from tests.hostile.power import Disk, Keep, Left, Wrote, found_in
from tests.projects import Project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the recording needs /proc")

PICTURE = make_png("s05: a harbour at dusk", 64, 64)
BEHIND = b"a word behind it"
DOWN = [503] * 9999
STORY: dict[str, Behaviour] = {
    "s01": bills(0.05),
    "s02": bills(0.05, heavy=True, extra={"story": "a word of it " * 8000}),
    "s03": bills(0.05, url="own"),
    "s04": bills(0.05, url="own", visits=DOWN),
    "s05": bills(0.05, picture=PICTURE + BEHIND),
    "s06": CutBody(heavy=True),
}
"""Inline; with a document of its own; at an address; at one that is down; with something behind it,
of which the original is kept; and cut off."""


BOOK = ".story/out/story.db"


@dataclass
class Recorded:
    """A run that was recorded, the service it bought from, and where to make folders."""

    disk: Disk
    api: ImageApi
    project: Project
    is_over: bool = False

    def again(self, folder: Path) -> Project:
        """Return a project in another folder, with the same config and story."""
        project = Project(folder)
        for name in ("host.toml", "scenes.json"):
            (folder / name).write_bytes((self.project.folder / name).read_bytes())
        return project


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def recorded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recorded]:
    """Record one run of the story from an empty folder to its end."""
    folder = tmp_path_factory.mktemp("recorded")
    project = Project(folder)
    project.scenes(len(STORY))
    run_pipeline = partial(pipeline.run_pipeline, backend=request.param)
    with ImageApi() as api, pytest.MonkeyPatch.context() as patch:
        project.config(api, capacity=2, adaptive=False, deadline_s=5)
        patch.setenv("LOOPBACK_KEY", KEY)
        patch.setattr("host_stub.run.pipeline.run_pipeline", run_pipeline)
        patch.setattr(pending, "PATIENCE_S", 0.05)
        patch.setattr(refetch, "FIRST_WAIT_S", 0.01)
        disk = Disk(folder, folder / ".stage3" / "ledger.db")
        one = Recorded(disk, api, project)

        def answer(asked: Asked) -> Behaviour:
            scene = asked.prompt[:3]
            if one.is_over:
                return bills(0.05)
            disk.mark(f"asked {scene}")
            return STORY[scene]

        api.otherwise = answer
        before = found_in(folder)
        with disk.recording():
            code = in_folder(folder, host, "run", "scenes.json")
        disk.mark("over")
        one.is_over = True
        DOWN.clear()
        left = disk.left_after(len(disk.changes), everything).contents()
        real = found_in(folder, without=["ledger.db-shm"])

        assert code == 4  # one is unknown, and one awaited
        # The story's book is a database as well, and is not watched: whatever was said in it is
        # lost with the power here, the worst that a disk can do to it.
        unseen = {*before, BOOK}
        assert {path for path in real.keys() | left.keys() if real.get(path) != left.get(path)} == (
            unseen
        ), "something wrote to the folder and was not noted"
        yield one
    DOWN.extend([503] * 9999)


def in_folder(folder: Path, command: Callable[[list[str]], int], *words: str) -> int:
    """Say a command in this process, as if it were started in that folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return command([*words])


# What a power cut leaves of what was not synced -------------------------------------------------


def everything(_change: int) -> float:
    return 1.0


def nothing(_change: int) -> float:
    return 0.0


def names_alone(disk: Disk) -> Keep:
    """Keep every name and time, and no bytes: what file systems do that write data late."""
    return lambda change: 0.0 if isinstance(disk.changes[change], Wrote) else 1.0


def bytes_alone(disk: Disk) -> Keep:
    """Keep all bytes, and no name that was not synced."""
    return lambda change: 1.0 if isinstance(disk.changes[change], Wrote) else 0.0


def halves(disk: Disk) -> Keep:
    """Keep the names, and half of every write."""
    return lambda change: 0.5 if isinstance(disk.changes[change], Wrote) else 1.0


def by_chance(_disk: Disk) -> Keep:
    """Keep of each change all, nothing, or some."""
    return lambda change: random.Random(change).choice((0.0, 0.0, 1.0, 1.0, 0.4, 0.8))


KEEPS: dict[str, Callable[[Disk], Keep]] = {
    "nothing": lambda _disk: nothing,
    "everything": lambda _disk: everything,
    "names alone": names_alone,
    "bytes alone": bytes_alone,
    "halves": halves,
    "by chance": by_chance,
}
COMMITS = (0.0, 1.0, 0.5)
"""How much there is of a commit that was under way."""
AT_FULL = 8
"""So many moments are tried of each kind by the profile ``full``."""


def ways(recorded: Recorded, keep: Keep) -> dict[tuple[int, float], Left]:
    """Return the moments that differ in what they leave, or in what had happened before."""
    seen: set[object] = set()
    found: dict[tuple[int, float], Left] = {}
    for moment in recorded.disk.moments:
        for commit in COMMITS:
            left = recorded.disk.left_after(moment, keep, commit=commit)
            files = tuple(sorted(left.contents().items()))
            same = hash((files, frozenset(recorded.disk.marks(moment))))
            if same not in seen:
                seen.add(same)
                found[moment, commit] = left
    return found


def some_of(found: dict[tuple[int, float], Left]) -> dict[tuple[int, float], Left]:
    """Choose as many as the profile allows, spread evenly; all of them by night."""
    examples = law().max_examples
    chosen = sorted(found)
    allowed = max(AT_FULL * examples // 100, 2)
    if examples <= 100 and len(chosen) > allowed:
        step = (len(chosen) - 1) / (allowed - 1)
        chosen = [chosen[round(at * step)] for at in range(allowed)]
    return {one: found[one] for one in chosen}


# What must be true afterwards --------------------------------------------------------------------


def rows_in(folder: Path) -> dict[str, Purchase]:
    """Read the ledger by itself, without a run; its rows by attempt."""
    ledger = Ledger.open_to_read(folder / ".stage3" / "ledger.db")
    if ledger is None:
        return {}
    with ledger:
        assert ledger.problems() == []
        return {one.new.attempt_id: one for one in ledger.purchases()}


def check(recorded: Recorded, left: Left, moment: int, folder: Path, capsys: Any) -> None:
    """Start the product again where the power went, and see that everything is accounted for."""
    api, asked = recorded.api, recorded.disk.marks(moment)
    project = recorded.again(folder)
    left.put(folder)
    # The book is not watched, so that it is never left; without it a story's folder is refused, and
    # so are results that name a story which lies in the folder of the recording.
    shutil.rmtree(folder / ".story", ignore_errors=True)
    (folder / "out" / ".story.json").unlink(missing_ok=True)
    before = rows_in(folder)
    sold = {scene: api.received(f"{scene}:") for scene in STORY}
    code = in_folder(folder, host, "run", "scenes.json")
    told = capsys.readouterr().err
    sent = {scene for scene in STORY if api.received(f"{scene}:") > sold[scene]}
    after = rows_in(folder)
    states = {one.new.scene_id: one.state for one in after.values()}
    codes = project.codes() if code in {0, 1, 3, 4, 5} else {}

    assert codes.keys() == STORY.keys(), told
    # Nothing is bought again unseen: whatever had left, or may have, is not sent by this run.
    had_left = {one.removeprefix("asked ") for one in asked if one.startswith("asked")}
    assert had_left <= {one.new.scene_id for one in before.values()}, "sent, and no row says so"
    may_have_left = {one.new.scene_id for one in before.values() if one.state is not State.VOID}
    assert not sent & (had_left | may_have_left), told
    # No settled picture is lost: it is among the objects and beside the story, as it was sent.
    for attempt_id, one in before.items():
        if one.state is State.PAID:
            assert after[attempt_id].state is State.PAID
            check_picture(folder, after[attempt_id])
            if one.new.scene_id == "s05":
                check_original(folder)
            assert codes[one.new.scene_id] == "made", told
    # What the run had said is kept is kept, although nothing was settled.
    if "over" in asked:
        assert codes["s04"] == "made", told
        assert (folder / ".stage3" / "spool" / attempt_of(after, "s06")).is_dir()
    # And whatever is still open says so, and what is to be done.
    check_advice(folder, after, capsys)
    decided = in_folder(folder, stage3, "resolve", "--all", "--resend", "--yes")
    unknown = {one for one, state in states.items() if state is State.UNKNOWN}
    assert decided == (0 if unknown else decided)
    # One whose whole answer is kept is not decided: the next run may take it in, and buys nothing.
    given_up = {
        one.new.scene_id for one in rows_in(folder).values() if one.state is State.WROTE_OFF
    }
    assert given_up <= unknown
    sold = {scene: api.received(f"{scene}:") for scene in STORY}
    in_folder(folder, host, "run", "scenes.json")
    capsys.readouterr()
    once_more = {scene for scene in STORY if api.received(f"{scene}:") > sold[scene]}
    assert once_more == given_up, "what was decided is bought, and nothing else"
    torn = {scene for scene, code in project.codes().items() if code != "made"}
    assert torn <= unknown - given_up, "what was kept and cannot be taken in is decided by its name"
    for attempt_id, one in rows_in(folder).items():
        if one.state is State.UNKNOWN:
            assert in_folder(folder, stage3, "resolve", attempt_id, "--resend") == 0
    in_folder(folder, host, "run", "scenes.json")
    capsys.readouterr()
    assert set(project.codes().values()) == {"made"}
    for one in rows_in(folder).values():
        if one.state is State.PAID:
            check_picture(folder, one)


def attempt_of(rows: dict[str, Purchase], scene: str) -> str:
    return next(attempt for attempt, one in rows.items() if one.new.scene_id == scene)


def check_picture(folder: Path, purchase: Purchase) -> None:
    """A paid picture is stored, and its copy is beside the story."""
    picture, scene = purchase.picture, purchase.new.scene_id
    assert picture is not None
    stored = folder / ".stage3" / "objects" / picture.sha256[:2] / picture.sha256
    assert hashlib.sha256(stored.read_bytes()).hexdigest() == picture.sha256
    shown = folder / "out" / "images" / f"{scene}.png"
    assert shown.read_bytes() == stored.read_bytes()


def check_original(folder: Path) -> None:
    """What stood behind a paid picture is kept as it came."""
    (original,) = (folder / ".stage3" / "originals").iterdir()
    assert original.read_bytes() == PICTURE + BEHIND


def check_advice(folder: Path, rows: dict[str, Purchase], capsys: Any) -> None:
    """``attempts`` names what is not settled, each with a next step."""
    in_folder(folder, stage3, "attempts")
    shown = capsys.readouterr().out
    for attempt_id, one in rows.items():
        if one.state in {State.UNKNOWN, State.SENDING}:
            assert attempt_id[:8] in shown
            assert f"resolve {attempt_id[:8]}" in shown or "nothing to do" in shown, shown


@pytest.mark.parametrize("kept", first_of(KEEPS, "nothing", "by chance"))
def test_after_a_power_cut_nothing_is_bought_again_and_nothing_settled_is_gone(
    recorded: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: str
) -> None:
    """Whatever the file system makes of what nobody has synced."""
    found = ways(recorded, KEEPS[kept](recorded.disk))
    assert len(found) > 30  # how many there are depends on which commits go together
    for (moment, commit), left in some_of(found).items():
        folder = tmp_path / f"{moment} {commit}"  # shown where an assert fails
        check(recorded, left, moment, folder, capsys)
