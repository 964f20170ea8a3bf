"""Every way servers write base64, and strings that only begin like it."""

import base64
import binascii
import json
from decimal import Decimal
from pathlib import Path

import pytest

from stage3_plugin.storage.spool.base64_stream import decoded_groups
from stage3_plugin.storage.spool.writing import Spool
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


BYTE_BY_BYTE = pytest.param(1, marks=pytest.mark.slow)


@pytest.mark.parametrize("pieces", [BYTE_BY_BYTE, 7, 1000, 16_384, 65_536, 1 << 20])
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
    assert picture.media_type == ("image/png" if "data URL" in form else None)
    assert not list((tmp_path / "a").glob("*.raw"))


BROKEN = {
    "junk at the end": TEXT.rstrip("=") + "!",
    "junk in the middle": TEXT[:30_000] + "*" + TEXT[30_000:],
    "one character too few": "A" * 20_001,
    "too much padding": "AAAA" * 5000 + "=",
    "text behind the padding": TEXT + "QUJD",
    "two alphabets": TEXT[:20_000] + "-_+/" + TEXT[20_000:],
    "two alphabets, far apart": TEXT.rstrip("=") + "A" * 120_003 + "-_-_",
    "a quote": TEXT[:30_000] + '\\"' + TEXT[30_000:],
    "a backslash": TEXT[:30_000] + "\\\\/" + TEXT[30_000:],
    "Chinese at the end": TEXT.rstrip("=") + "图",
    "a surrogate pair": TEXT[:30_000] + "\\ud83d\\ude00" + TEXT[30_000:],
    "a data URL and junk": "data:image/png;base64," + TEXT.rstrip("=") + "!",
    "URL-safe and junk": TEXT.replace("+", "-").replace("/", "_").rstrip("=") + "?",
    "lines and junk": lines(TEXT, "\\n") + "!",
    "words without a stop": "once upon a time " * 2000,
    "a drawing": "<svg>" + "M1 2 " * 5000,
}


@pytest.mark.parametrize("pieces", [BYTE_BY_BYTE, 1000, 65_536])
@pytest.mark.parametrize("form", BROKEN)
def test_a_string_that_is_not_base64_after_all_is_kept_as_it_was(
    tmp_path: Path, form: str, pieces: int
) -> None:
    """What was decoded on trust is turned back, to the last character."""
    body = b'{"a":"%b","z":[]}' % BROKEN[form].encode()

    reply = spooled(tmp_path / "a", body, pieces=pieces)

    assert reply.document == json.loads(body)
    assert not reply.parts


@pytest.mark.parametrize("begins", [TEXT, lines(TEXT, "\\n")])
def test_giving_a_string_up_costs_no_more_than_the_piece_that_showed_it(
    tmp_path: Path, begins: str
) -> None:
    """The event loop must not wait while megabytes are turned back: who reads the answer does."""
    spool = Spool(tmp_path / "a")
    for _ in range(50):
        spool.feed(
            b'["' + begins.encode().rstrip(b"=") if not spool.received_bytes else b"A" * 40_000
        )
    before = files_bytes(tmp_path / "a")
    spool.feed(b"!" * 100_000)
    after = files_bytes(tmp_path / "a")
    spool.finish(complete=False)

    assert after - before < 300_000


def files_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


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


def test_no_character_is_skipped_or_taken_for_another() -> None:
    """A damaged picture must not become a shorter one."""
    every = base64.b64encode(bytes(range(256)) * 3)
    assert decoded_groups(memoryview(every)) == bytes(range(256)) * 3
    for code in range(256):
        text = b"QUJD" + bytes([code]) + b"UJD"
        if text[4:5].isalnum() or code in b"+/":
            assert decoded_groups(text) == base64.b64decode(text)
        else:
            with pytest.raises(binascii.Error):
                decoded_groups(text)
