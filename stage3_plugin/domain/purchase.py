"""What goes into the ledger and what comes out of it, as plain values.

Apart from the ledger itself, so that the stage, the plan and the command line can speak of
purchases without opening a database. Money is whole micro-USD; moments are aware UTC datetimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, TypeAlias

from host_stub.contract import CostBasis
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import Job, NewJob
from stage3_plugin.domain.money import Charge
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.states import COUNTED, State

CapName: TypeAlias = Literal["budget_usd", "daily_usd", "total_usd"]
"""A cap by the setting it comes from."""

DecidedBy: TypeAlias = Literal["policy", "user"]
"""Who decided about an unknown outcome: the setting ``on_unknown``, or a person."""


REFUSED_FOR = "refused_for"
"""The detail of a bill for a refusal that says what it was about; no other bill has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPurchase:
    """A request that is about to be paid for.

    Attributes:
        attempt_id: 32 hex digits, new for every request; its spool folder has this name.
        scene_key: See :func:`~stage3_plugin.domain.keys.scene_key`.
        scene_id: For people.
        run_id: The owner, whose lock is held as long as it lives.
        endpoint: Where it is sent, and so how its answer is to be read.
        size: ``WIDTHxHEIGHT`` asked for.
        quality: Asked for.
        is_local: Made on this machine, free: there is no unknown, it may run again.
        hold_microusd: The most it can cost by the price table; 0 where no price is known.
        content_key: What was wanted, whatever the address it was sent to.
        base_key: What :attr:`scene_key` would be without the pictures that the request shows the
            model; ``None`` if it shows none.
        subject_key: What was wanted, whatever route it was bought by.
        slot: Which of the wanted pictures of that it is bought as, from 1; the ledger's column is
            ``take``.
        job: Its job, where its provider has a queue or can list what it was sent.
        line: Which line of its job it is, where many purchases are one.
    """

    attempt_id: str
    scene_key: str
    scene_id: str
    run_id: str
    endpoint: Endpoint
    size: str
    quality: str
    is_local: bool
    hold_microusd: int
    content_key: str
    subject_key: str
    base_key: str | None = None
    slot: int = 1
    job: NewJob | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """What a settlement says, and its row then has.

    Attributes:
        state: Where it goes, or stands.
        cost_microusd: What it cost; ``None`` if that is not known. Ignored where nothing counts.
        why: One line for people, of the last change.
        picture: For ``PAID``.
        image_url: The provider's address of the picture, if it gave one.
        details: Facts about the picture worth keeping, such as a revised prompt.
        dropped: Wishes that could not be expressed.
        took_s: Seconds from sending to the whole answer, for plans; ``None`` if it did not come.
        decided_by: Who decided, or corrected the cost; needed for ``WROTE_OFF``, and a person to
            give up a ``PAID`` one.
        request_id: The provider's name of the exchange; what is known of it already stays.
    """

    state: State
    cost_microusd: int | None = None
    why: str = ""
    picture: Picture | None = None
    image_url: str | None = None
    details: Mapping[str, str] = field(default_factory=dict[str, str])
    dropped: tuple[str, ...] = ()
    took_s: float | None = None
    decided_by: DecidedBy | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement(_Ending):
    """How a purchase ended, and how its cost is known."""

    basis: CostBasis = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase(_Ending):
    """One row: what was bought, where it stands, and what it cost.

    Attributes:
        new: What it began as.
        day: The day its money counts for, in the ledger's time zone.
        held_at: When its money was held.
        changed_at: When it came to its state.
        basis: How the cost is known; ``None`` while it is not settled.
        job: Its job as it stands, if it has one.
    """

    new: NewPurchase
    day: date
    held_at: datetime
    changed_at: datetime
    basis: CostBasis | None = None
    job: Job | None = None

    @property
    def counted_microusd(self) -> int:
        """Return what it adds to the counters: its cost if that is known, else its hold.

        Nothing for a state that does not count.
        """
        if self.state not in COUNTED:
            return 0
        return self.new.hold_microusd if self.cost_microusd is None else self.cost_microusd

    @property
    def is_billed_refusal(self) -> bool:
        """Return whether a whole answer was a refusal, and billed; what a person said is none."""
        is_ours = self.decided_by is None
        return self.state is State.PAID_BAD and is_ours and REFUSED_FOR in self.details

    @property
    def counted_basis(self) -> CostBasis | None:
        """Return how the counted amount is known: ``held`` where it ended with an unknown cost.

        A row says ``unknown`` of a picture whose answer had no bill; in the run's report, as in the
        counters, its hold stands for it. In-sync with ``TALLIES`` of :mod:`.statements`.
        """
        is_untold = self.basis == "unknown" and self.cost_microusd is None
        return "held" if is_untold and self.new.hold_microusd else self.basis

    @property
    def counted_cost(self) -> Charge:
        """Return what a picture counts for; what was held, where nobody said what it cost."""
        basis = self.counted_basis
        if basis is None or basis == "unknown":
            return Charge(None, "unknown")
        return Charge(self.counted_microusd, basis)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A cost that a person put right; what was there stays known.

    Attributes:
        old_microusd: The figure that was there; ``None`` if none was known.
        new_microusd: The figure that counts since.
        at: When.
        why: One line for people.
    """

    old_microusd: int | None
    new_microusd: int
    at: datetime
    why: str


Answered: TypeAlias = Literal["found", "absent", "cannot_tell"]
"""What asking for a lost request came to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A provider was asked for a request whose answer was lost.

    Attributes:
        answered: What that came to.
        at: When.
        why: By what proof, or what keeps it from being one; one line for people.
        listed_at: When its whole listing was read, by the provider's clock; ``None`` if there was
            none, or it does not say.
    """

    answered: Answered
    at: datetime
    why: str
    listed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A moment at which a request or a batch was not known to its provider.

    For a request its whole listing was read, and its outcome was unknown already.

    Attributes:
        at: By the wall clock here.
        listed_at: By the provider's clock.
    """

    at: datetime
    listed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFor:
    """A purchase that was asked for.

    Attributes:
        before: As it stood.
        after: As it stands now.
        asking: What its provider said last of a lost request, if it was ever asked.
    """

    before: Purchase
    after: Purchase
    asking: Asking | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The caps of one run in micro-USD; ``None`` is no cap."""

    budget_microusd: int | None = None
    daily_microusd: int | None = None
    total_microusd: int | None = None

    @property
    def any(self) -> bool:
        """Return whether there is a cap at all."""
        return (self.budget_microusd, self.daily_microusd, self.total_microusd) != (None,) * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The money is held, and the request may be sent: the purchase's row is durable.

    Attributes:
        attempt_id: Its purchase.
        hold_microusd: How much.
        token: What was drawn to find its job by, if it has one.
        number: Which take of its wish it is; see :meth:`~stage3_plugin.domain.keys.Keys.take_of`.
        line: Which line of its job it is, where many purchases are one.
        held_at: When, by the wall clock, which goes on while a machine sleeps.
    """

    attempt_id: str
    hold_microusd: int
    token: str | None = None
    number: int = 1
    line: int | None = None
    held_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverCap:
    """A hold that does not fit under a cap; nothing was changed.

    Attributes:
        cap: Which one; the tightest if it is several.
        limit_microusd: The cap.
        committed_microusd: Held and spent under it, by all runs.
        needed_microusd: The hold that did not fit.
        open_here: Purchases this run has in work; they may settle for less than they hold.
        day: The day the hold would have counted for.
    """

    cap: CapName
    limit_microusd: int
    committed_microusd: int
    needed_microusd: int
    open_here: int
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What the counters say, in micro-USD.

    Attributes:
        total_microusd: Held and spent since the ledger was made.
        run_microusd: Of one run.
        day_microusd: Of one provider on one day.
    """

    total_microusd: int
    run_microusd: int
    day_microusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All purchases of one state.

    Attributes:
        count: How many.
        counted_microusd: What they add to the counters.
        unknown_costs: How many of them count although their cost is not known.
        held_costs: How many of those are settled, and count what was held for them.
    """

    count: int = 0
    counted_microusd: int = 0
    unknown_costs: int = 0
    held_costs: int = 0
