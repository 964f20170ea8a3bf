"""What must not be seen, and how it is taken out of everything the host shows or writes.

A key in an error message, a URL or a traceback is out of its owner's hands. Whatever leaves the
host as text (events, manifest, messages, tracebacks) passes through one :class:`Redactor` last. It
knows the secrets of the settings, and the spellings they get on their way through other people's
code: percent-encoded, base64 (on its own or behind a user name), escaped, reversed, cut short.
"""

from __future__ import annotations

import base64
import json
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, cast
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, SecretBytes, SecretStr

REDACTED = "[secret]"
LONG_ENOUGH = 8
"""Characters. A shorter secret is taken out only where it stands alone, and one of fewer than
:data:`TOO_SHORT` not at all: cutting every "a" out of a file is no help."""
TOO_SHORT = 4
_BEGINNING = (
    12  # the first characters that give a long key away, as in "key sk-or-v1-ab... is wrong"
)


class Redactor:
    """Replaces secrets in text and in plain data.

    Args:
        secrets: The texts to take out; those of fewer than :data:`TOO_SHORT` are ignored.
        mask: What stands in their place.
    """

    def __init__(self, secrets: Iterable[str] = (), *, mask: str = REDACTED) -> None:
        self._mask = mask
        self._known: frozenset[str] = frozenset()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Take out these texts as well, from now on."""
        self._known |= {secret for secret in secrets if len(secret) >= TOO_SHORT}
        known = sorted(self._known)
        long = [secret for secret in known if len(secret) >= LONG_ENOUGH]
        short = [secret for secret in known if len(secret) < LONG_ENOUGH]
        spellings = {spelling for secret in long for spelling in _spellings(secret)}
        cut_short = [secret for secret in long if len(secret) > _BEGINNING + 4]
        patterns = [re.escape(spelling) for spelling in sorted(spellings, key=len, reverse=True)]
        patterns += [_beginning(secret) for secret in cut_short]
        patterns += [rf"(?<![\w./-]){re.escape(secret)}(?![\w./-])" for secret in short]
        self._pattern = re.compile("|".join(patterns))
        # Looking for fixed texts first is some fifty times faster than the pattern.
        self._signs = (*spellings, *short, *(secret[:_BEGINNING] for secret in cut_short))
        # JSON escapes each character by itself, so a sign in a text is this sign in its JSON.
        self._json_signs = tuple({json.dumps(sign)[1:-1].encode("ascii") for sign in self._signs})

    def may_be_in(self, line: bytes) -> bool:
        """Return whether plain data may hold a secret, by its JSON in ASCII.

        Ten times faster than to look into each value: the many lines without a secret need no more.
        Where it is ``False``, :meth:`value` would change nothing.
        """
        for sign in self._json_signs:  # noqa: SIM110 - any() takes twice the time
            if sign in line:
                return True
        return False

    def text(self, text: str) -> str:
        """Take secrets out of one text."""
        for sign in self._signs:  # any() takes twice the time
            if sign in text:
                return self._pattern.sub(self._mask, text)
        return text

    def value(self, value: Any) -> Any:
        """Take secrets out of every text in plain data, keys included; the rest is untouched."""
        if not self._signs:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            pairs = cast("Mapping[object, object]", value).items()
            return {self.value(key): self.value(part) for key, part in pairs}
        if isinstance(value, list | tuple):
            return [self.value(part) for part in cast("Iterable[object]", value)]
        return value

    def traceback(self, error: BaseException) -> str:
        """Format a traceback, causes included, without locals and without secrets."""
        return self.text("".join(traceback.format_exception(error)))


def secrets_of(settings: object) -> Iterator[str]:
    """Find every ``SecretStr`` and ``SecretBytes`` in settings, however deep."""
    if isinstance(settings, SecretStr):
        with suppress(LookupError):  # it could not be had, and so cannot be shown
            yield settings.get_secret_value()
    elif isinstance(settings, SecretBytes):
        yield settings.get_secret_value().decode("utf-8", "replace")
    else:
        for part in _parts(settings):
            yield from secrets_of(part)


def _parts(value: object) -> Iterable[object]:
    """Return what a value holds, if it is one of the things settings are made of."""
    if isinstance(value, BaseModel):
        return [part for _, part in value]
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return [part for pair in pairs for part in pair]
    if isinstance(value, list | tuple | set | frozenset):
        return cast("Iterable[object]", value)
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in fields(value)]
    return ()


def _spellings(secret: str) -> Iterator[str]:
    """Return the forms a secret takes when other code writes it."""
    raw = secret.encode("utf-8", "surrogatepass")
    percent = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    yield from percent
    yield from (re.sub("%..", lambda match: match[0].lower(), form) for form in percent)
    yield secret
    yield secret[::-1]
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]
    yield raw.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # Behind 0, 1 or 2 other bytes (as in "user:key") the letters differ; those at both
            # ends mix with the neighbours' bits and are left.
            form = encode(b"\0" * before + raw).decode().rstrip("=")
            yield form[(0, 2, 3)[before] : len(form) - (1 if (before + len(raw)) % 3 else 0)]


def _beginning(secret: str) -> str:
    """Match the first characters of a secret and as much more of it as stands there."""
    rest = ""
    for letter in reversed(secret[_BEGINNING:64]):
        rest = f"(?:{re.escape(letter)}{rest})?"
    return re.escape(secret[:_BEGINNING]) + rest
