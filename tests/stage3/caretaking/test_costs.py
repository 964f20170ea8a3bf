"""``stage3 costs``: what was spent, in a table, as data, and in a file that accountants read."""

from __future__ import annotations

import csv
import io
import subprocess
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.states import State
from stage3_plugin.errors import LedgerFailed
from stage3_plugin.ledger.spending import DIMENSIONS, Dimension, Spent
from stage3_plugin.maintenance import costs
from tests import doors
from tests.doors import painter
from tests.fakes.image_api import ImageApi
from tests.said import Say
from tests.stage3.caretaking.commands import STAGE3
from tests.stage3.caretaking.purchases import Project
from tests.stage3.running import run_stage, story

EVERY_BY: list[tuple[Dimension, ...]] = list(
    chain.from_iterable(combinations(DIMENSIONS, count) for count in range(1, len(DIMENSIONS) + 1))
)
FORMULA = "=cmd|' /C calc'!A0"


@pytest.fixture
def every(project: Project) -> Project:
    """Make a ledger with a purchase in each state, and with each way in which a cost is known."""
    project.paid("s1")
    project.paid("s2", provider="fal", model="fal-ai/flux")
    project.end(project.begin("s3"), State.PAID_BAD, cost_microusd=1, basis="tokens")
    project.end(project.begin("s4"), State.PAID_BAD)  # nobody said how much: its hold stands for it
    project.end(project.begin("s5"), State.REFUSED)
    project.end(project.begin("s6"), State.VOID)
    project.end(project.begin("s7", hold_microusd=0), State.PAID_BAD)  # of no known price at all
    project.unknown("s8")
    project.end(project.unknown("s9"), State.WROTE_OFF, decided_by="policy")
    project.accepted("s10")
    project.begin("s11")
    return project


def totals(project: Project) -> tuple[Decimal, int]:
    """Return what the ledger itself counts in USD, and how many requests were ever sent."""
    with project.open() as ledger:
        tallies = ledger.tallies()
    sent = sum(one.count for state, one in tallies.items() if state is not State.VOID)
    return Decimal(sum(one.counted_microusd for one in tallies.values())) / 10**6, sent


def test_the_sum_is_what_the_ledger_counts(every: Project, say: Say) -> None:
    """Whatever is told apart: to the micro-USD, each request once."""
    counted, sent = totals(every)
    for by in EVERY_BY:
        told = say("costs", "--by", ",".join(by), "--json").json
        lines = told["lines"]

        assert Decimal(told["total"]["counted_usd"]) == counted, by
        assert told["total"]["requests"] == sent, by
        assert sum(Decimal(one["counted_usd"]) for one in lines) == counted, by
        assert sum(one["requests"] for one in lines) == sent, by
        assert len({tuple(one[name] for name in by) for one in lines}) == len(lines), by


def test_what_is_not_known_and_what_is_in_work_stay_apart(every: Project, say: Say) -> None:
    """In words, and as data; neither is in what was spent."""
    said = say("costs", "--state-dir", str(every.state_dir))
    total = say("costs", "--state-dir", str(every.state_dir), "--json").json["total"]

    assert total == {
        "requests": 10,
        "pictures": 2,
        "spent_usd": "0.104001",
        "of_it_held_usd": "0.042",
        "unknown": {"requests": 3, "at_most_usd": None, "unpriced": 1},
        "in_work": {"requests": 2, "held_usd": "0.084"},
        "counted_usd": "0.272001",
    }
    assert "$0.104001 for 2 pictures, by 10 requests" in said.out
    assert "of it $0.042 by what was held" in said.out
    assert "not in it: 2 requests that may have been billed, $0.084" in said.out
    assert "not in it: 1 request whose cost nobody knows, with nothing held" in said.out
    assert "3: no limit" in said.out
    assert "not in it: 2 in work, with $0.084 held" in said.out
    assert "counts: $0.272001" in said.out


def test_a_table_tells_apart_what_was_asked_for(every: Project, say: Say) -> None:
    """In the order of the columns, whatever the order of the words."""
    said = say("costs", "--state-dir", str(every.state_dir), "--by", "model,provider")
    head, *rows = said.out.splitlines()[:3]

    assert head.split()[:4] == ["PROVIDER", "MODEL", "REQUESTS", "PICTURES"]
    assert [row.split()[:2] for row in rows] == [
        ["fal", "fal-ai/flux"], ["openrouter", "openai/gpt-5-image-mini"]
    ]  # fmt: skip


