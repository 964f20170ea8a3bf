"""Scenes are checked and kept before anything is sent, and take no memory for their number."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from host_stub.contract import Scene
from stage3_plugin.library.scenes import ScenesRefused, keep
from tests.library.calling import scenes


def test_what_was_kept_comes_back_as_it_was() -> None:
    """Everything that a scene can say, as often as asked, also while it is gone through."""
    whole = Scene(
        scene_id="雨の夜",
        prompt="a harbour\nat “dusk” \u2028 ☂",
        negative_prompt="people",
        width=64,
        height=32,
        seed=-7,
        references=("scene:a", "b.png"),
        model="m",
        quality="high",
        if_refused=("softer",),
        takes=3,
        characters=("mira",),
        style_tags=("ink",),
        extra={"act": 2, "lens": {"mm": 35.5, "tags": ["wide", None]}},
    )
    plain = Scene(scene_id="a", prompt="a hill")
    kept = keep([whole, plain, {"scene_id": "b", "image_prompt": "a hat", "act": 1}])
    with closing(kept):
        first = iter(kept)
        seen = [next(first), *kept, *first]

    assert seen[0] == whole
    assert seen[1:4] == seen[:1] + seen[4:]
    assert seen[3].extra == {"act": 1}
    assert (len(kept), kept.takes) == (3, 5)


def test_what_is_wrong_is_said_of_every_scene_and_twenty_times_at_most() -> None:
    """With the place and the field; nothing that is there twice is bought twice."""
    with pytest.raises(ScenesRefused) as several:
        keep([{"scene_id": "a"}, 7, {"scene_id": "b", "prompt": "x", "promt": "y"}])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # a number is no scene
    with pytest.raises(ScenesRefused, match="the same id as of scenes") as twice:
        keep([*scenes(2), scenes(1)[0]])
    with pytest.raises(ScenesRefused) as many:
        keep({"scene_id": ""} for _ in range(1000))

    assert [problem.partition(":")[0] for problem in several.value.problems] == [
        "scenes[0].prompt",
        "scenes[1]",
        "scenes[2].promt",
    ]
    assert "and 2 more problems" in str(several.value)
    assert twice.value.problems[0].startswith("scenes[2].scene_id")
    assert len(many.value.problems) == 20
    assert twice.value.hint


@pytest.mark.parametrize("value", [object(), b"\xff", "\ud800", {1: object()}])
def test_what_json_does_not_have_is_refused(value: object) -> None:
    """A scene's further fields are as in a file."""
    with pytest.raises(ScenesRefused, match=r"scenes\[0\].extra"):
        keep([{"scene_id": "a", "prompt": "b", "lens": value}])


def test_memory_is_flat_however_many_scenes_there_are() -> None:
    """An iterator's scenes go to a file as they come: 10 MB of them take a tenth of that."""
    count, words = 5000, "w" * 2000

    def many() -> Iterator[dict[str, Any]]:
        for number in range(count):
            yield {"scene_id": f"s{number}", "prompt": f"{number} {words}"}

    keep(scenes(1)).close()  # what is imported late is no part of it
    tracemalloc.start()
    try:
        with closing(keep(many())) as kept:
            assert sum(1 for _ in kept) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4_000_000
