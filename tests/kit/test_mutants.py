"""Each requirement catches a plugin that breaks it, and no other requirement does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.mutants import MUTANTS, PARAGON
from tests.kit.trying import CASE, conform, install


def test_the_paragon_keeps_everything(tmp_path: Path) -> None:
    """The control: what the mutants are made of has nothing wrong with it."""
    install(tmp_path, PARAGON, name="paragon", case=CASE % 60)

    tried = conform(tmp_path, "paragon")

    assert tried.named("fail", "harness_error", "known_deviation") == {}, tried.said
    assert tried.code == 0
    assert tried.named("pass").keys() >= MUTANTS.keys()


@pytest.mark.parametrize("requirement", MUTANTS)
def test_a_mutant_is_caught_by_its_requirement_alone(requirement: str, tmp_path: Path) -> None:
    """One thing is broken, and one rule says so, with what was seen."""
    mutant = MUTANTS[requirement]
    name = requirement.replace(".", "_").replace("-", "_")
    install(tmp_path, mutant.source, name=name, case=CASE % 60, target=mutant.target)

    tried = conform(tmp_path, name)

    assert tried.named("fail", "harness_error").keys() == {requirement}, tried.document
    assert tried.named("fail")[requirement]
    assert tried.code == 1
