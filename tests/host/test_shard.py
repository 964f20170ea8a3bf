"""Each of several drivers is given the whole story, and begins with a part of its own."""

from __future__ import annotations

import json
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from host_stub.cli import main
from host_stub.contract import Scene
from host_stub.scenes.asked import FromItsPart, Shard, from_its_part
from host_stub.scenes.file import SceneList, read_scenes


@given(scenes=st.integers(1, 40), of=st.integers(1, 50))
def test_the_parts_are_all_of_the_story_and_each_driver_is_given_that(scenes: int, of: int) -> None:
    """No scene is in two parts or in none, however many drivers there are."""
    whole = SceneList(
        Path("story.json"),
        [Scene(scene_id=f"s{one}", prompt="p", takes=1 + one % 3) for one in range(scenes)],
    )
    ids = [one.scene_id for one in whole]
    began: list[str] = []
    for number in range(1, of + 1):
        shard = Shard(number, of)
        end = Shard(number + 1, of).begins_at(scenes)
        mine = FromItsPart(whole, shard)
        given_ids = [one.scene_id for one in mine]
        began += given_ids[: end - shard.begins_at(scenes)]

        assert sorted(given_ids) == sorted(ids)
        assert len(mine) == len(whole)
        assert list(mine.takes) == [one.takes for one in mine]
        assert [mine.positions.find(one) for one in ids] == list(range(scenes))
        assert [one.scene_id for one in mine] == given_ids  # read anew for each pass
    assert began == ids


def test_who_is_the_only_driver_is_given_the_file_as_it_is() -> None:
    """And the first of several, too."""
    whole = SceneList(Path("story.json"), [Scene(scene_id="a", prompt="p")])

    assert from_its_part(whole, None) is from_its_part(whole, Shard(1, 3)) is whole
    assert from_its_part(whole, Shard(2, 2)) is whole  # one scene has one part


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A story of six scenes, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "story.jsonl"
    lines = [json.dumps({"scene_id": f"s{one}", "prompt": "a pier"}) for one in range(6)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_its_part_comes_first_and_the_manifest_stays_in_the_files_order(
    story: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second of three begins in the middle, and comes to the first scenes last."""
    code = main(["run", str(story), "--image", "plain", "--shard", "2/3", "--out", "out"])
    capsys.readouterr()
    events = [json.loads(line) for line in Path("out/events.jsonl").read_text("ascii").splitlines()]
    manifest = json.loads(Path("out/manifest.json").read_bytes())
    started = [one["scene_id"] for one in events if one["event"] == "scene.started"]

    assert code == 0
    assert started == ["s2", "s3", "s4", "s5", "s0", "s1"]
    assert [one["scene_id"] for one in manifest["images"]] == [f"s{one}" for one in range(6)]
    assert [one.scene_id for one in read_scenes(story)] == [f"s{one}" for one in range(6)]


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    "shard",
    ["0/4", "5/4", "a/b", "1", "1/", "/2", "1/0", "-1/2", "1.5/2", "1/99999", "٣/4", "1/4 "],
)
def test_what_is_no_part_is_refused_with_words(
    story: Path, capsys: pytest.CaptureFixture[str], command: str, shard: str
) -> None:
    """And nothing is begun."""
    code = main([command, str(story), "--image", "plain", f"--shard={shard}"])

    assert code == 2
    assert "argument --shard: should be K/N, such as 2/4" in capsys.readouterr().err
    assert not Path("out").exists()
