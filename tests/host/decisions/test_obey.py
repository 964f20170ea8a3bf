"""What decisions change in a story: once, whole, and never more than they ask for."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.decisions.apply import Applied
from host_stub.decisions.decision import Decision
from host_stub.story.book import Book
from tests.host.decisions.stories import FREE, Studio, decision, new_take, sha
from tests.laws import tried


@pytest.fixture
def book() -> Iterator[Book]:
    with Book.copied(Path("no", "story")) as book:
        yield book


def obeyed(studio: Studio, *decisions: Decision) -> Applied:
    return anyio.run(partial(studio.obey, decisions))


def bytes_of(studio: Studio, scene_id: str) -> tuple[str, ...]:
    """Return what a page would say that its reader has seen."""
    return tuple(one.sha256 for one in studio.book.takes_of(scene_id))


@pytest.fixture
def studio(book: Book) -> Studio:
    """Return a story of two scenes, the second with a sheet, that is made."""
    studio = Studio(book, {"s1": "a pier", "s2": "a keeper"}, {"s2": "mira"})
    studio.make()
    return studio


def test_a_pick_of_what_the_scene_is_no_more_is_said_not_to_last(studio: Studio) -> None:
    """A person may show anything; the next run goes back to what the scene is now."""
    old = bytes_of(studio, "s1")[0]
    studio.scenes["s1"] = "a quay"
    studio.make()

    applied = obeyed(studio, decision(show=old))
    shown = studio.book.shown("s1")
    studio.make()

    (warning,) = applied.warnings
    assert (shown, studio.book.shown("s1")) == (1, 2)
    assert str(warning).startswith("s1: take 1 was made from something else, so it is shown only")
    assert applied.as_lines()[-1] == f"  not for long: {warning}"
    assert applied.as_json()["decisions_warnings"] == [warning.as_json()]


def test_a_note_is_kept_by_its_reviewer(studio: Studio) -> None:
    """One of another stays beside it; an empty one takes the own one away."""
    obeyed(studio, decision(note="no hat"))
    obeyed(studio, decision(note="darker", reviewer="ben"))
    again = obeyed(studio, decision(note="no hat"))
    obeyed(studio, decision(note="", reviewer="ben"))
    nothing = obeyed(studio, decision(note="", reviewer="ben"))

    assert again.changed == nothing.changed == Counter()
    assert [(one.reviewer, one.note) for one in studio.book.notes_of("s1")] == [("ana", "no hat")]


def test_a_take_that_only_the_plugin_knows_can_be_shown(studio: Studio) -> None:
    """The book was lost, or a run before this version bought it: it is written down first."""
    drawn = new_take("s1", "drawn", "drawn", is_draft=True, cost=FREE)
    lost = list(studio.book.takes_of("s1"))
    there = studio.standing("s1")

    with Book.copied(Path("no", "other")) as empty:
        other = Studio(empty, dict(studio.scenes))
        empty.add([drawn])

        async def look(tell: Any) -> None:
            tell(there)

        other.look = look  # type: ignore[method-assign]  # the plugin tells of more than is noted
        applied = obeyed(other, decision(show=lost[0].sha256))
        shown = empty.take("s1", empty.shown("s1") or 0)

        assert applied.changed == Counter(shown=1)
        assert shown is not None
        assert (shown.number, shown.sha256) == (2, lost[0].sha256)


def test_a_kill_leaves_all_of_it_or_nothing(tmp_path: Path) -> None:
    """Ten thousand decisions are one transaction: what a page showed as one is one."""
    with Book.opened(tmp_path / "out", write=True) as book:
        studio = Studio(book, {"s1": "a pier", "s2": "a keeper"})
        studio.make()
        seen = [bytes_of(studio, "s1"), bytes_of(studio, "s2")]
        point = book.point

        def full(scene_id: str, *rest: Any, **said: Any) -> None:
            if scene_id == "s2":
                raise OSError(28, "No space left on device")
            point(scene_id, *rest, **said)

        book.point = full  # type: ignore[method-assign]  # the disk is full at the second one
        with pytest.raises(OSError, match="No space"):
            obeyed(
                studio,
                decision("s1", show=seen[0][0], note="good"),
                decision("s2", show=seen[1][0]),
            )

        assert book.pick("s1") is None
        assert book.notes_of("s1") == []


def test_what_is_said_to_people_names_each_refused_one_and_each_conflict(studio: Studio) -> None:
    """And says in one line what was new; a long list is cut, the JSON has all of it."""
    gone = [decision(f"x{number}", takes=2) for number in range(25)]
    applied = obeyed(
        studio,
        decision(takes=2),
        decision(takes=3, reviewer="ben"),
        decision("s2", takes=21),
        *gone,
    )

    lines = applied.as_lines()

    assert lines[0] == (
        "decisions about 27 scenes; 26 refused: 1 scene with another number of takes"
    )
    assert lines[1].startswith("  refused: s2: more takes are wanted than the 20")
    assert lines[21] == "  and 6 more; --json has all of them"
    assert lines[22].startswith("  decided twice: s1: decisions[0] of ben (ben.json)")
    assert len(applied.as_json()["decisions_refused"]) == 26
    assert [one["scene"] for one in applied.as_json()["decisions_conflicts"]] == ["s1"]


# The law ----------------------------------------------------------------------------------------

NAMES = ["s1", "s2", "s3", "mira", "gone"]
WISHES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"scene": st.sampled_from(NAMES)},
    optional={
        "seen": st.integers(0, 3),
        "show": st.integers(0, 3),
        "reject": st.sets(st.integers(0, 2)),
        "takes": st.integers(1, 22),
        "prompt": st.sampled_from(["a pier", "a quay", "a mole"]),
        "note": st.sampled_from(["", "good"]),
    },
)
SCENES: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries(
    {"s1": st.just("a pier"), "s2": st.just("a mole")}, optional={"s3": st.just("x")}
)
SHEETS: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries(
    {}, optional={"s1": st.just("mira"), "s2": st.just("mira")}
)


def as_decision(studio: Studio, wish: dict[str, Any], place: int) -> Decision:
    """Make a decision of a wish that names takes by their places; some of them are not there."""
    there = [*bytes_of(studio, wish["scene"]), *(sha(f"gone {n}") for n in range(4))]
    said: dict[str, Any] = {
        name: wish[name] for name in ("takes", "prompt", "note") if name in wish
    }
    if "seen" in wish:
        said["seen"] = tuple(there[: wish["seen"]])
    if "show" in wish:
        said["show"] = there[wish["show"]]
    if "reject" in wish:
        places: set[int] = wish["reject"]
        said["reject"] = tuple(there[place] for place in sorted(places))
    return decision(wish["scene"], index=place, reviewer=f"r{place % 2}", **said)


def asked_for(decisions: Sequence[Decision]) -> int:
    """Return the most takes that any of these decisions can ask for of one basis."""
    return max([1, *(one.takes for one in decisions if one.takes and one.takes <= 20)])


@given(
    SCENES,
    SHEETS,
    st.lists(WISHES, max_size=5),
    st.lists(WISHES, min_size=1, max_size=5),
    st.integers(0, 6),
)
@tried(200)
def test_the_same_decisions_twice_pay_once(
    scenes: dict[str, str],
    sheets: dict[str, str],
    earlier: list[dict[str, Any]],
    wishes: list[dict[str, Any]],
    crash: int,
) -> None:
    """Over stories, several reviewers' wishes, and kills in mid-run: never more than is asked for.

    A run that is killed and repeated buys what one run would have bought; the next buys nothing.
    """
    with Book.copied(Path("no", "story")) as book:
        studio = Studio(book, dict(scenes), {k: v for k, v in sheets.items() if k in scenes})
        studio.make()
        obeyed(studio, *(as_decision(studio, one, n) for n, one in enumerate(earlier)))
        studio.make()
        decisions = [as_decision(studio, one, n) for n, one in enumerate(wishes)]
        before = Counter(studio.bought)

        obeyed(studio, *decisions)
        studio.stops_after = len(studio.bought) + crash
        is_killed = False
        try:
            studio.make()
        except InterruptedError:
            is_killed = True
        studio.stops_after = None
        again = obeyed(studio, *decisions)
        rest = studio.make()
        third = obeyed(studio, *decisions)

        assert is_killed or rest == 0
        assert studio.make() == 0
        assert set(again.changed) <= {"wanted", "rejected", "unrejected", "notes", "shown"}
        assert third.changed == Counter()
        assert all(
            number <= asked_for(decisions)
            for wish, number in Counter(studio.bought).items()
            if number > before[wish]
        )


@given(SCENES, SHEETS, st.lists(WISHES, min_size=1, max_size=5), st.integers(0, 1))
@tried(100)
def test_a_kill_between_what_is_said_and_how_many_are_wanted_loses_no_money(
    scenes: dict[str, str], sheets: dict[str, str], wishes: list[dict[str, Any]], runs: int
) -> None:
    """The second look never came: what is read again then buys no more than is asked for."""
    with Book.copied(Path("no", "story")) as book:
        studio = Studio(book, dict(scenes), {k: v for k, v in sheets.items() if k in scenes})
        studio.make()
        decisions = [as_decision(studio, one, n) for n, one in enumerate(wishes)]
        looks = iter([None, InterruptedError])

        def killed() -> None:
            error = next(looks, None)
            if error is not None:
                raise error

        studio.on_look = killed
        with contextlib.suppress(InterruptedError):
            obeyed(studio, *decisions)
        studio.on_look = lambda: None
        for _ in range(runs):
            studio.make()
        obeyed(studio, *decisions)
        studio.make()
        obeyed(studio, *decisions)

        assert studio.make() == 0
        assert max(Counter(studio.bought).values(), default=0) <= asked_for(decisions)
