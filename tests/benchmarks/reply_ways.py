"""Two ways of getting pictures from an HTTP API: the plain one everybody writes, and ours.

Run by ``replies.py`` as ``python -m tests.benchmarks.reply_ways``, each way in a fresh process, so
that time and memory are those of one way alone. The options come as JSON on the command line; one
JSON object with what was measured goes to standard output.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
import json
import os
import resource
import ssl
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio

if TYPE_CHECKING:
    from stage3_plugin.transport.sinks import ReplySink

PROBE_S = 0.002
THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to do.

    Attributes:
        way: ``plain``: gather, semaphore, ``.json()``, ``b64decode``, written durably in the loop;
            ``default``: ours.
        url: Where to post to.
        folder: Where pictures go.
        pictures: How many in all.
        in_flight: How many at a time.
        trust: A file with the certificate to trust.
        backend: The event loop; the plain way knows asyncio alone.
        work: What is done with an answer. ``nothing``: it is thrown away. ``durable``: its picture
            is decoded and written so that a power cut cannot take it. ``whole``, ours alone: the
            picture is also checked to its last pixel and copied to the results.
    """

    way: Literal["plain", "default"]
    url: str
    folder: str
    pictures: int
    in_flight: int
    trust: str | None = None
    backend: str = "asyncio"
    work: Literal["nothing", "durable", "whole"] = "durable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured, of this process alone.

    Attributes:
        cpu_ms: Processor time per picture, all threads.
        wall_s: From the first request to the last picture.
        peak_mb: The most memory that was resident.
        start_mb: What was resident before the first request.
        lag_p99_ms: How late the event loop was, at worst but for one time in a hundred.
        lag_max_ms: And at worst.
        p50_s: Half of the pictures took longer than this, request to disk.
    """

    cpu_ms: float
    wall_s: float
    peak_mb: float
    start_mb: float
    lag_p99_ms: float
    lag_max_ms: float
    p50_s: float


One = Callable[[int], Awaitable[None]]


async def plain(options: Options, times: list[float]) -> None:
    """Get all pictures the way everybody would."""
    import httpx

    verify: ssl.SSLContext | bool = _trust(options) or True
    folder = Path(options.folder)
    gate = asyncio.Semaphore(options.in_flight)
    limits = httpx.Limits(max_connections=options.in_flight, max_keepalive_connections=20)

    async with httpx.AsyncClient(verify=verify, timeout=None, limits=limits) as client:

        async def one(number: int) -> None:
            async with gate:
                started = time.perf_counter()
                response = await client.post(options.url, json={"prompt": f"scene {number}"})
                document = response.json()
                if options.work != "nothing":
                    picture = base64.b64decode(document["data"][0]["b64_json"])
                    _write(folder / f"{number}.png", picture)
                times.append(time.perf_counter() - started)

        await asyncio.gather(*(one(number) for number in range(options.pictures)))


def _write(path: Path, data: bytes) -> None:
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


class Ours:
    """Everything that happens to a picture from the request to the results folder."""

    def __init__(self, options: Options) -> None:
        from stage3_plugin.transport.client import Client
        from tests.stage3.stored import Stored

        self._options = options
        self._store = Stored(Path(options.folder, "state"))
        self._folder = Path(options.folder, "images")
        self._threads = anyio.CapacityLimiter(THREADS)
        self._client = Client(
            key_header="authorization",
            key_prefix="Bearer ",
            key=None,
            own_urls=[],
            timeout_s=600,
            tls=_trust(options),
        )

    async def run(self, times: list[float]) -> None:
        """Get all pictures with as many workers as may be in flight."""
        numbers = iter(range(self._options.pictures))

        async def work() -> None:
            for number in numbers:
                started = time.perf_counter()
                await self._one(number)
                times.append(time.perf_counter() - started)

        async with anyio.create_task_group() as workers:
            for _ in range(self._options.in_flight):
                workers.start_soon(work)

    async def _one(self, number: int) -> None:
        from stage3_plugin.domain.exchange import Send
        from stage3_plugin.storage.spool.reading import SpooledAnswer

        answers: list[SpooledAnswer] = []

        def open_sink(status: int, headers: Mapping[str, str]) -> ReplySink:
            if self._options.work == "nothing":
                return _Nowhere()
            folder = self._store.spool.new_folder(f"picture-{number}")
            answers.append(SpooledAnswer(folder))
            answers[0].head(status, headers.items())
            return answers[0]

        send = Send(url=self._options.url, payload={"prompt": f"scene {number}"})
        exchange = await self._client.post(send, open_sink)
        assert exchange.complete, exchange
        if answers:
            await self._in_thread(partial(self._take_in, f"picture-{number}"))

    def _take_in(self, name: str) -> None:
        """Read back, check, store and publish: what blocks on a disk."""
        from stage3_plugin.domain.picture import Picture
        from stage3_plugin.storage.inspect import InspectedFile, inspect_file
        from stage3_plugin.storage.spool.reading import load_reply

        folder = self._store.spool.folder_of(name)
        (part,) = load_reply(folder).parts.values()
        if self._options.work == "whole":
            inspected = inspect_file(part.path, max_pixels=1 << 26)
            kept = self._store.save(part.path, inspected)
            self._store.publish(kept, self._folder, name, inspected.picture.media_type)
        else:
            with part.path.open("rb", buffering=0) as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            picture = Picture(
                sha256=sha256,
                media_type="image/png",
                width_px=1,
                height_px=1,
                size_bytes=part.size_bytes,
            )
            self._store.save(part.path, InspectedFile(picture=picture))
        self._store.spool.remove(folder.name)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await anyio.to_thread.run_sync(work, limiter=self._threads)


class _Nowhere:
    """Takes a body and forgets it."""

    def feed(self, chunk: bytes) -> None:
        pass

    def finish(self, how: str) -> bool:
        return how != "cut"


def _trust(options: Options) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=options.trust) if options.trust else None


async def probe(lags: list[float]) -> None:
    """Note how late this task is resumed, over and over."""
    while True:
        started = time.perf_counter()
        await anyio.sleep(PROBE_S)
        lags.append(time.perf_counter() - started - PROBE_S)


def _import(way: str) -> None:
    """Load what a way needs before the clock starts."""
    ours = ("transport.client", "storage.inspect", "storage.spool.writing", "storage.local")
    for name in ("httpx",) if way == "plain" else ours:
        importlib.import_module(name if way == "plain" else f"stage3_plugin.{name}")


async def measured(options: Options) -> Measured:
    """Run one way and measure it."""
    _import(options.way)
    times: list[float] = []
    lags: list[float] = []
    ours = None if options.way == "plain" else Ours(options)
    start_mb = _memory_mb("VmRSS")
    started_s, started_cpu_s = time.perf_counter(), _cpu_s()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(probe, lags)
        await (plain(options, times) if ours is None else ours.run(times))
        tasks.cancel_scope.cancel()
    lags.sort()
    return Measured(
        cpu_ms=(_cpu_s() - started_cpu_s) * 1e3 / options.pictures,
        wall_s=time.perf_counter() - started_s,
        peak_mb=_memory_mb("VmHWM"),
        start_mb=start_mb,
        lag_p99_ms=lags[int(len(lags) * 0.99)] * 1e3,
        lag_max_ms=lags[-1] * 1e3,
        p50_s=statistics.median(times),
    )


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _memory_mb(field: str) -> float:
    """Read the system's own books: the peak that getrusage gives can be the parent's."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1000
    raise LookupError(field)


if __name__ == "__main__":
    chosen = Options(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(anyio.run(measured, chosen, backend=chosen.backend))))
