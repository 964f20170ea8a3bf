"""A report as people, programs and CI services read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from xml.etree import ElementTree

from host_stub.conformance.verdict import VERDICTS, Report, Result, Verdict

_WORDS: Final[dict[Verdict, str]] = {
    "pass": "pass",
    "fail": "FAIL",
    "skipped": "skipped",
    "known_deviation": "known",
    "harness_error": "KIT FAILED",
}
_TALLY: Final[dict[Verdict, str]] = {
    "pass": "pass",
    "fail": "fail",
    "skipped": "skipped",
    "known_deviation": "known deviation",
    "harness_error": "harness error",
}
_OF_A_CASE: Final = re.compile(r"\bcase\b")
"""In the reason of what a better case would show."""
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_lines(result: Result) -> Iterator[str]:
    """Lay a result out for people: what is wrong comes with the rule and where it is explained."""
    yield f"{_WORDS[result.verdict]:10}  {result.id}: {result.detail}"
    if result.verdict in {"fail", "harness_error"}:
        yield f"{'':10}  the rule: {result.sentence}"
        yield f"{'':10}  {result.link}"


def tally(report: Report) -> str:
    """Count the verdicts, and say what they come to."""
    counted = [f"{count} {_TALLY[verdict]}" for verdict, count in report.counts.items() if count]
    wanting = sum(
        one.verdict == "skipped" and _OF_A_CASE.search(one.detail) is not None
        for one in report.results
    )
    if wanting:
        skipped = f"{report.counts['skipped']} skipped"
        more = f"{skipped} ({wanting} of them for want of a case that can show them)"
        counted[counted.index(skipped)] = more
    ending = {
        0: f"{report.plugin} keeps what was tried of contract {report.contract}",
        1: f"{report.plugin} does not conform to contract {report.contract}",
        3: "the kit itself failed: this says nothing about the plugin",
    }[report.exit_code]
    return f"{', '.join(counted)}: {ending}"


def as_json(report: Report) -> dict[str, Any]:
    """Lay a report out for programs."""
    return {
        "format": "stage3-conform/1",
        "plugin": report.plugin,
        "source": report.source,
        "contract": report.contract,
        "case": report.case,
        "results": [
            {
                "id": result.id,
                "verdict": result.verdict,
                "sentence": result.sentence,
                "link": result.link,
                "detail": result.detail,
                "took_s": result.took_s,
            }
            for result in report.results
        ],
        "counts": {verdict: report.counts[verdict] for verdict in VERDICTS},
        "conforms": report.exit_code == 0,
    }


def as_junit(report: Report) -> str:
    """Lay a report out as JUnit has it: a test case for each requirement."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"{report.plugin} against contract {report.contract}",
        tests=str(len(report.results)),
        failures=str(report.counts["fail"]),
        errors=str(report.counts["harness_error"]),
        skipped=str(report.counts["skipped"] + report.counts["known_deviation"]),
    )
    for result in report.results:
        group, _, _ = result.id.partition(".")
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"conformance.{group}",
            name=result.id,
            time=f"{result.took_s:.3f}",
        )
        detail = _NOT_IN_XML.sub("\ufffd", result.detail)
        if result.verdict == "pass":
            ElementTree.SubElement(case, "system-out").text = detail
            continue
        kind = {"fail": "failure", "harness_error": "error"}.get(result.verdict, "skipped")
        body = ElementTree.SubElement(case, kind, message=detail)
        if kind != "skipped":
            body.text = f"{result.sentence}\n{result.link}"
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
