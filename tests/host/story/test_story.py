"""A story through its own door: takes come in, people choose, and what was lost comes back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.contract import KnownTake, SceneSurvey
from host_stub.story.book import Wanted
from host_stub.story.database import Database
from host_stub.story.finding import story_folder
from host_stub.story.keeper import Story, has_news
from host_stub.story.results import Found
from host_stub.story.takes import NewTake, Stamp, Take, is_current, shown_of
from tests.host.story.pictures import (
    KINDS,
    PAID,
    deliver,
    new_take,
    numbered,
    picture,
    put,
    sha256_of,
    shown_in,
)


def is_all_there(story: Story, number: int, now: str | None = "A", **said: Any) -> bool:
    """Return whether nothing is to be done for a take that a run found again."""
    parts: dict[str, Any] = {"row": {"reused": True}, **said}
    new = new_take("s1", number, **parts)
    (is_there,) = story.are_there([(new, now)])
    return is_there


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def story(tmp_path: Path, out: Path) -> Iterator[Story]:
    with Story.opened(tmp_path, out, write=True) as opened:
        yield opened


def known(
    scene_id: str, number: int, basis: str | None = "A", *, current: bool = True
) -> KnownTake:
    """Return what a plugin says of a take that :func:`deliver` would bring."""
    take = new_take(scene_id, number)
    return KnownTake(
        sha256=take.sha256,
        media_type=KINDS["PNG"],
        width=8,
        height=4,
        purchase=take.purchase or "",
        basis=basis,
        current=current,
        cost=PAID,
        made_at=take.made_at,
    )


def survey(scene_id: str, *takes: KnownTake, basis: str | None = "A") -> SceneSurvey:
    return SceneSurvey(scene_id=scene_id, basis=basis, takes=takes)


def bring(_: str, into: Path, *, numbers: tuple[int, ...]) -> bool:
    """Give back one of these pictures, as a plugin does."""
    for number in numbers:
        if sha256_of(picture(number)) == _:
            into.write_bytes(picture(number))
            return True
    return False


# Shown -------------------------------------------------------------------------------------------

some_takes = st.lists(
    st.tuples(st.sampled_from(["A", "B", None]), st.booleans(), st.booleans(), st.booleans()),
    max_size=6,
).map(
    lambda found: [
        numbered(
            number,
            basis=basis,
            is_draft=is_draft,
            is_import=is_import,
            is_rejected=is_rejected,
        )
        for number, (basis, is_draft, is_import, is_rejected) in enumerate(found, start=1)
    ]
)
some_number = st.none() | st.integers(1, 7)


@given(takes=some_takes, basis=st.sampled_from(["A", None]), pick=some_number, shown=some_number)
def test_what_is_shown_stays_shown_until_its_basis_is_another(
    takes: list[Take], basis: str | None, pick: int | None, shown: int | None
) -> None:
    """One more take moves nothing; a draft moves nothing; the rule is at rest where it led."""
    pick, shown = (one if one is not None and one <= len(takes) else None for one in (pick, shown))
    first = shown_of(takes, basis, pick=pick, shown=shown)
    number = None if first is None else first.number
    again = shown_of(takes, basis, pick=pick, shown=number)
    more = numbered(len(takes) + 1, basis=basis)
    then = shown_of([*takes, more], basis, pick=pick, shown=number)

    assert again == first
    if pick is not None and is_current(takes[pick - 1], basis):
        assert number == pick
    if any(is_current(take, basis) and not take.is_withdrawn for take in takes):
        assert first is not None
        assert is_current(first, basis)
        assert then == first
    if first is not None and first.number not in {pick, shown}:
        assert not first.is_draft
        assert not first.is_withdrawn


# People ------------------------------------------------------------------------------------------


def test_an_import_that_is_taken_back_does_not_come_again(
    story: Story, out: Path, tmp_path: Path
) -> None:
    """Or a wrong file would stand in the way of the picture that is to be made."""
    mine = tmp_path / "mine.png"
    mine.write_bytes(picture(50))
    story.import_file("s1", mine, basis="A")
    story.undo("s1")
    nothing = shown_in(out)
    story.learn([survey("s1")], plugin="stage3")
    still_nothing = shown_in(out)
    deliver(story, "s1", 1)

    assert nothing == still_nothing == {}
    assert shown_in(out) == {"s1.png": picture(1)}
    story.show("s1", 1)
    story.import_file("s1", mine, basis="A")
    assert shown_in(out) == {"s1.png": picture(50)}


# What was lost -----------------------------------------------------------------------------------


def test_a_take_of_another_story_is_not_taken_in(story: Story, out: Path) -> None:
    """One ledger may serve two: but what is current, or lies here, is this one's."""
    story.rebuild([])
    lying = new_take("s1", 3, basis="old")
    put(story, lying, picture(3))
    story.learn(
        [
            survey(
                "s1",
                known("s1", 1, "other", current=False),
                known("s1", 2),
                known("s1", 3, "old", current=False),
            )
        ],
        plugin="stage3",
    )

    assert [take.sha256 for take in story.book.takes_of("s1")] == [
        sha256_of(picture(2)),
        sha256_of(picture(3)),
    ]
    assert story.book.shown("s1") == 1


