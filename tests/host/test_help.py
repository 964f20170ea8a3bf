"""What ``--help`` and a bare ``host-stub`` say: groups, examples, short lines and sentences."""

from __future__ import annotations

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import cast

import pytest

from host_stub.cli import main
from host_stub.cli.parser import COMMANDS, EXAMPLES, GROUPS, parsers
from host_stub.cli.plugin_commands import command_parser
from stage3_plugin import cli as stage3_cli
from tests.sentences import MEAN_WORDS, MOST_WORDS, lengths_of

A_SCREEN = 44
"""Lines; 80 columns wide."""


def test_each_command_is_in_one_group_and_has_an_example() -> None:
    """The examples can be typed."""
    grouped = [name for names in GROUPS.values() for name in names]
    parser, _ = parsers()

    assert sorted(grouped) == sorted(COMMANDS) == sorted(EXAMPLES)
    for name, example in EXAMPLES.items():
        program, *words = shlex.split(example)
        assert (program, words[0]) == ("host-stub", name)
        assert parser.parse_known_args(words)[1] == []


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_a_screen(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the host and of each command of its."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([name, "--help"] if name else ["--help"])
    lines = capsys.readouterr().out.splitlines()

    assert len(lines) <= A_SCREEN
    assert [line for line in lines if len(line) > 80] == []


def test_help_has_short_sentences() -> None:
    """Of both programs."""
    of_stage3 = command_parser("stage3", stage3_cli.commands(), description="")
    each: list[ArgumentParser] = [*parsers()[1].values(), *_below(of_stage3)]
    texts = [
        str(text)
        for parser in each
        for text in [parser.description, *(one.help for one in parser._actions)]
        if text
    ]
    lengths = [length for text in texts for length in lengths_of(text)]

    assert len(each) > 25
    assert max(lengths) <= MOST_WORDS
    assert mean(lengths) <= MEAN_WORDS


def _below(parser: ArgumentParser) -> list[ArgumentParser]:
    """Return the parsers of a program's commands."""
    (chosen,) = [one for one in parser._actions if one.nargs == "A..."]
    choices = cast("Mapping[str, ArgumentParser]", chosen.choices)
    return list(choices.values())


@pytest.mark.parametrize(
    "files, first",
    [
        ({}, "init my-story"),
        ({"host.toml": ""}, "check --online"),
        ({"host.toml": "[run]\nout_dir = 3\n"}, "check "),
        ({"host.toml": "", "out/manifest.json": "{}"}, "status"),
    ],
    ids=["nothing", "a config", "a wrong config", "a story"],
)
def test_a_bare_call_says_what_is_likely_next(
    files: dict[str, str],
    first: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In this folder; each command can be typed."""
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main([])
    lines = capsys.readouterr().out.splitlines()
    commands = [re.split(r"  +", line.strip())[0] for line in lines if "host-stub" in line]
    parser, _ = parsers()

    assert ended.value.code in {0, None}
    assert f"  host-stub {first}" in lines[1]
    for command in commands[:-1]:
        assert parser.parse_known_args(shlex.split(command)[1:])[1] == []
