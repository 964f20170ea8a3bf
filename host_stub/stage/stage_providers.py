"""Who can make a plugin's pictures, read from whatever its opened stage offers.

A plugin need not offer any, and one that offers nonsense must not keep ``check`` from its
answer: what is not a list of providers is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from host_stub.contract import Provider
from host_stub.text.escape import escaped

MOST_PROVIDERS: Final = 100
_LONGEST: Final = 200


def providers_of(stage: object) -> tuple[Provider, ...]:
    """Return the providers of an opened stage, safe for a terminal."""
    found: Any = getattr(stage, "providers", ())
    if not isinstance(found, tuple | list):
        return ()
    known = [one for one in cast("Iterable[Any]", found) if isinstance(one, Provider)]
    return tuple(map(_plain, known[:MOST_PROVIDERS]))


def _plain(one: Provider) -> Provider:
    return Provider(
        name=escaped(str(one.name), limit=_LONGEST),
        source=escaped(str(one.source), limit=_LONGEST),
        in_use=one.in_use is True,
        problem=None if one.problem is None else escaped(str(one.problem), limit=_LONGEST),
    )


def in_a_line(providers: Iterable[Provider], *, own: str) -> str:
    """Write providers in one line; where one comes from is said unless it is the plugin's own."""
    return ", ".join(_in_words(one, own) for one in providers)


def _in_words(one: Provider, own: str) -> str:
    about = [one.source] if one.source not in {"", own} else []
    about += ["in use"] if one.in_use else []
    about += [] if one.problem is None else [one.problem]
    return f"{one.name} ({', '.join(about)})" if about else one.name
