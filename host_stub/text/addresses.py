"""What of an address may stand where everybody can read it.

A provider that gives a picture as an address signs it, and the signature is its query: for a while
it is as good as a key. Results and journals are readable by all (0644), and are copied and
attached to reports; so an address stands there without its query, its fragment and its login. The
plugin that bought the picture keeps the full address in a place of its own.

Apart from :mod:`host_stub.text.redaction`, which knows secrets by their text: these are known by
where they stand. Every pattern reads its text once, however odd it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

LEFT_OUT: Final = "?…"
"""Stands in a text for the query that an address had there."""

_END = r"\s\"'<>"
_ADDRESS = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.-]{{0,15}}(?::(?:\\?/){{2}}|%3[Aa]%2[Ff]%2[Ff])[^{_END}]*"
)
_BEHIND = re.compile(r"[?#]|%3[Ff]|%23|\\u003[Ff]|\\u0023")
"""Where a query or a fragment begins, also in an address that was encoded or put into JSON."""
_SCHEME_ENDS = re.compile(r"(?::|%3[Aa])(?:\\?/|%2[Ff]){2}")
_HOST_ENDS = re.compile(r"[/\\]|%2[Ff]")
_LOGIN_ENDS = re.compile(r"@|%40")
_QUERY = re.compile(rf"(?<=[\w/.:-])\?[^{_END}?]*=[^{_END}]*")
"""Of an address without its scheme. Up to the sign of equality there is no other question mark, so
that a text of nothing but those is not gone through for each of them."""


def without_query(address: str) -> str:
    """Return an address as everybody may read it: without query, fragment and login."""
    left = _BEHIND.split(address, maxsplit=1)[0]
    scheme = _SCHEME_ENDS.search(left)
    if scheme is None:
        return left
    behind = left[scheme.end() :]
    slash = _HOST_ENDS.search(behind)
    host, path = (
        (behind, "") if slash is None else (behind[: slash.start()], behind[slash.start() :])
    )
    return left[: scheme.end()] + _LOGIN_ENDS.split(host)[-1] + path


def in_text(text: str) -> str:
    """Return a text whose addresses stand in it without what makes them as good as a key."""
    if "://" in text or "?" in text or ":\\/" in text or "%3" in text:
        return _QUERY.sub(LEFT_OUT, _ADDRESS.sub(_shortened, text))
    return text


def in_value(value: Any) -> Any:
    """Do the same to every text in plain data; keys and everything else are untouched."""
    if isinstance(value, str):
        return in_text(value)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return {key: in_value(part) for key, part in pairs}
    if isinstance(value, list | tuple):
        return [in_value(part) for part in cast("Iterable[object]", value)]
    return value


def _shortened(match: re.Match[str]) -> str:
    whole = match[0]
    left = without_query(whole)
    return left + LEFT_OUT if _BEHIND.search(whole) else left
