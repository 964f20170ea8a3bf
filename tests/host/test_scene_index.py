"""Where scenes stand, found by digests, as if all of them were sorted at once."""

from __future__ import annotations

from array import array

import hypothesis.strategies as st
from hypothesis import given

from host_stub.scenes.index import SceneIndex, id_digest

NEAR = st.sampled_from([0, 1, 2**56 - 1, 2**56, 2**63, 2**64 - 1])


@given(st.lists(NEAR | st.integers(0, 2**64 - 1), max_size=60))
def test_a_digest_that_is_there_again_is_found_behind_its_first(digests: list[int]) -> None:
    """Each repetition once, with the first place that has it; the places in their own order."""
    repeats = list(SceneIndex(array("Q", digests)).repeats())

    assert repeats == [
        (digests.index(one), place)
        for one in sorted(set(digests))
        for place, other in enumerate(digests)
        if other == one and place != digests.index(one)
    ]


def test_every_scene_is_found_at_its_place() -> None:
    """And one that is not there at none."""
    ids = [f"scene_{number}" for number in range(1_000)]
    index = SceneIndex(array("Q", map(id_digest, ids)))

    assert [index.find(one) for one in ids] == list(range(1_000))
    assert index.find("scene_1000") is None
