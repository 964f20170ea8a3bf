"""A story against a plain model of it, in any order of what people, runs and disks may do.

Two processes have it open. After every step the book, and the files of all scenes that were not
damaged since, are held to the model: takes are only ever added, one pointer a scene, the file in
``images`` is a whole take, and nothing that a plugin or a person brought is gone.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType] - hypothesis tells no types
)

from host_stub.errors import NoSuchTake
from host_stub.story.finding import story_folder
from host_stub.story.keeper import Story
from host_stub.story.pictures import EXTENSIONS
from host_stub.text.file_names import file_stem
from tests.heavy import further
from tests.host.story.pictures import KINDS, new_take, picture, put, sha256_of
from tests.laws import tried

SCENES = ("s1", "Szene 2", "../\x1b[31m\ud800")
scenes = st.sampled_from(SCENES)
numbers = st.integers(1, 6)
kinds = st.sampled_from(["PNG", "JPEG", "WEBP"])
bases = st.sampled_from(["A", "B"])
hands = st.integers(0, 1)
"""Which of the two processes does it."""


@dataclass
class ModelTake:
    sha256: str
    extension: str
    basis: str | None
    purchase: str | None = None
    is_draft: bool = False
    is_import: bool = False
    is_rejected: bool = False


@dataclass
class Pointer:
    number: int
    is_persons: bool
    is_undone: bool = False


@dataclass
class ModelScene:
    """What is expected of a scene."""

    takes: list[ModelTake] = field(default_factory=list[ModelTake])
    pointers: list[Pointer] = field(default_factory=list[Pointer])
    image: tuple[str, str] | None = None
    """What lies in ``images``: the digest and the extension of a take."""
    by_hand: tuple[bytes, str] | None = None
    """What a person has put there since, in its place if the extension is the same."""

    @property
    def shown(self) -> int | None:
        return next((one.number for one in reversed(self.pointers) if not one.is_undone), None)

    @property
    def pick(self) -> int | None:
        persons = (one for one in reversed(self.pointers) if one.is_persons and not one.is_undone)
        return next((one.number for one in persons), None)

    def take(self, number: int) -> ModelTake:
        return self.takes[number - 1]

    def add(self, new: ModelTake) -> int:
        for number, take in enumerate(self.takes, start=1):
            is_same = (take.sha256, take.purchase) == (new.sha256, new.purchase)
            if new.purchase is None:
                is_same = is_same and (take.basis, take.is_import) == (new.basis, new.is_import)
            if is_same:
                take.basis = new.basis or take.basis
                return number
        self.takes.append(new)
        return len(self.takes)

    def follow(self, basis: str | None, *, only_if_none: bool = False) -> None:
        """Move the pointer as the rule says, in its own words."""
        if only_if_none and self.shown is not None:
            return

        def holds(number: int) -> bool:
            take = self.take(number)
            return basis is not None and take.basis == basis and not take.is_draft

        theirs = [
            number
            for number, take in enumerate(self.takes, start=1)
            if not (take.is_import and take.is_rejected)
        ]
        finished = [number for number in theirs if not self.take(number).is_draft]
        wishes = [
            *(number for number in (self.pick, self.shown) if number is not None and holds(number)),
            *filter(holds, theirs),
            *(number for number in (self.shown,) if number is not None),
            *reversed(finished),
        ]
        if wishes and wishes[0] != self.shown:
            self.pointers.append(Pointer(wishes[0], is_persons=False))


class Machine(RuleBasedStateMachine):
    """The story, its model, and the rules of both."""

    @initialize()
    def begin(self) -> None:
        self.ended = ExitStack()
        self.root = Path(self.ended.enter_context(tempfile.TemporaryDirectory()))
        self.out = self.root / "out"
        self.open_both()
        self.scenes = {name: ModelScene() for name in SCENES}
        self.bought: dict[str, bytes] = {}
        self.brought: set[bytes] = set()
        self.left: set[str] = set()

    def open_both(self) -> None:
        self.handles = ExitStack()
        self.ended.callback(self.handles.close)
        self.stories = [
            self.handles.enter_context(Story.opened(self.root, self.out, write=True))
            for _ in range(2)
        ]

    def teardown(self) -> None:
        self.ended.close()

    # What goes before anything is replaced -------------------------------------------------------

    def keep_by_hand(self, name: str, *, arriving: str | None = None) -> None:
        """What a person put into ``images`` becomes a take, and their pick."""
        scene = self.scenes[name]
        if scene.by_hand is None:
            return
        content, extension = scene.by_hand
        digest = sha256_of(content)
        is_known = any(take.sha256 == digest for take in scene.takes) or digest == arriving
        if not content.startswith(b"no picture") and not is_known:
            basis = None if scene.shown is None else scene.take(scene.shown).basis
            number = scene.add(ModelTake(digest, extension, basis, is_import=True))
            scene.pointers.append(Pointer(number, is_persons=True))
        if scene.image is not None and scene.image[1] == extension:
            scene.image = (digest, extension) if is_known else None
        scene.by_hand = None

    def settle(self, name: str) -> None:
        scene = self.scenes[name]
        if scene.shown is None:
            scene.image = None
        else:
            take = scene.take(scene.shown)
            scene.image = (take.sha256, take.extension)
        self.left.discard(name)

    def is_shown_untouched(self, name: str) -> bool:
        scene = self.scenes[name]
        if scene.shown is None or scene.image is None:
            return False
        take = scene.take(scene.shown)
        is_replaced = scene.by_hand is not None and scene.by_hand[1] == take.extension
        return scene.image == (take.sha256, take.extension) and not is_replaced

    def look(self, name: str, *, arriving: str | None = None) -> None:
        """Keep what is there by hand, unless the shown take is there and nothing is looked at."""
        if not self.is_shown_untouched(name):
            self.keep_by_hand(name, arriving=arriving)

    # Rules ---------------------------------------------------------------------------------------

    @rule(
        name=scenes,
        number=numbers,
        kind=kinds,
        basis=bases,
        present=st.none() | bases,
        draft=st.sampled_from([False, False, False, True]),
        hand=hands,
    )
    def a_run_brings_a_take(
        self,
        *,
        name: str,
        number: int,
        kind: str,
        basis: str,
        present: str | None,
        draft: bool,
        hand: int,
    ) -> None:
        purchase = f"{name}/{number}/{kind}/{draft}"
        take = new_take(name, number, kind=kind, basis=basis, is_draft=draft, purchase=purchase)
        put(self.stories[hand], take, picture(number, kind))
        self.bought[take.sha256] = picture(number, kind)
        self.stories[hand].take_in([(take, present)])

        scene = self.scenes[name]
        self.look(name, arriving=take.sha256)
        new = ModelTake(
            take.sha256, EXTENSIONS[KINDS[kind]], basis, purchase=purchase, is_draft=draft
        )
        scene.add(new)
        scene.follow(present)
        self.look(name)
        self.settle(name)

    @rule(name=scenes, number=st.integers(1, 9), hand=hands)
    def a_person_shows_a_take(self, name: str, number: int, hand: int) -> None:
        scene = self.scenes[name]
        story = self.stories[hand]
        if number > len(scene.takes):
            with pytest.raises(NoSuchTake):
                story.show(name, number)
            return
        story.show(name, number)

        self.look(name)
        scene.pointers.append(Pointer(number, is_persons=True))
        if scene.take(number).is_import:
            scene.take(number).is_rejected = False
        self.look(name)
        self.settle(name)

    @rule(name=scenes, hand=hands)
    def a_person_takes_back(self, name: str, hand: int) -> None:
        scene = self.scenes[name]
        is_done = self.stories[hand].undo(name)

        if not scene.takes:
            assert not is_done
            return
        self.look(name)
        theirs = [one for one in scene.pointers if one.is_persons and not one.is_undone]
        assert is_done == bool(theirs)
        if theirs:
            theirs[-1].is_undone = True
            undone = scene.take(theirs[-1].number)
            if undone.is_import:
                undone.is_rejected = True
            if scene.shown is None:
                scene.follow(undone.basis)
            self.look(name)
        self.settle(name)

    @rule(name=scenes, number=st.integers(1, 12), kind=kinds, basis=bases, hand=hands)
    def a_person_brings_a_picture(
        self, name: str, number: int, kind: str, basis: str, hand: int
    ) -> None:
        file = self.root / "mine"
        file.write_bytes(picture(number, kind))
        self.stories[hand].import_file(name, file, basis=basis)
        self.brought.add(picture(number, kind))

        scene = self.scenes[name]
        self.look(name)
        new = ModelTake(
            sha256_of(picture(number, kind)), EXTENSIONS[KINDS[kind]], basis, is_import=True
        )
        place = scene.add(new)
        scene.take(place).is_rejected = False
        scene.pointers.append(Pointer(place, is_persons=True))
        self.look(name)
        self.settle(name)

    @rule(
        name=scenes,
        number=st.integers(1, 12),
        extension=st.none() | st.sampled_from(["png", "jpg", "webp"]),
        is_picture=st.sampled_from([True, True, False]),
    )
    def a_person_edits_the_file(
        self, name: str, number: int, *, extension: str | None, is_picture: bool
    ) -> None:
        """In place, under the name of what is shown, or beside it."""
        scene = self.scenes[name]
        if scene.by_hand is not None:
            return
        if extension is None:
            extension = "png" if scene.image is None else scene.image[1]
        kind = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}[extension]
        content = picture(number, kind) if is_picture else b"no picture %d" % number
        path = self.out / "images" / f"{file_stem(name)}.{extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        scene.by_hand = (content, extension)
        self.brought.add(content)

    @rule(hand=hands)
    def a_run_begins(self, hand: int) -> None:
        self.stories[hand].keep_edited()

        for name, scene in self.scenes.items():
            if scene.by_hand is not None and scene.shown is not None:
                self.keep_by_hand(name)
                self.settle(name)

    @rule(gone=st.sampled_from(["all", "images", "takes"]), hand=hands)
    def results_are_deleted_and_put_back(self, gone: str, hand: int) -> None:
        if gone in {"all", "takes"} and any(one.by_hand for one in self.scenes.values()):
            self.a_run_begins(hand=hand)  # what only a person has, a person may also delete
        shutil.rmtree(self.out if gone == "all" else self.out / gone, ignore_errors=True)
        if gone in {"all", "images"}:
            self.brought -= {
                one.by_hand[0] for one in self.scenes.values() if one.by_hand is not None
            }
        if gone == "all":  # and what was no picture
            self.brought = {one for one in self.brought if not one.startswith(b"no picture")}
        if gone == "images":
            self.brought = {one for one in self.brought if not one.startswith(b"no picture")}
        back = self.stories[hand].put_back(lambda name: name not in self.left, self.fetch)

        assert not back.lost
        for name, scene in self.scenes.items():
            if gone != "takes":
                scene.by_hand = None
                scene.image = None
            if name not in self.left and scene.takes:
                self.look(name)
                self.settle(name)

    def fetch(self, sha256: str, into: Path) -> bool:
        if sha256 in self.bought:
            into.write_bytes(self.bought[sha256])
        return sha256 in self.bought

    @rule(name=scenes, hand=hands)
    def a_scene_leaves_the_file(self, name: str, hand: int) -> None:
        self.stories[hand].leave(lambda one: one != name)

        scene = self.scenes[name]
        if scene.takes:
            self.look(name)
            scene.image = None
            self.left.add(name)

    @rule()
    def both_are_opened_again(self) -> None:
        self.handles.close()
        self.open_both()

    # What always holds ---------------------------------------------------------------------------

    @invariant()
    def the_book_is_as_expected(self) -> None:
        for hand, name in enumerate(SCENES):
            scene, book = self.scenes[name], self.stories[hand % 2].book
            takes = book.takes_of(name)
            assert [take.number for take in takes] == list(range(1, len(scene.takes) + 1))
            assert [
                ModelTake(
                    take.sha256,
                    EXTENSIONS[take.media_type],
                    take.basis,
                    take.purchase,
                    take.is_draft,
                    take.is_import,
                    take.is_rejected,
                )
                for take in takes
            ] == scene.takes
            assert (book.shown(name), book.pick(name)) == (scene.shown, scene.pick)
            noted = book.noted(SCENES)[name]
            assert (noted.takes, noted.shown, noted.pick) == (takes, scene.shown, scene.pick)
        glances = self.stories[0].book.glances()
        assert {one.scene_id: one.shown for one in glances if one.shown is not None} == {
            name: scene.shown for name, scene in self.scenes.items() if scene.shown is not None
        }

    @invariant()
    def a_file_is_the_whole_shown_take(self) -> None:
        there = {
            one.name: one.read_bytes() for one in (self.out / "images").glob("*") if one.is_file()
        }
        expected: dict[str, str] = {}
        for name, scene in self.scenes.items():
            if scene.image is not None:
                expected[f"{file_stem(name)}.{scene.image[1]}"] = scene.image[0]
            if scene.by_hand is not None:
                content, extension = scene.by_hand
                expected[f"{file_stem(name)}.{extension}"] = sha256_of(content)
        assert {name: sha256_of(content) for name, content in there.items()} == expected

    @invariant()
    def nothing_that_somebody_brought_is_gone(self) -> None:
        objects = story_folder(self.root, self.out) / "objects"
        folders = (objects, self.out / "images", self.out / "images" / "kept")
        there = {
            one.read_bytes() for folder in folders for one in folder.glob("*") if one.is_file()
        }
        lying = {one.read_bytes() for one in (self.out / "takes").glob("*/*")}
        assert self.brought <= there | lying

    @invariant()
    def every_take_lies_at_its_place(self) -> None:
        for name in SCENES:
            for take in self.stories[0].book.takes_of(name):
                assert sha256_of(self.stories[0].files.place_of(take).read_bytes()) == take.sha256


@pytest.mark.parametrize("examples", [15, *further([40])])
def test_a_story_is_what_its_model_is(examples: int) -> None:
    """Whatever the order."""
    run_state_machine_as_test(Machine, settings=tried(examples))
