"""What tests run in: on which event loop, files in memory or not, one certificate, a short search.

Most of it changes nothing that a test proves; it keeps tests from waiting for what they are not
about. A lane of thousands of tests waits for the disk half of its time, because a ledger and a
picture are on the disk before anything goes on. So ``--in-memory`` keeps what tests write in memory
in every lane but ``tox -e night``, which runs on the disk, as people's runs do.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

import pytest

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


def one_loop_each(items: Iterable[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Return the tests with each asynchronous one on one event loop alone, and what is left out.

    A case's name decides which, so that each loop has about half of every table of cases, and a
    new case moves none of the others.
    """
    cases: dict[object, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(_but_for_the_loop(item), []).append(item)
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for case, on_loops in cases.items():
        chosen = crc32(f"{case}".encode()) % len(on_loops)
        kept.append(on_loops.pop(chosen))
        left += on_loops
    return kept, left


def _but_for_the_loop(item: pytest.Item) -> object:
    """Return what is the same for a test on one event loop and on the other."""
    call = getattr(item, "callspec", None)  # a test without parameters has none
    loop = call.params.get("anyio_backend") if call else None
    return item.nodeid.replace(f"{loop}", "", 1) if loop else item
