"""Which decisions are obeyed, which are stale, and which ask for what cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.decisions.judge import (
    MOST_GUESSES,
    Judged,
    Order,
    judge,
    judged,
    newest_seen,
)
from host_stub.decisions.merge import merge
from host_stub.standing.standing import SceneStanding
from host_stub.story.book import SaidPrompt
from tests.host.decisions.stories import FREE, PLUGIN, WHEN, decision, sha, standing, take


def verdict(there: SceneStanding, **said: Any) -> Order | str:
    return judged(decision(**said), there, plugin=PLUGIN)


def why(there: SceneStanding, **said: Any) -> str:
    found = verdict(there, **said)
    assert isinstance(found, str), found
    return found


def order(there: SceneStanding, **said: Any) -> Order:
    """Return what a decision comes to that is obeyed."""
    found = verdict(there, **said)
    assert isinstance(found, Order), found
    return found


def test_what_was_seen_and_is_there_is_obeyed() -> None:
    """The take that is meant is found by its bytes."""
    there = standing(take(1), take(2))

    made = order(there, seen=(sha(1), sha(2)), show=sha(2), reject=(sha(1),), takes=3)

    assert made.show == there.takes[1]
    assert made.reject == (there.takes[0],)


def test_takes_that_came_since_do_not_make_it_stale() -> None:
    """A reviewer need not have seen everything, as long as the scene is the same."""
    there = standing(take(1), take(2), take(3))

    order(there, seen=(sha(1),), takes=2)


@pytest.mark.parametrize(
    "said, verb",
    [
        ({"show": sha(9)}, "shows"),
        ({"reject": (sha(9),)}, "rejects"),
        ({"seen": (sha(1), sha(9))}, "has seen"),
    ],
)
def test_a_take_that_is_gone_makes_it_stale(said: dict[str, Any], verb: str) -> None:
    """Whether it is to be shown, rejected, or was only seen."""
    reason = why(standing(take(1)), **said)

    assert f"the take {sha(9)[:12]} that it {verb} is gone" in reason


def test_another_basis_than_that_of_the_newest_seen_makes_it_stale() -> None:
    """With what is another since, and what to do."""
    there = standing(take(1, "then"), take(2, "then"), reasons=("prompt", "size"))

    reason = why(there, seen=(sha(2), sha(1)), takes=3)

    assert "not any more what it was when take 2 was seen" in reason
    assert "its prompt is another, its size is another" in reason
    assert "decide anew" in reason


def test_an_older_one_of_those_seen_may_be_of_another_basis() -> None:
    """Only the newest says what the reviewer took the scene to be; the older may be shown."""
    there = standing(take(1, "then"), take(2))

    assert order(there, seen=(sha(1), sha(2)), show=sha(1)).show == there.takes[0]


def test_what_names_nothing_seen_is_bound_to_nothing() -> None:
    """A script may want three takes of whatever the scene is by now."""
    there = standing(take(1, "then"))

    order(there, takes=3)
    order(standing(), takes=3, seen=())


def test_an_unknown_basis_is_not_the_one_that_was_seen() -> None:
    """Neither that of the scene, nor that of a take."""
    waiting = standing(take(1, "then"), basis=None, waits_for=("mira",))

    assert "not any more" in why(waiting, seen=(sha(1),), note="good")
    assert "not any more" in why(standing(take(1, None)), seen=(sha(1),), note="good")
    assert "not any more" in why(standing(take(1, None), basis=None), seen=(sha(1),))


def test_takes_of_what_is_not_known_yet_cannot_be_counted() -> None:
    """One is made in any case; of more nobody could say what they are takes of."""
    waiting = standing(basis=None, waits_for=("mira\x1b[2J",))

    assert "refers to, mira\\x1b[2J, is to be made first" in why(waiting, takes=2)
    order(waiting, takes=1)


def test_a_draft_binds_to_its_being_there_alone() -> None:
    """It is never made from what the scene would be made from."""
    draft = take(2, "drawn", is_draft=True, cost=FREE)

    order(standing(take(1), draft), seen=(sha(1), sha(2)), takes=2)
    assert order(standing(draft), seen=(sha(2),), show=sha(2)).show == draft
    assert "gone" in why(standing(), seen=(sha(2),))
    assert "not any more" in why(standing(take(1, "then"), draft), seen=(sha(1), sha(2)))


def test_another_plugins_take_does_not_speak_for_the_scene() -> None:
    """Unless there is none of the plugin's own among those seen."""
    plain = take(2, "plain's", plugin="plain")

    order(standing(take(1), plain), seen=(sha(1), sha(2)), takes=2)
    assert "not any more" in why(standing(plain), seen=(sha(2),), takes=2)


