"""What providers said of requests whose answer was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from stage3_plugin.domain.purchase import AskedFor
from stage3_plugin.domain.states import State
from stage3_plugin.maintenance.next_steps import AT_A_TIME, Next
from stage3_plugin.maintenance.report import (
    SHORT,
    Report,
    counted,
    grouped,
    moment,
    route,
    together,
    token_of,
    usd,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Report):
    """What asking came to.

    Attributes:
        asked: Each purchase.
        config: The option that finds the config from here.
    """

    FORMAT: ClassVar[str] = "stage3-ask/1"
    asked: Sequence[AskedFor]
    config: tuple[str, ...]

    def keys(self) -> Mapping[str, object]:
        """Return each purchase, and by what proof it is what it is."""
        asked = [
            {
                "state_before": one.before.state,
                "purchase": one.after,
                "answered": one.asking and one.asking.answered,
                "asked_at": one.asking and one.asking.at,
                "asked_why": one.asking and one.asking.why,
            }
            for one in self.asked
        ]
        return {"format": self.FORMAT, "asked": asked}

    def told(self) -> Iterator[str]:
        """Yield a line or two for each purchase, and what all came to."""
        if not self.asked:
            yield (
                "there is nothing to ask for: no request is without an answer whose provider lists "
                "what it was sent; 'stage3 attempts' shows what waits for you"
            )
            return
        for group in grouped(
            self.asked, lambda one: (together(one.before), one.before.state, one.after.state)
        ):
            yield from _told(group)
        yield ""
        states = Counter(one.after.state for one in self.asked)
        freed = sum(
            one.before.counted_microusd for one in self.asked if one.after.state is State.REFUSED
        )
        step = "; the next run takes in what was found" if states[State.ACCEPTED] else ""
        if states[State.UNKNOWN]:
            step += "; ask again later, or decide with 'stage3 resolve'"
        yield (
            f"asked for {len(self.asked)}: {states[State.ACCEPTED] + states[State.PAID]} found, "
            f"{states[State.REFUSED]} never arrived (${usd(freed)} free again), "
            f"{states[State.UNKNOWN]} still unknown{step}"
        )

    def steps(self) -> Iterator[Next]:
        """Yield what may come next: to stay for what was found, above all."""
        states = {one.after.state for one in self.asked}
        if State.ACCEPTED in states:
            yield Next(
                ("stage3", "wait", "--for", AT_A_TIME, *self.config, "--json"),
                "stays for what is being made, and takes it in; it buys nothing",
            )
        if State.UNKNOWN in states:
            yield Next(
                ("stage3", "attempts", *self.config, "--json"),
                "shows what is still unknown, and how each is decided",
            )


def _told(group: Sequence[AskedFor]) -> Iterator[str]:
    """Say what asking for a purchase came to, or for lines of a batch that came to the same."""
    one, new, token = group[0], group[0].after.new, token_of(group[0].before)
    name = f"{new.attempt_id[:SHORT]}  {new.scene_id}"
    if token is not None:
        name = f"batch {token[:SHORT]}  {counted(len(group), 'line')}"
    yield f"{name}  {one.before.state} -> {one.after.state}  {route(new.endpoint)}"
    if one.asking is not None:
        yield f"    asked {moment(one.asking.at)}: {one.asking.why}"
    elif one.after.state is State.UNKNOWN:
        yield "    its provider has no listing that could be asked, or it could not be reached"
