"""What SQLite's errors are called, and what somebody is told to do about them."""

from __future__ import annotations

import errno
import sqlite3
import tempfile
from pathlib import Path

import pytest

from stage3_plugin.ledger.translation import ledger_failed


def test_an_error_of_a_kind_is_told_like_its_kind(tmp_path: Path) -> None:
    """SQLite tells more than twenty kinds of input and output error apart; we do not."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC

    failed = ledger_failed(tmp_path / "ledger.db", error)

    assert failed.problem == "the disk failed to read or write it"


@pytest.mark.parametrize("name", ["SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE", "SQLITE_CANTOPEN"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_as_full_whatever_sqlite_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    """It calls it an input and output error where its file of shared memory finds no room."""

    def full(*_: object, **__: object) -> None:
        raise OSError(number, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = getattr(sqlite3, name)

    failed = ledger_failed(tmp_path / "ledger.db", error)

    assert (failed.problem, failed.cause.errno) == ("the disk is full", errno.ENOSPC)
    assert "free space" in (failed.hint or "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO])
def test_a_disk_that_fails_otherwise_is_not_called_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Nor is somebody sent to a command that would fail alike."""

    def broken(*_: object, **__: object) -> None:
        raise OSError(number, "surely not")

    monkeypatch.setattr(tempfile, "TemporaryFile", broken)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ

    failed = ledger_failed(tmp_path / "ledger.db", error)

    assert failed.problem == "the disk failed to read or write it"
    assert "verify" not in (failed.hint or "")
