"""What was paid for and cannot be read for a moment is not lost: nothing of it is ever given up."""

from __future__ import annotations

import ctypes
import errno
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.cli import main
from stage3_plugin.domain.states import State
from stage3_plugin.errors import LedgerFailed, StorageFailed
from stage3_plugin.files.folder import Folder
from stage3_plugin.runtime import system_errors
from tests.doors import Ran, bills, only, painter, run_stage, scenes, states
from tests.fakes.image_api import ImageApi
from tests.heavy import some_of
from tests.projects import Project
from tests.stage3.stored import Stored

pytestmark = pytest.mark.anyio

MOMENTARY = [
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ESTALE,
    errno.EACCES,
]
"""What the system says of a file that is there and cannot be read now."""
LONG = {"story": "a word of it " * 8000}
"""So much beside the picture that the document has a file of its own."""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="root has to put down its powers")


class Unreadable:
    """Lets the opening to read of every file of some names fail, whoever opens it and however."""

    def __init__(self, number: int, *names: str) -> None:
        self._number = number
        self._names = names
        self.failed = 0

    @contextmanager
    def inserted(self) -> Generator[None]:
        """Stand between the program and the system."""
        real_open, real_low = io.open, os.open

        def opened(path: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
            self._look(path, is_new="x" in mode or "w" in mode)
            return real_open(path, mode, *more, **named)

        def low(path: Any, flags: int, *more: Any, **named: Any) -> int:
            self._look(path, is_new=bool(flags & os.O_CREAT))
            return real_low(path, flags, *more, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(io, "open", opened)
            patch.setattr(os, "open", low)
            yield

    def _look(self, path: object, *, is_new: bool) -> None:
        if not is_new and isinstance(path, str | Path) and Path(path).name in self._names:
            self.failed += 1
            raise OSError(self._number, os.strerror(self._number), str(path))


def message(ran: Ran, scene_id: str = "s01") -> str:
    failure = ran.outcomes[scene_id].failure
    assert failure is not None
    return failure.message


# An answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["answer", "part-0"])
@pytest.mark.parametrize("number", some_of(MOMENTARY, every=len(MOMENTARY)))
async def test_an_answer_that_cannot_be_read_now_is_taken_in_later(
    image_api: ImageApi, tmp_path: Path, number: int, name: str
) -> None:
    """Its row stays open, also for a run that meets the same; then nothing is billed twice."""
    image_api.always(bills(0.05, extra=LONG, heavy=True))
    shim = Unreadable(number, name)
    with shim.inserted():
        ran = await run_stage(painter(image_api), scenes(1), tmp_path)
        first = states(tmp_path)
        again = await run_stage(painter(image_api), scenes(1), tmp_path)
        second = states(tmp_path)
    healthy = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert shim.failed >= 2
    assert (ran.code("s01"), again.code("s01")) == ("storage", "storage")
    assert os.strerror(number) in message(ran)
    assert first == second == [State.SENDING]
    assert healthy.code("s01") == "made"
    assert states(tmp_path) == [State.PAID]
    assert image_api.received() == 1


async def test_an_answer_without_memory_to_read_it_is_taken_in_later(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that is lacking now is there the next time."""

    def load(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("stage3_plugin.purchase.drive.load_reply", load)
        ran = await run_stage(painter(image_api), scenes(1), tmp_path)
    left = states(tmp_path)
    rerun = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert ran.code("s01") == "storage"
    assert "no memory is left" in message(ran)
    assert left == [State.SENDING]
    assert rerun.code("s01") == "made"
    assert image_api.received() == 1


@pytest.mark.parametrize("name", ["answer", "part-0"])
@pytest.mark.parametrize("number", some_of(MOMENTARY, every=len(MOMENTARY)))
async def test_an_unknown_one_is_not_sent_again_while_its_answer_cannot_be_read(
    image_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    name: str,
) -> None:
    """The setting allows sending again what was lost, and nobody can say that it was."""

    def odd(*_: object) -> None:
        raise KeyError

    image_api.always(bills(0.05, heavy=True))
    with monkeypatch.context() as patch:
        patch.setattr("stage3_plugin.purchase.drive.load_reply", odd)
        await run_stage(painter(image_api), scenes(1), tmp_path)
    assert states(tmp_path) == [State.UNKNOWN]
    settings = painter(image_api, on_unknown="resend")
    with Unreadable(number, name).inserted():
        ran = await run_stage(settings, scenes(1), tmp_path)
        refused = main(["resolve", attempt_of(tmp_path), *RESEND, str(tmp_path / ".stage3")])
    left = states(tmp_path)
    rerun = await run_stage(settings, scenes(1), tmp_path)

    assert ran.code("s01") == "storage"
    assert left == [State.UNKNOWN]
    assert refused == 2
    assert rerun.outcomes["s01"].failure is None
    assert image_api.received() == 1


async def test_a_picture_that_breaks_who_looks_at_it_is_unknown_and_not_billed_for_nothing(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is billed for nothing is bought again: only a picture that is none may be called so."""

    def odd(*_: object, **__: object) -> None:
        raise KeyError

    image_api.always(bills(0.05, heavy=True))
    with monkeypatch.context() as patch:
        patch.setattr("stage3_plugin.storage.pictures.inspect_file", odd)
        ran = await run_stage(painter(image_api), scenes(1), tmp_path)
    left = states(tmp_path)
    rerun = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert ran.code("s01") == "unknown"
    assert "its picture cannot be had: KeyError" in message(ran)
    assert left == [State.UNKNOWN]
    assert rerun.outcomes["s01"].failure is None
    assert image_api.received() == 1


RESEND = ["--resend", "--state-dir"]


def attempt_of(folder: Path) -> str:
    return only(folder).attempt_id


def stored(folder: Path) -> Path:
    """Return where the one picture lies."""
    (path,) = (folder / ".stage3" / "objects").glob("*/*")
    return path


# A stored picture --------------------------------------------------------------------------------


@pytest.mark.parametrize("copy_is_there", [True, False])
@pytest.mark.parametrize("number", some_of(MOMENTARY, every=len(MOMENTARY)))
async def test_a_picture_that_cannot_be_read_now_is_not_called_lost(
    image_api: ImageApi,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    number: int,
    *,
    copy_is_there: bool,
) -> None:
    """The run, ``verify`` and ``resolve`` say what the system said, and nobody may let go of it."""
    await run_stage(painter(image_api), scenes(1), tmp_path)
    purchase = only(tmp_path)
    (copy,) = (tmp_path / "out" / "images").iterdir()
    if copy_is_there:
        os.utime(copy, (1, 1))  # looked at, since it may have been changed
    else:
        copy.unlink()
    state_dir = str(tmp_path / ".stage3")
    with Unreadable(number, stored(tmp_path).name).inserted():
        ran = await run_stage(painter(image_api), scenes(1), tmp_path)
        capsys.readouterr()
        verified = main(["verify", "--state-dir", state_dir])
        verify_said = capsys.readouterr().out
        resolved = main(["resolve", purchase.attempt_id, *RESEND, state_dir])
        resolve_said = capsys.readouterr().err
    left = only(tmp_path)
    rerun = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert ran.code("s01") == "storage"
    assert "gone or damaged" not in message(ran)
    assert os.strerror(number) in message(ran)
    assert (verified, resolved) == (1, 2)
    assert "cannot be read now" in verify_said
    assert "--resend" not in verify_said
    assert "cannot be read now" in resolve_said
    assert left.state is State.PAID
    assert rerun.outcomes["s01"].reused
    assert image_api.received() == 1


@pytest.mark.parametrize("number", some_of(MOMENTARY, every=len(MOMENTARY)))
async def test_a_copy_that_cannot_be_read_now_is_still_there_to_heal_from(
    image_api: ImageApi, tmp_path: Path, number: int
) -> None:
    """The object is gone; whether its copy is good is not known, so the picture is not lost yet."""
    await run_stage(painter(image_api), scenes(1), tmp_path)
    stored(tmp_path).unlink()
    (copy,) = (tmp_path / "out" / "images").iterdir()
    with Unreadable(number, copy.name).inserted():
        ran = await run_stage(painter(image_api), scenes(1), tmp_path)
    rerun = await run_stage(painter(image_api), scenes(1), tmp_path)

    assert "gone or damaged" not in message(ran)
    assert os.strerror(number) in message(ran)
    assert rerun.outcomes["s01"].reused
    assert image_api.received() == 1


async def test_what_is_gone_or_differs_may_be_given_up(
    image_api: ImageApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third case is still told from the other two."""
    await run_stage(painter(image_api), scenes(1), tmp_path)
    purchase = only(tmp_path)
    stored(tmp_path).write_bytes(b"another")
    (copy,) = (tmp_path / "out" / "images").iterdir()
    copy.unlink()
    ran = await run_stage(painter(image_api), scenes(1), tmp_path)
    state_dir = str(tmp_path / ".stage3")
    code = main(["resolve", purchase.attempt_id, *RESEND, state_dir])
    capsys.readouterr()

    assert "gone or damaged" in message(ran)
    assert code == 0
    assert only(tmp_path).state is State.PAID_BAD


# Folders that may not be looked into -------------------------------------------------------------


def without_powers() -> None:
    """Be root no longer where permissions are concerned: what is shut stays shut."""
    if os.geteuid() == 0:
        for power in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, power, 0, 0, 0)


CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24


def shut(folder: Path) -> Path:
    """Let nobody look into a folder that is there, or is made."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700 if os.geteuid() == 0 else 0)
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    return folder


def asked(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        preexec_fn=without_powers,
        env={**os.environ, "LOOPBACK_KEY": "k"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


@LINUX
@pytest.mark.parametrize("command", ["run", "plan", "check"])
def test_a_state_folder_below_one_that_may_not_be_searched_is_named(
    image_api: ImageApi, tmp_path: Path, command: str
) -> None:
    """In words, with what to do, and before anything is sent."""
    closed = shut(tmp_path / "shut")
    project = Project(tmp_path / "project")
    project.scenes(1)
    project.config(image_api, state_dir=str(closed / "deep" / "state"))
    words = [command] if command == "check" else [command, "scenes.json"]

    done = asked("host_stub", *words, folder=project.folder)

    assert done.returncode == 2
    assert "PermissionError" not in done.stderr
    assert "Permission denied" in done.stderr
    assert "who owns the folder" in done.stderr
    assert image_api.received() == 0


@LINUX
@pytest.mark.parametrize("words", [("attempts",), ("verify",), ("resolve", "abcdef", "--resend")])
def test_a_ledger_that_may_not_be_looked_at_is_named(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    """No exception by its Python name, and no mistake of the program."""
    closed = shut(tmp_path / "shut")

    done = asked("stage3_plugin", *words, "--state-dir", str(closed / "state"), folder=tmp_path)

    assert done.returncode == 2
    assert "should not have happened" not in done.stderr
    assert "Permission denied" in done.stderr
    assert "who owns the folder" in done.stderr


@LINUX
async def test_pictures_that_belong_to_somebody_else_are_not_called_missing(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """``verify`` goes through all of them and says of each that it cannot be read now."""
    await run_stage(painter(image_api), scenes(2), tmp_path)
    shut(tmp_path / ".stage3" / "objects")

    done = asked("stage3_plugin", "verify", folder=tmp_path)

    assert done.returncode == 1, done.stderr
    assert done.stdout.count("cannot be read now (Permission denied)") == 2


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a current folder cannot be removed")
@pytest.mark.parametrize(
    "words",
    [
        ("host_stub", "check"),
        ("host_stub", "run", "scenes.json"),
        ("stage3_plugin", "attempts"),
        ("stage3_plugin", "verify"),
    ],
)
def test_a_current_folder_that_was_removed_is_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Not by the exception that Python raises for it."""
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'rmdir "$PWD"; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-P", "-m", *words],
        cwd=gone,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )

    assert done.returncode == 2
    assert "FileNotFoundError" not in done.stderr
    assert "should not have happened" not in done.stderr
    assert "hint: " in done.stderr


# Hints -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number, told",
    [
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permissions"),
        (errno.EPERM, "permissions"),
        (errno.EROFS, "only be read"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "whole system"),
        (errno.EISDIR, "a folder stands where a file"),
        (errno.ENOTDIR, "a file stands where a folder"),
        (errno.ELOOP, "link"),
        (errno.EEXIST, "move it away"),
        (errno.ENOENT, "moved or removed"),
        (errno.ENOLCK, "locks"),
        (errno.ENAMETOOLONG, "shorter path"),
        (errno.EIO, "the disk failed"),
        (errno.ESTALE, "mount it anew"),
        (errno.ENOMEM, "memory"),
        (99_999, "check the disk"),
    ],
)
def test_a_hint_fits_its_number(number: int, told: str) -> None:
    """Nobody is sent to free space on a disk that is half empty."""
    failed = StorageFailed(Path("a"), OSError(number, "no"))

    assert failed.hint is not None
    assert told in failed.hint
    assert "free space" not in failed.hint or number == errno.ENOSPC


def test_every_number_in_the_table_has_words_of_its_own() -> None:
    """But for two that mean the same."""
    assert len(set(system_errors.HINTS.values())) >= len(system_errors.HINTS) - 4


# A copy that is being made -----------------------------------------------------------------------


def test_nobody_removes_a_copy_that_is_just_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its original's time of change, which may be years old; that does not make it left."""
    store, other = Stored(tmp_path / ".stage3"), Stored(tmp_path / ".other")
    kept, beside = (each.objects.where("0" * 64) for each in (store, other))
    for path in (kept, beside):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"picture")
    os.utime(kept, (1, 1))
    images = tmp_path / "images"
    real: Callable[..., None] = Folder.rename
    is_first = True

    def slowly(folder: Any, old: str, new: str) -> None:
        nonlocal is_first
        if is_first:  # the other one publishes meanwhile, into the same folder
            is_first = False
            other.publish(beside, images, "theirs", "image/png")
        real(folder, old, new)

    monkeypatch.setattr(Folder, "rename", slowly)
    path = store.publish(kept, images, "ours", "image/png")

    assert path.read_bytes() == b"picture"
    assert path.stat().st_mtime == 1
    assert time.time() > 1


def test_a_ledger_failure_keeps_its_own_words() -> None:
    """What SQLite said is not put into words for the third time."""
    failed = LedgerFailed(Path("ledger.db"), "the disk is full", number=errno.ENOSPC, hint="do")

    assert failed.hint == "do"
