"""The net has a row for everything that is promised, and each row names tests through doors."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from stage3_plugin.domain.states import State
from tests import promises
from tests.mutants.__main__ import mutants
from tests.rules.reaching import known_to
from tests.rules.repository import ROOT, page, section, table_rows

TESTS = ROOT / "tests"
FIRST = {"M": 13, "S": 8, "R": 2, "N": 5, "stranger ": 15, "D": 18, "P": 16}
"""How far the numbers of the first record go; its pages are no part of the repository."""
SECOND = {"W": 9, "V": 8, "D": 8, "X": 12, "U": 13}

DOORS = re.compile(
    r"stage3_plugin\.(hooks|errors|settings|cli|testing)(\..*)?"
    r"|stage3_plugin\.domain\.states(\..*)?"  # the table of the page, in every house
    r"|stage3_plugin\.previz(\..*)?"  # beside the house, and stays as it draws
    r"|host_stub\.plugins"  # the group of entry points
    r"|host_stub\.(contract|errors|commands|hookspecs|cli|plain_image|conformance)(\..*)?"
)
"""Beside them the names that ``stage3_plugin`` itself offers."""
TABLES_OF_PLACES = frozenset({"tests.places", "tests.killing.steps"})
"""Say where waits and steps are in this house; another one fills them in."""
TRUSTED = TABLES_OF_PLACES | {
    "tests.documents",  # holds what commands write to its schemas, if they write by this console
    "tests.fakes.plain",  # a provider as an author writes one
}


@cache
def names_in(file: str) -> tuple[str, ...]:
    """Return the tests of a file, those of a class by its name as well."""
    body = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    of_classes = (f"{one.name}::{name}" for one in classes for name in _functions_in(one.body))
    return (*_functions_in(body), *of_classes)


def _functions_in(body: list[ast.stmt]) -> list[str]:
    functions = [one for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [one.name for one in functions if one.name.startswith("test_")]


def given_up() -> set[str]:
    """Return the numbers of what is given up as a whole."""
    rows = table_rows(section(page("design.md"), "What is given up"))
    return {row[0].strip("`") for row in rows if not row[0].endswith("in part")}


def is_a_door(what: str) -> bool:
    import stage3_plugin

    package, _, name = what.partition(".")
    offered = package == "stage3_plugin" and name.partition(".")[0] in {
        "",
        "__all__",
        *stage3_plugin.__all__,
    }
    return offered or what == "host_stub" or DOORS.fullmatch(what) is not None


@pytest.mark.parametrize("name", sorted(set(promises.named())))
def test_every_row_names_tests_that_exist(name: str) -> None:
    file, _, test = name.partition("::")

    assert (TESTS / file).is_file()
    assert names_in(file)
    assert not test or test in names_in(file)


def test_everything_that_is_promised_has_a_row() -> None:
    """What the page on money promises, exit codes, states, and each number of the two records."""
    money = page("costs-and-retries.md")
    codes = table_rows(section(money, "Exit codes, by what they mean for money"))

    promised = re.findall(r"^\*\*(.+?)\*\*", section(money, "What is promised"), re.MULTILINE)
    assert list(promises.PROMISES) == promised
    assert {one for row in codes for one in row[0].split(", ")} <= set(promises.EXIT_CODES)
    assert set(promises.STATES) | given_up() >= set(State)
    for heading, table in (
        ("What a run may spend", promises.CAPS),
        ("What is sent again", {**promises.SENT_AGAIN, **promises.IN_A_ROW}),
        ("When something breaks", promises.WHEN_SOMETHING_BREAKS),
    ):
        rows = [row[0] for row in table_rows(section(money, heading))]
        assert [row for row in rows if not row.startswith(tuple(table))] == []


@pytest.mark.parametrize(
    "table, ends, mark",
    [(promises.FIRST_FINDINGS, FIRST, ""), (promises.SECOND_FINDINGS, SECOND, "2:")],
    ids=["first", "second"],
)
def test_every_finding_has_a_row(table: promises.Table, ends: dict[str, int], mark: str) -> None:
    """Or is given up; and no row has a number that the record does not have."""
    numbers = {f"{letter}{number}" for letter, end in ends.items() for number in range(1, end + 1)}
    has_row = {re.match(r"(stranger )?\w+", row) for row in table}

    held = {one[0] for one in has_row if one is not None}
    gone = {one.removeprefix(mark) for one in given_up() if one.startswith(mark)}
    assert held <= numbers
    assert held | gone >= numbers


def rooms_known_to(file: str, test: str) -> dict[str, str]:
    known = known_to(file, test, trusted=TRUSTED)
    return {what: by for what, by in known.items() if not is_a_door(what)}


@pytest.mark.parametrize("name", sorted(promises.marked()))
def test_a_test_of_the_net_knows_doors_alone(name: str) -> None:
    """Nor do the helpers and fixtures that it calls know more."""
    file, _, test = name.partition("::")
    tests = [test] if test else [one for one in names_in(file) if promises.is_marked(file, one)]

    assert {one: rooms for one in tests if (rooms := rooms_known_to(file, one))} == {}


def test_what_is_left_out_knows_a_room() -> None:
    """Whatever could be in the net is in it."""
    left_out = [one.partition("::") for one in promises.KNOW_A_ROOM.split()]

    assert [f"{file}::{test}" for file, _, test in left_out if not rooms_known_to(file, test)] == []


def test_the_rule_sees_what_a_helper_knows() -> None:
    """Through a fixture, a helper of another module, a script and a late import."""
    known = known_to("stage3/ledger/test_book.py", names_in("stage3/ledger/test_book.py")[0],
                     trusted=frozenset())  # fmt: skip

    assert any(what.startswith("stage3_plugin.ledger") for what in known)
    assert not is_a_door("stage3_plugin.ledger.book.Ledger")
    assert is_a_door("stage3_plugin.open_stage")


@pytest.mark.parametrize("name", sorted(mutants()))
def test_a_mutant_can_be_made_of_the_code_as_it_is(name: str) -> None:
    """What it changes stands there once, so that a change of the code takes it along."""
    for file, old, new in mutants()[name].changes:
        assert (ROOT / file).read_text(encoding="utf-8").count(old) == 1, file
        assert old != new
