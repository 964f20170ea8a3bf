"""The address of a PostgreSQL server as a user writes it: what may stand in it, and what is shown.

psycopg takes it apart, as libpq reads it; what may stand in it and what is refused is said here.
What is refused is refused without being quoted, since it may hold a password; what is shown has
none, and no scheme either: hosts blank out whatever begins like a secret address. What has to be
covered is known from the text alone, also where psycopg is not installed.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final, Self
from urllib.parse import quote, quote_plus, unquote

from stage3_plugin.runtime.hosts import in_ascii

DEFAULT_PORT: Final = 5432
LONGEST: Final = 2_000
"""Characters of an address."""
MASK: Final = "****"

_PARAMETERS: Final = frozenset(
    {
        "application_name", "channel_binding", "connect_timeout", "sslcert", "sslkey", "sslmode",
        "sslrootcert",
    }
)  # fmt: skip
_KNOWN: Final = ", ".join(sorted({*_PARAMETERS, "host", "port"}))
_VERIFIED: Final = "verify-full"
_WHATEVER: Final = frozenset({"disable", "allow", "prefer", "require", "verify-ca", _VERIFIED})
_SHAPE: Final = "postgresql://USER@HOST/DATABASE"
_SPELT: Final = (
    "in a user or a password write %2F for /, %3A for :, %40 for @, %23 for # and %3F for ?"
)
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]+(?<!-)(\.(?!-)[a-z0-9_-]+(?<!-))*")


def password_in(text: str) -> str | None:
    """Return the password of an address as it is written there; it may be none at all."""
    before, at, _ = text.partition("://")[2].rpartition("@")
    return (before.partition(":")[2] or None) if at else None


def secrets_in(text: str) -> tuple[str, ...]:
    """Return what of an address no file and no message may hold, in each spelling."""
    written = password_in(text)
    if written is None:
        return (text,)
    password = unquote(written)
    spelt = (text, password, written, quote(password, safe=""), quote_plus(password))
    return tuple(dict.fromkeys(spelt))


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
        """Read an address; psycopg has to be installed.

        Raises:
            ValueError: It cannot be used; the message says what is wrong, and quotes nothing that
                could be a secret.
        """
        if len(text) > LONGEST or not text.isprintable() or " " in text:
            raise ValueError(
                f"an address is up to {LONGEST:,} printable characters without spaces; write %20 "
                "for one"
            )
        if not text.startswith(("postgresql://", "postgres://")):
            raise ValueError(f"it should begin with postgresql:// and be {_SHAPE}")
        given = _given(text)
        password = given.pop("password", None)
        if password != (None if (written := password_in(text)) is None else unquote(written)):
            raise ValueError(
                f"it should be {_SHAPE}: an @ stands before the host alone, and a password behind "
                f"the user; {_SPELT}"
            )
        database = given.pop("dbname", "")
        if not database or set(database) & set("/@#"):
            raise ValueError(
                f"it names no database, or more than one, and has no #: {_SHAPE}; {_SPELT}"
            )
        url = cls(
            host=_host(given.pop("host", "")),
            port=_port(given.pop("port", str(DEFAULT_PORT))),
            database=database,
            user=given.pop("user", None),
            password=password,
            parameters=MappingProxyType(_checked(given)),
            _text=text,
        )
        if not "".join(
            (url.shown(""), *url.parameters.values())
        ).isprintable():  # a password may have any
            raise ValueError("an address has no control characters, however they are written")
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
        return secrets_in(self._text)

    def without_password(self, text: str) -> str:
        """Take the password, and the address with it, out of what a driver or a server says."""
        if self.password is not None:
            for secret in sorted(self.secrets(), key=len, reverse=True):
                text = text.replace(secret, MASK)
        return text


def _given(text: str) -> dict[str, str]:
    """Return what an address says, by libpq's names, without what is empty."""
    from psycopg import Error  # noqa: PLC0415 - an extra
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - likewise

    try:
        given: dict[str, Any] = conninfo_to_dict(text)
    except Error as error:  # its words may quote a part of a password
        if "query parameter" in str(error):
            raise ValueError(
                f"a word that stands behind the ? is not known in this address; known are {_KNOWN}"
            ) from None
        raise ValueError(f"it should be {_SHAPE}; {_SPELT}") from None
    except UnicodeError:
        raise ValueError(f"it should be {_SHAPE}, in UTF-8") from None
    return {name: str(value) for name, value in given.items() if value != ""}


def _checked(parameters: dict[str, str]) -> dict[str, str]:
    for name in parameters:
        if name not in _PARAMETERS:  # a name of libpq's own, and no part of a password
            raise ValueError(f"`{name}` does not belong into this address; known are {_KNOWN}")
    patience = parameters.get("connect_timeout", "1")
    if not (patience.isdecimal() and 1 <= int(patience) <= 600):
        raise ValueError("connect_timeout is a whole number of seconds from 1 to 600")
    for name in ("sslrootcert", "sslcert", "sslkey"):
        path = parameters.get(name, "/")
        if name == "sslrootcert" and path == "system":
            continue
        if not PurePosixPath(path).is_absolute() and ":" not in path:
            raise ValueError(f"`{name}` is a file by its whole path, such as /etc/ssl/db.pem")
    return parameters


def _host(host: str) -> str:
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
    if not _NAME.fullmatch(name):
        raise ValueError("its host is a name such as db.example.com, an address, or a socket's "
                         "folder that begins with /")  # fmt: skip
    return name


def _port(port: str) -> int:
    if not (port.isdecimal() and len(port) < 6 and 1 <= int(port) <= 65535):
        raise ValueError("its port is a number from 1 to 65535")
    return int(port)


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
