"""Which decisions are obeyed, which are stale, and which ask for what cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.decisions.judge import (
    MOST_GUESSES,
    Order,
    judged,
)
from host_stub.decisions.merge import merge
from host_stub.standing.standing import SceneStanding
from host_stub.story.book import SaidPrompt
from tests.host.decisions.stories import decision, judge, standing
from tests.host.takes import FREE, PLUGIN, WHEN, sha, take


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


def test_what_names_nothing_seen_is_bound_to_nothing() -> None:
    """A script may want three takes of whatever the scene is by now."""
    there = standing(take(1, "then"))

    order(there, takes=3)
    order(standing(), takes=3, seen=())


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
    assert "has changed since" in why(standing(take(1, "then"), draft), seen=(sha(1), sha(2)))


def test_another_plugins_take_does_not_speak_for_the_scene() -> None:
    """Unless there is none of the plugin's own among those seen."""
    plain = take(2, "plain's", plugin="plain")

    order(standing(take(1), plain), seen=(sha(1), sha(2)), takes=2)
    assert "has changed since" in why(standing(plain), seen=(sha(2),), takes=2)


def test_an_import_speaks_for_the_basis_that_it_stands_for() -> None:
    """A person brought it as a picture of what the scene was then."""
    mine = take(2, plugin=None, purchase=None, is_import=True, cost=FREE)

    order(standing(take(1, "then"), mine), seen=(sha(1), sha(2)), show=sha(2))
    assert "has changed since" in why(standing(mine, basis="other"), seen=(sha(2),))


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


def test_of_two_takes_with_the_same_bytes_the_current_one_is_meant() -> None:
    """A renderer draws the same picture for another wish, too."""
    there = standing(take(1), take(2, "then", sha256=sha(1)))

    assert order(there, show=sha(1)).show == there.takes[0]


def said(*, basis: str | None = "then", gave: str | None = None) -> SaidPrompt:
    return SaidPrompt(prompt="a pier", said_for="…", said_at=WHEN, basis=basis, gave=gave)


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


def test_a_file_of_another_story_is_answered_at_once() -> None:
    """Near names are looked for a few times, and not ten thousand times among ten thousand."""
    merged = merge([decision(f"scene_{number}") for number in range(50, 100)])
    there = [standing(scene_id=f"scene_{number}") for number in range(50)]

    found = judge(merged, there, plugin=PLUGIN)

    assert len(found.refused) == 50
    assert sum("did you mean" in one.why for one in found.refused) == MOST_GUESSES


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
