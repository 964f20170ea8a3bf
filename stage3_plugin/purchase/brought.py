"""How far what was bought is brought, whether it is a request of its own or a line of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.domain.attempt import AttemptResult, MissingPicture
from stage3_plugin.domain.job import BeingMade
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import OPEN, State
from stage3_plugin.errors import StorageFailed
from stage3_plugin.purchase.lost import is_lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """How far a purchase was brought.

    Attributes:
        purchase: As it stands now; ``None`` if there is none.
        attempted: What its answer came to, if it was looked at.
        not_here: Its picture's address did not give it, and may yet.
        making: Its picture is being made.
        storage: The disk failed.
    """

    purchase: Purchase | None
    attempted: AttemptResult | None = None
    not_here: MissingPicture | None = None
    making: BeingMade | None = None
    storage: StorageFailed | None = None

    @property
    def is_lost(self) -> bool:
        """Return whether its provider has not said what became of its request."""
        return self.purchase is not None and is_lost(self.purchase)

    @property
    def is_open(self) -> bool:
        """Return whether the purchase is still to be brought to an end."""
        return self.purchase is not None and self.purchase.state in {*OPEN, State.ACCEPTED}
