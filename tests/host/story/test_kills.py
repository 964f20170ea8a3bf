"""A process that is killed at any step, and several that change one story at once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from host_stub.contract import KnownTake, SceneSurvey
from host_stub.story.finding import story_folder
from host_stub.story.keeper import Story
from host_stub.text.file_names import file_stem
from tests.heavy import first_of
from tests.host.story.doing import BEGUN, ORDERS, do, out_dir, project_dir
from tests.host.story.pictures import KINDS, PAID, new_take, picture, sha256_of, shown_in

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = (
    f"import runpy, sys; sys.path.append({str(ROOT)!r}); "
    "runpy.run_module('tests.host.story.doing', run_name='__main__')"
)
"""The checkout comes last, so that what is installed is what is killed."""
SCENES = ("s1", "s2")
PRESENT = {"s1": "B", "s2": "B"}


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def ledger() -> dict[str, list[KnownTake]]:
    """Return what a plugin has, by scene: every take that was ever bought in the orders."""
    bought: dict[str, list[KnownTake]] = defaultdict(list)
    for order in [*BEGUN, *ORDERS]:
        verb, scene_id, *said = order.split()
        if verb != "take":
            continue
        number, basis, kind = said
        take = new_take(scene_id, int(number), kind=kind)
        bought[scene_id].append(
            KnownTake(
                sha256=take.sha256,
                media_type=KINDS[kind],
                width=8,
                height=4,
                purchase=take.purchase or "",
                basis=basis,
                current=basis == PRESENT[scene_id],
                cost=PAID,
                made_at=take.made_at,
            )
        )
    return bought


PICTURES = {
    sha256_of(picture(number, kind)): picture(number, kind)
    for number in (*range(1, 7), 40, 41, 50)
    for kind in KINDS
}


def fetch(sha256: str, into: Path) -> bool:
    into.write_bytes(PICTURES[sha256])
    return True


@cache
def expected_after(*done: str) -> dict[str, tuple[list[str], int | None]]:
    """Return what a story is where these orders were done and nobody was killed."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        project_dir(root).mkdir(parents=True)
        with Story.opened(project_dir(root), out_dir(root), write=True) as story:
            for order in done:
                do(story, root, order)
            return seen_in(story)


def seen_in(story: Story) -> dict[str, tuple[list[str], int | None]]:
    return {
        scene_id: (
            [take.sha256 for take in story.book.takes_of(scene_id)],
            story.book.shown(scene_id),
        )
        for scene_id in SCENES
    }


def check_whole(root: Path) -> None:
    """Whatever lies in ``images`` right after a kill is a whole picture."""
    for name, content in shown_in(out_dir(root)).items():
        if not name.startswith("."):
            assert sha256_of(content) in PICTURES, name


def check_brought(root: Path, done: list[str]) -> None:
    """What only a person has is still there: in the story, or where they put it."""
    objects = story_folder(project_dir(root), out_dir(root)) / "objects"
    there = {one.read_bytes() for one in objects.glob("*")}
    there |= set(shown_in(out_dir(root)).values())
    for order in done:
        verb, _, *said = order.split()
        if verb in {"edit", "import"}:
            assert picture(int(said[0]), said[1]) in there, order


