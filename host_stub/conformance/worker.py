"""One process in which a plugin is tried, so that whatever it does ends there.

A plugin may hang, kill its process, print, or change what belongs to all of it. The kit's own
process never imports one: it starts this module, names a requirement on standard input, and reads
an answer from a pipe that nothing else writes to. Each answer repeats a word that came with the
question, so that neither an exit with 0 nor a stray write counts as one.

The questions are JSON, a line each: ``{"word", "id", "folder", "alone"}``, with the id
:data:`DESCRIBE` for what the plugin says of itself. What is asked alone is answered by a copy of
this process in which the plugin has never been: the process itself goes on without it.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, cast

from host_stub.conformance.case import Case
from host_stub.conformance.cases import FILE_MODULE, CaseRefused, installed_case, load_case
from host_stub.conformance.catalogue import requirements
from host_stub.conformance.lab import Lab, at_work
from host_stub.conformance.requirement import Trial
from host_stub.conformance.surroundings import look, printed_bytes, settle
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import ImagePlugin
from host_stub.errors import (
    ContractViolation,
    HostError,
    PluginIncompatible,
    in_one_line,
)
from host_stub.plugins.loading import LoadedPlugin, import_plugin, pick

DESCRIBE: Final = "hooks.loads"
"""The requirement that is tried first; its answer has what the plugin says of itself."""
_MOST_OF_A_DETAIL: Final = 2000


class Bench:
    """The plugin under test in this process, imported when it is first asked for."""

    def __init__(self, name: str, case_file: Path | None) -> None:
        self._found = pick(name)
        self._case_file = case_file
        self._loaded: tuple[LoadedPlugin, ImagePlugin] | None = None
        self._case: tuple[Case | None] | None = None
        self.begins: Callable[[str], None] = lambda _what: None
        self._trials = {one.id: one.trial for one in requirements()}
        self._before = look()
        self._printed = printed_bytes()

    @property
    def modules(self) -> tuple[str, ...]:
        """The packages an exception can come from that is the plugin's or its case's fault."""
        case = installed_case(self._found.name)
        targets = [self._found.target, *([] if case is None else [case.value])]
        return (*map(_whose, targets), FILE_MODULE)

    def load(self) -> tuple[LoadedPlugin, ImagePlugin]:
        """Return the plugin.

        Raises:
            HostError: It cannot be used.
        """
        if self._loaded is None:
            loaded = import_plugin(self._found)
            self._loaded = loaded, loaded.describe()
        return self._loaded

    def case(self) -> Case | None:
        """Return its case, if there is one.

        Raises:
            CaseRefused: It cannot be used.
        """
        if self._case is None:
            self._case = (load_case(self._found.name, self._case_file),)
        return self._case[0]

    def answer(self, name: str, folder: Path) -> dict[str, Any]:
        """Try one requirement."""
        begun_s = time.perf_counter()
        try:
            found = self._describe() if name == DESCRIBE else self._try(self._trials[name], folder)
        except Broken as broken:
            found = {"verdict": "fail", "detail": str(broken), "trace": _traced(broken)}
        except NotShown as why:
            found = {"verdict": "skipped", "detail": str(why)}
        except CaseRefused as refused:
            found = {"verdict": "case", "detail": str(refused)}
        except BaseException as error:  # noqa: BLE001 - whoever is at fault, the kit goes on
            found = self._blamed(error)
        detail = " ".join(str(found["detail"]).split())[:_MOST_OF_A_DETAIL]
        return {**found, "detail": detail, "took_s": round(time.perf_counter() - begun_s, 3)}

    def _try(self, trial: Trial, folder: Path) -> dict[str, Any]:
        loaded, plugin = self.load()
        is_of_import = trial.alone and trial.needs == "description"
        case = None if is_of_import else self.case()  # what a case imports is not the plugin's
        chosen = case or Case()
        with at_work(chosen, needed=trial.needs != "description") as backend:
            lab = Lab(
                loaded=loaded,
                plugin=plugin,
                case=chosen,
                has_case=case is not None,
                folder=folder,
                backend=backend,
                before=self._before,
                printed_before=self._printed,
            )
            return {"verdict": "pass", "detail": trial.check(lab)}

    def _describe(self) -> dict[str, Any]:
        """Say what the plugin says of itself, and whether it can be run with no case."""
        try:
            loaded, plugin = self.load()
        except PluginIncompatible as error:
            return {"verdict": "fail", "broken": "hooks.contract", "detail": str(error)}
        except ContractViolation as error:
            return {"verdict": "fail", "broken": error.requirement, "detail": error.detail}
        except HostError as error:
            return {"verdict": "fail", "detail": str(error), "trace": _traced(error)}
        self.begins("case")
        case = self.case()
        self.begins("description")
        chosen = case or Case()
        lab = Lab(
            loaded=loaded, plugin=plugin, case=chosen, has_case=case is not None, folder=Path()
        )
        try:
            lab.validated({})
        except HostError:
            is_bare = False
        else:
            is_bare = True
        return {
            "verdict": "pass",
            "detail": f"{self._found.target} was imported and described itself as {plugin.name!r}",
            "contract": list(plugin.contract),
            "capabilities": plugin.capabilities.model_dump(),
            "is_bare": is_bare,
            "has_case": case is not None,
            "has_backend": chosen.backend is not None,
            "cannot": dict(chosen.cannot),
            "patience_s": chosen.patience_s,
        }

    def _blamed(self, error: BaseException) -> dict[str, Any]:
        """Say whose fault an exception is: the plugin's if it came out of its code."""
        where = [frame for one in _chain(error) for frame in traceback.walk_tb(one.__traceback__)]
        theirs = [
            f"{name}:{line}"
            for frame, line in where
            if (name := str(frame.f_globals.get("__name__", ""))).partition(".")[0] in self.modules
            or name in self.modules
        ]
        if theirs:
            said = f"{theirs[-1]} raised {in_one_line(error)}"
            return {"verdict": "fail", "detail": said, "trace": _traced(error)}
        frame, line = where[-1] if where else (None, 0)
        place = "" if frame is None else f" at {frame.f_globals.get('__name__')}:{line}"
        said = f"the kit itself raised {in_one_line(error)}{place}"
        return {"verdict": "harness_error", "detail": said, "trace": _traced(error)}


