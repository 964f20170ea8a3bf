"""From a scene and the settings to one picture request and its file name.

Pure. Everything that decides the picture is in the request, whatever the scene's position in its
file. The prompt goes out as written; style tags are never appended.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from stage3_plugin.errors import SceneIdRefused

NegativePrompt: TypeAlias = Literal["append", "drop"]

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SECOND_FORM = re.compile(r".*-[0-9a-f]{16}")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])")
MOST_ID_BYTES = 1024
MOST_SLUG_BYTES = 60
_UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Letters and marks that show nothing: fillers, and selectors of a letter's variant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One picture a caller wants; the fields are those of the host's contract."""

    scene_id: str
    prompt: str
    negative_prompt: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    seed: int | None = None
    references: tuple[str, ...] = ()
    characters: tuple[str, ...] = ()
    style_tags: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRequest:
    """One picture as it will be asked for.

    Attributes:
        scene_id: The scene's name.
        prompt: The scene's ``image_prompt``, verbatim.
        negative_prompt: What must not be in the picture, or ``None``.
        width_px: Asked for; a provider may answer another size.
        height_px: Likewise.
        quality: The settings' word for it.
        output_format: ``png``, ``jpeg`` or ``webp``.
        background: ``auto``, ``opaque`` or ``transparent``.
        model: The provider's name of the model.
        provider: The provider's name in the settings.
        seed: For repeatability, where the provider has it.
        references: Pictures the new one should resemble.
        characters: Identifiers of who is in the scene.
        style_tags: Words about style.
        extra: Whatever else the scene said.
    """

    scene_id: str
    prompt: str
    negative_prompt: str | None = None
    width_px: int
    height_px: int
    quality: str = "medium"
    output_format: str = "png"
    background: str = "auto"
    model: str = ""
    provider: str = ""
    seed: int | None = None
    references: tuple[str, ...] = ()
    characters: tuple[str, ...] = ()
    style_tags: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def size(self) -> str:
        """Give ``WIDTHxHEIGHT``."""
        return f"{self.width_px}x{self.height_px}"


def why_unsendable(request: PictureRequest, *, max_pixels: int, needs_words: bool) -> str | None:
    """Tell why a request must not be made at all, or ``None``: what is not sent costs nothing.

    Args:
        request: The request.
        max_pixels: A larger picture would be paid for and then not accepted.
        needs_words: Whether an empty prompt would be paid for.
    """
    try:
        check_scene_id(request.scene_id)
    except SceneIdRefused as refusal:
        return f"{refusal}, so no file could hold its picture; nothing was sent"
    for name, text in (("prompt", request.prompt), ("negative prompt", request.negative_prompt)):
        if _is_broken(text):
            return f"the {name} holds half of a surrogate pair; nothing was sent"
    if request.width_px * request.height_px > max_pixels:
        return f"{request.size} is more than max_pixels, {max_pixels:,}; nothing was sent"
    if needs_words and not request.prompt.strip():
        return "the prompt is empty; nothing was sent"
    return None


def _is_broken(text: str | None) -> bool:
    """Tell whether a text cannot be put into UTF-8, and so into no request."""
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        return True
    return False


# Made once: ``json.dumps`` with options makes one per call.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


def scene_key(request: PictureRequest, *, take: int = 1, edition: str = "") -> str:
    """Hash a request in the first form of a key, which is found for as long as there are ledgers.

    It knew no endpoint, and held a seed and references also where they are not sent; the present
    form is in :mod:`~stage3_plugin.keys`.

    Args:
        request: The picture.
        take: Which one of several of the same request.
        edition: What else decides it, where a renderer on this machine makes it.
    """
    decides: dict[str, object] = {
        "scene_id": request.scene_id,
        "take": take,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "size": request.size,
        "quality": request.quality,
        "output_format": request.output_format,
        "background": request.background,
        "model": request.model,
        "provider": request.provider,
        "seed": request.seed,
        "references": request.references,
    }
    if edition:
        decides["edition"] = edition
    return hashed(decides)


