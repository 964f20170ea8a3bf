"""The client over real sockets: what was sent, what came whole, and what is said about the rest."""

import base64
import contextlib
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from stage3_plugin.attempt.fetching import fetch_into
from stage3_plugin.domain.exchange import InlinePictureOf, Send
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.errors import FetchRefused, SpoolRefused, StorageFailed
from stage3_plugin.runtime.interrupt import Interrupt
from stage3_plugin.transport.client import Client, Exchange
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.picture_hosts import PictureHosts
from tests.fakes.behaviours import (
    Behaviour,
    CutBody,
    Drip,
    Endless,
    Gzip,
    Hang,
    Json,
    Missing,
    Ok,
    Page,
    Redirect,
    ResetAfterRead,
    ServerError,
)
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.requests import shown_in

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("network")]

LARGE = "512x512"
"""Of a picture that does not come together with the answer's head."""


class Sink:
    """Keeps a body; refuses what is over its cap, or breaks like a full disk."""

    def __init__(
        self,
        cap: int = 1 << 24,
        *,
        breaks: bool = False,
        at_the_end: Callable[[], object] = lambda: None,
    ) -> None:
        self.status = 0
        self.body = b""
        self.cap = cap
        self.breaks = breaks
        self.at_the_end = at_the_end
        self.ends: list[bool] = []

    def open(self, status: int, _headers: Mapping[str, str]) -> "Sink":
        self.status = status
        return self

    def feed(self, chunk: bytes) -> None:
        if self.breaks:
            raise StorageFailed(Path("part-0"), OSError(28, "No space left on device"))
        self.body += chunk
        if len(self.body) > self.cap:
            raise SpoolRefused("the answer is longer than the cap")

    def finish(self, how: str) -> bool:
        counts = how == "whole" or (how == "closed" and self.body.rstrip().endswith(b"}"))
        self.ends.append(counts)
        self.at_the_end()
        return counts


def client(*own_urls: str, timeout_s: float = 20.0, tls: ssl.SSLContext | None = None) -> Client:
    return Client(
        key_header="authorization",
        key_prefix="Bearer ",
        key=SecretStr(KEY),
        own_urls=own_urls,
        timeout_s=timeout_s,
        tls=tls,
    )


def call(base_url: str, size: str = "64x64") -> Send:
    return Send(
        url=f"{base_url}/images/generations",
        payload={"model": "m", "prompt": "a harbour", "n": 1, "size": size},
    )


async def post(
    base_url: str,
    sink: Sink | None = None,
    *,
    timeout_s: float = 20.0,
    tls: ssl.SSLContext | None = None,
    interrupt: Interrupt | None = None,
    size: str = "64x64",
) -> Exchange:
    sender = client(base_url, timeout_s=timeout_s, tls=tls)
    with (interrupt or Interrupt()).in_force():
        return await sender.post(call(base_url, size), (sink or Sink()).open)


