"""The front pages: commands that can be copied, links that lead somewhere, files that are there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.rules.repository import ROOT, blocks

COMMANDS = {
    "demo": "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox -e demo",
    "tests": "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox -e tests",
}


def readme() -> str:
    """Read it."""
    return (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_stands_there_to_be_copied(name: str) -> None:
    """Each of the two commands is a line of its own in a code block."""
    lines = [line for block in blocks(readme(), "console") for line in block.splitlines()]

    assert COMMANDS[name] in lines


def test_the_demo_renders_the_story_that_is_shown() -> None:
    """The demo's command is the one whose pictures the README shows."""
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    demo = tox.partition("[testenv:demo]")[2]

    assert "host-stub run docs/examples/lighthouse.json" in demo
    assert (ROOT / "docs" / "examples" / "lighthouse.json").exists()


def test_the_changelog_has_the_version() -> None:
    """Who upgrades finds what changed under the number that was installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.search(rf"^## {re.escape(project['version'])} ", changes, re.MULTILINE)


def test_contributing_has_its_checklists() -> None:
    """What is added or changed most often, and what is most dangerous, has a list each."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:stage3_plugin|host_stub|docs|tests)/[\w./]*)`", text))

    assert {
        "## Add a setting",
        "## Add an event",
        "## Change the ledger",
        "## Add a provider",
    } <= set(text.splitlines())
    assert named
    assert [path for path in sorted(named) if not Path(ROOT, path).exists()] == []
