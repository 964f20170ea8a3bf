"""Where a picture may be fetched from, as far as its address and the numbers behind it show.

An answer names the address, and an answer must not send us wherever it likes: to a service that
only this machine can reach, say. Decided without a network; connecting finds out what a name stands
for, and the number that is connected to is then judged here, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from stage3_plugin.runtime.hosts import in_ascii, is_number, split_host

DEFAULT_PORTS = {"http": 80, "https": 443}

_TRANSLATED = ip_network("64:ff9b::/96")
"""An IPv4 address behind a translator (RFC 6052)."""
_NOT_PUBLIC = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4",
            "64:ff9b:1::/48", "100::/64", "2001::/23", "5f00::/16", "fec0::/10",
        ),
    )
)  # fmt: skip
"""Beside those that the standard library of every version knows; 2001::/23 has Teredo in it."""


def _inner(number: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if number.ipv4_mapped is not None:
        return number.ipv4_mapped
    if number.sixtofour is not None:
        return number.sixtofour
    plain = int(number)
    if IPv6Address(plain) in _TRANSLATED or 1 < plain < 1 << 32:  # the latter: RFC 4291, 2.5.5.1
        return IPv4Address(plain & 0xFFFFFFFF)
    return None


def may_connect(number: str, api: str) -> bool:
    """Return whether a picture may be fetched from an address; both are numbers.

    Args:
        number: The address.
        api: That of the API itself, empty where it is not known. Only what is as near to us as the
            API, or farther away, is reached.
    """
    return _distance(number) >= (_distance(api) if api else _OPEN)


_OPEN = 3


def _distance(number: str) -> int:
    """Return how far away an address is: 3 open internet, 2 private, 1 this machine, 0 never."""
    address = ip_address(number)
    if isinstance(address, IPv6Address):
        address = _inner(address) or IPv6Address(int(address))  # without an interface's name
    if address.is_loopback or address.is_unspecified:
        return 1
    if address.is_multicast:
        return 0
    if address.is_global and not any(address in network for network in _NOT_PUBLIC):
        return _OPEN
    return 0 if address.is_link_local or address.is_reserved else 2


@dataclass(frozen=True, slots=True)
class Place:
    """The part of an address that says where to connect.

    Attributes:
        scheme: ``http`` or ``https``.
        host: A name in lower case, or a number without brackets.
        port: Never missing.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, scheme: str, host: str, port: int | None) -> Place:
        """Put it together; where there is no port, the scheme says which."""
        return cls(scheme, in_ascii(host), port or DEFAULT_PORTS.get(scheme, 0))

    @classmethod
    def at(cls, url: str) -> Place:
        """Return where an address of the settings leads: nowhere, if it is none."""
        try:
            parts = urlsplit(url)
            return cls.of(parts.scheme, parts.hostname or "", parts.port)
        except ValueError:
            return cls("https", "", 0)


@dataclass(frozen=True, slots=True)
class PictureHosts:
    """The hosts that pictures may be fetched from.

    Attributes:
        api_url: Where the API lives: its own host may give pictures, too.
        others: Further hosts; a name with a leading dot stands for every host below it, and
            ``name:port`` for another port than the usual one.
    """

    api_url: str
    others: tuple[str, ...] = ()

    @property
    def api(self) -> Place:
        """Return where the API is; nowhere, if its address is none, as old settings may have it."""
        return Place.at(self.api_url)

    def objection(self, place: Place) -> str | None:
        """Return why a picture may not be fetched from a place; ``None`` if it may."""
        api = self.api
        if place.host == api.host:
            if api.scheme == "https" and place.scheme != "https":
                return f"{_shown(place)} is asked for without TLS, and the API has it"
            if place.port in {api.port, DEFAULT_PORTS[place.scheme]}:
                return None
            return f"{_shown(place)} is another port of the API's host"
        ports = self._ports_of(place.host)
        if not ports:
            kind = "address" if is_number(place.host) else "host"
            return (
                f"the {kind} {place.host[:80]!a} is not one the provider uses; if you know it, "
                f'add it to the settings: picture_hosts = ["{_plain(place.host)}"]'
            )
        if place.scheme != "https":
            return (
                f"{_shown(place)} is asked for without TLS, and is not the API's own host: let the "
                "server give its pictures from the host that base_url names, or over https"
            )
        if place.port not in {*ports, api.port}:
            return f"{_shown(place)} is not the usual port; picture_hosts may name it, too"
        return None

    def _ports_of(self, host: str) -> set[int]:
        """Return the ports that a host is allowed with; none if it is not allowed."""
        ports = (port for name, port in map(split_host, self.others) if is_named(host, name))
        return {port or DEFAULT_PORTS["https"] for port in ports}


def is_named(host: str, name: str) -> bool:
    """Return whether a host is the one of a name, or one below it if that begins with a dot."""
    return host.endswith(name, 1) if name.startswith(".") else host == name


def _shown(place: Place) -> str:
    return f"{place.scheme}://{_plain(place.host)}:{place.port}"


def _plain(host: str) -> str:
    """Show a host without anything that a terminal or a reader could take for more than it is."""
    return "".join(letter if letter.isalnum() or letter in ".-_:" else "?" for letter in host[:80])
