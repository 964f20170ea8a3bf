"""The worst that a provider could send to each pattern, and to each function that reads its bytes.

``python -m tests.stage3.providers.worst_texts`` tries them, one line for each that is done, and is
killed by the system if one takes too much of the processor's time. The texts are much longer than
what a pattern is ever given, so that one that takes the square of the time is seen.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from types import ModuleType
from typing import Any, cast

from pydantic import BaseModel

from stage3_plugin import providers
from stage3_plugin.domain import addressing
from stage3_plugin.domain.exchange import Reply
from stage3_plugin.providers import replies
from stage3_plugin.providers.replies import figures, hints, reading, taxonomy, unbilled, words
from tests.stage3.providers.replies import (
    PNG,
    PROVIDERS,
    verdict_on,
)

SIZE = 64 * 1024
"""Characters; the longest text that a pattern of an error is given has a fifteenth of it."""
PATTERN_S, FUNCTION_S = 5, 15
"""Of a busy processor, for one; the slowest need 1 and 3, and what takes the square a minute."""
DOCUMENT = 2 * 1024 * 1024
"""Characters of what may stay text in an answer."""


def modules() -> Iterator[tuple[str, ModuleType]]:
    """Return every module that sees a provider's bytes as values."""
    for package in (providers, replies):
        for found in pkgutil.iter_modules(package.__path__):
            if not found.ispkg:
                yield found.name, importlib.import_module(f"{package.__name__}.{found.name}")
    yield "addressing", addressing


def patterns() -> dict[str, re.Pattern[str]]:
    """Find every compiled pattern, by its text, wherever a module holds it."""
    found: dict[str, re.Pattern[str]] = {}
    for _, module in modules():
        for value in vars(module).values():
            found.update({pattern.pattern: pattern for pattern in _within(value)})
    for table in (taxonomy.meanings(), unbilled.free()):
        found.update({pattern.pattern: pattern for pattern in _within(table)})
    return found


def _within(value: Any) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield cast("re.Pattern[str]", value)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in cast("Iterable[Any]", value):
            yield from _within(each)
    elif isinstance(value, Mapping):
        # pyright takes its types for unknown, and mypy takes a cast for needless.
        yield from _within(list(value.values()))  # pyright: ignore[reportUnknownArgumentType] - any
    elif isinstance(value, BaseModel):
        yield from _within([held for _, held in value])
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _within([getattr(value, one.name) for one in dataclasses.fields(value)])


def is_a_list_of_words(pattern: re.Pattern[str]) -> bool:
    """Return whether nothing in a pattern repeats: then no text is worse than any other."""
    return not re.search(r"[*+]|\{", re.sub(r"\\.", "", pattern.pattern))


