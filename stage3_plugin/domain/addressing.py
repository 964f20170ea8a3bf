"""Which text is an address, what of a sloppy one can still be used, and which are the same.

Pure, and never raises: white space around an address is not part of it, and text that no client
could connect to is no address. The client refuses what else cannot be fetched.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

MOST_CHARACTERS = 16 * 1024
"""Four times the longest signed address that was seen; clients and servers refuse 64 KiB."""
_MOST_HOST = 253
_JPEG = "/9j/"
"""How base64 of a JPEG begins, while an address on the same server begins with ``/v1/`` or so."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_DOTS = re.compile("[\u3002\uff0e\uff61]")
"""What other scripts write for the dots of a name."""


_PAIRS = (("<", ">"), ('"', '"'), ("'", "'"), ("`", "`"), ("(", ")"))


def unwrapped(text: str) -> str:
    """Take off what people and models put around an address: quotes, brackets, Markdown."""
    text = text.strip()
    if text.startswith(("![", "[")) and text.endswith(")"):
        text = text[:-1].partition("](")[2].partition(" ")[0] or text
    for first, last in _PAIRS:
        if len(text) > 1 and text[0] == first and text[-1] == last:
            inner = text[1:-1].strip()
            return inner if claims_to_be_address(inner) else text
    return text


def claims_to_be_address(text: str) -> bool:
    """Return whether a text begins as an address does; without white space around it."""
    return text[:6].lower().startswith(("http:", "https:")) or (
        text.startswith("/") and not text.startswith(_JPEG)
    )


def address_of(text: str, *, base_url: str) -> str | None:
    """Return the absolute address that a text is; ``None`` if nothing could be fetched from it.

    Args:
        text: It claims to be one; white space around it is left out.
        base_url: What a relative one is relative to.
    """
    text = text.strip()
    if len(text) > MOST_CHARACTERS or not text.isprintable():
        return None
    try:
        url = urljoin(base_url, text) if text.startswith("/") else text
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
        if not 0 < len(host) <= _MOST_HOST:
            return None
        host.encode("idna")
    except ValueError:  # such as "http://[", a port of letters, a label that is too long
        return None
    return url if parts.scheme in {"http", "https"} else None


@cache
def canonical_address(url: str) -> str:
    """Return the one form of all spellings of an address; what is no address stays as it is.

    Scheme and host in lower case, the host in its own script and without a dot at its end, no
    default port, no slash or blank at the end. That form is its own.
    """
    while (form := _plainer(url)) != url:  # a blank may stand before a slash, a script within one
        url = form
    return url


def _plainer(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:  # such as a port that is no number
        return url
    if not scheme or not host:
        return url
    host = _host(host)
    where = "" if port in {None, _DEFAULT_PORTS.get(scheme)} else f":{port}"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{where}{parts.path.rstrip('/')}"


def _host(name: str) -> str:
    """Write a host's name in its own script: ``xn--mnchen-3ya.example`` is ``münchen.example``."""
    with suppress(ValueError):
        return ip_address(name).compressed
    labels = _DOTS.sub(".", name).rstrip(".").split(".")
    return unicodedata.normalize("NFC", ".".join(map(_label, labels))).lower()


def _label(label: str) -> str:
    if not label.lower().startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
