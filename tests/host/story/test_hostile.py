"""Files, links and books that somebody else has prepared, and disks that take nothing more."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_stub.errors import ResultsNotWritten, StoryError
from host_stub.story import files, results
from host_stub.story.book import Book
from host_stub.story.database import VERSION, Database
from host_stub.story.files import digest_of
from host_stub.story.finding import story_folder
from host_stub.story.keeper import Story
from host_stub.story.pictures import MOST_BYTES
from host_stub.story.results import ResultFiles
from host_stub.story.takes import NewTake, Take
from tests.host.story.pictures import LONG_AGO, deliver, new_take, picture, put, sha256_of, shown_in

VICTIM = b"not to be touched"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "project" / "out"


@pytest.fixture
def story(out: Path) -> Iterator[Story]:
    out.parent.mkdir()
    with Story.opened(out.parent, out, write=True) as opened:
        yield opened


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a folder of somebody's that links lead to."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "s1.png").write_bytes(VICTIM)
    (folder / "story.db").write_bytes(VICTIM)
    return folder


def untouched(folder: Path) -> bool:
    return {one.name: one.read_bytes() for one in folder.iterdir()} == {
        "s1.png": VICTIM,
        "story.db": VICTIM,
    }


# Links -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["images", "takes", "takes/s1"])
def test_a_folder_that_is_a_link_elsewhere_is_not_written_through(
    story: Story, out: Path, victim: Path, name: str
) -> None:
    """What is durable stays durable, and the error names the folder."""
    first = deliver(story, "s1", 1)
    folder = out / name
    folder.rename(out / "was")
    folder.symlink_to(victim)
    place = story.files.place_of(first)
    with pytest.raises((ResultsNotWritten, StoryError)) as raised:
        story.import_file("s1", out / "was" / next(iter((out / "was").rglob("*.png"))), basis="A")

    assert untouched(victim)
    assert str(out) in str(raised.value)
    assert story.book.take("s1", 1) == first
    assert place.parent.parent.parent == out


def test_a_link_to_another_place_within_the_results_is_followed(story: Story, out: Path) -> None:
    """A person may keep pictures where they like, as long as it is there."""
    (out / "my pictures").mkdir(parents=True)
    (out / "images").symlink_to("my pictures")
    deliver(story, "s1", 1)

    assert (out / "my pictures" / "s1.png").read_bytes() == picture(1)


@pytest.mark.parametrize("what", ["s1.png", "nothing", "a pipe"])
def test_what_is_no_file_in_the_place_of_a_picture_is_replaced(
    story: Story, out: Path, victim: Path, what: str
) -> None:
    """A link or a pipe is neither read, written, nor kept, and nobody waits for it."""
    deliver(story, "s1", 1)
    image = out / "images" / "s1.png"
    image.unlink()
    if what == "a pipe":
        os.mkfifo(image)
    else:
        image.symlink_to(victim / what)
    story.keep_edited()
    story.put_back(lambda _: True)

    assert untouched(victim)
    assert shown_in(out) == {"s1.png": picture(1)}
    assert not image.is_symlink()
    assert len(story.book.takes_of("s1")) == 1


def test_a_link_in_the_place_of_a_take_is_no_take(story: Story, out: Path, victim: Path) -> None:
    """What it leads to is not shown, and the take comes from whoever has it."""
    take = deliver(story, "s1", 1)
    place = story.files.place_of(take)
    place.unlink()
    place.symlink_to(victim / "s1.png")
    (out / "images" / "s1.png").unlink()
    back = story.put_back(lambda _: True, lambda _, into: bool(into.write_bytes(picture(1))))

    assert (back.restored, back.lost) == (1, [])
    assert not place.is_symlink()
    assert shown_in(out) == {"s1.png": picture(1)}
    assert untouched(victim)


@pytest.mark.parametrize(
    "name", [".story", ".story/out", ".story/out/story.db", ".story/out/objects"]
)
@pytest.mark.parametrize("write", [True, False])
def test_a_story_that_is_a_link_is_refused(
    tmp_path: Path, victim: Path, name: str, *, write: bool
) -> None:
    """A project that somebody sent could have its book written anywhere."""
    project = tmp_path / "project"
    path = project / name
    path.parent.mkdir(parents=True)
    path.symlink_to(victim / "story.db" if name.endswith("db") else victim)
    if not write and name.endswith("objects"):
        return  # nothing of it is read there
    with (
        pytest.raises(StoryError, match="it is a link, which is not followed") as raised,
        Story.opened(project, project / "out", write=write),
    ):
        pass

    assert str(path) in str(raised.value)
    assert raised.value.hint
    assert untouched(victim)


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("what", [".story", ".story/out", ".story/out/story.db"])
def test_a_story_that_is_something_else_is_refused(
    tmp_path: Path, what: str, *, write: bool
) -> None:
    """Read as an empty one, it would be the loss of all choices, without a word."""
    project = tmp_path / "project"
    path = project / what
    path.parent.mkdir(parents=True, exist_ok=True)
    if what.endswith(".db"):
        os.mkfifo(path)
    else:
        path.write_bytes(b"")

    with (
        pytest.raises(StoryError, match=r"it is no (folder|regular file)") as raised,
        Story.opened(project, project / "out", write=write),
    ):
        pass

    assert raised.value.hint is not None
    assert "move it away" in raised.value.hint


def test_a_folder_in_the_place_of_a_picture_is_named(story: Story, out: Path) -> None:
    """It is not removed."""
    (out / "images" / "s1.png" / "mine").mkdir(parents=True)
    with pytest.raises(ResultsNotWritten, match=r"s1\.png"):
        deliver(story, "s1", 1)

    assert (out / "images" / "s1.png" / "mine").is_dir()
    assert story.book.shown("s1") == 1


# Ids ---------------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=30))
@example("..")
@example("../../etc/passwd")
@example("<script>alert(1)</script>")
@example("\x1b]0;title\x07\u202e")
@example("con")
@example("\ud800\0")
@example("'; DROP TABLE takes; --")
def test_no_id_leads_out_of_the_folder(scene_id: str) -> None:
    """Whatever a scene is called, its files lie among those of the story."""
    place = Story(None, files_of(Path("/out"))).place_for(  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - asks nothing of the book
        scene_id, role="scene", sha256="ab" * 32, media_type="image/../../png"
    )

    assert place.parts[:3] == ("/", "out", "takes")
    assert len(place.parts) == 5
    assert not {"..", "."} & set(place.parts)


def files_of(out_dir: Path) -> Any:
    from host_stub.story.results import ResultFiles

    return ResultFiles(out_dir, out_dir)


# Books -------------------------------------------------------------------------------------------


def book_path(out: Path) -> Path:
    return story_folder(out.parent, out) / "story.db"


@pytest.mark.parametrize("write", [True, False])
def test_a_newer_story_is_refused_by_name(out: Path, *, write: bool) -> None:
    """With the next step, and it stays as it is."""
    out.parent.mkdir()
    with Story.opened(out.parent, out, write=True) as story:
        deliver(story, "s1", 1)
    with sqlite3.connect(book_path(out)) as newer:
        newer.execute(f"PRAGMA user_version={VERSION + 1}")
    newer.close()
    before = book_path(out).read_bytes()
    with (
        pytest.raises(StoryError, match="written by a newer version") as raised,
        Story.opened(out.parent, out, write=write),
    ):
        pass

    assert str(book_path(out)) in str(raised.value)
    assert "install the newer version of stage3-plugin" in (raised.value.hint or "")
    assert book_path(out).read_bytes() == before


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("content", ["text", "database", "truncated"])
def test_what_is_no_story_is_refused_by_name(out: Path, content: str, *, write: bool) -> None:
    """And is not written to."""
    path = book_path(out)
    path.parent.mkdir(parents=True)
    if content == "text":
        path.write_text("hello " * 1_000, encoding="utf-8")
    elif content == "database":
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE mine (x)")
        other.close()
    else:
        with Story.opened(out.parent, out, write=True) as story:
            for number in range(60):
                deliver(story, "s1", number)
        path.write_bytes(path.read_bytes()[:5_000])
    before = path.read_bytes()
    with (
        pytest.raises(StoryError) as raised,
        Story.opened(out.parent, out, write=write) as story,
    ):
        everything(story)

    assert str(path) in str(raised.value)
    assert raised.value.hint
    assert path.read_bytes() == before


def everything(story: Story) -> list[Take]:
    """Read all that the book has of all takes."""
    scenes = [one.scene_id for one in story.book.glances()]
    return [take for one in scenes for take in story.book.takes_of(one)]


@pytest.mark.parametrize(
    "change",
    [
        "sha256 = '../../../../../../../../../../../../../../../../../../etc/passwd'",
        "sha256 = '" + "G" * 64 + "'",
        "made_at = 'yesterday'",
        "row = '[1, 2'",
        "row = '[1, 2]'",
        "scene = 'no json'",
        "cost_usd = 'NaN'",
        "cost_usd = 'much'",
        "cost_basis = 'invented'",
        "media_type = '7'",
        "role = 'king'",
    ],
)
def test_a_book_that_was_changed_by_hand_is_refused_where_it_is_wrong(
    story: Story, out: Path, change: str
) -> None:
    """A digest that is none never becomes part of a path."""
    deliver(story, "s1", 1)
    with sqlite3.connect(book_path(out)) as by_hand:
        by_hand.execute("PRAGMA ignore_check_constraints=1")
        for (trigger,) in by_hand.execute("SELECT name FROM sqlite_master WHERE type='trigger'"):
            by_hand.execute(f"DROP TRIGGER {trigger}")
        by_hand.execute(f"UPDATE takes SET {change}")
    by_hand.close()
    with pytest.raises(StoryError, match="cannot be read") as raised:
        everything(story)

    assert "\x1b" not in str(raised.value)
    assert raised.value.hint


def test_a_book_is_its_owners_alone(out: Path, story: Story) -> None:
    """Prompts and notes are nobody else's business."""
    deliver(story, "s1", 1)
    for path in (book_path(out), book_path(out).parent, book_path(out).parent.parent):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_a_book_that_is_removed_while_it_is_open_takes_nothing_more(
    story: Story, out: Path
) -> None:
    """What would be written there is seen by nobody, and that is said."""
    deliver(story, "s1", 1)
    book_path(out).unlink()

    with pytest.raises(StoryError, match="moved or removed") as raised:
        deliver(story, "s1", 2)
    assert "run again" in (raised.value.hint or "")


