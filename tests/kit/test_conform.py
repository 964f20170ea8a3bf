"""The command: whatever a plugin does, it ends with verdicts that say what was seen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from host_stub.conformance.runner import Asked
from host_stub.conformance.runner import conform as try_plugin
from tests.kit.mutants import PARAGON, Mutant
from tests.kit.mutants import running as at_the_beginning_of_a_run
from tests.kit.trying import CASE, command, conform, install


def running(lines: str) -> str:
    """Return the paragon with lines at the beginning of a run."""
    return Mutant((at_the_beginning_of_a_run(lines),)).source


HOSTILE = {
    "exits": ("import os\nos._exit(0)", "it ended its own process with code 0"),
    "kills": ("import os\nos.kill(os.getpid(), 9)", "it ended its own process by SIGKILL"),
    "leaves": ("raise SystemExit(0)", "run raised SystemExit: 0"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "deaf": ("import os\nos.closerange(3, 1024)", "raised OSError"),
    "forges": (
        (
            "import os\nfor fd in range(3, 64):\n"
            "    try:\n"
            '        os.write(fd, b\'{"word": "x", "verdict": "pass"}\\n\')\n'
            "    except OSError:\n        pass\n"
            'raise ValueError("no picture today")'
        ),
        "no picture today",
    ),
}
"""What a run does, and what is to be seen of it."""


@pytest.mark.parametrize("how", HOSTILE)
def test_whatever_a_run_does_is_a_failure_with_what_was_seen(how: str, tmp_path: Path) -> None:
    """Nothing a plugin does to its process passes, and nothing of it reaches the kit."""
    lines, _ = HOSTILE[how]
    install(tmp_path, running(lines), name=how, case=CASE % 60)

    tried = conform(tmp_path, how, "--only", "result.complete", "--only", "settings.documented")

    assert tried.code == 1, tried.said
    assert tried.named("fail").keys() == {"result.complete"}
    assert tried.named("pass").keys() == {"settings.documented"}
    if how != "deaf":  # what such a process comes to is the event loop's
        assert HOSTILE[how][1] in tried.named("fail")["result.complete"]


FLOODS = """import os
while True:
    for fd in range(3, 16):
        try:
            os.set_blocking(fd, False)
            os.write(fd, %s)
        except OSError:
            pass"""
FLOODED = "it wrote to the pipe that answers are read from, and was ended"
ENDLESS = {
    "waits": ("await anyio.sleep_forever()", 2, "it did not end, and was cut off"),
    "blocks": (
        "import time\ntime.sleep(1000)", 1, "it gave no sign of life for 12 s, and was ended"
    ),
    "floods": (FLOODS % r"b'x\n' * 999", 1, FLOODED),
    "floods_in_one_line": (FLOODS % "b'x' * 999", 1, FLOODED),
}  # fmt: skip
"""What a run does without an end, the patience of its case in seconds, and what is said of it."""


@pytest.mark.parametrize("how", ENDLESS)
def test_a_run_without_an_end_ends_in_its_time(how: str, tmp_path: Path) -> None:
    """Cut off, or where it hears of no cancellation, ended with its process from outside.

    What it writes without an end is no sign of life, and the next requirement is tried.
    """
    lines, patience_s, said = ENDLESS[how]
    install(tmp_path, running(lines), name=how, case=CASE % patience_s)

    tried = conform(tmp_path, how, "--only", "result.complete", "--only", "settings.schema")

    assert tried.named("fail") == {"result.complete": said}
    assert tried.named("pass").keys() == {"settings.schema"}


def test_an_import_that_blocks_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin cannot be used then, and the one rule that says so is broken."""
    source = PARAGON.replace("FREE = Cost", "import time\n\ntime.sleep(1000)\nFREE = Cost")
    install(tmp_path, source, name="blocks", case=CASE % 60)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    report = try_plugin(Asked(name="blocks", limit_s=5))

    assert [one.id for one in report.results if one.verdict != "skipped"] == ["hooks.loads"]
    assert report.results[0].detail == (
        "when it was imported, it gave no sign of life for 5 s, and was ended"
    )
    assert report.exit_code == 1


def test_a_plugin_that_asks_a_service_is_not_run_without_a_case(tmp_path: Path) -> None:
    """Its settings could lead to a real one; the first line says what is tried."""
    source = running('raise AssertionError("it was run")').replace(", offline=True", "")
    install(tmp_path, source, name="asks")

    ended = command(tmp_path, "conform", "asks")

    first, *lines = ended.stdout.splitlines()
    assert first.endswith("without a case: only what needs neither a run nor a backend is tried")
    assert ended.returncode == 0, ended.stdout
    assert "it was run" not in ended.stdout
    skipped = [line for line in lines if "asks a service, so it is run with a case only" in line]
    assert len(skipped) > 40


