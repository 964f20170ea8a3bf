"""The rules of JPEG and WebP one by one."""

from random import Random

import pytest

from stage3_plugin.errors import PictureRefused
from tests.stage3.pictures.samples import (
    JPEGS,
    WEBPS,
    changed,
    facts_of,
    is_accepted,
    noise,
    saved,
)

JPEG = JPEGS["RGB"]


SCAN = JPEG.index(b"\xff\xda")


FRAME_AT = JPEG.index(b"\xff\xc0")


RESTARTS = JPEGS["restart markers"]


GOOD_JPEGS = {
    "zeros behind the end": JPEG + bytes(1000),
    "filling before a marker": JPEG[:SCAN] + b"\xff\xff" + JPEG[SCAN:],
    "more pictures, announced": JPEG[:2] + b"\xff\xe2\0\x08MPF\0.." + JPEG[2:] + JPEG,
    "a segment of a maker": JPEG[:2] + b"\xff\xef\0\x04ab" + JPEG[2:],
    "C2PA": JPEG[:2] + b"\xff\xeb\0\x0aJP\0\0\xff\xd9.." + JPEG[2:],
    "a short APP2": JPEG[:2] + b"\xff\xe2\0\x02" + JPEG[2:],
}


BAD_JPEGS = {
    "more pictures, not announced": (JPEG + JPEG, "do not belong"),
    "a ZIP behind the end": (JPEG + b"PK\x03\x04", "do not belong"),
    "no end": (JPEG[:-2], "cut off in its pixels"),
    "no end but zeros": (JPEG[:-2] + bytes(100), "cut off in its pixels"),
    "an end in the header": (JPEG[:SCAN] + b"\xff\xd9", "before all of it"),
    "an end at once": (b"\xff\xd8\xff\xd9" + bytes(60), "before all of it"),
    "an empty scan": (JPEG[: SCAN + 14] + b"\xff\xd9", "without pixels"),
    "a second beginning": (JPEG[:2] + JPEG, "misplaced marker D8"),
    "a restart in the header": (JPEG[:2] + b"\xff\xd0" + JPEG[2:], "misplaced marker D0"),
    "junk between segments": (JPEG[:20] + b"x" + JPEG[20:], "between its segments"),
    "a segment of length 1": (JPEG[:2] + b"\xff\xe0\0\x01" + JPEG[2:], "without a length"),
    "an arithmetic frame": (changed(JPEG, FRAME_AT, b"\xff\xc9"), "arithmetic"),
    "a lossless frame": (changed(JPEG, FRAME_AT, b"\xff\xc3"), "lossless"),
    "lines told later": (JPEG[:2] + b"\xff\xdc\0\x04\0\x01" + JPEG[2:], "lossless"),
    "two frames": (JPEG[:SCAN] + JPEG[FRAME_AT : FRAME_AT + 19] + JPEG[SCAN:], "two frames"),
    "12 bits": (changed(JPEG, FRAME_AT + 4, b"\x0c"), "broken frame"),
    "no height": (changed(JPEG, FRAME_AT + 5, b"\0\0"), "no pixels"),
    "two components": (changed(JPEG, FRAME_AT + 9, b"\x02"), "broken frame"),
    "components alike": (changed(JPEG, FRAME_AT + 13, b"\x01"), "broken frame"),
    "a factor of 5": (changed(JPEG, FRAME_AT + 11, b"\x51"), "broken frame"),
    "a scan before its frame": (JPEG[:FRAME_AT] + JPEG[SCAN:], "before its frame"),
    "a scan of nothing": (changed(JPEG, SCAN + 4, b"\0"), "broken scan"),
    "a scan of strangers": (changed(JPEG, SCAN + 5, b"\x09"), "not in it"),
    "a scan of one twice": (changed(JPEG, SCAN + 5, b"\x02"), "not in it"),
    "a restart left out": (RESTARTS.replace(b"\xff\xd1", b"\0\0", 1), "out of order"),
    "no tables": (JPEG[:20] + JPEG[FRAME_AT : FRAME_AT + 19] + JPEG[SCAN:], "its tables"),
}


WEBP = WEBPS["lossy"]


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def webp_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)


