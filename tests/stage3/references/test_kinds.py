"""What of a reference is sent: the file, a copy of it, or nothing."""

import base64
import io
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stage3_plugin.domain.reference import Limits, MediaType
from stage3_plugin.errors import ReferenceRefused
from stage3_plugin.executors.replicas import Processes
from stage3_plugin.storage import copies
from stage3_plugin.storage.copies.shrinking import fitted
from stage3_plugin.storage.inspect import Inspector, inspect_open
from stage3_plugin.storage.references import reading
from tests.fakes.pngs import SIGNATURE, make_png
from tests.rules.repository import ROOT
from tests.stage3.in_process import InProcess
from tests.stage3.references.opened import UNBOUNDED, chunk, encoded, opened, project, sha256, wish

pytestmark = pytest.mark.anyio

ANY = Limits()


async def refusal(folder: Path, data: bytes, limits: Limits = ANY) -> str:
    """Return why a file with these bytes is refused."""
    (project(folder) / "story/a.png").write_bytes(data)
    async with opened(folder) as references:
        with pytest.raises(ReferenceRefused) as refused:
            await references.show(wish("a.png"), limits)
    assert refused.value.hint
    return refused.value.reason


async def sent(folder: Path, data: bytes, limits: Limits = ANY) -> tuple[bytes, str]:
    """Return what is sent of a file with these bytes, and as which media type."""
    (project(folder) / "story/a.png").write_bytes(data)
    async with opened(folder) as references:
        shown = await references.show(wish("a.png"), limits)
        body = base64.b64decode(shown.sent.base64()[:], validate=True)
    assert shown.sha256 == sha256(data)
    assert shown.sent.sha256 == sha256(body)
    assert shown.sent.size_bytes == len(body)
    return body, shown.sent.media_type


def sides(data: bytes) -> tuple[int, int]:
    """Return the sides of a picture that may be sent."""
    picture = inspect_open(io.BytesIO(data), max_pixels=10**8).picture
    return picture.width_px, picture.height_px


def bomb(side_px: int) -> bytes:
    """Return a PNG that claims to be large, and hardly says more."""
    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100_000)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "kind, mode, kinds, becomes",
    [
        ("GIF", "P", ("image/png", "image/jpeg"), "image/png"),
        ("AVIF", "RGB", ("image/png", "image/jpeg"), "image/jpeg"),
        ("AVIF", "RGB", ("image/png", "image/webp"), "image/webp"),
        ("AVIF", "RGB", ("image/png",), "image/png"),
        ("TIFF", "RGBA", ("image/png", "image/jpeg", "image/webp"), "image/png"),
        ("TIFF", "RGBA", ("image/jpeg", "image/webp"), "image/webp"),
        ("TIFF", "RGBA", ("image/jpeg",), "image/jpeg"),
    ],
)
async def test_a_copy_is_of_the_kind_that_loses_least(
    tmp_path: Path, kind: str, mode: str, kinds: tuple[MediaType, ...], becomes: str
) -> None:
    """A drawing stays a drawing, a photograph does not grow, and what is clear stays so."""
    picture = Image.new(mode, (48, 32))
    made = io.BytesIO()
    picture.save(made, kind)

    copy, media_type = await sent(tmp_path, made.getvalue(), Limits(media_types=kinds))

    assert media_type == becomes
    with Image.open(io.BytesIO(copy)) as shown:
        corner = shown.convert("RGBA").getpixel((0, 0))
    assert corner == ((0, 0, 0, 0) if mode == "RGBA" else (0, 0, 0, 255)) or becomes == "image/jpeg"


