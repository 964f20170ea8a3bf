"""The plan of a run: what it would make, find again and cost, before anything is spent.

The stage is opened and asked with the very request that a run would make. Apart from the run,
because nothing is written here: no folder, no journal, no manifest; a plan can be made where
results cannot. What no plugin knows stays unknown and is never called zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from host_stub.contract import ImageStage, PlannedStep, StagePlan
from host_stub.errors import ContractViolation, PluginError
from host_stub.plugins.selection import SelectedPlugin
from host_stub.run.earlier_pictures import earlier_pictures
from host_stub.run.pipeline import RunOptions, image_request, new_run_id, scenes_asked_for
from host_stub.run.preflight import ask
from host_stub.run.scene_plans import route_lines, routes_as_json, scene_lines, scenes_as_json
from host_stub.run.stage_warnings import each_once, warnings_of
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
_LONGEST_STEP: Final = 300


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
    """

    plugin: str
    source: str
    scenes: int
    max_cost_usd: Decimal | None
    stage: StagePlan
    price_settings: tuple[str, ...]
    settling: str
    warnings: tuple[str, ...] = ()

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
            "routes": routes_as_json(stage.routes),
            "max_cost_usd": _money(self.max_cost_usd),
            "notes": list(self._notes()),
            "warnings": list(self.warnings),
        }

    def as_lines(self) -> Iterator[str]:
        """Return the plan for people, line by line."""
        stage = self.stage
        yield f"plan for {counted(self.scenes, 'scene')} with {self.plugin} ({self.source}):"
        sheets = f", {stage.sheets} of them {_sheets(stage.sheets)}" if stage.sheets else ""
        yield f"  {stage.make} to make{sheets}"
        if stage.stale:
            yield f"  {stage.stale} of them stale: there is a picture, made with other references"
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
        yield from self._worst_way()
        if stage.make:
            yield f"expected time: {_time(stage.expected_s)}"
        if stage.day_spent_usd:
            spent = (f"{name} {dollars(usd)}" for name, usd in sorted(stage.day_spent_usd.items()))
            yield f"spent today: {', '.join(spent)}"
        yield from self._notes()
        yield from (f"warning: {warning}" for warning in self.warnings)
        yield "nothing was sent, spent or written"

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
    scenes = scenes_asked_for(options)
    if not plugin.description.capabilities.plans:
        raise PluginError(
            plugin.name,
            plugin.source,
            "cannot tell what a run would make and cost",
            hint="'host-stub run' with '--limit 1' makes one scene, and tells what it cost",
        )
    request = image_request(plugin, options, scenes, new_run_id(plugin))

    found = list(earlier_pictures(options.out_dir, plugin.name))

    async def question(stage: ImageStage) -> StagePlan:
        found.extend(warnings_of(stage))
        answer = await stage.plan(request)
        if not isinstance(answer, StagePlan):  # pyright: ignore[reportUnnecessaryIsInstance] - plugins need not be typed
            problem = f"plan() returned {type(answer).__name__}, not StagePlan"
            raise ContractViolation(plugin.name, "plan.told", problem, source=plugin.source)
        return answer

    answer = ask(plugin, question, backend=backend)
    return RunPlan(
        plugin=plugin.name,
        source=plugin.source,
        scenes=len(scenes),
        max_cost_usd=options.max_cost_usd,
        stage=answer,
        price_settings=tuple(
            name for name in plugin.description.settings.model_fields if "price" in name
        ),
        settling=how_to_settle(plugin.name, resumes=plugin.description.capabilities.resumes),
        warnings=each_once([*found, *answer.warnings]),
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