@pytest.mark.usefixtures("every")
def test_only_so_many_lines_are_for_people(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum is of all of them, and the rest is said to be there; programs have every line."""
    monkeypatch.setattr("stage3_plugin.maintenance.costs.MOST_LINES", 3)
    said = say("costs", "--by", "scene").out
    told = say("costs", "--by", "scene", "--json").json

    assert "and 7 more lines" in said
    assert "by 10 requests" in said
    assert len(told["lines"]) == 10


def test_days_are_the_ledgers_and_both_ends_count(every: Project, say: Say) -> None:
    """Everything is of the 3rd of November here."""

    def requests(*words: str) -> int:
        said = say("costs", "--state-dir", str(every.state_dir), "--json", *words)
        return int(said.json["total"]["requests"])

    assert requests("--since", "2026-11-03", "--until", "2026-11-03") == 10
    assert requests("--since", "2026-11-04") == 0
    assert requests("--until", "2026-11-02") == 0


@pytest.mark.parametrize(
    "words, problem",
    [
        (["--by", "day,colour"], "some of day,provider,model,story,scene, each once"),
        (["--by", "day,day"], "each once"),
        (["--by", ""], "each once"),
        (["--since", "yesterday"], "should be a day"),
        (["--since", "2026-11-03", "--until", "2026-11-02"], "--until is a day before --since"),
        (["--csv", "-", "--json"], "cannot both have the standard output"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    words: list[str], problem: str, tmp_path: Path, say: Say
) -> None:
    said = say("costs", "--state-dir", str(tmp_path), *words)

    assert said.code == 2
    assert problem in said.err + said.out


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path, say: Say) -> None:
    for more in ([], ["--csv", str(tmp_path / "c.csv")]):
        said = say("costs", "--state-dir", str(tmp_path / "none"), *more)
        assert (said.code, "there is no ledger" in said.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_to_the_ledger(every: Project, say: Say, tmp_path: Path) -> None:
    before = every.tree()
    say("costs", "--state-dir", str(every.state_dir), "--csv", str(tmp_path / "costs.csv"))

    assert every.tree() == before


@pytest.mark.anyio
async def test_a_run_has_its_story_by_the_folder_of_its_results(
    image_api: ImageApi, tmp_path: Path, say: Say
) -> None:
    """Whatever that is called later."""
    for name in ("first", "second"):
        await run_stage(painter(image_api), story(f"{name} 1", f"{name} 2"), tmp_path)
        (tmp_path / "out").rename(tmp_path / name)
    where = ("--state-dir", str(tmp_path / ".stage3"))
    (line,) = say("costs", "--by", "story", "--json", *where).json["lines"]

    assert (line["story"], line["requests"]) == ("out", 4)
    assert image_api.received() == 4


# The file ----------------------------------------------------------------------------------------


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_file_says_what_each_line_is_and_the_command_what_all_are(
    every: Project, say: Say, tmp_path: Path
) -> None:
    """That it adds up to the ledger whatever is told apart, runs show (``test_every_state``)."""
    path = tmp_path / "costs.csv"
    said = say("costs", "--by", "scene", "--csv", str(path))
    rows = rows_of(path.read_text(encoding="utf-8"))

    assert said.code == 0, said.err
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal("0.104001")
    assert sum(int(row["x_Pictures"]) for row in rows) == 2
    assert {row["ProviderName"] for row in rows} == {"openrouter", "fal"}
    assert all((row["x_CostBasis"] == "unknown") <= (not row["x_HeldCost"]) for row in rows)
    assert any(row["x_CostBasis"] == "unknown" for row in rows)
    assert "$0.104001" in said.out
    told = say("costs", "--csv", str(path), "--json").json
    assert (told["csv"], "lines" in told) == (str(path), False)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "day, begins, ends",
    [
        ("2025-03-30", "2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z"),
        ("2025-10-26", "2025-10-25T22:00:00Z", "2025-10-26T23:00:00Z"),
    ],
    ids=["23 hours", "25 hours"],
)
async def test_a_day_in_the_file_lasts_until_the_next_one_begins(
    image_api: ImageApi, tmp_path: Path, day: str, begins: str, ends: str
) -> None:
    """Where the clocks are set on it, too, so that days leave no gap and do not overlap."""
    noon = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    settings = painter(image_api, time_zone="Europe/Berlin")
    await doors.run_stage(settings, doors.story("a"), tmp_path, now=lambda: noon)
    path = tmp_path / "costs.csv"
    doors.stage3("costs", "--state-dir", str(tmp_path / ".stage3"), "--csv", str(path))
    (row,) = rows_of(path.read_text(encoding="utf-8"))

    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == (begins, ends)


CELLS = {
    FORMULA: "'" + FORMULA,
    "+1": "'+1",
    "-1": "'-1",
    "@SUM(A1)": "'@SUM(A1)",
    "\uff1d1+1": "'\uff1d1+1",
    "  =1": "  '=1",
    "a;=1": "a;'=1",
    'a",=1': "a\",'=1",
    "\ufeff=1": "\ufffd=1",
    "\t=1": "\ufffd=1",
    "a\r\n=1": "a\ufffd\ufffd=1",
    "\x1b[2J": "\ufffd[2J",
    "a-b +c, d": "a-b +c, d",
    "scene_001": "scene_001",
    "gpt-image-2 (海)": "gpt-image-2 (海)",
}


def test_no_cell_is_run_by_a_spreadsheet(project: Project, say: Say, tmp_path: Path) -> None:
    """What would begin a formula is marked as text; all else stays as it is."""
    for text in CELLS:
        project.unknown(text, model=text)
    path = tmp_path / "costs.csv"
    say("costs", "--by", "model,scene", "--csv", str(path))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert {row["x_Scene"] for row in rows} == {row["x_Model"] for row in rows}
    assert {row["x_Scene"] for row in rows} == set(CELLS.values())


@given(st.text(alphabet=st.sampled_from("=+-@;,|\"' \t\r\n\0\ufeffa1\uff1d"), max_size=12))
def test_whatever_a_text_is_no_cell_of_its_line_begins_a_formula(text: str) -> None:
    """Read with a comma or, as in some countries, with a semicolon, a bar or a tab."""
    cell = costs.harmless(text)
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow([cell])

    for separator in ",;|\t":
        for line in file.getvalue().split("\n"):
            for part in line.split(separator):
                assert not part.strip().strip("\"'").strip().startswith(("=", "@", "\uff1d")) or (
                    "'" in part
                )


def test_the_file_goes_to_the_standard_output(every: Project) -> None:
    """Nothing else does; and one who has read enough may leave."""
    words = [str(STAGE3), "costs", "--state-dir", str(every.state_dir)]
    words += ["--by", "scene", "--csv", "-"]
    whole = subprocess.run(words, capture_output=True, check=True)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()

    text = whole.stdout.decode("utf-8")
    assert len(rows_of(text)) == 10
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert (process.returncode, said) == (0, b"")


def test_only_a_file_of_costs_is_replaced(every: Project, say: Say, tmp_path: Path) -> None:
    """Above all not the ledger; and the second file is like the first."""
    path, other = tmp_path / "costs.csv", tmp_path / "host.toml"
    other.write_text("[run]\n", encoding="utf-8")
    ask = ("costs", "--state-dir", str(every.state_dir), "--csv")
    first = (say(*ask, str(path)).code, path.read_bytes())
    second = (say(*ask, str(path)).code, path.read_bytes())
    refused = [say(*ask, str(one)) for one in (other, every.path)]

    assert first == second
    assert {one.code for one in refused} == {2}
    assert all("is no file of costs" in one.err for one in refused)
    assert other.read_text(encoding="utf-8") == "[run]\n"
    assert every.problems() == []


@pytest.mark.parametrize("place", ["none/costs.csv", "."])
def test_a_place_that_cannot_be_written_is_named(
    place: str, every: Project, say: Say, tmp_path: Path
) -> None:
    said = say("costs", "--state-dir", str(every.state_dir), "--csv", str(tmp_path / place))

    assert said.code == 2
    assert "cannot write" in said.err


def test_a_ledger_that_breaks_off_leaves_the_file_that_was_there(
    every: Project, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing half written beside it."""
    path = tmp_path / "costs.csv"
    ask = ("costs", "--state-dir", str(every.state_dir), "--csv", str(path))
    say(*ask)
    before = path.read_bytes()

    def broken(*_: Any, **__: Any) -> Iterator[Spent]:
        yield Spent("", "p", "m", "", "s", "known", "flat", 1, 1, 5, "2026-03-29", "2026-03-29")
        raise LedgerFailed(str(every.path), "the disk is gone", hint="bring it back")

    monkeypatch.setattr(costs, "spending", broken)
    said = say(*ask)

    assert said.code == 2, said.out
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".costs")] == []


def test_what_is_said_of_a_day_before_the_first_run(
    project: Project, say: Say, tmp_path: Path
) -> None:
    """An empty ledger has cost nothing, in a file with a head and no row."""
    project.open().close()
    path = tmp_path / "c.csv"
    said, filed = say("costs"), say("costs", "--csv", str(path))

    assert said.out.startswith("nothing was spent")
    assert filed.code == 0
    assert path.read_text(encoding="utf-8").count("\n") == 1


def test_a_corrected_bill_is_what_counts(project: Project, say: Say) -> None:
    """As everywhere: the figure of a person stands in the place of the provider's."""
    say("resolve", project.paid("s1"), "--cost", "0.000007")

    assert say("costs", "--json").json["total"]["spent_usd"] == "0.000007"
