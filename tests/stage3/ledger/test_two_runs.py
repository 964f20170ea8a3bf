"""Two runs on one ledger, each a process: the one that ends first takes nothing with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stage3_plugin.ledger.book import Ledger
from tests.stage3.ledger.samples import DAY, NO_CAPS, NOW, new_purchase

SOMEBODY = """
import sys
from pathlib import Path
from stage3_plugin.ledger.book import Ledger
with Ledger.{opening}(Path(sys.argv[1])) as ledger:
    print(len(list(ledger.purchases())))
"""


def found_by_another_process(path: Path, opening: str) -> int:
    """Open the ledger in a process of its own, count its purchases, and close it."""
    script = SOMEBODY.format(opening=opening)
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def hold(ledger: Ledger, scene_id: str) -> None:
    """Hold the money for a scene."""
    with ledger.transaction():
        ledger.hold(new_purchase(scene_id), NO_CAPS, day=DAY, now=NOW, armed=True)


@pytest.mark.parametrize("opening", ["open", "open_to_read"])
def test_who_closes_the_ledger_leaves_the_log_to_who_goes_on(tmp_path: Path, opening: str) -> None:
    """The last to close it removes its log, and what somebody else still writes there is lost."""
    path, log = tmp_path / "ledger.db", tmp_path / "ledger.db-wal"
    with Ledger.open(path) as first:  # locks are kept from the opening on if it is there already
        hold(first, "first")
    with Ledger.open(path) as writer, Ledger.open(path):  # as a run has them
        hold(writer, "before")
        begun = log.stat().st_ino

        assert found_by_another_process(path, opening) == 2
        assert log.exists()
        assert log.stat().st_ino == begun

        hold(writer, "after")
        assert found_by_another_process(path, opening) == 3
