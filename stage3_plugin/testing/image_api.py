"""A loopback image API that keeps books and misbehaves on request, over real sockets.

It speaks the endpoints of OpenAI, OpenRouter and Gemini, the batches of OpenAI and Gemini among
them (``batches``), or those of one vendor with a queue (``dialect``), in a thread with an event
loop of its own, so that tests on asyncio, on trio and in other processes can all use it. What it
received and what it billed is counted here, on the side that knows.

Which behaviour answers a request: the next one scripted for the scene (a word in its prompt), else
the next one scripted for anybody, else ``otherwise``.
"""

from __future__ import annotations

import asyncio
import collections
import json
import ssl
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, cast, get_args
from urllib.parse import parse_qsl

from stage3_plugin.testing import shapes
from stage3_plugin.testing.batches import BatchDialect, Batches, BatchKind, BatchPage
from stage3_plugin.testing.behaviours import Behaviour, Ok
from stage3_plugin.testing.bill import Bill
from stage3_plugin.testing.dialects.gemini_batches import GeminiBatches
from stage3_plugin.testing.dialects.openai_batches import OpenAIBatches
from stage3_plugin.testing.free_pages import FreePages
from stage3_plugin.testing.queues import Dialect, Kind, Page, Queue, Queued
from stage3_plugin.testing.wire import (
    Asked,
    Exchange,
    Reader,
    Said,
    close,
    prompt_of,
    read_request,
    reset,
)

KEY = "sk-test-7f3a9c51e2d84b06"
"""The key the API takes by default."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered, or dropped, request in the books."""

    asked: Asked
    behaviour: Behaviour | None
    exchange: Exchange
    page: Page | BatchPage | None = None
    """Which page of a vendor's queue or batches was asked for."""

    @property
    def is_billed(self) -> bool:
        """Return whether money was taken."""
        return self.exchange.is_billed

    @property
    def usd(self) -> Decimal | None:
        """Return what was taken; ``None`` if that has no price."""
        if self.exchange.usd is not None:
            return self.exchange.usd
        return shapes.usual_usd(self.asked) if self.is_billed else Decimal(0)


Biller: TypeAlias = Callable[[Mapping[str, Any], str], Bill | None]
"""Makes the bill for a document and its prompt; ``None`` for the endpoint's usual usage."""


Met: TypeAlias = Kind | BatchKind | Literal["visit"]
"""What a request is for: a vendor's page, or a picture's address."""


