"""Every rule about what a service does is missed where it is broken, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from host_stub.conformance.case import Case
from host_stub.conformance.catalogue import requirements
from host_stub.conformance.lab import Lab, at_work
from host_stub.conformance.requirement import Requirement
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.plugins.loading import read_hooks
from tests.kit import model_plugin
from tests.kit.backend_mutants import MUTANTS, SUBTLER, Change
from tests.kit.model_service import case

SOURCE = Path(model_plugin.__file__).read_text(encoding="utf-8")
GROUPS = {
    "cancelling", "concurrency", "costs", "events", "faults", "hostile", "lifetime", "money",
    "resume", "secrets", "stopping", "unanswered",
}  # fmt: skip
PATIENT = replace(case, patience_s=20.0, least_wait_s=1.0)
"""For what is missed by waiting, or by not having waited."""
WAITED_FOR = {"concurrency.used", "faults.honours-retry-after", "hostile.hang"}


def tried_here(one: Requirement) -> bool:
    """Say whether a rule is tried in this process: not what looks at a process of its own."""
    return not (one.trial.alone or one.id.startswith("hooks."))


REQUIREMENTS = [one for one in requirements() if tried_here(one)]


@pytest.fixture
def module_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Change]], ModuleType]:
    """Return what makes a module of the model plugin's text with some words changed."""

    def make(changes: list[Change]) -> ModuleType:
        text = SOURCE
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
            text = text.replace(old, new)
        module = ModuleType("mutant_of_the_model_plugin")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(text, "mutant", "exec"), module.__dict__)
        return module

    return make


def verdicts(module: ModuleType, folder: Path, case: Case = case) -> Mapping[str, str]:
    """Try all that is tried here, and return what was not passed, with what was said."""
    loaded = read_hooks(module, name="model")
    plugin = loaded.describe()
    found: dict[str, str] = {}
    for number, requirement in enumerate(REQUIREMENTS):
        room = folder / str(number)
        room.mkdir()
        with at_work(case, needed=True) as backend:
            lab = Lab(
                loaded=loaded,
                plugin=plugin,
                case=case,
                has_case=True,
                folder=room,
                backend=backend,
            )
            try:
                requirement.trial.check(lab)
            except Broken as broken:
                found[requirement.id] = f"broken: {broken}"
            except NotShown as why:
                found[requirement.id] = f"not shown: {why}"
    return found


def broken(found: Mapping[str, str]) -> dict[str, str]:
    return {name: said for name, said in found.items() if said.startswith("broken")}


def test_the_model_plugin_keeps_every_rule(
    tmp_path: Path, module_of: Callable[[list[Change]], ModuleType]
) -> None:
    """It is what the mutants are made of; it keeps no survey of takes, and has no drafts."""
    found = verdicts(module_of([]), tmp_path)

    assert broken(found) == {}
    assert {name.partition(".")[0] for name in found} <= {"takes"}, found


def test_every_rule_of_these_groups_has_its_mutant() -> None:
    """A rule that nothing breaks might as well not be tried."""
    assert {one.id for one in REQUIREMENTS if one.id.partition(".")[0] in GROUPS} == set(MUTANTS)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught_by_its_rule_alone(
    name: str, tmp_path: Path, module_of: Callable[[list[Change]], ModuleType]
) -> None:
    """And by no other one, so that an author is told what is wrong and nothing else."""
    module = module_of(list(MUTANTS[name]))

    found = broken(verdicts(module, tmp_path, PATIENT if name in WAITED_FOR else case))

    assert set(found) == {name}, found


@pytest.mark.parametrize("name", SUBTLER)
def test_a_subtler_mutant_is_caught_by_its_rule_too(
    name: str, tmp_path: Path, module_of: Callable[[list[Change]], ModuleType]
) -> None:
    """A plugin that asks again after a timeout pays twice, however well it minds a cut line."""
    found = broken(verdicts(module_of(list(SUBTLER[name])), tmp_path))

    assert set(found) == {name}, found
