"""The address of a PostgreSQL server as a user writes it: what may stand in it, and what is shown.

Everything here is decided from the text alone. What is refused is refused without being quoted,
since it may hold a password; what is shown has none, and no scheme either: hosts blank out whatever
begins like a secret address.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final, Self
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from stage3_plugin.runtime.hosts import in_ascii

DEFAULT_PORT: Final = 5432
LONGEST: Final = 2_000
"""Characters of an address."""
MASK: Final = "****"

_PARAMETERS: Final = frozenset(
    {
        "application_name", "channel_binding", "connect_timeout", "host", "port", "sslcert",
        "sslkey", "sslmode", "sslrootcert",
    }
)  # fmt: skip
_OTHERS: Final[Mapping[str, str]] = {
    "dbname": "the database stands behind the host: HOST/DATABASE",
    "hostaddr": "a certificate is checked against the name of the host: name that alone",
    "options": "what a session is set to is the program's matter",
    "password": "a password stands behind the user: USER:PASSWORD@HOST",
    "sslpassword": "keep the client's key in a file without a password that you alone can read",
    "target_session_attrs": "name the one server that is written to",
    "user": "the user stands before the host: USER@HOST",
}
"""What is often written, and what to do instead."""
_OF_LIBPQ: Final = frozenset(
    {
        "client_encoding", "fallback_application_name", "gssdelegation", "gssencmode", "gsslib",
        "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname",
        "load_balance_hosts", "passfile", "replication", "require_auth", "requirepeer",
        "requiressl", "service", "ssl_max_protocol_version", "ssl_min_protocol_version",
        "sslcompression", "sslcrl", "sslcrldir", "sslnegotiation", "sslsni", "tcp_user_timeout",
    }
)  # fmt: skip
"""What may be named where it is refused: any other word could be a part of a password."""
_VERIFIED: Final = "verify-full"
_WHATEVER: Final = frozenset({"disable", "allow", "prefer", "require", "verify-ca", _VERIFIED})
_SHAPE: Final = "postgresql://USER@HOST/DATABASE"


def _refused_parameter(name: str) -> ValueError:
    """Name a parameter that is not taken, if that can be nothing but a name."""
    if name in _OTHERS:
        return ValueError(f"`{name}` does not belong into this address: {_OTHERS[name]}")
    shown = f"`{name}`" if name in _OF_LIBPQ else "a word that stands behind the ?"
    return ValueError(
        f"{shown} is not known in this address; known are {', '.join(sorted(_PARAMETERS))}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrl:
    """A server, and a database there.

    Attributes:
        host: A name, an address, or the folder of a Unix socket.
        port: Where it listens.
        database: Its name.
        user: Who asks; ``None`` leaves it to libpq (``PGUSER``, or the user of the system).
        password: As it is sent; ``None`` leaves it to libpq (``PGPASSWORD``, a password file).
        parameters: What else libpq is told.
    """

    host: str
    port: int
    database: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    _text: str = field(default="", repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            ValueError: It cannot be used; the message says what is wrong, and quotes nothing that
                could be a secret.
        """
        if len(text) > LONGEST or not text.isprintable() or " " in text:
            raise ValueError(
                f"an address is up to {LONGEST:,} printable characters without spaces; write %20 "
                "for one"
            )
        try:
            parts = urlsplit(text)
            port = parts.port
            given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise ValueError(
                f"it should be {_SHAPE}; in a user or a password write %2F for /, %3A for :, %40 "
                "for @, %23 for # and %3F for ?"
            ) from None
        if parts.scheme not in {"postgresql", "postgres"} or not text.lower().startswith(
            f"{parts.scheme}://"
        ):
            raise ValueError(f"it should begin with postgresql:// and be {_SHAPE}")
        if parts.fragment or "#" in text:
            raise ValueError("it has no #; in a password write %23 for it")
        if "@" in parts.path:  # of a password with a / in it, that far is what is taken for a host
            raise ValueError("an @ stands before its host alone; in a password write %2F for / and "
                             "%40 for @, in a database %40")  # fmt: skip
        shown = f"{parts.username}{parts.hostname}{parts.path}{parts.query}"
        if not unquote(shown).isprintable():  # a password may have whatever it likes
            raise ValueError("an address has no control characters, however they are written")
        database = unquote(parts.path.removeprefix("/"))
        if not database or "/" in database or "\0" in database:
            raise ValueError(f"it names no database, or more than one: {_SHAPE}")
        parameters = _parameters(given)
        host = _host(parts.hostname, parameters.pop("host", None))
        port = _port(port, parameters.pop("port", None))
        user, password = _unquoted(parts.username), _unquoted(parts.password)
        if "\0" in f"{user}{password}":
            raise ValueError("a user and a password have no NUL character")
        url = cls(
            host=host,
            port=port,
            database=database,
            user=user or None,
            password=password or None,
            parameters=MappingProxyType(parameters),
            _text=text,
        )
        url._check_tls()
        return url

    def _check_tls(self) -> None:
        mode = self.parameters.get("sslmode")
        if mode is not None and mode not in _WHATEVER:
            raise ValueError(f"sslmode is one of {', '.join(sorted(_WHATEVER))}")
        if not self.is_here and mode not in {None, _VERIFIED}:
            raise ValueError(
                f"sslmode={mode} would send the password and the ledger to whoever answers in the "
                "server's place; leave sslmode out, or write verify-full, and name the certificate "
                "of your authority with sslrootcert=FILE if the system does not know it"
            )

    @property
    def is_socket(self) -> bool:
        """Return whether a folder is named, where the server has its socket."""
        return self.host.startswith("/")

    @property
    def is_here(self) -> bool:
        """Return whether nothing leaves this machine."""
        if self.is_socket or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def shown(self, project: str) -> str:
        """Return what people are shown of it; there is no password in it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORT else f":{self.port}"
        whose = "" if self.user is None else f"{self.user}@"
        return f"{whose}{host}{port}/{self.database} (project {project})"

    def arguments(self) -> dict[str, str | int]:
        """Return what libpq is to be told, by its own names."""
        told: dict[str, str | int] = {**self.parameters}
        told |= {"host": self.host, "port": self.port, "dbname": self.database}
        told |= {} if self.user is None else {"user": self.user}
        told |= {} if self.password is None else {"password": self.password}
        if not self.is_here:
            told["sslmode"] = _VERIFIED
            told.setdefault("sslrootcert", roots())
        return told

    def secrets(self) -> tuple[str, ...]:
        """Return what no file and no message may hold, in each spelling."""
        if self.password is None:
            return (self._text,)
        spelt = (self._as_written(), quote(self.password, safe=""), quote_plus(self.password))
        return tuple(dict.fromkeys(filter(None, (self._text, self.password, *spelt))))

    def _as_written(self) -> str:
        return urlsplit(self._text).password or ""

    def without_password(self, text: str) -> str:
        """Take the password, and the address with it, out of what a driver or a server says."""
        for secret in sorted(self.secrets(), key=len, reverse=True):
            if self.password is not None or secret != self._text:
                text = text.replace(secret, MASK)
        return text


def _parameters(given: list[tuple[str, str]]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in given:
        if name not in _PARAMETERS:
            raise _refused_parameter(name)
        if name in parameters:
            raise ValueError(f"`{name}` is there twice")
        if not value or "\0" in value:
            raise ValueError(f"`{name}` is empty")
        parameters[name] = value
    patience = parameters.get("connect_timeout")
    if patience is not None and not (patience.isdecimal() and 1 <= int(patience) <= 600):
        raise ValueError("connect_timeout is a whole number of seconds from 1 to 600")
    for name in ("sslrootcert", "sslcert", "sslkey"):
        path = parameters.get(name)
        if path is None or (name == "sslrootcert" and path == "system"):
            continue
        if not PurePosixPath(path).is_absolute() and ":" not in path:
            raise ValueError(f"`{name}` is a file by its whole path, such as /etc/ssl/db.pem")
    return parameters


def _host(named: str | None, given: str | None) -> str:
    if named and given:
        raise ValueError("its host is there twice, before the database and as `host`")
    host = unquote(named or given or "")
    if not host:
        raise ValueError(
            f"it names no host: {_SHAPE}, or postgresql:///DATABASE?host=/run/postgresql for a "
            "socket"
        )
    if "," in host:
        raise ValueError("it names several hosts; a ledger is in one place")
    if host.startswith("/"):
        return host
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        name = in_ascii(host)
    except ValueError:
        name = ""
    if not name or not all(part and part.strip("-") == part for part in name.split(".")):
        raise ValueError("its host is a name such as db.example.com, an address, or a socket's "
                         "folder that begins with /")  # fmt: skip
    if set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789-._"):
        raise ValueError("its host is a name such as db.example.com; in a password write %2F for "
                         "/, %40 for @ and %3F for ?")  # fmt: skip
    return name


def _port(named: int | None, given: str | None) -> int:
    if named is not None and given is not None:
        raise ValueError("its port is there twice, behind the host and as `port`")
    if given is not None:
        named = int(given) if given.isdecimal() and len(given) < 6 else 0
    port = DEFAULT_PORT if named is None else named
    if not 1 <= port <= 65535:
        raise ValueError("its port is a number from 1 to 65535")
    return port


def _unquoted(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def passwords_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the passwords that libpq would take from an environment."""
    password = environment.get("PGPASSWORD")
    return (password,) if password else ()


def roots() -> str:
    """Return the file with the authorities that this system trusts.

    libpq as it comes in a wheel does not know where a system keeps them.
    """
    named = os.environ.get("PGSSLROOTCERT") or os.environ.get("SSL_CERT_FILE")
    if named:
        return named
    found = ssl.get_default_verify_paths().cafile
    if found:  # in truth there may be none
        return found
    import certifi  # noqa: PLC0415 - comes with httpx; hardly a system needs it

    return certifi.where()
