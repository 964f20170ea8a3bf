"""What a replica makes of a plain function: a worker that has it do one job after the other."""

from __future__ import annotations

import importlib

from stage3_plugin.errors import JobFailed

PLAIN = "stage3_plugin.executors.worker:Plain"
"""The target of a :class:`~stage3_plugin.executors.base.Work` whose setup names a function."""


class Plain:
    """Does the jobs of a function; a :class:`~stage3_plugin.executors.base.Worker`.

    Args:
        work: ``module:name``; bytes in, bytes out. It is imported at the first job, in which SIGINT
            is ignored by now: what cannot be imported is a problem of the job, which says so.
    """

    at_once = 1

    def __init__(self, work: bytes) -> None:
        self._module, _, self._name = work.decode().partition(":")

    def do(self, jobs: list[bytes]) -> list[bytes | JobFailed]:
        """Do jobs; what is raised is put into words by who called."""
        work = getattr(importlib.import_module(self._module), self._name)
        return [work(job) for job in jobs]
