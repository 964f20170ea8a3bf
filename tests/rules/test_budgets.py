"""What each room may weigh: code lines, and files in one folder. Both only sink.

A code line is neither blank nor a comment nor part of a docstring. Who adds to a room first looks
what can go; what was saved is given back, by a smaller figure here.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping

import pytest

from tests.rules.repository import PACKAGES, ROOT, modules
from tests.rules.test_floors import room_of

BUDGETS: Mapping[str, Mapping[str, int]] = {
    "stage3_plugin": {
        "__init__": 80,
        "__main__": 17,
        "cli": 304,
        "domain": 1861,
        "engine": 4849,
        "errors": 243,
        "executors": 1380,
        "files": 461,
        "hooks": 146,
        "ledger": 4010,
        "library": 1362,
        "maintenance": 3328,
        "policy": 1522,
        "previz": 7477,
        "providers": 4708,
        "purchase": 3900,
        "renderers": 1154,
        "runtime": 861,
        "settings": 804,
        "storage": 3283,
        "testing": 4504,
        "transport": 1767,
    },
    "host_stub": {
        "__init__": 0,
        "__main__": 18,
        "cli": 2033,
        "commands": 54,
        "config": 778,
        "conformance": 3467,
        "contract": 344,
        "decisions": 685,
        "errors": 404,
        "events": 537,
        "hookspecs": 31,
        "plain_image": 328,
        "plugins": 423,
        "review": 554,
        "run": 2286,
        "scenes": 1723,
        "sqlite": 112,
        "stage": 1332,
        "standing": 787,
        "story": 2454,
        "telemetry": 653,
        "text": 482,
    },
}
"""Code lines of each room."""

SLACK = 30
"""Lines that a room may lie below its budget before it gives them back."""

MOST_FILES = 20
CROWDED: Mapping[str, int] = {
    "stage3_plugin/domain": 23,
    "stage3_plugin/ledger": 23,
    "stage3_plugin/previz": 32,
    "stage3_plugin/previz/backdrop": 25,
    "stage3_plugin/providers": 23,
    "stage3_plugin/testing": 21,
}
"""Folders that have more files than that; none is added, and none of them grows."""


def code_lines(source: str) -> int:
    """Count the lines that are neither blank nor a comment nor part of a docstring."""
    said = set[int]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and (ast.get_docstring(node, clean=False) is not None):
            said.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(source.splitlines(), 1)
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#")
        for number, line in lines
        if number not in said
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_weighs_what_it_may_and_gives_back_what_it_saves(package: str) -> None:
    """A figure here is made smaller with the code; nobody makes one larger without a reason."""
    weighs = Counter[str]()
    for module, path in modules(package):
        weighs[room_of(module)] += code_lines(path.read_text(encoding="utf-8"))
    budgets = BUDGETS[package]

    assert weighs.keys() == budgets.keys()
    over = {room: lines for room, lines in weighs.items() if lines > budgets[room]}
    assert over == {}, "first look what can go there"
    saved = {room: lines for room, lines in weighs.items() if lines < budgets[room] - SLACK}
    assert saved == {}, "write these figures into the table"


def test_no_folder_has_more_files_than_one_can_look_through() -> None:
    """Those that have are named, with how many."""
    files = Counter(
        path.parent.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for _, path in modules(package)
    )

    assert {folder: count for folder, count in files.items() if count > MOST_FILES} == CROWDED


def test_comments_and_docstrings_weigh_nothing() -> None:
    """So that no reason is left out for the sake of a line."""
    source = '"""Say."""\n\n# why\ndef one():\n    """Say.\n\n    More.\n    """\n    return "a"\n'

    assert code_lines(source) == 2