def test_an_import_speaks_for_the_basis_that_it_stands_for() -> None:
    """A person brought it as a picture of what the scene was then."""
    mine = take(2, plugin=None, purchase=None, is_import=True, cost=FREE)

    order(standing(take(1, "then"), mine), seen=(sha(1), sha(2)), show=sha(2))
    assert "not any more" in why(standing(mine, basis="other"), seen=(sha(2),))


def test_more_takes_than_can_be_wanted_are_refused() -> None:
    """The rest of such a decision is not done either: it cannot be what somebody meant."""
    order(standing(take(1)), takes=20)
    assert "more takes are wanted than the 20" in why(standing(take(1)), takes=21, note="many")
    assert "more takes are wanted than the 20" in why(standing(take(1)), takes=10**39)


def test_what_is_shown_and_rejected_is_refused() -> None:
    """Nobody can know which of the two was meant."""
    reason = why(standing(take(1)), seen=(sha(1),), show=sha(1), reject=(sha(1),))

    assert "shows and rejects the same take" in reason


def test_a_sheets_words_are_not_for_decisions() -> None:
    """They are settings of the plugin."""
    sheet = standing(take(1), scene=None, role="sheet")

    assert "its words are in the config" in why(sheet, prompt="an old woman").replace(
        "whose", "its"
    )
    order(sheet, seen=(sha(1),), takes=2, note="older")


def test_what_is_rejected_already_is_no_news_and_what_is_not_any_more_is() -> None:
    """The list is a state: of those seen, it has all that are rejected."""
    there = standing(take(1, is_rejected=True), take(2, is_rejected=True), take(3), take(4))

    made = order(there, seen=(sha(1), sha(2), sha(3)), reject=(sha(1), sha(3)))
    silent = order(there, seen=(sha(1), sha(2), sha(3)))
    unbound = order(there, reject=(sha(4),))

    assert [one.number for one in made.reject] == [3]
    assert [one.number for one in made.keep] == [2]
    assert (silent.reject, silent.keep) == ((), ())
    assert [one.number for one in unbound.reject] == [4]
    assert [one.number for one in unbound.keep] == [1, 2]


def test_of_two_takes_with_the_same_bytes_the_current_one_is_meant() -> None:
    """A renderer draws the same picture for another wish, too."""
    there = standing(take(1), take(2, "then", sha256=sha(1)))

    assert order(there, show=sha(1)).show == there.takes[0]


def test_the_prompt_that_the_scene_has_is_not_said_again() -> None:
    """Whether its file says so, or an earlier decision."""
    there = standing(take(1))

    assert order(there, seen=(sha(1),), prompt="a pier").prompt is None
    assert order(there, seen=(sha(1),), prompt="a pier at night").prompt == "a pier at night"


def said(*, basis: str | None = "then", gave: str | None = None) -> SaidPrompt:
    return SaidPrompt(prompt="a pier", said_for="…", said_at=WHEN, basis=basis, gave=gave)


@pytest.mark.parametrize("gave", [None, "now"])
def test_a_prompt_that_is_in_force_does_not_make_its_decision_stale(gave: str | None) -> None:
    """That the scene is another is what was decided."""
    there = standing(take(1, "then"), reasons=("prompt",))
    wish = decision(seen=(sha(1),), prompt="a pier", takes=2)

    made = judged(wish, there, plugin=PLUGIN, said=said(gave=gave))

    assert isinstance(made, Order)
    assert (made.prompt, made.learns, made.without) == (None, gave is None, "then")


