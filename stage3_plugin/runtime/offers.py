"""What installed distributions offer by name in an entry-point group of ours.

One whose code is broken harms nothing but what is asked for by its own name. Two that offer the
same name are a conflict in which neither wins: what is asked for may get a key and spend money.
"""

from __future__ import annotations

from functools import cached_property

from host_stub.plugins.offers import Offer, offers_of


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
        return offers_of(self._group)

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


PROVIDERS = Offers("stage3.providers")
"""What makes pictures, by its name in the settings."""

OFFLINE = "previz"
"""Who makes them where none is set: it needs no key, no network and no money."""
