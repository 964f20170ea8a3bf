"""One picture as a caller wants it, and as it will be asked for.

Pure. Everything that decides the picture is in the request, whatever the scene's position in its
file. The prompt goes out as written, with the style tags behind it that do not stand in it. How its
references are bound to names is said in the same words by all providers, and shown by a plan: names
are a user's text, which stays on one line, and short.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeAlias

from host_stub.contract import Lane, Role
from stage3_plugin.domain.reference import Reference, ReferenceWish
from stage3_plugin.errors import SceneIdRefused

BehindPrompt: TypeAlias = Literal["append", "drop"]
"""What becomes of words that there is no field for: they are put behind the prompt, or left out."""
Wish: TypeAlias = Literal["seed", "references", "output_format", "background", "quality"]
"""A wish that some endpoints have no field for."""
Expression: TypeAlias = BehindPrompt | Literal["field"]
"""How a negative prompt is expressed: behind the prompt, not at all, or in a field of its own."""

MOST_ID_BYTES = 1024
MOST_NAME = 100
"""Characters of a name or a role that are sent."""
_UNSENDABLE = frozenset({"Cc", "Cs"})
"""Control characters, and halves of surrogate pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRequest:
    """One picture as it will be asked for.

    Attributes:
        scene_id: The scene's name.
        prompt: The scene's ``image_prompt``, verbatim.
        negative_prompt: What must not be in the picture, or ``None``.
        width_px: Asked for; a provider may answer another size.
        height_px: Likewise.
        quality: As the settings name it.
        output_format: ``png``, ``jpeg`` or ``webp``.
        background: ``auto``, ``opaque`` or ``transparent``.
        model: The provider's name of the model.
        provider: The provider's name in the settings.
        seed: For repeatability, where the provider has it.
        references: The scene's own references as it names them; keys of the first form hold them.
        wishes: The pictures to be shown to the model, in order: the scene's own, and its cast's.
        shown: The same with their bytes, once they are there.
        labels: Whether their names are bound in the text.
        is_sheet: It is made so that scenes can show it to the model.
        is_draft: It never counts as the scene's picture.
        characters: Identifiers of who is in the scene.
        style_tags: Words about style; see :attr:`unsaid_tags`.
        extra: Whatever else the scene said.
        token: What was drawn for this one request, to find it by if its answer is lost; in no key.
        if_refused: Prompts to be tried in this order where the one before is refused.
        takes: How many pictures of it are wanted.
        lane: How it is bought; in no key.
        wanted: The picture as it is wanted of the first route, with its own words, where this one
            is another step of the ladder.
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
    wishes: tuple[ReferenceWish, ...] = ()
    shown: tuple[Reference, ...] = ()
    labels: bool = True
    is_sheet: bool = False
    is_draft: bool = False
    characters: tuple[str, ...] = ()
    style_tags: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict[str, object])
    token: str | None = None
    if_refused: tuple[str, ...] = ()
    takes: int = 1
    lane: Lane = "ordinary"
    wanted: PictureRequest | None = field(default=None, repr=False)

    @property
    def role(self) -> Role:
        """Return whether it is a scene's picture or a sheet."""
        return "sheet" if self.is_sheet else "scene"

    @property
    def size(self) -> str:
        """Return ``WIDTHxHEIGHT``."""
        return f"{self.width_px}x{self.height_px}"

    @property
    def whole_prompt(self) -> str:
        """Return the prompt with all that can be put behind it."""
        return worded(self.prompt, self.style_tags, self.negative_prompt)

    @property
    def unsaid_tags(self) -> tuple[str, ...]:
        """Return the style tags that do not stand in the prompt."""
        return unsaid_words(self.style_tags, self.prompt)

    @property
    def is_without_characters(self) -> bool:
        """Return whether a model learns nothing of a character: no name, and no cast's picture.

        An id is a name, too, if its words stand in the prompt.
        """
        if any(one.wish.by == "cast" for one in self.shown):
            return False
        unsaid = unsaid_words(self.characters, self.prompt)
        return bool(unsaid_words(tuple(one.replace("_", " ") for one in unsaid), self.prompt))


def is_broken(text: str | None) -> bool:
    """Return whether a text cannot be put into UTF-8, and so into no request."""
    try:
        return text is not None and not (text.isascii() or text.encode())
    except UnicodeEncodeError:
        return True


@lru_cache(maxsize=256)  # keys, price, plan and request ask it of one scene
def unsaid_words(words: tuple[str, ...], prompt: str) -> tuple[str, ...]:
    """Return the words that do not stand in a prompt, each once; in any case, and as whole ones."""
    unsaid = dict[str, str]()
    for word in (" ".join(one.split()) for one in words):
        stands = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", prompt, re.IGNORECASE)
        if word and stands is None:
            unsaid.setdefault(word.casefold(), word)
    return tuple(unsaid.values())


def worded(prompt: str, style_tags: tuple[str, ...], negative_prompt: str | None) -> str:
    """Return a prompt with what its maker has no field for behind it.

    Its style tags, as far as they do not stand in it, and its negative prompt, as the original
    stage sent that.
    """
    tags = ", ".join(unsaid_words(style_tags, prompt))
    end = "" if prompt.rstrip().endswith((".", "!", "?")) else "."
    style = f"{end} Style: {tags}" if tags else ""
    avoid = f". Avoid: {negative_prompt}" if negative_prompt else ""
    return f"{prompt}{style}{avoid}"


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


def labels_of(request: PictureRequest) -> str | None:
    """Return all that is said of a request's references; ``None`` if that is nothing."""
    said = (label for _, label in labelled(request) if label) if request.shown else ()
    return " ".join(said) or None


def labelled(request: PictureRequest) -> list[tuple[Reference, str]]:
    """Return each reference with what is said of it, which may be nothing."""
    return [
        (shown, _label(number, shown) if request.labels else "")
        for number, shown in enumerate(request.shown, start=1)
    ]


def _label(number: int, shown: Reference) -> str:
    name, role = one_line(shown.wish.name), one_line(shown.wish.role)
    if name and role:
        return f"Reference image {number} is {name}. Use it for: {role}."
    if name:
        return f"Reference image {number} is {name}."
    return f"Use reference image {number} for: {role}." if role else ""


def one_line(text: str | None) -> str:
    """Return a name as it is sent: on one line, and cut."""
    spaced = "".join(
        " " if unicodedata.category(character) in _UNSENDABLE else character
        for character in text or ""
    )
    return " ".join(spaced.split())[:MOST_NAME].rstrip()
