"""The rules of PNG one by one, and that no changed PNG passes for another picture."""

import io
import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stage3_plugin.errors import PictureRefused
from stage3_plugin.storage.inspect import Inspector, scanlines
from tests.heavy import some_of
from tests.laws import tried
from tests.stage3.pictures.samples import (
    LIMIT,
    PNGS,
    facts_of,
    is_accepted,
    load,
)


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(data, zlib.crc32(kind)).to_bytes(4)


SIGNATURE = b"\x89PNG\r\n\x1a\n"


END = chunk(b"IEND")


def header(
    width_px: int = 3,
    height_px: int = 2,
    *,
    depth: int = 8,
    colour_type: int = 0,
    methods: bytes = b"\0\0\0",
) -> bytes:
    size = width_px.to_bytes(4) + height_px.to_bytes(4)
    return chunk(b"IHDR", size + bytes([depth, colour_type]) + methods)


def png(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks)


PIXELS = zlib.compress(b"\0abc\0def")


SMALL = png(header(), chunk(b"IDAT", PIXELS), END)


@pytest.mark.slow
@pytest.mark.parametrize("interlacing", [0, 1])
@pytest.mark.parametrize(
    "colour_type, depth",
    some_of(
        [
            *((0, depth) for depth in (1, 2, 4, 8, 16)),
            *((3, depth) for depth in (1, 2, 4, 8)),
            *((kind, depth) for kind in (2, 4, 6) for depth in (8, 16)),
        ],
        every=4,
    ),
)
def test_exactly_as_many_pixels_as_pillow_wants(
    colour_type: int, depth: int, interlacing: int
) -> None:
    """For every size up to 9x9 the length that passes is the one a decoder is content with."""
    for width_px in (1, 2, 4, 5, 8, 9):
        for height_px in (1, 2, 4, 5, 8, 9):
            first = png(
                header(
                    width_px,
                    height_px,
                    depth=depth,
                    colour_type=colour_type,
                    methods=bytes([0, 0, interlacing]),
                ),
                chunk(b"PLTE", bytes(3 << min(depth, 8))) if colour_type == 3 else b"",
            )
            accepted = [
                count
                for count in range(1, 9 * (9 * 8 + 1) + 9 * 7)
                if is_accepted(first + chunk(b"IDAT", zlib.compress(bytes(count), 0)) + END)
            ]

            assert len(accepted) == 1
            [count] = accepted
            whole = first + chunk(b"IDAT", zlib.compress(bytes(count))) + END
            with Image.open(io.BytesIO(whole)) as picture:
                picture.load()
            if (width_px, height_px) == (9, 9):
                cut = first + chunk(b"IDAT", zlib.compress(bytes(count - 1))) + END
                with pytest.raises((OSError, SyntaxError)):
                    load(cut)


@pytest.mark.parametrize(
    "name", [name for name in PNGS if name not in {"large", "plain", "one column"}]
)
def test_a_png_with_any_one_bit_changed_is_refused(name: str) -> None:
    """Every byte of a PNG is under a checksum, or is one, or is a length."""
    data = PNGS[name]
    random = Random(5)
    places = range(len(data)) if len(data) < 3000 else sorted(random.sample(range(len(data)), 1500))
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << random.randrange(8)

        assert not is_accepted(bytes(changed))


@pytest.mark.parametrize("name", PNGS)
@tried(100)
@given(st.data())
def test_a_mutated_png_is_refused_or_shows_the_same_pixels(name: str, data: st.DataObject) -> None:
    """Cuts, splices, repeats and flips, checksums mended or not, never give another picture."""
    whole = PNGS[name]
    random = Random(data.draw(st.integers(0, 2**32)))
    changed = mutated(whole, random)

    if is_accepted(changed):
        assert load(changed) == load(whole)


def mutated(data: bytes, random: Random) -> bytes:
    first, second = sorted(random.randrange(len(data)) for _ in range(2))
    match random.randrange(5):
        case 0:
            return data[:first] + data[second:]
        case 1:
            return data[:second] + data[first:]
        case 2:
            return data[:first] + random.randbytes(random.randrange(1, 9)) + data[first:]
        case 3:
            return data + data[first:second]
        case _:
            return b"".join(
                piece if random.random() < 0.95 else random.choice([b"", piece * 2, END])
                for piece in chunks_of(data)
            )


