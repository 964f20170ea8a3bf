import hashlib
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, SecretStr

from host_stub.contract import (
    Capabilities,
    Cost,
    Event,
    Failure,
    FailureCode,
    ImagePlugin,
    ImageRequest,
    ImageStage,
    RunInfo,
    Scene,
    SceneOutcome,
    Services,
    StageContext,
    StageError,
    StagePlan,
    StageSummary,
)
from host_stub.errors import (
    SceneFileError,
)
from host_stub.events.journal import EventJournal
from host_stub.plain_image import flat_png
from host_stub.plugins.selection import Observer, SelectedPlugin
from host_stub.run.pipeline import RunOptions, RunReport, redactor_for, run_pipeline
from tests.host.conftest import Distribute
from tests.kit.mutants import Mutant, running
from tests.projects import Project, ended

KEY = "sk-CANARY-0123456789"
PNG = flat_png(1, 1, bytes(3))
SHA = hashlib.sha256(PNG).hexdigest()
FREE = Cost(usd=Decimal(0), basis="free")

Run = Callable[[ImageRequest, StageContext], Awaitable[Any]]
Open = Callable[[Any, Services], AbstractAsyncContextManager[ImageStage]]


class _Settings(BaseModel):
    capacity: int | None = 4
    api_key: SecretStr = SecretStr(KEY)


