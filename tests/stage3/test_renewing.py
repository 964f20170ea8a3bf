"""A key that a command gives: had anew once, and only before anything was bought with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import pytest
from pydantic import SecretStr

from stage3_plugin.attempt.renewing import RenewableKey
from stage3_plugin.runtime.masking import MASK, Masked

Result = TypeVar("Result")


@dataclass
class Vault:
    """What gives keys, and who uses them."""

    keys: list[str | None]
    asked: int = 0
    used: list[str] = field(default_factory=list[str])

    def ask(self) -> SecretStr | None:
        self.asked += 1
        key = self.keys.pop(0)
        return None if key is None else SecretStr(key)

    def key(self) -> RenewableKey:
        async def blocking(work: Callable[[], Result], /) -> Result:
            await anyio.lowlevel.checkpoint()
            return work()

        return RenewableKey(
            SecretStr("first"),
            ask=self.ask,
            use=lambda key: self.used.append(key.get_secret_value()),
            blocking=blocking,
        )


@pytest.mark.anyio
async def test_all_that_were_turned_away_with_one_key_are_sent_with_the_next() -> None:
    """It is asked for once, however many come at once; whoever is turned away again, is so."""
    vault = Vault(["second", "third"])
    key = vault.key()
    found: list[bool] = []

    async def turned_away() -> None:
        found.append(await key.is_another_since(0))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(turned_away)

    assert (found, vault.asked, vault.used) == ([True] * 3, 1, ["second"])
    assert not await key.is_another_since(key.number)
    assert await key.is_another_since(0)
    assert (vault.asked, vault.used) == (1, ["second"])


@pytest.mark.anyio
@pytest.mark.parametrize("keys", [["first"], [None]], ids=["the same", "none"])
async def test_where_there_is_no_other_key_nothing_is_sent_again(keys: list[str | None]) -> None:
    """Neither now nor later."""
    vault = Vault([*keys, "second"])
    key = vault.key()

    assert not await key.is_another_since(0)
    assert not await key.is_another_since(0)
    assert (vault.asked, vault.used, key.number) == (1, [], 0)


@pytest.mark.anyio
async def test_once_something_was_bought_the_key_is_kept() -> None:
    """Another one may be of another account."""
    vault = Vault(["second"])
    key = vault.key()
    key.note_bought()

    assert not await key.is_another_since(0)
    assert vault.asked == 0


def test_a_secret_that_comes_later_is_masked_beside_the_first() -> None:
    """Whatever patterns were made of the first alone."""
    masked = Masked(["first-key-0123456789"])
    masked.prepare()
    masked.add(["second-key-0123456789"])
    told = "first-key-0123456789 second-key-0123456789"

    assert not masked.is_prepared
    assert masked.text(told) == f"{MASK} {MASK}"
    assert masked.covered(told.encode()) == b"*" * 20 + b" " + b"*" * 21