LOSSY = WEBP[12:]


LOSSLESS = WEBPS["lossless"][12:]


CANVAS = webp_chunk(b"VP8X", bytes(4) + (60).to_bytes(3, "little") + (46).to_bytes(3, "little"))


GOOD_WEBPS = {
    "zeros behind the end": WEBP + bytes(100),
    "an unknown chunk": riff(CANVAS, LOSSY, webp_chunk(b"C2PA", b"odd")),
    "an unknown chunk behind a simple picture": riff(LOSSY, webp_chunk(b"abcd", b"x")),
}


BAD_WEBPS = {
    "longer than it says": (WEBP + b"x", "do not belong"),
    "shorter than it says": (WEBP[:-2], "cut off"),
    "an empty container": (riff() + bytes(60), "no pixels"),
    "a canvas alone": (riff(CANVAS) + bytes(60), "no pixels"),
    "another beginning": (riff(webp_chunk(b"EXIF", b"xx"), LOSSY), "begin with a picture"),
    "two pictures": (riff(LOSSY, LOSSY), "two pictures"),
    "two kinds of picture": (riff(LOSSY, LOSSLESS), "two pictures"),
    "another canvas": (
        riff(webp_chunk(b"VP8X", bytes(10)), LOSSY),
        "another size than its canvas",
    ),
    "a chunk longer than its file": (
        riff(LOSSY, b"abcd\xff\0\0\0") + bytes(60),
        "longer than the file",
    ),
    "a short picture": (riff(webp_chunk(b"VP8 ", b"abcd")) + bytes(60), "VP8 of 4 bytes"),
    "a frame between frames": (changed(WEBP, 20, bytes([WEBP[20] | 1])), "broken picture header"),
    "a wrong start code": (changed(WEBP, 23, b"x"), "broken picture header"),
    "a first partition too long": (changed(WEBP, 21, b"\xff\xff"), "lacks pixels"),
    "a wrong lossless signature": (
        riff(changed(LOSSLESS, 8, b"x")),
        "broken picture header",
    ),
    "a lossless version to come": (riff(changed(LOSSLESS, 12, b"\xff")), "broken picture header"),
    "no width": (changed(WEBP, 26, b"\0\0"), "no pixels: 0x47"),
    "an animation": (
        saved(noise("RGB"), "WEBP", save_all=True, append_images=[noise("RGB").rotate(180)]),
        "animation",
    ),
    "a hidden animation": (riff(CANVAS, webp_chunk(b"ANMF", bytes(20))), "animation"),
}


@pytest.mark.parametrize("piece_bytes", [1, 1 << 16])
@pytest.mark.parametrize("name", [*GOOD_JPEGS, *GOOD_WEBPS])
def test_a_legal_jpeg_or_webp_is_accepted(name: str, piece_bytes: int) -> None:
    """What cameras, editors and provenance tools add does not make a picture less of one."""
    data = {**GOOD_WEBPS, **GOOD_JPEGS}[name]

    facts = facts_of(data, piece_bytes=piece_bytes)

    assert (facts.width_px, facts.height_px) == (61, 47)


@pytest.mark.parametrize("piece_bytes", [1, 1 << 16])
@pytest.mark.parametrize("format_name", ["JPEG", "WebP"])
def test_an_illegal_jpeg_or_webp_is_refused_with_its_reason(
    format_name: str, piece_bytes: int
) -> None:
    """Each rule by itself."""
    for name, (data, reason) in (BAD_JPEGS if format_name == "JPEG" else BAD_WEBPS).items():
        with pytest.raises(PictureRefused, match=reason) as refusal:
            facts_of(data, piece_bytes=piece_bytes)
        assert refusal.value.reason.startswith(f"the {format_name} "), name


@pytest.mark.parametrize("name", [*JPEGS, *WEBPS])
def test_a_changed_jpeg_or_webp_never_fails_in_another_way(name: str) -> None:
    """They have no checksums; whatever the bytes are, the answer is yes or a refusal."""
    data = {**JPEGS, **WEBPS}[name]
    random = Random(7)
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(random.randrange(1, 4)):
            changed[random.randrange(len(data))] = random.randrange(256)
        is_accepted(bytes(changed))