def _times(piece: str, size: int = SIZE) -> str:
    return piece * (size // len(piece) + 1)


_SENTENCES = (
    "OpenAIException - ", "AException", "Aa", ";", "overloaded; ", "please try again. ",
    "the server had an error processing your request", "slow down req_a",
    "overloaded LiteLLM: its models failed with the error above.",
)  # fmt: skip
WORST: dict[str, tuple[str, ...]] = {
    "answers._DATA_URL": (
        "data:image/", "data:image/a", "data:image/" + "a" * 199, "data:image/png;base64,",
    ),
    "answers._LINK": ("](", "](        ", "](http://", "![](http://a", "] ("),
    "causes: sensitive": ("output ", "output sensitiv", "outpu"),
    "fal.INFRASTRUCTURE": ("runner_", "runner_a", "runner_runner_"),
    "figures._NUMBER": ("1", "1.", "1e", "1.1e1"),
    "hints._DURATION": ("1s", "1 s, ", "1", "1.1", "1s ", "1ms1m", "111111111111.111111111111s"),
    "hints._EACH_STEP": ("1", "1.", "1s", "1 ", "111111111111111111111111111"),
    "hints._IN_WORDS": (
        "wait ", "try again in about ", "retry_delay", '"retrydelay": "', "wait 1s, ", "wait 1",
        "retry in ~111111111111.111111111111", "reset ", "resets", "retry retry_delay=",
    ),
    "hints._DATE": ("Wed, 21 Oct 2015 ", "a", "aaa ", "aaa:"),
    "prices._WORD": (" A", "Aa", " a", "A"),
    "models._SNAPSHOT": ("-", "-2026-10-0", "-2026-10-01"),
    "reading._KEY": ("sk-", "sk-a", "sk-sk_", "AIza", "Bearer ", "sk-aaaaaaa ", "Bearer Bearer"),
    "reading._MAYBE_KEY": ("key-", "key_a", "key-key-key-", "fal-aaaaaaa ", "rk-rk_"),
    "reading._OF_A_KEY": ("a",),
    "reading._STEP": ("a", "a-", "a" * 499 + "."),
    "unbilled.WAY": (
        "time", "times-", "timed   ", "time out"[:-1], "<", "connec", "hang   ", "hung-u",
    ),
    "unbilled.RAN": ("time", "times-", "timed   ", "<", "hang   ", "hung-u", "alread", "wait"),
    "unbilled._NAME": ("a", "a ", "@"),
    "unbilled._WAIT": ("retry", "retry_after", "x-ratelimit-", "x-ratelimit-a", "retry-after-"),
    "unbilled: had an error": _SENTENCES,
    "unbilled: turned away": _SENTENCES,
    "unbilled: overloaded": _SENTENCES,
    "unbilled: is overloaded": _SENTENCES,
    "unbilled: slow down": _SENTENCES,
    "words._BETWEEN": (" ", "-", " -", " a"),
    "words._GROUP": ("model group '", "model group ", "model group '" + "a" * 199),
    "taxonomy: money": ("quot", "_", "insufficient_", "_budge", "a"),
    "taxonomy: quota": ("insufficient ", "insufficient", "quot", "exceeded your current "),
    "taxonomy: region": ("country ", "country  not", "region!un supporte", "location "),
    "taxonomy: rejected": ("image_", "image_a", "image_generation_user_erro", "invalid_"),
    "taxonomy: trouble": ("runner_", "runner_a", "server_", "internal_server_"),
}  # fmt: skip
"""Pieces for each pattern, each to be repeated; then with an end that spoils the match."""

_OF_TABLES = {
    "causes: sensitive": r"\bsensitive\b",
    "taxonomy: money": "spend_limit|usage_limit",
    "taxonomy: quota": "exceeded your current quota",
    "taxonomy: region": "(country|region|territory|location)",
    "taxonomy: rejected": "image_(?!generation_user_error)",
    "taxonomy: trouble": "runner_",
    "unbilled: had an error": "the server had an error",
    "unbilled: turned away": "too many requests|",
    "unbilled: overloaded": "the (?:service|provider) is overloaded",
    "unbilled: is overloaded": "(?:engine|server|model) is ",
    "unbilled: slow down": "(?:please )?slow down",
}
"""How to know a pattern of a table, which has no name: it has this in it."""


def named_patterns() -> dict[str, re.Pattern[str]]:
    """Return every pattern that repeats anything by its name in :data:`WORST`, else as ``?…``."""
    by_text: dict[str, str] = {
        pattern.pattern: f"{name}.{variable}"
        for name, module in modules()
        for variable, value in vars(module).items()
        if f"{name}.{variable}" in WORST
        for pattern in _within(value)
    }
    found: dict[str, re.Pattern[str]] = {}
    for text, pattern in patterns().items():
        if not is_a_list_of_words(pattern):
            told = [name for name, part in _OF_TABLES.items() if part in text]
            found[by_text.get(text) or (told[0] if told else f"?{text}")] = pattern
    return found


def try_pattern(name: str) -> None:
    """Feed a pattern its worst texts, in every way in which it may be used."""
    try_texts(named_patterns()[name], WORST[name])


def try_texts(pattern: re.Pattern[str], pieces: tuple[str, ...]) -> None:
    """Feed a pattern each piece, repeated; then with ends that spoil the match."""
    for piece in pieces:
        for text in (_times(piece), _times(piece) + "!", "!" + _times(piece) + "\n"):
            pattern.fullmatch(text)
            pattern.match(text)
            if not pattern.pattern.startswith(".*"):  # that one is only ever compared in whole
                pattern.search(text)
                pattern.sub("", text)


# Functions ---------------------------------------------------------------------------------------


def _answers(document: Any) -> None:
    for status in (200, 400, 503):
        verdict_on(
            PROVIDERS["openrouter chat"], Reply(status=status, headers={}, document=document)
        )


def _headers(value: str) -> None:
    names = (
        "date", "retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-reset-requests",
        "x-ratelimit-remaining-requests", "ratelimit-reset", "x-request-id", "cf-ray", "location",
        "x-litellm-response-cost", "x-should-retry", "via", "server", "x-provider-name",
    )  # fmt: skip
    for status in (200, 307, 407, 429, 503):
        for provider in PROVIDERS.values():
            verdict_on(provider, Reply(status=status, headers=dict.fromkeys(names, value)))


def _error(**fields: Any) -> None:
    _answers({"error": fields})
    _answers({"choices": [{"error": fields}]})
    _answers({"type": "error", **fields})


FIGURES = (
    Decimal("1e999999"), Decimal("1e-999999"), Decimal("1e999999999999999999"), Decimal("NaN"),
    Decimal("sNaN"), Decimal("-Infinity"), Decimal("0." + "1" * SIZE), Decimal("9" * SIZE),
    10 ** (DOCUMENT // 8), -(10**5000), "1e999990", "9" * DOCUMENT, "0." + "9" * DOCUMENT, "1_0",
)  # fmt: skip
TEXTS = (
    _times(" ", DOCUMENT), _times("wait ", DOCUMENT), _times("wait  1s, ", DOCUMENT),
    _times("key-", DOCUMENT), _times("sk-a", DOCUMENT), _times("model group '", DOCUMENT),
    _times("time ", DOCUMENT), _times("\x00", DOCUMENT), _times("\ud800", DOCUMENT),
    _times("9", DOCUMENT), _times("country ", DOCUMENT), _times("_", DOCUMENT),
    _times("aA", DOCUMENT), _times("data:image/a,", DOCUMENT), _times("](http://", DOCUMENT),
    _times("![](http://a.b) ", DOCUMENT), _times("http://", DOCUMENT), _times("\u202e\n", DOCUMENT),
)  # fmt: skip


def _try_messages() -> None:
    for text in TEXTS:
        _error(message=text, metadata={"raw": text, "headers": {"Retry-After": text}})
        _answers({"message": text, "detail": text})


def _try_codes() -> None:
    for text in TEXTS:
        _error(code=text, type=text, param=text, status=text, details=[{"reason": text}])
        _error(metadata={"provider_code": text, "resets_at": text, "block_reason": text})
        _answers({"status": text, "id": text, "quality": text, "data": [{"revised_prompt": text}]})


def _try_lists() -> None:
    many: list[Any] = [{"reason": "a", "retryDelay": "1", "violations": [{"quotaId": "a" * 99}]}]
    _error(details=many * 20_000)
    _answers({"detail": [{"loc": ["a"] * 50, "msg": "a", "type": "b"}] * 10_000})
    _answers({"detail": [{"loc": ["a"] * 100_000, "msg": "a"}]})
    _answers({"data": [{"url": "http://["}] * 50_000})
    _answers({"data": [{"b64_json": PNG}, {"url": "/x"}] * 20_000})
    _answers({"choices": [{"finish_reason": "a", "message": {"images": [{}] * 9}}] * 10_000})


def _try_pictures() -> None:
    for text in TEXTS:
        _answers({"choices": [{"message": {"content": text}}]})
        _answers({"data": [{"b64_json": text, "url": text}]})


def _try_figures() -> None:
    for figure in FIGURES:
        figures.figure_of(figure, most=10**6)
        usage = dict.fromkeys(
            ("cost", "cost_in_usd_ticks", "input_tokens", "output_tokens"), figure
        )
        details = dict.fromkeys(("text_tokens", "image_tokens"), figure)
        _answers(
            {"data": [{"b64_json": PNG}], "usage": {**usage, "output_tokens_details": details}}
        )
        _error(availability={"retry_after": figure}, details=[{"retryDelay": {"seconds": figure}}])
        _error(code=figure)


def _try_headers() -> None:
    for text in (*TEXTS, "Wed, 99 Foo 9999999999 99:99:99", "Wed, 21 Oct 99999 07:28:00 +9999"):
        _headers(text)


def _try_addresses() -> None:
    for text in (*TEXTS, *(f"http://{text}/" for text in TEXTS), f"http://{'xn--' * SIZE}.a/"):
        addressing.address_of(text, base_url="https://a.test/v1")


def _try_shown() -> None:
    for text in TEXTS:
        reading.cleaned(text)
        reading.cleaned(text, most=32_000)
        words.as_word(text)
        hints.duration_s(text)


FUNCTIONS: dict[str, Callable[[], None]] = {
    "messages": _try_messages,
    "codes": _try_codes,
    "lists": _try_lists,
    "pictures": _try_pictures,
    "figures": _try_figures,
    "headers": _try_headers,
    "addresses": _try_addresses,
    "what is shown": _try_shown,
}


def limit(seconds: int) -> None:
    """Have the system kill this process after so much more of the processor's time."""
    spent_s = int(time.process_time()) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (spent_s + seconds, resource.RLIM_INFINITY))


def main() -> None:
    """Try everything, each under a limit of its own."""
    for name in WORST:
        limit(PATTERN_S)
        try_pattern(name)
        print(name, flush=True)
    for name, work in FUNCTIONS.items():
        limit(FUNCTION_S)
        work()
        print(name, flush=True)


if __name__ == "__main__":
    main()
