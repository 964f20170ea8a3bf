"""What an earlier purchase means for its scene: found, waiting for a decision or a run, or to make.

Pure, and used by the run and by the plan alike, so that a plan says what the run will do.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import LIVE, State

OnUnknown: TypeAlias = Literal["hold", "resend"]


class Reuse(StrEnum):
    """What is to be done about a scene."""

    MAKE = "make"
    """Nothing was bought, or nothing that counts as its picture."""
    REUSE = "reuse"
    """Its picture is there."""
    UNDECIDED = "undecided"
    """It may have been paid for; a person has to decide."""
    RESEND = "resend"
    """It may have been paid for, and the settings say to send it once more."""
    BUSY = "busy"
    """Another run has it in work."""
    AWAITED = "awaited"
    """It is bought and not here yet: its provider, or its address, is asked for it again."""


def reuse_of(state: State | None, *, on_unknown: OnUnknown, resends: int) -> Reuse:
    """Return what an earlier purchase means.

    Args:
        state: Of the scene's live one; ``None`` if there is none.
        on_unknown: The setting.
        resends: How often the scene was sent again already because the setting said so.
    """
    if state is None or state not in LIVE:
        return Reuse.MAKE
    if state is State.PAID:
        return Reuse.REUSE
    if state is State.UNKNOWN:
        again = on_unknown == "resend" and resends == 0
        return Reuse.RESEND if again else Reuse.UNDECIDED
    return Reuse.AWAITED if state is State.ACCEPTED else Reuse.BUSY


def may_be_resent(purchase: Purchase) -> bool:
    """Return whether the setting ``on_unknown`` may speak for a purchase of unknown outcome.

    One that was accepted was begun, for sure: its picture may lie where another run can see it. And
    no setting overrides a person.
    """
    was_accepted = purchase.job is not None and purchase.job.accepted is not None
    return not was_accepted and purchase.decided_by is None


def after_its_owner(purchase: Purchase, *, answer_is_complete: bool) -> State:
    """Return the next state of an open purchase whose run has died.

    What costs nothing is void. A complete answer is taken in: ``PAID`` here,
    though only taking it in shows whether its picture is good. Anything else may have been billed.
    """
    if purchase.new.is_local:
        return State.VOID
    return State.PAID if answer_is_complete else State.UNKNOWN
