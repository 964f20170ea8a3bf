"""What is asked of an open stage before a run: how scenes stand, and what would become of them.

A plan and a run that was confirmed ask here, so that what was seen is what is compared. Nothing is
sent, spent or written.

A run is held to what was confirmed before anything else happens: but for the note of that, nothing
is written, not even what decisions say, before it is known that the run may go on.

What was confirmed is kept beside the stories of a project, in ``.story/.confirmed/<hash>.json``:
one file for each confirmation that a run was started with, written before its first request and
never changed: so a run that was cut off can be started with the same confirmation, although by then
less is left to buy. No out folder's story can have this name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from host_stub.contract import ImageStage, StagePlan
from host_stub.decisions.apply import Applied
from host_stub.decisions.merge import Merged
from host_stub.errors import ContractViolation, NotConfirmed, PluginError, StoryError
from host_stub.plugins.selection import SelectedPlugin
from host_stub.scenes.asked import AskedScenes, from_its_part
from host_stub.scenes.index import SceneFile
from host_stub.stage.asking import RunOptions, is_asked_for
from host_stub.stage.confirming import Foreseen, Wish
from host_stub.stage.directing import direct
from host_stub.stage.offered import warnings_of
from host_stub.stage.survey import Inquiry
from host_stub.standing.standing import SceneStanding, surveys
from host_stub.standing.story_state import StaleScene, StoryState
from host_stub.story.database import STORIES, refuse_other_kinds, sync_folder
from host_stub.story.files import Folder
from host_stub.story.keeper import Story
from host_stub.text.format import counted, exact

CONFIRMED: Final = ".confirmed"
FORMAT: Final = "stage3-confirmed/1"
MOST_BYTES: Final = 256 * 1024 * 1024
HINT: Final = "move it away, and confirm what 'host-stub plan' shows now"


def path_of(project_dir: Path, name: str) -> Path:
    """Return where it lies what a confirmation is of."""
    return project_dir / STORIES / CONFIRMED / f"{name}.json"


def keep_confirmed(project_dir: Path, name: str, record: Mapping[str, Any]) -> None:
    """Write down what a confirmation is of; one that is there already stays as it is.

    Args:
        project_dir: The folder of the config.
        name: The confirmation's hash.
        record: Plain JSON values.

    Raises:
        StoryError: The disk did not take it.
    """
    path = path_of(project_dir, name)
    folder = path.parent
    try:
        for one in (folder.parent, folder):
            refuse_other_kinds(one)
            one.mkdir(mode=0o700, parents=one == folder.parent, exist_ok=True)
            refuse_other_kinds(one)
        sync_folder(folder.parent)
        with Folder.opened(folder) as there:
            if there.details(path.name) is None:
                there.write(path.name, json.dumps({"format": FORMAT, **record}).encode("ascii"))
    except OSError as error:
        raise StoryError(
            path,
            error.strerror or type(error).__name__,
            hint="nothing was sent; see to the disk or its permissions, and start again",
        ) from error


def read_confirmed(project_dir: Path, name: str) -> dict[str, Any] | None:
    """Return what a confirmation is of; ``None`` if no run was started with it here.

    Raises:
        StoryError: What lies there is none of ours.
    """
    path = path_of(project_dir, name)
    folder = path.parent
    for one in (folder.parent, folder):
        refuse_other_kinds(one)
    try:
        with Folder.opened(folder) as there:
            if there.details(path.name) is None:
                return None
            with there.reading(path.name) as file:
                found: object = json.loads(file.read(MOST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise StoryError(path, "it cannot be read", hint=HINT) from error
    if not isinstance(found, dict):
        raise StoryError(path, "it is no confirmation", hint=HINT)
    record = cast("dict[str, Any]", found)
    if record.get("format") != FORMAT:
        raise StoryError(path, "it is of another version, or no confirmation", hint=HINT)
    return record


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


_ANOTHER: Final = "what would be bought is not what was confirmed"


async def hold_to(
    confirm: str,
    plugin: SelectedPlugin,
    stage: ImageStage,
    options: RunOptions,
    merged: Merged | None,
) -> None:
    """See that a run would buy what was confirmed, or less.

    Args:
        confirm: The hash of it.
        plugin: Whose stage it is.
        stage: It, open.
        options: What the run is asked to do.
        merged: Decisions that it would obey first.

    Raises:
        NotConfirmed: It would buy something else, more, or for more.
        PluginError: The plugin makes no plans.
        HostError: The scenes cannot be read, or the plugin cannot tell.
    """
    if not plugin.description.capabilities.plans:
        raise PluginError(
            plugin.name,
            plugin.source,
            "cannot tell what a run would make and cost, so nobody can confirm it",
            hint="leave --confirm out; --max-cost bounds a run",
        )
    project_dir = plugin.services.project_dir
    with Story.copied(project_dir, options.out_dir) as story:
        found = await answered(Inquiry.about(plugin, options, story), merged, stage)
    _need_room(found)
    foreseen = found.foreseen
    assert foreseen is not None, "what cannot be confirmed was refused"
    if foreseen.hash == confirm:
        _need_cap(found, options, confirm)
        keep_confirmed(project_dir, confirm, foreseen.as_record())
        return
    # Read only now: who has bought something of it in the meantime has written it down before.
    kept = _kept(project_dir, confirm)
    why = [_ANOTHER] if kept is None else foreseen.beyond(kept)
    if why:
        raise NotConfirmed(why, confirm=foreseen.hash, cost_high_usd=foreseen.cost_usd)
    _need_cap(found, options, confirm)


def _kept(project_dir: Path, confirm: str) -> Foreseen | None:
    """Return what was written down of a confirmation, if a run was started with it here."""
    record = read_confirmed(project_dir, confirm)
    if record is None:
        return None
    try:
        return Foreseen.from_record(record)
    except ValueError as error:
        path = path_of(project_dir, confirm)
        raise StoryError(path, "it is no confirmation", hint=HINT) from error


def _need_room(found: Answered) -> None:
    """Refuse what nobody can confirm; where only the run's own cap is too low, say which is not."""
    why = found.unconfirmable()
    if why is None:
        return
    whole = found.whole
    if whole is None:
        raise NotConfirmed([why], confirm=None, cost_high_usd=None)
    needs_usd = exact(whole.cost_high_usd)
    now = found.question.foreseen(whole)
    raise NotConfirmed([why], confirm=now.hash, cost_high_usd=needs_usd, needs_usd=needs_usd)


def _need_cap(found: Answered, options: RunOptions, confirm: str) -> None:
    """Refuse to spend under no cap."""
    high = found.answer.cost_high_usd
    if high and options.max_cost_usd is None:
        raise NotConfirmed(
            ["a confirmed run needs a cap"],
            confirm=confirm,
            cost_high_usd=exact(high),
            needs_usd=exact(high),
        )
