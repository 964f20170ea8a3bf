"""Opening a stage and closing it again, with nothing run in between.

What ``check`` does beyond loading: some faults, a missing key for instance, only opening can find.
Apart from the run, because there are no scenes, no results and no journal here.
"""

from __future__ import annotations

from functools import partial

import anyio

from host_stub.contract import StageError
from host_stub.endings import stage_error
from host_stub.errors import HostError
from host_stub.plugins import SelectedPlugin
from host_stub.redaction import Redactor, secrets_of


def rehearse(plugin: SelectedPlugin, *, backend: str = "asyncio") -> None:
    """Open the stage and close it again; blocks until that is over.

    Args:
        plugin: Whose stage.
        backend: anyio's event loop: ``asyncio`` or ``trio``.

    Raises:
        StageFailed: It could not be opened, or not closed; the exit code is what a run's would be.
    """
    anyio.run(partial(_open_and_close, plugin), backend=backend)


async def _open_and_close(plugin: SelectedPlugin) -> None:
    opened = False
    failure: HostError | None = None
    try:
        async with plugin.description.open(plugin.settings, plugin.services):
            opened = True
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        starting = not opened or (isinstance(error, StageError) and error.starting)
        redactor = Redactor([*secrets_of(plugin.settings), *plugin.secrets])
        failure = stage_error(error, plugin, redactor, nothing_tried=starting)
    if failure is not None:
        raise failure  # out here, since its cause is set already
