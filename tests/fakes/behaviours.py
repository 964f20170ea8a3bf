"""``stage3_plugin.testing.behaviours`` by a shorter name, and what our own tests alone need."""

import asyncio
from dataclasses import dataclass

from stage3_plugin.testing.behaviours import *  # noqa: F403 - all of it
from stage3_plugin.testing.pngs import make_png
from stage3_plugin.testing.wire import Exchange


@dataclass(frozen=True, slots=True)
class HalfPicture:
    """Return half of the picture at an address: cut off, or as if that were all, with a status."""

    status: int = 200
    is_cut: bool = False

    async def answer(self, exchange: Exchange) -> None:
        whole = make_png("half", 64, 64, heavy=True)
        half = whole[: len(whole) // 2]
        if not self.is_cut:
            await exchange.reply(self.status, half, {"Content-Type": "image/png"})
            return
        headers = {"Content-Type": "image/png", "Content-Length": str(len(whole))}
        await exchange.head(self.status, headers)
        await exchange.send(half)
        exchange.close()


@dataclass(frozen=True, slots=True)
class EarlyAnswer:
    """Answer a whole page and reset at once, as proxies do that want a login or less to read."""

    status: int = 407
    billed: bool = False

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = self.billed
        page = f"<html><title>{self.status}</title></html>".encode()
        await exchange.reply(self.status, page, {"Content-Type": "text/html"})
        await asyncio.sleep(0.02)  # let it arrive: RST discards what is still on its way
        exchange.reset()