async def fetched(sender: Client, url: str, folder: Path, *, hosts: PictureHosts, cap: int) -> Path:
    """Fetch a picture into a file."""
    path = folder / "fetched"
    await fetch_into(sender, url, path, hosts=hosts, cap=cap)
    return path


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Generator[str]:
    """Run a bare server for one connection; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        thread.join(5)


async def test_a_good_answer_comes_whole(image_api: ImageApi) -> None:
    """Sent once, with the key, over a connection that is closed afterwards."""
    sink = Sink()
    exchange = await post(image_api.base_url, sink)
    (asked,) = image_api.asked()

    assert exchange == Exchange(sent=True, complete=True)
    assert sink.status == 200
    assert b"b64_json" in sink.body
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["connection"] == "close"


@pytest.mark.parametrize("tls", [False, True])
async def test_the_end_is_seen_with_the_last_byte_and_nothing_in_between(*, tls: bool) -> None:
    """A process that is killed while the connection is closed has the whole answer on its disk."""
    passes: list[int] = []

    class Counting(Sink):
        def feed(self, chunk: bytes) -> None:
            super().feed(chunk)
            passes.append(count)

    sink = Counting(at_the_end=lambda: passes.append(count))
    count = 0
    with ImageApi(tls=tls) as api:
        api.always(Ok(heavy=True))
        trust = ssl.create_default_context(cadata=api.ca_pem.decode()) if api.ca_pem else None
        async with anyio.create_task_group() as tasks:

            async def go_round() -> None:
                nonlocal count
                while True:
                    await anyio.lowlevel.checkpoint()
                    count += 1

            tasks.start_soon(go_round)
            await post(api.base_url, sink, tls=trust, size=LARGE)
            tasks.cancel_scope.cancel()

    assert sink.ends == [True]
    assert passes[-1] == passes[-2]


async def test_what_happens_after_the_last_byte_does_not_spoil_the_answer(
    image_api: ImageApi,
) -> None:
    """An interrupt that comes while the connection is being closed comes too late."""
    image_api.always(Ok(heavy=True))
    interrupt = Interrupt()

    class Interrupted(Sink):
        def feed(self, chunk: bytes) -> None:
            super().feed(chunk)
            if self.body.rstrip().endswith(b"}"):
                interrupt.trigger()

    exchange = await post(image_api.base_url, Interrupted(), interrupt=interrupt, size=LARGE)

    assert exchange == Exchange(sent=True, complete=True)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize(
    "error", [SpoolRefused("a cap"), StorageFailed(Path("answer"), OSError(28, "full"))], ids=repr
)
async def test_an_end_that_cannot_be_written_is_no_whole_answer(
    image_api: ImageApi, framing: str, error: Exception
) -> None:
    """The last of it may pass a cap, or find the disk full."""
    image_api.script(Ok(framing=framing))  # type: ignore[arg-type]  # parametrised text

    def fail() -> None:
        raise error

    sink = Sink(at_the_end=fail)
    exchange = await post(image_api.base_url, sink)

    assert not exchange.complete
    assert exchange.over_cap is isinstance(error, SpoolRefused)
    assert exchange.storage is (error if isinstance(error, StorageFailed) else None)
    assert exchange.problem
    assert sink.ends == [True]


async def test_every_post_has_a_connection_of_its_own(image_api: ImageApi) -> None:
    """Nothing is reused, so nothing can be reused while it is being closed."""
    sender = client()
    for _ in range(3):
        assert (await sender.post(call(image_api.base_url), Sink().open)).complete

    assert image_api.connections == 3


async def test_an_error_answer_is_an_answer(image_api: ImageApi) -> None:
    """What it means is not for the client to say."""
    image_api.script(ServerError(503))
    sink = Sink()

    assert await post(image_api.base_url, sink) == Exchange(sent=True, complete=True)
    assert sink.status == 503


async def test_a_redirect_is_not_followed(image_api: ImageApi) -> None:
    """A paid POST must not be sent on to somebody else."""
    image_api.script(Redirect("http://127.0.0.1:9/elsewhere"))
    sink = Sink()

    assert (await post(image_api.base_url, sink)).complete
    assert sink.status == 307
    assert image_api.received() == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        ResetAfterRead(),
        CutBody(by="reset"),
        CutBody(by="close"),
        CutBody(by="reset", framing="chunked"),
        CutBody(by="close", framing="chunked"),
        CutBody(by="close", framing="close"),
    ],
    ids=repr,
)
async def test_a_lost_answer_was_sent_and_is_not_complete(
    image_api: ImageApi, behaviour: Behaviour
) -> None:
    """However it was lost; and it is not asked for again."""
    image_api.script(behaviour)
    sink = Sink()
    exchange = await post(image_api.base_url, sink)

    assert exchange.sent
    assert not exchange.complete
    assert exchange.problem
    assert sink.ends == ([] if isinstance(behaviour, ResetAfterRead) else [False])
    assert image_api.received() == 1


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_every_framing_can_be_complete(image_api: ImageApi, framing: str) -> None:
    """A length, a last chunk, or a document that has ended."""
    image_api.script(Ok(framing=framing))  # type: ignore[arg-type]  # parametrised text

    assert (await post(image_api.base_url)).complete


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", [Hang(), Drip(every_s=0.05)], ids=repr)
async def test_an_exchange_ends_by_its_deadline(image_api: ImageApi, behaviour: Behaviour) -> None:
    """Also one whose body drips for ever, where no read ever times out."""
    image_api.script(behaviour)
    exchange = await post(image_api.base_url, timeout_s=1.5)  # a busy machine has sent it by then

    assert exchange.sent
    assert not exchange.complete
    assert "within 1.5 s" in exchange.problem


async def test_nothing_was_sent_if_nobody_listens() -> None:
    """Refused connections and unknown names prove it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed_port = server.getsockname()[1]

    refused = await post(f"http://127.0.0.1:{closed_port}/v1")
    unknown = await post("http://nowhere.invalid/v1")

    for exchange in (refused, unknown):
        assert not exchange.sent
        assert not exchange.permanent
        assert exchange.problem.startswith("cannot connect to ")
    assert f"127.0.0.1:{closed_port}" in refused.problem
    assert "nowhere.invalid" in unknown.problem


