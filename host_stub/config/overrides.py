"""How ``--set table.key=value`` is read: a dotted TOML key, and a TOML value or plain text.

A value is text unless it is TOML as a whole, so that ``capacity=8`` is a number, ``size=512x512``
and ``colour=#446688`` need no quotes, and ``api_key={env="NAME"}`` is the table the config file
would have. Kept apart from the config because its law is its own: what is written comes back.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import Final

from host_stub.errors import UsageError

_PART = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s.=#"'\[\]{},]+)"""
_KEY: Final = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=", re.DOTALL)
_PARTS: Final = re.compile(_PART, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Override:
    """One ``--set``.

    Attributes:
        keys: The tables to go through and, last, the key to set.
        value: What to set it to; it may be a secret.
    """

    keys: tuple[str, ...]
    value: object = field(repr=False)

    @property
    def name(self) -> str:
        """Return the dotted key, for messages."""
        return ".".join(self.keys)


def read_override(text: str) -> Override:
    """Read one ``table.key=value``.

    Raises:
        UsageError: There is no key, no ``=``, or the key names no table. The text itself is not
            shown, since it may hold a key that was meant for a setting.
    """
    match = _KEY.match(text)
    keys = tuple(_unquoted(part) for part in _PARTS.findall(match[1])) if match else ()
    if match is None or len(keys) < 2:  # a table and a key in it
        raise UsageError(
            "--set needs TABLE.KEY=VALUE in one piece",
            hint="for example --set plugin.stage3.capacity=8 or --set 'run.out_dir=my pictures'",
        )
    return Override(keys, _value(text[match.end() :]))


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    try:
        key: str = tomllib.loads(f"key = {part}")["key"]
    except ValueError:  # an escape that TOML does not have; the error would show the text
        key = part[1:-1]
    return key


def _value(text: str) -> object:
    """Read TOML, or take the text as it is.

    It has to be TOML both alone and inside brackets: a comment would otherwise swallow what follows
    a ``#``, and a line break could smuggle in a second key.
    """
    try:
        alone = tomllib.loads(f"value = {text}")
        enclosed = tomllib.loads(f"value = [{text}]")
    except (ValueError, RecursionError):  # TOML's own error is a ValueError, as are huge integers
        return text
    values = enclosed["value"]
    if len(alone) == len(enclosed) == len(values) == 1:
        return alone["value"]
    return text
