"""On which event loops a plugin works, beside asyncio, on which all else is tried."""

from __future__ import annotations

import threading
from importlib.util import find_spec

from host_stub.conformance.lab import Lab
from host_stub.conformance.requirement import tries
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.text.format import how_to_install


def _works(lab: Lab) -> str:
    scenes = lab.scenes(3)
    if lab.plugin.capabilities.plans:
        lab.plan(scenes)
    lab.made(scenes)
    return f"3 scenes, 3 pictures, on {lab.loop}"


@tries("loop.trio")
def trio(lab: Lab) -> str:
    """Plan and run on trio, where it is installed."""
    if find_spec("trio") is None:
        raise NotShown(f"trio is not installed: {how_to_install('trio')}")
    lab.loop = "trio"
    return _works(lab)


@tries("loop.thread")
def thread(lab: Lab) -> str:
    """Plan and run on an event loop of another thread, as a web server or a notebook does."""
    said: list[str] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            said.append(_works(lab))
        except BaseException as error:  # noqa: BLE001 - it is raised below
            raised.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    if raised:
        if isinstance(raised[0], Broken):
            raise Broken(f"in a thread: {raised[0]}") from raised[0]
        raise raised[0]
    return f"{said[0]}, in a thread"