class _Stage:
    """A stage that does what one function says."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def plan(self, request: ImageRequest) -> StagePlan:
        return StagePlan(make=len(request.scenes), cost_low_usd=None, cost_high_usd=None)

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        summary: StageSummary = await self._run(request, context)
        return summary


def _plugin(
    run: Run,
    *,
    open_: Open | None = None,
    capacity: int | None = 4,
    resumes: bool = False,
    offline: bool = False,
    contract: tuple[int, int] = (1, 0),
) -> SelectedPlugin:
    @asynccontextmanager
    async def opened(settings: Any, services: Services) -> AsyncGenerator[ImageStage]:
        yield _Stage(run)

    return SelectedPlugin(
        name="fake",
        source="fake-plugin 1.0",
        description=ImagePlugin(
            name="fake",
            contract=contract,
            settings=_Settings,
            capabilities=Capabilities(resumes=resumes, offline=offline),
            open=open_ or opened,
        ),
        settings=_Settings(capacity=capacity),
        services=Services(project_dir=Path(), now=lambda: datetime.now(UTC)),
        secrets=(KEY,),
    )


def _make(scene: Scene, request: ImageRequest, context: StageContext) -> None:
    """Make one picture, with its events and its outcome."""
    path = request.out_dir / "images" / f"{scene.scene_id}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(PNG)
    name = scene.scene_id
    context.log.info("scene.started", scene_id=name, queued_s=0)
    context.log.info(
        "scene.finished", scene_id=name, duration_s=0, attempts=1, cost_usd=0, cost_basis="free"
    )
    outcome = SceneOutcome(
        scene_id=name, image=path, sha256=SHA, width=1, height=1, attempts=1, cost=FREE
    )
    context.deliver(outcome)


def _fail(
    scene: Scene, context: StageContext, code: FailureCode = "refused", *, cost: Cost | None = None
) -> None:
    failure = Failure(code=code, message="no", retryable=False)
    context.deliver(SceneOutcome(scene_id=scene.scene_id, failure=failure, cost=cost or FREE))


def _sheet(name: str, request: ImageRequest, context: StageContext) -> None:
    """Deliver the picture of a sheet."""
    path = request.out_dir / "images" / f"cast-{name}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(PNG)
    context.deliver(
        SceneOutcome(
            scene_id=name,
            role="sheet",
            image=path,
            sha256=SHA,
            width=1,
            height=1,
            cost=Cost(usd=Decimal("0.04"), basis="flat"),
        )
    )


async def _good(request: ImageRequest, context: StageContext) -> StageSummary:
    for scene in request.scenes:
        _make(scene, request, context)
    return StageSummary()


async def _found_again(
    request: ImageRequest,
    context: StageContext,
    scenes: Sequence[Scene] | None = None,
    cost: Cost = FREE,
) -> StageSummary:
    """Deliver pictures of an earlier run, with their events."""
    path = request.out_dir / "a.png"
    path.write_bytes(PNG)
    for scene in request.scenes if scenes is None else scenes:
        context.log.info("scene.reused", scene_id=scene.scene_id, sha256=SHA)
        outcome = SceneOutcome(
            scene_id=scene.scene_id,
            image=path,
            sha256=SHA,
            width=1,
            height=1,
            reused=True,
            cost=cost,
        )
        context.deliver(outcome)
    return StageSummary()


_OF_PLUGIN = ("open_", "capacity", "resumes", "offline", "contract")


@dataclass
class _Project:
    """A folder with a story of three scenes, and what a run left in it."""

    folder: Path
    backend: str

    def run(self, run: Run, **how: Any) -> RunReport:
        of_plugin = {key: how.pop(key) for key in _OF_PLUGIN if key in how}
        plugin = _plugin(run, **of_plugin)
        return run_pipeline(plugin, self.options(**how), backend=self.backend)

    def options(self, **parts: Any) -> RunOptions:
        usual: dict[str, Any] = {
            "scenes_path": self.folder / "scenes.jsonl",
            "out_dir": self.folder / "out",
            "journal": self.folder / "out" / "events.jsonl",
            "max_in_flight": 8,
        }
        return RunOptions(**(usual | parts))

    def manifest(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.folder / "out/manifest.json").read_bytes())
        return read

    def codes(self) -> dict[str, str]:
        return {row["scene_id"]: row["code"] for row in self.manifest()["failures"]}

    def events(self) -> list[dict[str, Any]]:
        lines = (self.folder / "out/events.jsonl").read_bytes().splitlines()
        return [json.loads(line) for line in lines]


def _story(folder: Path, scenes: int = 3) -> None:
    lines = [json.dumps({"scene_id": f"s{n}", "prompt": "p"}) + "\n" for n in range(scenes)]
    (folder / "scenes.jsonl").write_text("".join(lines), encoding="ascii")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str) -> _Project:
    monkeypatch.chdir(tmp_path)
    _story(tmp_path)
    return _Project(tmp_path, anyio_backend)


class TestGoodRun:
    def test_the_plugin_gets_what_was_asked_for(self, project: _Project) -> None:
        """Scenes chosen, the ceiling, the cap and the folder."""
        got: list[tuple[ImageRequest, StageContext]] = []

        async def run(request: ImageRequest, context: StageContext) -> StageSummary:
            got.append((request, context))
            return await _good(request, context)

        project.run(run, limit=2, max_cost_usd=Decimal("0.5"), max_in_flight=3)

        request, context = got[0]
        assert [scene.scene_id for scene in request.scenes] == ["s0", "s1"]
        assert len(request.scenes) == 2
        assert (request.max_cost_usd, context.max_in_flight) == (Decimal("0.5"), 3)
        assert request.out_dir == project.folder / "out"
        assert request.scenes_dir == project.folder
        assert request.run_id == project.manifest()["run_id"]
        assert not context.stopping.is_set()

    @pytest.mark.parametrize(
        "capacity, ceiling, mode",
        [
            (1, 8, "serial"),
            (4, 1, "serial"),
            (4, 8, "concurrent"),
            (None, 1, "serial"),
            (None, 8, "concurrent"),
        ],
    )
    def test_the_mode_is_serial_if_one_scene_at_a_time_is_allowed(
        self, capacity: int | None, ceiling: int, mode: str, project: _Project
    ) -> None:
        """By the plugin's own capacity or by the host's ceiling."""
        project.run(_good, capacity=capacity, max_in_flight=ceiling)

        assert project.manifest()["mode"] == mode

    def test_observers_hear_the_run_around_the_stage(self, project: _Project) -> None:
        """Started before the stage opens, finished after it closed and the manifest is there."""
        heard: list[str] = []

        @asynccontextmanager
        async def open_(settings: Any, services: Services) -> AsyncGenerator[ImageStage]:
            heard.append("open")
            yield _Stage(_good)
            heard.append("close")

        def on_run(run: RunInfo) -> None:
            there = (run.out_dir / "manifest.json").exists()
            heard.append(f"{run.state} {run.plugin} {run.scenes} {there}")

        def on_event(event: Event) -> None:
            heard.append(event["event"])

        project.run(_good, open_=open_, limit=1, observers=[Observer("ear", on_event, on_run)])

        assert heard == [
            "started fake 1 False",
            "open",
            "scene.started",
            "scene.finished",
            "close",
            "finished fake 1 True",
        ]

    def test_a_journal_names_its_run_before_anybody_is_told_of_it(self, project: _Project) -> None:
        """A run that begins in this folder now keeps this one's under its name."""

        def on_run(run: RunInfo) -> None:
            if run.state == "started":
                EventJournal(project.folder / "out" / "events.jsonl").__exit__()

        report = project.run(_good, observers=[Observer("other", None, on_run)])

        [kept] = (project.folder / "out" / "runs").glob("*/events.jsonl")
        events = [json.loads(line)["event"] for line in kept.read_bytes().splitlines()]
        assert kept.parent.name == report.manifest["run_id"]
        assert (events[0], events[-1]) == ("host.run_started", "host.run_finished")


