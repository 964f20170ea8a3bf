"""What the oracle compares, and what it lets pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.oracle.__main__ import corpus
from tests.oracle.cases import ROUTES, Case
from tests.oracle.comparing import GivenUp, seen_in, table_of

CASE = Case(name="openai/odd/gzip", route=ROUTES["openai"], prepare=lambda _: None)
SECRET = "a secret of some length"
ROW = {"run_id": "r", "state": "PAID", "cost_usd": "0.04", "evidence": None, "why": "made"}
FOUND: dict[str, Any] = {
    "runs": [{"sha256": "ab", "failure": None, "stopped": None}],
    "attempts": {"attempts": [ROW]},
    "costs": {"total": {"requests": 1}},
    "verify": {"code": 0, "problems": []},
    "key_in": [],
    "server": {"asked to buy": 1},
}


def given_up(folder: Path, text: str = "") -> GivenUp:
    """Return a table of what is given up."""
    path = folder / "given_up.toml"
    path.write_text(text, encoding="utf-8")
    return GivenUp(path)


def test_the_corpus_has_some_3000_cases_of_every_route() -> None:
    """Each has a name of its own; ``corpus`` sees to that."""
    cases = corpus()

    assert 3000 < len(cases) < 4000
    assert {case.route.name for case in cases} == {*ROUTES}


@pytest.mark.parametrize(
    "change, field",
    [
        ({"attempts": {"attempts": [{**ROW, "state": "PAID_BAD"}]}}, "row 1 state"),
        ({"attempts": {"attempts": [{**ROW, "cost_usd": None}]}}, "row 1 cost_usd"),
        ({"runs": [{"sha256": "cd"}]}, "run 1 sha256"),
        ({"runs": [{"sha256": "ab", "failure": {"code": "unknown"}}]}, "run 1 code"),
        ({"costs": {"total": {"requests": 2}}}, "costs"),
        ({"verify": {"code": 1, "problems": ["lost"]}}, "verify"),
        ({"server": {"asked to buy": 2}}, "asked to buy"),
        ({"key_in": [".json"]}, "the key"),
        ({"runs": [{"sha256": "ab", "note": SECRET}]}, "the key"),
    ],
)
def test_what_money_hangs_on_is_compared(
    tmp_path: Path, change: dict[str, object], field: str
) -> None:
    """One thing that differs is told, and nothing else."""
    before, now = (seen_in(CASE, found, SECRET) for found in (FOUND, FOUND | change))
    difference = given_up(tmp_path).compared(CASE.name, before, now)

    assert difference is not None
    assert [*difference.fields] == [field]
    assert field in table_of([difference])


def test_words_and_made_up_names_are_not_compared(tmp_path: Path) -> None:
    """Messages may become better, and a run is called as it likes."""
    other = {**ROW, "run_id": "another", "why": "it was made"}
    found = FOUND | {"attempts": {"attempts": [other]}}
    before, now = (seen_in(CASE, one, SECRET) for one in (FOUND, found))

    assert given_up(tmp_path).compared(CASE.name, before, now) is None


def test_a_process_that_ends_without_a_result_is_one(tmp_path: Path) -> None:
    """It is compared like every other."""
    before, now = seen_in(CASE, FOUND, SECRET), seen_in(CASE, {"broke": "hung"}, SECRET)
    difference = given_up(tmp_path).compared(CASE.name, before, now)

    assert difference is not None
    assert difference.fields["broke"] == ("-", "hung")


def test_what_is_given_up_is_told_with_its_reason(tmp_path: Path) -> None:
    """Only if all that differs is; a pattern that nothing differs by is named."""
    table = given_up(tmp_path, '"*/gzip run 1 *" = "not inflated"\n"*/zlib *" = "x"\n')
    alike = table.compared(CASE.name, {"run 1 code": "null"}, {"run 1 code": "unknown"})
    more = table.compared(CASE.name, {"run 1 code": "a", "rows": "1"}, {"run 1 code": "b"})

    assert alike is not None
    assert alike.reason == "not inflated"
    assert more is not None
    assert more.reason is None
    assert table.unused == {"*/zlib *"}
