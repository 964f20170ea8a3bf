"""Replicas on a Ray cluster, for models that need more than this machine.

Nothing of Ray is imported here. What speaks with the cluster is a process of its own, the cluster's
driver: see :mod:`.cluster.broker` for why. It is started by the first job, writes what is made to
where the job wants it, and ends when the pool is left or this process is gone. The pool is the one
that processes of this machine have; a replica is an actor, made where there is room.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, ClassVar

import anyio
from anyio.abc import UNIXSocketStream
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from stage3_plugin.errors import NoWorker, SettingsRefused, WorkerLost, need
from stage3_plugin.executors.base import Surroundings, Work
from stage3_plugin.executors.child import GONE, Child, Line, replica_environment
from stage3_plugin.executors.cluster.address import (
    an_address,
    broker_environment,
    need_token,
    place_of,
)
from stage3_plugin.executors.messages import Said
from stage3_plugin.executors.pool import Pool
from stage3_plugin.runtime.masking import Masked

_TICK_S = 1.0
"""How often it looks whether people want to know what is waited for:"""
_FIRST_S = 30.0
"""seconds after which a wait is worth a sentence,"""
_AGAIN_S = 300.0
"""and after which it is said again."""
_END_S = 5.0
"""Seconds for the driver to say that nothing of a replica is written any more."""
_GOODBYE_S = 10.0
"""Seconds for the driver to leave its cluster, or to end its own."""


class RayOptions(BaseModel):
    """What the table ``executor`` may hold where its kind is ``ray``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    address: Annotated[str, AfterValidator(an_address)] = Field(
        default="auto",
        description="`auto`: the cluster that this machine is a node of. `HOST:PORT` of a head, "
        "whose cluster this machine is a node of too. `local`: one of this machine alone, which "
        "the run starts and ends.",
    )
    replicas: int = Field(
        default=1, ge=1, le=1024, strict=True, description="How many there are of the model."
    )
    gpus: float = Field(
        default=0, ge=0, le=1024, allow_inf_nan=False, description="GPUs of each; 0.5 shares one."
    )
    cpus: float = Field(default=1, ge=0, le=4096, allow_inf_nan=False, description="Cores of each.")
    start_s: float = Field(
        default=900.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a replica may take to import the class and make it, once it has "
        "its place; where no replica has one for so long, jobs fail.",
    )
    resources: dict[str, float] = Field(
        default_factory=dict[str, float],
        examples=[{"zone_b": 1}],
        description="What else each needs of its node, as `ray start --resources` named it.",
    )


class RemoteLine(Line):
    """How one replica of the cluster is spoken with; its last words are on some node."""

    def __init__(self, driver: Child, stream: UNIXSocketStream, masked: Masked) -> None:
        super().__init__(driver.process, stream, stream, masked)
        self._driver = driver
        self._stream = stream
        self._asking = anyio.CancelScope()

    async def ask(self, head: Said, parts: Sequence[bytes] = ()) -> Said:
        """Ask for something, and wait for the answer.

        Raises:
            WorkerLost: The replica is gone, or the cluster's driver.
        """
        with anyio.CancelScope() as self._asking:
            return await super().ask(head, parts)
        raise WorkerLost("was ended")

    def kill_now(self) -> None:
        """Have whoever waits for an answer wait no more."""
        self._asking.cancel()

    async def kill(self) -> None:
        """Have the replica ended; afterwards nothing is written that was asked of it."""
        with suppress(OSError, *GONE):
            await self._stream.send_eof()
        with anyio.move_on_after(_END_S) as ending, suppress(*GONE):
            while True:
                await self._stream.receive()
        if ending.cancelled_caught:
            self._driver.kill_now()
        await self._stream.aclose()

    def how_it_went(self) -> WorkerLost:
        """Return that the driver is gone: else it would have said how."""
        return WorkerLost("that speaks with the cluster is gone", self._driver.last_words())


