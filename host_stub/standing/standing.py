"""How each scene of a story stands: current, stale and why, missing, held, or on its way.

Nothing of this is stored. It is computed, whenever somebody asks, from what the plugin says a scene
would be made from now and from the takes that there are. A run, a plan, the manifest, ``status``
and the page all ask here, so that they say the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

from host_stub.contract import (
    MOST_TAKES,
    ImageRequest,
    ImageStage,
    Role,
    Scene,
    SceneSource,
    SceneSurvey,
    StaleReason,
    WantedTakes,
)
from host_stub.errors import ContractViolation
from host_stub.plugins.selection import SelectedPlugin
from host_stub.story.book import Noted, Wanted
from host_stub.story.known_takes import together
from host_stub.story.takes import Take, is_current, shown_of

State: TypeAlias = Literal["current", "stale", "missing", "held", "pending"]
STATES: Final[tuple[State, ...]] = get_args(State)

MOST_OFF: Final = 0.02
"""How far a picture's aspect may be from the one that was asked for."""
_REASONS: Final[tuple[StaleReason, ...]] = get_args(StaleReason)
_NOT_TOLD: Final = 80
SCENES_AT_ONCE: Final = 256
"""Scenes whose notes are read together."""


class Notes(Protocol):
    """What is noted of a story; :class:`host_stub.story.book.Book` is one."""

    def noted(self, scene_ids: Collection[str], /) -> Mapping[str, Noted]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneStanding:
    """How one scene, or sheet, stands.

    Attributes:
        scene_id: Its id.
        role: Which of the two.
        position: Its place among the scenes asked about, from 0; ``None`` for a sheet.
        scene: What its file says; ``None`` for a sheet.
        state: ``current`` if a take is what would be made now; ``stale`` if there is one and it is
            not; ``held`` or ``pending`` if none is current and a request is in doubt, or on its
            way; else ``missing``.
        reasons: What is another since a stale one was made.
        wrong_aspect: What it shows has another shape than was asked for.
        shown: The take that it shows.
        due: The take that the next run shows, if it makes nothing.
        takes: All of them, in their order; drafts, rejected and imported ones too.
        wanted: How many takes of its present basis are wanted.
        asked_for: How many of them a person asked for by a re-roll or a decision; 0 if nobody did.
        basis: What it would be made from; ``None`` while a picture that it needs is to be made.
        size: The size that would be asked for, ``WIDTHxHEIGHT``.
        cost_usd: The most that one more picture of it can cost; ``None`` if that is not known.
        problem: Why it would not be made.
        waits_for: Scenes and sheets whose pictures it would need first.
        lost: How many pictures of its present basis were paid for and never came.
        known: How many takes the plugin knows of it.
        forgotten: What takes cost that the plugin made, and does not know any more.
    """

    scene_id: str
    role: Role = "scene"
    position: int | None = None
    scene: Scene | None = None
    state: State
    reasons: tuple[str, ...] = ()
    wrong_aspect: bool = False
    shown: Take | None = None
    due: Take | None = None
    takes: tuple[Take, ...] = ()
    wanted: int = 1
    asked_for: int = 0
    basis: str | None = None
    size: str | None = None
    cost_usd: Decimal | None = None
    problem: str | None = None
    waits_for: tuple[str, ...] = ()
    lost: int = 0
    known: int = 0
    forgotten: tuple[Decimal | None, ...] = ()

    @property
    def made(self) -> int:
        """Count the takes of its present basis that were made: no drafts, no imports."""
        return sum(is_current(take, self.basis) and not take.is_import for take in self.takes)

    @property
    def to_make(self) -> int:
        """Count the pictures that a run would make of it.

        An import that is shown and current stands for the one picture that every scene wants, but
        for none that a person asked for.
        """
        stands_in = self.due is not None and self.due.is_import and is_current(self.due, self.basis)
        if stands_in and self.wanted <= 1 and not self.asked_for:
            return 0
        return max(0, self.wanted - self.made)


