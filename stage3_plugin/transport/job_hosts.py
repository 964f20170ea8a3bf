"""Where a job, or a listing of jobs, may be asked for: whoever is asked is shown the key.

An answer names the address, and an answer must not have the key sent wherever it likes. So a job is
asked for where the API itself is, and at those hosts that its vendor is known to name. A server of
somebody's own has none but itself: who points ``base_url`` elsewhere has moved all of the vendor's
hosts there. Decided without a network, from the place that is connected to and never from a text
that another reader could take for another place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from stage3_plugin.runtime.hosts import split_host
from stage3_plugin.transport.picture_hosts import DEFAULT_PORTS, Place, is_named


@dataclass(frozen=True)
class JobHosts:
    """The places where jobs and listings may be asked for.

    Attributes:
        api_url: Where the API is asked: ``base_url`` of the settings, else the vendor's own.
        vendor_url: Where the vendor's API is.
        others: The vendor's further hosts, as ``Profile.job_hosts`` has them; a name with a leading
            dot stands for every host below it.
        is_ours: The key at hand is for this API. Of another, such as one that earlier settings
            named, nothing is asked.
        list_all: The settings say that every job is listed there, whoever's the API is.
    """

    api_url: str
    vendor_url: str
    others: tuple[str, ...] = ()
    is_ours: bool = True
    list_all: bool = False

    def objection(self, place: Place) -> str | None:
        """Return why nothing is asked at a place, and no key sent there; ``None`` if it may be."""
        shown = f"{place.scheme}://{place.host[:80]}:{place.port}"
        if not self.is_ours:
            return f"these settings have no key for {shown!a}; use those that bought there"
        if place.host and (place == self._api or (self._is_vendors and self._is_other(place))):
            return None
        return f"{shown!a} is not where jobs of {self.api_url[:80]!a} are asked for"

    @property
    def have_whole_listing(self) -> bool:
        """Return whether a listing there is believed to have every job: as the vendor's own has."""
        return self.list_all or self._is_vendors

    @cached_property
    def _api(self) -> Place:
        return Place.at(self.api_url)

    @cached_property
    def _is_vendors(self) -> bool:
        """Return whether the API is the vendor's, at its usual address or at one of its hosts."""
        api = self._api
        return bool(api.host) and (api == Place.at(self.vendor_url) or self._is_other(api))

    def _is_other(self, place: Place) -> bool:
        """Return whether a place is one of the vendor's, over TLS and at the usual port."""
        if (place.scheme, place.port) != ("https", DEFAULT_PORTS["https"]):
            return False
        return place == Place.at(self.vendor_url) or any(
            is_named(place.host, name) for name, _ in map(split_host, self.others)
        )