@pytest.mark.parametrize(
    "wish, word",
    [
        (decision(seen=(sha(1),), prompt="a pier"), said(gave="between")),
        (decision(seen=(sha(1),), prompt="a pier"), said(basis="before then")),
        (decision(seen=(sha(1),), prompt="another pier"), said()),
        (decision(seen=(sha(1),)), said()),
    ],
)
def test_it_is_stale_for_anything_else(wish: Any, word: SaidPrompt) -> None:
    """Such as a sheet that changed since, or a prompt that somebody else said."""
    there = standing(take(1, "then"))

    assert isinstance(judged(wish, there, plugin=PLUGIN, said=word), str)


def test_unknown_scenes_are_refused_with_the_nearest_that_is_there() -> None:
    """By name, beside those that are obeyed."""
    merged = merge([decision("s2", note="x"), decision("scene_02", note="y"), decision("s1")])
    there = [standing(scene_id="s1"), standing(scene_id="scene_01")]

    found = judge(merged, there, plugin=PLUGIN)

    assert [one.decision.scene_id for one in found.orders] == ["s1"]
    assert [one.scene_id for one in found.refused] == ["s2", "scene_02"]
    assert "no such scene" in found.refused[0].why
    assert found.refused[1].why.endswith("did you mean 'scene_01'?")


def test_a_file_of_another_story_is_answered_at_once() -> None:
    """Near names are looked for a few times, and not ten thousand times among ten thousand."""
    merged = merge([decision(f"scene_{number}") for number in range(50, 100)])
    there = [standing(scene_id=f"scene_{number}") for number in range(50)]

    found = judge(merged, there, plugin=PLUGIN)

    assert len(found.refused) == 50
    assert sum("did you mean" in one.why for one in found.refused) == MOST_GUESSES


def test_no_name_of_a_file_can_speak_to_a_terminal() -> None:
    """A line of a refused decision is one line, and says nothing but what is there."""
    wicked = "<b>\x1b[2J\nerror: all is well\u202e"
    found = judge(merge([decision(wicked)]), [standing(scene_id="\x1b[31m")], plugin=PLUGIN)

    (line,) = map(str, found.refused)

    assert line.isprintable()
    assert line.startswith("<b>\\x1b[2J\\nerror: all is well\\u202e: the story has no such scene")


NUMBERS = st.integers(1, 5)
BASES = st.sampled_from(["now", "then", None])


@given(
    st.lists(st.tuples(BASES, st.booleans()), max_size=5),
    st.sets(NUMBERS),
    st.none() | NUMBERS,
    st.none() | st.sets(NUMBERS),
    BASES,
)
def test_the_rule_of_staleness_against_its_words(
    made: list[tuple[str | None, bool]],
    seen: set[int],
    show: int | None,
    reject: set[int] | None,
    basis: str | None,
) -> None:
    """Gone, or made from something else than the newest seen: that, and nothing else, is stale."""
    takes = [take(n, b, is_draft=d) for n, (b, d) in enumerate(made, start=1)]
    shown: set[int] = set() if show is None else {show}
    rejected: set[int] = set() if reject is None else reject - shown
    there = standing(*takes, basis=basis)

    found = verdict(
        there,
        seen=tuple(map(sha, seen)),
        show=None if show is None else sha(show),
        reject=None if reject is None else tuple(map(sha, rejected)),
    )

    finished = [one for one in takes if one.number in seen and not one.is_draft]
    is_gone = any(number > len(takes) for number in seen | shown | rejected)
    is_other = bool(finished) and (basis is None or finished[-1].basis != basis)
    assert isinstance(found, str) == (is_gone or is_other)


def test_nothing_seen_has_no_newest() -> None:
    """Nor does what was seen and is no take of the scene."""
    assert newest_seen((), [take(1)], PLUGIN) is None
    assert newest_seen((sha(2),), [take(1)], PLUGIN) is None


def test_nothing_decided_is_nothing_to_do() -> None:
    """An empty file is a decisions file."""
    assert judge(merge([]), [standing(take(1))], plugin=PLUGIN) == Judged()
