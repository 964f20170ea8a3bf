"""What installed distributions offer by name in an entry-point group, ours like all others.

Names are read from metadata alone, each distribution by itself, so that one that is malformed, or
whose code is broken, harms nothing but what is asked for by its own name. Two that offer the same
name are a conflict in which neither wins: what is asked for may get a key and spend money.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import Distribution, EntryPoint, distributions


@dataclass(frozen=True, slots=True, order=True)
class Offer:
    """Something that a distribution offers.

    Attributes:
        name: What it is asked for by.
        target: What is imported then, as ``module:object``.
        distribution: Who offers it.
        version: Of the distribution.
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


class NotOffered(Exception):
    """Nothing usable is offered by this name."""

    def __init__(self, name: str, offers: tuple[Offer, ...] = ()) -> None:
        self.name = name
        self.offers = offers
        """Those of the name: none, or more than one, or the one that is broken."""
        super().__init__(name)


class Broken(NotOffered):
    """What is offered cannot be imported; the cause is what its import raised."""

    def __init__(self, offer: Offer, error: BaseException) -> None:
        super().__init__(offer.name, (offer,))
        self.offer = offer
        self.error = error


class Offers:
    """What is offered in one group.

    Args:
        group: The entry-point group.
    """

    def __init__(self, group: str) -> None:
        self._group = group
        self._loaded: dict[str, object] = {}
        self._failed: dict[str, NotOffered] = {}

    @cached_property
    def all(self) -> tuple[Offer, ...]:
        """Return all offers, sorted by name; nothing is imported."""
        seen: dict[str, tuple[Offer, ...]] = {}
        for distribution in distributions():
            try:
                found = tuple(self._of(distribution))
            except Exception:  # noqa: BLE001, S112 - whatever its metadata does, others are found
                continue
            if found:  # of one that lies twice on the path, the first is what an import meets
                seen.setdefault(_normalized(found[0].distribution), found)
        return tuple(sorted({offer for found in seen.values() for offer in found}))

    def _of(self, distribution: Distribution) -> Iterator[Offer]:
        # Most distributions offer nothing here; looking at the text first spares parsing theirs.
        if self._group not in (distribution.read_text("entry_points.txt") or ""):
            return
        for entry_point in distribution.entry_points:
            if entry_point.group == self._group:
                yield Offer(
                    name=entry_point.name,
                    target=entry_point.value,
                    distribution=_metadata(distribution, "Name") or "unknown distribution",
                    version=_metadata(distribution, "Version"),
                    entry_point=entry_point,
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names, sorted, each once."""
        return tuple(dict.fromkeys(offer.name for offer in self.all))

    def named(self, name: str) -> Offer:
        """Return the one offer of a name.

        Raises:
            NotOffered: There is none, or more than one.
        """
        offers = tuple(offer for offer in self.all if offer.name == name)
        if len(offers) != 1:
            raise NotOffered(name, offers)
        return offers[0]

    def load(self, name: str) -> object:
        """Return what is offered by a name; it is imported once, and fails once.

        Raises:
            NotOffered: There is none, or more than one.
            Broken: Its import failed, in whatever way.
        """
        if name in self._failed:
            raise self._failed[name]
        if name not in self._loaded:
            try:
                self._loaded[name] = _imported(self.named(name))
            except NotOffered as failure:
                self._failed[name] = failure
                raise
        return self._loaded[name]


def _imported(offer: Offer) -> object:
    try:
        return offer.entry_point.load()
    except (Exception, SystemExit) as error:
        raise Broken(offer, error) from error


def _metadata(distribution: Distribution, field: str) -> str:
    """Return a field of the metadata, or nothing; to ask for one that is missing is deprecated."""
    values = distribution.metadata.get_all(field)
    return str(values[0]) if values else ""


def _normalized(distribution: str) -> str:
    """Fold a distribution's name as PEP 503 does."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


PROVIDERS = Offers("stage3.providers")
"""What makes pictures, by its name in the settings."""

OFFLINE = "previz"
"""Who makes them where none is set: it needs no key, no network and no money."""
