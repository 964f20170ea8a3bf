"""What the scenes of one run or plan show the model: files, sheets, and pictures of other scenes.

A request names its references; here they become bytes, or the reason why they do not. Files are
opened before anything is bought, each once. The picture of a scene is that of its purchase, if the
ledger has it, and else what this run makes of it; from then on it is the same for all.

Apart from ``survey``, which finds out from a story what there is to be looked at, and from
``storage.references``, which knows files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from host_stub.contract import Failure, FailureCode, SceneOutcome
from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.reference import (
    BroughtPicture,
    Limits,
    Reference,
    ReferenceWish,
    SentPicture,
)
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import LimitsOf
from stage3_plugin.engine.showing.casting import Casting
from stage3_plugin.errors import ReferenceRefused
from stage3_plugin.policy.precedence import waves

if TYPE_CHECKING:
    from stage3_plugin.storage.references import References

OpenShelf: TypeAlias = Callable[[Path], AbstractAsyncContextManager["References"]]
"""Opens what holds references for a run or a plan, by the folder that scenes' files start at."""
_KnownAs: TypeAlias = tuple[ReferenceWish, Limits, str]
"""By what an opened reference is known: the hash, if it is a scene's picture, is of that."""
_NOTHING_SENT: Final = "; nothing was sent"


@dataclass(frozen=True, slots=True)
class Unshown:
    """A request that cannot show what it names, and so is not sent.

    Attributes:
        why: In words.
        is_refused: A reference cannot be shown as it is named; else one has no picture in this run.
        waits_for: Whose picture that is.
        is_to_come: That picture is being made, and a later run has it.
    """

    why: str
    is_refused: bool = True
    waits_for: tuple[str, ...] = ()
    is_to_come: bool = False

    @property
    def failure(self) -> Failure:
        """Return how the scene ends."""
        if self.is_refused:
            return Failure(code="rejected", message=f"{self.why}{_NOTHING_SENT}")
        code: FailureCode = "pending" if self.is_to_come else "not_tried"
        return Failure(code=code, message=f"{self.why}{_NOTHING_SENT}", retryable=True)


TO_COME = SentPicture(sha256="", media_type="image/png", size_bytes=0)
"""What is sent of a picture that is not made yet, as far as a price and words need to know it."""


def is_awaiting(request: PictureRequest) -> bool:
    """Return whether a picture that a request shows is not made yet."""
    return any(one.sent is TO_COME for one in request.shown)


@dataclass(slots=True, kw_only=True)
class ShownScene:
    """A scene, or a sheet, whose picture others show.

    Attributes:
        what: As it is called in what is said of it, such as ``sheet 'char_001'``.
        picture: Its picture, once it is known; a person may have brought it.
        why_not: Why there is none, and none to come.
        is_chosen: A host says that it is that one.
        is_refused: It cannot be shown as it is named: there is no such scene.
        takes_left: Takes of it that have not ended in this run.
        has_come: One has ended with a picture.
        is_to_come: It is bought, or waits for what is, and a later run has it.
    """

    what: str
    is_chosen: bool = False
    picture: Picture | BroughtPicture | None = None
    why_not: str = ""
    is_refused: bool = False
    takes_left: int = 1
    has_come: bool = False
    is_to_come: bool = False

    @property
    def is_awaited(self) -> bool:
        """Return whether its picture is still to be made."""
        return self.picture is None and not self.why_not


