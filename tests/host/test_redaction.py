import base64
import json
import string
import sys
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretBytes, SecretStr

from host_stub.events.journal import json_line
from host_stub.text.escape import escaped
from host_stub.text.redaction import REDACTED, Redactor, secrets_of

KEY = "sk-or-v1-CANARY/é+0123456789 abcdef"
_LETTERS = st.sampled_from(string.ascii_letters + string.digits + "+/=:-_. éß%&")
_KEYS = st.text(_LETTERS, min_size=17, max_size=60)


class TestSpellings:
    @pytest.mark.parametrize(
        "spelled",
        [
            KEY,
            quote(KEY),
            quote(KEY, safe=""),
            quote_plus(KEY),
            quote(KEY, safe="").lower().replace("canary", "CANARY"),
            json.dumps(KEY),
            repr(KEY),
            KEY[::-1],
            KEY.encode().hex(),
            KEY[:12] + "...",
            KEY[:20] + "***",
        ],
    )
    def test_a_key_is_taken_out_however_it_is_written(self, spelled: str) -> None:
        """Other people's code quotes, escapes, reverses and shortens."""
        shown = Redactor([KEY]).text(f"Incorrect key {spelled}, see docs")

        assert REDACTED in shown
        assert spelled.strip("'\"")[:12] not in shown
        assert shown.startswith("Incorrect key ")
        assert shown.endswith(", see docs")

    def test_a_key_that_comes_later_is_taken_out_beside_the_first(self) -> None:
        """Whatever was said before it was known cannot be unsaid, and nothing else is lost."""
        redactor = Redactor([KEY])
        redactor.add(["another-key-0123456789", "x"])

        assert redactor.text(f"{KEY} another-key-0123456789 x") == f"{REDACTED} {REDACTED} x"
        assert redactor.may_be_in(b'"another-key-0123456789"')

    @given(key=_KEYS, before=st.binary(max_size=5), after=st.binary(max_size=5))
    def test_a_key_is_taken_out_of_base64_at_any_place(
        self, key: str, before: bytes, after: bytes
    ) -> None:
        """Behind "user:" every letter of the encoding differs, and it is found all the same."""
        whole = before + key.encode() + after
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(whole).decode()
            shown = Redactor([key]).text(encoded)

            assert REDACTED in shown
            assert len(shown) <= len(REDACTED) + 4 * ((len(before) + len(after)) // 3 + 4)

    @given(key=_KEYS, text=st.lists(st.text(max_size=10), min_size=2, max_size=4))
    def test_no_key_is_left_in_any_text(self, key: str, text: list[str]) -> None:
        """Wherever it stands and however often."""
        shown = Redactor([key]).text(key.join(text))

        assert key not in shown

    def test_one_secret_within_another_leaves_nothing_behind(self) -> None:
        """The longer one goes first, so that its end does not stay."""
        shown = Redactor(["password", "password-of-the-vault"]).text("is password-of-the-vault?")

        assert shown == f"is {REDACTED}?"


class TestShortSecrets:
    def test_a_short_secret_is_taken_out_where_it_stands_alone(self) -> None:
        """A key "test" must not eat test.png, and still is not shown as a key."""
        redactor = Redactor(["test"])

        assert redactor.text("key=test in test/images/test.png latest") == (
            f"key={REDACTED} in test/images/test.png latest"
        )

    def test_a_secret_of_three_letters_or_none_takes_nothing_out(self) -> None:
        """Replacing nothing would replace everything."""
        assert Redactor(["", "abc"]).text("abc") == "abc"


class TestValues:
    def test_secrets_are_taken_out_of_plain_data(self) -> None:
        """Keys of objects and parts of lists are texts too."""
        value = {"a": [KEY, (f"Bearer {KEY}",), 3, None, 1.5, True], KEY: {"b": "c"}}

        shown = Redactor([KEY]).value(value)

        assert shown == {
            "a": [REDACTED, [f"Bearer {REDACTED}"], 3, None, 1.5, True],
            REDACTED: {"b": "c"},
        }

    @given(
        key=_KEYS,
        parts=st.lists(st.text(max_size=8), min_size=2, max_size=3),
        spelling=st.sampled_from([str, quote, repr, json.dumps]),
        other=st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers(), max_size=3),
    )
    def test_the_json_of_plain_data_tells_whether_a_secret_may_be_in_it(
        self, key: str, parts: list[str], spelling: Callable[[str], str], other: dict[str, object]
    ) -> None:
        """Whatever JSON escapes, a secret is seen there; without one nothing would be taken out."""
        redactor = Redactor([key])
        for record in (other | {"in": [spelling(key).join(parts)]}, other | {key: 1}, other):
            found = redactor.may_be_in(json_line(record))

            assert found or redactor.value(record) == record
            assert found is (record is not other)

    def test_a_traceback_shows_causes_but_no_secret(self) -> None:
        """Causes are where keys hide: in a client's request, in a header that was refused."""
        cause = ValueError(f"illegal header {{'Authorization': 'Bearer {KEY}'}}")
        error = RuntimeError("cannot send")
        error.__cause__ = cause

        shown = Redactor([KEY]).traceback(error)

        assert "CANARY" not in shown
        assert "RuntimeError: cannot send" in shown
        assert "illegal header" in shown


class TestSecretsOf:
    def test_every_secret_of_settings_is_found(self) -> None:
        """However deep the author has put it."""

        @dataclass
        class Proxy:
            password: SecretStr

        class Provider(BaseModel):
            key: SecretStr
            raw: SecretBytes
            name: str

        class Settings(BaseModel):
            provider: Provider
            more: dict[str, list[SecretStr | int]]
            proxy: Proxy
            nothing: SecretStr | None = None

        settings = Settings(
            provider=Provider(key=SecretStr("one"), raw=SecretBytes(b"two"), name="n"),
            more={"a": [SecretStr("three"), 4]},
            proxy=Proxy(SecretStr("four")),
        )

        assert set(secrets_of(settings)) == {"one", "two", "three", "four"}


HOSTILE = [
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\r\n2026-01-01 level=info paid=0",
    "\x7f",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066\u2069",
    "\u2028\u2029\x85",
    "\ud800",
    "\u200b\ufeff",
]


class TestEscaping:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_what_speaks_to_a_terminal_is_shown_as_escapes(self, text: str) -> None:
        """Nothing of it reaches the terminal as such."""
        shown = escaped(f"a{text}b")

        assert shown.isprintable()
        assert shown.isascii()
        assert "\\" in shown

    @given(st.text(st.characters(exclude_categories=())))
    def test_any_text_stays_on_one_line(self, text: str) -> None:
        """A law over all of Unicode: no line breaks, no control, no reading direction."""
        shown = escaped(text)

        assert len(shown.splitlines()) <= 1
        assert escaped(shown) == shown
        assert all(
            not (
                ord(letter) < 0x20 or 0x7F <= ord(letter) <= 0x9F or 0xD800 <= ord(letter) < 0xE000
            )
            for letter in shown
        )

    def test_words_of_any_language_stay_as_they_are(self) -> None:
        """Escapes are for what cannot be seen, not for what is not English."""
        assert escaped("灯塔, Größe, שלום, 🗼") == "灯塔, Größe, שלום, 🗼"

    def test_long_text_is_cut(self) -> None:
        """A message of a megabyte is no message."""
        assert escaped("x" * 50, limit=10) == "xxxxxxxxx…"
        assert sys.maxunicode == ord(escaped(chr(sys.maxunicode)))
