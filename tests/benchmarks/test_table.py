"""The run of all benchmarks, and the table it writes; what the figures are is not tested here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import ROOT, SUITE, main, run
from tests.benchmarks.table import JSON_NAME, MARKDOWN_NAME, Row, Section, Table
from tests.heavy import further

KEPT = Row(name="time", value=1.0, unit="s", bound=2.0, peers={"plain": 4.0})
MISSED = Row(name="goodput", value=0.5, unit="", bound=0.95, better="more")
OPEN = Row(name="memory", value=12_345.0, unit="MB")


def section(name: str, *rows: Row, failed: str | None = None) -> Section:
    """Make what one benchmark found."""
    return Section(
        name=name,
        about=f"what {name} asks",
        began="2026-06-01 12:00",
        took_s=3.0,
        load=0.5,
        rows=rows,
        failed=failed,
    )


def table(*sections: Section, is_quick: bool = False) -> Table:
    """Make a table of one machine."""
    return Table(
        is_quick=is_quick,
        command="python tests/benchmarks",
        machine={"CPU": "a fast one", "cores": "2"},
        versions={"Python": "3.11.7"},
        sections=sections,
    )


def test_a_bound_is_kept_from_either_side() -> None:
    """Less is better for a time and more for a goodput; without a bound nothing is claimed."""
    assert [row.holds for row in (KEPT, MISSED, OPEN)] == [True, False, None]
    assert replace(MISSED, better="less").holds is True
    assert replace(KEPT, value=2.0).holds is True


def test_a_ratio_is_ours_over_theirs() -> None:
    """A quarter of the peer's time is 0.25; a peer at nothing has no ratio."""
    assert KEPT.ratios == {"plain": 0.25}
    assert replace(KEPT, peers={"plain": 0.0}).ratios == {}


def test_a_row_is_taken_from_what_a_benchmark_gives() -> None:
    """A lone peer, several by name, and none at all are the three ways there are."""
    measured = {"name": "time", "value": 1.0, "unit": "s", "bound": None}

    assert Row.of(measured).peers == {}
    assert Row.of(measured | {"peer": 3.0}).peers == {"peer": 3.0}
    assert Row.of(measured | {"peer": {"plain": 3.0}, "better": "more"}).better == "more"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Figures can be put beside those of another hour."""
    written = table(section("calls", KEPT, MISSED), section("command", failed="ValueError: no"))

    written.write(tmp_path)

    assert Table.read(tmp_path) == written
    assert Table.read(tmp_path / "elsewhere") is None
    (first, _) = json.loads((tmp_path / JSON_NAME).read_text(encoding="utf-8"))["sections"]
    assert [row["holds"] for row in first["rows"]] == [True, False]


def test_the_page_shows_a_missed_bound_and_a_benchmark_that_could_not_run() -> None:
    """Whoever reads it sees at once what is not as it should be."""
    text = table(section("calls", KEPT, MISSED, OPEN), section("command", failed="no disk"))

    lines = text.markdown().splitlines()

    assert "| time | 1 | s | ≤ 2 | yes | plain 4 (0.25×) |" in lines
    assert "| goodput | 0.5 |  | ≥ 0.95 | **no** |  |" in lines
    assert "| memory | 12,345 | MB |  |  |  |" in lines
    assert "It could not run: no disk" in lines
    assert text.missed == [MISSED]


def test_what_a_system_lacks_is_told_and_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is not installed leaves its figures out, and the next benchmark alone."""
    monkeypatch.setattr("tests.benchmarks.engines.binaries", lambda: None)

    skipped = run("scale_drivers", quick=True)

    assert (skipped.rows, skipped.failed) == ((), None)
    assert skipped.skipped is not None
    assert skipped.skipped.startswith("PostgreSQL: this system has not ")
    assert f"Not measured: {skipped.skipped}" in table(skipped).markdown().splitlines()


def test_a_quick_run_judges_nothing() -> None:
    """Small numbers say that it runs and nothing else."""
    quick = table(section("calls", MISSED), is_quick=True)

    assert quick.missed == []
    assert "**no**" not in quick.markdown()


def test_some_figures_take_the_places_of_earlier_ones() -> None:
    """The others stay, in the order of the suite, each with the time it was measured at."""
    earlier = table(section("command", OPEN), section("calls", MISSED))

    both = table(section("calls", KEPT)).beside(earlier, ["calls", "command"])

    assert both.sections == (section("calls", KEPT), section("command", OPEN))


def test_figures_of_another_machine_are_not_mixed_in() -> None:
    """A table speaks of one machine and one set of versions."""
    here = table(section("calls", KEPT))
    there = table(section("command", OPEN))

    assert here.beside(replace(there, machine={"CPU": "a slow one"}), SUITE) == here
    assert here.beside(replace(there, versions={"Python": "3.13.5"}), SUITE) == here
    assert here.beside(replace(there, is_quick=True), SUITE) == here


def test_every_benchmark_is_in_the_suite() -> None:
    """One that is forgotten would never be run again."""
    with_measure = {
        path.stem
        for path in Path(__file__).parent.glob("[a-z]*.py")
        if "\ndef measure(" in path.read_text(encoding="utf-8")
    }

    assert with_measure == set(SUITE)


def test_a_benchmark_that_breaks_is_told_and_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An hour of figures is not lost to the last benchmark's fault."""
    monkeypatch.setitem(SUITE, "not_there", "what is not there")

    broken = run("not_there", quick=True)

    assert broken.rows == ()
    assert broken.failed == "ModuleNotFoundError: No module named 'tests.benchmarks.not_there'"


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """It says which names there are."""
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "nothing-like-it"])

    assert "there are command, calls, scale_stories" in capsys.readouterr().err


PARTS = ("command", "calls", "scale"), ("simulated", "hidden")
"""Words by which all benchmarks are named; what the second imports is tried by other tests, too."""


def test_the_parts_are_the_suite() -> None:
    """A benchmark that no word names would not be tried."""
    assert [name for name in SUITE if not name.startswith(PARTS[0] + PARTS[1])] == []


@pytest.mark.parametrize("words", [PARTS[0], *further([(PARTS[1],)])])
def test_a_quick_run_writes_both_files(tmp_path: Path, words: tuple[str, ...]) -> None:
    """It runs by the folder's name, from anywhere, on nothing but the checkout."""
    ran = subprocess.run(
        [sys.executable, ROOT / "tests" / "benchmarks", "--quick", "--out", "out",
         *(part for word in words for part in ("--only", word))],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    written = Table.read(tmp_path / "out")
    assert written is not None
    assert {section.name for section in written.sections} == {
        name for name in SUITE if name.startswith(words)
    }
    assert [section.name for section in written.sections if section.failed] == []
    assert written.markdown() == (tmp_path / "out" / MARKDOWN_NAME).read_text(encoding="utf-8")
    assert written.machine["cores"] == str(os.cpu_count())


def test_the_page_shows_the_table_that_is_kept() -> None:
    """Nobody has touched the figures by hand."""
    place = ROOT / "docs" / "benchmarks"
    kept = Table.read(place)

    assert kept is not None
    assert not kept.is_quick
    assert kept.failed == []
    assert kept.markdown() == (place / MARKDOWN_NAME).read_text(encoding="utf-8")
