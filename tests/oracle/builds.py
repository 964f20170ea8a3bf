"""The two builds: each a commit in an environment of its own, or the checkout as it is installed.

A commit is built once, into a folder outside the checkout, with the versions of everything else
that the checkout's environment has: what differs then differs by the build.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import threading
from dataclasses import dataclass, field
from importlib.metadata import distributions
from io import BytesIO
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
BUYING = Path(__file__).with_name("buying.py")
REFERENCE = "90056b7"
"""The commit whose behaviour is the right one."""
_OURS = "stage3-plugin"


class BuildFailed(Exception):
    """A build cannot be compared; the message says why, and what to do."""


def cache_folder() -> Path:
    """Return where environments are kept if nothing else is said."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "stage3-oracle"


def python_of(commit: str, at: Path) -> Path:
    """Return the interpreter of the environment of a commit, which is made if it is not there.

    Raises:
        BuildFailed: It cannot be made.
    """
    try:
        name = _run("git", "-C", str(ROOT), "rev-parse", f"{commit}^{{commit}}").decode().strip()
        folder = at.resolve() / name
        python, is_done = folder / "environment" / "bin" / "python", folder / "done"
        if is_done.exists():
            return python
        print(f"building {name[:10]} in {folder}", file=sys.stderr)
        source, versions = folder / "source", folder / "versions.txt"
        source.mkdir(parents=True, exist_ok=True)
        archive = _run("git", "-C", str(ROOT), "archive", name)
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(source, filter="data")
        others = {one.name: one.version for one in distributions() if one.name != _OURS}
        lines = [f"{one}=={version}\n" for one, version in sorted(others.items())]
        versions.write_text("".join(lines), encoding="utf-8")
        _run(sys.executable, "-m", "venv", "--clear", str(folder / "environment"))
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(str(python), *install, "--constraint", str(versions), str(source))
        is_done.touch()
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip()
        raise BuildFailed(f"{commit} cannot be built: {words}") from error
    return python


def _run(*words: str) -> bytes:
    return subprocess.run(words, check=True, capture_output=True).stdout


@dataclass
class _Order:
    ended: threading.Event = field(default_factory=threading.Event)
    status: int | None = None


class Build:
    """A build at work: takes orders, as many at a time as there are threads that ask.

    Attributes:
        name: What it is called in reports.
    """

    def __init__(self, name: str, python: Path, folder: Path, *, within: Path) -> None:
        self.name = name
        self._python = python
        self._folder = folder
        self._within = within
        self._numbers = count()
        self._orders: dict[int, _Order] = {}
        self._lock = threading.Lock()
        self._has_ended = False

    def __enter__(self) -> Self:
        self._folder.mkdir()
        # No server here speaks TLS, and to read all authorities is a third of a run's work.
        (self._folder / "00000000.0").touch()
        env = {**os.environ, "NO_COLOR": "1", "SSL_CERT_DIR": str(self._folder)}
        self._process = subprocess.Popen(
            [self._python, "-I", BUYING],
            cwd=self._folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            encoding="utf-8", env=env,
        )  # fmt: skip
        assert self._process.stdout is not None
        at = self._process.stdout.readline()
        if not at or not Path(json.loads(at)).is_relative_to(self._within):
            raise BuildFailed(
                f"{self._python} does not run what is in {self._within}, but {at.strip() or None}: "
                "install the checkout there (pip install -e .)"
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._reader.join()

    def begin(self, order: dict[str, Any], folder: Path) -> None:
        """Have an order carried out that all others profit of; nothing is heard of it."""
        folder.mkdir(parents=True)
        self._say({**order, "is_first": True, "folder": str(folder)})

    def tried(self, order: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Have an order carried out in a folder, and return what was found, or how it broke."""
        number, waiting = next(self._numbers), _Order()
        folder.mkdir(parents=True)
        self._orders[number] = waiting
        self._say({**order, "is_first": False, "number": number, "folder": str(folder)})
        waiting.ended.wait()
        if waiting.status is None:
            raise BuildFailed(f"the {self.name} takes no orders any more")
        if os.WIFSIGNALED(waiting.status):
            is_alarm = os.WTERMSIG(waiting.status) == 14
            return {"broke": "hung" if is_alarm else f"died of {os.WTERMSIG(waiting.status)}"}
        if waiting.status:
            lines = (folder / "output.txt").read_text(encoding="utf-8").strip().splitlines()
            return {"broke": f"died: {lines[-1] if lines else 'without a word'}"}
        found: dict[str, Any] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
        return found

    def _say(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with self._lock:
            if not self._has_ended:
                self._process.stdin.write(json.dumps(order) + "\n")
                self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            number, status = json.loads(line)
            waiting = self._orders.pop(number)
            waiting.status = status
            waiting.ended.set()
        self._has_ended = True
        for waiting in self._orders.values():
            waiting.ended.set()
