"""A project folder whose pictures a model class of its own renders, in replicas that are processes.

The class does what the prompt says: it may raise, die, hang, or return what is no picture. Whatever
a run has started is found by a word in its environment, wherever it ended up.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from tests.projects import Project

MARK = "STAGE3_TEST_OF"
"""A variable that all processes of one project have."""

MODELS = '''
import hashlib, json, os, signal, struct, subprocess, sys, time, zlib

with open("imported.log", "a") as log:
    print(os.getpid(), file=log)


def png(width, height, grey=0):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    rows = b"".join(b"\\0" + bytes([grey % 256]) * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


class Painter:
    def __init__(self, seconds=0.0, **more):
        self.seconds, self.more = seconds, more
        print("made with", more)
        subprocess.Popen(["sleep", "1000"])
        with open("made.log", "a") as log:
            print(json.dumps({"environ": dict(os.environ), "path": sys.path}), file=log)

    def render(self, request):
        with open("rendered.log", "a") as log:
            print(json.dumps([request.scene_id, os.getpid(), time.monotonic()]), file=log)
        if request.references:
            shown = [
                [one.name, one.role, hashlib.sha256(one.data).hexdigest()]
                for one in request.references
            ]
            with open("shown.log", "a") as log:
                print(json.dumps([request.scene_id, shown, repr(request)]), file=log)
        print("at", request.scene_id, flush=True)
        word = request.prompt.split()[0]
        if word == "raise":
            raise ValueError("no such brush")
        if word == "exit":
            os._exit(3)
        if word == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "fork":
            os.fork()
        if word == "orphan" and os.fork():
            os.kill(os.getpid(), signal.SIGKILL)
        if word in {"hang", "orphan"}:
            time.sleep(1000)
        if word == "tell":
            print("my token is " + self.more["token"], flush=True)
            os._exit(4)
        if word == "mumble":
            print("a" * 200 + self.more["token"] + "b" * 15_990, flush=True)
            os._exit(4)
        if word == "chatter":
            most, printed, until = 0, 0, time.monotonic() + 1.5
            while time.monotonic() < until:
                printed += os.write(1, b"word " * 20_000)
                most = max(most, os.fstat(1).st_size)
                time.sleep(0.001)
            with open("printed.log", "a") as log:
                print(json.dumps([most, printed]), file=log)
        if word == "say":
            raise ValueError("my token is " + self.more["token"])
        if word == "read":
            assert sys.stdin.read() == ""
        if word == "text":
            return "no picture"
        if word == "nothing":
            return None
        if word == "huge":
            return bytes(2 << 30)
        if word == "large":
            return png(request.width_px * 2, request.height_px)
        if word == "garbage":
            return b"no picture"
        time.sleep(self.seconds)
        return png(request.width_px, request.height_px, sum(request.prompt.encode()))


class Broken:
    def __init__(self, **_):
        raise FileNotFoundError("no weights at /models/none")


class Idle:
    """Renders nothing."""


def function(**_):
    return Painter()


class Batched(Painter):
    at_once = 4

    def render_many(self, requests):
        with open("batches.log", "a") as log:
            print(json.dumps([request.scene_id for request in requests]), file=log)
        words = [request.prompt.split()[0] for request in requests]
        if "whole" in words and len(requests) > 1:
            raise ValueError("not in a batch")
        time.sleep(self.seconds)
        return [
            ValueError("this one alone") if word == "alone" else
            "no picture" if word == "text" else
            os._exit(5) if word == "exit" else
            png(request.width_px, request.height_px, sum(request.prompt.encode()))
            for word, request in zip(words, requests)
        ]

    render = None
'''


class ModelProject(Project):
    """A project with ``provider = "local"`` and a module ``my_models`` beside its config."""

    def __init__(self, folder: Path, *, backend: str = "asyncio") -> None:
        super().__init__(folder, backend=backend)
        self.word = uuid.uuid4().hex
        self.environ: dict[str, str] = {}
        (folder / "my_models.py").write_text(MODELS, encoding="utf-8")

    def story(self, words: Sequence[str], name: str = "scenes.json", **more: object) -> None:
        """Write a story with a scene for each word, which is its prompt, from ``s01`` on."""
        scenes = [
            {"scene_id": f"s{number:02}", "image_prompt": f"{word} {number}", **more}
            for number, word in enumerate(words, start=1)
        ]
        (self.folder / name).write_text(json.dumps(scenes), encoding="utf-8")

    def local(self, *, executor: Mapping[str, object] | None = None, **more: object) -> None:
        """Write the config."""
        values: Mapping[str, object] = {
            "provider": "local",
            "model_class": "my_models:Painter",
            "size": "32x32",
            "backoff_base_s": 0.01,
            "backoff_max_s": 0.02,
            "executor": {"replicas": 1, **(executor or {})},
            **more,
        }
        lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
        table = "\n".join(["[plugin.stage3]", *lines])
        (self.folder / "host.toml").write_text(table, encoding="utf-8")

    def start(self, *arguments: str, before: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start the host's command with a word in its environment."""
        kept = {**os.environ}
        os.environ.update({MARK: self.word, **self.environ})
        try:
            return super().start(*arguments, before=before)
        finally:
            for name in (MARK, *self.environ):
                if name in kept:
                    os.environ[name] = kept[name]
                else:
                    del os.environ[name]

    def log(self, name: str) -> list[Any]:
        """Read what the class has noted: a line of JSON each."""
        path = self.folder / f"{name}.log"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def processes(self) -> set[int]:
        """Return all processes that runs of this project have started, and that are there."""
        mark = f"{MARK}={self.word}".encode()
        return {int(path.name) for path in Path("/proc").glob("[0-9]*") if mark in _environ(path)}

    def ends_without_processes(self, within_s: float = 5.0) -> bool:
        """Wait until no process is left; return whether that came."""
        until = time.monotonic() + within_s
        while self.processes():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True


def _environ(process: Path) -> bytes:
    try:
        if (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
            return b""
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def _toml(value: object) -> str:
    if isinstance(value, dict):
        named = cast("dict[str, object]", value).items()
        return f"{{ {', '.join(f'{name} = {_toml(one)}' for name, one in named)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, cast('list[object]', value)))}]"
    return json.dumps(value)
