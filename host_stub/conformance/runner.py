"""Tries all requirements of a plugin, a few at a time, each in a process that may be lost.

The plugin is first asked what it is, in a process of its own: from that it follows which of them
can be shown at all. A plugin that needs a service is never run without a case: its settings could
lead to a real one.

What a plugin does not keep, and why its author lives with it, stands in a file of deviations::

    [known]
    "result.order-of-nothing" = "the service answers in its own order"

One that is kept after all is reported as a failure, so that the file never says more than is true.
"""

from __future__ import annotations

import os
import queue
import shutil
import threading
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, cast

from host_stub.conformance.cases import installed_case
from host_stub.conformance.catalogue import KitFault, requirements
from host_stub.conformance.processes import Worker, WorkerLost, end_strays
from host_stub.conformance.requirement import Requirement
from host_stub.conformance.verdict import Report, Result, Verdict
from host_stub.contract import CONTRACT
from host_stub.errors import UsageError, closest, in_one_line
from host_stub.plugins.loading import pick

_HINT: Final = 'write a table [known] with "REQUIREMENT" = "the reason"'
_MOST_BYTES: Final = 1 << 20


def read_known(path: Path) -> dict[str, str]:
    """Read which requirements a plugin is known not to keep, each with the reason.

    Raises:
        UsageError: The file cannot be read, or says something else.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode()
        document: dict[str, Any] = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint=_HINT) from error
    except ValueError as error:  # tomllib's, and that of a file that is no UTF-8
        raise UsageError(f"{path} is no TOML: {error}", hint=_HINT) from error
    except RecursionError as error:
        raise UsageError(f"{path} is nested too deeply", hint=_HINT) from error
    known: object = document.get("known", {})
    if not isinstance(known, dict) or document.keys() - {"known"}:
        raise UsageError(f"{path} has more than a table [known], or another kind of it", hint=_HINT)
    for name, why in cast("dict[str, object]", known).items():
        if not isinstance(why, str) or not why.strip():
            raise UsageError(f"{path}: known.{name}: expected the reason, in quotes", hint=_HINT)
    return cast("dict[str, str]", known)


_FIRST: Final = "hooks.loads"
_SPOKEN: Final = ".".join(map(str, CONTRACT))
_PATIENCE_S: Final = 30.0
_MOST_WORKERS: Final = 4

Telling = Callable[[Result], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be tried.

    Attributes:
        name: The plugin.
        case_file: A file with its case.
        known: Requirements it is known not to keep, each with the reason.
        only: Only these; all if empty.
        limit_s: Seconds for one requirement; by default what the case's patience leads to.
        workers: How many are tried at once.
    """

    name: str
    case_file: Path | None = None
    known: Mapping[str, str] = field(default_factory=dict[str, str])
    only: Collection[str] = ()
    limit_s: float | None = None
    workers: int = 0


def conform(
    asked: Asked, told: Telling | None = None, begun: Callable[[str], None] | None = None
) -> Report:
    """Try a plugin; blocks.

    Args:
        asked: What is to be tried.
        told: Called with each result as it comes, from any thread.
        begun: Called with a line that says what is tried, before all else.

    Raises:
        PluginError: There is no such plugin, or two.
        UsageError: A requirement is named that does not exist.
    """
    found = pick(asked.name)
    try:
        everything = requirements()
    except KitFault as fault:
        detail = in_one_line(fault)
        at_fault = Result(id="kit", verdict="harness_error", sentence="", link="", detail=detail)
        return _report(asked, found.source, _SPOKEN, None, [at_fault])
    _check_names(everything, [*asked.only, *asked.known])
    room = Path(mkdtemp(prefix="conform-"))
    worker = Worker(asked.name, asked.case_file, room / "room-0")
    try:
        facts = _facts(asked, worker)
        if facts["verdict"] == "case":
            raise UsageError(
                facts["detail"],
                hint="the case is what the author brings; see docs/testing-a-plugin.md",
            )
        names = {one.id for one in everything}
        facts["broken"] = broken if (broken := facts.get("broken")) in names else _FIRST
        contract = ".".join(map(str, facts.get("contract", CONTRACT)))
        case = _case_of(asked)
        if begun is not None:
            begun(_first_line(asked.name, found.source, contract, case, facts))
        wanted = {*asked.only, *([] if facts["verdict"] == "pass" else [facts["broken"]])}
        chosen = [one for one in everything if not asked.only or one.id in wanted]
        results = _Trying(asked, facts, worker, told).all(chosen)
        return _report(asked, found.source, contract, case, results)
    finally:
        worker.close()
        end_strays(room)
        shutil.rmtree(room, ignore_errors=True)


