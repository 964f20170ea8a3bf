"""A process that is stopped for longer than its deadlines loses no answer that came meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.behaviours import Gate, Ok
from tests.fakes.image_api import KEY, ImageApi
from tests.stage3.buying import states

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 3.0
LARGE = (1500, 1500)
"""9 MB of base64: more than lies in the buffers of a socket, so that it flows on afterwards."""
SCENES = {
    "small-length": Ok(framing="length"),
    "small-chunked": Ok(framing="chunked"),
    "large-length": Ok(framing="length", size_px=LARGE, heavy=True),
    "large-chunked": Ok(framing="chunked", size_px=LARGE, heavy=True),
}


PROGRAM = f"""
import sys
sys.path.append({str(ROOT)!r})  # last, so that what is installed is what runs
from tests.hostile.buyer import main
main()
"""


def started(order: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, json.dumps(order)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


def order_for(
    api: ImageApi, folder: Path, backend: str, scenes: Sequence[str], **settings: Any
) -> dict[str, Any]:
    order: dict[str, Any] = {
        "backend": backend,
        "folder": str(folder),
        "scenes": list(scenes),
        "settings": {
            "provider": "openai",
            "model": "gpt-image-2",
            "base_url": api.base_url,
            "api_key": KEY,
            "size": "64x64",
            "timeout_s": TIMEOUT_S,
            **settings,
        },
    }
    if api.ca_pem is not None:
        authority = folder / "authority.pem"
        authority.write_bytes(api.ca_pem)
        order["authority"] = str(authority)
    return order


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_what_came_while_the_process_was_stopped_is_taken_in(
    tmp_path: Path,
    anyio_backend: str,
    tls: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Whole in the buffers of the socket, or flowing on when the process wakes up."""
    gate = Gate()
    with ImageApi(tls=tls) as api:
        for scene, good in SCENES.items():
            api.script(
                Ok(framing=good.framing, size_px=good.size_px, heavy=good.heavy, gate=gate),
                scene=scene,
            )
        buyer = started(order_for(api, tmp_path, anyio_backend, tuple(SCENES)))
        deadline = time.monotonic() + 60
        while api.received() < len(SCENES) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(buyer.pid, signal.SIGSTOP)
        gate.open()
        time.sleep(TIMEOUT_S + 0.5)
        os.kill(buyer.pid, signal.SIGCONT)
        told, _ = buyer.communicate(timeout=60)

        assert json.loads(told)["codes"] == dict.fromkeys(SCENES, "made")
        assert api.received() == len(SCENES)
    assert states(tmp_path) == ["PAID"] * len(SCENES)
