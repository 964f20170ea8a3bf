"""Whose the folder of a batch is, and that what is in it before its create speaks of no row."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.storage.spool import batch_owner
from stage3_plugin.storage.spool.folders import SpoolFolders


@pytest.fixture
def spool(tmp_path: Path) -> SpoolFolders:
    return SpoolFolders(StateDir(tmp_path / "state"))


def test_it_is_noted_once(spool: SpoolFolders) -> None:
    """As all in the spool it is written anew, and never over what is there."""
    folder = spool.new_folder("a" * 32)
    batch_owner.note(folder, "the run")

    assert batch_owner.of(folder) == "the run"
    with pytest.raises(StorageFailed):
        batch_owner.note(folder, "another")
    assert batch_owner.of(folder) == "the run"


def test_a_batch_that_was_not_begun_needs_no_row(spool: SpoolFolders) -> None:
    """Its file lies there before anything is held; the receipt comes before the create leaves."""
    empty, handed_over, begun, answered = (spool.new_folder(one * 32) for one in "abcd")
    for folder in (handed_over, begun):
        batch_owner.note(folder, "a run")
        (folder / "lines.jsonl").write_bytes(b"{}\n")
    for folder in (begun, answered):
        (folder / "answer").touch()

    assert sorted(spool.received()) == [one.name for one in (empty, handed_over, begun, answered)]
    assert sorted(spool.begun()) == [begun.name, answered.name]


def test_only_what_has_long_been_empty_is_abandoned(spool: SpoolFolders) -> None:
    """A run may be about to note whose it is; and an answer's folder is none of it."""
    old, new, full = (spool.new_folder(one * 32) for one in "abc")
    (full / "part-0").touch()
    for folder in (old, full):
        os.utime(folder, (0, 0))

    assert [batch_owner.is_abandoned(one) for one in (old, new, full)] == [True, False, False]
