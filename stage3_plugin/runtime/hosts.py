"""Hosts as text: a number or a name, as name servers know it, with or without a port."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_number(host: str) -> bool:
    """Return whether a host is an address itself and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def in_ascii(host: str) -> str:
    """Return a host as name servers know it: in lower case, its letters all ASCII.

    Raises:
        ValueError: It cannot be a host.
    """
    host = host.lower().rstrip(".")
    if host.isascii():
        return host
    import idna  # noqa: PLC0415 - comes with httpx and anyio; hardly a host needs it

    return idna.encode(host, uts46=True).decode("ascii")


def split_host(text: str) -> tuple[str, int | None]:
    """Part ``name:port``, ``[::1]:port`` or one of them without a port.

    Raises:
        ValueError: The port is none.
    """
    if is_number(text):  # an IPv6 address has colons of its own
        return text, None
    parts = urlsplit(f"//{text}")
    return in_ascii(parts.hostname or ""), parts.port
