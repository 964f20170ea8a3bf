"""All requirements of a contract, each with its check."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from host_stub.conformance import checks
from host_stub.conformance.requirement import SETS, TRIALS, Requirement, sentences


class KitFault(Exception):
    """The kit is not whole."""


def requirements_of(contract: str) -> tuple[Requirement, ...]:
    """Return the requirements that hold for a plugin of this contract, in order.

    Raises:
        KitFault: One has no check, or a check no requirement.
    """
    for module in iter_modules(checks.__path__):
        import_module(f"{checks.__name__}.{module.name}")
    everything = {name for name, _, _ in sentences(SETS[-1])}
    if everything != TRIALS.keys():
        lost = ", ".join(sorted(everything ^ TRIALS.keys()))
        raise KitFault(f"requirements and checks do not match: {lost}")
    return tuple(
        Requirement(id=name, sentence=sentence, since=since, trial=TRIALS[name])
        for name, sentence, since in sentences(contract)
    )