@pytest.mark.slow
@pytest.mark.parametrize("part", first_of(map(str, range(16)), "6"))
def test_a_kill_at_any_step_loses_no_take_and_no_choice(tmp_path: Path, part: str) -> None:
    """Done is done, begun is done or not, and the next run brings book and files together."""
    first = int(part) * 20
    process = started("kill", str(tmp_path), str(first), str(first + 20))
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    if (tmp_path / "end").exists():
        assert (tmp_path / "end").read_text(encoding="utf-8").split()[1] == "0"
    killed = sorted(one for one in tmp_path.iterdir() if one.is_dir())
    assert len(killed) == 20 or (tmp_path / "end").exists()

    for root in killed:
        log = (
            (root / "log").read_text(encoding="utf-8").splitlines()
            if (root / "log").exists()
            else []
        )
        done = [line.removeprefix("done ") for line in log if line.startswith("done ")]
        begun = [line.removeprefix("begun ") for line in log if line.startswith("begun ")]
        check_whole(root)
        check_brought(root, [*BEGUN, *done])
        without = expected_after(*BEGUN, *done)
        with_it = expected_after(*BEGUN, *begun)
        with Story.opened(project_dir(root), out_dir(root), write=True) as story:
            for scene_id, (takes, shown) in seen_in(story).items():
                likely = [without[scene_id], with_it[scene_id]]
                assert without[scene_id][0] == takes[: len(without[scene_id][0])], root
                assert takes == with_it[scene_id][0][: len(takes)], root
                # An edited file may be a take already, and the order that kept it not be done.
                edits = [
                    number
                    for number, sha256 in enumerate(takes, start=1)
                    if sha256 in {sha256_of(picture(40)), sha256_of(picture(41))}
                ]
                assert shown in [*(one for _, one in likely), *edits], root
            recover(story)
            check_recovered(story, root)


def recover(story: Story) -> None:
    """Do what a run does at its start."""
    bought = ledger()
    story.learn(
        [
            SceneSurvey(scene_id=scene_id, basis=PRESENT[scene_id], takes=tuple(bought[scene_id]))
            for scene_id in SCENES
        ],
        plugin="stage3",
    )
    story.rebuild([(scene_id, "scene") for scene_id in SCENES])
    story.keep_edited()
    assert not story.put_back(lambda _: True, fetch).lost


def check_recovered(story: Story, root: Path) -> None:
    """Each scene shows one whole take, the book's; all that was bought and lies here is in it."""
    lying = {path.read_bytes() for path in (out_dir(root) / "takes").glob("*/*")}
    images = shown_in(out_dir(root))
    expected: dict[str, bytes] = {}
    for scene_id in SCENES:
        takes = story.book.takes_of(scene_id)
        known = {take.sha256 for take in takes}
        for one in ledger()[scene_id]:
            assert one.sha256 in known or PICTURES[one.sha256] not in lying
        number = story.book.shown(scene_id)
        if number is not None:
            take = takes[number - 1]
            name = f"{file_stem(scene_id)}.{story.files.place_of(take).suffix[1:]}"
            expected[name] = PICTURES[take.sha256]
    assert {name: one for name, one in images.items() if not name.startswith(".")} == expected


@pytest.mark.slow
@pytest.mark.parametrize("seed", first_of(map(str, range(6)), "0"))
def test_processes_that_change_one_story_are_killed_and_lose_nothing(
    tmp_path: Path, seed: str
) -> None:
    """Three at once; two are killed in the middle, one comes to its end."""
    project_dir(tmp_path).mkdir(parents=True)
    processes = [
        started("hammer", str(tmp_path), str(int(seed) * 10 + one), "1.5" if one == 1 else "60")
        for one in (1, 2, 3)
    ]
    time.sleep(1.2)  # real processes at work; what is killed when is left to chance
    for process in processes[1:]:
        process.kill()
    for process in processes:
        process.communicate()
    assert processes[0].returncode == 0

    with Story.opened(project_dir(tmp_path), out_dir(tmp_path), write=True) as story:
        for log in tmp_path.glob("log*"):
            for line in log.read_text(encoding="utf-8").splitlines():
                if len(line.split()) == 3 and len(line.split()[2]) == 64:
                    scene_id, number, sha256 = line.split()
                    take = story.book.take(scene_id, int(number))
                    assert take is not None
                    assert take.sha256 == sha256
        story.keep_edited()
        story.put_back(lambda _: True)
        images = {name: one for name, one in shown_in(out_dir(tmp_path)).items() if name[0] != "."}
        takes = [take for one, _ in story.book.scenes() for take in story.book.takes_of(one)]
        shown = {one.scene_id: one for one in takes if one.number == story.book.shown(one.scene_id)}
        assert {name.partition(".")[0]: sha256_of(one) for name, one in images.items()} == {
            scene_id: take.sha256 for scene_id, take in shown.items()
        }
        assert not any(take.is_import for take in takes)