def test_no_variable_of_the_user_reaches_a_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in the environment could buy something, and a home could be written to."""
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-that-buys")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    look = (
        "import os\n"
        'if {"OPENAI_API_KEY", "HTTPS_PROXY"} & os.environ.keys() or any(Path.home().iterdir()):\n'
        "    raise ValueError(sorted(os.environ))"
    )
    install(tmp_path, running(look), name="looks", case=CASE % 60)

    tried = conform(tmp_path, "looks", "--only", "result.complete")

    assert tried.named("pass").keys() == {"result.complete"}, tried.document


NO_PRINT = running('print("at work")')


@pytest.mark.parametrize(
    "source, code, verdict, said",
    [
        (NO_PRINT, 0, "known_deviation", "it likes to; seen: 16 bytes were printed: 'at work"),
        (PARAGON, 1, "fail", "take it out"),
    ],
    ids=["shows", "holds after all"],
)
def test_a_known_deviation_is_none_that_counts_as_long_as_it_shows(
    source: str, code: int, verdict: str, said: str, tmp_path: Path
) -> None:
    """The file says why its author lives with it, and never more than is true."""
    install(tmp_path, source, name="prints", case=CASE % 60)
    known = tmp_path / "known.toml"
    known.write_text('[known]\n"manners.no-print" = "it likes to"\n', "utf-8")

    tried = conform(tmp_path, "prints", "--known", str(known), "--only", "manners.no-print")

    assert said in tried.named(verdict)["manners.no-print"]
    assert tried.code == code


def test_junit_has_a_test_case_for_each_requirement(tmp_path: Path) -> None:
    """With what was seen, and failures as such; a name may hold what XML may not."""
    install(tmp_path, running('raise ValueError("\\x1b[31m&<")'), name="fails", case=CASE % 60)
    junit = tmp_path / "results.xml"

    ids = ("result.complete", "settings.documented", "takes.plan")
    only = [word for name in ids for word in ("--only", name)]
    tried = conform(tmp_path, "fails", *only, "--junit", str(junit))

    suite = ElementTree.parse(junit).getroot()[0]
    assert suite.attrib | {"name": ""} == {
        "name": "", "tests": "3", "failures": "1", "errors": "0", "skipped": "0"
    }  # fmt: skip
    (failed,) = suite.findall("testcase/failure")
    assert "run raised ValueError: \ufffd[31m&<" in failed.attrib["message"]
    assert tried.code == 1
    (action,) = tried.document["next_actions"]
    alone = ["--only", "result.complete", "--debug", "--json"]
    assert action["command"] == ["host-stub", "conform", "fails", *alone]


def pytest_of_the_kit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the kit's tests where a folder's plugins are installed."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    words = ("-q", "-rs", "-p", "no:cacheprovider", "--pyargs", "host_stub.conformance", *words)
    return subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_pytest_collects_the_same_checks(tmp_path: Path) -> None:
    """A test for each requirement; what was seen of a failure is all that is shown."""
    install(tmp_path, NO_PRINT, name="prints", case=CASE % 60)

    ended = pytest_of_the_kit(tmp_path, "--image", "prints", "-k", "manners or takes.drafts")

    assert "1 failed, 5 passed" in ended.stdout, ended.stdout
    assert "manners.no-print: " in ended.stdout
    assert "the rule: Nothing is printed." in ended.stdout


@pytest.mark.parametrize(
    "words, said",
    [
        (("nobody",), "plugin 'nobody' is not installed"),
        (("good", "--only", "manners.no-prints"), "there is no requirement 'manners.no-prints'"),
        (("good", "--case", "absent.py"), "absent.py raised FileNotFoundError"),
        (("good", "--case", "none.py"), "none.py defines no case"),
        (("good", "--case", "wrong.py"), "wrong.py: case is int"),
        (("good", "--known", "absent.toml"), "cannot read absent.toml"),
        (("good", "--known", "odd.toml"), "odd.toml: known.manners.no-print: expected the reason"),
    ],
)
def test_what_cannot_be_tried_ends_with_2(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """One line names what is wrong, and nothing was tried."""
    install(tmp_path, PARAGON, name="good")
    tmp_path.joinpath("none.py").write_text("", "utf-8")
    tmp_path.joinpath("wrong.py").write_text("case = 1\n", "utf-8")
    tmp_path.joinpath("odd.toml").write_text('[known]\n"manners.no-print" = 1\n', "utf-8")

    ended = command(tmp_path, "conform", *words, "--json")

    assert ended.returncode == 2
    assert said in ended.stderr
    assert "hint: " in ended.stderr
    assert "results" not in json.loads(ended.stdout)


BROKEN_CASE = """
from host_stub.conformance import Case

