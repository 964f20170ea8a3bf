"""Plugins as an author installs them, in a folder of their own, and the kit tried on each.

A plugin here is a module and the metadata of a distribution: found by name like any installed one,
for the processes whose ``PYTHONPATH`` has its folder.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from host_stub.conformance.catalogue import requirements
from host_stub.conformance.worker import DESCRIBE, Bench

CASE = """
from host_stub.conformance import Case

case = Case(
    keeps=(".paragon",),
    wrong_settings={"a size that is none": {"size": "large"}},
    sizes=("64x48", "48x64"),
    patience_s=%s,
)
"""
"""The case of the paragon, and of what is made of it."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What the command came to."""

    code: int
    document: Mapping[str, Any]
    said: str

    def named(self, *verdicts: str) -> dict[str, str]:
        """Return what was seen of each requirement with one of these verdicts."""
        return {
            result["id"]: result["detail"]
            for result in self.document["results"]
            if result["verdict"] in verdicts
        }


def install(
    folder: Path, source: str, *, name: str, case: str | None = None, target: str | None = None
) -> Path:
    """Write a plugin as an installed distribution has it, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    module = f"{name}_plugin"
    folder.joinpath(f"{module}.py").write_text(source, encoding="utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    info.joinpath("METADATA").write_text(metadata, encoding="utf-8")
    points = f"[host_stub.plugins]\n{name} = {target or module}\n"
    if case is not None:
        folder.joinpath(f"{name}_case.py").write_text(case, encoding="utf-8")
        points += f"[host_stub.conformance]\n{name} = {name}_case:case\n"
    info.joinpath("entry_points.txt").write_text(points, encoding="utf-8")
    return folder


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``host-stub`` where a folder's plugins are installed."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "host_stub", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def conform(folder: Path, name: str, *words: str) -> Tried:
    """Try a plugin of a folder."""
    ended = command(folder, "conform", name, "--json", *words)
    return Tried(ended.returncode, json.loads(ended.stdout), ended.stderr)


def conform_here(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, tuple[str, str]]:
    """Try a plugin of a folder in this process.

    Nothing is tried that needs a process of its own, a backend, or what the plugin does not claim
    to be capable of.

    Returns:
        Each requirement's verdict and what was seen.
    """
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    importlib.invalidate_caches()
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    bench = Bench(name, None)
    facts = bench.answer(DESCRIBE, folder)
    tried = {facts.get("broken", DESCRIBE): (facts["verdict"], facts["detail"])}
    if facts["verdict"] != "pass":  # it cannot be used, and nothing else can be said of it
        return tried
    for requirement in requirements():
        trial = requirement.trial
        is_claimed = trial.capability is None or facts["capabilities"][trial.capability]
        if requirement.id in tried or trial.alone or trial.needs == "backend" or not is_claimed:
            continue
        room = folder / "rooms" / requirement.id
        room.mkdir(parents=True)
        answer = bench.answer(requirement.id, room)
        tried[requirement.id] = answer["verdict"], answer["detail"]
    return tried