def _report(
    asked: Asked, source: str, contract: str, case: str | None, results: Sequence[Result]
) -> Report:
    return Report(plugin=asked.name, source=source, contract=contract, case=case, results=results)


def _case_of(asked: Asked) -> str | None:
    """Say where the case comes from, if there is one; it is not imported here."""
    if asked.case_file is not None:
        return str(asked.case_file)
    found = installed_case(asked.name)
    return None if found is None else found.value


def _first_line(
    name: str, source: str, contract: str, case: str | None, facts: Mapping[str, Any]
) -> str:
    tried = f"{name} ({source}) against contract {contract}"
    if case is not None:
        return f"{tried}, with the case {case}"
    what = (
        "only what needs no backend is tried"
        if facts.get("is_bare") and facts.get("capabilities", {}).get("offline")
        else "only what needs neither a run nor a backend is tried"
    )
    return f"{tried}, without a case: {what}"


def _check_names(requirements: Iterable[Requirement], named: Iterable[str]) -> None:
    names = [requirement.id for requirement in requirements]
    for name in named:
        if name not in names:
            near = closest(name, names)
            raise UsageError(
                f"there is no requirement {name!r}",
                hint=f"did you mean {near!r}?" if near else f"they are {', '.join(names)}",
            )


def _facts(asked: Asked, worker: Worker) -> dict[str, Any]:
    """Ask the plugin what it is, in a process of its own."""
    try:
        return worker.ask(_FIRST, asked.limit_s or 2 * _PATIENCE_S, alone=True)
    except WorkerLost as lost:
        if worker.begun == "case":
            return {"verdict": "case", "detail": f"when its case was loaded, {lost}"}
        when = "when its settings were tried" if worker.begun else "when it was imported"
        return {"verdict": "fail", "detail": f"{when}, {lost}"}


