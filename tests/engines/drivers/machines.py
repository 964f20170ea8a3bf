"""Machines whose drivers buy one story by one ledger, as a test has them work, die and come back.

Each has a folder, with a state folder in it, and a network of its own where this system allows that
(Linux, as root, with iproute2); they share a PostgreSQL server, which they reach by a socket in the
file system, a folder that stands for a bucket, and an image API with books.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.home import known_home
from stage3_plugin.ledger.place import LedgerPlace, place_of
from tests.fakes.image_api import KEY, ImageApi

PROGRAM = Path(__file__).with_name("machine.py")
PRICE_USD = "0.05"
PRICE = 50_000
"""What is held and billed for a picture, in micro-USD."""


def can_be_apart() -> bool:
    """Return whether a process can be given a network of its own here."""
    if any(shutil.which(name) is None for name in ("unshare", "ip")) or os.geteuid() != 0:
        return False
    tried = ["unshare", "--net", "ip", "link", "set", "lo", "up"]
    return subprocess.run(tried, check=False, capture_output=True).returncode == 0


def where_it_is_noon() -> str:
    """Return a time zone in which no day ends while a test runs: a daily cap would begin anew."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"


class Relay:
    """Brings what reaches a socket of another network to the image API, and its answers back."""

    def __init__(self, listening: socket.socket, port: int) -> None:
        self._listening = listening
        self._port = port
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._listening.accept()
            except OSError:  # closed: the machine is gone
                return
            self._threads.append(threading.Thread(target=self._serve, args=(one,), daemon=True))
            self._threads[-1].start()

    def _serve(self, one: socket.socket) -> None:
        with one, suppress(OSError), socket.create_connection(("127.0.0.1", self._port)) as other:
            back = threading.Thread(target=_carry, args=(other, one), daemon=True)
            back.start()
            _carry(one, other)
            back.join()

    def close(self) -> None:
        """Take no more, and wait for what goes on."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(10)


def _carry(here: socket.socket, there: socket.socket) -> None:
    """Carry bytes one way until there are no more, or nobody takes them."""
    with suppress(OSError):
        while data := here.recv(1 << 16):
            there.sendall(data)
    for one in (here, there):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver that was started."""

    machine: Machine
    pid: int
    out: str

    def kill(self) -> None:
        """Kill it as a power cut would."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it, as a machine that sleeps does."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def ended(self) -> int:
        """Wait for it, and return its exit code; -9 if it was killed."""
        return self.machine.wait_for(self.pid)


class Inside:
    """The process on a machine that forks drivers; a context manager that ends it."""

    def __init__(self, *, apart: bool) -> None:
        self.is_apart = apart
        self._mine, its = socket.socketpair()
        before = ["unshare", "--net"] if apart else []
        with its:
            self._process = subprocess.Popen(
                [*before, sys.executable, "-P", PROGRAM, str(its.fileno()),
                 "apart" if apart else "beside"],
                pass_fds=[its.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                encoding="utf-8", env={**os.environ, "LOOPBACK_KEY": KEY, "COLUMNS": "200"},
            )  # fmt: skip
        self._is_ready = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._mine.close()
        self._process.communicate()

    def tell(self, order: Mapping[str, object]) -> int:
        """Have it do something, and return what it says."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        if not self._is_ready:
            assert json.loads(process.stdout.readline()) == "ready"
            self._is_ready = True
        process.stdin.write(f"{json.dumps(order)}\n")
        process.stdin.flush()
        said: int = json.loads(process.stdout.readline())
        return said

    def listens(self, port: int) -> socket.socket:
        """Return a socket that listens in its network."""
        self.tell({"listen": port})
        _, (fd,), _, _ = socket.recv_fds(self._mine, 1, 1)
        return socket.socket(fileno=fd)


