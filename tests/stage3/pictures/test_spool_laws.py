"""The spool against json.loads and b64decode, however an answer is written and cut."""

import base64
import json
import re
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path
from random import Random
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.errors import SpoolRefused
from stage3_plugin.storage.spool.part import LongString
from stage3_plugin.storage.spool.receipt import is_complete
from stage3_plugin.storage.spool.writing import Caps, Spool
from tests.laws import tried
from tests.stage3.pictures.spooling import SHORT, a_folder, contents_of, spooled


def lenient_decode(text: str) -> bytes:
    """Decode base64 as a person would, knowing that it is some."""
    before = r"""^[ \t\r\n"'`<(]{0,8}(?:b["'])?(?:data:[^,]*;base64,)?"""
    compact = re.sub(before, "", text, flags=re.IGNORECASE)
    compact = re.sub(r"[ \t\r\n]", "", compact).replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)


def assert_same(expected: JsonValue, reply: Reply) -> None:
    """Compare a document with what was read back, decoded strings by their bytes."""
    stack: list[tuple[JsonValue, JsonValue]] = [(expected, cast("JsonValue", reply.document))]
    while stack:
        want, got = stack.pop()
        if isinstance(got, str) and got in reply.parts:
            assert isinstance(want, str)
            assert reply.parts[got].path.read_bytes() == lenient_decode(want)
        elif isinstance(want, dict):
            assert isinstance(got, dict)
            assert list(want) == list(got)
            stack += zip(want.values(), got.values(), strict=True)
        elif isinstance(want, list):
            assert isinstance(got, list)
            stack += zip(want, got, strict=True)
        else:
            assert type(want) is type(got)
            assert want == got


def base64_like(random: Random) -> str:
    """Make a string that is base64, in one of the forms servers write, or nearly is."""
    text = base64.b64encode(random.randbytes(random.randrange(3 * SHORT))).decode()
    if random.random() < 0.25:
        text = text.replace("+", "-").replace("/", "_")
    if random.random() < 0.25:
        text = text.rstrip("=")
    if random.random() < 0.25:
        width = random.choice([20, 64, 76])
        newline = random.choice(["\n", "\r\n", "\n  "])
        text = newline.join(text[start : start + width] for start in range(0, len(text), width))
    if random.random() < 0.25:
        text = (
            random.choice(["data:image/png;base64,", "data:;base64,", "DATA:a/b;c=d;base64,"])
            + text
        )
    if random.random() < 0.4:
        place = random.choice([random.randrange(len(text) + 1), len(text)])
        junk = random.choice(
            ["!", "=", "==", "-", "+", "é", '"', "\\", "\0", "😀", " ", "A", "\ud800"]
        )
        text = text[:place] + junk + text[place + random.randrange(2) :]
    return text


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.decimals(-(10**12), 10**12, places=9).map(str).map(Decimal)
    | st.text(max_size=20)
    | st.text(alphabet='Aa+/-_= \n\\"!', max_size=3 * SHORT)
    | st.integers(0, 2**32).map(lambda seed: base64_like(Random(seed)))
)


DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


CAPS = st.builds(
    Caps,
    total_bytes=st.integers(0, 2000),
    part_bytes=st.integers(0, 200),
    parts=st.integers(0, 3),
)


def written(value: object, random: Random) -> str:
    """Write JSON as any server might: blanks, and each character escaped in any legal way."""
    blank = random.choice(["", "", " ", "\n\t"])
    if isinstance(value, str):
        return _quoted(value, random)
    if isinstance(value, Decimal):
        text = f"{value:f}" if -20 < value.adjusted() < 20 else str(value)
        return text if re.search("[.eE]", text) else f"{text}.0"
    if isinstance(value, list):
        items = cast("list[object]", value)
        return f"[{blank}{f'{blank},'.join(written(item, random) for item in items)}]"
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        inner = ",".join(
            f"{blank}{_quoted(k, random)}:{blank}{written(v, random)}" for k, v in pairs
        )
        return f"{{{inner}{blank}}}"
    return json.dumps(value)


def _quoted(text: str, random: Random) -> str:
    share = random.choice([0, 0, 0.05, 1])
    plain = json.dumps(text, ensure_ascii=random.random() < 0.5 or not _is_encodable(text))
    if random.random() < 0.3:
        plain = plain.replace("/", "\\/").replace("+", random.choice(["\\u002b", "\\u002B"]))
    if not share:
        return plain
    escaped = (
        f"\\u{ord(c):04x}" if ord(c) < 0x80 and random.random() < share else json.dumps(c)[1:-1]
        for c in text
    )
    return f'"{"".join(escaped)}"'


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def cut_lengths(random: Random) -> list[int]:
    """Choose how the network cuts an answer."""
    longest = random.choice([1, 2, 7, 50, 1000])
    return [random.randint(1, longest) for _ in range(random.randint(1, 9))]


@pytest.mark.usefixtures("short_strings_count_as_long")
@tried(2000)
@given(document=DOCUMENTS, seed=st.integers(0, 2**32))
@example(document=['"' + "qcdG2XY1zFD0wP08OX1A5bch" * 9], seed=0)
@example(document=["A" * 100], seed=0)
def test_every_document_comes_back_however_it_is_written_and_cut(
    document: JsonValue, seed: int
) -> None:
    """Whatever is not decoded equals json.loads; whatever is decoded equals b64decode."""
    random = Random(seed)
    body = written(document, random).encode()
    expected = json.loads(body, parse_float=Decimal)
    with a_folder() as folder:
        reply = spooled(folder, body, pieces=cut_lengths(random))

        assert_same(expected, reply)
        assert reply.text == ""


