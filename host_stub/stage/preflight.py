"""Opening a stage and closing it again, with nothing run in between.

What ``check`` does beyond loading: some faults, a missing key for instance, only opening can find;
and the frame of ``plan``, which asks the open stage a question. Apart from the run, because there
are no results, no journal and no signals to hold back here.

Everything asynchronous of a command runs on the event loop that is begun here.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar, TypeVarTuple

import anyio

from host_stub.contract import Capabilities, ImageStage, OnlineCheck, Provider, StageError
from host_stub.errors import HostError, UsageError
from host_stub.plugins.selection import SelectedPlugin
from host_stub.stage.exit_codes import stage_error
from host_stub.stage.offered import online_checks_of, providers_of, warnings_of
from host_stub.text.format import how_to_install
from host_stub.text.redaction import Redactor, secrets_of

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


def run_on(
    backend: str, function: Callable[[*Arguments], Awaitable[Result]], *arguments: *Arguments
) -> Result:
    """Run a function to its end; blocks.

    Args:
        backend: anyio's event loop: ``asyncio`` or ``trio``.
        function: What to run.
        arguments: For it.

    Raises:
        UsageError: The event loop is not installed.
        OSError: No files are left for one.
    """
    if backend == "trio" and not _is_there("trio"):
        raise UsageError(
            "the event loop 'trio' is asked for, and the package trio is not installed",
            hint=how_to_install("trio"),
        )
    with selectors.DefaultSelector():  # asyncio's shows a traceback where it finds but two of three
        for one in socket.socketpair():
            one.close()
    return anyio.run(function, *arguments, backend=backend)


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # an import hook forbids it
        return False


Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What opening a stage found.

    Attributes:
        warnings: What a person should know although the stage works.
        capabilities: What it can do with these settings; the description's, if it does not say.
        providers: Who can make its pictures, if it says so.
        online: What it was told online; ``None`` if it was not to ask, or cannot.
    """

    warnings: tuple[str, ...]
    capabilities: Capabilities
    providers: tuple[Provider, ...]
    online: tuple[OnlineCheck, ...] | None = None


def run_preflight(
    plugin: SelectedPlugin, *, online: bool = False, backend: str = "asyncio"
) -> Preflight:
    """Open the stage and close it again; blocks until that is over.

    Args:
        plugin: Whose stage.
        online: Have it ask its provider what costs nothing.
        backend: anyio's event loop: ``asyncio`` or ``trio``.

    Raises:
        StageFailed: It could not be opened, or not closed; the exit code is what a run's would be.
        ContractViolation: What it says that it was told online is nonsense.
    """

    async def what_it_found(stage: ImageStage) -> Preflight:
        """Ask what opening found, and online only if that was asked for."""
        own: Any = getattr(stage, "capabilities", None)
        described = plugin.description.capabilities
        can = own if isinstance(own, Capabilities) else described
        return Preflight(
            warnings=warnings_of(stage),
            capabilities=can,
            providers=providers_of(stage),
            online=await online_checks_of(stage, plugin) if online else None,
        )

    return ask(plugin, what_it_found, backend=backend)


def ask(
    plugin: SelectedPlugin,
    question: Callable[[ImageStage], Awaitable[Answer]],
    *,
    backend: str = "asyncio",
) -> Answer:
    """Open the stage, ask it something, and close it again; blocks until that is over.

    Args:
        plugin: Whose stage.
        question: What to ask; it may use nothing that spends or writes.
        backend: anyio's event loop: ``asyncio`` or ``trio``.

    Raises:
        StageFailed: The stage could not be opened, did not answer, or could not be closed.
        HostError: What the question itself raised of this kind.
    """
    return run_on(backend, _open_and_ask, plugin, question)


async def _open_and_ask(
    plugin: SelectedPlugin, question: Callable[[ImageStage], Awaitable[Answer]]
) -> Answer:
    answers: list[Answer] = []
    try:
        async with plugin.description.open(plugin.settings, plugin.services) as stage:
            answers.append(await question(stage))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        starting = not answers or (isinstance(error, StageError) and error.starting)
        redactor = Redactor([*secrets_of(plugin.settings), *plugin.secrets])
        failure: HostError = stage_error(error, plugin, redactor, nothing_tried=starting)
    else:
        return answers[0]
    raise failure  # out here, since its cause is set already
