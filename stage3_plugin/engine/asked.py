"""The pictures that one run or plan is asked for: the sheets its scenes need, then its scenes.

Apart from the stage, which opens what it takes to know them. By which lane each is bought is said
here, too: by the scene's own, else the run's, else the settings'. A provider without a batch lane
is found before anything is sent. What is drawn here comes at once and for nothing, so that no lane
means anything: that is said, and hinders nothing, since the same story is drawn first and bought
later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final

from host_stub.contract import ImageRequest, Lane, Scene, SceneSource
from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.domain.reference import wishes_of
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.engine.showing.casting import Casting
from stage3_plugin.engine.showing.references import SceneReferences, Unshown
from stage3_plugin.engine.steps import Steps
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.settings import Settings

_LONGEST_ID: Final = 80
MOST_HELD = 2_000
"""Scenes of a story whose requests are held: one pass makes them for those that follow."""


def request_for(
    scene: Scene,
    settings: Settings,
    casting: Casting | None = None,
    *,
    lane: Lane | None = None,
) -> PictureRequest:
    """Put a scene's own wishes and the settings together.

    Args:
        scene: What a caller wants.
        settings: What holds where the scene says nothing.
        casting: What its characters look like.
        lane: How pictures are bought of which the scene does not say it, instead of the settings'.
    """
    width_px, height_px = settings.default_size_px
    return PictureRequest(
        scene_id=scene.scene_id,
        prompt=scene.prompt,
        negative_prompt=scene.negative_prompt or None,
        width_px=scene.width or width_px,
        height_px=scene.height or height_px,
        quality=scene.quality or settings.quality,
        output_format=settings.output_format,
        background=settings.background,
        model=scene.model or settings.model or "",
        provider=settings.provider,
        seed=settings.seed if scene.seed is None else scene.seed,
        references=scene.references,
        wishes=wishes_of(scene) if casting is None else casting.wishes_of(scene),
        labels=settings.reference_labels,
        characters=scene.characters,
        style_tags=scene.style_tags,
        extra=scene.extra,
        if_refused=scene.if_refused,
        takes=scene.takes,
        lane=scene.lane or lane or settings.lane,
    )


def draft_for(scene: Scene, settings: Settings) -> PictureRequest:
    """Return a scene's draft: its words and its frame, and nothing that a drawing has no use for.

    So it stays the same where only that changes.
    """
    return replace(
        request_for(scene, settings),
        negative_prompt=None,
        quality=settings.quality,
        model=settings.model or "",
        references=(),
        wishes=(),
        if_refused=(),
        is_draft=True,
        lane="ordinary",
    )


class Lanes:
    """The lanes of one run, plan or look.

    Args:
        settings: What the user wants.
        route: The first one; those behind it have no other lane than the ordinary one.
        lane: What holds instead of the settings' lane where a scene says none.
        buys: What is asked for is bought, or planned; a mere look refuses no scene's lane.
    """

    def __init__(
        self, settings: Settings, route: Route, lane: Lane | None, *, buys: bool = True
    ) -> None:
        self._buys = buys
        self._route = route
        self.lane: Lane = lane or settings.lane
        self._is_unused = route.is_here and self.lane == "batch"

    @property
    def needs_look(self) -> bool:
        """Return whether a scene's own lane may be one that there is not."""
        return self._buys and self._route.batch is None and not self._route.is_here

    def warnings_but(self, said: Collection[str]) -> tuple[Warned, ...]:
        """Say that a batch was asked for where nobody is paid; as far as scenes were seen."""
        if not self._is_unused:
            return ()
        unused = f"a lane is set, and {self._provider!r} has no use for it"
        line = coded("lane_unused", f"{unused}: its pictures come at once, and for nothing")
        return () if line in said else (line,)

    def check(self) -> None:
        """Refuse a lane that the provider does not have.

        Raises:
            SettingsRefused: It has no batch lane, and one is asked for.
        """
        if self.lane == "batch" and self.needs_look:
            raise SettingsRefused(
                "lane",
                f"provider {self._provider!r} has no batch lane",
                hint=f"leave the lane out, or name a provider that has one: {_who_has_one()}",
            )

    def need(self, request: PictureRequest) -> None:
        """Refuse a scene's own lane, if the provider does not have it.

        Raises:
            SettingsRefused: It has no batch lane, and this scene asks for one.
        """
        if request.lane == "batch" and self.needs_look:
            scene_id = request.scene_id[:_LONGEST_ID]
            raise SettingsRefused(
                "lane",
                f"scene {scene_id!r} is to be bought in a batch, and provider {self._provider!r} "
                "has no batch lane",
                hint="take the lane out of the scene file, or name a provider that has one: "
                f"{_who_has_one()}",
            )

    def of(self, request: PictureRequest) -> PictureRequest:
        """Return a request in its lane: the ordinary one where there is no other."""
        if request.lane == "ordinary" or self._route.batch is not None:
            return request
        if self._route.is_here:
            self._is_unused = True
        return request if self.needs_look else replace(request, lane="ordinary")

    @property
    def _provider(self) -> str:
        return self._route.endpoint.provider