class TestExitCodes:
    @pytest.mark.parametrize("raises", [False, True])
    def test_an_address_that_a_stage_names_is_shortened(
        self,
        raises: bool,  # noqa: FBT001 - pytest passes it by name
        project: _Project,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """In whatever way the stage ends: what is said is copied into reports."""
        message = "https://me:pass@files.example/a.png?sig=5f2b is gone"

        async def run(request: ImageRequest, context: StageContext) -> StageSummary:
            if raises:
                raise StageError(message)
            for scene in request.scenes:
                _fail(scene, context, "not_tried")
            return StageSummary(stopped="storage", message=message)

        project.run(run)

        out, err = capsys.readouterr()
        results = (project.folder / "out/manifest.json").read_text("utf-8")
        assert "https://files.example/a.png?… is gone" in err
        assert "5f2b" not in out + err + results
        assert "me:pass" not in out + err + results


STEPS = "'fake attempts' shows what is known of it, 'fake resolve' decides it\n"
ACCOUNT = "the provider's own account tells whether it was billed\n"
UNKNOWN = "money may be spent for 2 scenes whose outcome or cost is unknown: "
IN_FLIGHT = (
    "2 scenes are in flight in another run: run this again once it has ended; what it finished is "
    "there, what it left is taken over on its machine\n"
)
LEFT_OUT = "2 scenes were left out by a cap; its reason says how to go on\n"
NOT_HERE = "2 scenes are not here yet: run the same command again: it buys nothing twice\n"
DAILY = ("budget", "daily_usd of $1.00 is reached")
ABOVE = ("budget", "a bill was above what was expected")
NO_MORE = ("out_of_money", "no more")

SPENDING: dict[str, tuple[str, dict[str, Any], int, list[str], list[str]]] = {
    # What can be decided is said once for all scenes, right below the reasons.
    "unknown, and it resumes": ("made unknown unknown", {"resumes": True}, 4, [
        f"  unknown: no (s1, s2)\n{UNKNOWN}{STEPS}1 picture in ",
    ], []),
    "unknown": ("made unknown unknown", {}, 4, [
        f"  unknown: no (s1, s2)\n{UNKNOWN}{ACCOUNT}1 picture in ",
    ], []),
    "busy": ("made busy busy", {}, 1, [f"  busy: no (s1, s2)\n{IN_FLIGHT}1 picture in "], []),
    "left out": ("made budget budget", {}, 1, [
        f"  budget: no (s1, s2)\n{LEFT_OUT}1 picture in ",
    ], []),
    "on the way": ("made pending pending", {}, 5, [
        f"  pending: no (s1, s2)\n{NOT_HERE}1 picture in ",
    ], []),
    "refused": ("made refused refused", {}, 1, ["  refused: no (s1, s2)\n1 picture in "], []),
    # A run that went to its end is judged by its scenes, and unknown money is the gravest.
    "one unknown": ("unknown found found", {}, 4, [], []),
    "one pending": ("pending found found", {}, 5, [], []),
    "one busy": ("busy found found", {}, 1, [], []),
    "one left out": ("budget found found", {}, 1, [], []),
    # A cap that is reached goes before that, and the plugin's own words say which it was.
    "a cap": ("unknown made budget", {"stopped": DAILY}, 3, [
        "stopped: daily_usd of $1.00 is reached [stage_failed]\n",
        "money may be spent for 1 scene whose ",
        "1 scene was left out by a cap; ",
    ], []),
    # What was cut off, or not stored, may have been billed as well.
    **{
        code: (f"{code}? unknown? {code}", {"resumes": True}, 4, [UNKNOWN + STEPS], [])
        for code in ("cancelled", "storage", "budget", "unreadable")
    },
    # A picture that is to come is bought: the next run takes it in, at whatever price.
    "awaited at an unknown price": ("pending? pending? pending?", {"resumes": True}, 5, [
        "3 scenes are not here yet: run the same command again",
    ], ["money may be spent"]),
    "no provider whose account could tell": (
        "cancelled? cancelled? cancelled?", {"offline": True}, 1, [], ["money may be spent"],
    ),
    # The scene that did not fit, and all behind it; not what another reason left out.
    "kept from being tried": ("budget not_tried not_tried", {"stopped": DAILY}, 3, [
        "\n3 scenes were left out by a cap; ",
    ], []),
    "an empty account": ("budget not_tried not_tried", {"stopped": NO_MORE}, 3, [
        "\n1 scene was left out by a cap; ",
    ], []),
    "no cap is reached": ("made not_tried not_tried", {"stopped": ABOVE}, 3, [
        "2 scenes were not tried, and no cap is reached: the error says why", "run this again",
    ], ["left out by a cap"]),
    # A plugin that pays no heed to the cap is found out, if only afterwards.
    "above the cap": ("found found found", {"usd": "0.02", "max_cost_usd": Decimal("0.05")}, 0, [
        "the run cost $0.06, more than the $0.05 it was given [over_max_cost]\n",
    ], []),
    "at the cap": (
        "found found found", {"usd": "0.02", "max_cost_usd": Decimal("0.06")}, 0, [], ["more than"],
    ),
    "without a cap": ("found found found", {"usd": "0.02"}, 0, [], ["more than"]),
}  # fmt: skip
"""How the three scenes end (``?``: at an unknown cost), the run's exit code, and what is said."""


@pytest.mark.parametrize("ends, how, exits, told, untold", SPENDING.values(), ids=SPENDING)
def test_what_was_spent_decides_the_exit_code_and_the_next_step(
    *,
    ends: str,
    how: dict[str, Any],
    exits: int,
    told: list[str],
    untold: list[str],
    project: _Project,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopped, message = how.get("stopped", (None, None))
    price = Cost(usd=Decimal(how.get("usd", "0")), basis="flat")
    options = {name: one for name, one in how.items() if name not in {"stopped", "usd"}}
    failed = Counter(end.rstrip("?") for end in ends.split() if end not in {"made", "found"})

    async def run(request: ImageRequest, context: StageContext) -> StageSummary:
        for scene, end in zip(request.scenes, ends.split(), strict=True):
            if end == "made":
                _make(scene, request, context)
            elif end == "found":
                await _found_again(request, context, [scene], price)
            else:
                code: Any = end.rstrip("?")
                unknown = Cost(usd=None, basis="unknown")
                _fail(scene, context, code, cost=unknown if end.endswith("?") else None)
        return StageSummary(stopped=stopped, message=message)

    report = project.run(run, **options)

    out, err = capsys.readouterr()
    manifest = project.manifest()
    assert report.exit_code == exits
    assert (manifest["stopped"], manifest["failures_by_code"]) == (stopped, failed)
    assert manifest["pending"] == failed["pending"]
    assert [one for one in told if (out + err).count(one) != 1] == []
    assert [one for one in untold if one in out + err] == []
    assert stopped is None or f"stopped: {message}" in str(report.errors[0])


class TestTroubledStage:
    def test_a_stage_that_fails_later_keeps_what_is_finished(
        self, project: _Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The scene that was in work may have cost something, the last one has not."""

        async def run(request: ImageRequest, context: StageContext) -> StageSummary:
            scenes = iter(request.scenes)
            _make(next(scenes), request, context)
            context.log.info("scene.started", scene_id=next(scenes).scene_id, queued_s=0)
            raise StageError("the service is gone", hint="try again later", starting=True)

        report = project.run(run)

        assert report.exit_code == 3
        assert project.codes() == {"s1": "cancelled", "s2": "not_tried"}
        assert [row["cost_usd"] for row in project.manifest()["failures"]] == [None, "0"]
        assert project.manifest()["total_images"] == 1
        assert report.manifest["errors"][0]["hint"] == "try again later"
        err = capsys.readouterr().err
        assert (
            "error: plugin 'fake' (fake-plugin 1.0) stopped: the service is gone [stage_failed]\n"
            in err
        )
        assert "hint: try again later\n" in err

    def test_an_error_in_a_task_of_the_stage_is_told_by_its_own_name(
        self, project: _Project
    ) -> None:
        """Task groups wrap what their tasks raise; people should not have to unwrap it."""

        async def run(request: ImageRequest, context: StageContext) -> StageSummary:
            async def fail() -> None:
                raise ZeroDivisionError(f"with {KEY}")

            async with anyio.create_task_group() as outer:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(fail)
                outer.start_soon(anyio.sleep_forever)
            return StageSummary()

        report = project.run(run)

        (error,) = report.errors
        assert report.exit_code == 3
        assert "stopped: ZeroDivisionError: with [secret]" in str(error)
        assert isinstance(error.__cause__, ZeroDivisionError)
        assert set(project.codes().values()) == {"not_tried"}

    def test_a_scene_file_changed_under_the_run_ends_it(self, project: _Project) -> None:
        """What was bought is kept, and every scene is accounted for."""

        async def run(request: ImageRequest, context: StageContext) -> StageSummary:
            _make(next(iter(request.scenes)), request, context)
            _story(project.folder, 4)
            return await _good(request, context)

        report = project.run(run)

        assert report.exit_code == 3
        assert isinstance(report.errors[0], SceneFileError)
        assert project.manifest()["total_images"] == 1
        assert len(project.manifest()["failures"]) == 2

    def test_a_stage_that_fails_while_it_closes_is_told(self, project: _Project) -> None:
        """Its pictures are there all the same."""

        @asynccontextmanager
        async def open_(settings: Any, services: Services) -> AsyncGenerator[ImageStage]:
            yield _Stage(_good)
            raise OSError("cannot close the ledger")

        report = project.run(_good, open_=open_)

        assert report.exit_code == 3
        assert project.manifest()["total_images"] == 3


class TestBrokenContract:
    @pytest.mark.parametrize("summary", [StageSummary(), None, "done"])
    def test_a_plugin_that_forgets_scenes_is_told_so(
        self, summary: object, project: _Project
    ) -> None:
        """They are in the manifest as never tried."""

        async def run(request: ImageRequest, context: StageContext) -> object:
            _make(next(iter(request.scenes)), request, context)
            return summary

        report = project.run(run)

        told = [str(error) for error in report.errors]
        assert "run() ended without a word on 2 scenes" in told[-1]
        assert len(told) == 1 + (not isinstance(summary, StageSummary))
        assert project.codes() == {"s1": "not_tried", "s2": "not_tried"}
        assert report.exit_code == 3

    def test_invalid_events_are_counted_and_told(
        self, project: _Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """They do not change what became of the scenes."""

        async def run(request: ImageRequest, context: StageContext) -> StageSummary:
            context.log.info("scene.finnished", scene_id="s0")
            return await _good(request, context)

        report = project.run(run)

        assert (report.exit_code, project.manifest()["events_rejected"]) == (0, 1)
        assert (
            "the plugin logged 1 event that the contract does not know" in capsys.readouterr().err
        )


class TestSheets:
    """Pictures that a plugin makes beside those asked for, so that scenes can show them."""

    def test_an_announced_sheet_without_a_word_is_accounted_for(self, project: _Project) -> None:
        """One that was started may have cost something."""

        async def run(request: ImageRequest, context: StageContext) -> StageSummary:
            context.log.info("stage.started", sheets=["mira", "bo"])
            context.log.info("scene.started", scene_id="bo", queued_s=0)
            return await _good(request, context)

        report = project.run(run)

        failures = project.manifest()["failures"]
        assert [(row["scene_id"], row["code"], row["cost_usd"]) for row in failures] == [
            ("mira", "not_tried", "0"),
            ("bo", "cancelled", None),
        ]
        assert report.exit_code == 3
        assert "without a word on 2 scenes" in str(report.errors[0])

    @pytest.mark.parametrize("announced", [True, False])
    def test_a_sheet_under_a_scenes_id_is_a_fault(
        self, project: _Project, *, announced: bool
    ) -> None:
        """The scene's own picture would be hidden behind it."""

        async def run(request: ImageRequest, context: StageContext) -> StageSummary:
            if announced:
                context.log.info("stage.started", sheets=["s1"])
            else:
                _sheet("s1", request, context)
            return await _good(request, context)

        report = project.run(run)

        assert report.exit_code == 3
        (fault,) = report.errors
        assert 'result.complete: makes a sheet under a scene\'s id, "s1"' in str(fault)
        assert [row["scene_id"] for row in project.manifest()["images"]] == ["s0", "s1", "s2"]


class TestSecrets:
    def test_no_key_is_in_anything_a_failing_run_leaves_or_says(
        self, project: _Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Events, log lines, outcomes, errors, tracebacks: every artifact is searched."""

        async def run(request: ImageRequest, context: StageContext) -> StageSummary:
            scenes = iter(request.scenes)
            context.log.debug("headers", authorization=f"Bearer {KEY}")
            context.log.info("scene.started", scene_id="s0", queued_s=0, note=KEY)
            context.log.info("scene.oops", key=KEY)
            failure = Failure(code="refused", message=f"key {KEY}", retryable=False)
            context.deliver(
                SceneOutcome(scene_id=next(scenes).scene_id, failure=failure, cost=FREE)
            )
            _make(next(scenes), request, context)
            try:
                json.loads(KEY)
            except ValueError as error:
                context.log.exception("cannot read")
                raise StageError(f"with {KEY}", hint=f"try {KEY}") from error
            return StageSummary()

        def fail(_: object) -> None:
            raise ValueError(KEY)

        report = project.run(run, observers=[Observer("bad", fail, fail)])

        redactor = redactor_for(_plugin(run))
        said = [*capsys.readouterr(), json.dumps(report.manifest), *map(str, report.errors)]
        said += [str(error.hint) for error in report.errors]
        said += [redactor.traceback(error) for error in report.errors]
        files = [path for path in (project.folder / "out").rglob("*") if path.is_file()]
        said += [path.read_bytes().decode(errors="replace") for path in files]
        assert len(files) == 5
        assert not [text for text in said if "CANARY" in text]
        assert any("[secret]" in text for text in said)


STUBBORN = Mutant((
    running("""import os
import sys
import time
jobs = self.jobs(request)
await self.make(next(jobs), request, context)
context.log.info("scene.started", scene_id=next(jobs).scene.scene_id, queued_s=0)
print("at work", file=sys.stderr, flush=True)
if os.environ["STUBBORN"] == "blocks a thread":
    await anyio.to_thread.run_sync(time.sleep, 60)
with anyio.CancelScope(shield=True):
    await anyio.sleep_forever()"""),
)).source  # fmt: skip


class TestSignals:
    @pytest.mark.parametrize("how", ["shields", "blocks a thread"])
    def test_the_second_signal_leaves_at_once(
        self,
        how: str,
        tmp_path: Path,
        distribute: Distribute,
        monkeypatch: pytest.MonkeyPatch,
        anyio_backend: str,
    ) -> None:
        """Whatever the plugin does about it; results are written, and stdout has its object."""
        site = distribute("stubborn", {"stubborn": "stubborn"}, {"stubborn": STUBBORN})
        monkeypatch.setenv("PYTHONPATH", str(site))
        monkeypatch.setenv("STUBBORN", how)
        project = Project(tmp_path / "project", backend=anyio_backend)
        project.scenes(3)
        running = project.start("run", "scenes.json", "--image", "stubborn", "--json")
        assert running.stderr is not None
        for sign, number in (("at work", signal.SIGINT), ("leave at once", signal.SIGTERM)):
            while sign not in (line := running.stderr.readline()):
                assert line, f"ended without {sign!r}"
            running.send_signal(number)
        begun = time.monotonic()
        ran = ended(running)

        assert ran.returncode == 130
        assert time.monotonic() - begun < 5  # a second on a machine of one's own
        assert json.loads(ran.stdout)["total_images"] == 1
        assert project.codes() == {"s01": "made", "s02": "cancelled", "s03": "not_tried"}
        assert "leaving now" in ran.stderr
        assert "Traceback" not in ran.stderr
        journal = (project.folder / "out" / "events.jsonl").read_text(encoding="ascii")
        assert json.loads(journal.splitlines()[-1])["event"] == "host.run_finished"

    def test_where_no_signal_can_be_received_ctrl_c_still_keeps_results(
        self, project: _Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on Windows, where Python raises KeyboardInterrupt somewhere in the run."""
        monkeypatch.setattr("host_stub.run.signals.receivable", list)

        async def run(request: ImageRequest, context: StageContext) -> StageSummary:
            _make(next(iter(request.scenes)), request, context)
            raise KeyboardInterrupt

        report = project.run(run)

        assert report.exit_code == 130
        assert project.manifest()["total_images"] == 1
        assert project.codes() == {"s1": "not_tried", "s2": "not_tried"}
