"""What holds of the inspection of every format: whole, cut, too large, no picture at all."""

import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from stage3_plugin.errors import PictureRefused
from stage3_plugin.storage import inspect
from stage3_plugin.storage.inspect import inspect_file
from tests.stage3.pictures.samples import (
    ALL,
    LIMIT,
    facts_of,
    is_accepted,
    noise,
    saved,
)


@pytest.mark.parametrize("piece_bytes", [1, 13, 4096, 1 << 20])
@pytest.mark.parametrize("name", ALL)
def test_every_kind_of_picture_is_accepted_with_its_size(name: str, piece_bytes: int) -> None:
    """What Pillow writes passes, in whatever pieces it comes."""
    data = ALL[name]
    facts = facts_of(data, piece_bytes=piece_bytes)

    with Image.open(io.BytesIO(data)) as picture:
        assert (facts.width_px, facts.height_px) == picture.size
        assert facts.media_type == picture.get_format_mimetype()


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_a_picture_cut_at_any_length_is_refused(name: str) -> None:
    """The first bytes of a picture are never a picture."""
    data = ALL[name]
    near_the_ends = {*range(300), *range(len(data) - 300, len(data))}
    for length in sorted(near_the_ends | set(range(0, len(data), 1 + len(data) // 700))):
        assert not is_accepted(data[: max(length, 0)])

    assert is_accepted(data)


@pytest.mark.parametrize("name", ALL)
def test_more_pixels_than_the_limit_are_refused(name: str) -> None:
    """The limit is on the product, in every format, and exact."""
    data = ALL[name]
    facts = facts_of(data)
    pixels = facts.width_px * facts.height_px

    assert facts_of(data, max_pixels=pixels) == facts
    with pytest.raises(PictureRefused, match="more than"):
        facts_of(data, max_pixels=pixels - 1)


@pytest.mark.parametrize(
    "data, name",
    [
        (b"", "empty"),
        (saved(noise("P"), "GIF"), "a GIF"),
        (saved(noise("RGB"), "BMP"), "a BMP"),
        (saved(noise("RGB"), "TIFF"), "a TIFF"),
        (saved(noise("RGB"), "ICO", sizes=[(16, 16)]), "an icon"),
        (b"\n <!DOCTYPE HTML><html>", "an HTML page"),
        (b"<html lang=en>" + bytes(100), "an HTML page"),
        (b"\xef\xbb\xbf<svg xmlns='x'/>", "an SVG drawing"),
        (b"<?xml version='1.0'?>", "an XML document"),
        (b'{"error": {}}', "JSON"),
        (b"data:image/png;base64,iVBOR", "a data URL"),
        (b"\0\0\0\x1cftypavif", "an AVIF"),
        (b"\0\0\0\x1cftypheic", "a HEIF picture or a video"),
        (b"%PDF-1.7", "a PDF"),
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"hello", "of no known kind"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "of no known kind"),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(data: bytes, name: str) -> None:
    """A person learns what came instead."""
    with pytest.raises(PictureRefused, match=f"^is {name}, not a PNG, JPEG or WebP picture$"):
        facts_of(data, piece_bytes=3)


@pytest.mark.parametrize("name", ALL)
def test_a_file_is_inspected_and_hashed(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pass gives structure, hash and length."""
    monkeypatch.setattr(inspect, "_PIECE_BYTES", 1000)
    path = tmp_path / "picture"
    path.write_bytes(ALL[name])

    picture = inspect_file(path, max_pixels=LIMIT).picture

    assert picture == facts_of(ALL[name])
    assert picture.sha256 == hashlib.sha256(ALL[name]).hexdigest()
    assert picture.size_bytes == len(ALL[name])
