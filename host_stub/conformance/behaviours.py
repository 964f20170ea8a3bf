"""What a case's backend can be told to do with a request: one small value for each.

The kit knows no protocol of any service. It says *what* is to happen to the next request for a
scene, and the author's backend does that in the words of the service it stands for.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final, TypeAlias, get_args


class Hold:
    """Holds answers back until it is opened, which any thread may do: order without a clock."""

    def __init__(self) -> None:
        self._opened = threading.Event()

    def open(self) -> None:
        """Let everything through, now and later."""
        self._opened.set()

    @property
    def is_open(self) -> bool:
        """Whether it is; a backend asks every few milliseconds."""
        return self._opened.is_set()


@dataclass(frozen=True, slots=True)
class Ok:
    """Make the picture, and bill it.

    Attributes:
        delay_s: Seconds to wait first.
        hold: Answer only once it is open.
        picture: These bytes, a PNG, instead of what it would make.
    """

    delay_s: float = 0.0
    hold: Hold | None = None
    picture: bytes | None = None


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Turn the request away for now; ``retry_after_s`` says for how long, if it says so."""

    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Say that the service is busy and that nothing was made or billed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Refuse the prompt by policy: asking again would get the same answer."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Say that the request is wrong, and would be wrong again."""


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """Say that the key is wrong. The answer repeats the key, as services do."""


@dataclass(frozen=True, slots=True)
class OutOfMoney:
    """Say that the account is empty."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """Answer a success that cannot be read; it was billed."""


@dataclass(frozen=True, slots=True)
class Empty:
    """Answer a success without a picture in it; it was billed."""


@dataclass(frozen=True, slots=True)
class NoPicture:
    """Answer a success whose picture is no picture; it was billed."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Take the request, and never answer; it was billed."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Take the request, and cut the connection without a byte of answer; it was billed."""


@dataclass(frozen=True, slots=True)
class CutShort:
    """Cut the connection in the middle of a good answer; it was billed."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Answer without an end, or more than anybody would keep; it was billed."""


Behaviour: TypeAlias = (
    Ok
    | RateLimited
    | Unavailable
    | Refused
    | Rejected
    | Unauthorized
    | OutOfMoney
    | Garbage
    | Empty
    | NoPicture
    | Hang
    | Reset
    | CutShort
    | TooLarge
)

BEHAVIOURS: Final[tuple[type[Behaviour], ...]] = get_args(Behaviour)
"""Every behaviour there is."""
