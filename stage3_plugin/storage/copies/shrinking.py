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
from typing import Final

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from stage3_plugin.domain.reference import Limits, MediaType
from stage3_plugin.storage.copies import MOST_PIXELS, MOST_SIDE_PX, job_from

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_COPY_SIDE_PX: Final = 4_096
"""No model looks at more."""
_LEAST_SIDE_PX: Final = 16
_MOST_MEMORY: Final = 3 << 30
_MOST_CPU_S: Final = 60
_OPAQUE: Final = "RGB"
_CLEAR: Final = "RGBA"
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
    wanted = job_from(job)
    warnings.simplefilter("ignore")  # what looks like a bomb is refused by its size
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        return _as_large_as_fits(_upright(wanted.original, wanted.limits), wanted.limits)
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


def _upright(original: bytes, limits: Limits) -> Image.Image:
    """Decode a picture, no larger than it will be needed."""
    with Image.open(io.BytesIO(original), formats=_FORMATS) as opened:
        width_px, height_px = opened.size
        if max(opened.size) > MOST_SIDE_PX or width_px * height_px > MOST_PIXELS:
            raise Unfit(
                f"is {width_px}x{height_px}, and more than {MOST_PIXELS:,} pixels, or than "
                f"{MOST_SIDE_PX:,} on one side, are not opened"
            )
        scale = _scale(opened.size, limits)
        smaller = (max(1, math.ceil(width_px * scale)), max(1, math.ceil(height_px * scale)))
        opened.draft(None, smaller)  # a JPEG need not be decoded at its full size
        opened.load()
        profile = opened.info.get("icc_profile") if opened.mode in _PROFILED else None
        turned = _plain(_turned(opened))
    turned.info = {"icc_profile": profile} if profile else {}
    return turned


def _turned(picture: Image.Image) -> Image.Image:
    """Return it as the camera was held; where its notes cannot be read, as it is."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001 - broken notes raise whatever they run into
        return picture


def _plain(picture: Image.Image) -> Image.Image:
    """Return it as colours, with or without transparency."""
    if picture.mode.startswith("I;16"):
        picture = picture.point(lambda value: value / 256).convert("L")  # pyright: ignore[reportUnknownMemberType] - numpy's types, which are not here
    return picture.convert(_CLEAR if picture.has_transparency_data else _OPAQUE)


def _scale(size: tuple[int, int], limits: Limits) -> float:
    """Return how much smaller a picture has to be by its sides alone."""
    width_px, height_px = size
    side_px = min(limits.most_side_px or _COPY_SIDE_PX, _COPY_SIDE_PX)
    pixels = limits.most_pixels or width_px * height_px
    return min(1.0, side_px / max(size), math.sqrt(pixels / (width_px * height_px)))


def _as_large_as_fits(picture: Image.Image, limits: Limits) -> bytes:
    """Encode a picture so that it keeps to its limits, as large and as good as that lets it be."""
    scale = _scale(picture.size, limits)
    while True:
        smaller = _scaled(picture, scale)
        size_bytes = 0
        for encoded in _encodings(smaller, limits.media_types):
            if limits.most_bytes is None or len(encoded) <= limits.most_bytes:
                return encoded
            size_bytes = len(encoded)
        if max(smaller.size) <= _LEAST_SIDE_PX:
            raise Unfit(f"cannot be made small enough: at most {limits.most_bytes:,} bytes")
        scale *= min(0.9, 0.97 * math.sqrt((limits.most_bytes or 1) / max(size_bytes, 1)))
        scale = max(scale, _LEAST_SIDE_PX / max(picture.size))


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


def _encodings(picture: Image.Image, media_types: tuple[MediaType, ...]) -> Iterator[bytes]:
    """Yield a picture in the ways that may be sent, the best first."""
    is_clear = picture.mode == _CLEAR
    if "image/png" in media_types:
        yield _encoded(picture, "PNG")
    if is_clear and "image/webp" in media_types:
        yield _encoded(picture, "WEBP", quality=92)
    if "image/jpeg" in media_types and not (is_clear and len(media_types) > 1):
        opaque = _on_white(picture) if is_clear else picture
        for quality in (95, 88):
            yield _encoded(opaque, "JPEG", quality=quality, subsampling=0)
    elif not is_clear and "image/webp" in media_types:
        yield _encoded(picture, "WEBP", quality=92)


def _encoded(picture: Image.Image, kind: str, **how: int) -> bytes:
    made = io.BytesIO()
    picture.save(made, kind, icc_profile=picture.info.get("icc_profile"), **how)
    return made.getvalue()


def _on_white(picture: Image.Image) -> Image.Image:
    white = Image.new(_OPAQUE, picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    white.info = picture.info
    return white
