"""Two interrupts at whatever moment end a run as an interrupt, and never as an accident."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic_core import SchemaError

from host_stub.cli import main
from host_stub.errors import HostError, came_of_an_interrupt
from host_stub.run.signals import Receiver
from tests.heavy import further
from tests.hostile import interrupted_anywhere
from tests.projects import Project, ended

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.mark.parametrize("backend", ["asyncio", *further(["trio"])])
def test_two_interrupts_in_whatever_function_end_a_run_as_one(backend: str, tmp_path: Path) -> None:
    """From the beginning of the event loop to its closing: 130, or 0 where all was made."""
    program = [sys.executable, interrupted_anywhere.__file__, backend, "12"]
    root = Path(interrupted_anywhere.__file__).parents[2]
    done = subprocess.run(
        program,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["odd"] == []
    assert set(told["codes"]) == {"0", "130"}
    assert sum(told["codes"].values()) > 100


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_run_that_is_interrupted_before_it_begins_starts_nothing(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that comes before the loop does is not lost."""
    monkeypatch.chdir(tmp_path)
    Path("scenes.json").write_text(json.dumps(interrupted_anywhere.STORY), encoding="utf-8")
    run = anyio.run

    def interrupted(go: Any, *arguments: Any, **_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return run(go, *arguments, backend=backend)

    monkeypatch.setattr(anyio, "run", interrupted)
    code = main(interrupted_anywhere.WORDS)

    assert code == 130
    manifest = json.loads(Path("out/manifest.json").read_bytes())
    assert [one["code"] for one in manifest["failures"]] == ["not_tried"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_two_interrupts_while_the_loop_is_closed_do_not_wait_for_it(tmp_path: Path) -> None:
    """What hangs there may not keep a person from the terminal."""
    program = (
        "import signal, sys, time\n"
        "from host_stub.run.signals import Receiver\n"
        "with Receiver([]) as receiver:\n"
        "    receiver.run_is_over()\n"
        "    print('closing', flush=True)\n"
        "    end = time.monotonic() + 30\n"
        "    while time.monotonic() < end:\n"
        "        time.sleep(0.01)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)  # two of the same that wait together are one

    assert process.wait(timeout=10) == 143
    process.stdout.close()


def test_a_child_that_was_forked_ends_by_a_signal() -> None:
    """It inherits the handler, and not the run."""
    received: list[signal.Signals] = []
    reading, writing = os.pipe()
    with Receiver(received), os.fdopen(reading, "rb") as ready:
        child = os.fork()
        if child == 0:
            os.write(writing, b".")  # before that, what comes is lost in the forking
            time.sleep(30)
            os._exit(0)
        os.close(writing)
        ready.read(1)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM
    assert received == []


def test_two_interrupts_while_the_command_is_loaded_end_in_one_line(tmp_path: Path) -> None:
    """The second does not break the first's last words."""
    slow = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('host_stub.cli', 'host_stub.errors'):\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from host_stub.__main__ import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", slow, "plugins"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")


AS_A_CLASS_WAS_MADE = SchemaError('Error building "definitions" validator:\n  KeyboardInterrupt: ')
"""What pydantic's core makes of one that meets it there."""


def test_an_interrupt_that_meets_the_making_of_a_class_is_no_plugins_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes out of the plugin's import as an error, and ends as the interrupt that it was."""

    def loading(_entry_point: EntryPoint) -> None:
        raise AS_A_CLASS_WAS_MADE

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(EntryPoint, "load", loading)

    assert main(["check", "--image", "stage3"]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_an_error_in_the_wake_of_an_interrupt_is_an_interrupt() -> None:
    """A loop that was cut off where it stood raises errors of its own; others are what they are."""
    wake = RuntimeError("Cannot close a running event loop")
    wake.__context__ = ValueError()
    wake.__context__.__context__ = KeyboardInterrupt()
    circle = RuntimeError()
    circle.__context__ = ValueError()
    circle.__context__.__cause__ = circle

    assert came_of_an_interrupt(wake)
    assert came_of_an_interrupt(ExceptionGroup("", [ValueError(), wake]))
    assert came_of_an_interrupt(AS_A_CLASS_WAS_MADE)
    assert not came_of_an_interrupt(SchemaError("KeyError: 'KeyboardInterrupt'"))
    assert not came_of_an_interrupt(circle)
    assert not came_of_an_interrupt(HostError("x", hint=""))


@pytest.mark.parametrize("backend", ["trio", *further(["asyncio"])])
def test_real_interrupts_at_the_start_of_a_real_run(backend: str, tmp_path: Path) -> None:
    """A process, and two signals in its first half second."""
    project = Project(tmp_path, backend=backend)
    project.scenes(3)
    (tmp_path / "host.toml").write_text('[plugin.stage3]\nsize = "64x64"\n', encoding="utf-8")
    for number in range(4):
        process = project.start("run", "scenes.json")
        time.sleep(0.25 + 0.1 * number)
        process.send_signal(signal.SIGINT)
        time.sleep(0.01 * number)
        process.send_signal(signal.SIGINT)
        done = ended(process)

        # Python takes its handlers away as it ends: a signal that comes then kills.
        lawful = {130, -signal.SIGINT, 0} if "[3/3]" in done.stderr else {130, -signal.SIGINT}
        assert done.returncode in lawful, done.stderr
        assert "should not have happened" not in done.stderr


@pytest.mark.parametrize("command", ["check", "plan"])
def test_a_loop_that_says_cancelled_was_interrupted(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two interrupts while a stage is only opened: not a traceback and code 1."""
    monkeypatch.chdir(tmp_path)
    Path("scenes.json").write_text(json.dumps(interrupted_anywhere.STORY), encoding="utf-8")

    def cancelled(*_arguments: object, **_options: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(anyio, "run", cancelled)
    words = ["scenes.json"] if command == "plan" else []

    assert main([command, *words, "--image", "plain"]) == 130
