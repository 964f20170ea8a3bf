"""What the conformance kit makes of answers: verdicts, blame, reports. ``tests/kit`` runs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from host_stub.conformance.cases import CaseRefused, load_case
from host_stub.conformance.catalogue import requirements
from host_stub.conformance.lab import Lab
from host_stub.conformance.requirement import TRIALS, Trial
from host_stub.conformance.runner import Asked, conform
from host_stub.conformance.verdict import Report, Result, Verdict, tally
from host_stub.conformance.worker import Bench

RESULT = Result(
    id="result.once",
    verdict="pass",
    sentence="No scene has a second outcome.",
    link="docs/conformance.md#resultonce",
    detail="5 outcomes",
    took_s=0.25,
)


def report_of(*verdicts: Verdict) -> Report:
    """Make a report with these verdicts."""
    results = [replace(RESULT, id=f"result.{verdict}", verdict=verdict) for verdict in verdicts]
    return Report(plugin="cards", source="cards 1.0", contract="1.0", case=None, results=results)


@pytest.mark.parametrize(
    "verdicts, code, ending",
    [
        (("pass", "skipped", "known_deviation"), 0, "cards keeps what was tried of contract 1.0"),
        (("pass", "fail"), 1, "cards does not conform to contract 1.0"),
        (("fail", "harness_error"), 3, "the kit itself failed: this says nothing about the plugin"),
    ],
)
def test_the_exit_code_is_that_of_the_worst_verdict(
    verdicts: tuple[Verdict, ...], code: int, ending: str
) -> None:
    """What was skipped never makes it conform less, nor more: it is counted."""
    report = report_of(*verdicts)

    assert report.exit_code == code
    assert tally(report).endswith(ending)
    assert tally(report).startswith(f"1 {verdicts[0].replace('_', ' ')}")


def raises(error: BaseException) -> Trial:
    """Return a check that raises."""

    def check(lab: Lab) -> str:
        raise error

    return Trial(id="result.once", check=check, needs="stage")


def test_what_the_kit_raises_is_the_kits_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing about the plugin."""
    requirements()
    monkeypatch.setitem(TRIALS, "result.once", raises(ZeroDivisionError("of the kit")))

    answer = Bench("plain", None).answer("result.once", tmp_path)

    assert answer["verdict"] == "harness_error"
    assert "the kit itself raised ZeroDivisionError: of the kit" in answer["detail"]


def test_what_the_plugins_code_raises_is_the_plugins_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a check meets it unawares."""
    requirements()

    def check(lab: Lab) -> str:
        from host_stub import plain_image

        plain_image.flat_png(0, 0, b"too short")  # what it makes of that does not matter
        plain_image.write_whole(tmp_path / "no" / "folder" / "\0", b"")
        return ""

    monkeypatch.setitem(TRIALS, "result.once", Trial(id="result.once", check=check, needs="stage"))

    answer = Bench("plain", None).answer("result.once", tmp_path)

    assert answer["verdict"] == "fail"
    assert answer["detail"].startswith("host_stub.plain_image:")


def test_a_requirement_without_a_check_is_the_kits_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried, and it ends with 3."""
    requirements()
    monkeypatch.delitem(TRIALS, "result.once")

    report = conform(Asked(name="plain"))

    assert report.exit_code == 3
    assert report.results[0].detail.endswith("requirements and checks do not match: result.once")


def test_each_requirement_has_a_sentence_and_a_link_of_its_own() -> None:
    """The page that explains them is made of these."""
    found = requirements()

    assert len({one.link for one in found}) == len(found)
    assert all(one.sentence.endswith(".") for one in found)


@pytest.mark.parametrize(
    "said",
    [
        "patience_s=None",
        "patience_s='soon'",
        "patience_s=float('nan')",
        "patience_s=Decimal(30)",
        "least_wait_s=0",
        "price_usd=0.04",
        "at_once=True",
        "cannot=['Refused']",
        "cannot={'Refused': 1}",
        "sizes=('big', 'small')",
        "sizes='64x48'",
        "settings=[1]",
        "wrong_settings={'a size': 1}",
        "impatient={1: 2}",
        "keeps='.cards'",
        "backend='127.0.0.1'",
    ],
)
def test_a_case_that_says_something_else_is_refused(said: str, tmp_path: Path) -> None:
    """By the name of what is wrong; none of it is blamed on the plugin, or on the kit."""
    path = tmp_path / "case.py"
    imports = "from decimal import Decimal\nfrom host_stub.conformance import Case\n"
    path.write_text(f"{imports}case = Case({said})\n", "utf-8")

    with pytest.raises(CaseRefused, match=rf"case\.py: case: {said.partition('=')[0]}: expected "):
        load_case("plain", path)