# At once -----------------------------------------------------------------------------------------


def test_the_plugins_newest_word_of_a_basis_counts(story: Story, out: Path) -> None:
    """A ladder that changed makes another basis of the same picture."""
    deliver(story, "s1", 1, basis="A")
    deliver(story, "s1", 2, basis="B")
    story.learn([survey("s1", known("s1", 1, "C"), basis="C")], plugin="stage3")

    assert [take.basis for take in story.book.takes_of("s1")] == ["C", "B"]
    assert shown_in(out) == {"s1.png": picture(1)}


def test_the_pointer_is_read_again_once_its_file_is_in_place(
    tmp_path: Path, out: Path, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may have moved it meanwhile, and its file have come to its place first."""
    deliver(story, "s1", 1)
    deliver(story, "s1", 2)
    put_there = story.files.show
    others: list[int] = [1]

    def show_late(take: NewTake, right: Stamp | None = None) -> bool:
        if others:
            with Story.opened(tmp_path, out, write=True) as other:
                other.show("s1", others.pop())
        return put_there(take, right)

    monkeypatch.setattr(story.files, "show", show_late)
    story.show("s1", 2)

    assert story.book.shown("s1") == 1
    assert shown_in(out) == {"s1.png": picture(1)}


def test_what_another_process_puts_in_place_is_no_edited_picture(
    tmp_path: Path, out: Path, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its take may have come after the takes were read here."""
    deliver(story, "s1", 1)
    look = story.files.images
    others: list[int] = [2]

    def look_late(stem: str, extensions: frozenset[str]) -> list[Found]:
        while others:
            with Story.opened(tmp_path, out, write=True) as other:
                deliver(other, "s1", others.pop(), basis="B")
        return look(stem, extensions)

    monkeypatch.setattr(story.files, "images", look_late)
    (out / "images" / "s1.png").unlink()
    story.put_back(lambda _: True)

    assert [take.is_import for take in story.book.takes_of("s1")] == [False, False]
    assert shown_in(out) == {"s1.png": picture(2)}


def test_a_commit_is_on_the_disk_when_it_returns(tmp_path: Path, out: Path) -> None:
    """A power cut takes nothing back that was said to be durable."""
    database = Database.to_write(story_folder(tmp_path, out))
    with database.transaction():
        assert database.read("PRAGMA synchronous") == [(2,)]  # FULL
        assert database.read("PRAGMA journal_mode") == [("wal",)]
    database.close()


def test_reading_does_not_wait_for_what_another_thread_writes(story: Story) -> None:
    """An event loop asks what is wanted while a thread is in the middle of a commit."""
    deliver(story, "s1", 1)
    with ThreadPoolExecutor(1) as threads, story.book.transaction():
        story.book.want("s1", basis="A", takes=2)
        from_elsewhere = threads.submit(story.book.wanted, "s1").result(timeout=10)
        from_here = story.book.wanted("s1")

    assert from_elsewhere == []
    assert from_here == [Wanted(basis="A", takes=2)] == story.book.wanted("s1")


# A finished story --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage", ["taken away", "changed", "image taken away", "image changed", "made fit", "wanted"]
)
def test_a_take_is_not_all_there_where_something_is_to_be_done(
    story: Story, out: Path, damage: str
) -> None:
    """Its file, what is shown of it, or what people said of its scene is not as it was."""
    take = deliver(story, "s1", 1)
    assert is_all_there(story, 1)
    place = story.files.place_of(take)
    if damage == "taken away":
        place.unlink()
    elif damage == "changed":
        place.write_bytes(picture(9))
    elif damage == "image taken away":
        (out / "images" / "s1.png").unlink()
    elif damage == "image changed":
        (out / "images" / "s1.png").write_bytes(picture(9))
    elif damage == "made fit":
        story.book.learn_basis("stage3", take.purchase or "", "before")
    else:
        story.book.want("s1", basis="A", takes=1, shows_newest=True)

    assert not is_all_there(story, 1)


def test_a_plugin_has_news_of_a_scene_until_they_are_learned(story: Story) -> None:
    """A take that the book lacks, another basis, or what is to be shown by now."""
    told = SceneSurvey(scene_id="s1", basis="A", takes=(known("s1", 1),))
    put(story, new_take("s1", 1), picture(1))
    put(story, new_take("s1", 2), picture(2))

    def is_news(survey: SceneSurvey) -> bool:
        return has_news(survey, story.book.noted(["s1"])["s1"], "stage3")

    assert is_news(told)
    story.learn([told], plugin="stage3")
    assert not is_news(told)
    other = SceneSurvey(scene_id="s1", basis="B", takes=(known("s1", 2, "B"), known("s1", 1, "A")))
    assert is_news(other)
    story.learn([other], plugin="stage3")
    assert story.book.shown("s1") == 2
    assert not is_news(other)
    assert is_news(told)  # the first one is to be shown again
    assert is_news(SceneSurvey(scene_id="s1", basis="B", takes=(known("s1", 2, "C"),)))


# Folders -----------------------------------------------------------------------------------------
