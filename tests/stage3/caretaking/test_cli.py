"""The ``stage3`` program as a whole: what it needs, how it ends, and its pages."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from host_stub.errors import EXIT_INTERRUPTED, EXIT_STARTING
from stage3_plugin.cli import ENDINGS
from stage3_plugin.maintenance.commands import COMMANDS
from stage3_plugin.maintenance.moving import Moved, MovedBack
from stage3_plugin.maintenance.state_folder import StateFolder
from tests import documents
from tests.rules.repository import blocks, page, section, table_rows
from tests.said import Say
from tests.stage3.caretaking.commands import run_process
from tests.stage3.caretaking.purchases import Project

FINDING = {"--state-dir", "--config"}
"""What finds the ledger, and is told of all commands at once."""


@pytest.mark.parametrize("words", [["attempts"], ["verify"], ["resolve", "abcdef", "--billed"]])
def test_without_a_ledger_it_says_where_it_looked(
    say: Say, project: Project, words: list[str]
) -> None:
    """And what to do; nothing is made."""
    said = say(*words)

    assert said.code == 2
    assert f"there is no ledger at {project.path}" in said.err
    assert "--state-dir DIR" in said.err
    assert said.out == ""
    assert not project.state_dir.exists()


def test_the_folder_above_is_recognised(say: Say, project: Project) -> None:
    """The project's folder is not its state folder, and the hint is the right one."""
    project.paid("one")

    said = say("attempts", "--state-dir", ".")

    assert said.code == 2
    assert f"did you mean --state-dir {project.state_dir}?" in said.err


def test_a_file_that_is_no_ledger_is_an_error(say: Say, project: Project) -> None:
    """It is told by name, and it stays as it is."""
    project.state_dir.mkdir()
    project.path.write_bytes(b"not a database at all" * 100)

    said = say("attempts", "--json")

    assert said.code == 2
    assert str(project.path) in said.json["error"]["message"]
    assert project.path.read_bytes() == b"not a database at all" * 100


def test_the_program_is_installed(project: Project) -> None:
    """``stage3`` is a command of its own, and goes through the same door."""
    attempt_id = project.unknown("one")

    listed = run_process("attempts", "--json")
    resolved = run_process("resolve", attempt_id[:8], "--billed", "--cost", "0.04")
    verified = run_process("verify")

    assert json.loads(listed.stdout)["attempts"][0]["attempt_id"] == attempt_id
    assert (resolved.returncode, verified.returncode) == (0, 0)
    assert project.purchase(attempt_id).cost_microusd == Decimal("0.04") * 10**6
    assert (listed.stderr, resolved.stderr, verified.stderr) == ("", "", "")


@pytest.mark.parametrize("words", [[], ["attempts", "--limit", "0"], ["verify", "x"]])
def test_what_it_does_not_understand_it_says(say: Say, words: list[str]) -> None:
    """In one line, with where to read more."""
    said = say(*words)

    assert said.code == 2
    assert said.err.startswith("error: ")
    assert "--help' tells how it is used" in said.err
    assert said.out == ""


def test_help_loads_next_to_nothing() -> None:
    """No database, no HTTP client, no imaging library, and none of the contract's models."""
    script = (
        "import sys; before = set(sys.modules)\n"  # what measures coverage has modules of its own
        "from stage3_plugin.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*set(sys.modules) - before, file=sys.stderr)"
    )

    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, encoding="utf-8"
    )

    assert "resolve" in result.stdout
    loaded = {name.partition(".")[0] for name in result.stderr.split()}
    assert loaded & {"httpx", "PIL", "sqlite3", "pydantic", "anyio", "pluggy", "rich"} == set()


def test_no_command_loads_a_client_or_a_library_of_pictures(project: Project) -> None:
    """Looking after a ledger needs neither network nor pictures' libraries."""
    project.paid("one")
    script = (
        "import sys; from stage3_plugin.cli import main\n"
        "codes = [main(['attempts']), main(['verify'])]\n"
        "print(codes, *sys.modules, file=sys.stderr)"
    )

    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, encoding="utf-8"
    )

    assert result.stderr.startswith("[0, 0]")
    assert {"httpx", "PIL", "pluggy", "rich"} & set(result.stderr.split()) == set()


def test_what_is_said_of_a_move_fits_its_schema(project: Project) -> None:
    """Also where no server is at hand: by the keys that are shipped, ``from`` among them."""
    folder = StateFolder(project.state_dir)
    rows = {"purchases": 2, "jobs": 2, "events": 2, "counters": 2, "meta": 2}
    at = "postgresql://there/media"
    place: dict[str, Any] = {"folder": folder, "ledger": at, "path": project.path}
    moved = Moved(**place, was_there=False, rows=rows)
    again = Moved(**place, was_there=True, rows={})

    for report in (moved, again, MovedBack(ledger=project.path)):
        assert documents.check({**report.data, "next_actions": []}) == []
    assert moved.data["from"] == str(project.path)
    assert "2 purchases, 2 jobs, 2 events, 2 counters, 2 notes" in moved.text
    assert "an earlier move had brought it there already" in again.text


# The pages


def test_every_command_is_documented() -> None:
    """Its options are on a page that is made from the parsers."""
    text = section(page("command-line.md"), "The ledger's own command: `stage3`")

    for name in COMMANDS:
        assert re.search(rf"^### `stage3 {name}\b", text, re.MULTILINE)


def test_the_exit_codes_are_documented() -> None:
    """In the page and in the program's own help."""
    text = section(page("command-line.md"), "How `stage3` ends")
    listed = [int(row[0]) for row in table_rows(text)]

    assert listed == [0, 1, EXIT_STARTING, 5, EXIT_INTERRUPTED]
    assert [int(code) for code in re.findall(r"(?<!\S)\d+(?!\S)", ENDINGS)] == listed


def test_the_example_of_the_page_runs(project: Project) -> None:
    """What a program is told to do works as it stands."""
    project.unknown("scene_007")
    (example,) = blocks(page("looking-after-a-ledger.md"), "python")

    result = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, check=True, encoding="utf-8"
    )

    assert result.stdout == "scene_007 42000 None\n"


def test_the_listing_of_the_page_is_what_is_said(say: Say, project: Project) -> None:
    """But for the id, which is another each time."""
    run_id, model = "9b1c5e0f4a7d4f0e8c2ab6d13f507e21", "openai/gpt-image-2.5-flare"
    attempt_id = project.unknown("scene_007", run_id=run_id, model=model)
    listing = next(
        block for block in blocks(page("looking-after-a-ledger.md"), "console") if "held" in block
    )

    said = say("attempts").out.replace(attempt_id[:8], "3f2a91bc")

    assert said.startswith(listing.partition("\n")[2])


def test_the_table_of_the_page_is_what_is_said(say: Say, project: Project) -> None:
    """What a decision about many would do, and what it costs."""
    project.now = datetime(2026, 11, 24, 20, 32, 35, tzinfo=UTC)
    run = {"run_id": "9b1c5e0f4a7d4f0e8c2ab6d13f507e21", "provider": "openai", "model": "a-model"}
    for scene_id, attempt_id in {"scene_003": "3f2a91bc4d5e", "scene_004": "db95c611b3ac"}.items():
        more = {"attempt_id": attempt_id + "0" * 20, "hold_microusd": 40_000, **run}
        project.unknown(scene_id, **more)
    [table] = [
        block
        for block in blocks(page("looking-after-a-ledger.md"), "console")
        if "--since 2h" in block
    ]

    said = say("resolve", "--since", "2026-11-24", "--resend").out

    assert said.strip() == table.partition("\n")[2].strip()
