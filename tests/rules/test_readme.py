"""The first page a stranger reads: its commands, its length, its picture, its warnings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.rules.repository import ROOT, blocks

COMMANDS = {
    "demo": "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox -e demo",
    "all": "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox",
}
MOST_LINES = 120
MOST_PICTURE_BYTES = 400_000


def readme() -> str:
    """Read it."""
    return (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_stands_there_to_be_copied(name: str) -> None:
    """Each of the two commands is a line of its own in a code block."""
    lines = [line for block in blocks(readme(), "console") for line in block.splitlines()]

    assert COMMANDS[name] in lines


def test_continuous_integration_runs_what_the_readme_says() -> None:
    """There is no second way to run everything that could pass where a stranger's fails."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert COMMANDS["all"] in script.splitlines()


def test_the_readme_is_short() -> None:
    """It is read to its end or not at all."""
    assert len(readme().splitlines()) <= MOST_LINES


def test_every_link_of_the_front_pages_leads_somewhere() -> None:
    """A checkout has no web server: links are files."""
    missing = [
        f"{page}: {target}"
        for page in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
        if not target.startswith("https://") and not (ROOT / target).exists()
    ]

    assert missing == []


def test_the_picture_is_real_and_modest() -> None:
    """The demo's pictures are seen before it is run, and a clone stays small."""
    path = ROOT / "docs" / "images" / "lighthouse.jpg"
    content = path.read_bytes()

    assert f"]({path.relative_to(ROOT).as_posix()})" in readme()
    assert content.startswith(b"\xff\xd8\xff")
    assert content.rstrip(b"\0").endswith(b"\xff\xd9")
    assert 20_000 < len(content) <= MOST_PICTURE_BYTES


def test_the_demo_renders_the_story_that_is_shown() -> None:
    """The demo's command is the one whose pictures the README shows."""
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    demo = tox.partition("[testenv:demo]")[2]

    assert "host-stub run docs/examples/lighthouse.json" in demo
    assert (ROOT / "docs" / "examples" / "lighthouse.json").exists()


def test_what_costs_money_is_told_on_the_first_page() -> None:
    """Nobody pays for not having been told: what a cap is, what forgets, and what 4 means."""
    told = " ".join(readme().split())

    assert "budget_usd" in readme()
    assert "deleting `.stage3/` means paying again" in told
    assert "code 4, an answer was lost and may have been billed" in told
    assert "`stage3 attempts` shows it, `stage3 resolve` decides it" in told
    assert "](docs/costs-and-retries.md)" in readme()


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
