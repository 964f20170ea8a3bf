"""Every durable step, and every way in which a disk can fail it: nothing is lost or bought twice.

The steps are the folders and files that a run writes to, the ways are the calls by which it does,
and each fails with each error from its first call on, as a disk does that is full, broken, or was
made read-only by the system. Then it is cured, and the same command is run again. The ledger's
file is written by C, so there the commit itself fails, with and without having been made.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from host_stub.cli import main as host
from host_stub.run import pipeline
from stage3_plugin.cli import main as stage3
from stage3_plugin.ledger.database import Database
from stage3_plugin.ledger.translation import ledger_failed
from tests.doors import bills
from tests.fakes.behaviours import Behaviour
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.wire import Asked
from tests.heavy import some_of
from tests.projects import Project

PICTURE = make_png("s01", 64, 64, heavy=True)
STORY: dict[str, Behaviour] = {
    "s01": bills(0.05, picture=PICTURE + b"a word behind it", extra={"story": "word " * 20_000}),
    "s02": bills(0.05, url="own"),
}
STEPS: dict[str, tuple[str, ...]] = {
    "owner": (".stage3/owners",),
    "spool": (".stage3/spool",),
    "object": (".stage3/objects", ".stage3/tmp"),
    "original": (".stage3/originals",),
    "picture": ("out/images",),
    "manifest": ("out/manifest.json", "out/.manifest.json"),
    "journal": ("out/events.jsonl",),
    "everything": ("",),
}
WAYS = [
    *((way, errno.EIO) for way in ("open", "create", "read", "write", "fsync", "rename", "mkdir")),
    *((way, errno.ENOSPC) for way in ("create", "write", "rename", "mkdir")),
    *((way, errno.EROFS) for way in ("create", "rename", "mkdir")),
]
CALLED = {"link": "rename", "replace": "rename", "rename": "rename", "mkdir": "mkdir"}


class Fault:
    """Lets one way of using some places fail.

    Args:
        places: Beginnings of paths.
        way: How they are used, as :data:`WAYS` calls it.
        number: The error's.
    """

    def __init__(self, places: tuple[str, ...], way: str, number: int) -> None:
        self._places = places
        self._way = way
        self._number = number
        self.failed = 0

    @contextmanager
    def inserted(self) -> Generator[None]:
        """Stand between the program and the system."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", self._opening(os.open))
            for module in (io, builtins):
                patch.setattr(module, "open", self._streaming(io.open))
            for name in ("write", "fsync"):
                patch.setattr(os, name, self._of_descriptor(name, getattr(os, name)))
            for name, way in CALLED.items():
                patch.setattr(os, name, self._of_path(name, way, getattr(os, name)))
            yield

    def _fail(self, way: str, path: object) -> None:
        if way == self._way and str(path).startswith(self._places):
            self.failed += 1
            raise OSError(self._number, os.strerror(self._number), str(path))

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def opening(path: Any, flags: int, *more: Any, **named: Any) -> int:
            at = _absolute(path, named.get("dir_fd"))
            self._fail("create" if flags & os.O_CREAT else "open", at)
            return real(path, flags, *more, **named)

        return opening

    def _streaming(self, real: Callable[..., Any]) -> Callable[..., Any]:
        fault = self

        class Failing(io.FileIO):
            """A file whose bytes may not be had, or not be written."""

            def readinto(self, buffer: Any) -> int | None:
                fault._fail("read", _path_of(self.fileno()))
                return super().readinto(buffer)

            def readall(self) -> bytes:
                fault._fail("read", _path_of(self.fileno()))
                return super().readall()

            def read(self, size: int | None = -1) -> bytes:
                fault._fail("read", _path_of(self.fileno()))
                return super().read(-1 if size is None else size)

            def write(self, data: Any) -> int:
                fault._fail("write", _path_of(self.fileno()))
                return super().write(data)

        def streaming(
            path: Any, mode: str = "r", buffering: int = -1, *more: Any, **named: Any
        ) -> Any:
            at = _path_of(path) if isinstance(path, int) else _absolute(path)
            is_new = not set(mode).isdisjoint("wax")
            if not isinstance(path, int):
                fault._fail("create" if is_new else "open", at)
            if not at.startswith(fault._places) or "opener" in named or "+" in mode:
                return real(path, mode, buffering, *more, **named)
            raw = Failing(path, mode.replace("b", "").replace("t", ""))
            if buffering == 0:
                return raw
            buffered = io.BufferedWriter(raw) if is_new else io.BufferedReader(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, *more, **named)

        return streaming

    def _of_descriptor(self, way: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: int, *more: Any) -> Any:
            self._fail(way, _path_of(descriptor))
            return real(descriptor, *more)

        return call

    def _of_path(self, name: str, way: str, real: Callable[..., Any]) -> Callable[..., Any]:
        place, folder = (0, "dir_fd") if name == "mkdir" else (1, "dst_dir_fd")

        def call(*paths: Any, **named: Any) -> Any:
            self._fail(way, _absolute(paths[place], named.get(folder)))
            return real(*paths, **named)

        return call


