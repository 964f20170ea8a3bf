"""A command whose streams are gone, and files of ours that are no files: nothing hangs or lies."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HOST_STUB = [sys.executable, "-m", "host_stub"]
LINUX = pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has such a disk")
POSIX = pytest.mark.skipif(os.name != "posix", reason="POSIX descriptors, pipes and signals")


@pytest.fixture(autouse=True)
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scenes = [{"scene_id": f"s{n}", "prompt": "p", "width": 8, "height": 8} for n in range(3)]
    (tmp_path / "story.json").write_text(json.dumps(scenes), encoding="utf-8")


def command(*words: str) -> list[str]:
    return [*HOST_STUB, "run", "story.json", "--image", "plain", *words]


@LINUX
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_run_whose_output_is_lost_does_not_say_that_nothing_was_sent(
    words: tuple[str, ...],
) -> None:
    """Exit code 2 would tell a script that no money was spent."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command(*words), stdout=full, stderr=subprocess.PIPE, check=False, timeout=60
        )

    assert done.returncode == 3
    assert b"No space left on device" in done.stderr
    assert len(json.loads(Path("out/manifest.json").read_bytes())["images"]) == 3


@POSIX
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_run_needs_no_stream(closed: str) -> None:
    """A service or a window may have started it with none."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command()], check=False, timeout=60
    )

    assert done.returncode == 0
    assert len(json.loads(Path("out/manifest.json").read_bytes())["images"]) == 3


@POSIX
@pytest.mark.parametrize("name", ["events.jsonl", "manifest.json"])
@pytest.mark.parametrize("what", ["pipe", "/dev/zero", "/dev/full", "dangling"])
def test_what_is_no_file_under_a_name_of_ours_is_put_aside(name: str, what: str) -> None:
    """Nothing is read from it, nothing waits for it, and nothing is written through it."""
    Path("out").mkdir()
    path = Path("out", name)
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(what if what.startswith("/") else "nowhere")

    done = subprocess.run(command(), capture_output=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr
    assert path.is_file()
    assert not path.is_symlink()
    kept = path.parent / "runs" / "earlier" / name
    assert kept.is_symlink() or kept.is_fifo()


@POSIX
@pytest.mark.parametrize(
    "words, module",
    [
        (("host_stub", "run", "story.json"), "host_stub.cli.commands"),
        (("host_stub", "run", "story.json"), "host_stub.config.file"),
        (("stage3_plugin", "attempts"), "stage3_plugin.cli"),
        (("stage3_plugin", "attempts"), "stage3_plugin.errors"),
        (("stage3_plugin", "verify"), "stage3_plugin.maintenance.verify"),
    ],
)
def test_an_interrupt_while_the_command_is_loaded_is_one_line(
    tmp_path: Path, words: tuple[str, ...], module: str
) -> None:
    """Ctrl-C in the first half second finds Python in the middle of an import."""
    # Interrupts itself exactly once, when the module is looked for.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            sys.meta_path.remove(self)\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    environment.pop("PYTHONSAFEPATH", None)

    done = subprocess.run(
        [sys.executable, "-m", *words],
        env=environment,
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.decode() == "error: interrupted\n"
    assert not Path("out").exists()


IN_A_SMALL_DISK = """
mkdir out && mount -t tmpfs -o size=64k none out || exit 77
"$@"; code=$?; ls out; exit $code
"""


def test_a_disk_of_results_that_fills_up_keeps_no_word_back(tmp_path: Path) -> None:
    """The pictures of the run, their cost and the manifest's failure are told; the code is 3."""
    scenes = [{"scene_id": f"s{n}", "prompt": "p", "width": 8, "height": 8} for n in range(300)]
    (tmp_path / "story.json").write_text(json.dumps(scenes), encoding="utf-8")
    asked = ["unshare", "-rm", "sh", "-c", IN_A_SMALL_DISK, "sh", *command()]
    if sys.platform != "linux":
        pytest.skip("mounts a disk of its own")

    done = subprocess.run(asked, capture_output=True, check=False, timeout=120)
    if done.returncode == 77 or b"unshare" in done.stderr:
        pytest.skip("this system does not let one be mounted")

    assert done.returncode == 3, done.stderr
    assert b"should not have happened" not in done.stderr
    assert b"manifest.json" in done.stderr
    assert b"No space left on device" in done.stderr
    assert b"cost $0.00" in done.stdout