# Pictures ----------------------------------------------------------------------------------------


def test_takes_that_nobody_touched_are_not_read(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that came in a run never, others once: with many takes a run begins at once."""
    takes = [deliver(story, "s1", number) for number in (1, 2, 3)]
    read: list[Path] = []
    set_aside = ResultFiles.set_aside

    def seen(self: ResultFiles, take: NewTake) -> Path | None:
        read.append(self.place_of(take))
        return set_aside(self, take)

    monkeypatch.setattr(ResultFiles, "set_aside", seen)
    story.put_back(lambda _: True)
    assert read == []

    os.utime(story.files.place_of(takes[1]), ns=(10**18, 10**18))
    story.put_back(lambda _: True)
    story.put_back(lambda _: True)
    assert read == [story.files.place_of(takes[1])]


def test_a_take_of_another_length_is_read_whatever_its_time(story: Story) -> None:
    """A disk that ran full may have cut it off."""
    stale = deliver(story, "s1", 1)
    deliver(story, "s1", 2, basis="B")
    place = story.files.place_of(stale)
    time_ns = place.stat().st_mtime_ns
    place.write_bytes(picture(1)[:20])
    os.utime(place, ns=(time_ns, time_ns))
    back = story.put_back(lambda _: True, lambda _, into: bool(into.write_bytes(picture(1))))

    assert back.restored == 1
    assert place.read_bytes() == picture(1)


@pytest.mark.parametrize("is_whole", [True, False])
def test_of_a_lost_story_only_what_lies_whole_among_the_takes_is_ours(
    story: Story, out: Path, *, is_whole: bool
) -> None:
    """Else the picture in ``images`` may be the only one, and is kept before it is replaced."""
    ours = put(story, new_take("s1", 1), picture(1))
    if not is_whole:
        ours.write_bytes(picture(1)[:20])
    (out / "images").mkdir()
    (out / "images" / "s1.png").write_bytes(picture(1))
    deliver(story, "s1", 2)

    taken = {take.sha256 for take in story.book.takes_of("s1") if take.is_import}
    assert taken == (set() if is_whole else {sha256_of(picture(1))})


@pytest.mark.parametrize("head", [b"", picture(9)])
@pytest.mark.parametrize("name", ["s1.png", "s1.jpg"])
def test_a_huge_file_in_the_place_of_a_picture_is_kept_and_not_read(
    story: Story, out: Path, monkeypatch: pytest.MonkeyPatch, name: str, head: bytes
) -> None:
    """It could not be imported either; reading it would take minutes."""
    deliver(story, "s1", 1)
    deliver(story, "s1", 2, kind="JPEG")
    huge = out / "images" / name
    with huge.open("wb") as file:
        file.write(head)
        file.truncate(MOST_BYTES + 1)
    read: list[int] = []

    def seen(file: Any, *more: Any) -> str:
        read.append(os.fstat(file.fileno()).st_size)
        return digest_of(file, *more)

    monkeypatch.setattr(results, "digest_of", seen)
    with Story.copied(out.parent, out) as copied:
        assert len(copied.book.takes_of("s1")) == 2
    assert huge.stat().st_size > MOST_BYTES
    story.keep_edited()
    story.put_back(lambda _: True)

    assert max(read, default=0) <= MOST_BYTES
    assert shown_in(out) == {"s1.png": picture(1)}
    (kept,) = (out / "images" / "kept").iterdir()
    assert kept.stat().st_size == MOST_BYTES + 1
    assert len(story.book.takes_of("s1")) == 2


def test_a_plugin_that_gives_back_another_picture_is_not_believed(story: Story, out: Path) -> None:
    """The take counts as lost, and another one is shown."""
    deliver(story, "s1", 1)
    deliver(story, "s1", 2)
    first = story.book.takes_of("s1")[0]
    story.files.place_of(first).unlink()
    (out / "images" / "s1.png").unlink()
    back = story.put_back(lambda _: True, lambda _, into: bool(into.write_bytes(picture(9))))

    assert [one.number for one in back.lost] == [1]
    assert story.book.shown("s1") == 2
    assert shown_in(out) == {"s1.png": picture(2)}
    assert [one.number for one in story.book.takes_of("s1")] == [1, 2]


# Disks -------------------------------------------------------------------------------------------


class Full:
    """A disk that takes so many writes and then no more; reads go on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.left = 0
        self._real = os.write
        patch.setattr(os, "write", self._write)
        patch.setattr(os, "copy_file_range", self._copy, raising=False)

    def _copy(self, *_: object) -> int:
        raise OSError(28, "No space left on device")

    def _write(self, descriptor: int, data: Any) -> int:
        if self.left <= 0:
            raise OSError(28, "No space left on device")
        self.left -= 1
        return self._real(descriptor, data)


def test_a_full_disk_leaves_what_is_shown_whole_and_the_book_ahead(
    story: Story, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run brings the file where the book is."""
    deliver(story, "s1", 1)
    disk = Full(monkeypatch)
    with pytest.raises(ResultsNotWritten, match="No space left"):
        deliver(story, "s1", 2, basis="B")
    assert shown_in(out) == {"s1.png": picture(1)}
    assert story.book.shown("s1") == 2
    disk.left = 1_000
    story.put_back(lambda _: True)

    assert shown_in(out) == {"s1.png": picture(2)}


def test_a_full_disk_at_one_scene_keeps_no_other_from_its_picture(
    story: Story, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a group are in the book, and only the file that was not taken is lacking."""
    takes = [new_take(f"s{number}", number) for number in range(3)]
    for number, take in enumerate(takes):
        put(story, take, picture(number))
    real = files.Folder.put

    def put_all_but_one(self: Any, name: str, *args: Any, **more: Any) -> bool:
        if name == "s1.png":
            raise OSError(28, "No space left on device")
        return real(self, name, *args, **more)

    monkeypatch.setattr(files.Folder, "put", put_all_but_one)
    with pytest.raises(ResultsNotWritten, match=r"s1\.png"):
        story.take_in([(take, "A") for take in takes])

    assert sorted(shown_in(out)) == ["s0.png", "s2.png"]
    assert [story.book.shown(f"s{number}") for number in range(3)] == [1, 1, 1]


def test_an_import_that_the_disk_does_not_take_is_no_take(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are durable before anything is said of it."""
    file = tmp_path / "mine.png"
    file.write_bytes(picture(5))
    Full(monkeypatch)
    with pytest.raises(ResultsNotWritten, match="No space left"):
        story.import_file("s1", file, basis="A")

    assert story.book.takes_of("s1") == []


def test_a_book_that_the_disk_does_not_take_writes_nothing(out: Path) -> None:
    """All of a transaction, or none of it."""
    out.parent.mkdir()
    database = Database.to_write(story_folder(out.parent, out))
    book = Book(database, lambda: LONG_AGO)
    book.add([new_take("s1", 1)])
    with database.transaction():  # the connection that writes, and what it may write at most
        ((pages,),) = database.read("PRAGMA page_count")
        database.read(f"PRAGMA max_page_count={pages}")
    many = [new_take("s1", number, row={"prompt": "x" * 5_000}) for number in range(2, 50)]
    with pytest.raises(StoryError, match="full") as raised:
        book.add(many)

    assert "free space" in (raised.value.hint or "")
    assert [take.number for take in book.takes_of("s1")] == [1]
    database.close()


@pytest.mark.parametrize("digits", [9, 7, 6, 3, 0])
def test_a_disk_with_a_coarse_clock_makes_it_slower_and_nothing_else(
    story: Story, out: Path, monkeypatch: pytest.MonkeyPatch, digits: int
) -> None:
    """Two takes of one moment, and of one length, are still told apart."""
    real = os.utime

    def coarse(where: Any, *args: Any, ns: tuple[int, int], **more: Any) -> None:
        unit = 10 ** (9 - digits)
        real(where, *args, ns=(ns[0] // unit * unit, ns[1] // unit * unit), **more)

    deliver(story, "s1", 1)
    deliver(story, "s1", 2)
    one, two = story.book.takes_of("s1")
    monkeypatch.setattr(os, "utime", coarse)
    monkeypatch.setattr(os, "supports_fd", {*os.supports_fd, coarse})
    for take in (one, two):
        os.utime(story.files.place_of(take), ns=(10**18, 10**18))
    story.show("s1", 2)
    story.show("s1", 1)
    assert story.keep_edited() == []
    assert shown_in(out) == {"s1.png": picture(1)}
    (out / "images" / "s1.png").write_bytes(picture(2))
    story.put_back(lambda _: True)

    assert sha256_of(shown_in(out)["s1.png"]) == one.sha256
    assert len(story.book.takes_of("s1")) == 2