class _Trying:
    """The trial of one plugin, from what it said of itself."""

    def __init__(
        self, asked: Asked, facts: dict[str, Any], first: Worker, told: Telling | None
    ) -> None:
        self._asked = asked
        self._facts = facts
        self._idle = [first]
        self._workers = [first]
        self._is_over = False
        self._room = first.room.parent
        self._told = told
        self._waiting: queue.SimpleQueue[Requirement] = queue.SimpleQueue()
        self._results: dict[str, Result] = {}
        self._turn = threading.Lock()
        self._rooms = 0

    def all(self, requirements: Sequence[Requirement]) -> list[Result]:
        """Try these, and return the results in their order."""
        for requirement in sorted(requirements, key=lambda one: not one.trial.alone):
            settled = self._settled(requirement)
            if settled is None:
                self._waiting.put(requirement)
            else:
                trace = self._facts.get("trace", "") if settled[0] == "fail" else ""
                self._keep(requirement, *settled, trace=trace)
        at_once = self._asked.workers or max(1, min(os.cpu_count() or 1, _MOST_WORKERS))
        threads = [threading.Thread(target=self._work) for _ in range(at_once)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:  # an interrupt: what is in work ends with its process
            self._give_up()
            for thread in threads:
                thread.join()
            raise
        return [self._results[requirement.id] for requirement in requirements]

    def _give_up(self) -> None:
        """Try nothing more, and end all processes, which ends whoever waits for one."""
        self._is_over = True
        for worker in self._workers:
            worker.end()

    def _settled(self, requirement: Requirement) -> tuple[Verdict, str] | None:
        """Return what is known of a requirement from the plugin's own words, if that is enough."""
        facts, trial = self._facts, requirement.trial
        if facts["verdict"] != "pass":
            if requirement.id == facts["broken"]:
                return facts["verdict"], facts["detail"]
            return "skipped", f"the plugin cannot be used: {facts['detail']}"
        if requirement.id == _FIRST:
            return "pass", facts["detail"]
        capabilities: Mapping[str, Any] = facts["capabilities"]
        if trial.capability is not None and not capabilities.get(trial.capability):
            return "skipped", f"the plugin does not declare the capability {trial.capability!r}"
        if trial.needs == "description":
            return None
        if not facts["has_case"]:
            return self._without_a_case(trial.needs, capabilities)
        if trial.needs == "backend" and not facts["has_backend"]:
            return "skipped", "the case brings no backend"
        for behaviour in trial.behaviours:
            if behaviour in facts["cannot"]:
                why = facts["cannot"][behaviour]
                return "skipped", f"the case's backend has no {behaviour}: {why}"
        return None

    def _without_a_case(
        self, needs: str, capabilities: Mapping[str, Any]
    ) -> tuple[Verdict, str] | None:
        if needs == "backend":
            return "skipped", "it needs a case with a backend"
        if not capabilities.get("offline"):
            return "skipped", "the plugin asks a service, so it is run with a case only"
        if not self._facts["is_bare"]:
            return "skipped", "the plugin has settings that are required: a case has to give them"
        return None

    def _work(self) -> None:
        """Try one requirement after the other; a process is used again until one is lost."""
        worker: Worker | None = None
        try:
            while not self._is_over:
                try:
                    requirement = self._waiting.get_nowait()
                except queue.Empty:
                    return
                worker = worker or self._worker()
                if not self._try(requirement, worker):
                    worker.close()
                    worker = None
        finally:
            if worker is not None:
                worker.close()

    def _worker(self) -> Worker:
        with self._turn:
            if self._idle:
                return self._idle.pop()
            self._rooms += 1
            room = self._room / f"room-{self._rooms}"
            worker = Worker(self._asked.name, self._asked.case_file, room)
            self._workers.append(worker)
            if self._is_over:
                worker.end()
            return worker

    def _try(self, requirement: Requirement, worker: Worker) -> bool:
        """Try one requirement; return whether the process can be used for others."""
        limit_s = self._asked.limit_s or 2 * float(self._facts["patience_s"]) + 10
        try:
            answer = worker.ask(requirement.id, limit_s, alone=requirement.trial.alone)
        except WorkerLost as lost:
            self._keep(requirement, "fail", str(lost))
            return False
        if answer["verdict"] == "case":
            answer["verdict"] = "fail"
        self._keep(
            requirement,
            answer["verdict"],
            answer["detail"],
            took_s=answer["took_s"],
            trace=answer.get("trace", ""),
        )
        return requirement.trial.alone or answer["verdict"] in {"pass", "skipped"}

    def _keep(
        self,
        requirement: Requirement,
        verdict: Verdict,
        detail: str,
        *,
        took_s: float = 0.0,
        trace: str = "",
    ) -> None:
        why = self._asked.known.get(requirement.id)
        if why is not None and verdict == "fail":
            verdict, detail = "known_deviation", f"{why}; seen: {detail}"
        elif why is not None and verdict == "pass":
            verdict = "fail"
            detail = f"it is kept now: delete its line in the known deviations; seen: {detail}"
        result = Result(
            id=requirement.id,
            verdict=verdict,
            sentence=requirement.sentence,
            link=requirement.link,
            detail=detail,
            took_s=took_s,
            trace=trace,
        )
        with self._turn:
            self._results[requirement.id] = result
            if self._told is not None:
                self._told(result)