class Ray(Pool):
    """A pool of replicas on a Ray cluster; an :class:`~stage3_plugin.executors.base.Executor`.

    Args:
        work: What each replica makes, and does jobs with.
        options: Where the cluster is, and how much of it is used.
        surroundings: What replicas may not get, and how long they may take.

    Raises:
        ExtraMissing: Ray is not installed.
        SettingsRefused: Others can reach the cluster, and no token keeps them from it.
    """

    Options: ClassVar[type[BaseModel]] = RayOptions
    tries_to_make = 3
    remembers_s = 60.0

    def __init__(self, work: Work, options: BaseModel, /, *, surroundings: Surroundings) -> None:
        need("ray", setting="executor.kind")
        asked = RayOptions.model_validate(options.model_dump())
        place = place_of(asked.address, os.environ)
        if place is not None:
            need_token(place, os.environ)
        super().__init__(work, asked.replicas, asked.start_s, surroundings)
        self._options = asked
        self._secrets = surroundings.secrets
        self._starting = anyio.Lock()
        self._driver: Child | None = None

    async def _started(self, _number: int, /) -> Line:
        async with self._starting:
            driver = await self._running()
            theirs, ours = socket.socketpair()
            try:
                with theirs:
                    await driver.hand_over(theirs)
            except BaseException:
                ours.close()
                raise
        line = RemoteLine(driver, await UNIXSocketStream.from_socket(ours), self._masked)
        try:
            with anyio.fail_after(self._start_s):
                await line.hear()
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await line.kill()
            if not isinstance(error, TimeoutError):
                raise
            raise NoWorker(
                f"no node of the cluster had room for a replica within start_s, {self._start_s:g} "
                "s (`ray status` says what is free)"
            ) from None
        return line

    async def _running(self) -> Child:
        """Return the cluster's driver, which is started where there is none."""
        if self._driver is not None and not self._driver.is_alive:
            await self._leave()
        if self._driver is None:
            self._raise_if_none()
            place = self._place()
            handed_on = replica_environment(os.environ, self._secrets, self._masked)
            left_out = [name for name in os.environ if name not in handed_on]
            # Where it stands, Ray has its members look for modules, first.
            self._driver = await Child.start(
                "stage3_plugin.executors.cluster.broker",
                broker_environment(place, handed_on),
                self._masked,
                folder=os.sep,
            )
            asked = self._options.model_dump() | {"place": place, "left_out": left_out}
            try:
                await self._driver.ask(asked)
            except (NoWorker, WorkerLost):
                await self._leave()
                raise
        return self._driver

    async def _leave(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            with anyio.CancelScope(shield=True):
                await driver.close(_GOODBYE_S)

    def _place(self) -> str:
        """Return where the cluster is now, which may not have been there when the stage opened."""
        place = place_of(self._options.address, os.environ)
        if place is None:
            raise NoWorker(
                "this machine is a node of no Ray cluster: start one with `ray start --head`, name "
                'its head in executor.address, or use address = "local"'
            )
        try:
            need_token(an_address(place), os.environ)
        except SettingsRefused as refused:
            raise NoWorker(str(refused)) from None
        except ValueError as error:
            raise NoWorker(f"RAY_ADDRESS {error}") from None
        return place

    async def _look_after(self) -> None:
        """Tell people of replicas that are not ready, after a while and now and then."""
        next_s = math.inf
        while True:
            await anyio.sleep(_TICK_S)
            now_s = anyio.current_time()
            lacking = sum(seat.is_starting for seat in self._seats)
            if not lacking:
                next_s = math.inf
            elif next_s == math.inf:
                next_s = now_s + _FIRST_S
            elif now_s >= next_s and self.is_wanted:
                next_s = now_s + _AGAIN_S
                self._tell(
                    f"waiting for {lacking} of {len(self._seats)} replicas: the cluster has no "
                    "place for them yet, or they still load their model (`ray status` says what "
                    "is free)"
                )
