"""What a run leaves of a story: takes, what is shown, and a manifest that covers all of it."""

import hashlib
import json
import shutil
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from threading import Barrier, Event, current_thread
from typing import Any

import pytest

from host_stub import plain_image
from host_stub.contract import (
    Cost,
    ImagePlugin,
    ImageStage,
    Services,
)
from host_stub.errors import PluginError, UsageError
from host_stub.story.keeper import Story
from tests.host import painter
from tests.places import run_plugin

FREE = Cost(usd=Decimal(0), basis="free")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


SIMPLE = plain_image.host_image_plugin()
"""A plugin that keeps nothing: one picture a scene, which it cannot give back."""
GREEN, BLUE, RED = ({"size": "48x32", "colour": one} for one in ("#00ff00", "#0000ff", "#ff0000"))


class Desk:
    """A project of three scenes, the second of which refers to the first."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.backend = backend
        self.write("a quay", "a boat", "a gull")

    def write(self, *prompts: str) -> None:
        scenes: list[dict[str, Any]] = [
            {"scene_id": f"s{number}", "prompt": prompt}
            for number, prompt in enumerate(prompts, start=1)
        ]
        if len(scenes) > 1:
            scenes[1]["references"] = ["scene:s1"]
        (self.folder / "scenes.json").write_text(json.dumps(scenes), encoding="utf-8")

    def run(self, **options: Any) -> Any:
        return self.run_with(painter.host_image_plugin(), **options)

    def run_with(
        self, description: ImagePlugin, settings: dict[str, Any] | None = None, **options: Any
    ) -> Any:
        usual: dict[str, Any] = {
            "scenes_path": self.folder / "scenes.json",
            "out_dir": self.out,
            "journal": self.out / "events.jsonl",
            "max_in_flight": 4,
            "json_only": True,
        }
        services = Services(project_dir=self.folder, now=lambda: NOW)
        told = description.settings(**settings or {})
        return run_plugin(description, told, services, backend=self.backend, **usual | options)

    def manifest(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.out / "manifest.json").read_bytes())
        return read

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["scene_id"]: row for row in self.manifest()["images"]}

    def warnings(self) -> list[str]:
        lines = (self.out / "events.jsonl").read_bytes().splitlines()
        events = [json.loads(line) for line in lines]
        return [one["message"] for one in events if one["event"] == "stage.warned"]

    def paid(self) -> int:
        ledger = self.folder / ".painter" / "ledger.jsonl"
        rows = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
        return sum(row["cost_usd"] != "0" for row in rows)

    def shown(self) -> dict[str, str]:
        """Return the digest of each picture in ``images``."""
        return {
            path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (self.out / "images").iterdir()
            if path.is_file()
        }


def story_of(desk: Desk) -> Any:
    """Open the book of its story."""
    return Story.opened(desk.folder, desk.out, write=True)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path, anyio_backend)


class TestManifest:
    def test_a_part_of_a_story_leaves_the_manifest_of_all_of_it(self, desk: Desk) -> None:
        """The figures are the part's, the pictures are the story's."""
        desk.run()
        whole = desk.rows()
        desk.run(scene_ids=("s2",))

        manifest = desk.manifest()
        assert [row["scene_id"] for row in manifest["images"]] == ["s1", "s2", "s3"]
        assert (manifest["total_images"], manifest["reused"], manifest["cost_usd"]) == (1, 1, "0")
        assert manifest["story"] == {
            "scenes": 3,
            "current": 3,
            "stale": 0,
            "missing": 0,
            "held": 0,
            "pending": 0,
            "wrong_aspect": 0,
        }
        for name, row in desk.rows().items():
            assert set(row) >= set(whole[name])
            assert row["sha256"] == whole[name]["sha256"] == desk.shown()[name]
            assert row["image_path"] == str(Path("out/images", f"{name}.png"))
            assert row["path"] == f"images/{name}.png"
            assert (row["take"], row["takes"], row["state"]) == (1, 1, "current")
            assert (row["cost_usd"], row["take_cost_usd"], row["reused"]) == ("0", "0.05", True)
            assert row["generation_params"] == whole[name]["generation_params"]

    def test_earlier_records_lie_in_a_folder_of_their_run(self, desk: Desk) -> None:
        first = desk.run().manifest["run_id"]
        desk.run()

        kept = desk.out / "runs" / first
        assert {path.name for path in kept.iterdir()} == {"manifest.json", "events.jsonl"}
        assert {path.name for path in desk.out.iterdir()} == {
            "images",
            "takes",
            "runs",
            "manifest.json",
            "events.jsonl",
            ".story.json",
        }


class TestTakes:
    def test_a_picture_that_does_not_come_fails_alone(self, desk: Desk) -> None:
        """Each take has its outcome; those that a plugin forgets are accounted for."""

        class Forgetful(painter.Painter):
            def _wanted(self, scene: Any, wish: Any, request: Any) -> int:
                return min(2, super()._wanted(scene, wish, request))

        @asynccontextmanager
        async def opened(settings: Any, services: Services) -> AsyncGenerator[ImageStage]:
            yield Forgetful(settings, services.project_dir / ".painter")

        plugin = replace(painter.host_image_plugin(), open=opened)
        report = desk.run_with(plugin, takes=3)

        assert report.exit_code == 3
        assert "without a word on 3 scenes" in str(report.errors[0])
        failures = desk.manifest()["failures"]
        assert [(row["scene_id"], row["take"], row["code"]) for row in failures] == [
            ("s1", 3, "not_tried"),
            ("s2", 3, "not_tried"),
            ("s3", 3, "not_tried"),
        ]
        assert len(desk.rows()) == 3

    def test_an_edited_take_that_is_stale_is_put_back_and_said(self, desk: Desk) -> None:
        """At no cost; what it was edited to lies beside it."""
        desk.run(takes=2)
        desk.write("a pier", "a boat", "a gull")
        desk.run()
        with story_of(desk) as story:
            stale = story.book.takes_of("s1")[1]
            place = story.files.place_of(stale)
        whole = place.read_bytes()
        place.write_bytes(b"garbage")
        paid = desk.paid()
        desk.run()

        assert place.read_bytes() == whole
        assert b"garbage" in {path.read_bytes() for path in place.parent.iterdir()}
        assert "lay in the place of a take" in desk.warnings()[0]
        assert desk.paid() == paid

    def test_a_take_whose_picture_cannot_be_had_here_is_said(self, desk: Desk) -> None:
        """Another machine may have it, so nothing else is said of it."""
        desk.run()
        for kept in (desk.folder / ".painter").rglob(f"{desk.shown()['s3']}.png"):
            kept.unlink()
        shutil.rmtree(desk.out)
        desk.run()

        assert (
            "1 take cannot be put back: the picture cannot be had here [take_lost]"
            in desk.warnings()
        )


class TestNarrowed:
    def test_only_what_is_missing_or_stale_is_asked_for(self, desk: Desk) -> None:
        desk.run(limit=2)
        desk.write("a quay", "another boat", "a gull")
        missing = desk.run(only=frozenset({"missing"}))
        after = {name: row["state"] for name, row in desk.rows().items()}
        stale = desk.run(only=frozenset({"stale"}))
        nothing = desk.run(only=frozenset({"stale", "missing"}))

        assert missing.manifest["total_images"] == 1
        assert after == {"s1": "current", "s2": "stale", "s3": "current"}
        assert stale.manifest["total_images"] == 1
        assert (nothing.exit_code, nothing.manifest["total_images"]) == (0, 0)
        assert nothing.manifest["story"]["current"] == 3
        assert desk.paid() == 4


class TestDrafts:
    def test_drafts_are_of_all_scenes(self, desk: Desk) -> None:
        with pytest.raises(UsageError, match="however they stand"):
            desk.run(is_draft=True, only=frozenset({"stale"}))

    def test_a_plugin_that_draws_none_says_so(self, desk: Desk) -> None:
        with pytest.raises(PluginError, match="draws no drafts"):
            desk.run_with(SIMPLE, is_draft=True)


class TestOtherPlugins:
    def test_a_guest_shows_something_only_where_nothing_is(self, desk: Desk) -> None:
        """And the plugin of the config takes it from there."""
        desk.run(limit=2)
        before = desk.shown()
        desk.run_with(SIMPLE, GREEN, is_guest=True)
        beside = desk.manifest()
        after = desk.shown()
        desk.run()

        assert {name: after[name] for name in before} == before
        assert set(after) == {"s1", "s2", "s3"}
        assert beside["story"] == {
            "scenes": 3,
            "current": None,
            "stale": None,
            "missing": 0,
            "held": None,
            "pending": None,
            "wrong_aspect": None,
        }
        assert {row["state"] for row in beside["images"]} == {None}
        assert desk.shown()["s3"] != after["s3"]
        assert desk.rows()["s3"]["takes"] == 2
        assert desk.warnings() == [
            "this run remakes 1 scene (at most $0.05): the model changed in 1 [remakes]"
        ]

    @pytest.mark.parametrize("is_draft", [True, False])
    def test_what_does_not_look_at_the_story_takes_nothing_of_it_for_edited(
        self, desk: Desk, *, is_draft: bool
    ) -> None:
        """Where ``.story`` was lost: the story's own run finds each of its pictures once."""
        desk.run()
        before = desk.shown()
        shutil.rmtree(desk.folder / ".story")
        if is_draft:
            desk.run(is_draft=True)
        else:
            desk.run_with(SIMPLE, GREEN, is_guest=True)
        desk.run()

        with story_of(desk) as story:
            takes = story.book.takes_of("s1")
        assert desk.shown() == before
        assert [take.is_import for take in takes] == [False, False]
        assert desk.paid() == 3

    def test_a_plugin_that_keeps_nothing_overwrites_nothing(self, desk: Desk) -> None:
        """Each picture is a take, and the first of a basis is shown."""
        desk.run_with(SIMPLE, GREEN)
        first = desk.shown()
        report = desk.run_with(SIMPLE, BLUE)

        assert report.exit_code == 0
        assert desk.shown() == first
        assert {row["takes"] for row in desk.rows().values()} == {2}
        assert {row["state"] for row in desk.rows().values()} == {"current"}
        hidden = {path.name for path in desk.out.iterdir() if path.name[0] == "."}
        assert hidden == {".story.json"}

    def test_its_pictures_come_back_after_out_was_deleted(self, desk: Desk) -> None:
        """The story keeps the bytes, since the plugin cannot give them back."""
        desk.run_with(SIMPLE, BLUE)
        before = desk.shown()
        shutil.rmtree(desk.out)
        desk.run_with(SIMPLE, GREEN)

        assert desk.shown() == before
        assert {row["takes"] for row in desk.rows().values()} == {2}

    def test_two_runs_at_once_leave_a_story_that_is_whole(self, desk: Desk) -> None:
        """Each picture of either is a take, and what is shown is what the book says."""

        def run(colour: dict[str, str]) -> Any:
            return desk.run_with(SIMPLE, colour)

        with ThreadPoolExecutor(3) as pool:
            reports = list(pool.map(run, (RED, BLUE, GREEN)))

        assert [report.exit_code for report in reports] == [0, 0, 0]
        assert [row["takes"] for row in desk.rows().values()] == [3, 3, 3]
        assert {name: row["sha256"] for name, row in desk.rows().items()} == desk.shown()

    def test_what_was_found_is_looked_at_beside_the_event_loop(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk that hangs keeps no answer from being received."""
        threads: list[str] = []
        are_there = Story.are_there

        def looked(story: Story, arrivals: Any, **more: Any) -> Any:
            threads.append(current_thread().name)
            return are_there(story, arrivals, **more)

        desk.run()
        monkeypatch.setattr(Story, "are_there", looked)
        desk.run()

        assert threads == ["groups"]

    def test_a_run_takes_no_picture_for_lost_that_another_has_just_placed(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both begin the story, and one looks for lost takes when the other has just made one."""
        both, placed, looked = Barrier(2, timeout=60), Event(), Event()
        turns, rebuild, take_in = iter((True, False)), Story.rebuild, Story.take_in

        def rebuilt(story: Story, scenes: Any) -> Any:
            is_first = next(turns)
            both.wait()
            assert is_first or placed.wait(60)
            found = rebuild(story, scenes)
            if not is_first:
                looked.set()
            return found

        def taken_in(story: Story, arrivals: Any, **more: Any) -> Any:
            placed.set()
            assert looked.wait(60)
            return take_in(story, arrivals, **more)

        monkeypatch.setattr(Story, "rebuild", rebuilt)
        monkeypatch.setattr(Story, "take_in", taken_in)

        def run(colour: dict[str, str]) -> Any:
            return desk.run_with(SIMPLE, colour)

        with ThreadPoolExecutor(2) as pool:
            reports = list(pool.map(run, (RED, BLUE)))

        assert [report.exit_code for report in reports] == [0, 0]
        with story_of(desk) as story:
            scenes = [one for one, _ in story.book.scenes()]
            takes = [story.book.takes_of(one) for one in scenes]
            assert list(map(len, takes)) == [2, 2, 2]
            assert None not in map(story.book.shown, scenes)
            assert {take.plugin for of in takes for take in of} == {"plain"}
