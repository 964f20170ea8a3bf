"""Where a cluster is, and whether its members have to show a token: decisions, without Ray.

Ray's own rules are in its ``_private/authentication``: it asks for a token where ``RAY_AUTH_MODE``
is ``token``, and finds it in ``RAY_AUTH_TOKEN``, in the file that ``RAY_AUTH_TOKEN_PATH`` names, or
in ``~/.ray/auth_token``. Whoever reaches a cluster without one runs whatever they like on it.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from stage3_plugin.errors import SettingsRefused

LOCAL = "local"
"""A cluster of this machine alone, started by us and ended by us."""
AUTO = "auto"
"""The cluster that this machine belongs to, as ``RAY_ADDRESS`` or ``ray start`` left it."""
_TRIES = "5"
"""How often Ray looks at a head that does not let it in, a second apart; 20 by itself."""
_HOW = (
    "make one with `ray get-auth-token --generate`, copy ~/.ray/auth_token to every node, and "
    "start the cluster with RAY_AUTH_MODE=token; or keep it to 127.0.0.1"
)


def an_address(address: str) -> str:
    """Return a text that is the address of a cluster.

    Raises:
        ValueError: It is none; its words say what it should be.
    """
    host, port = host_and_port(address)
    if "://" in address:
        raise ValueError(
            'should be "auto", "local", or HOST:PORT of the head; Ray Client is not used'
        )
    is_place = host and port.isdecimal() and 0 < int(port) < 65536 and address.isprintable()
    if not is_place and address not in {LOCAL, AUTO}:
        raise ValueError(
            'should be "auto", "local", or HOST:PORT of the head, such as 127.0.0.1:6379'
        )
    return address


def place_of(address: str, environ: Mapping[str, str]) -> str | None:
    """Return ``local``, or host and port of a cluster; ``None`` if this machine is in none."""
    if address != AUTO:
        return address
    named = environ.get("RAY_ADDRESS", "").strip()
    if named and named != AUTO:
        return named
    with suppress(OSError, ValueError):
        folder = environ.get("RAY_TMPDIR") or tempfile.gettempdir()
        return (Path(folder) / "ray" / "ray_current_cluster").read_text("utf-8").strip() or None
    return None


def is_of_this_machine(place: str) -> bool:
    """Return whether only this machine can reach a cluster."""
    if place == LOCAL:
        return True
    host, _ = host_and_port(place)
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def need_token(place: str, environ: Mapping[str, str]) -> None:
    """See that no stranger can run anything on a cluster, or send anything from it.

    Raises:
        SettingsRefused: Others can reach it, and need no token.
    """
    if is_of_this_machine(place):
        return
    mode = environ.get("RAY_AUTH_MODE", "token")
    if mode.lower() != "token":
        lack = f"RAY_AUTH_MODE is {mode[:40]!r}"
        hint = f"unset RAY_AUTH_MODE, or set it to token; {_HOW}"
    elif not has_token(environ):
        lack, hint = "there is no token to show to it", _HOW
    else:
        return
    words = f"others can reach the cluster at {place}, and {lack}"
    raise SettingsRefused("executor.address", words, hint=hint)


def has_token(environ: Mapping[str, str]) -> bool:
    """Return whether Ray would find a token; the first place that is named decides."""
    if environ.get("RAY_AUTH_TOKEN", "").strip():
        return True
    named = environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named) if named else Path(environ.get("HOME", "~")).expanduser() / ".ray/auth_token"
    with suppress(OSError, ValueError):
        return bool(file.read_text("utf-8").strip())
    return False


def broker_environment(place: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the cluster's driver gets of an environment without secrets.

    Args:
        place: Where the cluster is.
        environ: What is handed on, as far as it goes.
    """
    kept = dict(environ)
    kept["RAY_USAGE_STATS_ENABLED"] = "0"
    kept.pop("RAY_ADDRESS", None)  # it is said outright
    kept.setdefault("RAY_NUM_REDIS_GET_RETRIES", _TRIES)
    if is_of_this_machine(place):
        # Ray turns 127.0.0.1 into the address that others see, and listens there, unless told so.
        kept["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if place == LOCAL:  # a token of its own, and none is written to the user's home for it
        kept |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        kept.pop("RAY_AUTH_TOKEN_PATH", None)
    elif "RAY_AUTH_MODE" not in kept and has_token(kept):
        kept["RAY_AUTH_MODE"] = "token"  # an address that is said outright never sets it in Ray
    return kept


def host_and_port(place: str) -> tuple[str, str]:
    """Return the two parts of a place that is not ``local``."""
    host, _, port = place.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), port


def temporary_folder() -> str:
    """Make the folder of a local cluster; short, since the paths of sockets are."""
    return tempfile.mkdtemp(prefix="s3ray-", dir="/tmp" if os.name == "posix" else None)  # noqa: S108