class Machine:
    """A machine; a context manager that ends what runs on it."""

    def __init__(self, folder: Path, api: ImageApi, inside: Inside) -> None:
        self.folder = folder
        self._api = api
        self._inside = inside
        self._relay: Relay | None = None
        self._going: set[int] = set()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._inside.is_apart:
            port = int(self._api.root_url.rpartition(":")[2])
            self._relay = Relay(self._inside.listens(port), port)
        return self

    def __exit__(self, *_: object) -> None:
        for pid in list(self._going):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.wait_for(pid)
        if self._relay is not None:
            self._relay.close()

    def start(self, *words: str, out: str = "out") -> Driver:
        """Start the host's command with results in a folder of their own."""
        order = {
            "folder": str(self.folder),
            "said": str(self.folder / f"{out}.said"),
            "words": [*words, "--out", out],
        }
        pid = self._inside.tell(order)
        self._going.add(pid)
        return Driver(self, pid, out)

    def stage3(self, *words: str) -> tuple[int, str]:
        """Run a command on the ledger to its end, and return its exit code and what it said."""
        said = self.folder / "stage3.said"
        said.unlink(missing_ok=True)
        order = {
            "folder": str(self.folder),
            "said": str(said),
            "words": ["stage3", *words],
        }
        code = self.wait_for(self._inside.tell(order))
        return code, said.read_text(encoding="utf-8")

    def wait_for(self, pid: int) -> int:
        """Wait for a driver, and return its exit code; -9 if it was killed."""
        code = self._inside.tell({"wait": pid})
        self._going.discard(pid)
        return code

    def run(self, *words: str, out: str = "out") -> int:
        """Run a command to its end, and return its exit code."""
        return self.start(*words, out=out).ended()

    @property
    def home(self) -> str:
        """Return the word of its state folder."""
        word = known_home(self.folder / ".stage3")
        assert word is not None, "no driver has begun here"
        return word

    def said(self, out: str = "out") -> str:
        """Return what its drivers have written to the terminal."""
        return (self.folder / f"{out}.said").read_text(encoding="utf-8")

    def manifest(self, out: str = "out") -> dict[str, Any]:
        """Read the manifest of a driver."""
        text = (self.folder / out / "manifest.json").read_text(encoding="utf-8")
        manifest: dict[str, Any] = json.loads(text)
        return manifest

    def codes(self, out: str = "out") -> dict[str, str]:
        """Return how every scene ended, from the manifest."""
        manifest = self.manifest(out)
        failed = {one["scene_id"]: one["code"] for one in manifest["failures"]}
        return {one["scene_id"]: "made" for one in manifest["images"]} | failed

    def failure(self, scene_id: str, out: str = "out") -> str:
        """Return why a scene has no picture."""
        (found,) = [one for one in self.manifest(out)["failures"] if one["scene_id"] == scene_id]
        message: str = found["message"]
        return message


class Town:
    """Two machines and what they share.

    Attributes:
        api: Sells pictures, and keeps books.
        machines: Both of them.
    """

    def __init__(
        self, folder: Path, api: ImageApi, inside: Sequence[Inside], *, url: str, project: str
    ) -> None:
        self.folder = folder
        self.api = api
        self._url = url
        self._project = project
        (folder / "bucket").mkdir(parents=True)
        self.machines = [
            Machine(folder / name, api, one)
            for name, one in zip(("one", "two"), inside, strict=True)
        ]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for machine in self.machines:
            self._stack.enter_context(machine)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def story(self, scenes: int, **settings: object) -> None:
        """Write a story, and the config of each machine."""
        ids = [f"s{number:03}" for number in range(1, scenes + 1)]
        prompts = [{"scene_id": one, "image_prompt": f"{one}: a harbour at dusk"} for one in ids]
        values: dict[str, object] = {
            "provider": "openrouter",
            "base_url": self.api.base_url,
            "model": "a/painter",
            "size": "64x64",
            "price_usd": PRICE_USD,
            "backoff_base_s": 0.01,
            "backoff_max_s": 0.02,
            "timeout_s": 20,
            "deadline_s": 60,
            "time_zone": where_it_is_noon(),
            "ledger": self._url,
            "project": self._project,
            "store": (self.folder / "bucket").as_uri(),
            **settings,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        table = ["[plugin.stage3]", 'api_key = { env = "LOOPBACK_KEY" }', *lines]
        for machine in self.machines:
            machine.folder.mkdir(parents=True, exist_ok=True)
            (machine.folder / "host.toml").write_text("\n".join(table), encoding="utf-8")
            (machine.folder / "scenes.json").write_text(json.dumps(prompts), encoding="utf-8")

    @property
    def place(self) -> LedgerPlace:
        """Return where their ledger is."""
        return place_of(self._url, self._project, self.folder / "nobody")

    def ledger(self) -> Ledger:
        """Open their ledger to write, as a person's command does."""
        return self.place.open()

    @contextmanager
    def nothing_is_committed(self) -> Generator[None]:
        """Keep all drivers from writing to their ledger, as one that writes for long does."""
        with self.ledger() as ledger, ledger.transaction():
            yield

    def purchases(self) -> list[Purchase]:
        """Read every row, oldest first, and see that the counters are right."""
        with self.ledger() as ledger:
            assert ledger.problems() == []
            return list(ledger.purchases())[::-1]

    def is_connected(self, home: str) -> bool:
        """Return whether a driver of a home is connected."""
        with self.ledger() as ledger:
            return ledger.home_is_connected(home)

    def committed(self) -> int:
        """Return what is held and spent in all, in micro-USD."""
        with self.ledger() as ledger:
            sums = ledger.sums(run_id="", provider="openrouter", day=datetime.now(UTC).date())
        return sums.total_microusd

    def states(self, scene_id: str | None = None) -> list[str]:
        """Return every row's state, or those of a scene, oldest first."""
        return [
            str(one.state)
            for one in self.purchases()
            if scene_id is None or one.new.scene_id == scene_id
        ]
