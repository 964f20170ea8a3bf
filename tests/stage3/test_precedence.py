"""Which scenes come first: laws of waves and circles, and of scenes that are held back."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.policy.precedence import HeldBack, circles, in_order, waves

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


@given(stories)
def test_every_scene_comes_behind_all_it_refers_to(refers: dict[str, tuple[str, ...]]) -> None:
    """All that refer to no circle are there, once."""
    order = in_order(refers)

    named = refers.keys() | {other for others in refers.values() for other in others}
    round_and_round = {scene for scene in named if scene in reaches(refers, scene)}
    reachable = {scene: reaches(refers, scene) for scene in named}
    assert sorted(order) == sorted(
        scene for scene in named - round_and_round if not reachable[scene] & round_and_round
    )
    place = {scene: number for number, scene in enumerate(order)}
    for scene in order:
        assert all(place[other] < place[scene] for other in refers.get(scene, ()))


@given(stories, st.sets(names))
def test_a_wave_is_one_more_than_the_last_of_what_must_be_made_first(
    refers: dict[str, tuple[str, ...]], made: set[str]
) -> None:
    """What is there already is not waited for."""
    found = waves(refers, made.__contains__)

    for scene, wave in found.items():
        before = [found[other] for other in refers.get(scene, ()) if other in made]
        assert wave == (max(before) + 1 if before else 0)


def test_a_chain_of_a_whole_story_is_no_deeper_than_the_stack() -> None:
    """Each scene refers to the one before it, as for continuity."""
    chain = {str(number): (str(number - 1),) for number in range(1, 20_000)}

    assert circles(chain) == []
    assert waves(chain, lambda _: True)["19999"] == 19_999
    assert len(circles(chain | {"0": ("19999",)})[0]) == 20_000


def test_a_circle_is_named_in_its_order() -> None:
    """So that a person can follow it."""
    assert circles({"a": ("b",), "b": ("c",), "c": ("a",)}) == [("a", "b", "c")]


@given(stories, st.permutations(list(map(str, range(10)))))
def test_what_is_held_back_is_released_by_the_last_it_needs(
    refers: dict[str, tuple[str, ...]], ends: list[str]
) -> None:
    """Each once, and not before."""
    held = HeldBack[str]()
    for scene, others in refers.items():
        if others:
            held.add(scene, others)
    ended = set[str]()
    released: list[str] = []
    for scene in ends:
        ended.add(scene)
        now = held.settled(scene)
        assert all(set(refers[one]) <= ended for one in now)
        released += now

    assert sorted(released) == sorted(scene for scene, others in refers.items() if others)
    assert len(held) == 0


def test_what_waits_can_be_taken_out() -> None:
    """In the order it came; later ends release nothing more."""
    held = HeldBack[str]()
    held.add("b", ["x", "y"])
    held.add("a", ["x"])

    assert held.all_of_them() == ["b", "a"]
    assert held.settled("x") == []
