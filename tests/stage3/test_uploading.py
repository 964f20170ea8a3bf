"""Files on their way to a provider and from it: how they are framed, and how long they may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from stage3_plugin.domain.batch import Upload
from stage3_plugin.storage.spool.reading import SpooledAnswer, load_reply
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.transport.bodies import Content
from stage3_plugin.transport.client import Client
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.patience import RENEWED_BY_BYTES, Patience
from stage3_plugin.transport.sinks import PIECE_BYTES
from stage3_plugin.transport.uploading import SentFile, upload_body
from tests.stage3.test_patience import Clock

FORM = Upload(
    url="https://a.example/files",
    file_field="file",
    fields={"purpose": "batch", "expires_after[anchor]": "created_at"},
)


def content_of(data: bytes) -> Content:
    return Content(size_bytes=len(data), pieces=lambda: iter([data[:5], data[5:]]))


def parts_of(step: Upload, data: bytes) -> list[Message]:
    """Read a form as somebody else's parser does."""
    body = upload_body(step, content_of(data))
    sent = b"".join(bytes(piece) for piece in body.pieces)
    assert len(sent) == body.length
    head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
    return list(BytesParser().parsebytes(head + sent).walk())[1:]


def test_a_form_has_its_fields_and_the_file_byte_for_byte() -> None:
    """Whatever stands in the file, and in the names."""
    data = b"--stage3\r\n\r\n\0\xff" + bytes(range(256)) * 300
    step = Upload(
        url="https://a.example",
        file_field='fi"le',
        fields={"a": "1\r\n2", "b\r\n": "ü"},
        file_name='x"\r\n.jsonl',
    )
    a, b, file = parts_of(step, data)

    assert a.get_payload(decode=True) == b"1\r\n2"
    assert b.get_payload(decode=True) == "ü".encode()
    assert b.get_param("name", header="content-disposition") == "b%0D%0A"
    assert file.get_payload(decode=True) == data
    assert file.get_param("name", header="content-disposition") == "fi%22le"
    assert file.get_filename() == "x%22%0D%0A.jsonl"
    assert file.get_content_type() == "application/jsonl"


def test_a_file_alone_and_a_step_without_it_are_what_they_say() -> None:
    """The length is known before the first byte."""
    raw = upload_body(
        Upload(url="https://a.example", media_type="image/png"), content_of(b"0123456789")
    )
    said = upload_body(
        Upload(url="https://a.example", has_file=False, payload={"a": "ü"}), content_of(b"x")
    )
    empty = upload_body(Upload(url="https://a.example", has_file=False), content_of(b"x"))

    assert (raw.content_type, raw.length) == ("image/png", 10)
    assert b"".join(map(bytes, raw.pieces)) == b"0123456789"
    assert (said.content_type, b"".join(map(bytes, said.pieces))) == (
        "application/json",
        '{"a": "ü"}'.encode(),
    )
    assert (empty.length, list(empty.pieces)) == (0, [])


@pytest.mark.anyio
async def test_a_file_leaves_in_pieces_and_is_never_together_in_memory() -> None:
    """A gigabyte is made as it is asked for."""
    made = 0

    def pieces() -> Iterator[bytes]:
        nonlocal made
        for _ in range(1024):
            made += 1
            yield bytes(1 << 20)

    body = upload_body(FORM, Content(size_bytes=1 << 30, pieces=pieces))
    sent = SentFile(body, Patience())
    most = left = 0
    async for piece in sent:
        left += len(piece)
        most = max(most, len(piece))
        assert made <= left // (1 << 20) + 1

    assert sent.has_left
    assert left == body.length
    assert most <= PIECE_BYTES


def test_what_moves_may_take_longer_than_any_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each MiB begins the time anew; what trickles does not."""
    clock = Clock()
    monkeypatch.setattr(anyio, "current_time", clock.current_time)
    moving, trickling = Patience(2), Patience(2)
    for _ in range(200):
        clock.now += 0.03
        moving.check()
        moving.moved(RENEWED_BY_BYTES // 50)
        trickling.has_time()
        trickling.moved(100)

    assert moving.has_time()
    assert not trickling.has_time()


def test_what_is_over_does_not_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt has the last word."""
    clock = Clock()
    monkeypatch.setattr(anyio, "current_time", clock.current_time)
    waiting = Patience(2)
    waiting.cut()
    waiting.moved(RENEWED_BY_BYTES)

    assert waiting.is_over
    assert not waiting.has_time()


def client_of(api: ImageApi) -> Client:
    return Client(
        key_header="authorization",
        key_prefix="Bearer ",
        key=SecretStr(KEY),
        own_urls=[api.base_url],
        timeout_s=10,
    )


def into(folder: Path) -> Callable[[int, Mapping[str, str]], SpooledAnswer]:
    def opened(status: int, headers: Mapping[str, str]) -> SpooledAnswer:
        spool = SpooledAnswer(folder)
        spool.head(status, headers.items())
        return spool

    return opened


@pytest.mark.anyio
async def test_a_file_is_handed_over_with_the_key_and_nowhere_else(tmp_path: Path) -> None:
    """A place that an answer names is not asked unless jobs are asked for there."""
    with ImageApi() as api:
        client = client_of(api)
        hosts = JobHosts(api.base_url, api.base_url)
        step = Upload(url=f"{api.base_url}/files", file_field="file", fields={"purpose": "batch"})
        content = content_of(b"0123456789")
        there = await client.upload(step, content, into(tmp_path / "a"), hosts=hosts)
        away = Upload(url="http://127.0.0.1:9/v1/files", file_field="file")
        elsewhere = await client.upload(away, content, into(tmp_path / "b"), hosts=hosts)
        no_address = Upload(url="a b", file_field="file")
        nowhere = await client.upload(no_address, content, into(tmp_path / "c"), hosts=hosts)

    assert there.complete
    assert load_reply(tmp_path / "a").status == 200
    assert [stored.data for stored in api.batches.files.values()] == [b"0123456789"]
    for refused in (elsewhere, nowhere):
        assert not refused.sent
        assert refused.permanent
    assert not (tmp_path / "b").exists()


@pytest.mark.anyio
async def test_a_file_that_is_shorter_than_it_was_said_to_be_is_not_handed_over(
    tmp_path: Path,
) -> None:
    """Its length leaves before it does."""
    with ImageApi() as api:
        client = client_of(api)
        content = Content(size_bytes=20, pieces=lambda: iter([b"0123456789"]))
        step = Upload(url=f"{api.base_url}/files", file_field="file", fields={"purpose": "batch"})
        said = await client.upload(
            step, content, into(tmp_path / "a"), hosts=JobHosts(api.base_url, api.base_url)
        )

    assert not said.complete
    assert said.problem
    assert api.batches.files == {}
