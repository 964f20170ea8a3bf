"""The run's end of the pipes to the cluster's driver, and the lines through it to each replica.

The driver, see :mod:`.broker`, is a process as replicas of this machine are, and each replica of
the cluster is spoken with as those are: what is asked names its ``line``, and so do the answers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

import anyio

from stage3_plugin.errors import NoWorker, WorkerLost
from stage3_plugin.executors.child import Child
from stage3_plugin.executors.messages import Said
from stage3_plugin.executors.pool import DiedIdle, Line
from stage3_plugin.runtime.masking import Masked

_SEND_S = 30.0
"""Seconds for the driver to take a job in; it reads all the time, unless it is frozen."""
_END_S = 5.0
"""Seconds for the driver to say that nothing of a replica is written any more."""
_GOODBYE_S = 10.0
"""Seconds for the driver to leave its cluster, or to end its own."""


class Link:
    """The process that is the cluster's driver."""

    def __init__(self, child: Child, masked: Masked) -> None:
        self.child = child
        self.masked = masked
        self.is_gone = False
        """It answers no more; another one is to be started."""
        self._sending = anyio.Lock()
        self._lines: list[RemoteLine] = []

    @classmethod
    async def start(cls, environment: Mapping[str, str], masked: Masked) -> Link:
        """Start the process.

        Raises:
            NoWorker: It cannot be started.
        """
        # Where it stands, Ray has its members look for modules, first.
        module = "stage3_plugin.executors.cluster.broker"
        return cls(await Child.start(module, environment, masked, folder=os.sep), masked)

    async def join(self, head: Said) -> None:
        """Have it join its cluster.

        Raises:
            NoWorker: There is none, or none that lets it in.
            WorkerLost: It is gone.
        """
        said = await self.child.ask(head)
        if "refused" in said:
            raise NoWorker(self.masked.text(said["refused"]))

    def line(self) -> RemoteLine:
        """Return how one more replica is spoken with."""
        self._lines.append(RemoteLine(self, len(self._lines)))
        return self._lines[-1]

    async def send(self, head: Said, parts: Sequence[bytes]) -> None:
        """Send one piece, whole: half of one would be the end of all that follow.

        Raises:
            WorkerLost: The process does not read.
        """
        with anyio.CancelScope(shield=True), anyio.move_on_after(_SEND_S) as scope:
            async with self._sending:
                with suppress(WorkerLost):  # whoever waits hears of it from listen()
                    await self.child.send(head, parts)
        if scope.cancelled_caught:
            self.child.kill_now()
            raise WorkerLost("did not take its job in, and was ended")

    async def listen(self) -> None:
        """Hand each answer to who waits for it, until the process is gone."""
        with suppress(WorkerLost):
            while True:
                said = await self.child.hear()
                number: int = said["line"]
                self._lines[number].hear(said)
        self.is_gone = True
        self.child.kill_now()
        for line in self._lines:
            line.kill_now()

    async def close(self) -> None:
        """Have the process leave its cluster and end; kill it if it does not listen."""
        await self.child.close(_GOODBYE_S)

    def lost(self) -> WorkerLost:
        """Return why there is no answer from anywhere."""
        return WorkerLost("that speaks with the cluster is gone", self.child.last_words())


class RemoteLine(Line):
    """How one replica of the cluster is spoken with; its last words are on some node."""

    def __init__(self, link: Link, number: int) -> None:
        self._link = link
        self._number = number
        self._said: Said = {}
        self._heard = anyio.Event()

    @property
    def process_id(self) -> int:
        """Name the cluster's driver."""
        return self._link.child.process_id

    @property
    def is_alive(self) -> bool:
        """Return whether the cluster's driver is there: what is asked shows the rest."""
        return not self._link.is_gone

    async def ask(self, head: Said, parts: Sequence[bytes] = ()) -> Said:
        """Ask for something, and wait for the answer.

        Raises:
            WorkerLost: The replica is gone, or the cluster's driver.
        """
        if self._link.is_gone:
            raise self._link.lost()
        self._heard = anyio.Event()
        await self._link.send({**head, "line": self._number}, parts)
        await self._heard.wait()
        if "lost" not in self._said:
            return self._said
        if self._link.is_gone:
            raise self._link.lost()
        lost = DiedIdle if self._said["is_idle"] else WorkerLost
        raise lost(self._link.masked.text(self._said["lost"]))

    def hear(self, said: Said) -> None:
        """Take the answer to what was asked last."""
        if not self._heard.is_set():
            self._said = said
            self._heard.set()

    def kill_now(self) -> None:
        """Have whoever waits for an answer wait no more."""
        self.hear({"lost": "was ended", "is_idle": False})

    async def kill(self) -> None:
        """Have the replica ended; afterwards nothing is written that was asked of it."""
        with anyio.move_on_after(_END_S) as scope, suppress(WorkerLost):
            await self.ask({"end": True})
        if scope.cancelled_caught:
            self._link.child.kill_now()
