"""A requirement: a sentence of the contract's set, and the check that tries it.

The sentences stand in ``requirements.toml``, and never change once the contract is closed; the
checks register themselves here, and may be made better at any time.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Literal, TypeAlias

from host_stub.conformance.lab import Lab

Need: TypeAlias = Literal["description", "stage", "backend"]
"""What a check has to have: the loaded plugin, a stage that can be run harmlessly, or a backend."""
Check: TypeAlias = Callable[[Lab], str]
"""Tries the plugin, and returns what was seen; raises ``Broken`` or ``NotShown``."""

PAGE: Final = "docs/conformance.md"
"""The page that explains them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a requirement is tried.

    Attributes:
        id: The requirement's name.
        check: What tries it.
        needs: What it has to have.
        capability: The capability that a plugin must declare for it to be asked, if any.
        behaviours: Names of what the backend is told; a case may lack one and say why.
        alone: It looks at the whole process, and has one to itself.
    """

    id: str
    check: Check
    needs: Need
    capability: str | None = None
    behaviours: tuple[str, ...] = ()
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A rule that a plugin keeps.

    Attributes:
        id: Its name.
        sentence: The rule.
        trial: How it is tried.
    """

    id: str
    sentence: str
    trial: Trial

    @property
    def link(self) -> str:
        """Where it is explained."""
        return f"{PAGE}#{self.id.replace('.', '')}"


TRIALS: Final[dict[str, Trial]] = {}
"""Every check, by its requirement's name; :mod:`host_stub.conformance.catalogue` fills it."""


def tries(
    name: str,
    *,
    needs: Need = "stage",
    capability: str | None = None,
    behaviours: tuple[str, ...] = (),
    alone: bool = False,
) -> Callable[[Check], Check]:
    """Register a check; the arguments are those of :class:`Trial`."""

    def register(check: Check) -> Check:
        if name in TRIALS:
            raise ValueError(f"two checks of {name}")
        TRIALS[name] = Trial(
            id=name,
            check=check,
            needs=needs,
            capability=capability,
            behaviours=behaviours,
            alone=alone,
        )
        return check

    return register


def sentences() -> dict[str, str]:
    """Return the sentence of each requirement by its name, in their order."""
    text = files("host_stub.conformance").joinpath("requirements.toml")
    document: dict[str, dict[str, str]] = tomllib.loads(text.read_text(encoding="utf-8"))
    return document["requirements"]
