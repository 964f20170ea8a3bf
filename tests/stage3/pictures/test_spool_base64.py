"""Every way servers write base64, and strings that only begin like it."""

import base64
import json
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from tests.stage3.pictures.spooling import PICTURE, TEXT, lines, spooled

FORMS = {
    "plain": TEXT,
    "PHP's escaped slashes": TEXT.replace("/", "\\/"),
    ".NET's escaped plus": TEXT.replace("+", "\\u002B"),
    "escaped in lower case": TEXT.replace("+", "\\u002b").replace("/", "\\u002f"),
    "escaped padding": TEXT.replace("=", "\\u003D"),
    "every character escaped": "".join(f"\\u{ord(character):04X}" for character in TEXT),
    "URL-safe": TEXT.replace("+", "-").replace("/", "_"),
    "without padding": TEXT.rstrip("="),
    "in lines": lines(TEXT, "\\n"),
    "in lines as of MIME": lines(TEXT, "\\r\\n"),
    "in raw lines, which JSON forbids": lines(TEXT, "\n"),
    "as a data URL": "data:image/png;base64," + TEXT,
    "as a data URL, escaped": "data:image\\/png;base64," + TEXT.replace("/", "\\/"),
    "as a data URL with parameters": "data:image/PNG;charset=x;base64," + TEXT,
}


@pytest.mark.parametrize("pieces", [7, 65_536])
@pytest.mark.parametrize("form", FORMS)
def test_a_picture_is_decoded_in_every_form_servers_write(
    tmp_path: Path, form: str, pieces: int
) -> None:
    """Escapes, alphabets, line breaks and missing padding all lead to the same bytes."""
    body = b'{"data":[{"b64_json":"%b"}],"n":1.5}' % FORMS[form].encode()

    reply = spooled(tmp_path / "a", body, pieces=pieces)

    [(placeholder, picture)] = reply.parts.items()
    assert reply.document == {"data": [{"b64_json": placeholder}], "n": Decimal("1.5")}
    assert picture.path.read_bytes() == PICTURE
    assert picture.size_bytes == len(PICTURE)
    assert picture.media_type == "image/png"


WORDS = base64.b64encode(Random(2).randbytes(40_000)).decode()
"""What is no picture."""
BROKEN = {
    "junk at the end": WORDS.rstrip("=") + "!",
    "junk in the middle": WORDS[:30_000] + "*" + WORDS[30_000:],
    "one character too few": "A" * 20_001,
    "too much padding": "AAAA" * 5000 + "=",
    "text behind the padding": WORDS + "QUJD",
    "two alphabets": WORDS[:20_000] + "-_+/" + WORDS[20_000:],
    "two alphabets, far apart": WORDS.rstrip("=") + "A" * 120_003 + "-_-_",
    "a quote": WORDS[:30_000] + '\\"' + WORDS[30_000:],
    "a backslash": WORDS[:30_000] + "\\\\/" + WORDS[30_000:],
    "Chinese at the end": WORDS.rstrip("=") + "图",
    "a surrogate pair": WORDS[:30_000] + "\\ud83d\\ude00" + WORDS[30_000:],
    "a data URL and junk": "data:image/png;base64," + WORDS.rstrip("=") + "!",
    "URL-safe and junk": WORDS.replace("+", "-").replace("/", "_").rstrip("=") + "?",
    "lines and junk": lines(WORDS, "\\n") + "!",
    "words without a stop": "once upon a time " * 2000,
    "a drawing": "<svg>" + "M1 2 " * 5000,
}


@pytest.mark.parametrize("pieces", [1000, 65_536])
@pytest.mark.parametrize("form", BROKEN)
def test_a_string_that_is_not_base64_after_all_is_kept_as_it_was(
    tmp_path: Path, form: str, pieces: int
) -> None:
    """What was cut out is turned back, to the last character."""
    body = b'{"a":"%b","z":[]}' % BROKEN[form].encode()

    reply = spooled(tmp_path / "a", body, pieces=pieces)

    assert reply.document == json.loads(body)
    assert not reply.parts


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
