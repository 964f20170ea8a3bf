"""The case of ``stage3`` for the conformance kit: the loopback server, in the kit's own words.

The entry point of the group ``host_stub.conformance``. Beside ``hooks`` and ``cli`` the only place
that knows ``host_stub``, and like all of ``testing`` imported by nothing of the product.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from host_stub.conformance import Call, Case
from host_stub.conformance import behaviours as kit
from host_stub.conformance.scripted import scene_of
from stage3_plugin.testing import behaviours as does
from stage3_plugin.testing import shapes
from stage3_plugin.testing.image_api import KEY, Entry, ImageApi, Met
from stage3_plugin.testing.shapes import COST_USD
from stage3_plugin.testing.wire import Asked, Exchange

_LARGEST_REPLY_BYTES = 1 << 20
_LOOKS_EVERY_S = 0.005


@dataclass(frozen=True, slots=True)
class _Held:
    """Make the picture, once the kit lets it through."""

    hold: kit.Hold
    made: does.Ok

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        while not self.hold.is_open:  # noqa: ASYNC110 - it is opened in another thread
            await asyncio.sleep(_LOOKS_EVERY_S)
        await self.made.answer(exchange)


@dataclass(frozen=True, slots=True)
class _Empty:
    """Answer a success without a picture, and with the bill."""

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        document = shapes.success(exchange.asked, None, usage={})
        await exchange.reply_json(200, document, shapes.headers(exchange.asked))


def _said(status: int, message: str, **metadata: str) -> does.Json:
    """Answer an error as OpenRouter words it."""
    error = {"code": status, "message": message, "metadata": metadata}
    return does.Json({"error": error}, status=status)


_SO: Mapping[type, does.Behaviour] = {
    kit.Unavailable: does.ServerError(),
    kit.Refused: _said(400, "Content policy", error_type="content_policy_violation"),
    kit.Rejected: _said(400, "The prompt is too long.", error_type="invalid_request"),
    kit.Unauthorized: does.EchoedKey(),
    kit.OutOfMoney: _said(402, "Insufficient credits", limit_source="openrouter_credits"),
    kit.Garbage: does.Page(200),
    kit.Empty: _Empty(),
    kit.NoPicture: does.CutPng(),
    kit.CutShort: does.CutBody(),
    kit.Reset: does.ResetAfterRead(),
    kit.Hang: does.Hang(),
    kit.TooLarge: does.Endless(),
}
"""What a behaviour looks like at the provider that the case asks."""


def _on_the_wire(behaviour: kit.Behaviour) -> does.Behaviour:
    match behaviour:
        case kit.Ok(delay_s=delay_s, hold=hold, picture=picture):
            made = does.Ok(delay_s=delay_s, picture=picture)
            return made if hold is None else _Held(hold, made)
        case kit.RateLimited(retry_after_s=wait_s):
            if wait_s is None:
                return does.Limited()
            return does.Limited(hint="retry-after", wait_s=wait_s)
        case _:
            return _SO[type(behaviour)]


class Loopback:
    """The loopback server, told and asked by the kit."""

    def __init__(self, api: ImageApi) -> None:
        self._api = api
        self._begun_s: dict[int, float] = {}
        self._ended_s: dict[int, float] = {}
        api.trouble = self._arrived
        api.ended = self._ended

    def _arrived(self, asked: Asked, _met: Met) -> None:
        """Note when a request came; it meets what is due."""
        self._begun_s[asked.number] = time.monotonic()

    def _ended(self, entry: Entry) -> None:
        self._ended_s[entry.asked.number] = time.monotonic()

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "provider": "openrouter",
            "model": "studio/lighthouse-1",
            "base_url": self._api.base_url,
            "api_key": KEY,
            "price_usd": COST_USD,
            "size": "64x64",
            "backoff_base_s": 0.01,
            "backoff_max_s": 0.05,
            "max_reply_bytes": _LARGEST_REPLY_BYTES,
        }

    @property
    def secrets(self) -> Sequence[str]:
        return (KEY,)

    def behave(self, scene_id: str, *script: kit.Behaviour) -> None:
        self._api.script(*map(_on_the_wire, script), scene=f":{scene_id}:")

    def calls(self, scene_id: str | None = None) -> Sequence[Call]:
        calls = [self._call(entry) for entry in list(self._api.entries) if _is_call(entry)]
        return [one for one in calls if scene_id in {None, one.scene_id}]

    def _call(self, entry: Entry) -> Call:
        return Call(
            scene_id=scene_of(entry.asked.prompt),
            begun_s=self._begun_s.get(entry.asked.number, 0.0),
            ended_s=self._ended_s.get(entry.asked.number),
            at_once=entry.asked.in_flight,
            answer=_in_words(entry.behaviour),
            billed_usd=entry.usd or Decimal(0),
        )

    def billed(self) -> Decimal:
        return sum((call.billed_usd for call in self.calls()), Decimal(0))

    def connections(self) -> int | None:
        return self._api.open_connections


def _is_call(entry: Entry) -> bool:
    return entry.asked.method == "POST" and entry.behaviour is not None


def _in_words(behaviour: does.Behaviour | None) -> str:
    """Say what was answered."""
    match behaviour:
        case does.Limited(wait_s=wait_s, hint=hint):
            return "429" if hint is None else f"429, wait {wait_s:g} s"
        case does.Json(status=status) | does.ServerError(status=status):
            return str(status)
        case does.EchoedKey(status=status):
            return f"{status} with the key in it"
        case does.Page(status=status):
            return f"{status} with a page"
        case _Held() | does.Ok():
            return "a picture"
        case _:
            return _WORDS.get(type(behaviour), "something else")


_WORDS: Mapping[type, str] = {
    _Empty: "200 without a picture",
    does.CutPng: "half a picture",
    does.CutBody: "half an answer",
    does.ResetAfterRead: "nothing, and a reset",
    does.Hang: "nothing",
    does.Endless: "bytes without an end",
}


@contextmanager
def backend() -> Generator[Loopback]:
    """Run the server for as long as the kit needs it."""
    with ImageApi() as api:
        yield Loopback(api)


case = Case(
    backend=backend,
    price_usd=Decimal(COST_USD),
    at_once=8,
    impatient={"timeout_s": 4.0},
    patience_s=60.0,
    keeps=(".stage3",),
    sizes=("64x64", "128x64"),
    wrong_settings={
        "a size in words": {"size": "large"},
        "nothing at once": {"capacity": 0},
        "a provider that nobody has": {"provider": "nobody"},
        "a cap below nothing": {"budget_usd": "-1"},
    },
)
"""The case of ``stage3``."""
