"""Pictures that a request shows the model, from how they are named to what is sent.

Pure. A scene or the cast names them (:class:`ReferenceWish`); one that was opened is known by the
hash of its bytes (:class:`Reference`), and only then a key can be made of the request. What an
endpoint is sent of it may be a smaller copy (:class:`SentPicture`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from host_stub.contract import Scene

OF_A_SCENE = "scene:"
"""How a reference begins that is the picture of another scene, or of a sheet."""

MediaType: TypeAlias = Literal["image/png", "image/jpeg", "image/webp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceWish:
    """A reference as it is named.

    Attributes:
        image: A file, or ``scene:ID``.
        name: Who or what is on it.
        role: What it is for.
        by: Who names it, which decides where a relative file starts: the scene file, or the config.
    """

    image: str
    name: str | None = None
    role: str | None = None
    by: Literal["scene", "cast"] = "scene"

    def named_by(self, other: ReferenceWish) -> ReferenceWish:
        """Return it with the name and the role that another one has, where it has none."""
        return replace(self, name=self.name or other.name, role=self.role or other.role)

    @property
    def scene_id(self) -> str | None:
        """Return whose picture it is; ``None`` for a file."""
        return self.image.removeprefix(OF_A_SCENE) if self.image.startswith(OF_A_SCENE) else None


def wishes_of(scene: Scene) -> tuple[ReferenceWish, ...]:
    """Return a scene's own references, with what its file says of them."""
    if not scene.reference_details:
        return tuple(ReferenceWish(image=image) for image in scene.references)
    return tuple(
        ReferenceWish(image=one.image, name=one.name, role=one.role)
        for one in scene.reference_details
    )


@dataclass(frozen=True, slots=True)
class BroughtPicture:
    """A picture that was not made here, and lies where a host keeps it.

    Attributes:
        sha256: Of its bytes.
        path: Where they are.
    """

    sha256: str
    path: Path


class Sliced(Protocol):
    """Bytes that may lie elsewhere, and are had a slice at a time."""

    def __len__(self) -> int: ...

    def __getitem__(self, piece: slice, /) -> bytes | memoryview: ...


def _not_held() -> Sliced:
    raise LookupError("there are no references here")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPicture:
    """The bytes that are sent for a reference.

    Attributes:
        sha256: Of them.
        media_type: Of them.
        size_bytes: How many, before they are put into base64.
        base64: Returns them in base64; all who ask share what is held.
    """

    sha256: str
    media_type: MediaType
    size_bytes: int
    base64: Callable[[], Sliced] = field(default=_not_held, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A reference whose bytes are held for as long as the run goes on.

    Attributes:
        wish: How it was named.
        sha256: Of the original bytes; it goes into keys, with the role and the name.
        sent: What is sent of it: the original, or a smaller copy.
    """

    wish: ReferenceWish
    sha256: str
    sent: SentPicture

    @property
    def is_copy(self) -> bool:
        """Return whether a smaller copy is sent."""
        return self.sent.sha256 != self.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an endpoint takes of references; what is over is sent as a smaller copy.

    Attributes:
        most: So many of them; ``None`` where no bound is known.
        most_bytes: Of each, before they are put into base64.
        most_pixels: Of each.
        most_side_px: Of the longer side of each.
        least_side_px: Of the shorter side of each; a smaller picture is refused, since a copy would
            be no larger.
        media_types: The kinds of file.
    """

    most: int | None = None
    most_bytes: int | None = None
    most_pixels: int | None = None
    most_side_px: int | None = None
    least_side_px: int | None = None
    media_types: tuple[MediaType, ...] = ("image/png", "image/jpeg", "image/webp")

    def take(self, *, media_type: str, size_bytes: int, width_px: int, height_px: int) -> bool:
        """Return whether a picture can be sent as it is."""
        return (
            media_type in self.media_types
            and _is_within(size_bytes, self.most_bytes)
            and _is_within(width_px * height_px, self.most_pixels)
            and _is_within(max(width_px, height_px), self.most_side_px)
        )


def _is_within(amount: int, most: int | None) -> bool:
    return most is None or amount <= most
