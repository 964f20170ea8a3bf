"""What a scene's files are called: the same on every system, in every run, and no two alike.

``plain_image``, which knows nothing of this room, has the same names; a test compares them.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import unicodedata
from collections.abc import Iterable
from typing import Final

from host_stub.contract import Role

MOST_SLUG_BYTES: Final = 60

_PLAIN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SECOND_FORM: Final = re.compile(r".*-[0-9a-f]{16}")
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])")
_UNSEEN: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Letters and marks that show nothing: fillers, and selectors of a letter's variant."""


def stem_of(scene_id: str, role: Role = "scene") -> str:
    """Name the files of a scene or a sheet, which lie beside one another."""
    return f"cast-{file_stem(scene_id)}" if role == "sheet" else file_stem(scene_id)


def expect_names(scenes: Iterable[tuple[str, Role]]) -> None:
    """See that all scenes' files can have their names here, before any picture is made of one.

    Raises:
        UnicodeEncodeError: The system's encoding of names lacks a letter.
    """
    if sys.getfilesystemencoding() != "utf-8":
        for scene_id, role in scenes:
            os.fsencode(stem_of(scene_id, role))


def file_stem(scene_id: str) -> str:
    """Name a scene's file; no two ids meet, and none leads out of the folder.

    A plain lower-case name is its own; any other is ``<letters and digits>-<16 hex>``.
    """
    if _PLAIN.fullmatch(scene_id) and not (
        _SECOND_FORM.fullmatch(scene_id) or _RESERVED.fullmatch(scene_id)
    ):
        return scene_id
    digest = hashlib.sha256(scene_id.encode(errors="surrogatepass")).hexdigest()
    return f"{readable(scene_id) or 'scene'}-{digest[:16]}"


def readable(text: str) -> str:
    """Return the letters and digits of a text in lower case, with dashes for all else between."""
    shown: list[str] = []
    for character in unicodedata.normalize("NFKC", text).lower():
        kind = unicodedata.category(character)
        if kind == "Cf" or character in _UNSEEN:
            continue
        is_after_letter = bool(shown) and shown[-1] != "-"
        if kind[0] in "LN" or (kind[0] == "M" and is_after_letter):
            shown.append(character)
        elif is_after_letter:
            shown.append("-")
    whole = unicodedata.normalize("NFC", "".join(shown)).encode()
    return whole[:MOST_SLUG_BYTES].decode(errors="ignore").strip("-")
