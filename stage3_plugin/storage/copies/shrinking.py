"""Makes a copy that an endpoint takes, in a worker process: a job's bytes in, a picture out.

The picture may be anybody's. Its size is looked at before any pixel is decoded, and the process
bounds itself, so that one that was made to harm ends this worker at the most. The copy has the
first frame of an animation, stands upright, and has nothing of what a camera notes about its owner.
"""

from __future__ import annotations

import io
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from stage3_plugin.domain.reference import Limits
from stage3_plugin.storage.copies import MOST_PIXELS, MOST_SIDE_PX, job_from

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_COPY_SIDE_PX: Final = 4_096
"""No model looks at more."""
_LEAST_SIDE_PX: Final = 16
_MOST_MEMORY: Final = 3 << 30
_MOST_CPU_S: Final = 60
_LOSSY: Final = frozenset({"JPEG", "MPO", "WEBP", "AVIF"})
_HOPE: Final = 1.5
"""A PNG that is expected to be no longer than so many times what fits is tried."""
_OPAQUE: Final = "RGB"
_CLEAR: Final = "RGBA"
_NUMBERS: Final = frozenset({"I", "F"})
_PROFILED: Final = frozenset({"RGB", "RGBA", "P", "PA"})
"""Modes whose profile still says how the colours of a copy are meant."""


class Unfit(Exception):
    """No copy can be made of it, and why."""


def copy(job: bytes) -> bytes:
    """Do what :func:`~stage3_plugin.storage.copies.job_of` wrote.

    Raises:
        Unfit: It cannot be done.
    """
    _bound_this_process()
    return fitted(job)


def fitted(job: bytes) -> bytes:
    """Do the same, with all the memory and time that this process may have.

    Raises:
        Unfit: It cannot be done.
    """
    original, limits = job_from(job)
    warnings.simplefilter("ignore")  # what looks like a bomb is refused by its size
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        return _as_large_as_fits(_decoded(original, limits), limits)
    except Unfit:
        raise
    except UnidentifiedImageError:
        raise Unfit("is broken, or no picture that can be read") from None
    except MemoryError:
        raise Unfit("takes too much memory to decode") from None
    except Exception as error:
        words = " ".join(str(error).split())
        raise Unfit(f"is broken: {words[:120]}") from error


