"""The end of a run: every scene accounted for, the results written, and a summary for a person.

Apart from the run itself, because it happens the same way whatever ended it: the last scene, an
error of the stage, a signal, or a plugin that did not let go and is left behind.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from host_stub.contract import StageSummary
from host_stub.decisions.apply import Applied
from host_stub.errors import HostError, ResultsNotWritten, StageFailed
from host_stub.events.stream import EventStream
from host_stub.run.manifest import NAME, RunFacts, figures, further, write_manifest
from host_stub.run.outcomes import Outcomes
from host_stub.run.picture_paths import from_here
from host_stub.run.story_rows import StoryRows
from host_stub.run.summary import summary_lines
from host_stub.stage.exit_codes import exit_code
from host_stub.stage.survey import Inquiry
from host_stub.standing.standings import Standings
from host_stub.standing.story_state import Price
from host_stub.text.addresses import in_text
from host_stub.text.console import Console
from host_stub.text.format import coded, counted, dollars
from host_stub.text.redaction import Redactor

FORMAT: Final = "stage3-run/1"


@dataclass(slots=True, kw_only=True)
class Ending:
    """What is known of how a run ends.

    Attributes:
        started_at: When the run began, aware.
        elapsed_s: From the opening of the stage to its end.
        signals: Those that came, in order.
        opened: The stage was opened.
        not_started: Why nothing was tried, if so.
        summary: What ``run`` returned.
        errors: What went wrong with the run as a whole.
    """

    started_at: datetime
    elapsed_s: float = 0.0
    signals: list[signal.Signals] = field(default_factory=list[signal.Signals])
    opened: bool = False
    not_started: HostError | None = None
    summary: StageSummary | None = None
    errors: list[HostError] = field(default_factory=list[HostError])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """How a run that started has ended.

    Attributes:
        exit_code: What the command exits with; see :mod:`host_stub.stage.preflight`.
        manifest: The manifest without its two lists, with its path under ``manifest_path`` and
            ``errors``, each as ``{"code", "message", "hint"}``. Plain JSON values, no secrets.
        errors: What ended the run or is wrong with it, causes chained; it is in the output already.
        rest: What the same command would ask for again, and pay for.
        known_usd: What is known of what it cost.
    """

    exit_code: int
    manifest: Mapping[str, Any]
    errors: tuple[HostError, ...] = ()
    rest: Price = field(default_factory=Price)
    known_usd: Decimal = Decimal(0)

    def document(self, *, retry_with: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the one object of a run that is asked for JSON.

        Args:
            retry_with: The same command, changed so that the rest would be made, if one is known.
        """
        return {"format": FORMAT, **self.manifest, "retry_with": retry_with}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Ends one run; its parts belong to the run.

    Attributes:
        asking: What the run was asked to do.
        standings: How its scenes stand by then.
        decided: What became of decisions, if there were any.
    """

    asking: Inquiry
    outcomes: Outcomes
    events: EventStream
    redactor: Redactor
    output: Console
    standings: Standings
    decided: Applied | None = None

    def close(self, ending: Ending) -> RunReport:
        """Account for every scene, write the manifest, and say how it went."""
        asking, out_dir = self.asking, self.asking.options.out_dir
        self._account(ending)
        facts = self._facts(ending)
        decided = {} if self.decided is None else self.decided.as_json()
        path: str | None = None
        pictures: StoryRows | None = None
        try:
            # Of two runs that end together, the one that read first would else write last.
            with asking.story.book.transaction():
                pictures = StoryRows(asking, self.standings, self.outcomes, redactor=self.redactor)
                path = from_here(
                    write_manifest(out_dir, self.outcomes, facts, pictures, decided=decided)
                )
        except HostError as error:
            ending.errors.append(error)
            facts = self._facts(ending)
        except OSError as error:
            ending.errors.append(ResultsNotWritten(out_dir / NAME, error))
            facts = self._facts(ending)
        self.events.host(
            "host.run_finished", exit_code=facts.exit_code, elapsed_s=round(facts.elapsed_s, 3)
        )
        if not asking.options.json_only:
            can = asking.plugin.description.capabilities
            lines = summary_lines(
                self.outcomes,
                facts,
                path,
                resumes=can.resumes,
                offline=can.offline,
                pictures=pictures,
                is_draft=asking.options.is_draft,
            )
            for line in lines:
                self.output.say(self.redactor.text(line))
        self._report_problems(ending)
        errors = [
            {"code": error.code, "message": str(error), "hint": error.hint}
            for error in ending.errors
        ]
        manifest = figures(self.outcomes.totals, facts) | further(self.outcomes.totals, facts)
        story = None if pictures is None else pictures.counts()
        manifest |= {"story": story, **decided, "manifest_path": path, "errors": errors}
        return RunReport(
            exit_code=facts.exit_code,
            manifest=self.redactor.value(manifest),
            errors=tuple(ending.errors),
            rest=self.standings.rest,
            known_usd=self.outcomes.totals.known_usd,
        )

    def _account(self, ending: Ending) -> None:
        """Give every scene an outcome, and collect what is wrong with the run as a whole."""
        outcomes = self.outcomes
        if ending.signals:
            outcomes.fill("the run was interrupted")
        elif ending.errors:
            outcomes.fill(self.redactor.text(str(ending.errors[0])))
        else:
            if not isinstance(ending.summary, StageSummary):
                outcomes.violate("result.complete", "run() did not return a StageSummary")
                ending.summary = None
            if outcomes.missing():
                count = counted(outcomes.missing(), "scene")
                outcomes.violate("result.complete", f"run() ended without a word on {count}")
            outcomes.fill("the plugin said nothing about it")
        summary = ending.summary
        if summary is not None and summary.stopped is not None and not ending.signals:
            reason = in_text(summary.message or f"no new scenes: {summary.stopped}")
            message = self.redactor.text(reason)
            plugin = self.asking.plugin
            ending.errors.append(StageFailed(plugin.name, message, source=plugin.source))
        ending.errors += outcomes.violations

    def _facts(self, ending: Ending) -> RunFacts:
        plugin = self.asking.plugin
        capacity = getattr(plugin.settings, "capacity", None)
        at_once = min(
            [self.asking.options.max_in_flight, *([capacity] if isinstance(capacity, int) else [])]
        )
        summary = ending.summary
        stopped = None if summary is None else summary.stopped
        why = "" if summary is None or stopped is None else in_text(summary.message or "")
        return RunFacts(
            run_id=self.asking.run_id,
            plugin=plugin.name,
            source=plugin.source,
            started_at=ending.started_at.astimezone(UTC).isoformat(timespec="milliseconds"),
            elapsed_s=ending.elapsed_s,
            mode="serial" if at_once == 1 else "concurrent",
            stopped="interrupted" if ending.signals else stopped,
            exit_code=exit_code(
                signals=ending.signals,
                stopped=bool(ending.errors),
                failed=self.outcomes.totals.failed,
                refused=self.decided is not None and bool(self.decided.refused),
            ),
            events_rejected=self.events.rejected_count,
            cause="" if ending.signals else self.redactor.text(why),
        )

    def _report_problems(self, ending: Ending) -> None:
        """Say what is wrong with the run as a whole, beside the result."""
        for name in self.events.muted:
            line = f"observer {name!r} raised and was not told anything more"
            self.output.warn(coded("observer_raised", line))
        if self.events.rejected_count:
            count = counted(self.events.rejected_count, "event")
            line = f"the plugin logged {count} that the contract does not know"
            self.output.warn(coded("unknown_events", line))
        if self.events.journal_failure is not None:
            line = f"the journal is not complete: {self.events.journal_failure}"
            self.output.warn(coded("journal_incomplete", line))
        known_usd = self.outcomes.totals.known_usd
        cap_usd = self.asking.options.max_cost_usd
        if cap_usd is not None and known_usd > cap_usd:
            line = (
                f"the run cost {dollars(known_usd)}, more than the {dollars(cap_usd)} it was given"
            )
            self.output.warn(coded("over_max_cost", line))
        if self.decided is not None and self.decided.refused:
            count = counted(len(self.decided.refused), "decision was", "decisions were")
            line = f"{count} refused: decisions_refused in the manifest says which"
            self.output.warn(coded("decisions", line))
        unlisted = self.outcomes.violation_count - len(self.outcomes.violations)
        for error in ending.errors:
            self.output.warn(self.redactor.text(coded(error.code, f"error: {error}")))
            if error.hint:
                self.output.warn(self.redactor.text(f"hint: {error.hint}"))
            self.output.trace(error)
        if unlisted:
            self.output.warn(
                f"and {counted(unlisted, 'more breach', 'more breaches')} of the contract"
            )
