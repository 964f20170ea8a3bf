"""Which proxy a request goes over, as the environment says; what is wrong in it is refused at once.

Read once, when the stage is opened: a proxy that cannot be used is the same for every scene. Names
never show a login.
"""

from __future__ import annotations

import urllib.request
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from stage3_plugin.errors import EnvironmentRefused
from stage3_plugin.runtime.extras import how_to_install, lacking

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy.

    Attributes:
        scheme: How it is spoken to: ``http``, ``https``, ``socks5`` or ``socks5h``.
        host: Its host.
        port: Its port.
        login: User and password, if it wants any.
    """

    scheme: str
    host: str
    port: int
    login: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Name it for people, without its login."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the header that holds the login, if there is one."""
        if self.login is None:
            return []
        return [(b"Proxy-Authorization", b"Basic " + b64encode(":".join(self.login).encode()))]


class Proxies:
    """The proxies of the environment.

    Args:
        are_used: Nothing goes over one otherwise. By scheme, ``all`` for every other one, they
            are what the environment names, or on some systems the machine's settings.
    """

    def __init__(self, *, are_used: bool) -> None:
        self._addresses = urllib.request.getproxies() if are_used else {}
        self._read: dict[str, Proxy] = {}

    def of(self, scheme: str, host: str) -> Proxy | None:
        """Return the one that an address is reached over; ``None`` for none.

        Raises:
            EnvironmentRefused: What the environment names is no proxy that could be used.
        """
        if not self._addresses or urllib.request.proxy_bypass(host):
            return None
        kind = scheme if self._addresses.get(scheme) else "all"
        text = self._addresses.get(kind)
        if not text:
            return None
        if kind not in self._read:
            self._read[kind] = read_proxy(text, f"{kind.upper()}_PROXY")
        return self._read[kind]


def read_proxy(text: str, variable: str) -> Proxy:
    """Read a proxy's address; one without a scheme is taken as ``http``, as curl does.

    Args:
        text: The address, perhaps with a login in it: never shown.
        variable: Where it stood, for the message.

    Raises:
        EnvironmentRefused: It is no address, or of a kind that cannot be used here.
    """
    address = text.strip()
    if "://" not in address:
        address = f"http://{address}"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
        host.encode("idna" if not host.isascii() else "ascii")
    except ValueError:  # UnicodeError is one
        parts, host, port = urlsplit(""), "", None
    if not address.isprintable() or " " in address:  # urlsplit takes some of it away
        host = ""
    if not host or port == 0 or any(letter in host for letter in "%/\\<>\"'^`{|}"):
        raise EnvironmentRefused(
            variable,
            "is not the address of a proxy",
            hint="write it as http://HOST:PORT, with a login as http://USER:PASSWORD@HOST:PORT",
        )
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise EnvironmentRefused(
            variable,
            f"names a proxy of the kind {scheme[:12]!a}, which is not supported",
            hint="http://, https:// and socks5:// are",
        )
    if scheme.startswith("socks") and lacking("socks"):
        raise EnvironmentRefused(
            variable,
            "names a SOCKS proxy, and the package that speaks SOCKS is not installed",
            hint=how_to_install("socks"),
        )
    login = None
    if parts.username or parts.password:
        login = (unquote(parts.username or ""), unquote(parts.password or ""))
    return Proxy(scheme=scheme, host=host, port=port or _PORTS[scheme], login=login)