def _who_has_one() -> str:
    from stage3_plugin.providers.registry import in_batches  # noqa: PLC0415 - imports them all

    return ", ".join(in_batches())


class Requests:
    """A story as picture requests; a long one is read anew at every pass.

    Args:
        story: The scenes.
        request_of: Returns a scene's request.
    """

    def __init__(self, story: SceneSource, request_of: Callable[[Scene], PictureRequest]) -> None:
        self._story = story
        self._request_of = request_of
        self._held: list[PictureRequest] | None = None

    def __iter__(self) -> Iterator[PictureRequest]:
        if self._held is not None:
            yield from self._held
            return
        made, is_short = list[PictureRequest](), len(self._story) <= MOST_HELD
        for request in map(self._request_of, self._story):
            if is_short:
                made.append(request)
            yield request
        if is_short:
            self._held = made


@dataclass(eq=False, repr=False)
class Asked:
    """What is asked for; iterated, it yields what is known of each before any is made.

    Args:
        request: The scenes, and what is wanted of them.
        settings: What the user wants.
        steps: Know how each is asked for.
        buys: As in :class:`Lanes`.

    Attributes:
        casting: The cast.
        scenes_dir: Where their references start.
        lanes: Say how each is bought.
        steps: The same.
        scenes: The scenes without the sheets, as they are named.
        whole_story: Likewise, all of the file.
        shows_any: Whether any of them may show the model anything.
        references: What they show it; nothing before that is known.
        told: What a person should know of that.
        told_beside_scenes: Of this, what a plan does not say of each scene.
    """

    request: ImageRequest
    settings: Settings
    steps: Steps
    buys: bool

    def __post_init__(self) -> None:
        request, steps = self.request, self.steps
        self.casting = Casting(self.settings.cast)
        self.lanes = Lanes(self.settings, steps.routes[0], request.lane, buys=self.buys)
        self.scenes = self.whole_story = Requests(request.scenes, self._request_of)
        if request.story is not None:
            self.whole_story = Requests(request.story, self._request_of)
        self.scenes_dir = request.scenes_dir or Path()
        self.shows_any = False
        self.references = SceneReferences(None, steps.limits_of)
        self.told: tuple[Warned, ...] = ()
        self.told_beside_scenes: tuple[Warned, ...] = ()

    def _request_of(self, scene: Scene) -> PictureRequest:
        if self.request.draft:
            return draft_for(scene, self.settings)
        return self._in_its_lane(scene, self.casting)

    def _in_its_lane(self, scene: Scene, casting: Casting | None) -> PictureRequest:
        lanes = self.lanes
        return lanes.of(request_for(scene, self.settings, casting, lane=lanes.lane))

    @property
    def all_sheets(self) -> dict[str, PictureRequest]:
        """Return the sheets of the whole cast, by their ids."""
        return {
            cast_id: replace(self._in_its_lane(sheet, None), is_sheet=True)
            for cast_id, sheet in self.casting.sheets.items()
        }

    def named(self) -> Iterator[PictureRequest]:
        """Yield sheets and scenes, with their references as they are named."""
        return chain(self.references.sheets, self.scenes)

    def looked_at(self) -> Iterator[PictureRequest]:
        """Yield likewise, with those sheets that no scene can be shown now."""
        return chain(self.references.named_sheets, self.scenes)

    def __iter__(self) -> Iterator[PictureRequest]:
        for request in self.named():
            shown = self.references.show(request)
            yield request if isinstance(shown, Unshown) else shown

    def to_be_made(self) -> Iterator[PictureRequest]:
        """Yield likewise, without those that cannot show what they name."""
        for request in self:
            if request.shown or not self.references.shows(request):
                yield request

    def wanted_of(self, request: PictureRequest, basis: str) -> int:
        """Return how many pictures are wanted of what a request is made from; 0 if nobody said."""
        wanted = self.request.wanted
        said = () if wanted is None or request.is_draft else wanted(request.scene_id)
        return max((one.takes for one in said if one.basis == basis), default=0)
