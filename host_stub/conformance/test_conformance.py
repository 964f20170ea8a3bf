"""Each requirement as a test; all that were selected are tried together, when the first is run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from host_stub.conformance.requirement import sentences
from host_stub.conformance.runner import Asked, conform, read_known
from host_stub.conformance.verdict import Result
from host_stub.errors import HostError

NAMES = list(sentences())


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest) -> Mapping[str, Result]:
    """Try what was selected, and return the results by name."""
    image: str | None = request.config.getoption("--image")
    if image is None:
        pytest.skip("name the plugin to try with --image NAME")
    case: str | None = request.config.getoption("--case")
    known: str | None = request.config.getoption("--known")
    selected = {
        item.name.partition("[")[2].rstrip("]")
        for item in request.session.items
        if item.path == Path(__file__)
    }
    try:
        report = conform(
            Asked(
                name=image,
                case_file=None if case is None else Path(case),
                known={} if known is None else read_known(Path(known)),
                only=() if selected == set(NAMES) else selected,
            )
        )
    except HostError as error:
        pytest.exit(f"{error}; {error.hint}", returncode=pytest.ExitCode.USAGE_ERROR)
    for result in report.results:  # that which keeps the selected ones from being tried
        if result.id not in selected and result.verdict in {"fail", "harness_error"}:
            pytest.fail(f"{result.id}: {result.detail}", pytrace=False)
    return {result.id: result for result in report.results}


@pytest.mark.parametrize("requirement", NAMES)
def test_requirement(requirement: str, results: Mapping[str, Result]) -> None:
    """The plugin keeps the requirement."""
    result = results.get(requirement)
    if result is None:
        pytest.skip("what has to hold first does not")
    if result.verdict in {"skipped", "known_deviation"}:
        pytest.skip(f"{result.verdict}: {result.detail}")
    if result.verdict != "pass":
        said = f"{result.id}: {result.detail}\nthe rule: {result.sentence}\n{result.link}"
        pytest.fail(said, pytrace=False)