def standing_of(
    survey: SceneSurvey,
    scene: Scene | None,
    takes: Sequence[Take],
    *,
    plugin: str,
    position: int | None = None,
    pick: int | None = None,
    shown: int | None = None,
    wants: Iterable[WantedTakes | Wanted] = (),
    is_guest: bool = False,
    is_new: bool = False,
) -> SceneStanding:
    """Return how a scene or a sheet stands.

    Args:
        survey: What the plugin says of it.
        scene: What its file says; ``None`` for a sheet.
        takes: Those that are noted.
        plugin: The name of the plugin that would make it.
        position: Its place among the scenes asked about.
        pick: The number of the take that a person picked.
        shown: The number of the take that is shown.
        wants: What was wanted of it, for whichever basis.
        least: So many takes are wanted in any case.
        is_guest: The plugin is not the config's: it shows something only where nothing is shown.
        is_new: The story has no notes yet, or none any more: all that the plugin has is its own.
    """
    all_takes = together(takes, survey, plugin, is_new=is_new)
    basis = survey.basis
    now = next((take for take in all_takes if take.number == shown), None)
    due = now if is_guest and now is not None else None
    due = due or shown_of(all_takes, basis, pick=pick, shown=shown)
    now = now or due
    wants = tuple(wants)
    finished = [
        take
        for take in all_takes
        if not take.is_draft and (not take.is_withdrawn or take in (now, due))
    ]
    last = now if now in finished else next(reversed(finished), None)
    state = _state(survey, finished)
    known = {None, *(one.purchase for one in survey.takes)}
    return SceneStanding(
        scene_id=survey.scene_id,
        role=survey.role,
        position=position,
        scene=scene,
        state=state,
        reasons=() if last is None or state != "stale" else _reasons(last, survey, scene, plugin),
        wrong_aspect=now is not None and is_wrong_aspect(now.width, now.height, survey.size),
        shown=now,
        due=due,
        takes=all_takes,
        wanted=wanted_takes(scene, basis, wants),
        asked_for=max(_said(wants, basis), default=0),
        basis=basis,
        size=survey.size,
        cost_usd=survey.cost_usd,
        problem=survey.problem,
        waits_for=survey.waits_for,
        lost=survey.lost,
        known=len(survey.takes),
        forgotten=tuple(
            take.cost.usd
            for take in takes
            if take.plugin == plugin and take.purchase not in known and take.cost.usd != 0
        ),
    )


