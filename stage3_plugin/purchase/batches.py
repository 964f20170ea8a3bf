"""Brings batches on: one walk for all lines of a job, whoever asks for which of them.

A line is a purchase like any other. What is different is that many of them have one job: it is
asked for once for all of them, and what is true of all of them is one transaction. A line that has
a result of its own is then taken in by itself, from its own folder in the spool.
"""

from __future__ import annotations

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.purchase.brought import Brought


class Batches:
    """Looks after the batches of one ledger; made by :class:`~.purchase.recovery.Recovery`."""

    async def bring_on(self, purchase: Purchase) -> Brought:
        """Bring the batch of a line as far as it can be brought now; never raises for its content.

        All lines of a batch share one walk: who comes while it is under way gets what came of it,
        and who comes before the batch is to be polled again gets what is known of it, for nothing
        but a look at the line's row.

        Args:
            purchase: A line, as it stands now, in any state.

        Returns:
            For that line. ``making`` while its batch is being made, with ``lines`` and the seconds
            until it is polled again in ``again_s``. ``attempted`` where its own result was taken in
            by this process, whichever run it is of, for a picture as for none; ``None`` where it is
            known to have never run (expired, cancelled, absent): it may be bought at once.
        """
        raise NotImplementedError

    def refused(self, keys: Keys) -> tuple[Purchase, AttemptResult] | None:
        """Return a line of a wish that this run has taken in without a picture; each only once."""
        raise NotImplementedError