async def test_a_certificate_that_is_not_trusted_is_a_permanent_problem() -> None:
    """And nothing was sent over it."""
    with ImageApi(tls=True) as api:
        exchange = await post(api.base_url)

        assert not exchange.sent
        assert exchange.permanent
        assert "certificate" in exchange.problem
        assert api.received() == 0


async def test_tls_works_with_a_trusted_certificate() -> None:
    """The same exchange over TLS."""
    with ImageApi(tls=True) as api:
        assert api.ca_pem is not None
        trust = ssl.create_default_context(cadata=api.ca_pem.decode())

        assert (await post(api.base_url, tls=trust)).complete


async def test_a_server_that_does_not_speak_http_may_have_got_the_request() -> None:
    """What it did with it, nobody knows."""

    def babble(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

    with listening(babble) as base_url:
        exchange = await post(base_url)

    assert exchange.sent
    assert not exchange.complete


async def test_an_endless_answer_is_cut_at_the_cap(image_api: ImageApi) -> None:
    """The refusal of the sink ends the exchange."""
    image_api.script(Endless())
    exchange = await post(image_api.base_url, Sink(cap=1 << 20))

    assert exchange.sent
    assert not exchange.complete
    assert exchange.over_cap
    assert "longer than the cap" in exchange.problem


async def test_a_full_disk_is_told_apart_from_a_bad_answer(image_api: ImageApi) -> None:
    """The run has to stop for it."""
    exchange = await post(image_api.base_url, Sink(breaks=True))

    assert exchange.storage is not None
    assert not exchange.complete


async def test_a_body_that_was_compressed_all_the_same_comes_as_it_is(
    image_api: ImageApi,
) -> None:
    """What it stands for is found out from the disk, where nothing of it can be lost."""
    image_api.script(Gzip())
    sink = Sink()

    assert (await post(image_api.base_url, sink)).complete
    assert b"b64_json" in gzip.decompress(sink.body)


async def test_an_html_page_is_a_complete_answer(image_api: ImageApi) -> None:
    """It has a length; that it is no JSON is found when it is judged."""
    image_api.script(Page(200))

    assert (await post(image_api.base_url)).complete


async def test_cancelling_from_outside_does_not_end_an_exchange(image_api: ImageApi) -> None:
    """It is shielded: a paid answer is received to its end."""
    image_api.script(Ok(delay_s=0.3))
    exchange: Exchange | None = None
    with anyio.move_on_after(0.05):
        exchange = await post(image_api.base_url)

    assert exchange is not None
    assert exchange.complete


async def test_an_interrupt_ends_a_wait_for_an_answer_at_once(image_api: ImageApi) -> None:
    """It was sent, and says so."""
    image_api.script(Hang())
    interrupt = Interrupt()
    exchange: Exchange | None = None

    async def trigger() -> None:
        while not image_api.in_flight:
            await anyio.sleep(0.005)
        interrupt.trigger()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(trigger)
        exchange = await post(image_api.base_url, interrupt=interrupt)

    assert exchange is not None
    assert exchange.sent
    assert exchange.interrupted


async def test_an_interrupt_while_connecting_lets_nothing_leave() -> None:
    """The body refuses to be sent after it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        interrupt = Interrupt()
        interrupt.trigger()
        exchange = await post(f"http://127.0.0.1:{server.getsockname()[1]}/v1", interrupt=interrupt)

    assert not exchange.sent
    assert exchange.interrupted


async def test_a_picture_is_fetched_from_an_allowed_host_without_the_key(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The host that serves pictures has no business with the key."""
    await post(image_api.base_url)
    sender = client()
    address = image_api.base_url.removesuffix("/v1") + "/pictures/0.png"
    path = await fetched(
        sender,
        address,
        tmp_path,
        hosts=PictureHosts(image_api.base_url),
        cap=1 << 20,
    )

    assert path.read_bytes().startswith(b"\x89PNG")
    assert "authorization" not in image_api.visits()[0].headers


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "http://127.0.0.1.evil.example/x",
        "http://localhost/x",
        "ftp://127.0.0.1/x",
        "http:///x",
    ],
)
async def test_an_address_elsewhere_is_not_visited(url: str, tmp_path: Path) -> None:
    """An answer must not send us wherever it likes."""
    sender = client()
    with pytest.raises(FetchRefused, match=r"address|host"):
        await fetched(
            sender,
            url,
            tmp_path,
            hosts=PictureHosts("http://127.0.0.1:1/v1", (".cdn.example",)),
            cap=99,
        )

    assert list(tmp_path.iterdir()) == []


