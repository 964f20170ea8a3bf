"""What a scene's files are called: the same on every system, in every run, and no two alike."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from stage3_plugin.domain.request import PictureRequest, check_scene_id

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SECOND_FORM = re.compile(r".*-[0-9a-f]{16}")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])")
MOST_SLUG_BYTES = 60
_UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Letters and marks that show nothing: fillers, and selectors of a letter's variant."""


_OF_A_SHEET = "\0"
"""How the name of a sheet begins among those of scenes: no scene's id holds this."""
_OF_A_TAKE = "\0take\0"
"""What parts a further take's number from its scene's id in such a name."""
_FURTHER_TAKE = re.compile(f"(.*){_OF_A_TAKE}([0-9]{{1,2}})", re.DOTALL)


def picture_name(request: PictureRequest, *, take: int = 1) -> str:
    """Return what :func:`file_stem` is asked for: the scene's id, or a name of a sheet's own.

    Args:
        request: The picture.
        take: Which one; all but the first have it in their name.
    """
    name = f"{_OF_A_SHEET}{request.scene_id}" if request.is_sheet else request.scene_id
    return name if take == 1 else f"{name}{_OF_A_TAKE}{take}"


def sheet_stem(cast_id: str) -> str:
    """Name a sheet's file, which lies beside the scenes' files.

    Raises:
        SceneIdRefused: See :func:`check_scene_id`.
    """
    return file_stem(f"{_OF_A_SHEET}{cast_id}")


def file_stem(scene_id: str) -> str:
    """Name a scene's file: the same on every system and in every run, and no two alike.

    A plain lower-case portable name is its own file name. Every other identifier gets
    ``<slug>-<16 hex of sha256>``; a plain name that looks like that second form is treated as one
    of the second kind, so the two kinds never meet. The slug is what a person recognises of it:
    letters and digits of any script.

    Raises:
        SceneIdRefused: See :func:`check_scene_id`.
    """
    if scene_id.startswith(_OF_A_SHEET):
        return f"cast-{file_stem(scene_id.removeprefix(_OF_A_SHEET))}"
    further = _FURTHER_TAKE.fullmatch(scene_id)
    if further is not None:
        return f"{file_stem(further[1])}.take-{further[2]}"
    check_scene_id(scene_id)
    if is_plain(scene_id):
        return scene_id
    return _with_digest(readable(scene_id), scene_id)


def is_plain(scene_id: str) -> bool:
    """Return whether an identifier is its own file name."""
    looks_plain = _PLAIN.fullmatch(scene_id) is not None
    return (
        looks_plain and not _SECOND_FORM.fullmatch(scene_id) and not _RESERVED.fullmatch(scene_id)
    )


def _with_digest(slug: str, scene_id: str) -> str:
    return f"{slug or 'scene'}-{hashlib.sha256(scene_id.encode()).hexdigest()[:16]}"


def readable(text: str) -> str:
    """Return the letters and digits of a text in lower case, with dashes for all else between them.

    What cannot be seen (marks of direction, joiners, fillers) is left out, and
    accents and vowel signs stay with their letter. The result is in Unicode's form C, as most
    systems keep names, and short enough, with what is put behind it, for those that take 143 bytes
    (eCryptfs); ``host_stub.plain_image`` has the same, and a test compares the two.
    """
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