def _bound_this_process() -> None:
    """Let it have so much memory, and so much time for one job."""
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    used_s = math.ceil(time.process_time())
    for what, most in (
        (resource.RLIMIT_AS, _MOST_MEMORY),
        (resource.RLIMIT_CPU, used_s + _MOST_CPU_S),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # it has less, or the system has no such limit
            _, hard = resource.getrlimit(what)
            resource.setrlimit(what, (most, hard))


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A picture, ready to be encoded.

    Attributes:
        picture: Its pixels, upright.
        png_bytes: How long a PNG of it can be expected to be; none where it was lossy before, and
            would only grow.
    """

    picture: Image.Image
    png_bytes: int | None


def _decoded(original: bytes, limits: Limits) -> _Decoded:
    """Decode a picture, no larger than it will be needed."""
    with Image.open(io.BytesIO(original), formats=_FORMATS) as opened:
        width_px, height_px = opened.size
        if max(opened.size) > MOST_SIDE_PX or width_px * height_px > MOST_PIXELS:
            raise Unfit(
                f"is {width_px}x{height_px}; more than {MOST_PIXELS:,} pixels, or "
                f"{MOST_SIDE_PX:,} on a side, are not opened"
            )
        scale = _scale(opened.size, limits)
        smaller = (max(1, math.ceil(width_px * scale)), max(1, math.ceil(height_px * scale)))
        opened.draft(None, smaller)  # a JPEG need not be decoded at its full size
        opened.load()
        profile = opened.info.get("icc_profile") if opened.mode in _PROFILED else None
        turned = _plain(_turned(opened))
        is_lossy = opened.format in _LOSSY
    turned.info = {"icc_profile": profile} if profile else {}
    return _Decoded(turned, None if is_lossy else min(len(original), 3 * width_px * height_px))


def _turned(picture: Image.Image) -> Image.Image:
    """Return it as the camera was held; where its notes cannot be read, as it is."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001 - broken notes raise whatever they run into
        return picture


def _plain(picture: Image.Image) -> Image.Image:
    """Return it as colours, with or without transparency."""
    if picture.mode in _NUMBERS:  # it would turn out all white, or all black
        raise Unfit("has numbers of 32 bits in its pixels, and not colours")
    if picture.mode.startswith("I;16"):
        picture = picture.point(lambda value: value / 256).convert("L")  # pyright: ignore[reportUnknownMemberType] - numpy's types, which are not here
    if not picture.has_transparency_data:
        return picture.convert(_OPAQUE)
    clear = picture.convert(_CLEAR)
    hides_nothing = clear.getchannel("A").getextrema()[0] == 255
    return clear.convert(_OPAQUE) if hides_nothing else clear


def _scale(size: tuple[int, int], limits: Limits) -> float:
    """Return how much smaller a picture has to be by its sides alone."""
    width_px, height_px = size
    side_px = min(limits.most_side_px or _COPY_SIDE_PX, _COPY_SIDE_PX)
    pixels = limits.most_pixels or width_px * height_px
    return min(1.0, side_px / max(size), math.sqrt(pixels / (width_px * height_px)))


def _as_large_as_fits(decoded: _Decoded, limits: Limits) -> bytes:
    """Encode a picture so that it keeps to its limits, as large and as good as that lets it be."""
    picture = decoded.picture
    scale = _scale(picture.size, limits)
    while True:
        smaller = _scaled(picture, scale)
        size_bytes = 0
        for kind, quality in _ways(smaller, limits, _png_bytes(decoded, scale)):
            encoded = _encoded(smaller, kind, quality)
            if limits.most_bytes is None or len(encoded) <= limits.most_bytes:
                return encoded
            size_bytes = len(encoded)
        if max(smaller.size) <= _LEAST_SIDE_PX:
            raise Unfit(f"cannot be made small enough: at most {limits.most_bytes:,} bytes")
        scale *= min(0.9, 0.97 * math.sqrt((limits.most_bytes or 1) / max(size_bytes, 1)))
        scale = max(scale, _LEAST_SIDE_PX / max(picture.size))


def _png_bytes(decoded: _Decoded, scale: float) -> float:
    return math.inf if decoded.png_bytes is None else decoded.png_bytes * scale * scale


def _scaled(picture: Image.Image, scale: float) -> Image.Image:
    if scale >= 1:
        return picture
    # Rounded down: a limit is kept to the pixel.
    size = tuple(max(1, math.floor(side_px * scale)) for side_px in picture.size)
    smaller = picture.resize(  # pyright: ignore[reportUnknownMemberType] - likewise
        (size[0], size[1]), Image.Resampling.LANCZOS, reducing_gap=3.0
    )
    smaller.info = picture.info
    return smaller


def _ways(
    picture: Image.Image, limits: Limits, png_bytes: float
) -> Iterator[tuple[str, int | None]]:
    """Yield the ways to encode a picture that may be sent, the best first, and their quality.

    A PNG takes seconds, and is left out where there is another way and it will not fit.
    """
    allowed = limits.media_types
    others: list[tuple[str, int | None]] = []
    if picture.mode == _CLEAR:  # a JPEG has no transparency, so it is the last resort
        others += [("WEBP", 92)] if "image/webp" in allowed else []
        is_left = not others and "image/png" not in allowed
        others += [("JPEG", 95), ("JPEG", 85)] if is_left else []
    elif "image/jpeg" in allowed:
        others += [("JPEG", 95), ("JPEG", 85)]
    elif "image/webp" in allowed:
        others += [("WEBP", 92)]
    most_bytes = math.inf if limits.most_bytes is None else limits.most_bytes
    may_fit = png_bytes <= most_bytes * _HOPE and math.isfinite(png_bytes)
    if "image/png" in allowed and (may_fit or not others):
        yield "PNG", None
    yield from others


def _encoded(picture: Image.Image, kind: str, quality: int | None) -> bytes:
    made = io.BytesIO()
    how = {} if quality is None else {"quality": quality}
    if kind == "WEBP":
        how["method"] = 1  # its best takes 15 s for twelve million pixels
    if kind == "JPEG":
        how["subsampling"] = 0
        picture = _on_white(picture) if picture.mode == _CLEAR else picture
    picture.save(made, kind, icc_profile=picture.info.get("icc_profile"), **how)
    return made.getvalue()


def _on_white(picture: Image.Image) -> Image.Image:
    white = Image.new(_OPAQUE, picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    white.info = picture.info
    return white