async def test_a_picture_address_is_asked_once_and_says_how_it_failed(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Whether it is asked again, and when, is the caller's to decide."""
    sender = client()
    address = image_api.base_url.removesuffix("/v1") + "/pictures/999.png"
    with pytest.raises(FetchRefused, match="404") as caught:
        await fetched(
            sender,
            address,
            tmp_path,
            hosts=PictureHosts(image_api.base_url),
            cap=1 << 20,
        )

    assert (caught.value.reason, caught.value.status) == ("missing", 404)
    assert len(image_api.visits()) == 1
    assert list(tmp_path.iterdir()) == []


async def test_fetching_ends_at_an_interrupt(tmp_path: Path) -> None:
    """The picture is paid for, but the run has no more time; it is not asked for again."""
    asked: list[bytes] = []
    interrupt = Interrupt()

    def stay_silent(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.recv(1)  # until the client goes away

    async def trigger() -> None:
        while not asked:
            await anyio.sleep(0.005)
        interrupt.trigger()

    sender = client()
    with listening(stay_silent) as base_url:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(trigger)
            with pytest.raises(FetchRefused, match="interrupted"), interrupt.in_force():
                await fetched(
                    sender,
                    f"{base_url}/picture",
                    tmp_path,
                    hosts=PictureHosts(base_url),
                    cap=99,
                )

    assert len(asked) == 1


async def test_a_disk_that_does_not_take_a_fetched_picture_is_told(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """And the address is not visited again for nothing."""
    await post(image_api.base_url)
    sender = client()
    address = image_api.base_url.removesuffix("/v1") + "/pictures/0.png"
    with pytest.raises(StorageFailed):
        await fetched(
            sender,
            address,
            tmp_path / "missing",
            hosts=PictureHosts(image_api.base_url),
            cap=1 << 20,
        )

    assert len(image_api.visits()) == 1


async def test_no_problem_is_told_with_a_header_value(image_api: ImageApi) -> None:
    """Some exceptions carry header values in their text, and so the key."""
    image_api.script(Json({"ok": True}))
    sender = Client(
        key_header="authorization",
        key_prefix="Bearer\n",  # illegal: httpx's own message would quote the whole value
        key=SecretStr(KEY),
        own_urls=[image_api.base_url],
        timeout_s=5,
    )
    exchange = await sender.post(call(image_api.base_url), Sink().open)

    assert not exchange.sent
    assert KEY not in exchange.problem
    assert (await post(image_api.base_url)).complete  # so that the server has seen the first one go


async def test_pictures_are_sent_from_what_is_held(image_api: ImageApi) -> None:
    """They arrive whole, between the JSON around them."""
    picture = make_png("Mira", 300, 300)
    sent = SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=len(picture))
    shown = [{"image_url": InlinePictureOf(sent, "data:image/png;base64,")}] * 2
    sender = client(image_api.base_url)
    send = call(image_api.base_url)
    send = replace(send, payload={**send.payload, "images": shown})
    held = {sent: memoryview(base64.b64encode(picture))}
    exchange = await sender.post(send, Sink().open, base64_of=held.__getitem__)

    assert exchange.complete
    (entry,) = image_api.entries
    assert [one.data for one in shown_in(entry.asked)] == [picture, picture]


async def test_a_picture_that_is_not_held_keeps_its_request_back(image_api: ImageApi) -> None:
    sent = SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=1)
    sender = client(image_api.base_url)
    send = replace(call(image_api.base_url), payload={"image": InlinePictureOf(sent)})
    exchange = await sender.post(send, Sink().open)

    assert not exchange.sent
    assert exchange.permanent
    assert not image_api.connections


# Reading what a job's address says ---------------------------------------------------------------


async def read(
    api: ImageApi, url: str, sink: Sink, *, interrupt: Interrupt | None = None
) -> Exchange:
    """Read an address once; only the API's own places are allowed."""
    reader = client(api.base_url)
    with (interrupt or Interrupt()).in_force():
        return await reader.read(url, sink.open, hosts=JobHosts(api.base_url, api.base_url))


async def test_a_job_is_asked_for_with_the_key_whatever_the_answer_is(image_api: ImageApi) -> None:
    """An error of the API's is a whole answer, too, and a redirect is not followed."""
    url = f"{image_api.root_url}/pictures/0.png"
    answers: list[Behaviour] = [
        Missing(),
        Redirect(f"{image_api.root_url}/elsewhere"),
        CutBody(),
    ]
    image_api.visit(*answers)
    sinks = [Sink() for _ in answers]
    found = [await read(image_api, url, sink) for sink in sinks]

    assert [exchange.complete for exchange in found] == [True, True, False]
    assert [sink.status for sink in sinks] == [404, 307, 200]
    assert {one.headers["authorization"] for one in image_api.visits()} == {f"Bearer {KEY}"}
    assert len(image_api.visits()) == 3


@pytest.mark.parametrize("url", ["http://queue.elsewhere.example/jobs/1", "file:///etc/passwd"])
async def test_a_job_is_not_asked_for_where_the_key_must_not_go(
    image_api: ImageApi, url: str
) -> None:
    """No connection is made, and what is said would be the same the next time."""
    exchange = await read(image_api, url, Sink())

    assert not exchange.sent
    assert exchange.permanent
    assert "cannot be asked" in exchange.problem
    assert image_api.connections == 0


async def test_an_interrupt_cuts_the_asking_short(image_api: ImageApi) -> None:
    """At once: nothing is lost by it, since it may be asked again."""
    image_api.visit_always(Hang())
    interrupt, sink = Interrupt(), Sink()
    found = list[Exchange]()

    async def ask() -> None:
        url = f"{image_api.root_url}/pictures/0.png"
        found.append(await read(image_api, url, sink, interrupt=interrupt))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            while not image_api.in_flight:
                await anyio.sleep(0.005)
            interrupt.trigger()

    assert not found[0].complete
    assert found[0].interrupted
