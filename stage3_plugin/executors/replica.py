"""What runs in a replica, wherever that is: makes what does the work once, then does jobs with it.

A process of this machine and an actor of a cluster have the same one. What it returns is bytes or a
:class:`~stage3_plugin.errors.JobFailed`, checked by type and length before it goes anywhere.
Nothing heavy is imported here.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import cast

from stage3_plugin.errors import JobFailed, WorkUnusable
from stage3_plugin.executors.base import Work, Worker
from stage3_plugin.runtime.system_errors import LONGEST_PROBLEM, in_one_line

PLAIN = "stage3_plugin.executors.replica:Plain"
"""The target of a :class:`~stage3_plugin.executors.base.Work` whose setup names a function."""


class Replica:
    """Does the jobs of a work.

    Args:
        work: What it makes first.

    Raises:
        WorkUnusable: It cannot be imported, or made.
    """

    def __init__(self, work: Work) -> None:
        sys.path += [folder for folder in work.path if folder not in sys.path]
        self._most_bytes = work.most_bytes
        module, _, name = work.target.partition(":")
        try:
            made = getattr(importlib.import_module(module), name)(work.setup)
            at_once = int(made.at_once)
        except WorkUnusable:
            raise
        except Exception as error:
            raise WorkUnusable(in_one_line(error)) from error
        self._worker: Worker = made
        self.at_once = max(at_once, 1)
        """How many jobs are done in one call."""

    def do(self, jobs: Sequence[bytes]) -> list[bytes | JobFailed]:
        """Do jobs; an answer for each, in their order. Whatever fails is a problem, and no error.

        Several of which one call makes nothing are done one by one: each is whole or not at all.
        """
        found = self._tried(list(jobs))
        if isinstance(found, JobFailed):
            return [found] if len(jobs) == 1 else [self.do([job])[0] for job in jobs]
        return [self._checked(one) for one in found]

    def _tried(self, jobs: list[bytes]) -> list[object] | JobFailed:
        """Return an answer for each job, or why there are none."""
        try:
            found = cast("object", self._worker.do(jobs))
        except Exception as error:  # noqa: BLE001 - it is these jobs' alone
            return JobFailed(in_one_line(error))
        if not isinstance(found, list) or len(cast("list[object]", found)) != len(jobs):
            return JobFailed(f"made something else than a list of {len(jobs)}", may_pass=False)
        return cast("list[object]", found)

    def _checked(self, found: object) -> bytes | JobFailed:
        if isinstance(found, JobFailed):
            return JobFailed(str(found)[:LONGEST_PROBLEM], may_pass=bool(found.may_pass))
        if not isinstance(found, bytes):
            return JobFailed(f"made {type(found).__name__}, and not bytes", may_pass=False)
        if len(found) > self._most_bytes:
            most = f"{len(found):,} bytes, and at most {self._most_bytes:,} are taken"
            return JobFailed(f"made {most}", may_pass=False)
        return found


class Plain:
    """Does the jobs of a plain function, one after the other; a worker.

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
