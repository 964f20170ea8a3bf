"""Pictures of every kind Pillow writes, and the shortest ways to have them inspected."""

import io
from random import Random

from PIL import Image

from stage3_plugin.domain.picture import Picture
from stage3_plugin.errors import PictureRefused
from stage3_plugin.storage.inspect import Inspector

LIMIT = 1_000_000


def noise(mode: str, width_px: int = 61, height_px: int = 47) -> Image.Image:
    """Make a picture that compresses badly, so that its bytes matter."""
    band_bytes = {"1": 0, "L": 1, "LA": 2, "P": 1, "RGB": 3, "RGBA": 4, "CMYK": 4, "I;16": 2}
    if mode == "1":
        return noise("L", width_px, height_px).convert("1")
    if mode == "P":
        return noise("RGB", width_px, height_px).quantize(200)
    if mode == "YCbCr":
        return noise("RGB", width_px, height_px).convert("YCbCr")
    data = Random(3).randbytes(width_px * height_px * band_bytes[mode])
    return Image.frombytes(mode, (width_px, height_px), data)


def saved(picture: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


def facts_of(data: bytes, *, piece_bytes: int = 1 << 16, max_pixels: int = LIMIT) -> Picture:
    inspector = Inspector(max_pixels=max_pixels)
    for start in range(0, len(data), piece_bytes):
        inspector.feed(data[start : start + piece_bytes])
    return inspector.finish()


def is_accepted(data: bytes) -> bool:
    try:
        facts_of(data)
    except PictureRefused:
        return False
    return True


def load(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture.tobytes()


def changed(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


PNGS = {
    "1 bit": saved(noise("1"), "PNG"),
    "grey": saved(noise("L"), "PNG"),
    "grey with alpha": saved(noise("LA"), "PNG"),
    "palette": saved(noise("P"), "PNG"),
    "palette of 4 bits": saved(noise("RGB").quantize(16), "PNG", bits=4),
    "palette of 2 bits": saved(noise("RGB").quantize(4), "PNG", bits=2),
    "palette of 1 bit": saved(noise("RGB").quantize(2), "PNG", bits=1),
    "palette with transparency": saved(noise("P"), "PNG", transparency=3),
    "RGB": saved(noise("RGB"), "PNG"),
    "RGBA": saved(noise("RGBA"), "PNG"),
    "16 bits": saved(noise("I;16"), "PNG"),
    "stored": saved(noise("RGB"), "PNG", compress_level=0),
    "with a profile and text": saved(
        noise("RGB"), "PNG", icc_profile=b"profile" * 100, dpi=(72, 72)
    ),
    "large": saved(noise("RGB", 500, 400), "PNG"),
    "plain": saved(Image.new("RGB", (600, 600), "teal"), "PNG"),
    "one line": saved(noise("RGB", 5000, 1), "PNG"),
    "one column": saved(noise("RGB", 1, 5000), "PNG"),
}


JPEGS = {
    "grey": saved(noise("L"), "JPEG"),
    "RGB": saved(noise("RGB"), "JPEG"),
    "CMYK": saved(noise("CMYK"), "JPEG"),
    "YCbCr": saved(noise("YCbCr"), "JPEG"),
    "progressive": saved(noise("RGB"), "JPEG", progressive=True),
    "optimised": saved(noise("RGB"), "JPEG", optimize=True, quality=95),
    "every subsampling": saved(noise("RGB"), "JPEG", subsampling="4:1:1"),
    "full colour": saved(noise("RGB"), "JPEG", subsampling="4:4:4"),
    "restart markers": saved(noise("RGB", 200, 300), "JPEG", restart_marker_blocks=2),
    "progressive with restarts": saved(
        noise("RGB", 200, 300), "JPEG", restart_marker_rows=1, progressive=True
    ),
    "a profile in pieces": saved(noise("RGB"), "JPEG", icc_profile=b"x" * 150_000),
    "Exif and a comment": saved(noise("RGB"), "JPEG", exif=b"Exif\0\0..", comment=b"hello"),
    "large": saved(noise("RGB", 500, 400), "JPEG", quality=100),
}


WEBPS = {
    "lossy": saved(noise("RGB"), "WEBP"),
    "lossy, best": saved(noise("RGB", 500, 400), "WEBP", quality=100),
    "lossy with alpha": saved(noise("RGBA"), "WEBP"),
    "lossless": saved(noise("RGB"), "WEBP", lossless=True),
    "lossless with alpha": saved(noise("RGBA"), "WEBP", lossless=True, exact=True),
    "a profile": saved(noise("RGB"), "WEBP", icc_profile=b"odd"),
    "Exif and XMP": saved(noise("RGB"), "WEBP", exif=b"Exif\0\0.", xmp=b"<x>"),
    "grey": saved(noise("L"), "WEBP"),
}


ALL = {
    **{f"PNG, {name}": data for name, data in PNGS.items()},
    **{f"JPEG, {name}": data for name, data in JPEGS.items()},
    **{f"WebP, {name}": data for name, data in WEBPS.items()},
}
