"""Files on their way to a provider and from it: how they are framed, and how long they may take."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from email.message import Message
from email.parser import BytesParser

import pytest

from stage3_plugin.domain.batch import Upload
from stage3_plugin.transport.bodies import Content
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.patience import RENEWED_BY_BYTES, Patience
from stage3_plugin.transport.sinks import PIECE_BYTES
from stage3_plugin.transport.uploading import upload_body
from tests.hostile.sending import Kept, client

FORM = Upload(
    url="https://a.example/files",
    file_field="file",
    fields={"purpose": "batch", "expires_after[anchor]": "created_at"},
)


def content_of(data: bytes) -> Content:
    return Content(size_bytes=len(data), pieces=lambda: iter([data[:5], data[5:]]))


async def parts_of(step: Upload, data: bytes) -> list[Message]:
    """Read a form as somebody else's parser does."""
    body = upload_body(step, content_of(data), Patience())
    sent = b"".join([piece async for piece in body])
    assert len(sent) == body.length
    head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
    return list(BytesParser().parsebytes(head + sent).walk())[1:]


@pytest.mark.anyio
async def test_a_form_has_its_fields_and_the_file_byte_for_byte() -> None:
    """Whatever stands in the file, and in the names."""
    data = b"--stage3\r\n\r\n\0\xff" + bytes(range(256)) * 300
    step = Upload(
        url="https://a.example",
        file_field='fi"le',
        fields={"a": "1\r\n2", "b\r\n": "ü"},
        file_name='x"\r\n.jsonl',
    )
    a, b, file = await parts_of(step, data)

    assert a.get_payload(decode=True) == b"1\r\n2"
    assert b.get_payload(decode=True) == "ü".encode()
    assert b.get_param("name", header="content-disposition") == "b%0D%0A"
    assert file.get_payload(decode=True) == data
    assert file.get_param("name", header="content-disposition") == "fi%22le"
    assert file.get_filename() == "x%22%0D%0A.jsonl"
    assert file.get_content_type() == "application/jsonl"


@pytest.mark.anyio
async def test_a_file_leaves_in_pieces_and_is_never_together_in_memory() -> None:
    """A gigabyte is made as it is asked for."""
    made = 0

    def pieces() -> Iterator[bytes]:
        nonlocal made
        for _ in range(1024):
            made += 1
            yield bytes(1 << 20)

    sent = upload_body(FORM, Content(size_bytes=1 << 30, pieces=pieces), Patience())
    most = left = 0
    async for piece in sent:
        left += len(piece)
        most = max(most, len(piece))
        assert made <= left // (1 << 20) + 1

    assert sent.has_left
    assert left == sent.length
    assert most <= PIECE_BYTES


@pytest.mark.anyio
@pytest.mark.parametrize("piece_bytes, is_whole", [(RENEWED_BY_BYTES, True), (1000, False)])
async def test_a_file_that_comes_may_take_longer_than_any_limit(
    piece_bytes: int,
    is_whole: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Each MiB of it begins the time anew, and what trickles in does not."""
    pieces, ended = 6, threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            head = f"HTTP/1.1 200 OK\r\ncontent-length: {pieces * piece_bytes}\r\n\r\n"
            connection.sendall(head.encode())
            for _ in range(pieces):
                connection.sendall(bytes(piece_bytes))
                ended.wait(0.5)

    kept = Kept()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        came = await client(url, timeout_s=1).download(url, kept.open, hosts=JobHosts(url, url))
        ended.set()

    assert came.complete is is_whole
    assert (len(kept.body) == pieces * piece_bytes) is is_whole
