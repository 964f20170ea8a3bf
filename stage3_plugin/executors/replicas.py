"""Replicas that are processes of this machine, with a GPU each if there are any.

Those that do the jobs of a plain function (storyboards, smaller copies) are without a GPU and
without an end to a call, in an environment that has nothing which could be a secret. Work that
holds the GIL, as drawing does, needs a process of its own to use a core.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, ClassVar

import anyio
from pydantic import BaseModel, ConfigDict, Field, Strict

from stage3_plugin.errors import SettingsRefused
from stage3_plugin.executors.base import Surroundings, Work
from stage3_plugin.executors.child import Child, replica_environment
from stage3_plugin.executors.pool import Pool
from stage3_plugin.executors.replica import PLAIN

DEVICES = "CUDA_VISIBLE_DEVICES"
MOST_REPLICAS = 256
_GPUS = Path("/proc/driver/nvidia/gpus")
_LOOKS_AT_OUTPUT_S = 0.2
"""How often what replicas print is looked at: one that prints without end must not fill a disk."""
_KEPT = re.compile(
    r"PATH|PYTHON\w*|LANG|LANGUAGE|LC_\w+|TZ|HOME|TMPDIR|TEMP|TMP|SYSTEMROOT|WINDIR|PATHEXT|COMSPEC"
    r"|LD_LIBRARY_PATH|DYLD_\w+|VIRTUAL_ENV|COVERAGE_\w+",
    re.IGNORECASE,
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)


class ReplicasOptions(BaseModel):
    """What the table ``executor`` holds beside ``kind = "processes"``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    replicas: Annotated[int, Strict()] = Field(
        default=1,
        ge=1,
        le=MOST_REPLICAS,
        description="How many processes; each makes the class for itself.",
    )
    gpus: Annotated[int, Strict()] = Field(
        default=1,
        ge=0,
        le=64,
        description="GPUs of each, by CUDA_VISIBLE_DEVICES: its own, and no other's. 0 leaves all "
        "that there are to every replica.",
    )
    start_s: Annotated[float, Strict()] = Field(
        default=900.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a replica may take to import the class and make it.",
    )


class Replicas(Pool):
    """Replicas on this machine; an :class:`~stage3_plugin.executors.base.Executor`.

    Args:
        work: What each makes, and does jobs with.
        options: How many, and on what.
        surroundings: Who uses it.

    Raises:
        SettingsRefused: There are not as many GPUs as they would need.
    """

    Options: ClassVar[type[BaseModel]] = ReplicasOptions

    def __init__(self, work: Work, options: BaseModel, /, *, surroundings: Surroundings) -> None:
        asked = ReplicasOptions.model_validate(options.model_dump())
        super().__init__(work, asked.replicas, asked.start_s, surroundings)
        self._secrets = surroundings.secrets
        self._devices = devices_of(asked.replicas, asked.gpus, os.environ.get(DEVICES))

    async def _started(self, number: int, /) -> Child:
        environment = self._environment()
        devices = self._devices[number]
        if devices is not None:
            environment[DEVICES] = devices
        return await Child.start(
            "stage3_plugin.executors.replica_process", environment, self._masked
        )

    async def _look_after(self) -> None:
        while True:
            await anyio.sleep(_LOOKS_AT_OUTPUT_S)
            for seat in self._seats:
                if isinstance(seat.line, Child):
                    with suppress(OSError):
                        seat.line.forget_output()

    def _environment(self) -> dict[str, str]:
        """Return what a process is started in."""
        return replica_environment(os.environ, self._secrets, self._masked)


def devices_of(replicas: int, gpus: int, visible: str | None) -> list[str | None]:
    """Return what CUDA_VISIBLE_DEVICES is in each replica; ``None`` leaves it as it is.

    Args:
        replicas: How many there are.
        gpus: GPUs of each; 0 leaves all to each.
        visible: What it is in this process, which may have been given a part of the machine.

    Raises:
        SettingsRefused: There are fewer.
    """
    if not gpus:
        return [None] * replicas
    if visible is None:
        known = _known_gpus()
        own = list(map(str, range(replicas * gpus if known is None else known)))
        where = "this machine has"
    else:
        own = [name.strip() for name in visible.split(",") if name.strip()]
        where = f"{DEVICES} names"
        if not own or own == ["-1"]:  # no GPU is wanted, or there is none
            return [None] * replicas
    if len(own) < replicas * gpus:
        raise SettingsRefused(
            "executor.replicas",
            f"{replicas} replicas with {gpus} GPUs each need {replicas * gpus}, and {where} "
            f"{len(own)}",
            hint="set fewer replicas, or gpus = 0, which leaves all GPUs to every replica",
        )
    return [",".join(own[start * gpus : (start + 1) * gpus]) for start in range(replicas)]


def _known_gpus() -> int | None:
    """Count the NVIDIA GPUs of this machine; ``None`` where its driver does not say."""
    try:
        return len(list(_GPUS.iterdir())) or None
    except OSError:
        return None


def usable_cores() -> int:
    """Count the cores this process may use, which in a container are fewer than the machine's."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a worker needs of an environment, and nothing that could be a secret."""
    return {
        name: value
        for name, value in environment.items()
        if _KEPT.fullmatch(name) and not _SECRET.search(name)
    }


class Processes(Replicas):
    """A pool of worker processes; an :class:`~stage3_plugin.executors.base.Executor`.

    Args:
        work: The function that does a job, ``module:name``; bytes in, bytes out.
        slots: At most so many processes; by default, one for each usable core.
    """

    def __init__(self, work: str, slots: int | None = None) -> None:
        super().__init__(
            Work(target=PLAIN, setup=work.encode(), most_bytes=sys.maxsize),
            ReplicasOptions(replicas=min(slots or usable_cores(), MOST_REPLICAS), gpus=0),
            surroundings=Surroundings(timeout_s=math.inf),
        )

    def _environment(self) -> dict[str, str]:
        return worker_environment(os.environ)