def backend():
    raise ValueError("the port is taken")

case = Case(backend=backend)
"""


@pytest.mark.parametrize("comes", ["with the plugin", "in a file"])
def test_a_case_that_raises_is_not_the_kits_fault(comes: str, tmp_path: Path) -> None:
    """Its author reads which line of it raised what."""
    folder = install(
        tmp_path,
        PARAGON,
        name="cased",
        case=BROKEN_CASE if comes == "with the plugin" else None,
    )
    folder.joinpath("mine.py").write_text(BROKEN_CASE, "utf-8")
    words = ("--case", "mine.py") if comes == "in a file" else ()

    tried = conform(folder, "cased", "--only", "result.complete", *words)

    assert tried.code == 1
    assert "_case:5 raised ValueError: the port is taken" in tried.named("fail")["result.complete"]


@pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "terminated"]
)
def test_an_interrupt_ends_the_kit_and_what_it_started(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    """Also what hangs: no process is left behind."""
    mark = tmp_path / "at-work"
    named = f"Path({str(mark)!r}).write_text(str(os.getpid()))"
    lines = f"import os\nimport time\n{named}\ntime.sleep(1000)"
    install(tmp_path, running(lines), name="hangs", case=CASE % 600)
    process = subprocess.Popen(
        [sys.executable, "-m", "host_stub", "conform", "hangs", "--only", "result.complete"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while (
            not (mark.is_file() and mark.read_text(encoding="utf-8")) and time.monotonic() < until
        ):
            time.sleep(0.02)
        process.send_signal(number)

        assert process.wait(60) == code
        assert (
            not Path("/proc", mark.read_text(encoding="utf-8")).exists() or sys.platform != "linux"
        )
    finally:
        process.kill()
        process.wait()


def test_a_copy_that_a_plugin_makes_of_itself_gives_no_answer(tmp_path: Path) -> None:
    """The process itself does: one that waits for ever is not passed by what its copy saw."""
    source = PARAGON.replace(
        "FREE = Cost", "import os\nimport time\n\nif os.fork():\n    time.sleep(1000)\nFREE = Cost"
    )
    install(tmp_path, source, name="forks")
    install(tmp_path / "child", running('import os\nif not os.fork():\n    raise ValueError("?")'),
            name="comes", case=CASE % 60)  # fmt: skip

    tried = conform(tmp_path / "child", "comes", "--only", "result.complete")

    assert tried.named("pass").keys() == {"result.complete"}, tried.document
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(tmp_path), *sys.path])
        patch.setenv("PYTHONPATH", str(tmp_path))
        report = try_plugin(Asked(name="forks", limit_s=10, only=("settings.schema",)))
    assert report.exit_code == 1
    assert "no sign of life" in report.results[0].detail


@pytest.mark.skipif(sys.platform != "linux", reason="no other system shows whose a process is")
def test_a_process_that_left_its_group_ends_with_the_kit(tmp_path: Path) -> None:
    """Nothing that a plugin started is left behind, in a session of its own either."""
    mark = tmp_path / "started"
    lines = (
        "import subprocess\nimport sys\n"
        "process = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\n"
        f"Path({str(mark)!r}).write_text(str(process.pid))"
    )
    install(tmp_path, running(lines), name="leaves", case=CASE % 60)

    conform(tmp_path, "leaves", "--only", "result.complete")

    stat = Path("/proc", mark.read_text(encoding="utf-8"), "stat")
    until = time.monotonic() + 60
    try:
        while b") Z " not in stat.read_bytes():
            assert time.monotonic() < until, "it is still at work"
            time.sleep(0.02)
    except (FileNotFoundError, ProcessLookupError):
        pass  # it is gone


def test_a_case_that_ends_its_process_is_not_the_plugins_fault(tmp_path: Path) -> None:
    """It ends with 2, as every case that cannot be loaded."""
    install(tmp_path, PARAGON, name="good")
    tmp_path.joinpath("mine.py").write_text("import os\nos._exit(0)\n", "utf-8")

    ended = command(tmp_path, "conform", "good", "--case", "mine.py")

    assert ended.returncode == 2
    assert "when its case was loaded, it ended its own process with code 0" in ended.stderr


def test_pytest_passes_no_plugin_that_cannot_be_used(tmp_path: Path) -> None:
    """Also where the one rule that it breaks is not selected."""
    install(tmp_path, "raise ValueError('no import')\n", name="broken")

    ended = pytest_of_the_kit(tmp_path, "--image", "broken", "-k", "settings.schema")

    assert ended.returncode == 1
    assert "hooks.loads: " in ended.stdout
    assert "no import" in ended.stdout