def host_basis(scene: Scene, plugin: str) -> str:
    """Return a digest of what a scene would be made from, for a plugin that does not tell."""
    wish = {
        "prompt": scene.prompt,
        "negative_prompt": scene.negative_prompt,
        "width": scene.width,
        "height": scene.height,
        "seed": scene.seed,
        "references": scene.references,
        "reference_details": [one.model_dump() for one in scene.reference_details],
        "model": scene.model,
        "quality": scene.quality,
        "plugin": plugin,
    }
    canonical = json.dumps(wish, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def wanted_takes(
    scene: Scene | None, basis: str | None, wants: Iterable[WantedTakes | Wanted]
) -> int:
    """Return how many takes are wanted of what a scene would be made from now.

    Args:
        scene: What its file says; ``None`` for a sheet.
        basis: What it would be made from.
        wants: What was wanted of it; what was said for another basis says nothing of this one.
    """
    own = 1 if scene is None else scene.takes
    return min(MOST_TAKES, max([own, *_said(wants, basis)]))


def _said(wants: Iterable[WantedTakes | Wanted], basis: str | None) -> list[int]:
    return [want.takes for want in wants if want.basis == basis]


def is_wrong_aspect(width: int, height: int, size: str | None) -> bool:
    """Return whether a picture has another shape than the size that would be asked for."""
    asked_width, cross, asked_height = (size or "").partition("x")
    if not (cross and asked_width.isdecimal() and asked_height.isdecimal()):
        return False
    across, down = int(asked_width) * height, int(asked_height) * width
    return abs(across - down) > MOST_OFF * max(across, down)


def surveys(stage: ImageStage) -> bool:
    """Return whether a plugin says how its scenes stand; else the host speaks for it."""
    return hasattr(stage, "survey")


async def survey_stage(
    plugin: SelectedPlugin,
    stage: ImageStage,
    request: ImageRequest,
    notes: Notes,
    tell: Callable[[SceneStanding], None],
    *,
    is_guest: bool = False,
    is_new: bool = False,
    hear: Callable[[SceneSurvey, Noted], None] | None = None,
) -> None:
    """Have an open stage say what there is, and tell how each scene stands.

    Sheets come as the plugin tells of them, scenes in the order of the request; and what is noted
    is read of some hundred at a time, so that a story of any length needs no memory.

    Args:
        plugin: Whose stage it is.
        stage: It.
        request: What it is asked about.
        notes: What the host knows of the story.
        tell: Called for each sheet and scene.
        is_guest: The plugin is not the config's.
        is_new: The story has no notes yet, or none any more: all that the plugin has is its own.
        hear: Called before each of these, with what the plugin says and what is noted.

    Raises:
        ContractViolation: What it told is no survey of these scenes.
    """

    def stand(
        survey: SceneSurvey, noted: Noted, scene: Scene | None = None, position: int | None = None
    ) -> None:
        if hear is not None:
            hear(survey, noted)
        tell(
            standing_of(
                survey,
                scene,
                noted.takes,
                plugin=plugin.name,
                position=position,
                pick=noted.pick,
                shown=noted.shown,
                wants=noted.wants,
                is_guest=is_guest,
                is_new=is_new,
            )
        )

    if not surveys(stage):
        for position, scene, noted in _with_notes(request.scenes, notes):
            stand(_of_itself(scene, plugin.name), noted, scene, position)
        return
    join = _Join(request.scenes, notes, stand)
    ask: Any = stage
    await ask.survey(request, join.take)
    problem = join.close()
    if problem is not None:
        raise ContractViolation(plugin.name, "survey.told", problem, source=plugin.source)


class _Join:
    """Brings what a plugin tells of scenes together with the scenes, in the scenes' order.

    A plugin that tells in order has nothing kept; what comes too early waits for its turn.
    """

    def __init__(
        self,
        scenes: SceneSource,
        notes: Notes,
        stand: Callable[[SceneSurvey, Noted, Scene | None, int | None], None],
    ) -> None:
        self._notes = notes
        self._scenes = _with_notes(scenes, notes)
        self._next = next(self._scenes, None)
        self._stand = stand
        self._early: dict[str, SceneSurvey] = {}
        self._problem: str | None = None

    def take(self, survey: object) -> None:
        """Take one survey; what is none is noted, since the plugin need not let an error out."""
        if not isinstance(survey, SceneSurvey):
            self._problem = f"told {type(survey).__name__}, not SceneSurvey"
        elif survey.role == "sheet":
            noted = self._notes.noted([survey.scene_id])[survey.scene_id]
            self._stand(survey, noted, None, None)
        elif survey.scene_id in self._early:
            self._problem = f"told twice of scene {_named(survey.scene_id)}"
        else:
            self._early[survey.scene_id] = survey
            self._go_on()

    def close(self) -> str | None:
        """Return what was wrong, if something was."""
        if self._problem is None and self._next is not None:
            self._problem = f"told nothing of scene {_named(self._next[1].scene_id)}"
        if self._problem is None and self._early:
            name = _named(next(iter(self._early)))
            self._problem = f"told of scene {name}, which was not asked for, or told of it twice"
        return self._problem

    def _go_on(self) -> None:
        while self._next is not None:
            position, scene, noted = self._next
            survey = self._early.pop(scene.scene_id, None)
            if survey is None:
                return
            self._stand(survey, noted, scene, position)
            self._next = next(self._scenes, None)


def _with_notes(scenes: SceneSource, notes: Notes) -> Iterator[tuple[int, Scene, Noted]]:
    """Yield scenes with their places, and what is noted of each when its group is come to."""
    numbered = enumerate(scenes)
    while group := list(islice(numbered, SCENES_AT_ONCE)):
        noted = notes.noted([scene.scene_id for _, scene in group])
        yield from ((position, scene, noted[scene.scene_id]) for position, scene in group)


def _named(scene_id: str) -> str:
    return json.dumps(scene_id[:_NOT_TOLD])


def _of_itself(scene: Scene, plugin: str) -> SceneSurvey:
    """Say of a scene what the host knows without its plugin."""
    size = None if scene.width is None else f"{scene.width}x{scene.height}"
    return SceneSurvey(scene_id=scene.scene_id, basis=host_basis(scene, plugin), size=size)


def _state(survey: SceneSurvey, finished: Sequence[Take]) -> State:
    if any(is_current(take, survey.basis) for take in finished):
        return "current"
    if survey.held:
        return "held"
    if survey.pending:
        return "pending"
    return "stale" if finished else "missing"


def _reasons(shown: Take, survey: SceneSurvey, scene: Scene | None, plugin: str) -> tuple[str, ...]:
    """Say what is another since a take was made: as the plugin says, or as the take's row does."""
    told: set[str] = set()
    for known in survey.takes:
        is_it = shown.plugin == plugin and known.purchase == shown.purchase
        is_like_it = known.basis is not None and known.basis == shown.basis
        if is_it or is_like_it:
            told.update(known.stale)
    if not told:
        told = _seen(shown, survey, scene, plugin)
    return tuple(reason for reason in _REASONS if reason in told) or ("settings",)


def _seen(shown: Take, survey: SceneSurvey, scene: Scene | None, plugin: str) -> set[str]:
    told: set[str] = set()
    params: Any = shown.row.get("generation_params")
    prompt: object = params.get("prompt") if isinstance(params, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - a row is JSON
    if scene is not None and isinstance(prompt, str) and prompt != scene.prompt:
        told.add("prompt")
    if shown.plugin not in {None, plugin} or (
        None not in (shown.model, survey.model) and shown.model != survey.model
    ):
        told.add("model")
    if is_wrong_aspect(shown.width, shown.height, survey.size):
        told.add("size")
    if not told and survey.basis is None and survey.waits_for:
        told.add("sheet")
    return told
