"""A key that can be had anew: once, where it is not taken and nothing was bought with it.

What gives keys for an hour may give one that has just run out. Whoever was turned away with that
one is sent again with the next. Apart from the client, which sends whatever key it has, and from
the run, which decides what an answer means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import anyio
from pydantic import SecretStr

from stage3_plugin.storage.pictures import RunBlocking

KeyAnew: TypeAlias = Callable[[], SecretStr | None]
"""Returns the key of now, blocks, and has it masked before; ``None`` if there is none."""


class RenewableKey:
    """The key of a route whose settings can be read anew.

    Args:
        key: The present one.
        ask: Returns the one of now.
        use: Takes another into use.
        blocking: Runs ``ask``.

    Attributes:
        number: Counts the keys that were in use; a request notes it as it leaves.
    """

    def __init__(
        self,
        key: SecretStr,
        *,
        ask: KeyAnew,
        use: Callable[[SecretStr], None],
        blocking: RunBlocking,
    ) -> None:
        self._key = key
        self._ask = ask
        self._use = use
        self._blocking = blocking
        self._may_ask = True
        self._turn = anyio.Lock()
        self.number = 0

    def note_bought(self) -> None:
        """Note that something was bought with it, or may have been: it is kept from then on."""
        self._may_ask = False

    async def is_another_since(self, number: int) -> bool:
        """Return whether there is another key than that of a request which was turned away.

        It is asked for where that was the present one, and once at most.
        """
        async with self._turn:
            if self.number != number:
                return True
            if not self._may_ask:
                return False
            self._may_ask = False
            key = await self._blocking(self._ask)
            if key is None or key == self._key:
                return False
            self._key = key
            self._use(key)
            self.number += 1
            return True
