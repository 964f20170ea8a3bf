"""The states of one purchase and the ways between them: the table everything else is built from.

Pure. The database's triggers are made from it, a state machine of several runs is held to it, and
the documentation's diagram follows it. A purchase is one request that may be billed; a second
request for the same scene is a second purchase.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where one purchase stands."""

    SENDING = "SENDING"
    """From now on a byte may have left."""
    ACCEPTED = "ACCEPTED"
    """Its job is at the provider, by a name that is known: any run may ask for it."""
    UNKNOWN = "UNKNOWN"
    """Sent, and no complete answer: it may have been billed."""
    PAID = "PAID"
    """Its picture is safely on disk."""
    PAID_BAD = "PAID_BAD"
    """Billed, or to be taken as billed, without an acceptable picture."""
    REFUSED = "REFUSED"
    """Answered, and provably unbilled."""
    VOID = "VOID"
    """Provably never sent."""
    WROTE_OFF = "WROTE_OFF"
    """Unknown for ever: counted as spent, and a decision lets the scene be sent again."""


LEGAL: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.SENDING: frozenset(
            {
                State.ACCEPTED,
                State.PAID,
                State.PAID_BAD,
                State.REFUSED,
                State.UNKNOWN,
                State.VOID,
            }
        ),
        State.ACCEPTED: frozenset({State.PAID, State.PAID_BAD, State.REFUSED, State.UNKNOWN}),
        State.UNKNOWN: frozenset(
            {State.ACCEPTED, State.PAID, State.PAID_BAD, State.REFUSED, State.WROTE_OFF}
        ),
        State.PAID: frozenset({State.PAID_BAD}),
        State.PAID_BAD: frozenset(),
        State.REFUSED: frozenset(),
        State.VOID: frozenset(),
        State.WROTE_OFF: frozenset(),
    }
)
"""Where each state may go.

``SENDING`` to ``VOID`` is for a request whose body was never asked for, and for a renderer on this
machine, which may simply run again; ``PAID`` to ``PAID_BAD`` for a picture that was lost from the
disk, once a person has decided so. ``UNKNOWN`` to ``ACCEPTED`` is for a request whose job a listing
shows, or that is being made after all; back is for one that its provider no longer knows. A new
purchase is ``SENDING``: one commit holds its money and lets its request leave.
"""

OPEN = frozenset({State.SENDING})
"""In work; a process that lives is busy with it, or died over it."""
UNSETTLED = OPEN | {State.ACCEPTED, State.UNKNOWN}
"""May still become anything, and may have been billed."""
LIVE = UNSETTLED | {State.PAID}
"""Block their scene: at most one purchase of a scene is in one of these."""
COUNTED = LIVE | {State.PAID_BAD, State.WROTE_OFF}
"""Count as money held or spent."""