@pytest.mark.usefixtures("short_strings_count_as_long")
@tried(500)
@given(
    body=st.binary(max_size=400) | st.text(max_size=300).map(str.encode), seed=st.integers(0, 99)
)
@example(body=b'{"a": "' + b"QUJD" * 40 + b'", "b": "\\u00', seed=3)
@example(body=b'"' + b"QUJD" * 40 + b"\\", seed=5)
@example(body=b"0E100", seed=0)
def test_a_body_that_is_no_json_never_fails(body: bytes, seed: int) -> None:
    """Junk is an answer too: its beginning is kept as text, and its document is what JSON says."""
    with a_folder() as folder:
        reply = spooled(folder, body, pieces=cut_lengths(Random(seed)), media_type="text/plain")
        is_json, expected = parsed_leniently(body)

        if is_json:
            assert_same(expected, reply)
        else:
            assert reply.document is None


@pytest.mark.usefixtures("short_strings_count_as_long")
@tried(2000)
@given(document=DOCUMENTS, seed=st.integers(0, 2**32))
@example(document=[None, base64_like(Random(780)), None, None], seed=645)
@example(document={"": base64_like(Random(24916))}, seed=1)
def test_of_a_document_cut_anywhere_every_byte_stays_and_no_end_is_seen(
    document: JsonValue, seed: int
) -> None:
    """What the files hold is what came, in another form; only a whole document has ended."""
    random = Random(seed)
    body = written([document], random).encode()
    length = random.randrange(len(body))
    with a_folder() as folder:
        spool = Spool(folder)
        feed(spool, body[:length], cut_lengths(random))

        assert not spool.document_ended
        spool.finish(complete=False)
        assert _unescaped(everything_in(folder)) == _unescaped(body[:length])


def feed(spool: Spool, data: bytes, lengths: list[int]) -> None:
    position = turn = 0
    while position < len(data):
        length = lengths[turn % len(lengths)]
        spool.feed(data[position : position + length])
        position += length
        turn += 1


def everything_in(folder: Path) -> bytes:
    """Put an answer together again as it came, but for how base64 was written."""
    contents, body = contents_of(folder)
    for fields in contents["strings"]:
        string = LongString(**fields)
        data = (folder / f"part-{string.index}").read_bytes()
        source = string.prefix_source + base64.b64encode(data)
        if string.kind == "text":
            source = string.source(data, (folder / f"part-{string.index}.raw").read_bytes())
        placeholder = f"spooled:{contents['nonce']}:{string.index}:".encode()
        body = body.replace(placeholder, source + string.rest.encode("latin-1"))
    return body


def _unescaped(source: bytes) -> bytes:
    """Drop what several ways of writing the same base64 differ in."""
    source = re.sub(rb"\\u00([0-7][0-9a-fA-F])", lambda match: bytes([int(match[1], 16)]), source)
    source = source.replace(rb"\/", b"/").replace(rb"\"", b'"')
    source = re.sub(rb"\\[nrt]|[ \t\r\n=]", b"", source)
    return re.sub(rb"[\w+/-]+", lambda match: _canonical(match[0]), source)


def _canonical(run: bytes) -> bytes:
    """Drop the alphabet, and the last bits that mean nothing, which decoding does not look at."""
    text = run.translate(bytes.maketrans(b"-_", b"+/"))
    if len(text) % 4 == 1:
        return text
    return base64.b64encode(base64.b64decode(text + b"=" * (-len(text) % 4))).rstrip(b"=")


@pytest.mark.usefixtures("short_strings_count_as_long")
@tried(1000)
@given(document=DOCUMENTS, seed=st.integers(0, 2**32), caps=CAPS)
def test_no_answer_takes_more_than_its_caps(document: JsonValue, seed: int, caps: Caps) -> None:
    """Each is passed by less than a piece, and an answer that passes one never counts."""
    random = Random(seed)
    body = written(document, random).encode()
    lengths = cut_lengths(random)
    most = max(lengths) + 40 + SHORT + 64  # a piece, what was joined, a head, a placeholder
    with a_folder() as folder:
        spool = Spool(folder, caps=caps)
        spool.head(200, [])
        refused = False
        with suppress(SpoolRefused):
            feed(spool, body, lengths)
        try:
            spool.finish(complete=True)
        except SpoolRefused:
            refused = True
        sizes = {file.name: file.stat().st_size for file in folder.iterdir()}

        assert spool.received_bytes <= caps.total_bytes
        contents, skeleton = contents_of(folder)
        assert len(skeleton) == contents["skeleton_bytes"]
        assert sum(name.startswith("part-") and "." not in name for name in sizes) <= caps.parts
        assert all(
            size <= caps.part_bytes + most
            for name, size in sizes.items()
            if name.startswith("part-") and "." not in name
        )
        assert is_complete(folder) is not refused


_MOST_DIGITS, _MOST_EXPONENT = 64, 40
"""Further from 1 no cost, no count and no time is."""


def _plausible(text: str) -> Decimal | None:
    """Read a number as it is promised to be read: one that is absurd was told by nobody."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if abs(number.adjusted()) <= _MOST_EXPONENT else None


def _countable(text: str) -> int | None:
    return int(text) if len(text) <= _MOST_DIGITS else None


def parsed_leniently(body: bytes) -> tuple[bool, JsonValue]:
    """Parse as load_reply promises to: characters that are none replaced, NaN as nothing."""
    text = body.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
    try:
        value = json.loads(
            text,
            strict=False,
            parse_float=_plausible,
            parse_int=_countable,
            parse_constant=lambda _: None,
        )
    except ValueError:
        return False, None
    return True, value
