"""The schemas that are shipped: one for every document, and none that nothing writes."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from host_stub.cli import main
from host_stub.text.console import Console
from tests import documents
from tests.rules.repository import PACKAGES, ROOT, code, page, table_rows

NO_DOCUMENTS = {
    "stage3-decisions/1": "what reviewers decided, read and not written by a command",
    "stage3-review/1": "what the review page is told",
    "stage3-confirmed/1": "what was confirmed, kept beside the stories",
}
"""Formats of files that no command prints."""


def formats() -> set[str]:
    """Return every format that is named in the sources."""
    texts = [
        path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    ]
    name = re.compile(r'"(stage3-[a-z-]+/1)"')
    return {found for text in texts for found in name.findall(text)}


def test_every_document_has_a_schema_and_every_schema_a_document() -> None:
    """Whoever adds one adds the other."""
    assert formats() - set(NO_DOCUMENTS) == set(documents.schemas())


@pytest.mark.parametrize("name", sorted(documents.schemas()))
def test_a_schema_says_what_all_documents_have(name: str) -> None:
    """Its format and the next steps are required, and all schemas say the same of those."""
    schema = documents.schemas()[name]

    assert {"format", "next_actions"} <= set(schema["required"])
    assert schema["$defs"]["action"] == documents.schemas()["stage3-error/1"]["$defs"]["action"]


def test_the_schemas_of_the_ledgers_commands_are_made_from_their_reports() -> None:
    """Whoever changes a report writes its schema anew."""
    spec = importlib.util.spec_from_file_location("docs_schemas", ROOT / "docs" / "schemas.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    made = script.schemas()
    stale = [path.name for path, text in made.items() if path.read_text(encoding="utf-8") != text]

    assert stale == [], "run python docs/schemas.py"
    assert {path.name for path in script.FOLDER.iterdir()} == {path.name for path in made}


SAMPLE: dict[str, object] = {"format": "stage3-init/1", "written": [], "next_actions": []}
STEP = {"command": ["host-stub", "status"], "why": "to see", "cost_usd": "0", "kind": "safe"}


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"written": [7]}, "written/0"),
        ({"wrote": []}, "wrote"),
        ({"next_actions": [STEP | {"kind": "free"}]}, "kind"),
        ({"next_actions": [STEP | {"cost_usd": 0.1}]}, "cost_usd"),
        ({"next_actions": [STEP | {"command": ["host-stub", "status", "--nothing"]}]}, "typed"),
        ({"next_actions": [STEP | {"command": ["stage3", "resolve"]}]}, None),
        ({"next_actions": [STEP | {"command": ["stage3", "dissolve"]}]}, "typed"),
        ({"format": "stage3-unheard-of/1"}, "no schema"),
        ({}, None),
    ],
)
def test_what_does_not_fit_is_seen(change: dict[str, object], problem: str | None) -> None:
    """Else every other test would be green for nothing."""
    found = documents.check(SAMPLE | change)

    assert (found == []) if problem is None else problem in "".join(found)


def test_what_is_written_in_this_process_is_listened_to() -> None:
    """A document that does not fit is known by the end of its test."""
    Console(json_only=True, debug=False).result({"format": "stage3-init/1", "wrote": []})

    assert len(documents.problems()) == 2


LINES = [
    ["--json"],
    ["--json", "run"],
    ["run", "--json"],
    ["run", "scenes.json", "--what", "--json"],
    ["run", "scenes.json", "--max-cost", "much", "--json"],
    ["run", "no.json", "--json"],
    ["rum", "scenes.json", "--json"],
    ["plan", "no.json", "--json", "--image", "not-there"],
    ["plan", "no.json", "--json", "--config", "not-there.toml"],
    ["takes", "--json"],
    ["show", "s1", "--json"],
    ["events", "not-there.jsonl", "--json"],
    ["stage3", "--json"],
    ["stage3", "attempts", "--json"],
    ["stage3", "resolve", "--json"],
    ["stage3", "resolve", "x", "--billed", "--resend", "--json"],
    ["stage3", "dissolve", "--json"],
    ["stage3", "attempts", "--state", "odd", "--json"],
]


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_whatever_is_typed_has_one_object(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be understood as well: a refusal of the one shape, with the exit code."""
    monkeypatch.chdir(tmp_path)
    code_of_it = main(words)
    told = json.loads(capsys.readouterr().out)

    assert told["format"] == "stage3-error/1"
    assert told["error"]["exit_code"] == code_of_it == 2
    assert documents.check(told) == []


def test_the_other_program_refuses_alike(tmp_path: Path) -> None:
    """``stage3`` is short for ``host-stub stage3``, and its next steps name it as it was called."""
    run = [sys.executable, "-m", "stage3_plugin", "dissolve", "--json"]
    done = subprocess.run(
        run, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60, encoding="utf-8"
    )
    told = json.loads(done.stdout)

    assert (done.returncode, told["error"]["exit_code"]) == (2, 2)
    assert documents.check(told) == []
    assert told["next_actions"][0]["command"] == ["stage3", "--help"]


def test_a_key_that_was_mistyped_into_a_command_is_not_said_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither in the refusal nor in a next step."""
    for words in (["sk-CANARY", "--json"], ["run", "--api-key=sk-CANARY", "x.json", "--json"]):
        main(words)

    assert "CANARY" not in "".join(capsys.readouterr())


def test_the_page_has_the_keys_of_every_document() -> None:
    """And says what each is."""
    rows = {code(row[0]) for row in table_rows(page("agents.md"))}

    assert {"format", "next_actions", "command", "why", "cost_usd", "kind"} <= rows
