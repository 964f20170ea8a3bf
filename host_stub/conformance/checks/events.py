"""What a run reports while it happens, beside what it delivers."""

from __future__ import annotations

from decimal import Decimal

from host_stub.conformance.behaviours import Refused, Unavailable
from host_stub.conformance.checks.concurrency import held_a_moment
from host_stub.conformance.checks.seen import retried, with_backend
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Heard, Recorded
from host_stub.conformance.verdict import Broken, NotShown

_ENDS = ("scene.finished", "scene.failed", "scene.retried")
_GAVE_UP = ("scene.retried", "scene.failed")
"""Ended while it waited to start again."""
_LAST = ("scene.finished", "scene.failed", "scene.skipped", "scene.reused")


def weather(lab: Lab) -> Recorded:
    """Run four scenes: one is refused, one meets a busy service first, if there is a backend."""
    scenes = lab.scenes(4)
    if lab.backend is not None:
        if "Refused" not in lab.case.cannot:
            lab.tell(scenes[1], *(Refused() for _ in range(20)))
        if "Unavailable" not in lab.case.cannot:
            lab.tell(scenes[2], Unavailable())
    return lab.well(lab.run(scenes))


@with_backend("events.valid", is_needed=False)
def valid(lab: Lab) -> str:
    """Run four scenes, of which one is refused and one tried again, and check each event."""
    ran = weather(lab)
    for one in ran.heard:
        if one.problems:
            raise Broken(f"{one.name} is not as the contract has it: {'; '.join(one.problems)}")
    count = sum(one.is_of_contract for one in ran.heard)
    if not count:
        raise Broken("it logged no event of the contract")
    return f"{count} events, all as the contract has them"


@with_backend("events.of-the-stage", is_needed=False)
def of_the_stage(lab: Lab) -> str:
    """Run four scenes, of which one is refused and one tried again, and look at the order."""
    ran = weather(lab)
    names = [one.name for one in ran.heard if one.is_of_contract]
    for name in ("stage.started", "stage.finished"):
        if names.count(name) != 1:
            raise Broken(f"{name} was logged {names.count(name)} times")
    before = names[: names.index("stage.started")]
    behind = names[names.index("stage.finished") + 1 :]
    outside = [name for name in (*before, *behind) if name.startswith("scene.")]
    if outside:
        raise Broken(f"{outside[0]} was logged outside stage.started and stage.finished")
    return "stage.started came first and stage.finished last"


@with_backend("events.paired", is_needed=False)
def paired(lab: Lab) -> str:
    """Run four scenes, of which one is refused and one tried again, and pair starts with ends."""
    ran = weather(lab)
    last: dict[tuple[str, int], str] = {}
    for one in ran.events("scene.started", *_ENDS):
        key, before = _picture(one), last.get(_picture(one), "")
        if one.name == "scene.started" and before == one.name:
            raise Broken(f"scene.started of {key[0]} came twice, with no end between")
        may_end = before == "scene.started" or (before, one.name) == _GAVE_UP
        if one.name != "scene.started" and not may_end:
            raise Broken(f"{one.name} of {key[0]} came without a scene.started before")
        last[key] = one.name
    open_ones = [key[0] for key, name in last.items() if name == "scene.started"]
    if open_ones:
        raise Broken(f"scene.started of {open_ones[0]} has no end")
    if not last:
        raise Broken("it logged no scene.started")
    return f"{len(last)} scenes started, and each start has its end"


@with_backend("events.as-delivered", is_needed=False)
def as_delivered(lab: Lab) -> str:
    """Run four scenes, of which one is refused and one tried again, and compare both."""
    ran = weather(lab)
    said: dict[tuple[str, int], list[str]] = {}
    for one in ran.events(*_LAST):
        said.setdefault(_picture(one), []).append(_ending(one))
    for delivered in ran.delivered:
        outcome = delivered.outcome
        failed = "made" if outcome.failure is None else outcome.failure.code
        told = said.get((outcome.scene_id, outcome.take), [])
        if told != ["reused" if outcome.reused else failed]:
            heard = ", ".join(told) or "nothing"
            raise Broken(
                f"{outcome.scene_id} was delivered as {failed!r}, and its events say {heard}"
            )
    return f"events and outcomes agree about {len(ran.delivered)} scenes"


def _ending(one: Heard) -> str:
    if one.name == "scene.finished":
        return "made"
    return "reused" if one.name == "scene.reused" else str(one.event.get("code"))


def _picture(one: Heard) -> tuple[str, int]:
    return str(one.event.get("scene_id")), int(one.event.get("take", 1))


@with_backend("events.costs-add-up", is_needed=False)
def costs_add_up(lab: Lab) -> str:
    """Run four scenes, of which one is refused and one tried again, and add up both."""
    ran = weather(lab)
    costs = [one.event.get("cost_usd") for one in ran.events("scene.finished", "scene.failed")]
    said = sum((Decimal(str(usd)) for usd in costs if usd is not None), Decimal(0))
    known = [one.outcome.cost.usd for one in ran.delivered]
    told = sum((usd for usd in known if usd is not None), Decimal(0))
    if said != told:
        raise Broken(f"the events add up to {said} USD, and the outcomes to {told} USD")
    return f"events and outcomes add up to {told} USD"


@with_backend("events.attempts", behaviours=("Unavailable",), capability="retries")
def attempts(lab: Lab) -> str:
    """Have a scene meet a busy service once, and compare ``attempts`` with the requests."""
    ran, scene = retried(lab, Unavailable())
    asked, said = len(lab.service.calls(scene.scene_id)), ran.outcomes[0].attempts
    if said != asked:
        raise Broken(f"the outcome says {said} attempts, and {asked} requests came")
    return f"the outcome says {said} attempts, and {asked} requests came"


@with_backend("events.retries", behaviours=("Unavailable",), capability="retries")
def retries(lab: Lab) -> str:
    """Have a scene meet a busy service once, and compare the events with the requests."""
    ran, scene = retried(lab, Unavailable())
    asked, said = len(lab.service.calls(scene.scene_id)), len(ran.events("scene.retried"))
    if said != asked - 1:
        raise Broken(f"{asked} requests came, and scene.retried was logged {said} times")
    return f"{asked} requests came, and scene.retried was logged {said} times"


@with_backend("events.within-the-ceiling", is_needed=False)
def within_the_ceiling(lab: Lab) -> str:
    """Allow two at once, answer none of six scenes for a moment, and follow the events."""
    scenes = lab.scenes(6)
    ran = lab.well(lab.run(scenes, max_in_flight=2, during=held_a_moment(lab, scenes)))
    at_once = most = 0
    for one in ran.events("scene.started", *_ENDS):
        at_once += 1 if one.name == "scene.started" else -1
        most = max(most, at_once)
    if not most:
        raise NotShown("it logged no scene.started")
    if most > 2:
        raise Broken(f"2 were allowed at once, and by its events {most} were in work")
    return f"2 were allowed at once, and by its events {most} were in work"