def hashed(decides: Mapping[str, object]) -> str:
    """Hash named JSON values, 64 hex digits; the order of the names says nothing."""
    return hashlib.sha256(_canonical(decides).encode("ascii")).hexdigest()


def appended_negative_prompt(request: PictureRequest) -> str:
    """Give the prompt with its negative prompt behind it, as the original stage sent it.

    For providers without a field of their own for it.
    """
    if not request.negative_prompt:
        return request.prompt
    return f"{request.prompt}. Avoid: {request.negative_prompt}"


def check_scene_id(scene_id: str) -> None:
    """Refuse an identifier that no file name, ledger row or report could carry.

    Raises:
        SceneIdRefused: It is empty, holds NUL or a lone surrogate, or is over 1 KiB in UTF-8.
    """
    if not scene_id:
        raise SceneIdRefused(scene_id, "is empty")
    if "\0" in scene_id:
        raise SceneIdRefused(scene_id, "holds a NUL character")
    try:
        encoded = scene_id.encode()
    except UnicodeEncodeError:
        raise SceneIdRefused(scene_id, "holds half of a surrogate pair") from None
    if len(encoded) > MOST_ID_BYTES:
        raise SceneIdRefused(scene_id, f"is longer than {MOST_ID_BYTES} bytes")


def file_stem(scene_id: str) -> str:
    """Name a scene's file: the same on every system and in every run, and no two alike.

    A plain lower-case portable name is its own file name. Every other identifier gets
    ``<slug>-<16 hex of sha256>``; a plain name that looks like that second form is treated as one
    of the second kind, so the two kinds never meet. The slug is what a person recognises of it:
    letters and digits of any script.

    Raises:
        SceneIdRefused: See :func:`check_scene_id`.
    """
    check_scene_id(scene_id)
    if is_plain(scene_id):
        return scene_id
    return _with_digest(readable(scene_id), scene_id)


def earlier_stems(scene_id: str) -> tuple[str, ...]:
    """Name what :func:`file_stem` called a scene's file before it kept letters of every script."""
    if is_plain(scene_id):
        return ()
    folded = unicodedata.normalize("NFKD", scene_id).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:MOST_SLUG_BYTES].strip("-")
    earlier = _with_digest(slug, scene_id)
    return () if earlier == file_stem(scene_id) else (earlier,)


def is_plain(scene_id: str) -> bool:
    """Tell whether an identifier is its own file name."""
    looks_plain = _PLAIN.fullmatch(scene_id) is not None
    return (
        looks_plain and not _SECOND_FORM.fullmatch(scene_id) and not _RESERVED.fullmatch(scene_id)
    )


def _with_digest(slug: str, scene_id: str) -> str:
    return f"{slug or 'scene'}-{hashlib.sha256(scene_id.encode()).hexdigest()[:16]}"


def readable(text: str) -> str:
    """Return the letters and digits of a text in lower case, with dashes for all else between them.

    What nobody sees (marks of direction, joiners, fillers) is left out, and
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


class Wishes(Protocol):
    """The settings that decide a picture where its scene does not; ``Settings`` has them all."""

    @property
    def default_size_px(self) -> tuple[int, int]: ...
    @property
    def quality(self) -> str: ...
    @property
    def output_format(self) -> str: ...
    @property
    def background(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def provider(self) -> str: ...
    @property
    def seed(self) -> int | None: ...


def request_for(scene: Scene, wishes: Wishes) -> PictureRequest:
    """Turn a scene into the request for its picture; the scene's own wishes come first."""
    width_px, height_px = wishes.default_size_px
    return PictureRequest(
        scene_id=scene.scene_id,
        prompt=scene.prompt,
        negative_prompt=scene.negative_prompt or None,
        width_px=scene.width_px or width_px,
        height_px=scene.height_px or height_px,
        quality=wishes.quality,
        output_format=wishes.output_format,
        background=wishes.background,
        model=wishes.model or "",
        provider=wishes.provider,
        seed=wishes.seed if scene.seed is None else scene.seed,
        references=scene.references,
        characters=scene.characters,
        style_tags=scene.style_tags,
        extra=scene.extra,
    )
