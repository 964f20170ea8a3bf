"""The spool against json.loads and b64decode, however an answer is written and cut."""

import base64
import json
import re
from decimal import Decimal, InvalidOperation
from random import Random
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue

from stage3_plugin.domain.exchange import Reply
from tests.laws import tried
from tests.stage3.pictures.spooling import SHORT, a_folder, spooled


def lenient_decode(text: str) -> bytes:
    """Decode base64 as a person would, knowing that it is some."""
    before = r"""^[ \t\r\n"'`<(]{0,8}(?:b["'])?(?:data:[^,]*;base64,)?"""
    compact = re.sub(before, "", text, flags=re.IGNORECASE)
    compact = (
        re.sub(r"[ \t\r\n\"'`>)]", "", compact).replace("-", "+").replace("_", "/").rstrip("=")
    )
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
    """Parse as load_reply promises to: characters that are none replaced, NaN as nothing.

    What stands behind a document that is more than a word is left out.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
    decoder = json.JSONDecoder(
        strict=False,
        parse_float=_plausible,
        parse_int=_countable,
        parse_constant=lambda _: None,
    )
    try:
        found = decoder.raw_decode(text.lstrip("\ufeff \t\r\n"))
        value, end = cast("tuple[JsonValue, int]", found)
    except ValueError:
        return False, None
    has_end = isinstance(value, dict | list) or not text.lstrip("\ufeff \t\r\n")[end:].strip()
    return has_end, value if has_end else None
