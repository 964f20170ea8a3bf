"""Each requirement catches a plugin that breaks it, and no other requirement does.

What shows only in a process of its own is tried there, and the paragon with all of it; the rest is
tried in this one, which takes a third of the time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from host_stub.conformance.catalogue import requirements
from tests.kit.mutants import MUTANTS, PARAGON
from tests.kit.trying import CASE, conform, conform_here, install

APART = [
    one.id
    for one in requirements()
    if one.id in MUTANTS and (one.trial.alone or one.id.startswith("hooks."))
]
"""They are about a plugin's import, and about what else a process shows."""


def test_the_paragon_keeps_everything(tmp_path: Path) -> None:
    """The control: what the mutants are made of has nothing wrong with it."""
    install(tmp_path, PARAGON, name="paragon", case=CASE % 60)

    tried = conform(tmp_path, "paragon")

    assert tried.named("fail", "harness_error", "known_deviation") == {}, tried.said
    assert tried.code == 0
    assert tried.named("pass").keys() >= MUTANTS.keys()


def test_the_paragon_keeps_here_whatever_is_tried_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rule that has a mutant of those below is tried, and this process breaks none."""
    install(tmp_path, PARAGON, name="paragon", case=CASE % 60)

    verdicts = conform_here(tmp_path, "paragon", monkeypatch)

    assert {name for name, (verdict, _) in verdicts.items() if verdict != "pass"} == set()
    assert verdicts.keys() >= MUTANTS.keys() - APART


@pytest.mark.parametrize("requirement", APART)
def test_a_mutant_is_caught_by_its_requirement_alone(requirement: str, tmp_path: Path) -> None:
    """One thing is broken, and one rule says so, with what was seen."""
    name = _installed(tmp_path, requirement)

    tried = conform(tmp_path, name)

    assert tried.named("fail", "harness_error").keys() == {requirement}, tried.document
    assert tried.named("fail")[requirement]
    assert tried.code == 1


@pytest.mark.parametrize("requirement", [name for name in MUTANTS if name not in APART])
def test_a_mutant_is_caught_here_by_its_requirement_alone(
    requirement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Likewise."""
    name = _installed(tmp_path, requirement)

    verdicts = conform_here(tmp_path, name, monkeypatch)

    missed = {name: said for name, said in verdicts.items() if said[0] not in {"pass", "skipped"}}
    assert missed.keys() == {requirement}, missed
    assert missed[requirement][0] == "fail"
    assert missed[requirement][1]


def _installed(folder: Path, requirement: str) -> str:
    """Install the plugin that breaks a requirement, and return its name."""
    mutant = MUTANTS[requirement]
    name = requirement.replace(".", "_").replace("-", "_")
    install(folder, mutant.source, name=name, case=CASE % 60, target=mutant.target)
    return name