def chunks_of(data: bytes) -> list[bytes]:
    pieces = [data[:8]]
    position = 8
    while position < len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4])
        pieces.append(data[position:end])
        position = end
    return pieces


GREY = header()


DATA = chunk(b"IDAT", PIXELS)


PALETTE = chunk(b"PLTE", bytes(6))


INDEXED = header(colour_type=3)


def frame(sequence: int, width_px: int = 3, height_px: int = 2, x_px: int = 0) -> bytes:
    numbers = (sequence, width_px, height_px, x_px, 0)
    return chunk(b"fcTL", b"".join(number.to_bytes(4) for number in numbers) + bytes(6))


def frame_data(sequence: int) -> bytes:
    return chunk(b"fdAT", sequence.to_bytes(4) + PIXELS)


def animation(frames: int) -> bytes:
    return chunk(b"acTL", frames.to_bytes(4) + bytes(4))


GOOD_PNGS = {
    "the least": png(GREY, DATA, END),
    "pixels in many chunks": png(
        GREY, *(chunk(b"IDAT", PIXELS[i : i + 1]) for i in range(len(PIXELS))), END
    ),
    "empty pixel chunks": png(GREY, chunk(b"IDAT"), DATA, chunk(b"IDAT"), END),
    "a palette": png(INDEXED, PALETTE, DATA, END),
    "a suggested palette": png(
        header(1, 1, colour_type=2), PALETTE, chunk(b"IDAT", zlib.compress(bytes(4))), END
    ),
    "C2PA": png(GREY, chunk(b"caBX", b"\0" * 50), DATA, END),
    "unknown chunks anywhere": png(GREY, chunk(b"abCd", b"x"), DATA, chunk(b"zzZz"), END),
    "animated, the still picture first": png(
        GREY, animation(2), frame(0), DATA, frame(1, 1, 1, 2), frame_data(2), frame_data(3), END
    ),
    "animated, the still picture apart": png(
        GREY, animation(1), DATA, frame(0), frame_data(1), END
    ),
    "frames without an animation": png(GREY, frame(7), DATA, frame_data(3), END),
    "an animation that lacks frames": png(GREY, animation(2), frame(0), DATA, END),
}


