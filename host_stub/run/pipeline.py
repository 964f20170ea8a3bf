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
import secrets
import signal
import sys
import time
from datetime import UTC
from decimal import Decimal
from tempfile import TemporaryFile
from typing import BinaryIO, Literal

import anyio

from host_stub.contract import CONTRACT, Event, RunInfo, StageContext, StageError
from host_stub.errors import HostError, ResultsNotWritten
from host_stub.events.journal import EventJournal
from host_stub.events.stream import EventStream
from host_stub.plugins.selection import SelectedPlugin
from host_stub.run.asking import RunOptions, image_request, scenes_asked_for
from host_stub.run.earlier_pictures import earlier_pictures
from host_stub.run.exit_codes import stage_error
from host_stub.run.finish import Ending, Finish, Output, RunReport
from host_stub.run.outcomes import Outcomes
from host_stub.run.progress import make_display
from host_stub.run.signals import Interrupts, Receiver
from host_stub.run.stage_warnings import warnings_of
from host_stub.scenes.file import SceneFile
from host_stub.text.console import Console
from host_stub.text.redaction import Redactor, secrets_of

__all__ = [
    "Output",
    "RunOptions",
    "RunReport",
    "image_request",
    "new_run_id",
    "redactor_for",
    "run_pipeline",
    "scenes_asked_for",
]


LOOK_EVERY_S = 1.0
"""Seconds between two looks at what has gone on for long."""


def run_pipeline(
    plugin: SelectedPlugin,
    options: RunOptions,
    *,
    console: Output | None = None,
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
    redactor = redactor_for(plugin)
    if console is None:
        console = Console(json_only=options.json_only, debug=False)
    scenes = scenes_asked_for(options)
    with contextlib.ExitStack() as stack:
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
        run = _Run(
            plugin,
            options,
            scenes=scenes,
            output=console,
            redactor=redactor,
            journal=journal,
            spill=spill,
        )
        with Receiver(run.signals) as receiver:
            try:
                anyio.run(run.go, receiver, backend=backend)
            except* KeyboardInterrupt:  # where signals cannot be received
                run.signals.append(signal.SIGINT)
                if run.report is None and run.start_failure is None:
                    run.conclude()
        if run.report is None:
            assert run.start_failure is not None, "a run ends with the one or the other"
            raise run.start_failure
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


def new_run_id(plugin: SelectedPlugin) -> str:
    """Name a run: by its time, so that names sort, and by chance, so that no two are the same."""
    now = plugin.services.now().astimezone(UTC)
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


class _Run:
    """The state of one run.

    Attributes:
        signals: Those that came, in order.
        report: How it ended.
        start_failure: Why it did not start, instead.
    """

    def __init__(
        self,
        plugin: SelectedPlugin,
        options: RunOptions,
        *,
        scenes: SceneFile,
        output: Output,
        redactor: Redactor,
        journal: EventJournal | None,
        spill: BinaryIO,
    ) -> None:
        self.report: RunReport | None = None
        self.start_failure: HostError | None = None
        self._plugin = plugin
        self._options = options
        self._scenes = scenes
        self._output = output
        self._redactor = redactor
        self._run_id = new_run_id(plugin)
        self._replacing = earlier_pictures(options.out_dir, plugin.name)
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
            listener=self._display.outcome,
        )
        self._events = EventStream(
            run_id=self._run_id,
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
        if ending.not_started is not None and not self.signals:
            self.start_failure = ending.not_started
            self._events.host("host.run_finished", level="error", error=str(self.start_failure))
        else:
            self.report = self._finish().close(ending)
        self._events.announce(self._info("finished"))

    async def _work(self, stopping: anyio.Event) -> None:
        plugin, options = self._plugin, self._options
        request = image_request(plugin, options, self._scenes, self._run_id)
        context = StageContext(
            log=self._events.logger(),
            max_in_flight=options.max_in_flight,
            stopping=stopping,
            deliver=self._outcomes.deliver,
        )
        for warning in self._replacing:
            context.log.warning("stage.warned", message=warning)
        async with plugin.description.open(plugin.settings, plugin.services) as stage:
            self._ending.opened = True
            for warning in warnings_of(stage):
                context.log.warning("stage.warned", message=warning)
            self._ending.summary = await stage.run(request, context)

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
            plugin=self._plugin,
            run_id=self._run_id,
            out_dir=self._options.out_dir,
            max_in_flight=self._options.max_in_flight,
            max_cost_usd=self._options.max_cost_usd,
            json_only=self._options.json_only,
            outcomes=self._outcomes,
            events=self._events,
            redactor=self._redactor,
            output=self._output,
        )

    def _take_event(self, event: Event) -> None:
        if event["event"] == "scene.started":
            self._outcomes.started(event["scene_id"], event.get("take") or 1)
        elif event["event"] == "stage.started":
            self._outcomes.expect_sheets(event.get("sheets", ()))
        self._display.event(event)

    def _info(self, state: Literal["started", "finished"]) -> RunInfo:
        return RunInfo(
            run_id=self._run_id,
            state=state,
            plugin=self._plugin.name,
            scenes=len(self._scenes),
            out_dir=self._options.out_dir,
        )

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
            self._output.result(self.report.manifest)  # the caller would, but gets no turn
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(128 + self.signals[0])
