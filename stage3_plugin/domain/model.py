"""What a model class of your own is: ``provider = "local"`` makes it, and has it render pictures.

Light enough to be imported where nothing else of this package is wanted. A class need not derive
from anything here, nor import it: having the method is enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReference:
    """A picture that a request shows the model.

    Attributes:
        data: The bytes of a PNG, a JPEG or a WebP.
        media_type: Which of them, such as ``image/png``.
        name: Who or what is on it, if that is said.
        role: What it is for, if that is said.
        sha256: Of the original file, whose smaller copy this may be; 64 hex digits.
    """

    data: bytes = field(repr=False)
    media_type: str
    name: str | None = None
    role: str | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One picture, as a model class is asked for it.

    Attributes:
        scene_id: The scene's name.
        prompt: What is to be seen, as the scene says it; perhaps nothing.
        negative_prompt: What must not be, or ``None``.
        width_px: The picture has to be as wide as this, in pixels.
        height_px: And as high as this.
        seed: Another one is another picture; ``None`` where none is set.
        quality: As the scene or the settings name it.
        output_format: ``png``, ``jpeg`` or ``webp``; a wish, for what comes is told from the bytes.
        background: ``auto``, ``opaque`` or ``transparent``; likewise.
        model: The setting ``model``, or the scene's own.
        references: The pictures to be shown to the model, in their order.
        characters: Identifiers of who is in the scene.
        style_tags: Words about style.
        is_sheet: It is made so that scenes can show it to the model.
        is_draft: It never counts as the scene's picture.
        extra: Whatever else the scene said: JSON values.
    """

    scene_id: str
    prompt: str
    width_px: int
    height_px: int
    negative_prompt: str | None = None
    seed: int | None = None
    quality: str = "medium"
    output_format: str = "png"
    background: str = "auto"
    model: str = ""
    references: tuple[ModelReference, ...] = ()
    characters: tuple[str, ...] = ()
    style_tags: tuple[str, ...] = ()
    is_sheet: bool = False
    is_draft: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Model(Protocol):
    """A class of your own that renders pictures; made once in each replica, with ``model_args``.

    Its methods may block: nothing else runs where they do. What they raise is that picture's, which
    is tried once more.
    """

    def render(self, request: ModelRequest, /) -> bytes:
        """Return the bytes of one PNG, JPEG or WebP of the size that is asked for."""
        ...


class BatchModel(Protocol):
    """One that renders several pictures in one call; ``render`` beside it is then not needed."""

    @property
    def at_once(self) -> int:
        """How many at most; best written as a plain number in the class's body."""
        ...

    def render_many(self, requests: Sequence[ModelRequest], /) -> Sequence[bytes]:
        """Return a picture for each request, in their order.

        An ``Exception`` in the place of a picture is that picture's own problem. If the whole call
        raises, each request is tried alone.
        """
        ...