def _whose(target: str) -> str:
    """Return the package of an entry point; of one of the host's own, the module."""
    module = target.partition(":")[0].strip()
    top = module.partition(".")[0]
    return module if top == "host_stub" else top


def _traced(error: BaseException) -> str:
    """Return the traceback of what is behind an error, for ``--debug``; empty without a cause."""
    behind = error.__cause__ if isinstance(error, Broken) else error
    return "" if behind is None else "".join(traceback.format_exception(behind))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", one).exceptions


class Desk:
    """Takes questions, and hands each to the plugin in this process or in a copy of it."""

    def __init__(self, name: str, case_file: Path | None, answers: BinaryIO) -> None:
        self._name = name
        self._case_file = case_file
        self._answers = answers
        self._bench: Bench | None = None
        requirements()  # what every copy needs is imported once

    def take(self, asked: dict[str, Any]) -> None:
        """Answer one question."""
        if not asked["alone"]:
            self._bench = self._bench or Bench(self._name, self._case_file)
            self._answer(self._bench, asked)
            return
        copy = os.fork()
        if copy == 0:
            self._answer_alone(asked)
        _, status = os.waitpid(copy, 0)
        # Behind an answer nobody reads this; where there was none, it says how the copy ended.
        self._write(asked, {"ended": os.waitstatus_to_exitcode(status)})

    def _answer_alone(self, asked: dict[str, Any]) -> NoReturn:
        """Answer in a copy of the process, and end it."""
        try:
            settle(Path(asked["folder"]))
            self._answer(Bench(self._name, self._case_file), asked)
        finally:
            os._exit(0)

    def _answer(self, bench: Bench, asked: dict[str, Any]) -> None:
        folder = Path(asked["folder"]) / "trial"
        folder.mkdir(parents=True)
        bench.begins = lambda what: self._write(asked, {"begins": what})
        mine = os.getpid()
        answer = bench.answer(asked["id"], folder)
        if os.getpid() != mine:  # a copy that the plugin made, and that came back: none is its
            os._exit(1)
        self._write(asked, answer)

    def _write(self, asked: dict[str, Any], answer: dict[str, Any]) -> None:
        line = json.dumps({"word": asked["word"], "id": asked["id"], **answer}).encode()
        self._answers.write(line + b"\n")
        self._answers.flush()


def main() -> None:
    """Take the two ends that the parent opened out of the plugin's reach, and serve."""
    name, case_file, answers_at = sys.argv[1:]
    questions = os.fdopen(os.dup(0), "rb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)  # a plugin that asks on standard input gets no answer, and no question
    os.close(nowhere)
    os.set_inheritable(int(answers_at), False)
    with os.fdopen(int(answers_at), "wb") as answers:
        desk = Desk(name, Path(case_file) if case_file else None, answers)
        for line in questions:
            desk.take(json.loads(line))


if __name__ == "__main__":
    main()
