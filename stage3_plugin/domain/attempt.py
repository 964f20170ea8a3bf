"""What an attempt at a picture came to, bought or drawn."""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.domain.job import BeingMade
from stage3_plugin.domain.money import Charge
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.errors import StorageFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPicture:
    """A picture that was bought and is not here yet.

    Attributes:
        address: Where it should be, without what a signed address carries in its query.
        problem: What went wrong, in words.
        needs_setting: It stays away until a setting is changed.
    """

    address: str
    problem: str
    needs_setting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """What came of an attempt.

    Attributes:
        verdict: What it came to; ``PICTURES`` only if ``picture`` is stored.
        cost: Of this attempt alone.
        picture: The stored picture.
        image_url: The provider's address of it, if it gave one.
        dropped: Wishes that could not be expressed.
        interrupted: It was cut short by us.
        storage: The disk failed.
        stays_open: The whole answer lies in the spool and could not be taken in now; a later
            start takes it in.
        not_here: Its picture's address did not give it, and may yet.
        making: Its picture is being made at a provider with a queue; a later start asks for it.
        never_sent: It could not even be put into a request, and would not be the next time.
        took_s: Seconds from sending to the whole answer, if it came.
    """

    verdict: Verdict
    cost: Charge
    picture: Picture | None = None
    image_url: str | None = None
    dropped: tuple[str, ...] = ()
    interrupted: bool = False
    storage: StorageFailed | None = None
    stays_open: bool = False
    not_here: MissingPicture | None = None
    making: BeingMade | None = None
    never_sent: bool = False
    took_s: float | None = None

    @property
    def leaves_evidence(self) -> bool:
        """Return whether what was received must be kept: paid for, perhaps, and no picture."""
        return self.picture is None and self.verdict.may_be_billed
