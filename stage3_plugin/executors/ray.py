"""Replicas on a Ray cluster, for models that need more than this machine.

Nothing of Ray is imported here. What speaks with the cluster is a process of its own, the cluster's
driver: see :mod:`.cluster.broker` for why. It is started by the first job, writes what is made to
where the job wants it, and ends when the pool is left or this process is gone. Here are the pipes
to it, and who waits for what.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import anyio
from anyio.abc import TaskGroup
from pydantic import BaseModel, ConfigDict, Field, field_validator

from stage3_plugin.errors import NoWorker, SettingsRefused, need
from stage3_plugin.executors.base import Surroundings, Work
from stage3_plugin.executors.cluster.address import (
    address_problem,
    broker_environment,
    place_of,
    token_problem,
)
from stage3_plugin.executors.cluster.link import Link
from stage3_plugin.executors.replica_handle import replica_environment
from stage3_plugin.runtime.masking import Masked


class RayOptions(BaseModel):
    """What the table ``executor`` may hold where its kind is ``ray``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    address: str = Field(
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
        description="Seconds that a replica that has its place may take to import the class and "
        "make it.",
    )
    resources: dict[str, float] = Field(
        default_factory=dict[str, float],
        examples=[{"zone_b": 1}],
        description="What else each needs of its node, as `ray start --resources` named it.",
    )

    @field_validator("address")
    @classmethod
    def _address_can_be_one(cls, address: str) -> str:
        problem = address_problem(address)
        if problem is not None:
            raise ValueError(problem)
        return address


class Ray:
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

    def __init__(self, work: Work, options: BaseModel, /, *, surroundings: Surroundings) -> None:
        need("ray", setting="executor.kind")
        asked = RayOptions.model_validate(options.model_dump())
        place = place_of(asked.address, os.environ)
        if place is not None:
            _need_safe(place)
        self.slots = asked.replicas * max(work.at_once, 1)
        self._work = work
        self._options = asked
        self._surroundings = surroundings
        self._masked = Masked(surroundings.secrets)
        self._limiter = anyio.CapacityLimiter(self.slots)
        self._starting = anyio.Lock()
        self._link: Link | None = None
        self._listening: TaskGroup

    async def __aenter__(self) -> Self:
        self._listening = anyio.create_task_group()
        await self._listening.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> bool | None:
        with anyio.CancelScope(shield=True):
            if self._link is not None:
                await self._link.close()
        self._listening.cancel_scope.cancel()
        # What was raised within is not handed over: it would come back in a group.
        await self._listening.__aexit__(None, None, None)
        return None

    @property
    def process_id(self) -> int | None:
        """Name the cluster's driver, if one is running."""
        if self._link is None or self._link.is_gone:
            return None
        return self._link.process_id

    async def run(self, job: bytes, into: Path) -> None:
        """Have a job done by a replica; waits for a free one.

        When cancelled, the replica is ended, unless it does others' jobs too, and made again.

        Raises:
            JobFailed: It could not be done.
            WorkerLost: The replica died over it, is out of reach, or took longer than it may; or
                the cluster's driver is gone.
            WorkUnusable: No replica can make what does the work.
            NoWorker: There is no such cluster, or it does not let this machine in.
            StorageFailed: The disk did not take what was made.
        """
        into = _where(into)
        async with self._limiter:
            link = await self._running()
            await link.have_done(job, into, self._surroundings.tell)

    async def _running(self) -> Link:
        async with self._starting:
            if self._link is None or self._link.is_gone:
                if self._link is not None:
                    with anyio.CancelScope(shield=True):
                        await self._link.close()
                self._link = await self._started()
            return self._link

    async def _started(self) -> Link:
        place = place_of(self._options.address, os.environ)
        if place is None:
            raise NoWorker(
                "this machine is a node of no Ray cluster: start one with `ray start --head`, name "
                'its head in executor.address, or use address = "local"'
            )
        problem = address_problem(place)
        if problem is not None:
            raise NoWorker(f"RAY_ADDRESS {problem}")
        try:
            _need_safe(place)
        except SettingsRefused as refused:  # a cluster that was not there when the stage opened
            raise NoWorker(str(refused)) from None
        handed_on = replica_environment(os.environ, self._surroundings.secrets, self._masked)
        link = await Link.start(broker_environment(place, handed_on), self._masked)
        self._listening.start_soon(link.listen)
        left_out = [name for name in os.environ if name not in handed_on]
        await link.send(self._begin(place, left_out), self._work.setup)
        return link

    def _begin(self, place: str, left_out: Sequence[str]) -> dict[str, object]:
        """Say what the cluster's driver is to do."""
        options, work = self._options, self._work
        total = {name: count * options.replicas for name, count in options.resources.items()}
        wants = {"num_cpus": options.cpus, "num_gpus": options.gpus, "resources": options.resources}
        of_this_machine: dict[str, object] = {
            "num_cpus": max(os.cpu_count() or 1, math.ceil(options.cpus * options.replicas) + 1),
            "resources": total,
        }
        return {
            "place": place,
            "replicas": options.replicas,
            "wants": wants,
            "of_this_machine": of_this_machine,
            "left_out": left_out,
            "start_s": options.start_s,
            "timeout_s": self._surroundings.timeout_s,
            "work": {
                "target": work.target,
                "path": work.path,
                "at_once": work.at_once,
                "most_bytes": work.most_bytes,
            },
        }


def _need_safe(place: str) -> None:
    """See that no stranger can run anything on the cluster, or send anything from it.

    Raises:
        SettingsRefused: Others can reach it, and need no token.
    """
    problem = token_problem(place, os.environ)
    if problem is not None:
        words, hint = problem
        raise SettingsRefused("executor.address", words, hint=hint)


def _where(into: Path) -> Path:
    """Return where a file is to be, wherever the cluster's driver stands."""
    return into.absolute()
