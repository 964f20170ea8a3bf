"""What installed distributions offer in an entry-point group, from metadata alone.

These are the host's plugins, and what a plugin is extended by in its turn.
The standard ``entry_points()`` stops at the first distribution whose metadata is malformed, and
what nobody asks for by its own name must harm nothing; so each distribution is read by itself. One
that lies twice on the path (an editable install, a ``lib64`` link) counts once. Nothing is imported
here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, distributions

GROUP = "host_stub.plugins"
"""The entry-point group of the host's plugins."""


@dataclass(frozen=True, slots=True, order=True)
class Offer:
    """Something that a distribution offers.

    Attributes:
        name: What it is asked for by.
        target: What is imported when it is needed, as ``module`` or ``module:object``.
        distribution: Who offers it.
        version: Of the distribution.
        entry_point: Imports the target when asked to.
    """

    name: str
    target: str
    distribution: str
    version: str
    entry_point: EntryPoint = field(repr=False, compare=False)

    @property
    def source(self) -> str:
        """Return distribution and version, for example ``stage3-plugin 0.1.0``."""
        return f"{self.distribution} {self.version}".rstrip()


def offers_of(group: str = GROUP) -> tuple[Offer, ...]:
    """Return what is offered in a group, sorted by name; a malformed distribution is passed over.

    Two that offer the same name are both there.
    """
    seen: dict[str, tuple[Offer, ...]] = {}
    for distribution in distributions():
        try:
            found = tuple(_offered_by(distribution, group))
        except Exception:  # noqa: BLE001, S112 - whatever its metadata does, others must be found
            continue
        if found:
            # The first one on the path is the one an import would meet.
            seen.setdefault(_normalized(found[0].distribution), found)
    return tuple(sorted({offer for found in seen.values() for offer in found}))


def _offered_by(distribution: Distribution, group: str) -> Iterator[Offer]:
    # Most distributions offer nothing here; looking at the text first spares parsing theirs.
    if group not in (distribution.read_text("entry_points.txt") or ""):
        return
    for entry_point in distribution.entry_points:
        if entry_point.group == group:
            yield Offer(
                name=entry_point.name,
                target=entry_point.value,
                distribution=_metadata(distribution, "Name") or "unknown distribution",
                version=_metadata(distribution, "Version"),
                entry_point=entry_point,
            )


def _metadata(distribution: Distribution, field: str) -> str:
    """Return a field of the metadata, or ``""``; indexing by a missing one is deprecated."""
    return distribution.metadata.get_all(field, [""])[0]


def _normalized(distribution: str) -> str:
    """Fold a distribution's name as PEP 503 does."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
