"""Count the calls of our own functions that one scene more costs.

Run ``python -m tests.benchmarks.calls [--top N]`` from the top of the checkout. Scenes are bought
of a loopback API through the library, few and then more, and every call of a function of
``stage3_plugin`` and ``host_stub`` is counted, in all threads, as often as a coroutine goes on.
``--top`` lists the functions that are called most.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from stage3_plugin import make_pictures
from tests.fakes.image_api import ImageApi
from tests.library.calling import painter, scenes

ROOT = f"{Path(__file__).resolve().parents[2]}/"
OURS = tuple(f"{ROOT}{name}/" for name in ("stage3_plugin", "host_stub"))
NOT_OURS = f"{ROOT}stage3_plugin/testing/"
FEW, MORE = 2, 12


def calls_of(count: int) -> Counter[str]:
    """Count the calls of a run of so many scenes, one at a time."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        name = code.co_filename
        if event == "call" and name.startswith(OURS) and not name.startswith(NOT_OURS):
            found[f"{name.removeprefix(ROOT)}:{code.co_qualname}"] += 1

    with ImageApi() as api, tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {**painter(api), "capacity": 1}
        threading.setprofile(note)
        try:
            make_pictures(
                scenes(count), settings, project_dir=folder, out_dir=Path(folder, "pictures")
            )
        finally:
            threading.setprofile(None)
    return found


def one_more() -> dict[str, float]:
    """Return how often each function is called for one scene more; once everything is loaded."""
    calls_of(1)
    more = calls_of(MORE)
    more.subtract(calls_of(FEW))
    return {name: calls / (MORE - FEW) for name, calls in more.items()}


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """Count what one scene more costs.

    Args:
        quick: Makes no difference: it is quick.
    """
    del quick
    each = sum(one_more().values())
    name = "calls of our functions that one scene more costs"
    return [{"name": name, "value": round(each), "unit": "calls", "bound": 1900, "peer": None}]


def main() -> None:
    """Count, and print."""
    parser = argparse.ArgumentParser(description="What one scene more costs in calls.")
    parser.add_argument("--top", type=int, default=0, metavar="N")
    found = one_more()
    for name in sorted(found, key=found.__getitem__, reverse=True)[: parser.parse_args().top]:
        print(f"{found[name]:8.1f}  {name}")
    print(f"{sum(found.values()):8.0f}  calls for one scene more")


if __name__ == "__main__":
    main()
