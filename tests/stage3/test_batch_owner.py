"""Whose the folder of a batch is, and that what is in it before its create speaks of no row."""

from __future__ import annotations

from pathlib import Path

import pytest

from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.storage.spool import batch_files
from stage3_plugin.storage.spool.folders import SpoolFolders


@pytest.fixture
def spool(tmp_path: Path) -> SpoolFolders:
    return SpoolFolders(StateDir(tmp_path / "state"))


def test_a_batch_that_was_not_begun_needs_no_row(spool: SpoolFolders) -> None:
    """Its file lies there before anything is held; the receipt comes before the create leaves."""
    empty, handed_over, begun, answered = (spool.new_folder(one * 32) for one in "abcd")
    for folder in (handed_over, begun):
        batch_files.note_owner(folder, "a run")
        (folder / "lines.jsonl").write_bytes(b"{}\n")
    for folder in (begun, answered):
        (folder / "answer").touch()

    assert sorted(spool.received()) == [one.name for one in (empty, handed_over, begun, answered)]
    assert sorted(spool.begun()) == [begun.name, answered.name]
