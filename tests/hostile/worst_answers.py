"""The worst answers that a provider may give within what is allowed, 4 MB each.

Apart from the measuring, so that a body can be looked at and tried alone.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import itertools
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.fakes.wire import Exchange

SIZE = 4_000_000
"""A little less than may be held of one answer's document."""
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


def brackets(size: int) -> Answer:
    """Many empty lists: each costs sixty bytes of memory and three of the answer."""
    return Answer(b"[" + b"[]," * (size // 3) + b"[]]")


def braces(size: int) -> Answer:
    """Many empty objects."""
    return Answer(b"[" + b"{}," * (size // 3) + b"{}]")


def deep(size: int) -> Answer:
    """Lists in lists, as deep as there is room."""
    return Answer(b"[" * (size // 2) + b"]" * (size // 2))


def names(size: int) -> Answer:
    """One object with as many names as there is room for."""
    return Answer(b"{" + b",".join(b'"%x":0' % n for n in range(size // 10)) + b"}")


def strings(size: int) -> Answer:
    """Many short strings, no two alike."""
    return Answer(b"[" + b",".join(b'"%x"' % n for n in range(size // 8)) + b"]")


def escapes(size: int) -> Answer:
    """An error's message in which every letter is escaped."""
    return _error(b"\\u00e9" * (size // 6), 400)


def digits(size: int) -> Answer:
    """A cost with as many digits as there is room for."""
    return Answer(b'{"data":[],"usage":{"cost":' + b"9" * size + b"}}")


def exponent(size: int) -> Answer:
    """Numbers whose values have a million digits, everywhere a number is read."""
    one = b'{"cost":1e999990,"input_tokens":1e999990,"output_tokens":1e999990}'
    return Answer(
        b'{"data":[],"usage":%b,"error":{"message":"%b","retry_after":1e999990}}'
        % (one, b"wait 1e999990s " * (size // 100)),
        status=429,
    )


def waits(size: int) -> Answer:
    """Words that begin to say how long to wait, over and over."""
    return _error(b"try again in" + b" " * (size // 40) + b"retry after 1" * (size // 40), 429)


def durations(size: int) -> Answer:
    """A hint whose figure never ends."""
    return _error(b"try again in " + b"1m" * (size // 40) + b"1h1" * (size // 40), 429)


def quoted_keys(size: int) -> Answer:
    """Words that look like keys, one beginning in the other."""
    return _error(b"sk-" * (size // 40) + b" key-key-" * (size // 40) + b"Bearer " * 999, 500)


def addresses(size: int) -> Answer:
    """A chat's words that begin to show pictures, over and over."""
    text = b"![" * (size // 40) + b"data:image/" * (size // 40) + b"data:image/a;base64," * 999
    return Answer(b'{"choices":[{"message":{"content":"%b"}}]}' % text)


def page(size: int) -> Answer:
    """A page of a proxy that says in a thousand ways that one is to try again."""
    text = b'<p>try again in  \\"retry_delay\\" : ' * (size // 40)
    return Answer(text, 502, {"Content-Type": "text/html"})


def trailing(size: int) -> Answer:
    """Bytes behind the end of the document."""
    return Answer(b'{"data":[]}' + b"[" * size)


def trailing_gzip(size: int) -> Answer:
    """Bytes behind the end of the compressed stream."""
    return Answer(gzip.compress(b'{"data":[]}', 1) + b"\0\1" * (size // 2), headers=_GZIP)


def bomb(size: int) -> Answer:
    """A document of brackets that inflates to seventy-five times the size, 300 MB of 4."""
    squeeze = zlib.compressobj(9, wbits=31)
    times = max(size // 13_000, 1)
    pieces = [squeeze.compress(b"[" + b"[]," * 333_000) for _ in range(times)]
    return Answer(b"".join([*pieces, squeeze.flush()]), headers=_GZIP)


def streams(size: int) -> Answer:
    """A compressed document in very many streams, each with a byte of it."""
    one = gzip.compress(b"[", 1)
    return Answer(one * (size // len(one)), headers=_GZIP)


_GZIP = {**JSON, "Content-Encoding": "gzip"}


def _error(message: bytes, status: int) -> Answer:
    head, end = json.dumps({"error": {"message": "HERE", "code": None}}).encode().split(b"HERE")
    return Answer(head + message + end, status)


Made = Callable[[int], Answer]
DOCUMENTS: tuple[Made, ...] = (brackets, braces, deep, names, strings, digits, exponent, trailing)
TEXTS: tuple[Made, ...] = (escapes, waits, durations, quoted_keys, addresses, page)
COMPRESSED: tuple[Made, ...] = (bomb, trailing_gzip, streams)


class Together:
    """Answers with some answers in turn, the first of them all at once; a behaviour.

    Args:
        answers: After the last comes the first again.
        together: No request is answered until so many have come.
    """

    def __init__(self, answers: Sequence[Answer], together: int) -> None:
        self._answers = itertools.cycle(answers)
        self._missing = together
        self._all_here = asyncio.Event()

    async def answer(self, exchange: Exchange) -> None:
        """Wait for the others and answer."""
        answer = next(self._answers)
        exchange.is_billed = True
        self._missing -= 1
        if self._missing <= 0:
            self._all_here.set()
        await self._all_here.wait()
        await exchange.reply(answer.status, answer.body, answer.headers)


@functools.cache
def made(kind: Made, size: int) -> Answer:
    """Make an answer once."""
    return kind(size)
