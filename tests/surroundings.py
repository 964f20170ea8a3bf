"""What tests run in: files in memory where that was asked for, one certificate, a short search.

None of it changes what a test proves; it keeps tests from waiting for what they are not about. A
lane of thousands of tests waits for the disk half of its time, because a ledger and a picture are
on the disk before anything goes on. So ``--in-memory`` keeps what tests write in memory, for the
lanes that somebody waits for. The lanes of ``tox -m proof`` are on the disk.
"""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 2 * 1024**3
"""What all tests leave behind is far below; a container often has 64 MB there."""
_WHERE = "PYTEST_DEBUG_TEMPROOT"
"""pytest's own variable; it reaches the workers."""


def keep_files_in_memory() -> None:
    """Let ``tmp_path`` lie in memory, if this system has such a place and it has room."""
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ENOUGH_BYTES:
        os.environ.setdefault(_WHERE, str(_MEMORY))


def trust_nobody() -> None:
    """Trust one certificate, whose key nobody has, and not what this system trusts.

    No test depends on what that is, and reading it takes longer than most tests.
    """
    os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("nobody.pem"))
    os.environ.pop("SSL_CERT_DIR", None)


def spare_what_was_collected() -> None:
    """Do not search the collected tests for garbage, again and again: they stay."""
    gc.collect()
    gc.freeze()
