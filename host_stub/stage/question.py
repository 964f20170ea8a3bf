"""What is asked of an open stage before a run: how scenes stand, and what would become of them.

A plan and a run that was confirmed ask here, so that what was seen is what is compared. Nothing is
sent, spent or written.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from host_stub.contract import ImageStage, StagePlan
from host_stub.decisions.apply import Applied
from host_stub.decisions.merge import Merged
from host_stub.errors import ContractViolation
from host_stub.scenes.asked import AskedScenes
from host_stub.scenes.file import SceneFile
from host_stub.scenes.shard import from_its_part
from host_stub.stage.asking import is_asked_for
from host_stub.stage.confirming import Foreseen, Wish
from host_stub.stage.directing import direct
from host_stub.stage.offered import warnings_of
from host_stub.stage.survey import Inquiry
from host_stub.standing.standing import SceneStanding, surveys
from host_stub.standing.story_state import StaleScene, StoryState
from host_stub.text.format import counted


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


@dataclass(frozen=True, slots=True, repr=False)  # asyncio may write out what a task returns
class Answered:
    """What an open stage said.

    Attributes:
        question: How the scenes stand.
        answer: The plan.
        decided: What decisions come to; ``None`` without any.
        whole: The plan without a cap for this run, if the cap leaves scenes out and nothing else
            does.
    """

    question: Question
    answer: StagePlan
    decided: PlannedDecisions | None = None
    whole: StagePlan | None = None

    @property
    def foreseen(self) -> Foreseen | None:
        """Return what can be confirmed; see :meth:`unconfirmable`."""
        if self.unconfirmable() is not None:
            return None
        return self.question.foreseen(self.answer)

    def unconfirmable(self) -> str | None:
        """Say why nobody can confirm what would be bought; ``None`` if somebody can."""
        if self.question.asking.options.is_draft:
            return "drafts cost nothing"
        if self.answer.refused:
            count = counted(self.answer.refused, "scene does", "scenes do")
            return f"{count} not fit under a cap"
        if self.answer.cost_high_usd is None:
            return "not every price is known"
        return None


async def answered(asking: Inquiry, merged: Merged | None, stage: ImageStage) -> Answered:
    """Ask an open stage for the plan, and with decisions once more when they are obeyed."""
    first = Question(asking)
    before = await first.ask(stage)
    if merged is None:
        return Answered(first, before, whole=await first.without_cap(stage, before))
    applied = await direct(merged, asking, stage)
    question = Question(Inquiry.about(asking.plugin, asking.options, asking.story))
    after = await question.ask(stage)
    cost_usd = None
    if before.cost_high_usd is not None and after.cost_high_usd is not None:
        cost_usd = after.cost_high_usd - before.cost_high_usd
    return Answered(
        question,
        after,
        PlannedDecisions(applied=applied, cost_usd=cost_usd),
        whole=await question.without_cap(stage, after),
    )


@dataclass(slots=True, repr=False)
class Question:
    """Asks an open stage how its scenes stand, and then for the plan of what a run would ask.

    Attributes:
        asking: What is asked, and about which story.
        asked: How many scenes that are.
        warnings: What opening the stage found.
        state: How the scenes stand.
        stale: Those that would be made anew.
        is_surveyed: The plugin told how they stand.
        wishes: What would be bought of each.
    """

    asking: Inquiry
    asked: int = 0
    warnings: tuple[str, ...] = ()
    state: StoryState = field(default_factory=StoryState)
    stale: list[StaleScene] = field(default_factory=list[StaleScene])
    is_surveyed: bool = False
    wishes: list[Wish] = field(default_factory=list[Wish])

    async def ask(self, stage: ImageStage) -> StagePlan:
        """Return the plan."""
        self.warnings = warnings_of(stage)
        asking = self.asking
        scenes = asking.asked.scenes if asking.options.is_draft else await self._left(stage)
        self.asked = len(scenes)
        if not self.asked:
            free = Decimal(0)
            return StagePlan(make=0, cost_low_usd=free, cost_high_usd=free)
        in_its_order = from_its_part(scenes, asking.options.shard)
        answer = await stage.plan(asking.request(in_its_order))
        if not isinstance(answer, StagePlan):  # pyright: ignore[reportUnnecessaryIsInstance] - plugins need not be typed
            plugin = asking.plugin
            problem = f"plan() returned {type(answer).__name__}, not StagePlan"
            raise ContractViolation(plugin.name, "plan.told", problem, source=plugin.source)
        return answer

    def foreseen(self, answer: StagePlan) -> Foreseen:
        """Return what a run would buy by a plan of this question."""
        return Foreseen.of(self.asking.plugin, self.wishes, answer, lane=self.asking.options.lane)

    async def without_cap(self, stage: ImageStage, answer: StagePlan) -> StagePlan | None:
        """Return the plan without a cap for this run, if that is what leaves scenes out."""
        options = self.asking.options
        if not answer.refused or options.max_cost_usd is None:
            return None
        uncapped = replace(self.asking, options=replace(options, max_cost_usd=None))
        whole = await Question(uncapped).ask(stage)
        return None if whole.refused or whole.cost_high_usd is None else whole

    async def _left(self, stage: ImageStage) -> SceneFile:
        """Return the scenes that a run would ask its plugin for."""
        scenes = self.asking.asked.scenes
        kept = bytearray(len(scenes))

        def take(standing: SceneStanding) -> None:
            if standing.position is not None:
                kept[standing.position] = is_asked_for(standing, self.asking.options.only)
                if not kept[standing.position]:
                    return
            self.state.add(standing)
            wish = Wish.of(standing)
            if wish is not None:
                self.wishes.append(wish)
            stale = StaleScene.of(standing)
            if stale is not None:
                self.stale.append(stale)

        self.is_surveyed = surveys(stage)
        await self.asking.look_ahead(stage, take)
        return AskedScenes(scenes, kept=kept)
