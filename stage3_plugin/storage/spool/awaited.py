"""What is known of a picture that was bought and is still to come, beside the answer that names it.

A note for a person, and no evidence: nothing is decided by it, and it may be missing. It has a
file of its own in the spool folder, which is replaced whole, so that what was received is never
opened for writing again. It names the picture's address without its query, which is as good as a
key.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from stage3_plugin.files.new_file import replacing

_NAME = "awaited.json"
_MOST_BYTES = 16_384
_MOST_TEXT = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """A picture that was asked for and did not come.

    Attributes:
        address: Where it should be, without query, fragment and login.
        problem: Why it did not come the last time, in words.
        asked: How often it was asked for.
        first_at: When that was for the first time; ISO 8601, UTC.
        last_at: And for the last time.
        needs_setting: It stays away until a setting is changed.
    """

    address: str
    problem: str
    asked: int
    first_at: str
    last_at: str
    needs_setting: bool = False


_NOTED = TypeAdapter(Awaited)


def note(
    folder: Path, *, address: str, problem: str, needs_setting: bool = False, now: datetime
) -> None:
    """Note that a picture was asked for once more and did not come.

    Args:
        folder: The spool folder of its purchase.
        address: Without query, fragment and login.
        problem: Why, in words.
        needs_setting: It stays away until a setting is changed.
        now: The wall clock, aware.

    Raises:
        StorageFailed: The disk did not take it. Nothing depends on it.
    """
    before = read(folder)
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    awaited = Awaited(
        address=address[:_MOST_TEXT],
        problem=problem[:_MOST_TEXT],
        asked=1 if before is None else before.asked + 1,
        first_at=at if before is None else before.first_at,
        last_at=at,
        needs_setting=needs_setting,
    )
    with replacing(folder / _NAME) as file:
        file.write(_NOTED.dump_json(awaited))


def read(folder: Path) -> Awaited | None:
    """Return the note, if there is one; anything else in its place is passed over."""
    with suppress(OSError, ValueError), (folder / _NAME).open("rb") as file:
        return _NOTED.validate_json(file.read(_MOST_BYTES), strict=True)
    return None