class ImageApi:
    """The service; a context manager that runs it.

    Attributes:
        key: What ``Authorization: Bearer`` must carry; ``None`` takes anything.
        otherwise: Chooses the behaviour of requests that nothing was scripted for.
        entries: The books, in the order of arrival, the visits to picture addresses included.
        most_in_flight: The most requests that were being answered at one moment.
        connections: Connections accepted so far.
        open_connections: Those of them that are open now.
        bill: Makes out the bill for a picture.
        refuses: Says no to what the vendor would not take, before anything that is scripted.
        free: What it says, for nothing, of keys, models and accounts.
        draws: Begins to draw what is asked for, and returns what waits for it; ``None``: patterns.
        ended: Called with every request when its exchange is over, in the service's thread.
        batches: The books of the vendors' batches, and what becomes of them.
        trouble: Has the first say of every request with a good key: what it meets, if not what is
            due. It hears what is asked for.
    """

    def __init__(
        self,
        *,
        key: str | None = KEY,
        tls: bool = False,
        port: int = 0,
        dialect: Dialect | None = None,
        batches: Sequence[BatchDialect] | None = None,
    ) -> None:
        self.key = key
        self._queue = None if dialect is None else Queue(dialect)
        self.trouble: Callable[[Asked, Met], Behaviour | None] = lambda _, __: None
        self.bill: Biller = lambda _, __: None
        self.refuses: Callable[[Asked], Behaviour | None] = lambda _: None
        self.draws: Callable[[Asked], Callable[[], bytes]] | None = None
        self.ended: Callable[[Entry], None] = lambda _: None
        self.otherwise: Callable[[Asked], Behaviour] = lambda _: Ok()
        self.free = FreePages()
        usual = (OpenAIBatches(), GeminiBatches()) if dialect is None else ()
        spoken = usual if batches is None else batches
        self.batches = Batches(
            spoken, bill=self._bill_of, refuses=self._refusal_of, drawn=self._drawn
        )
        self.entries: list[Entry] = []
        self.most_in_flight = 0
        self.connections = 0
        self.ca_pem: bytes | None = None
        self.open_connections = 0
        self._in_flight = 0
        self._resets_left = 0
        self._faults: list[Exception] = []
        self._scripts: dict[str | None, collections.deque[Behaviour]] = {}
        self._visits = collections.deque[Behaviour]()
        self._visit_otherwise: Behaviour | None = None
        self._polls: dict[Kind | None, collections.deque[Behaviour]] = {}
        self._tls = self._make_tls() if tls else None
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._not_begun: OSError | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._serve, name="image-api", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        if self._not_begun is not None:
            raise self._not_begun
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._stopping is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if self._faults and error is None:
            raise ExceptionGroup("the fake image API itself failed", self._faults)

    @property
    def base_url(self) -> str:
        """Return the address to put into the settings."""
        path = "/v1" if self._queue is None else self._queue.dialect.api_path
        return f"{self.root_url}{path}"

    @property
    def root_url(self) -> str:
        """Return the address without a version, which is what Gemini's settings want."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def queue(self) -> Queue:
        """Return the jobs it has, and what they were billed."""
        if self._queue is None:
            raise LookupError("a server without a dialect has no queue: ImageApi(dialect=…)")
        return self._queue

    def script(self, *behaviours: Behaviour, scene: str | None = None, times: int = 1) -> None:
        """Line up behaviours, for prompts that contain ``scene`` or for anybody."""
        queue = self._scripts.setdefault(scene, collections.deque())
        queue.extend(behaviours * times)

    def always(self, behaviour: Behaviour) -> None:
        """Answer everything that nothing else was scripted for with this."""
        self.otherwise = lambda _: behaviour

    def visit(self, *behaviours: Behaviour, times: int = 1) -> None:
        """Line up what the next visits of picture addresses meet, instead of the picture."""
        self._visits.extend(behaviours * times)

    def visit_always(self, behaviour: Behaviour | None) -> None:
        """Answer every visit that nothing else is lined up for with this; ``None``: the picture."""
        self._visit_otherwise = behaviour

    def poll(self, *behaviours: Behaviour, of: Kind | None = None, times: int = 1) -> None:
        """Line up what the next looks at jobs and listings meet, or those of one kind alone."""
        self._polls.setdefault(of, collections.deque()).extend(behaviours * times)

    def reset_on_connect(self, times: int = 1) -> None:
        """Reset the next connections before a byte of a request is read."""
        self._resets_left += times

    def received(self, scene: str = "") -> int:
        """Count the requests for pictures whose prompt contains ``scene``."""
        return len(self.asked(scene))

    def billed(self, scene: str = "") -> int:
        """Count the pictures that money was taken for."""
        return sum(entry.is_billed for entry in self.entries if scene in entry.asked.prompt)

    def asked(self, scene: str = "") -> list[Asked]:
        """Return the requests for pictures whose prompt contains ``scene``."""
        return [
            entry.asked
            for entry in self.entries
            if entry.asked.method == "POST" and scene in entry.asked.prompt
            if entry.page is None or entry.page.kind == "submit"
        ]

    def visits(self) -> list[Asked]:
        """Return the requests that fetched a picture's address."""
        return [
            entry.asked
            for entry in self.entries
            if entry.asked.method == "GET" and entry.page is None
        ]

    def polls(self, of: Kind | None = None) -> list[Asked]:
        """Return the requests that looked at jobs and listings, or those of one kind."""
        return [
            entry.asked
            for entry in self.entries
            if entry.page is not None and entry.page.kind in ({*get_args(Kind)} - {"submit"})
            if of is None or entry.page.kind == of
        ]

    @property
    def in_flight(self) -> int:
        """Return the number of requests being answered now."""
        return self._in_flight

    def _make_tls(self) -> ssl.SSLContext:
        import trustme  # noqa: PLC0415 - without TLS it runs where that is not installed

        authority = trustme.CA()
        self.ca_pem = authority.cert_pem.bytes()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued = authority.issue_cert("127.0.0.1", "localhost")
        with issued.private_key_and_cert_chain_pem.tempfile() as path:
            context.load_cert_chain(path)
        return context

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._main())
        except OSError as error:  # the port is in use, say
            self._not_begun = error
            self._started.set()
        finally:
            self._loop.close()

    async def _main(self) -> None:
        self._stopping = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()
        writers: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()

        def connected(reader: Reader, writer: asyncio.StreamWriter) -> None:
            writers.add(writer)
            task = self._loop.create_task(self._connection(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        def protocol() -> asyncio.StreamReaderProtocol:
            reader = Reader()
            return asyncio.StreamReaderProtocol(reader, lambda _, writer: connected(reader, writer))

        server = await self._loop.create_server(
            protocol, "127.0.0.1", self._port, ssl=self._tls, backlog=2048
        )
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stopping.wait()
        for _ in range(5):  # what was accepted just now becomes a connection: asyncio leaks it else
            await asyncio.sleep(0)
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)  # for the sockets to be closed, which asyncio does later

    async def _connection(self, reader: Reader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        try:
            if self._resets_left:
                self._resets_left -= 1
                reset(writer)
                return
            while (request := await read_request(reader, self._cut)) is not None:
                exchange = await self._exchange(request, reader, writer)
                if exchange.ends_connection:
                    return
        except (ConnectionError, ssl.SSLError):
            pass  # the client left; what it received is its own affair
        except Exception as error:  # noqa: BLE001 - reported where the test will see it
            self._faults.append(error)
        finally:
            self.open_connections -= 1
            close(writer)

    async def _exchange(
        self,
        request: tuple[str, str, dict[str, str], bytes],
        reader: Reader,
        writer: asyncio.StreamWriter,
    ) -> Exchange:
        method, target, headers, body = request
        path, _, query = target.partition("?")
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        document = _parsed(body)
        asked_for = dict(parse_qsl(query, keep_blank_values=True))
        page: Page | BatchPage | None = self.batches.page_of(method, path)
        if page is None and self._queue is not None:
            page = self._queue.page_of(method, path, asked_for)
        is_job = page is not None and page.kind == "submit"
        words = self._queue.dialect if self._queue is not None and is_job else None
        prompt = prompt_of(document) if words is None else words.prompt_of(document)
        asked = Asked(
            number=len(self.entries) + 1,
            method=method,
            path=path,
            headers=headers,
            document=document,
            prompt=prompt,
            in_flight=self._in_flight,
            bill=self.bill({"model": shapes.model_of(path), **document}, prompt),
            query=asked_for,
            canvas_px=None if words is None else words.size_of(document),
        )
        if is_job or (method == "POST" and shapes.vendor_of(path)):
            asked = self._drawn(asked)
        exchange = Exchange(asked, writer, base_url=f"{self.root_url}/v1")
        if is_job:
            exchange.begin = self._beginning(exchange)
        elif isinstance(page, BatchPage):
            exchange.content = self.batches.content(page)
            if page.kind == "create":
                exchange.begin = self._beginning_a_batch(exchange, page)
        behaviour = self._choose(asked, page)
        entry = Entry(asked, behaviour, exchange, page)
        self.entries.append(entry)
        try:
            if self.draws is not None and (words is None or words.answers_at_once):
                # others are answered meanwhile; a queue's picture is waited for by who fetches it
                await asyncio.to_thread(_wait_until_drawn, exchange)
            await self._answer(entry, reader, body)
        finally:
            if (
                exchange.begin is not None
            ):  # a queue's books know, whatever a behaviour says of itself
                exchange.is_billed = bool(exchange.usd)
            self._in_flight -= 1
            self.ended(entry)
        return exchange

    def _beginning(self, exchange: Exchange) -> Callable[[object], Said]:
        """Return what begins the job of a submit, once."""
        begun: list[Said] = []

        def begin(plan: object) -> Said:
            if not begun:
                job = self.queue.begin(exchange.asked, plan)
                exchange.usd = job.usd
                begun.append(self.queue.dialect.submitted(job, self.root_url))
            return begun[0]

        return begin

    def _drawn(self, asked: Asked) -> Asked:
        """Begin to draw a picture, if they are drawn."""
        return asked if self.draws is None else replace(asked, drawn=self.draws(asked))

    def _bill_of(self, document: Mapping[str, Any], prompt: str) -> Bill | None:
        """Make out the bill for a line, by what tests may have put in since."""
        return self.bill(document, prompt)

    def _refusal_of(self, asked: Asked) -> Behaviour | None:
        """Say no to a line, by what tests may have put in since."""
        return self.refuses(asked)

    def _beginning_a_batch(self, exchange: Exchange, page: BatchPage) -> Callable[[object], Said]:
        """Return what begins the batch of a create, once; its lines are billed, and not it."""
        begun: list[Said] = []

        def begin(plan: object) -> Said:
            if not begun:
                begun.append(self.batches.begin(exchange.asked, page, plan, self.root_url))
            return begun[0]

        return begin

    def _cut(self, method: str, path: str) -> int | None:
        """Return after how many bytes an upload breaks off, if it does."""
        page = self.batches.page_of(method, path) if self.batches.cut_uploads else None
        is_upload = page is not None and page.kind == "upload"
        return self.batches.cut_uploads.popleft() if is_upload else None

    def _choose(self, asked: Asked, page: Page | BatchPage | None) -> Behaviour | None:
        """Pick the next behaviour; ``None`` for requests that are not for a picture."""
        if isinstance(page, BatchPage):
            if not self.batches.has_key(asked, page, self.key):
                return None
            return self.trouble(asked, page.kind) or self.batches.meets(page)
        if page is not None and page.kind != "submit":
            return self._met_by_a_look(asked, page) if self._has_key(asked) else None
        if asked.method == "GET":
            return self._met_by_a_visit(asked)
        is_paid = page is not None or (asked.method == "POST" and shapes.vendor_of(asked.path))
        return self._met_by_a_wish(asked) if is_paid and self._has_key(asked) else None

    def _met_by_a_wish(self, asked: Asked) -> Behaviour | None:
        """Pick what a request for a picture meets."""
        if self._queue is not None and (too_many := self._queue.turns_away()) is not None:
            return too_many
        if (trouble := self.trouble(asked, "submit")) is not None:
            return trouble
        if (refusal := self.refuses(asked)) is not None:
            return refusal
        for scene, queue in self._scripts.items():
            if queue and scene is not None and scene in asked.prompt:
                return queue.popleft()
        if for_anybody := self._scripts.get(None):
            return for_anybody.popleft()
        return self.otherwise(asked)

    def _met_by_a_visit(self, asked: Asked) -> Behaviour | None:
        """Pick what a visit of an address meets; ``None`` for what is there."""
        if (trouble := self.trouble(asked, "visit")) is not None:
            return trouble
        return self._visits.popleft() if self._visits else self._visit_otherwise

    def _met_by_a_look(self, asked: Asked, page: Page) -> Behaviour | None:
        """Pick what a look at a job or a listing meets; ``None`` for what is there."""
        if (trouble := self.trouble(asked, page.kind)) is not None:
            return trouble
        for lined_up in (self._polls.get(page.kind), self._polls.get(None)):
            if lined_up:
                return lined_up.popleft()
        return self.queue.meets(page)

    def _has_key(self, asked: Asked) -> bool:
        """Return whether a request has the key where its vendor looks for it."""
        if self.key is None:
            return True
        if self._queue is not None:
            words = self._queue.dialect
            return asked.headers.get(words.key_header) == f"{words.key_prefix}{self.key}"
        if self._vendor_of(asked) == "gemini":
            return asked.headers.get("x-goog-api-key") == self.key
        return asked.headers.get("authorization") == f"Bearer {self.key}"

    def _vendor_of(self, asked: Asked) -> str:
        """Return whose page is asked for, a paid one or a free one; empty if it is none."""
        pages = {"POST": shapes.vendor_of, "GET": self.free.vendor_of}
        return pages[asked.method](asked.path) if asked.method in pages else ""

    async def _answer(self, entry: Entry, reader: Reader, body: bytes) -> None:
        exchange, behaviour, page = entry.exchange, entry.behaviour, entry.page
        if behaviour is None:
            if page is not None:
                await self._answer_page(exchange, page, body)
            else:
                await self._answer_other(exchange)
            return
        answering = self._loop.create_task(behaviour.answer(exchange))
        leaving = self._loop.create_task(reader.left.wait())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not answering.done():
                answering.cancel()
                exchange.ends_connection = True
            await asyncio.wait({answering, leaving})
        if not answering.cancelled():
            answering.result()

    async def _answer_page(self, exchange: Exchange, page: Page | BatchPage, body: bytes) -> None:
        """Answer a look at a job, a batch or a listing as they are, and who has no good key."""
        if isinstance(page, BatchPage):
            if self.batches.has_key(exchange.asked, page, self.key):
                await self.batches.answer(exchange, page, body, self.root_url)
            else:
                said = shapes.bad_key(page.vendor)
                await exchange.reply_json(said.status, said.document)
        elif self._has_key(exchange.asked):
            await self.queue.answer(exchange, page, self.root_url)
        else:
            await self.queue.dialect.tells("bad key").answer(exchange)

    async def _answer_other(self, exchange: Exchange) -> None:
        """Answer what is no good request for a picture: an address, a wrong key, a wrong path."""
        asked = exchange.asked
        number = asked.path.removeprefix("/pictures/").removesuffix(".png")
        if asked.method == "GET" and number.isdigit() and int(number) <= len(self.entries):
            entry = self.entries[int(number) - 1]
            if (status := self._trouble_of_visit(entry, asked)) is not None:
                await exchange.reply(status, b"<html></html>", {"Content-Type": "text/html"})
                return
            picture = await asyncio.to_thread(entry.asked.picture)
            await exchange.reply(200, picture, {"Content-Type": "image/png"})
        elif asked.method == "GET" and self._vendor_of(asked) and self._has_key(asked):
            await exchange.reply_json(*self.free.answer(asked.path))
        elif vendor := self._vendor_of(asked):
            said = shapes.bad_key(vendor)
            await exchange.reply_json(said.status, said.document)
        else:
            error = {"message": f"Invalid URL ({asked.method} {asked.path})", "code": None}
            await exchange.reply_json(404, {"error": error})

    def _trouble_of_visit(self, entry: Entry, visit: Asked) -> int | None:
        """Return the status that a visit is answered while the picture is not there."""
        if not isinstance(entry.behaviour, Ok | Queued):
            return None
        nth = sum(one.path == visit.path for one in self.visits())
        return entry.behaviour.visits[nth - 1] if nth <= len(entry.behaviour.visits) else None


def _wait_until_drawn(exchange: Exchange) -> None:
    """Wait for the picture of a request, or for all of a file of results."""
    if exchange.asked.drawn is not None:
        exchange.asked.drawn()
    if exchange.content is not None:
        _ = exchange.content.size_bytes


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}
