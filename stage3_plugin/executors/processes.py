"""Processes of this machine that do the jobs of a plain function: storyboards, smaller copies.

Work that holds the GIL, as drawing does, needs a process of its own to use a core. They are the
replicas of :mod:`.replicas`, without a GPU and without an end to a call, in an environment that has
nothing which could be a secret.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping

from stage3_plugin.executors.base import Surroundings, Work
from stage3_plugin.executors.replica import PLAIN
from stage3_plugin.executors.replicas import MOST_REPLICAS, Replicas, ReplicasOptions

_KEPT = re.compile(
    r"PATH|PYTHON\w*|LANG|LANGUAGE|LC_\w+|TZ|HOME|TMPDIR|TEMP|TMP|SYSTEMROOT|WINDIR|PATHEXT|COMSPEC"
    r"|LD_LIBRARY_PATH|DYLD_\w+|VIRTUAL_ENV|COVERAGE_\w+",
    re.IGNORECASE,
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)


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
