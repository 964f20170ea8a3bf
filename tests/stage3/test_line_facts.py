"""What is kept of a batch's pictures until its lines are taken in."""

from __future__ import annotations

from pathlib import Path

from stage3_plugin.storage.spool import batch_files


def test_what_cannot_be_read_says_nothing_of_its_line_and_keeps_no_other_away(
    tmp_path: Path,
) -> None:
    """A folder without the file, as on another machine, is no trouble either."""
    assert batch_files.read_facts(tmp_path) == {}

    lines = [b'{"a": "b"}', b"[" * 100_000, b"[1]", b'{"a": 1, "c": "d"}', b'{"e": "f']
    (tmp_path / "facts.jsonl").write_bytes(b"\n".join(lines))

    assert batch_files.read_facts(tmp_path) == {0: {"a": "b"}, 3: {"c": "d"}}