@pytest.mark.parametrize(
    "kind, mode, colour, grey",
    [
        ("PNG", "I;16", 32_768, 128),
        ("TIFF", "CMYK", (0, 0, 0, 127), 128),
        ("JPEG", "CMYK", (0, 0, 0, 127), 128),
        ("PNG", "LA", (128, 255), 128),
        ("PNG", "1", 1, 255),
    ],
)
async def test_a_copy_has_the_colours_of_its_original(
    tmp_path: Path, kind: str, mode: str, colour: Any, grey: int
) -> None:
    """However they are written: deeper, for a printer, or with transparency that is none."""
    made = io.BytesIO()
    Image.new(mode, (16, 16), colour).save(made, kind)

    copy, _ = await sent(tmp_path, made.getvalue(), Limits(most_side_px=8))

    with Image.open(io.BytesIO(copy)) as picture:
        extrema = picture.convert("L").getextrema()
    assert extrema == (grey, grey)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
async def test_of_what_moves_the_first_picture_is_sent(tmp_path: Path, kind: str) -> None:
    """An animation is no reference, and a vendor refuses it or takes whichever picture it likes."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    made = io.BytesIO()
    frames[0].save(made, kind, save_all=True, append_images=frames[1:], duration=100)

    copy, _ = await sent(tmp_path, made.getvalue())

    with Image.open(io.BytesIO(copy)) as picture:
        assert getattr(picture, "n_frames", 1) == 1
        red, _, blue = picture.convert("RGB").split()
        assert sum(red.histogram()[250:]) == sum(blue.histogram()[:5]) == 16 * 16


async def test_a_copy_stands_upright_and_says_nothing_of_who_took_it(tmp_path: Path) -> None:
    """As a camera notes it was held; where and with what it was taken is nobody's business."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the right
    exif[0x010F] = "A camera of Ann"
    data = encoded("JPEG", (64, 32), exif=exif)

    copy, _ = await sent(tmp_path, data, Limits(most_side_px=32))

    assert sides(copy) == (16, 32)
    assert b"Ann" in data
    assert b"Ann" not in copy


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "is empty"),
        (b"Mira is nine.\n" * 100, "is no picture that can be sent: it is of no known kind"),
        (b"\x7fELF" + b"\0" * 100, "is no picture that can be sent: it is of no known kind"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "is no picture that can be sent: it is an SVG drawing",
        ),
        (b"<!doctype html><p>404", "is no picture that can be sent: it is an HTML page"),
        (
            b"\0\0\0\x18ftypheic" + b"\0" * 99,
            "is no picture that can be sent: it is a HEIF picture or a video",
        ),
        (b"%PDF-1.7\n", "is no picture that can be sent: it is a PDF"),
        (encoded("PNG")[:-500], "is broken"),
        (encoded("JPEG")[:200], "is broken"),
        (encoded("GIF")[:20], "is broken"),
        (b"BM" + b"\0" * 200, "is broken"),
        (encoded("TIFF", mode="F"), "has numbers of 32 bits in its pixels"),
        (b"\x89PNG\r\n\x1a\n" + b"text" * 99, "is broken"),
        (SIGNATURE, "is broken"),
        (bomb(50_000), "is 50000x50000; more than 100,000,000 pixels"),
        (bomb(10_001), "is 10001x10001; more than 100,000,000 pixels"),
        (make_png("", 40_000, 1), "is 40000x1; more than 100,000,000 pixels, or 32,768 on a side"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
async def test_what_is_no_picture_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    """By what it is, and with the next step."""
    assert (await refusal(tmp_path, data)).startswith(reason)


async def test_a_file_that_is_far_too_long_is_not_read(tmp_path: Path) -> None:
    """A sparse file may be as long as it likes and take no disk."""
    path = project(tmp_path) / "story/a.png"
    path.write_bytes(make_png("", 8, 8))
    os.truncate(path, 1 << 40)

    async with opened(tmp_path) as references:
        with pytest.raises(ReferenceRefused, match="is 1,099,511,627,776 bytes long, more than"):
            await references.show(wish("a.png"), ANY)


@pytest.mark.parametrize("how", ["longer", "shorter", "other"])
async def test_a_file_that_is_written_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Half of the old and half of the new is a picture that nobody has seen."""
    path = project(tmp_path) / "story/a.png"
    data = make_png("Mira", 512, 512, heavy=True)
    path.write_bytes(data)
    written = {"longer": data + b"more", "shorter": data[:-9], "other": bytes(reversed(data))}

    class Changing(Inspector):
        def feed(self, data: bytes) -> None:
            super().feed(data)
            path.write_bytes(written[how])
            os.utime(path, (1, 1))

    async with opened(tmp_path) as references:
        monkeypatch.setattr(reading, "Inspector", Changing)
        with pytest.raises(ReferenceRefused, match="was changed while it was read"):
            await references.show(wish("a.png"), ANY)


SIDES = st.integers(1, 300)
"""A line of a pixel's width keeps that width, so no limit of pixels here is below its length."""
LIMITS = st.builds(
    Limits,
    most_bytes=st.none() | st.integers(2_000, 60_000),
    most_pixels=st.none() | st.integers(300, 50_000),
    most_side_px=st.none() | st.integers(1, 400),
    media_types=st.lists(
        st.sampled_from(["image/png", "image/jpeg", "image/webp"]), min_size=1, unique=True
    ).map(tuple),
)


@given(st.tuples(SIDES, SIDES), st.sampled_from(["RGB", "RGBA", "P"]), LIMITS)
def test_whatever_an_endpoint_takes_a_copy_keeps_to(
    size: tuple[int, int], mode: str, limits: Limits
) -> None:
    """Of any shape, be it a line of one pixel's width."""
    copy = fitted(copies.job_of(encoded("TIFF", size, mode), limits))
    picture = inspect_open(io.BytesIO(copy), max_pixels=10**8).picture

    assert limits.take(
        media_type=picture.media_type,
        size_bytes=picture.size_bytes,
        width_px=picture.width_px,
        height_px=picture.height_px,
    )


async def test_what_cannot_be_made_small_enough_is_refused(tmp_path: Path) -> None:
    """And is not tried for ever."""
    reason = await refusal(tmp_path, encoded("PNG", (500, 500)), Limits(most_bytes=50))

    assert reason == "cannot be made small enough: at most 50 bytes"


async def test_a_copy_is_made_once_for_each_endpoint(tmp_path: Path) -> None:
    """However many scenes show it, and under whatever names it has the same bytes."""
    story, data = project(tmp_path) / "story", encoded("PNG", (300, 300))
    for name in ("a.png", "b.png"):
        (story / name).write_bytes(data)
    executor = InProcess(UNBOUNDED)
    limits = Limits(most_bytes=9_000, most=3)

    async with opened(tmp_path, copying=executor) as references:
        shown = [await references.show(wish(name), limits) for name in ("a.png", "b.png", "a.png")]
        other = await references.show(wish("a.png"), Limits(most_bytes=9_000, most=16))
        whole = await references.show(wish("a.png"), ANY)

    assert executor.jobs == 1
    assert len({one.sent for one in (*shown, other)}) == 1
    assert not whole.is_copy


@pytest.mark.slow
@pytest.mark.parametrize(
    "work, reason",
    [
        ("tests.stage3.references.harmful:die", "could not be decoded: the process that was to do"),
        ("tests.stage3.references.harmful:hold_memory", "takes too much memory to decode"),
        (
            "tests.stage3.references.harmful:say_text",
            "was copied, and what came of it is no picture",
        ),
    ],
)
async def test_a_picture_that_harms_its_worker_harms_nothing_else(
    tmp_path: Path, work: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, and the next one is copied."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])  # workers find there what harms them
    story = project(tmp_path) / "story"
    (story / "bad.gif").write_bytes(encoded("GIF", (20, 20)))
    (story / "good.gif").write_bytes(encoded("GIF", (40, 40)))

    async with opened(tmp_path, copying=Processes(work, 1)) as references:
        with pytest.raises(ReferenceRefused) as refused:
            await references.show(wish("bad.gif"), ANY)
        good = await references.show(wish("good.gif"), ANY)

    assert refused.value.reason.startswith(reason)
    assert good.sent.media_type == "image/png"
