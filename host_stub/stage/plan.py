"""The plan of a run: what it would make, find again and cost, before anything is spent.

The stage is opened and asked with the very request that a run would make. Apart from the run,
because nothing is written here: no folder, no journal, no manifest; a plan can be made where
results cannot. What no plugin knows stays unknown and is never called zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Final, Self

from host_stub.contract import ImageRequest, ImageStage, PlannedStep, StagePlan
from host_stub.decisions.apply import Applied
from host_stub.decisions.merge import Merged
from host_stub.errors import ContractViolation, PluginError
from host_stub.plugins.selection import SelectedPlugin
from host_stub.scenes.asked import AskedScenes
from host_stub.scenes.file import SceneFile
from host_stub.scenes.shard import from_its_part
from host_stub.stage.asking import (
    RunOptions,
    check_options,
    for_drafts,
    guest_line,
    image_request,
    is_asked_for,
    new_run_id,
    scenes_asked_for,
    story_of,
)
from host_stub.stage.directing import decided, direct
from host_stub.stage.preflight import ask
from host_stub.stage.scene_plans import route_lines, routes_as_json, scene_lines, scenes_as_json
from host_stub.stage.stage_warnings import each_once, warnings_of
from host_stub.stage.survey import survey_ahead
from host_stub.standing.standing import SceneStanding, surveys
from host_stub.standing.story_state import StaleScene, StoryState
from host_stub.story.book import SaidPrompt
from host_stub.story.keeper import Story
from host_stub.text.escape import escaped
from host_stub.text.format import (
    BEHIND_A_RUN,
    BEYOND_A_CAP,
    counted,
    dollars,
    duration,
    how_to_settle,
)

_MOST_STEPS: Final = 20
_MOST_STALE: Final = 20
_LONGEST_STEP: Final = 300
_LONGEST_NAME: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDecisions:
    """What decisions come to that a run would obey before its first request.

    Attributes:
        applied: What is obeyed, and what is not.
        cost_usd: What they add to the most that the run can cost; less than nothing where they
            want fewer takes. ``None`` if a price is not known.
    """

    applied: Applied
    cost_usd: Decimal | None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"decisions_cost_usd": _money(self.cost_usd), **self.applied.as_json()}

    def price_line(self) -> str:
        """Say what they cost."""
        if self.cost_usd is not None and self.cost_usd < 0:
            return f"the decisions save {dollars(-self.cost_usd)} of what it would cost without"
        return f"of that for the decisions: {_at_most(self.cost_usd)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What a run would do, as its plugin reports it.

    Attributes:
        plugin: The image plugin's name in the config.
        source: Its distribution and version.
        scenes: How many scenes are asked for.
        max_cost_usd: The cap that was given for this run.
        stage: What the plugin answered.
        price_settings: The plugin's settings that could set a price.
        settling: How a person decides what became of unknown outcomes.
        warnings: What a person should know before spending, as opening and planning found it.
        state: How the scenes stand that are asked for; ``None`` for drafts, which change nothing.
        stale: Those of them that would be made anew, sheets among them.
        is_surveyed: The plugin told how they stand; else the host speaks for it.
        decided: What the decisions come to that are obeyed first; ``None`` without any.
    """

    plugin: str
    source: str
    scenes: int
    max_cost_usd: Decimal | None
    stage: StagePlan
    price_settings: tuple[str, ...]
    settling: str
    warnings: tuple[str, ...] = ()
    state: StoryState | None = None
    stale: tuple[StaleScene, ...] = ()
    is_surveyed: bool = False
    decided: PlannedDecisions | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON values; money is a decimal string, unknown is ``null``."""
        stage = self.stage
        return {
            "plugin": self.plugin,
            "source": self.source,
            "scenes": self.scenes,
            "make": stage.make,
            "reused": stage.reused,
            "pending": stage.pending,
            "held": stage.held,
            "busy": stage.busy,
            "refused": stage.refused,
            "unsendable": stage.unsendable,
            "cost_low_usd": _money(stage.cost_low_usd),
            "cost_high_usd": _money(stage.cost_high_usd),
            "cost_worst_usd": _money(stage.cost_worst_usd),
            "steps": [_step(one) for one in stage.steps],
            "expected_s": stage.expected_s,
            "day_spent_usd": {name: _money(usd) for name, usd in stage.day_spent_usd.items()},
            **scenes_as_json(stage),
            **self._standings(),
            "routes": routes_as_json(stage.routes),
            "max_cost_usd": _money(self.max_cost_usd),
            "notes": list(self._notes()),
            "warnings": list(self.warnings),
            **({} if self.decided is None else self.decided.as_json()),
        }

    def as_lines(self) -> Iterator[str]:
        """Return the plan for people, line by line."""
        stage = self.stage
        yield f"plan for {counted(self.scenes, 'scene')} with {self.plugin} ({self.source}):"
        yield from () if self.decided is None else self.decided.applied.as_lines()
        sheets = f", {stage.sheets} of them {_sheets(stage.sheets)}" if stage.sheets else ""
        yield f"  {stage.make} to make{sheets}"
        yield from self._anew()
        yield from route_lines(stage.routes)
        rows = (
            (stage.reused, "reused, nothing is paid for those"),
            (stage.pending, "pending, bought and not here yet: asked for again, for nothing"),
            (stage.held, "held, what became of an earlier request is unknown"),
            (stage.busy, "busy, in flight in another run"),
            (stage.refused, "left out by a cap"),
            (stage.unsendable, "rejected before anything is sent"),
            (self._unplanned(), "the plugin tells nothing about"),
        )
        yield from (f"  {number} {kind}" for number, kind in rows if number > 0)
        yield from scene_lines(stage)
        yield f"cost: {_between(stage.cost_low_usd, stage.cost_high_usd)}{self._cap()}"
        yield from () if self.decided is None else (self.decided.price_line(),)
        yield from self._worst_way()
        if stage.make:
            yield f"expected time: {_time(stage.expected_s)}"
        if stage.day_spent_usd:
            spent = (f"{name} {dollars(usd)}" for name, usd in sorted(stage.day_spent_usd.items()))
            yield f"spent today: {', '.join(spent)}"
        yield from self._notes()
        yield from (f"warning: {warning}" for warning in self.warnings)
        yield "nothing was sent, spent or written"

    def _anew(self) -> Iterator[str]:
        """Say what there is a picture of that would be made all the same, why, and for how much."""
        told = self.stage.stale
        anew = None if self.state is None else self.state.anew_in_words()
        if anew is None and told:
            yield f"  {told} of them stale: there is a picture, made with other references"
        if anew is not None:
            yield f"  {len(self.stale)} of them stale: {anew}"
        yield from (f"    {one}" for one in self.stale[:_MOST_STALE])
        if len(self.stale) > _MOST_STALE:
            yield f"    and {len(self.stale) - _MOST_STALE} more; --json has all of them"

    def _standings(self) -> dict[str, Any]:
        """Return how the scenes stand as plain JSON values."""
        told = {"stale": len(self.stale)} if self.is_surveyed else {}
        if self.state is None:
            return told
        return told | {
            "stale_reasons": dict(self.state.reasons.most_common()),
            "stale_scenes": [one.as_json() for one in self.stale],
            "story": self.state.as_json(),
        }

    def _worst_way(self) -> Iterator[str]:
        """Say what scenes may go through, and what that costs if every step is billed."""
        stage = self.stage
        if not stage.steps:
            return
        yield f"the worst way, if each of these is billed: {_at_most(stage.cost_worst_usd)}"
        for number, one in enumerate(stage.steps[:_MOST_STEPS], start=1):
            words = f", other words {one.prompt}" if one.prompt else ""
            left_out = f"; left out: {', '.join(one.dropped)}" if one.dropped else ""
            who = f"{one.provider} {one.model or ''}".rstrip()
            scenes = counted(one.scenes, "scene")
            line = f"{number}. {who}{words}: {scenes}, {_at_most(one.cost_high_usd)}{left_out}"
            yield f"  {escaped(line, limit=_LONGEST_STEP)}"
        if len(stage.steps) > _MOST_STEPS:
            yield f"  and {len(stage.steps) - _MOST_STEPS} more; --json has all of them"

    def _notes(self) -> Iterator[str]:
        """Say what a person may want to do before the run."""
        stage = self.stage
        if None in (stage.cost_low_usd, stage.cost_high_usd):
            names = " or ".join(self.price_settings)
            remedy = f"set {names} under [plugin.{self.plugin}]" if names else "no setting tells it"
            yield f"not every price is known: {remedy}"
        if stage.held:
            count = counted(stage.held, "scene waits", "scenes wait")
            yield f"{count} for a decision, money may be spent: {self.settling}"
        if stage.busy:
            count = counted(stage.busy, "scene is", "scenes are")
            yield f"{count} in flight in another run: {BEHIND_A_RUN}"
        if stage.refused:
            count = counted(stage.refused, "scene does", "scenes do")
            yield f"{count} not fit under a cap: {BEYOND_A_CAP}"

    def _cap(self) -> str:
        cap_usd = self.max_cost_usd
        return "" if cap_usd is None else f" (this run may spend {dollars(cap_usd)})"

    def _unplanned(self) -> int:
        stage = self.stage
        will_not = stage.held + stage.busy + stage.refused + stage.unsendable
        return self.scenes + stage.sheets - stage.make - stage.reused - stage.pending - will_not


def plan_pipeline(
    plugin: SelectedPlugin, options: RunOptions, *, backend: str = "asyncio"
) -> RunPlan:
    """Ask a plugin what a run would do and cost; blocks until it has answered.

    Args:
        plugin: Would make the pictures.
        options: What the run would be asked to do.
        backend: anyio's event loop: ``asyncio`` or ``trio``.

    Raises:
        SceneFileError: The scene file cannot be used.
        UsageError: A scene was asked for that is not there.
        PluginError: The plugin makes no plans, or its answer is none.
        StageFailed: The stage could not be opened, or its plan cannot be made.
    """
    check_options(options, plugin)
    merged = decided(options.decisions) if options.decisions else None
    if not plugin.description.capabilities.plans:
        raise PluginError(
            plugin.name,
            plugin.source,
            "cannot tell what a run would make and cost",
            hint="'host-stub run' with '--limit 1' makes one scene, and tells what it cost",
        )
    if options.is_draft:
        plugin = for_drafts(plugin)
    # On a copy, where decisions can be obeyed: so the plan is that of the run which obeys them.
    with Story.copied(plugin.services.project_dir, options.out_dir) as story:
        is_beside = options.is_guest and any(story.book.scenes())
        found = [guest_line(plugin.name)] if is_beside else []
        first = _Question.about(plugin, options, story)
        answered = ask(plugin, partial(_answered, first, merged), backend=backend)
    question, answer = answered.question, answered.answer
    return RunPlan(
        plugin=plugin.name,
        source=plugin.source,
        scenes=question.asked,
        max_cost_usd=options.max_cost_usd,
        stage=answer,
        price_settings=tuple(
            name for name in plugin.description.settings.model_fields if "price" in name
        ),
        settling=how_to_settle(plugin.name, resumes=plugin.description.capabilities.resumes),
        warnings=each_once([*found, *question.warnings, *answer.warnings]),
        state=None if options.is_draft else question.state,
        stale=tuple(question.stale),
        is_surveyed=question.is_surveyed,
        decided=answered.decided,
    )


@dataclass(frozen=True, slots=True)
class _Answered:
    question: _Question
    answer: StagePlan
    decided: PlannedDecisions | None = None


async def _answered(first: _Question, merged: Merged | None, stage: ImageStage) -> _Answered:
    """Ask an open stage for the plan, and with decisions once more when they are obeyed."""
    before = await first.ask(stage)
    if merged is None:
        return _Answered(first, before)
    plugin, options, story = first.plugin, first.options, first.story
    applied = await direct(merged, plugin, stage, options, story, run_id=new_run_id(plugin))
    question = _Question.about(plugin, options, story)
    after = await question.ask(stage)
    cost_usd = None
    if before.cost_high_usd is not None and after.cost_high_usd is not None:
        cost_usd = after.cost_high_usd - before.cost_high_usd
    return _Answered(question, after, PlannedDecisions(applied=applied, cost_usd=cost_usd))


@dataclass(slots=True)
class _Question:
    """Asks an open stage how its scenes stand, and then for the plan of what a run would ask.

    Attributes:
        asked: How many scenes that are.
        warnings: What opening the stage found.
        state: How the scenes stand.
        stale: Those that would be made anew.
        is_surveyed: The plugin told how they stand.
    """

    plugin: SelectedPlugin
    options: RunOptions
    scenes: SceneFile
    story: Story
    said: Mapping[str, SaidPrompt]
    asked: int = 0
    warnings: tuple[str, ...] = ()
    state: StoryState = field(default_factory=StoryState)
    stale: list[StaleScene] = field(default_factory=list[StaleScene])
    is_surveyed: bool = False

    @classmethod
    def about(cls, plugin: SelectedPlugin, options: RunOptions, story: Story) -> Self:
        """Make a question about the scenes that are asked for, as the book has them now."""
        said = story.book.said_prompts()
        return cls(plugin, options, scenes_asked_for(options, said), story, said)

    async def ask(self, stage: ImageStage) -> StagePlan:
        """Return the plan."""
        self.warnings = warnings_of(stage)
        scenes = self.scenes if self.options.is_draft else await self._left(stage)
        self.asked = len(scenes)
        if not self.asked:
            free = Decimal(0)
            return StagePlan(make=0, cost_low_usd=free, cost_high_usd=free)
        in_its_order = from_its_part(scenes, self.options.shard)
        answer = await stage.plan(self._request(in_its_order))
        if not isinstance(answer, StagePlan):  # pyright: ignore[reportUnnecessaryIsInstance] - plugins need not be typed
            plugin = self.plugin
            problem = f"plan() returned {type(answer).__name__}, not StagePlan"
            raise ContractViolation(plugin.name, "plan.told", problem, source=plugin.source)
        return answer

    async def _left(self, stage: ImageStage) -> SceneFile:
        """Return the scenes that a run would ask its plugin for."""
        kept = bytearray(len(self.scenes))

        def take(standing: SceneStanding) -> None:
            if standing.position is not None:
                kept[standing.position] = is_asked_for(standing, self.options.only)
                if not kept[standing.position]:
                    return
            self.state.add(standing)
            stale = StaleScene.of(standing)
            if stale is not None:
                self.stale.append(stale)

        self.is_surveyed = surveys(self.plugin, stage)
        await survey_ahead(
            self.plugin,
            stage,
            self._request(self.scenes),
            self.story,
            take,
            scenes=self.scenes,
            least=self.options.takes or 1,
            is_guest=self.options.is_guest,
        )
        return AskedScenes(self.scenes, kept=kept)

    def _request(self, scenes: SceneFile) -> ImageRequest:
        options = self.options
        return image_request(
            self.plugin,
            options,
            scenes,
            new_run_id(self.plugin),
            story=story_of(options, self.scenes, self.said),
            desk=self.story,
        )


def _step(one: PlannedStep) -> dict[str, Any]:
    return one.model_dump(mode="json") | {"cost_high_usd": _money(one.cost_high_usd)}


def _at_most(usd: Decimal | None) -> str:
    return "unknown" if usd is None else f"at most {dollars(usd)}"


def _sheets(number: int) -> str:
    return "a sheet" if number == 1 else "sheets"


def _time(expected_s: float | None) -> str:
    """Word an expected time; below a second it is no finer, since starting takes as long."""
    if expected_s is None:
        return "unknown"
    return "under a second" if expected_s < 1 else f"about {duration(expected_s)}"


def _between(low_usd: Decimal | None, high_usd: Decimal | None) -> str:
    """Say a range of money whose ends may be unknown."""
    if low_usd is None and high_usd is None:
        return "unknown"
    if low_usd is None:
        return f"at most {dollars(high_usd)}"
    if high_usd is None:
        return f"at least {dollars(low_usd)}"
    low, high = dollars(low_usd), dollars(high_usd)
    return low if low == high else f"{low} to {high}"


def _money(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd:f}"
