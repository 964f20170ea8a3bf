"""What the kit says of a requirement, and how a check says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

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
