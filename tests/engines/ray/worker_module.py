"""What the replicas of these tests make, and do jobs with: a job says what happens to it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


class Obedient:
    """Does what its jobs say, in their order."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once

    def do(self, jobs: list[bytes]) -> list[Any]:
        """Do jobs; each may name a file that says that it was begun, and who does it."""
        return [self._done(json.loads(job), len(jobs)) for job in jobs]

    def _done(self, job: dict[str, Any], of: int) -> object:
        if "call" in job:
            with Path(job["call"]).open("a", encoding="utf-8") as file:
                file.write(f"{of}\n")
        if "begun" in job:
            with Path(job["begun"]).open("a", encoding="utf-8") as file:
                file.write(f"{os.getpid()}\n")
        time.sleep(job.get("sleep_s", 0))
        if "exit" in job:
            os._exit(job["exit"])
        if "raise" in job:
            raise RuntimeError(job["raise"])
        if "environ" in job:
            return json.dumps(dict(os.environ)).encode()
        if "text" in job:
            return job["text"]
        return b"." * job.get("bytes", 1)


def make(setup: bytes) -> Obedient:
    """Make one, or fail as the setup says."""
    said = json.loads(setup or b"{}")
    if "exit" in said:
        os._exit(said["exit"])
    if "raise" in said:
        raise RuntimeError(said["raise"])
    return Obedient(said.get("at_once", 1))
