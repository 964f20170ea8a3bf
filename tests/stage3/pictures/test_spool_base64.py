"""Every way servers write base64, and strings that only begin like it."""

import base64
import json
from pathlib import Path

import pytest

from tests.stage3.pictures.spooling import PICTURE, TEXT, spooled


def test_a_text_that_would_fill_the_memory_of_its_reader_is_left_out(tmp_path: Path) -> None:
    """It lies on the disk; in the document its placeholder stands, which is no picture."""
    long, short = "A" * (1 << 20) + "!", "A" * (200 << 10) + "!"

    reply = spooled(tmp_path / "a", json.dumps([short, long, short]).encode())

    assert isinstance(reply.document, list)
    first, placeholder, last = reply.document
    assert (first, last) == (short, short)
    assert isinstance(placeholder, str)
    assert placeholder.startswith("spooled:")
    assert not reply.parts


ODD = {
    "junk at the end": TEXT.rstrip("=") + "!",
    "junk in the middle": TEXT[:30_000] + "*" + TEXT[30_000:],
    "a quote": TEXT[:30_000] + '\\"' + TEXT[30_000:],
    "a backslash": TEXT[:30_000] + "\\\\" + TEXT[30_000:],
    "Chinese at the end": TEXT.rstrip("=") + "图",
    "a surrogate pair": TEXT[:30_000] + "\\ud83d\\ude00" + TEXT[30_000:],
    "a data URL and junk": "data:image/png;base64," + TEXT.rstrip("=") + "!",
    "percent-encoded": TEXT.replace("/", "%2F").replace("+", "%2B"),
    "in long lines": "\\n".join(TEXT[at : at + 17_000] for at in range(0, len(TEXT), 17_000)),
    "bytes as Python writes them": f"b'{TEXT}'",
}


@pytest.mark.parametrize("pieces", [1000, 65_536])
@pytest.mark.parametrize("form", ODD)
def test_a_picture_with_odd_signs_in_it_is_read_without_them(
    tmp_path: Path, form: str, pieces: int
) -> None:
    """It was paid for; its structure shows whether what is left is whole."""
    body = b'{"data":[{"b64_json":"%b"}]}' % ODD[form].encode()

    reply = spooled(tmp_path / "a", body, pieces=pieces)

    [(placeholder, picture)] = reply.parts.items()
    assert reply.document == {"data": [{"b64_json": placeholder}]}
    assert picture.path.read_bytes() == PICTURE


def test_a_long_picture_in_the_middle_of_a_text_is_found(tmp_path: Path) -> None:
    """Chat models answer in Markdown."""
    picture = PICTURE * 20
    text = f"Here it is: ![a pier](data:image/png;base64,{base64.b64encode(picture).decode()}) ok?"

    reply = spooled(tmp_path / "a", json.dumps({"content": text}).encode())

    [part] = reply.parts.values()
    assert part.path.read_bytes() == picture