@dataclass(eq=False, repr=False)
class SceneReferences:
    """What requests show, as far as it is known by now.

    Args:
        shelf: Holds the bytes; ``None`` where nothing is shown, whatever is named.
        limits_of: Says what the endpoint takes of a request's references.
        is_over: Returns whether nothing new is started any more: then no file is opened either.

    Attributes:
        limits_of: The same.
        sheets: Requests of the sheets that the asked scenes need; they are made first.
        named_sheets: Likewise, with those that no scene can be shown, and that are not made.
        scenes: All whose pictures are shown, by their ids.
        refers: What each of those refers to in turn.
        problems: Why a scene can never be made, by its id.
        on_end: Called with each scene that is shown, as one of its takes has ended.
    """

    shelf: References | None
    limits_of: LimitsOf
    is_over: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self._opened: dict[_KnownAs, Reference | Unshown] = {}
        self._waves: Mapping[str, int] | None = None
        self._waiting = set[str]()
        """Scenes that wait for pictures which a later run has."""
        self.sheets: tuple[PictureRequest, ...] = ()
        self.named_sheets: tuple[PictureRequest, ...] = ()
        self.scenes: dict[str, ShownScene] = {}
        self.refers: dict[str, Collection[str]] = {}
        self.problems: dict[str, str] = {}
        self.on_end: Callable[[str], None] = lambda _scene_id: None

    def shows(self, request: PictureRequest) -> bool:
        """Return whether a request shows the model anything."""
        return self.shelf is not None and bool(request.wishes)

    def needs(self, request: PictureRequest) -> tuple[str, ...]:
        """Return the scenes of this run that a request shows and whose pictures are to come."""
        return tuple(
            scene_id
            for wish in request.wishes
            if (scene_id := wish.scene_id) is not None
            and scene_id in self.scenes
            and self.scenes[scene_id].is_awaited
            and request.scene_id not in self.problems
        )

    def expect(self, scene_id: str, more: int) -> None:
        """Count on further takes of a scene: the first that comes is the one that is shown."""
        scene = self.scenes.get(scene_id)
        if scene is not None:
            scene.takes_left += more

    def take(self, outcome: SceneOutcome, picture: Picture | None) -> None:
        """Take in how a scene ended, and its picture if it has one."""
        scene = self.scenes.get(outcome.scene_id)
        if scene is None:
            return
        scene.takes_left -= 1
        if scene.is_chosen:  # and stays, whatever else comes of the scene
            self.on_end(outcome.scene_id)
            return
        if picture is not None:
            scene.has_come = True
            scene.picture = scene.picture or picture
        elif outcome.failure is not None and not (scene.has_come or scene.takes_left > 0):
            scene.picture = None
            why_not = outcome.failure.message.removesuffix(_NOTHING_SENT)
            scene.is_to_come = outcome.failure.code == "pending"
            lacks = "is not here yet" if scene.is_to_come else "has no picture"
            is_left_out = outcome.failure.code == "not_tried" or outcome.scene_id in self._waiting
            # What waits for another says the first cause already.
            scene.why_not = why_not if is_left_out else f"{scene.what} {lacks}: {why_not}"
        self.on_end(outcome.scene_id)

    def wave_of(self, request: PictureRequest) -> int:
        """Return how many pictures have to be made one after the other before a request's."""
        if self._waves is None:
            self._waves = waves(self.refers, lambda one: self.scenes[one].is_awaited)
        known = self._waves
        return max((known.get(one, 0) + 1 for one in self.needs(request)), default=0)

    async def bring(self, request: PictureRequest) -> PictureRequest | Unshown:
        """Have the bytes of a request's references, and return it with them."""
        limits = self.limits_of(request)
        for wish in request.wishes:
            await self.open(wish, limits)
        return self.show(request)

    async def open(self, wish: ReferenceWish, limits: Limits) -> None:
        """Have the bytes of one reference, if they are there by now; see :meth:`bring`."""
        picture, known_as = self._picture_of(wish, limits)
        is_to_come = wish.scene_id is not None and picture is None
        if self.shelf is None or known_as in self._opened or is_to_come:
            return
        if self.is_over():
            why = "the run was told to stop before its references were opened"
            self._opened[known_as] = Unshown(why, is_refused=False)
            return
        try:
            self._opened[known_as] = await self.shelf.show(wish, limits, picture)
        except ReferenceRefused as refusal:
            self._opened[known_as] = Unshown(_in_words(refusal))

    def _picture_of(
        self, wish: ReferenceWish, limits: Limits
    ) -> tuple[Picture | BroughtPicture | None, _KnownAs]:
        """Return the picture of a reference to a scene, and what it is known by once opened."""
        scene = self.scenes.get(wish.scene_id or "")
        picture = None if scene is None else scene.picture
        return picture, (wish, limits, "" if picture is None else picture.sha256)

    def show(self, request: PictureRequest) -> PictureRequest | Unshown:
        """Return a request with its references, a :data:`TO_COME` for each that is not made yet.

        Nothing is read.
        What keeps it from being sent at all is said before what it has to wait for.
        """
        if not self.shows(request):
            return request
        if request.scene_id in self.problems:
            return Unshown(self.problems[request.scene_id])
        limits = self.limits_of(request)
        if limits.most is not None and len(request.wishes) > limits.most:
            taker, count = request.model or request.provider, len(request.wishes)
            out = f"take {count - limits.most} out; what the cast brings counts, too"
            if limits.most == 0:
                out = "take them out, the cast's too, or name a model that is known to take some"
            return Unshown(f"it shows {count} references, and {taker} takes {limits.most} ({out})")
        found = [self._found(wish, limits) for wish in request.wishes]
        unshown = [one for one in found if isinstance(one, Unshown)]
        if unshown:
            first = min(unshown, key=_in_rank)
            if first.is_to_come:
                self._waiting.add(request.scene_id)
            return first
        shown = _each_once([one for one in found if isinstance(one, Reference)])
        return replace(request, shown=shown)

    def _found(self, wish: ReferenceWish, limits: Limits) -> Reference | Unshown:
        """Return what there is of a reference."""
        picture, known_as = self._picture_of(wish, limits)
        opened, scene_id = self._opened.get(known_as), wish.scene_id
        if opened is not None:
            return opened
        scene = None if scene_id is None else self.scenes.get(scene_id)
        if scene is None and scene_id is not None:  # of one that was to keep its picture
            return Unshown(f"scene {scene_id!r} is not made in this run", is_refused=False)
        if scene is None or picture is not None or not scene.why_not:  # not opened yet
            return Reference(wish=wish, sha256="", sent=TO_COME)
        waits_for = () if scene.is_refused or scene_id is None else (scene_id,)
        return Unshown(scene.why_not, scene.is_refused, waits_for, scene.is_to_come)


def _in_rank(unshown: Unshown) -> tuple[bool, bool]:
    """Rank what can never be shown first, and what only is not here yet last."""
    return not unshown.is_refused, unshown.is_to_come


def _each_once(shown: Sequence[Reference]) -> tuple[Reference, ...]:
    """Return pictures in their order, each once, by the first name and role that it is given."""
    once: dict[str, Reference] = {}
    for one in shown:
        known_as = one.sha256 or one.wish.image
        known = once.setdefault(known_as, one)
        once[known_as] = replace(known, wish=known.wish.named_by(one.wish))
    return tuple(once.values())


async def unshown_in(casting: Casting, shelf: References) -> tuple[Warned, ...]:
    """Say which pictures of a cast cannot be shown at all, whatever an endpoint takes.

    Raises:
        StorageFailed: One cannot be read now.
    """
    lines: list[Warned] = []
    for cast_id, wish in casting.of_files.items():
        try:
            await shelf.show(wish, Limits())
        except ReferenceRefused as refusal:
            line = f"cast {cast_id!r}: {_in_words(refusal)}"
            lines.append(coded("reference_unusable", line))
    return tuple(lines)


def _in_words(refusal: ReferenceRefused) -> str:
    return f"{refusal} ({refusal.hint})" if refusal.hint else str(refusal)
