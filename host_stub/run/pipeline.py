"""One run, from a checked scene file to a written manifest.

The parts of a run come together here, in order: the journal and the observers
are ready and signals are received before the stage opens; outcomes are taken in as they come;
whatever ends the run (its last scene, an error, a signal), every scene of the file is accounted for
and the results are written. What runs in between belongs to the plugin: the host never runs a
scene, and never runs one again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Literal

import anyio
from structlog.typing import FilteringBoundLogger

from host_stub.contract import (
    CONTRACT,
    Event,
    ImageStage,
    RunInfo,
    SceneOutcome,
    StageContext,
    StageError,
    StageSummary,
)
from host_stub.decisions.merge import Merged
from host_stub.errors import HostError, ResultsNotWritten, StoryError
from host_stub.events.journal import EventJournal
from host_stub.events.stream import EventStream
from host_stub.plugins.selection import SelectedPlugin
from host_stub.run.finish import Ending, Finish, RunReport
from host_stub.run.outcomes import Outcomes
from host_stub.run.preparing import Preparation
from host_stub.run.progress import make_display
from host_stub.run.signals import Interrupts, Receiver
from host_stub.run.taking_in import TakingIn
from host_stub.scenes.asked import from_its_part
from host_stub.scenes.index import SceneFile
from host_stub.stage.asking import Asked, RunOptions, check_options, for_drafts, new_run_id
from host_stub.stage.directing import decided
from host_stub.stage.exit_codes import stage_error
from host_stub.stage.offered import warnings_of
from host_stub.stage.preflight import run_on
from host_stub.stage.question import hold_to
from host_stub.stage.survey import Inquiry
from host_stub.standing.standings import Standings
from host_stub.story.book import SaidPrompt
from host_stub.story.finding import remember_lane, remember_scenes, story_folder
from host_stub.story.keeper import Story
from host_stub.text.console import Console
from host_stub.text.escape import escaped
from host_stub.text.redaction import Redactor, secrets_of

__all__ = [
    "RunOptions",
    "RunReport",
    "redactor_for",
    "run_pipeline",
]


LOOK_EVERY_S = 1.0
"""Seconds between two looks at what has gone on for long."""
TAKING_IN_S = 60.0
"""Seconds that a group of pictures may take to be written down; a disk may hang."""


def run_pipeline(
    plugin: SelectedPlugin,
    options: RunOptions,
    *,
    console: Console | None = None,
    backend: str = "asyncio",
) -> RunReport:
    """Run scenes through a plugin and write the results; blocks until it is over.

    A second signal ends the process from within if the plugin does not let go.

    Args:
        plugin: Makes the pictures.
        options: What to do.
        console: Where to write lines for people; stdout and stderr if absent.
        backend: anyio's event loop: ``asyncio`` or ``trio``.

    Raises:
        SceneFileError: The scene file cannot be used; nothing was started.
        UsageError: A scene was asked for that is not there.
        ResultsNotWritten: The folder for results cannot be used; nothing was started.
        StageFailed: The stage could not start; nothing was tried.
    """
    check_options(options)
    if options.is_draft:
        plugin = for_drafts(plugin)
    redactor = redactor_for(plugin)
    redactor.add(secret for observer in options.observers for secret in observer.secrets)
    if console is None:
        console = Console(json_only=options.json_only, debug=False)
    said: dict[str, SaidPrompt] = {}
    asked = Asked.of(options, said)
    run_id = new_run_id(plugin)
    try:  # it is entered later; what is refused without that is refused before anything is made
        opening = plugin.description.open(plugin.settings, plugin.services)
    except (Exception, SystemExit) as error:
        raise stage_error(error, plugin, redactor, nothing_tried=True) from error
    with contextlib.ExitStack() as stack:
        project_dir = plugin.services.project_dir
        story_folder(project_dir, options.out_dir)  # refuses before anything is made or moved
        merged = decided(options.decisions) if options.decisions else None
        path = options.out_dir
        try:
            path.mkdir(parents=True, exist_ok=True)
            spill = stack.enter_context(TemporaryFile(buffering=0, dir=path, prefix=".outcomes-"))
            journal = None
            if options.journal is not None:
                path = options.journal
                journal = stack.enter_context(EventJournal(path))
        except OSError as error:
            raise ResultsNotWritten(path, error) from error
        story = stack.enter_context(Story.opened(project_dir, options.out_dir, write=True))
        said.update(story.book.said_prompts())  # the scenes know them from now on
        if options.scenes_dir is None:  # else they came from a stream
            remember_scenes(story.book, project_dir, options.scenes_path)
        run = _Run(
            Inquiry(plugin=plugin, options=options, story=story, asked=asked, run_id=run_id),
            opening=opening,
            said=said,
            merged=merged,
            output=console,
            redactor=redactor,
            journal=journal,
            spill=spill,
        )
        with Receiver(run.signals) as receiver:
            try:
                run_on(backend, run.go, receiver)
            except* KeyboardInterrupt:  # where signals cannot be received
                run.signals.append(signal.SIGINT)
                if run.report is None and run.start_failure is None:
                    run.conclude()
        if run.report is None:
            assert run.start_failure is not None, "a run ends with the one or the other"
            raise run.start_failure
        with contextlib.suppress(StoryError):  # it is a convenience, and the run is over
            remember_lane(story.book, options.lane, run.report.manifest["story"])
        return run.report


def redactor_for(plugin: SelectedPlugin) -> Redactor:
    """Make the redactor of a plugin's secrets; should it get others, it knows them, too."""
    redactor = Redactor([*secrets_of(plugin.settings), *plugin.secrets])
    plugin.heed_secrets.append(redactor.add)
    return redactor