def _path_of(descriptor: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:  # a pipe's end that was closed
        return ""


def _absolute(path: Any, dir_fd: int | None = None) -> str:
    around = str(Path.cwd()) if dir_fd is None else _path_of(dir_fd)
    return str(Path(around, os.fsdecode(path)))


pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names files by /proc")


@pytest.fixture(params=["asyncio", "trio"])
def project(
    request: pytest.FixtureRequest,
    image_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    """Make a project of two scenes; commands are said in its folder."""
    made = Project(tmp_path / "project")
    made.scenes(len(STORY))
    made.config(image_api, capacity=2, adaptive=False)
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    run_pipeline = partial(pipeline.run_pipeline, backend=request.param)
    monkeypatch.setattr("host_stub.run.pipeline.run_pipeline", run_pipeline)

    def answer(asked: Asked) -> Behaviour:
        return STORY[asked.prompt[:3]]

    image_api.otherwise = answer
    return made


def run() -> int:
    return host(["run", "scenes.json"])


def check(project: Project, api: ImageApi, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the cured project: each was asked for once, is there, or is asked about."""
    run()
    codes = project.codes()
    told = capsys.readouterr().err
    assert codes.keys() == STORY.keys(), told
    assert set(codes.values()) <= {"made", "unknown"}, told
    for scene, code in codes.items():
        # What could not even be taken back, since no commit went through, may be unknown unsent.
        asked = api.received(f"{scene}:")
        assert asked == 1 or (code == "unknown" and not asked), told
    stage3(["attempts"])
    shown = capsys.readouterr().out
    for one in project.purchases():
        if codes[one.scene_id] == "unknown" and one.state == "UNKNOWN":
            assert f"resolve {one.attempt_id[:8]}" in shown


@pytest.mark.parametrize("way, number", some_of(WAYS, every=7))
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("project", ["asyncio"], indirect=True)
def test_a_step_that_the_disk_fails_loses_nothing_and_buys_nothing_twice(  # noqa: PLR0917
    project: Project,
    image_api: ImageApi,
    capsys: pytest.CaptureFixture[str],
    step: str,
    way: str,
    number: int,
) -> None:
    """In a first run, and in one that finds all pictures there; each is cured afterwards."""
    fault = Fault(tuple(str(project.folder / one) for one in STEPS[step]), way, number)
    with fault.inserted():
        code = run()
    told = capsys.readouterr()
    sent = image_api.received()
    assert not (sent and code == 2), told.err
    assert not (fault.failed and code == 0 and set(project.codes().values()) != {"made"})
    assert "should not have happened" not in told.err
    check(project, image_api, capsys)
    sent_by_now = image_api.received()
    with fault.inserted():
        run()
    told = capsys.readouterr()
    assert "should not have happened" not in told.err
    assert image_api.received() == sent_by_now
    check(project, image_api, capsys)


COMMITS = {
    "broken": (sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error"),
    "full": (sqlite3.SQLITE_FULL, "database or disk is full"),
}


@pytest.mark.parametrize("is_made", [False, True], ids=["not made", "made and not told"])
@pytest.mark.parametrize("nth", some_of(range(1, 7), every=3))
@pytest.mark.parametrize("how", COMMITS)
def test_a_commit_that_fails_loses_nothing_and_buys_nothing_twice(
    project: Project,
    image_api: ImageApi,
    capsys: pytest.CaptureFixture[str],
    how: str,
    nth: int,
    *,
    is_made: bool,
) -> None:
    """From that commit on, each fails; what was reported as failed may have been made."""
    commits = 0
    real = Database.run

    def fails(database: Database, statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"
        if statement != "COMMIT" or commits < nth:
            real(database, statement)
            return
        if is_made and commits == nth:
            real(database, statement)
        error = sqlite3.OperationalError(COMMITS[how][1])
        error.sqlite_errorcode = COMMITS[how][0]
        raise ledger_failed(database.path, error) from error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "run", fails)
        code = run()
    told = capsys.readouterr()
    sent = image_api.received()

    assert not (sent and code == 2), told.err
    assert "should not have happened" not in told.err
    check(project, image_api, capsys)
