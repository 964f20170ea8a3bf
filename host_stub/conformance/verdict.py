"""What the kit says of a requirement, and a report as people, programs and CI services read it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args
from xml.etree import ElementTree

Verdict: TypeAlias = Literal["pass", "fail", "skipped", "known_deviation", "harness_error"]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)


class Broken(Exception):
    """Raised by a check: the plugin does not keep the requirement, and this is what was seen."""


class NotShown(Exception):
    """Raised by a check: it could not be shown either way, for this reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one requirement.

    Attributes:
        id: The requirement's name.
        verdict: What it came to.
        sentence: The requirement.
        link: Where it is explained.
        detail: What was seen, or why nothing was, in a line.
        took_s: Seconds.
        trace: The traceback of what the plugin raised, if it raised something.
    """

    id: str
    verdict: Verdict
    sentence: str
    link: str
    detail: str
    took_s: float = 0.0
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a plugin.

    Attributes:
        plugin: Its name.
        source: Its distribution and version.
        contract: The contract whose requirements were tried, such as ``1.1``.
        case: Where the case came from; ``None`` without one.
        results: One for each requirement, in the order of the requirements.
    """

    plugin: str
    source: str
    contract: str
    case: str | None
    results: Sequence[Result]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many there are of each verdict."""
        counted = Counter(result.verdict for result in self.results)
        return {verdict: counted[verdict] for verdict in VERDICTS}

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the requirements that are not kept."""
        return tuple(result.id for result in self.results if result.verdict == "fail")

    @property
    def exit_code(self) -> int:
        """0 if it conforms, 1 if it does not, 3 if the kit itself failed."""
        if self.counts["harness_error"]:
            return 3
        return 1 if self.counts["fail"] else 0


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
