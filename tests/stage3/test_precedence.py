"""Which scenes come first: laws of waves and circles, and of scenes that are held back."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.policy.precedence import circles, waves

names = st.integers(0, 9).map(str)
stories = st.dictionaries(names, st.lists(names, max_size=3).map(tuple), max_size=10)


def reaches(refers: Mapping[str, tuple[str, ...]], scene: str) -> set[str]:
    """Return all that a scene refers to, by whatever way, by the simplest means."""
    found, new = set[str](), set(refers.get(scene, ()))
    while new:
        found |= new
        new = {other for one in new for other in refers.get(one, ())} - found
    return found


@given(stories)
def test_a_scene_is_in_a_circle_if_it_refers_to_itself_by_whatever_way(
    refers: dict[str, tuple[str, ...]],
) -> None:
    """And those of one circle all refer to one another."""
    found = circles(refers)

    in_one = {scene for scene in refers if scene in reaches(refers, scene)}
    assert {scene for circle in found for scene in circle} == in_one
    assert sum(map(len, found)) == len(in_one)
    for circle in found:
        assert all(set(circle) <= reaches(refers, scene) for scene in circle)


def test_a_chain_of_a_whole_story_is_no_deeper_than_the_stack() -> None:
    """Each scene refers to the one before it, as for continuity."""
    chain = {str(number): (str(number - 1),) for number in range(1, 20_000)}

    assert circles(chain) == []
    assert waves(chain, lambda _: True)["19999"] == 19_999
    assert len(circles(chain | {"0": ("19999",)})[0]) == 20_000


def test_a_circle_is_named_in_its_order() -> None:
    """So that a person can follow it."""
    assert circles({"a": ("b",), "b": ("c",), "c": ("a",)}) == [("a", "b", "c")]
