"""A project folder as a user has it, and the two commands run in it as real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import documents
from tests.doors import Row, rows
from tests.fakes.image_api import KEY, ImageApi
from tests.places import ON_TRIO

STAGE3 = "import sys; from stage3_plugin.cli import main; sys.exit(main())"


class Project:
    """A folder with a config and scenes whose pictures are bought for 0.05 USD each."""

    def __init__(self, folder: Path, *, backend: str = "asyncio") -> None:
        self.folder = folder
        self._host = ["-c", ON_TRIO] if backend == "trio" else ["-m", "host_stub"]
        folder.mkdir(parents=True, exist_ok=True)

    def scenes(self, count: int) -> None:
        """Write a story of scenes from ``s01`` on."""
        ids = [f"s{number:02}" for number in range(1, count + 1)]
        story = [{"scene_id": one, "image_prompt": f"{one}: a harbour at dusk"} for one in ids]
        (self.folder / "scenes.json").write_text(json.dumps(story), encoding="utf-8")

    def config(self, api: ImageApi, /, **more: object) -> None:
        """Write the config of a run against the loopback API."""
        values: Mapping[str, object] = {
            "provider": "openrouter",
            "base_url": api.base_url,
            "model": "a/painter",
            "size": "64x64",
            "price_usd": "0.05",
            "backoff_base_s": 0.01,
            "backoff_max_s": 0.02,
            **more,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        table = ["[plugin.stage3]", 'api_key = { env = "LOOPBACK_KEY" }', *lines]
        (self.folder / "host.toml").write_text("\n".join(table), encoding="utf-8")

    def start(self, *arguments: str, before: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start the host's command; ``before`` goes in front of the interpreter."""
        return subprocess.Popen(
            [*before, sys.executable, *self._host, *arguments],
            cwd=self.folder,
            env={**os.environ, "LOOPBACK_KEY": KEY, "COLUMNS": "200"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the host's command to its end."""
        return ended(self.start(*arguments))

    def stage3(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command that looks after the ledger to its end."""
        done = subprocess.run(
            [sys.executable, "-c", STAGE3, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        documents.check_text(done.stdout)
        return done

    def manifest(self) -> dict[str, Any]:
        """Read the manifest."""
        text = (self.folder / "out" / "manifest.json").read_text(encoding="utf-8")
        manifest: dict[str, Any] = json.loads(text)
        return manifest

    def codes(self) -> dict[str, str]:
        """Return how every scene ended, from the manifest."""
        manifest = self.manifest()
        made = {image["scene_id"]: "made" for image in manifest["images"]}
        return made | {one["scene_id"]: one["code"] for one in manifest["failures"]}

    def purchases(self) -> list[Row]:
        """Read every row of the ledger, oldest first, and see that its total is right."""
        return rows(self.folder / ".stage3")


def ended(
    process: subprocess.Popen[str], *, most_s: float = 30
) -> subprocess.CompletedProcess[str]:
    """Wait for a command, half a minute at most if nothing else is said."""
    output, errors = process.communicate(timeout=most_s)
    documents.check_text(output)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for another process to come as far, at most half a minute."""
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")
