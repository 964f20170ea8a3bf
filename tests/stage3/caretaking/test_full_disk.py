"""What ``stage3`` says on a disk that is really full: SQLite cannot even read there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.stage3.caretaking.commands import STAGE3
from tests.stage3.caretaking.purchases import Project

FILL_AND_ASK = """
mount -t tmpfs -o size=1m none full || exit 77
cp -R .stage3 full/.stage3 || exit 77
cat /dev/zero > full/filler 2>/dev/null
"$@"; echo "ended $?"
rm full/filler
"$@" >/dev/null; echo "ended $?"
"""


def can_mount() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    asked = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs a disk of its own")
@pytest.mark.parametrize("command", ["attempts", "verify"])
def test_a_full_disk_is_told_as_full(project: Project, command: str) -> None:
    """With the step that helps; once there is room, the same command does what it is asked."""
    project.unknown("one")
    (project.state_dir.parent / "full").mkdir()
    words = [str(STAGE3), command, "--state-dir", "full/.stage3", "--json"]

    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", FILL_AND_ASK, "sh", *words],
        capture_output=True,
        check=True,
        encoding="utf-8",
        timeout=60,
    )

    told, first, second = ran.stdout.partition("ended")[0], *ran.stdout.splitlines()[-2:]
    error = json.loads(told)["error"]
    assert (first, second) == ("ended 2", "ended 0")
    assert error["message"].endswith("ledger.db: the disk is full")
    assert error["hint"] == "free space on the disk, and run again: nothing is paid twice"
