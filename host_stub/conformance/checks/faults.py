"""What the service says no to, or cannot do for now; and the secrets that it repeats."""

from __future__ import annotations

import json
from collections.abc import Iterable

from host_stub.conformance.behaviours import (
    OutOfMoney,
    RateLimited,
    Refused,
    Rejected,
    Unauthorized,
    Unavailable,
)
from host_stub.conformance.checks.seen import codes, failure_of, retried, with_backend
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import FailureCode

ENDLESS = 60
"""So many requests for one scene are without an end."""
_EARLIER_S = 0.005
"""A wait may seem that much shorter to a backend than to the plugin that waited."""


@with_backend("faults.retry-then-ok", capability="retries", behaviours=("Unavailable",))
def retry_then_ok(lab: Lab) -> str:
    """Answer the first request for a scene that the service is busy."""
    scene = lab.scene()
    lab.tell(scene, Unavailable())
    lab.made([scene])
    return "after a busy answer it asked again, and has the picture"


@with_backend("faults.gives-up", capability="retries", behaviours=("Unavailable",))
def gives_up(lab: Lab) -> str:
    """Answer every request that the service is busy, and count to sixty."""
    scene = lab.scene()
    lab.tell(scene, *(Unavailable() for _ in range(2 * ENDLESS)))
    ran = lab.run([scene], cancel_when=lambda _: len(lab.service.calls()) >= ENDLESS)
    if len(lab.service.calls()) >= ENDLESS:
        raise Broken(f"it was still asking after {ENDLESS} requests")
    failure = failure_of(lab.well(ran), scene)
    if failure.code != "unavailable":
        raise Broken(f"a service that is always busy ended as {failure.code!r}, not 'unavailable'")
    return f"it gave up after {len(lab.service.calls())} requests, with 'unavailable'"


@with_backend("faults.honours-retry-after", capability="retries", behaviours=("RateLimited",))
def honours_retry_after(lab: Lab) -> str:
    """Turn the first request away for the case's ``least_wait_s``, and time the second."""
    wait_s = lab.case.least_wait_s
    _, scene = retried(lab, RateLimited(wait_s))
    first, second = lab.service.calls(scene.scene_id)[:2]
    waited_s = second.begun_s - first.begun_s
    if waited_s < wait_s - _EARLIER_S:
        raise Broken(f"it was asked to wait {wait_s:g} s, and asked again after {waited_s:.3f} s")
    return f"it was asked to wait {wait_s:g} s, and waited {waited_s:.2f} s"


@with_backend("faults.no-retry-on-refusal", behaviours=("Refused",))
def no_retry_on_refusal(lab: Lab) -> str:
    """Refuse every request of a scene by policy, and count them."""
    return _once(lab, Refused(), "refused")


@with_backend("faults.no-retry-on-rejection", behaviours=("Rejected",))
def no_retry_on_rejection(lab: Lab) -> str:
    """Call every request of a scene wrong, and count them."""
    return _once(lab, Rejected(), "rejected")


@with_backend("faults.wrong-key", behaviours=("Unauthorized",))
def wrong_key(lab: Lab) -> str:
    """Call the key wrong at every request of a scene, and count them."""
    return _once(lab, Unauthorized(), "credentials")


@with_backend("faults.empty-account", behaviours=("OutOfMoney",))
def empty_account(lab: Lab) -> str:
    """Call the account empty at every request of a scene, and count them."""
    return _once(lab, OutOfMoney(), "out_of_money")


def _once(
    lab: Lab, answer: Refused | Rejected | Unauthorized | OutOfMoney, code: FailureCode
) -> str:
    """See to it that an answer which would come again is asked for once, and called by its code."""
    scene = lab.scene()
    lab.tell(scene, *(answer for _ in range(ENDLESS)))
    ran = lab.well(lab.run([scene], cancel_when=lambda _: len(lab.service.calls()) >= ENDLESS))
    failure = failure_of(ran, scene)
    asked = len(lab.service.calls(scene.scene_id))
    if asked != 1:
        raise Broken(f"it asked {asked} times, and would have got the same answer each time")
    if failure.code != code:
        raise Broken(f"the scene failed with {failure.code!r}, not {code!r}")
    return f"it asked once, and the scene failed with {code!r}"


@with_backend("faults.spares-others", behaviours=("Refused",))
def spares_others(lab: Lab) -> str:
    """Run three scenes one by one, and refuse the second."""
    scenes = lab.scenes(3)
    lab.tell(scenes[1], *(Refused() for _ in range(ENDLESS)))
    ran = lab.well(lab.run(scenes, max_in_flight=1))
    if codes(ran, scenes)[::2] != ["made", "made"]:
        raise Broken(f"one scene was refused, and the others are {codes(ran, scenes)[::2]}")
    return "the scenes before and after a refused one have their pictures"


@with_backend("secrets.not-in-events", behaviours=("Unauthorized",))
def not_in_events(lab: Lab) -> str:
    """Call the key wrong in words that have it in them, and look for it in the log."""
    ran = _repeated(lab)
    return _clean(lab, ((one.name, json.dumps(one.event, default=str)) for one in ran.heard))


@with_backend("secrets.not-in-outcomes", behaviours=("Unauthorized",))
def not_in_outcomes(lab: Lab) -> str:
    """Call the key wrong in words that have it in them, and look for it in the outcomes."""
    ran = _repeated(lab)
    outcomes = [(f"the outcome of {one.scene_id}", one.model_dump_json()) for one in ran.outcomes]
    summary = "" if ran.summary is None else ran.summary.model_dump_json()
    return _clean(lab, [*outcomes, ("the summary", summary), ("what it raised", str(ran.raised))])


@with_backend("secrets.not-in-results", behaviours=("Unauthorized",))
def not_in_results(lab: Lab) -> str:
    """Call the key wrong in words that have it in them, and look for it in the results."""
    _repeated(lab)
    paths = [path for path in lab.out.rglob("*") if path.is_file()]
    return _clean(lab, ((str(one), one.read_bytes().decode("latin-1")) for one in paths))


def _repeated(lab: Lab) -> Recorded:
    """Run a scene for which the key is refused, with the key in the answer, and one that is made.

    Raises:
        NotShown: The case has no secrets.
    """
    if not lab.service.secrets:
        raise NotShown("the case has no secret")
    good, bad = lab.scenes(2)
    lab.tell(bad, Unauthorized())
    ran = lab.run([good, bad], max_in_flight=1)
    if not lab.service.calls(bad.scene_id):
        raise NotShown("the scene whose key is refused was never asked for")
    return ran


def _clean(lab: Lab, texts: Iterable[tuple[str, str]]) -> str:
    looked = 0
    for where, text in texts:
        looked += 1
        if any(secret in text for secret in lab.service.secrets):
            raise Broken(f"a secret of the settings is in {where}")
    return f"the answer repeated the key, and it is in none of {looked} places"
