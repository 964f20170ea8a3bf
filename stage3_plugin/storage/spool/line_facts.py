"""What the ledger is to keep of the pictures of a batch, from its making to its last result.

Whoever takes a line in, perhaps a week later, knows its purchase, and not what the picture was
wanted for: so that is written beside the file of lines before anything is bought. A folder without
it, as on another machine, is no trouble: then as much is said as the purchase's columns tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.files.private_folders import sync_file

_NAME = "facts.jsonl"
_MOST_BYTES = 1 << 20
"""Of a line's facts; what is more is none of ours."""


def write(folder: Path, facts: Iterable[Mapping[str, str]]) -> None:
    """Write what is known of each line, in their order.

    Raises:
        StorageFailed: The disk did not take it.
    """
    path = folder / _NAME
    with on_disk(path):
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{json.dumps(dict(one))}\n" for one in facts)
        sync_file(path)


def read(folder: Path) -> dict[int, Mapping[str, str]]:
    """Return what is known of lines, by their numbers; of those that cannot be read nothing."""
    found: dict[int, Mapping[str, str]] = {}
    try:
        with (folder / _NAME).open("rb") as file:
            number = 0
            while line := file.readline(_MOST_BYTES):
                facts = _facts_in(line)
                if facts:
                    found[number] = facts
                number += line.endswith(b"\n")
    except OSError:
        return found
    return found


def _facts_in(line: bytes) -> Mapping[str, str]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    facts = cast("dict[str, object]", said)
    return {name: fact for name, fact in facts.items() if isinstance(fact, str)}
