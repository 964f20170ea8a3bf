"""How a run's end is judged: which error is reported, and which code the command exits with.

Exit codes: 0 every scene has its picture; 1 some do not; 2 the run could not start; 3 the stage
stopped, or broke the contract; 4 what became of some request is unknown and money may be spent;
5 something that was bought is not here yet, and the same command later takes it in; 129, 130, 143
(128 and the signal's number) interrupted. Where several hold, the interrupt goes first, then 3, 4,
5, 1.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Sequence
from typing import cast

from host_stub.contract import StageError
from host_stub.errors import EXIT_STAGE, HostError, StageFailed, SystemLacks, in_one_line
from host_stub.plugins.selection import SelectedPlugin
from host_stub.text.addresses import in_text
from host_stub.text.redaction import Redactor

EXIT_DONE = 0
EXIT_FAILURES = 1
EXIT_UNKNOWN = 4
EXIT_PENDING = 5


def exit_code(
    *,
    signals: Sequence[signal.Signals],
    stopped: bool,
    failed: Counter[str],
    refused: bool = False,
) -> int:
    """Choose the exit code of a run that started.

    Args:
        signals: The signals that came, in order.
        stopped: The stage stopped by itself, raised, or broke the contract.
        failed: Failures by code.
        refused: A decision was not obeyed.
    """
    if signals:
        return 128 + signals[0]
    if stopped:
        return EXIT_STAGE
    if failed["unknown"]:
        return EXIT_UNKNOWN
    if failed["pending"]:
        return EXIT_PENDING
    return EXIT_FAILURES if failed.total() or refused else EXIT_DONE


def stage_error(
    error: BaseException, plugin: SelectedPlugin, redactor: Redactor, *, nothing_tried: bool
) -> HostError:
    """Translate what came out of a stage into an error of the host's, with its cause chained.

    Args:
        error: What was raised; a group of one stands for that one.
        plugin: Whose stage it was.
        redactor: Takes secrets out of the message; addresses in it are shortened, too.
        nothing_tried: The stage did not get to its work.
    """
    error = _alone(error)
    if isinstance(error, HostError):
        return error  # the scene file changed under the run, for example
    lack = SystemLacks.behind(error)
    if lack is not None and nothing_tried:
        return lack
    if lack is not None:
        message, hint = str(lack), lack.hint
    elif isinstance(error, StageError):
        message, hint = error.message, error.hint
    else:
        message, hint = in_one_line(error), "run it again with --debug to see where it comes from"
    failed = StageFailed(
        plugin.name,
        redactor.text(in_text(message)),
        source=plugin.source,
        hint=None if hint is None else redactor.text(in_text(hint)),
        starting=nothing_tried,
    )
    failed.__cause__ = error
    return failed


def _alone(error: BaseException) -> BaseException:
    """Unwrap a group that holds one exception, as task groups make them."""
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        if len(group.exceptions) != 1:
            return group
        error = group.exceptions[0]
    return error
