"""Secrets of the settings, where a service repeats them: they are seen nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterable

from host_stub.conformance.behaviours import Unauthorized
from host_stub.conformance.checks.seen import with_backend
from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.verdict import Broken, NotShown


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
