"""``host-stub explain``: what a code means, from the host's data and from a plugin's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host_stub.cli import main


def test_a_failure_an_error_and_an_exit_code_are_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What happened, what it cost, what to do; a plugin's own codes too."""
    for code in ("rate_limited", "scene_file", "4", "ledger_outdated"):
        assert main(["explain", code]) == 0
        lines = capsys.readouterr().out.splitlines()

        assert len(lines) == 4
        assert lines[0].startswith(f"{code}: ")
        assert lines[2].startswith("cost: ")
        assert lines[3].startswith("next: ")


def test_a_code_is_shown_behind_its_error_and_can_be_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person types what stands in brackets."""
    monkeypatch.chdir(tmp_path)
    assert main(["run", "nowhere.json"]) == 2
    first = capsys.readouterr().err.splitlines()[0]

    assert first.startswith("error: scene file nowhere.json: there is no such file")
    assert first.endswith(" [scene_file]")


def test_all_codes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """As text by kind, as JSON whole."""
    assert main(["explain"]) == 0
    listed = capsys.readouterr().out
    assert main(["explain", "--json"]) == 0
    codes = json.loads(capsys.readouterr().out)["codes"]

    assert len(codes) > 60
    assert [one["code"] for one in codes if f"  {one['code']} " not in listed] == []


def test_a_mistyped_code_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    """As every other word is."""
    assert main(["explain", "rate-limit"]) == 2
    assert "did you mean 'rate_limited'?" in capsys.readouterr().err
