"""All requirements of the contract, each with its check."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from host_stub.conformance import checks
from host_stub.conformance.requirement import TRIALS, Requirement, sentences


class KitFault(Exception):
    """The kit is not whole."""


def requirements() -> tuple[Requirement, ...]:
    """Return the requirements, in order.

    Raises:
        KitFault: One has no check, or a check no requirement.
    """
    for module in iter_modules(checks.__path__):
        import_module(f"{checks.__name__}.{module.name}")
    known = sentences()
    if known.keys() != TRIALS.keys():
        lost = ", ".join(sorted(known.keys() ^ TRIALS.keys()))
        raise KitFault(f"requirements and checks do not match: {lost}")
    return tuple(
        Requirement(id=name, sentence=sentence, trial=TRIALS[name])
        for name, sentence in known.items()
    )
