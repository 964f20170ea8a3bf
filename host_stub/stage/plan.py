"""The plan of a run: what it would make, find again and cost, before anything is spent.

The stage is opened and asked with the very request that a run would make. Apart from the run,
because nothing is written here: no folder, no journal, no manifest; a plan can be made where
results cannot. What no plugin knows stays unknown and is never called zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final

from host_stub.contract import PlannedLanes, PlannedStep, StagePlan
from host_stub.errors import PluginError
from host_stub.plugins.selection import SelectedPlugin
from host_stub.stage.asking import (
    RunOptions,
    check_options,
    for_drafts,
    guest_line,
)
from host_stub.stage.directing import decided
from host_stub.stage.offered import each_once
from host_stub.stage.preflight import ask
from host_stub.stage.question import PlannedDecisions, answered
from host_stub.stage.scene_plans import (
    between,
    lane_lines,
    lanes_as_json,
    names_of,
    route_lines,
    routes_as_json,
    scene_lines,
    scenes_as_json,
    time_in_words,
)
from host_stub.stage.survey import Inquiry
from host_stub.standing.story_state import StaleScene, StoryState
from host_stub.story.keeper import Story
from host_stub.text.escape import escaped
from host_stub.text.format import (
    BEHIND_A_RUN,
    BEYOND_A_CAP,
    coded,
    counted,
    dollars,
    exact,
    how_to_settle,
)

FORMAT: Final = "stage3-plan/1"
_MOST_STEPS: Final = 20
_MOST_STALE: Final = 20
_LONGEST_STEP: Final = 300
_LONGEST_NAME: Final = 80


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
        confirm: The hash that stands for what would be bought; see
            :mod:`host_stub.stage.confirming`. ``None`` if nobody can confirm it.
        unconfirmable: Why, if so.
        whole_usd: The cap that would leave nothing out, where that of this run does.
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
    confirm: str | None = None
    unconfirmable: str | None = None
    whole_usd: Decimal | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON values; money is a decimal string, unknown is ``null``."""
        stage = self.stage
        return {
            "format": FORMAT,
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
            "cost_low_usd": exact(stage.cost_low_usd),
            "cost_high_usd": exact(stage.cost_high_usd),
            "cost_worst_usd": exact(stage.cost_worst_usd),
            "steps": [_step(one) for one in stage.steps],
            "expected_s": stage.expected_s,
            "lanes": lanes_as_json(stage.lanes),
            "day_spent_usd": {name: exact(usd) for name, usd in stage.day_spent_usd.items()},
            **scenes_as_json(stage),
            **self._standings(),
            "routes": routes_as_json(stage.routes),
            "max_cost_usd": exact(self.max_cost_usd),
            "confirm": self.confirm,
            "unconfirmable": self.unconfirmable,
            "notes": list(self._notes()),
            "warnings": list(self.warnings),
            **({} if self.decided is None else _decided_json(self.decided)),
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
        yield f"cost: {between(stage.cost_low_usd, stage.cost_high_usd)}{self._cap()}"
        yield from () if self.decided is None else (_price_line(self.decided),)
        yield from self._worst_way()
        is_for_a_batch = stage.lanes is not None and _goes_by_a_batch(stage.lanes)
        if stage.make and not is_for_a_batch:
            yield f"expected time: {time_in_words(stage.expected_s)}"
        if stage.make and stage.lanes is not None:
            yield from lane_lines(stage.lanes, left_out=stage.refused)
        if stage.day_spent_usd:
            spent = (f"{name} {dollars(usd)}" for name, usd in sorted(stage.day_spent_usd.items()))
            yield f"held and spent today: {', '.join(spent)}"
        yield from self._notes()
        yield from (f"warning: {warning}" for warning in self.warnings)
        yield "nothing was sent, spent or written"

    def _anew(self) -> Iterator[str]:
        """Say what there is a picture of that would be made all the same, why, and for how much."""
        told = self.stage.stale
        remade = None if self.state is None else self.state.remade_in_words()
        if remade is None and told:
            yield f"  {told} of them stale: there is a picture, made with other references"
        if remade is not None:
            yield f"  stale: {remade}"
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
            left_out = [one.scene_id for one in stage.scenes if one.state == "refused"]
            these = f" ({names_of(left_out)})" if left_out else ""
            yield f"{count} not fit under a cap{these}: {BEYOND_A_CAP}"

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
    check_options(options)
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
    lines = (f"{error.problems[0]}; a run needs it" for error in plugin.lacks)
    lacks = [coded("secret_missing", line) for line in lines]
    # On a copy, where decisions can be obeyed: so the plan is that of the run which obeys them.
    with Story.copied(plugin.services.project_dir, options.out_dir) as story:
        is_beside = options.is_guest and any(story.book.scenes())
        beside = [guest_line(plugin.name)] if is_beside else []
        first = Inquiry.about(plugin, options, story)
        found = ask(plugin, partial(answered, first, merged), backend=backend)
    question, answer = found.question, found.answer
    foreseen = found.foreseen
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
        warnings=each_once(
            [*lacks, *beside, *question.state.warnings(), *question.warnings, *answer.warnings]
        ),
        state=None if options.is_draft else question.state,
        stale=tuple(question.stale),
        is_surveyed=question.is_surveyed,
        decided=found.decided,
        confirm=None if foreseen is None else foreseen.hash,
        unconfirmable=found.unconfirmable(),
        whole_usd=None if found.whole is None else found.whole.cost_high_usd,
    )


def _decided_json(decided: PlannedDecisions) -> dict[str, Any]:
    return {"decisions_cost_usd": exact(decided.cost_usd), **decided.applied.as_json()}


def _price_line(decided: PlannedDecisions) -> str:
    if decided.cost_usd is not None and decided.cost_usd < 0:
        return f"the decisions save {dollars(-decided.cost_usd)} of what it would cost without"
    return f"of that for the decisions: {_at_most(decided.cost_usd)}"


def _step(one: PlannedStep) -> dict[str, Any]:
    return one.model_dump(mode="json") | {"cost_high_usd": exact(one.cost_high_usd)}


def _at_most(usd: Decimal | None) -> str:
    return "unknown" if usd is None else f"at most {dollars(usd)}"


def _goes_by_a_batch(lanes: PlannedLanes) -> bool:
    return lanes.batch is not None and lanes.batch.scenes > 0


def _sheets(number: int) -> str:
    return "a sheet" if number == 1 else "sheets"
