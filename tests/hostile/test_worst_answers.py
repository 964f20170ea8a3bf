"""Answers that were written to be slow to read: a run is over with them in a few seconds of work.

Work is counted, not time: the system ends a process that has used up its share of the processor.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.behaviours import Behaviour, Json
from tests.fakes.image_api import ImageApi
from tests.heavy import first_of
from tests.hostile.test_stopped import PROGRAM, order_for

MOST_CPU_S = 25
"""A run of one such scene takes two on a slow machine, of which its start is the most."""
LIMITED = f"""
import resource
resource.setrlimit(resource.RLIMIT_CPU, ({MOST_CPU_S}, {MOST_CPU_S}))
{PROGRAM}
"""


def refused(words: str, status: int = 400) -> Json:
    return Json({"error": {"message": words, "code": None}}, status)


def said(words: str) -> Json:
    """Answer a chat in which a picture is looked for."""
    choice = {"message": {"role": "assistant", "content": words}}
    return Json({"choices": [choice]}, billed=True)


IMAGES: dict[str, Any] = {"price_usd": "0.05"}
CHAT: dict[str, Any] = {
    "provider": "openrouter", "api": "chat", "model": "a/painter", "price_usd": "0.05",
}  # fmt: skip
SLOW: dict[str, tuple[Behaviour, dict[str, Any]]] = {
    "a wait without its number": (refused("wait" + " " * 4000, 429), IMAGES),
    "waits without their numbers": (refused(("retry after about" + " " * 300) * 12, 429), IMAGES),
    "beginnings of keys": (refused("key-" * 400_000), IMAGES),
    "pictures without an end": (said("![" * 800_000), CHAT),
    "addresses of pictures without an end": (said("![](http://" * 150_000), CHAT),
    "data without a comma": (said("data:image/" * 150_000), CHAT),
}


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such limit")
@pytest.mark.parametrize(
    "name", first_of(SLOW, "waits without their numbers", "pictures without an end")
)
def test_words_that_are_slow_to_search_end_no_run(
    tmp_path: Path, image_api: ImageApi, name: str
) -> None:
    """The scene is judged, and the one beside it is made."""
    slow, settings = SLOW[name]
    image_api.script(slow, scene="slow")
    order = order_for(image_api, tmp_path, "asyncio", ["slow", "good"], max_attempts=1)
    order["settings"] |= {"timeout_s": 90, **settings}
    done = subprocess.run(
        [sys.executable, "-P", "-c", LIMITED, json.dumps(order)],
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr[-2000:]
    codes = json.loads(done.stdout)["codes"]
    assert codes.keys() == {"slow", "good"}
    assert codes["good"] == "made"