BAD_PNGS = {
    "no header": (png(DATA, END), "IHDR"),
    "a short header": (png(chunk(b"IHDR", bytes(12)), DATA, END), "IHDR"),
    "a header with a wrong checksum": (png(GREY[:-1] + b"x", DATA, END), "checksum"),
    "two headers": (png(GREY, GREY, DATA, END), "critical"),
    "no width": (png(header(0), DATA, END), "no pixels: 0x2"),
    "no height": (png(header(height_px=0), DATA, END), "no pixels: 3x0"),
    "colour type 1": (png(header(colour_type=1), DATA, END), "colour type 1"),
    "RGB of 4 bits": (png(header(colour_type=2, depth=4), DATA, END), "with 4 bits"),
    "palette of 16 bits": (png(header(colour_type=3, depth=16), PALETTE, DATA, END), "16 bits"),
    "another compression": (png(header(methods=b"\1\0\0"), DATA, END), "method"),
    "another filtering": (png(header(methods=b"\0\1\0"), DATA, END), "method"),
    "another interlacing": (png(header(methods=b"\0\0\2"), DATA, END), "method"),
    "no pixels": (png(GREY, END), "has no pixels"),
    "pixels in two places": (
        png(GREY, chunk(b"IDAT", PIXELS), chunk(b"tEXt", b"a"), chunk(b"IDAT", b""), END),
        "two places",
    ),
    "no palette": (png(INDEXED, DATA, END), "no palette"),
    "two palettes": (png(INDEXED, PALETTE, PALETTE, DATA, END), "palette where"),
    "a palette behind the pixels": (png(GREY, DATA, PALETTE, END), "palette where"),
    "a palette of 4 bytes": (png(INDEXED, chunk(b"PLTE", bytes(4)), DATA, END), "4 bytes"),
    "an empty palette": (png(INDEXED, chunk(b"PLTE"), DATA, END), "0 bytes"),
    "a palette of 257": (png(INDEXED, chunk(b"PLTE", bytes(771)), DATA, END), "771 bytes"),
    "an unknown critical chunk": (png(GREY, chunk(b"CgBI", b"xxxx"), DATA, END), "CgBI"),
    "a chunk without a name": (png(GREY, chunk(b"ab1d"), DATA, END), "not a chunk"),
    "a chunk too long": (png(GREY, b"\xff\xff\xff\xffabCd", DATA, END), "not a chunk"),
    "a long end": (png(GREY, DATA, chunk(b"IEND", b"x")), "IEND of 1 bytes"),
    "no end": (png(GREY, DATA), "cut off"),
    "more behind the end": (png(GREY, DATA, END, b"\0"), "do not belong"),
    "a picture behind the end": (SMALL + SMALL, "do not belong"),
    "pixels that are not compressed": (png(GREY, chunk(b"IDAT", b"junk"), END), "damaged"),
    "a damaged stream": (png(GREY, chunk(b"IDAT", PIXELS[:-1] + b"?"), END), "damaged"),
    "a stream that is cut": (png(GREY, chunk(b"IDAT", PIXELS[:-1]), END), "fewer pixels"),
    "bytes behind the stream": (
        png(GREY, chunk(b"IDAT", PIXELS + b"x"), END),
        "behind its compressed",
    ),
    "a chunk behind the stream": (
        png(GREY, DATA, chunk(b"IDAT", b"x"), END),
        "behind its compressed",
    ),
    "a stream with a dictionary": (
        png(GREY, chunk(b"IDAT", b"\x78\xbb\0\0\0\1" + PIXELS[2:]), END),
        "damaged",
    ),
    "a pixel too few": (
        png(GREY, chunk(b"IDAT", zlib.compress(b"\0abc\0de")), END),
        "fewer pixels",
    ),
    "a pixel too many": (
        png(GREY, chunk(b"IDAT", zlib.compress(b"\0abc\0defg")), END),
        "more pixels",
    ),
    "filter 5": (png(GREY, chunk(b"IDAT", zlib.compress(b"\0abc\5def")), END), "unknown filter"),
}


@pytest.mark.parametrize("name", GOOD_PNGS)
def test_a_legal_png_is_accepted(name: str) -> None:
    """What the specification allows passes, also what Pillow never writes."""
    facts = facts_of(GOOD_PNGS[name], piece_bytes=1)

    assert facts == facts_of(GOOD_PNGS[name])
    assert facts.media_type == "image/png"


@pytest.mark.parametrize("piece_bytes", [1, 1 << 16])
@pytest.mark.parametrize("name", BAD_PNGS)
def test_an_illegal_png_is_refused_with_its_reason(name: str, piece_bytes: int) -> None:
    """Each rule by itself, with its checksums right."""
    data, reason = BAD_PNGS[name]

    with pytest.raises(PictureRefused, match=reason) as refusal:
        facts_of(data, piece_bytes=piece_bytes)
    assert refusal.value.reason.startswith("the PNG ")


def test_a_bomb_is_refused_before_a_pixel_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    """60,000 x 60,000 in a few bytes costs nothing but its header."""
    monkeypatch.setattr(scanlines.Scanlines, "__init__", _never)
    data = png(header(60_000, 60_000), chunk(b"IDAT", zlib.compress(bytes(10_000_000))), END)

    with pytest.raises(PictureRefused, match="60000x60000, more than 64,000,000 pixels"):
        facts_of(data, max_pixels=64_000_000)


def _never(*_: object, **__: object) -> None:
    raise AssertionError("must not be reached")


def test_a_stream_that_inflates_without_end_is_refused_at_once() -> None:
    """The header promises six pixels; the seventh is the last that is looked at."""
    bomb = zlib.compress(bytes(50_000_000))
    inspector = Inspector(max_pixels=LIMIT)
    inspector.feed(png(header()))

    with pytest.raises(PictureRefused, match="more pixels"):
        inspector.feed(len(bomb).to_bytes(4) + b"IDAT" + bomb[:1000])
