"""What installed distributions offer by name in an entry-point group of ours.

One whose code is broken harms nothing but what is asked for by its own name. Two that offer the
same name are a conflict in which neither wins: what is asked for may get a key and spend money.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property

from host_stub.plugins.offers import Offer, offers_of
from stage3_plugin.runtime.system_errors import in_one_line


class NotOffered(Exception):
    """Nothing usable is offered by a name, in words; ``hint`` is what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        self.hint = hint
        super().__init__(problem)


class Offers:
    """What is offered in one group.

    Args:
        group: The entry-point group.
        what: What one is called in what is said.
    """

    def __init__(self, group: str, what: str = "provider") -> None:
        self._group = group
        self._what = what
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
        offers = [offer for offer in self.all if offer.name == name]
        if len(offers) == 1:
            return offers[0]
        if offers:
            them = " and ".join(f"{offer.source} ({offer.target})" for offer in offers)
            raise NotOffered(
                f"more than one distribution offers the {self._what} {name!r}: {them}",
                "uninstall all but one of them",
            )
        if not self.names:
            raise NotOffered(
                f"there is no {self._what} {name!r}, nor any other",
                "the installed stage3-plugin lacks its entry points: install it again",
            )
        near = get_close_matches(name, self.names, n=1)
        hint = f"use one of {', '.join(self.names)}, or install the distribution that brings it"
        raise NotOffered(
            f"there is no {self._what} {name!r}",
            f"did you mean {near[0]!r}? {hint}" if near else hint,
        )

    def unusable(self, name: str, problem: str) -> NotOffered:
        """Return that what is offered by a name cannot be used."""
        offer = self.named(name)
        return NotOffered(
            f"{self._what} {name!r} of {offer.source} ({offer.target}) cannot be used: {problem}",
            "install it again with what it needs, or another version of it: "
            f"python -m pip install --force-reinstall {offer.distribution!r}; or tell its author",
        )

    def load(self, name: str) -> object:
        """Return what is offered by a name; it is imported once, and fails once.

        Raises:
            NotOffered: There is none, or more than one, or its import failed, in whatever way.
        """
        if name in self._failed:
            raise self._failed[name]
        if name not in self._loaded:
            try:
                self._loaded[name] = self._imported(name)
            except NotOffered as failure:
                self._failed[name] = failure
                raise
        return self._loaded[name]

    def _imported(self, name: str) -> object:
        entry_point = self.named(name).entry_point
        try:
            return entry_point.load()
        except (Exception, SystemExit) as error:
            raise self.unusable(name, in_one_line(error)) from error


PROVIDERS = Offers("stage3.providers")
"""What makes pictures, by its name in the settings."""

OFFLINE = "previz"
"""Who makes them where none is set: it needs no key, no network and no money."""