def _cap_usd(plugin: SelectedPlugin, options: RunOptions) -> Decimal | None:
    """Return what the run may spend at most, for the display; the plugin enforces it."""
    own: object = getattr(plugin.settings, "budget_usd", None)
    caps = [cap for cap in (options.max_cost_usd, own) if isinstance(cap, Decimal)]
    return min(caps, default=None)


class _Run:
    """The state of one run.

    Attributes:
        signals: Those that came, in order.
        report: How it ended.
        start_failure: Why it did not start, instead.
    """

    def __init__(
        self,
        asking: Inquiry,
        *,
        opening: AbstractAsyncContextManager[ImageStage],
        said: dict[str, SaidPrompt],
        merged: Merged | None,
        output: Console,
        redactor: Redactor,
        journal: EventJournal | None,
        spill: BinaryIO,
    ) -> None:
        self.report: RunReport | None = None
        self.start_failure: HostError | None = None
        self._asking = asking
        self._plugin = plugin = asking.plugin
        self._options = options = asking.options
        self._scenes = scenes = asking.asked.scenes
        self._opening = opening
        self._said = said
        self._merged = merged
        self._output = output
        self._redactor = redactor
        self._preparation: Preparation | None = None
        self._standings = Standings(asking.asked.whole)
        self._taking_in: TakingIn | None = None
        self._display = make_display(
            len(scenes),
            json_only=options.json_only,
            say=output.warn,
            redact=redactor.text,
            cap_usd=_cap_usd(plugin, options),
        )
        self._outcomes = Outcomes(
            scenes,
            out_dir=options.out_dir,
            plugin=plugin.name,
            source=plugin.source,
            redactor=redactor,
            spill=spill,
            listener=self._take_outcome,
            taker=self._take_picture,
        )
        self._events = EventStream(
            run_id=asking.run_id,
            plugin=plugin.name,
            redactor=redactor,
            now=plugin.services.now,
            journal=journal,
            observers=options.observers,
            listener=self._take_event,
        )
        # At once: a run that begins here at this moment renames this journal after the run that
        # its first line names, and before the loop runs it would have no line.
        self._events.host(
            "host.run_started",
            source=plugin.source,
            contract=".".join(map(str, CONTRACT)),
            scenes=len(scenes),
        )
        self._ending = Ending(started_at=plugin.services.now())
        self.signals = self._ending.signals
        self._begun = time.monotonic()

    async def go(self, receiver: Receiver) -> None:
        """Receive signals, run the stage, and write the results while signals are still held."""
        interrupts = Interrupts(self._on_first_signal, self._on_second_signal)
        async with anyio.create_task_group() as tasks:
            await tasks.start(interrupts.watch, receiver, self._leave)
            self._events.announce(self._info("started"))
            self._display.open(self._outcomes.totals)
            tasks.start_soon(self._look_now_and_then)
            self._begun = time.monotonic()
            try:
                with interrupts.work:
                    await self._work(interrupts.stopping)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
                self._stage_raised(error)
            finally:
                interrupts.left.set()
            self.conclude()
            receiver.run_is_over()
            tasks.cancel_scope.cancel()

    async def _look_now_and_then(self) -> None:
        """Let the display report what goes on for long, also while no event comes."""
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            self._display.look()

    def conclude(self) -> None:
        """Write down and say how the run went."""
        ending = self._ending
        ending.elapsed_s = time.monotonic() - self._begun
        self._display.close()
        self._take_in_the_rest()
        if ending.not_started is not None and not self.signals:
            self.start_failure = ending.not_started
            self._events.host("host.run_finished", level="error", error=str(self.start_failure))
        else:
            self.report = self._finish().close(ending)
        self._events.announce(self._info("finished"))

    def _take_in_the_rest(self) -> None:
        """See to it that all pictures that came are takes, and that nothing of ours lies about."""
        taking_in = self._taking_in
        if taking_in is not None:
            if not taking_in.close(patience_s=TAKING_IN_S):
                self._ending.errors.append(self._not_taken_in("the disk takes too long"))
            self._ending.errors += [self._not_taken_in(one) for one in taking_in.failures]
            for lie in taking_in.lies:
                self._outcomes.correct(lie)

    def _not_taken_in(self, error: Exception | str) -> HostError:
        if isinstance(error, HostError):
            return error
        return StoryError(
            self._asking.story.book.path,
            f"a picture could not be noted: {error}",
            hint="run the same command again: what is paid for is found again",
        )

    async def _work(self, stopping: anyio.Event) -> None:
        plugin, options = self._plugin, self._options
        context = StageContext(
            log=self._events.logger(),
            max_in_flight=options.max_in_flight,
            stopping=stopping,
            deliver=self._outcomes.deliver,
        )
        async with self._opening as stage:
            for warning in warnings_of(stage):
                context.log.warning("stage.warned", message=warning)
            if options.confirm is not None:
                await hold_to(options.confirm, plugin, stage, options, self._merged)
            self._taking_in = self._taker_of(stage)
            scenes = await self._prepare(stage, context.log)
            self._ending.opened = True
            if not len(scenes):
                self._ending.summary = StageSummary()
                return
            request = self._asking.request(from_its_part(scenes, options.shard))
            self._ending.summary = await stage.run(request, context)

    async def _prepare(self, stage: ImageStage, log: FilteringBoundLogger) -> SceneFile:
        """Bring the story up to date, and say before the first request what would be redone."""
        preparation = Preparation(
            self._asking, said=self._said, standings=self._standings, merged=self._merged
        )
        scenes = await preparation.prepare(stage)
        self._preparation = preparation
        self._display.expect(preparation.pictures)
        for line in preparation.lines():
            log.warning("stage.warned", message=line)
        for scene_id in preparation.left_out:
            self._outcomes.leave_out(scene_id)
        return scenes

    def _taker_of(self, stage: ImageStage) -> TakingIn:
        self._standings.tells_bases = self._options.is_draft or hasattr(stage, "survey")
        return TakingIn(
            self._asking,
            keeps_bytes=not hasattr(stage, "fetch"),
            present=self._standings.present,
        )

    def _take_picture(self, outcome: SceneOutcome, row: Mapping[str, Any]) -> None:
        assert self._taking_in is not None, "no picture comes before the stage is open"
        self._taking_in.take(outcome, row)

    def _take_outcome(self, outcome: SceneOutcome) -> None:
        self._standings.ended(outcome)
        self._display.outcome(outcome)

    def _stage_raised(self, error: BaseException) -> None:
        """Keep what came out of the stage as an error of the host's."""
        ending = self._ending
        is_start = not ending.opened or (
            isinstance(error, StageError) and error.starting and not self._outcomes.totals.ended
        )
        failure = stage_error(error, self._plugin, self._redactor, nothing_tried=is_start)
        if is_start:
            ending.not_started = failure
        ending.errors.append(failure)

    def _finish(self) -> Finish:
        return Finish(
            asking=self._asking,
            outcomes=self._outcomes,
            events=self._events,
            redactor=self._redactor,
            output=self._output,
            standings=self._standings,
            decided=None if self._preparation is None else self._preparation.applied,
        )

    def _take_event(self, event: Event) -> None:
        if event["event"] == "scene.started":
            self._outcomes.started(event["scene_id"], event.get("take") or 1)
        elif event["event"] == "scene.finished":
            self._outcomes.told_cost(event)
        elif event["event"] == "stage.started":
            self._outcomes.expect_sheets(event.get("sheets", ()))
        self._display.event(event)

    def _info(self, state: Literal["started", "finished"]) -> RunInfo:
        return RunInfo(
            run_id=self._asking.run_id,
            state=state,
            plugin=self._plugin.name,
            scenes=len(self._scenes),
            out_dir=self._options.out_dir,
            story=self._scenes,
            exit_code=None if self.report is None else self.report.exit_code,
            warn=self._warn,
        )

    def _warn(self, line: str) -> None:
        """Show what an observer says; it may have come from anywhere."""
        self._output.warn(escaped(self._redactor.text(line)))

    def _on_first_signal(self, name: str) -> None:
        self._display.stopping()
        again = "press Ctrl-C" if name == "SIGINT" else f"send {name}"
        self._output.warn(
            f"{name}: nothing new is started, what is in work ends; {again} again to leave at once"
        )
        self._events.host("host.stopping", level="warning", signal=name)

    def _on_second_signal(self, name: str) -> None:
        self._output.warn(f"{name}: leaving now; what is in work is given up")
        self._events.host("host.cancelled", level="warning", signal=name)

    def _leave(self) -> None:
        """Write the results and end the process, since the plugin does not return."""
        self.conclude()
        if self._options.json_only and self.report is not None:
            self._output.result(self.report.document())  # the caller would, but gets no turn
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(128 + self.signals[0])
