"""One take of a scene, and which of a scene's takes is shown.

Pure. A take is a picture that a plugin made, or that a person brought; takes are only ever added.
Whether one is current is a comparison of two digests: of what it was made from, and of what the
scene would be made from now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from host_stub.contract import Cost, Role

Stamp: TypeAlias = tuple[int, int]
"""How the file of a take is, without reading it: bytes, and its time of change in nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTake:
    """A picture, before it is written down.

    Attributes:
        scene_id: The scene, or the sheet, that it is of.
        role: Which of the two.
        sha256: Of its bytes.
        media_type: As its bytes have it.
        width: In pixels.
        height: Likewise.
        plugin: The image plugin's name in the config; ``None`` for what a person brought, and for
            what was found without a word of where it comes from.
        purchase: The plugin's own name of it; ``None`` if it has none.
        basis: What it was made from, or stands for; ``None`` if that is not known.
        provider: Who made it.
        model: With which model.
        cost: Of it.
        is_draft: It never counts as made.
        is_import: A person brought it.
        made_at: When; aware, in UTC.
        run_id: The run that brought it; ``None`` if it was none.
        row: Its row of the manifest, as plain JSON values, without its paths.
    """

    scene_id: str
    role: Role = "scene"
    sha256: str
    media_type: str
    width: int
    height: int
    plugin: str | None
    purchase: str | None = None
    basis: str | None = None
    provider: str | None = None
    model: str | None = None
    cost: Cost
    is_draft: bool = False
    is_import: bool = False
    made_at: datetime
    run_id: str | None = None
    row: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Take(NewTake):
    """A take of a scene.

    Attributes:
        number: Which one, from 1, as people call it: in the order in which they came.
        is_rejected: A person does not want it. It is there all the same, and counts.
    """

    number: int
    is_rejected: bool = False

    @property
    def is_withdrawn(self) -> bool:
        """A person brought it, and does not want it any more: it is not shown by itself."""
        return self.is_import and self.is_rejected


class Lying(NamedTuple):
    """What is written of a take, but for its row.

    Attributes:
        place: See :meth:`~host_stub.story.book.Book.takes_at`.
        number: Which take of its scene it is.
        sha256: Of its bytes.
        media_type: As its bytes have it.
        size: Width and height.
        is_draft: It never counts as made.
        is_withdrawn: A person brought it, and does not want it any more.
        basis: What it was made from.
        stamp: How its file was when it was right; ``None`` if that is not known.
    """

    place: int
    number: int
    sha256: str
    media_type: str
    size: tuple[int, int]
    is_draft: bool
    is_withdrawn: bool
    basis: str | None
    stamp: Stamp | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What says how a scene stands and whether its files are right, without its takes' rows.

    Attributes:
        scene_id: The scene, or the sheet.
        role: Which of the two.
        shown: The number of the take that it shows.
        takes: Those that it has, in their order.
    """

    scene_id: str
    role: Role
    shown: int | None
    takes: tuple[Lying, ...]


def is_current(take: NewTake, basis: str | None) -> bool:
    """Return whether a take is what its scene would be made as now.

    Args:
        take: The take.
        basis: What the scene would be made from; ``None`` while that is not known.
    """
    return basis is not None and take.basis == basis and not take.is_draft


def shown_of(
    takes: Sequence[Take], basis: str | None, *, pick: int | None, shown: int | None
) -> Take | None:
    """Return the take that a scene shows.

    It is the pick, as long as its basis holds; else what is shown, as long as its does; else the
    take of the present basis that came first; else what is shown, since what is stale stays usable;
    else the newest that is no draft. What a person brought and took back is not shown by itself.

    Args:
        takes: The scene's takes, in their order.
        basis: What the scene would be made from now; ``None`` while that is not known.
        pick: The number of the take that a person picked.
        shown: The number of the take that is shown.
    """
    by_number = {take.number: take for take in takes}
    own = [take for take in takes if not take.is_withdrawn]
    current = [take for take in own if is_current(take, basis)]
    for number in (pick, shown):
        chosen = None if number is None else by_number.get(number)
        if chosen is not None and is_current(chosen, basis):
            return chosen
    if current:
        return current[0]
    if shown is not None and shown in by_number:
        return by_number[shown]
    return next((take for take in reversed(own) if not take.is_draft), None)


def made_of(takes: Sequence[Take], basis: str) -> list[Take]:
    """Return the takes of a basis that were made: rejected ones were, drafts and imports not."""
    return [take for take in takes if is_current(take, basis) and not take.is_import]
