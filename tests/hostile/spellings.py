"""A secret in the four spellings that are covered, and a search for any of them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote_to_bytes


def spellings_of(secret: str) -> Iterator[str]:
    """Return a secret as it is, percent-encoded, escaped as in JSON, and in base64."""
    yield secret
    yield from percent_encoded(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield json.dumps(secret)[1:-1].replace("/", "\\/")
    yield from in_base64(secret)


def percent_encoded(secret: str) -> Iterator[str]:
    """Return a secret as addresses and forms have it, its digits in either case."""
    for form in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        yield form
        yield re.sub("%..", lambda match: match[0].lower(), form)


def in_base64(secret: str) -> Iterator[str]:
    """Return a secret behind 0, 1 or 2 other bytes and before others, in either alphabet."""
    for before in range(3):
        around = b"x" * before + secret.encode() + b"yz"
        yield base64.b64encode(around).decode()
        yield base64.urlsafe_b64encode(around).decode()


def found_in(data: bytes, secret: str) -> list[str]:
    """Return the ways in which a secret can be had from bytes, by undoing what others do.

    Written anew, and not with the search that takes secrets out.
    """
    raw = secret.encode()
    undone = {
        "as it is": data,
        "percent": unquote_to_bytes(data),
        "a form": unquote_to_bytes(data.replace(b"+", b" ")),
        "JSON": _without_escapes(data),
    }
    found = [way for way, text in undone.items() if raw in text]
    compact = data.translate(bytes.maketrans(b"-_", b"+/"))
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw).rstrip(b"=")
        inner = text[(0, 2, 3)[before] : len(text) - 1]
        found += [f"base64 at {before}"] if inner in compact else []
    return found


def _without_escapes(data: bytes) -> bytes:
    text = re.sub(
        r"\\(?:u([0-9a-fA-F]{4})|([bfnrt])|(.))",
        lambda match: (
            chr(int(match[1], 16)) if match[1]
            else json.loads(f'"\\{match[2]}"') if match[2] else match[3]
        ),
        data.decode("utf-8", "surrogateescape"),
    )  # fmt: skip
    halves = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return halves.encode("utf-8", "replace")
