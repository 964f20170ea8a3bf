"""What a story refers to, found out before anything of it is made.

A story is gone through once, and more often only if its scenes refer to one another; only those
that are referred to stay in memory. Found out are the sheets that are needed, files that cannot be
shown, scenes that are not there, and circles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import islice
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.reference import BroughtPicture, Limits, ReferenceWish
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.asked import Asked
from stage3_plugin.engine.showing.references import (
    SceneReferences,
    ShownScene,
    Unshown,
    is_awaiting,
)
from stage3_plugin.engine.showing.stale import scenes_named
from stage3_plugin.policy.precedence import circles, in_order
from stage3_plugin.policy.reuse import Reuse
from stage3_plugin.purchase.forecast import Forecast
from stage3_plugin.purchase.takes import Takes

if TYPE_CHECKING:
    from stage3_plugin.storage.references import References

_SCENES_A_TURN = 100
MOST_SAID = 20
"""References that cannot be shown and are named one by one; a plan has all of them, by scenes."""
MOST_OF_A_CIRCLE = 8
"""Scenes of one that are named; each of them says it."""
MOST_LETTERS = 80
"""Of an id that somebody else wrote."""


@dataclass(eq=False, repr=False)
class Survey:
    """Goes through a story.

    Args:
        asked: What is asked for, with its cast; it has then what was found.
        shelf: Holds the bytes of references.
        takes: The pictures that there are.
        forecast: Foresees why none will come, for a plan; a run waits and sees.
        is_over: Returns whether nothing new is started any more.
    """

    asked: Asked
    shelf: References
    takes: Takes
    _: KW_ONLY
    forecast: Forecast | None = None
    is_over: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self._unshown: dict[str, tuple[int, str]] = {}
        self._strangers: dict[str, str] = {}
        self._casting = self.asked.casting
        self._sheets = self.asked.all_sheets
        self._steps = steps = self.asked.steps
        self._references = SceneReferences(self.shelf, steps.limits_of, is_over=self.is_over)
        self._why_not_made = steps.routes[0].why_not_made
        self._shown_as = defaultdict[str, set[tuple[ReferenceWish, Limits]]](set)

    async def go_through(self) -> None:
        """Find out what the scenes refer to, and have files opened.

        Raises:
            SettingsRefused: A sheet has the id of a scene, or its file.
            StorageFailed: A reference cannot be read now, or the disk takes no copy of it.
        """
        asked, story, whole_story = self.asked, self.asked.scenes, self.asked.whole_story
        await self._look_at_all(story)
        if whole_story is not story and self._casting.sheets:
            self._casting.need_own_ids(request.scene_id for request in whole_story)
        requests, named = dict[str, PictureRequest](), set[str]()
        if self._needed_scenes:
            requests = self._that_are_shown(whole_story)
            named = {one.scene_id for one in story if one.scene_id in requests}
        self._take_sheets(requests)
        self._take_scenes(requests, named)
        self._find_circles()
        await self._find_pictures(requests)
        self._leave_out(self._named_sheets - self._sheets_of_those_made(story))
        asked.references = self._references
        asked.told_beside_scenes = self._stranger_lines()
        asked.told = (*self._unshown_lines(), *asked.told_beside_scenes)

    def _unshown_lines(self) -> tuple[Warned, ...]:
        """Return what to say of scenes that cannot show what they name, a line for each kind."""
        lines = [
            f"{scenes_named(count, first)} cannot be made as asked: {why}"
            for why, (count, first) in list(self._unshown.items())[:MOST_SAID]
        ]
        more = len(self._unshown) - MOST_SAID
        if more > 0:
            lines.append(f"and {more:,} further references cannot be shown")
        return tuple(coded("reference_unusable", line) for line in lines)

    def _stranger_lines(self) -> tuple[Warned, ...]:
        """Return what to say of characters that the cast does not name."""
        if not self._strangers:
            return ()
        character, scene_id = next(iter(self._strangers.items()))
        is_one = len(self._strangers) == 1
        named = f"{'' if is_one else 'the first is '}{character[:MOST_LETTERS]!r}"
        count = "1 id" if is_one else f"{len(self._strangers):,} ids"
        slips = (
            f"; is {meant!r} of the cast meant by {one[:MOST_LETTERS]!r}?"
            for one in islice(self._strangers, MOST_SAID)
            if (meant := self._casting.closest(one)) is not None
        )
        line = (
            f"{count} in characters_in_scene {'is' if is_one else 'are'} not in the cast and "
            f"left out: {named} of scene {scene_id!r}{next(slips, '')}"
        )
        return (coded("not_in_cast", line),)

    @property
    def _named_sheets(self) -> set[str]:
        return self._sheets.keys() & self._shown_as.keys()

    @property
    def _needed_scenes(self) -> set[str]:
        return self._shown_as.keys() - self._sheets.keys()

    def _sheets_of_those_made(self, story: Iterable[PictureRequest]) -> set[str]:
        """Return the sheets of scenes that may be made; count those that cannot."""
        needed = set[str]()
        for request in story:
            shown = self._references.show(request)
            if isinstance(shown, Unshown):
                count, first = self._unshown.get(shown.why, (0, request.scene_id))
                self._unshown[shown.why] = (count + 1, first)
                is_for_a_scene = set(shown.waits_for) - self._sheets.keys()
                if shown.is_refused or is_for_a_scene:  # else it may come to be made
                    continue
            if self._why_not_made(request) is None:
                needed.update(self._sheets.keys() & _referred(request))
        return needed

    def _leave_out(self, sheets: set[str]) -> None:
        """Leave out sheets that no scene would be shown: each would be paid for.

        What a person brought as a sheet is made only where pictures of it are wanted.
        """
        references = self._references
        references.sheets = tuple(
            sheet
            for sheet in references.sheets
            if sheet.scene_id not in sheets
            and (
                not isinstance(references.scenes[sheet.scene_id].picture, BroughtPicture)
                or self.asked.wanted_of(sheet, self._steps.basis_of(sheet)) > 0
            )
        )
        for cast_id in sheets:
            scene = references.scenes[cast_id]
            scene.why_not = f"{scene.what} is not made, since no scene that shows it can be"

    async def _look_at_all(self, story: Iterable[PictureRequest]) -> None:
        """Go through the scenes that are asked for, and have their files opened."""
        for number, request in enumerate(story, start=1):
            self._casting.need_own_ids((request.scene_id,))
            if request.wishes:
                await self._look_at(request)
            for character in self._casting.strangers(request.characters) if self._casting else ():
                self._strangers.setdefault(character, request.scene_id)
            if number % _SCENES_A_TURN == 0:
                await anyio.lowlevel.checkpoint()

    async def _look_at(self, request: PictureRequest) -> None:
        limits = self._references.limits_of(request)
        for wish in request.wishes:
            if wish.scene_id is None:
                await self._references.open(wish, limits)
                continue
            self._shown_as[wish.scene_id].add((wish, limits))

    def _that_are_shown(self, story: Iterable[PictureRequest]) -> dict[str, PictureRequest]:
        """Return the scenes that those asked for refer to, by whatever way around."""
        refers = {one.scene_id: others for one in story if (others := _referred(one))}
        shown, new = set[str](), set(self._needed_scenes)
        while new:
            shown |= new
            new = {other for one in new for other in refers.get(one, ())} - shown
        return {one.scene_id: one for one in story if one.scene_id in shown}

    def _take_sheets(self, requests: Mapping[str, PictureRequest]) -> None:
        """Take the sheets: those of asked scenes may be made, those of others be there."""
        named = self._named_sheets
        made = tuple(one for cast_id, one in self._sheets.items() if cast_id in named)
        self._references.sheets = self._references.named_sheets = made
        others = {one for request in requests.values() for one in _referred(request)}
        for cast_id in self._sheets.keys() & (named | others):
            what, why_not = f"sheet {cast_id!r}", ""
            if cast_id not in named:
                why_not = f"{what} is not made in this run, and has no picture yet"
            self._references.scenes[cast_id] = ShownScene(what=what, why_not=why_not)
            self._references.refers[cast_id] = ()

    def _take_scenes(self, requests: Mapping[str, PictureRequest], asked: set[str]) -> None:
        """Take the scenes that are referred to, and note those that are not there."""
        scenes = self._references.scenes
        for scene_id, request in requests.items():
            what, why_not = f"scene {scene_id!r}", ""
            if scene_id not in asked:
                why_not = f"{what} is not made in this run, and has no picture yet (make it, too)"
            elif (unsendable := self._why_not_made(request)) is not None:
                why_not = f"{what} would not be made: {unsendable}"
            scenes[scene_id] = ShownScene(what=what, why_not=why_not)
            self._references.refers[scene_id] = _referred(request)
        named = {one for others in self._references.refers.values() for one in others}
        for scene_id in (self._needed_scenes | named) - scenes.keys():
            why_not = (
                f"reference 'scene:{scene_id}' names no scene of the file, and no sheet (correct "
                "the id; of the cast only those have a sheet that have a prompt)"
            )
            scenes[scene_id] = ShownScene(what=scene_id, why_not=why_not, is_refused=True)

    def _find_circles(self) -> None:
        for circle in circles(self._references.refers):
            way = _way(circle)
            for scene_id in circle:
                why = (
                    f"it refers to itself, and would wait for ever: {way} (take one of these "
                    "references out)"
                )
                self._references.problems[scene_id] = why
                scene = self._references.scenes[scene_id]
                scene.why_not = f"{scene.what} cannot be made, since it refers to itself: {way}"

    async def _find_pictures(self, requests: Mapping[str, PictureRequest]) -> None:
        """Look for the pictures of those that are referred to, each behind all it refers to."""
        references, known = self._references, {**self._sheets, **requests}
        order = in_order(references.refers)
        for scene_id in (*order, *(references.refers.keys() - set(order))):
            if scene_id not in known:
                continue
            scene = references.scenes[scene_id]
            shown = await references.bring(known[scene_id])
            if isinstance(shown, Unshown) or not is_awaiting(shown):
                self._find(scene, known[scene_id], shown)
            for wish, limits in self._shown_as.get(scene_id, ()):
                await references.open(wish, limits)

    def _find(
        self, scene: ShownScene, request: PictureRequest, shown: PictureRequest | Unshown
    ) -> None:
        """Find the picture of a scene that is referred to, or why there will be none."""
        if isinstance(shown, PictureRequest):
            scene.picture = self._chosen(shown)
            scene.is_chosen = scene.picture is not None
            if scene.is_chosen:
                return
        scene.picture, why_not = self._there_is(request, shown)
        why_not = why_not and f"{scene.what} {why_not}"
        if why_not and isinstance(shown, Unshown) and shown.waits_for:
            why_not = shown.why  # of the first in the chain, however long that is
        scene.why_not = scene.why_not or why_not

    def _chosen(self, request: PictureRequest) -> Picture | BroughtPicture | None:
        """Return the picture that the host shows of a request, if that is what is wanted."""
        host_shows = self.asked.request.shown
        shown = None if host_shows is None else host_shows(request.scene_id)
        if shown is None or shown.basis is None or shown.basis != self._steps.basis_of(request):
            return None
        stored = self.takes.with_bytes(request.scene_id, shown.sha256)
        if stored is None and shown.path is not None:
            return BroughtPicture(shown.sha256, shown.path)
        return None if stored is None else stored.picture

    def _there_is(
        self, request: PictureRequest, shown: PictureRequest | Unshown
    ) -> tuple[Picture | None, str]:
        """Return the picture that a request has, and else why it will have none, if that is so.

        Args:
            request: As it is named.
            shown: With its references, or why it has none.
        """
        if isinstance(shown, Unshown):
            kept = None
            if shown.is_refused:
                kept = self.takes.with_others(self._steps.keys_of(request))
            return (None, f"would not be made: {shown.why}") if kept is None else (kept.picture, "")
        keys = self._steps.keys_of(shown)
        found = self.takes.first(request.scene_id, keys)
        return (None, self._why_none(shown, keys)) if found is None else (found.picture, "")

    def _why_none(self, request: PictureRequest, keys: Keys) -> str:
        """Return why a scene that others show, and that has no picture, would have none."""
        prospect = None if self.forecast is None else self.forecast.prospects(request, keys)[0]
        if prospect is None or prospect is Reuse.REUSE:  # a run has yet to take it in
            return ""
        if prospect is Reuse.UNDECIDED:
            return "waits for a decision, as it may have been paid for"
        unsendable = self._why_not_made(request)
        return "" if unsendable is None else f"would not be made: {unsendable}"


def _way(circle: Sequence[str]) -> str:
    """Say how a circle goes round, with its first scenes where it is a large one."""
    more = len(circle) - MOST_OF_A_CIRCLE
    between = [f"{more:,} more"] if more > 0 else []
    return " -> ".join([*circle[:MOST_OF_A_CIRCLE], *between, circle[0]])


def _referred(request: PictureRequest) -> tuple[str, ...]:
    """Return the scenes and sheets that a request shows."""
    return tuple(one for wish in request.wishes if (one := wish.scene_id) is not None)
