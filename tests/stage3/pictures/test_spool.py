"""What the spool promises of answers of every kind: whole, cut, over a cap, on a full disk."""

import base64
import errno
import gzip
import json
import os
import re
from decimal import Decimal
from pathlib import Path

import pytest

from stage3_plugin.errors import SpoolRefused, StorageFailed
from stage3_plugin.files import new_file
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.spool.receipt import is_complete
from stage3_plugin.storage.spool.writing import SpooledAnswer
from tests.stage3.pictures.spooling import PICTURE, TEXT, everything_in, spooled


def test_a_text_that_names_a_placeholder_is_not_taken_for_one(tmp_path: Path) -> None:
    """The nonce is made anew for every answer."""
    first = spooled(tmp_path / "a", json.dumps({"p": TEXT}).encode())
    [placeholder] = first.parts

    second = spooled(tmp_path / "b", json.dumps({"p": TEXT, "text": placeholder}).encode())

    assert isinstance(second.document, dict)
    assert second.document["text"] == placeholder
    assert placeholder not in second.parts


@pytest.mark.parametrize("pieces", [1, 10, 65_536])
@pytest.mark.parametrize(
    "opening, media_type",
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\x89PNG\r\n\x1a\n", "application/octet-stream"),
        (b"\xff\xd8\xff\xe0....", None),
        (b"<svg>...", "image/svg+xml; charset=utf-8"),
        (b"\x01", "image/x-unknown"),
    ],
)
def test_a_picture_as_body_is_one_part(
    tmp_path: Path, opening: bytes, media_type: str | None, pieces: int
) -> None:
    """Some servers answer with the bytes themselves, and name them anything."""
    body = opening + PICTURE[8:]

    reply = spooled(tmp_path / "a", body, media_type=media_type, pieces=pieces)

    assert reply.document is None
    assert reply.text == ""
    assert reply.parts[""].path.read_bytes() == body


def test_json_behind_a_picture_s_media_type_is_json(tmp_path: Path) -> None:
    """An error object is not hidden by the type that was hoped for."""
    reply = spooled(tmp_path / "a", b' {"error": "no"}', media_type="image/png")

    assert reply.document == {"error": "no"}


@pytest.mark.parametrize(
    "body, document",
    [
        (b"\n\n   \n\n        \n      " + b'{"a":1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b'{"a":"\xc3"}', {"a": "\ufffd"}),
        (b'{"a":"line\nline"}', {"a": "line\nline"}),
        (b'{"a":0.1,"b":1e40}', {"a": Decimal("0.1"), "b": Decimal("1e40")}),
        (b'{"a":1,"b":1e400}', {"a": 1, "b": None}),
        (b'{"a":NaN,"b":[-Infinity],"c":1}', {"a": None, "b": [None], "c": 1}),
        (b'{"a":' + b"9" * 5000 + b',"b":-1}', {"a": None, "b": -1}),
        (b'{"a":0.04' + b"0" * 5000 + b"}", {"a": Decimal("0.04")}),
    ],
)
@pytest.mark.parametrize("pieces", [1, 100])
def test_json_is_read_leniently_where_that_loses_nothing(
    tmp_path: Path, body: bytes, document: object, pieces: int
) -> None:
    """Blanks to keep a connection alive, a byte order mark, half a character: still an answer."""
    reply = spooled(tmp_path / "a", body, pieces=pieces)

    assert reply.document == document
    assert reply.text == ""


@pytest.mark.usefixtures("short_strings_count_as_long")
@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[{"b64":"' + base64.b64encode(bytes(range(100))) + b'"},"\\u00e9\\"",{}],"c":-1.5}',
        b'["' + b"QUJD" * 40 + b'","' + b"QUJD" * 40 + b'!","\\\\"]',
        b'"' + b"\\/\\/" * 40 + b'"',
    ],
)
def test_a_document_has_ended_only_with_its_last_byte(tmp_path: Path, body: bytes) -> None:
    """Without a length, this alone tells a whole answer from a cut one."""
    for length in range(len(body) + 1):
        answer = SpooledAnswer(tmp_path / str(length))
        answer.opened(200, {})
        answer.feed(body[:length])

        assert answer.finish("closed") == (length == len(body))


@pytest.mark.parametrize("length", [0, 5, 12, 20_000, 30_001, 50_000])
def test_what_was_received_of_a_cut_answer_stays_as_evidence(tmp_path: Path, length: int) -> None:
    """Nothing counts without its end, and nothing is lost either."""
    body = b'{"data":[{"b64_json":"%b' % TEXT.encode()
    spool = SpooledAnswer(tmp_path / "a")
    spool.opened(200, {})
    for start in range(0, length, 1000):
        spool.feed(body[start : min(start + 1000, length)])
    spool.finish("cut")

    assert not is_complete(tmp_path / "a")
    with pytest.raises(SpoolRefused, match="not complete"):
        load_reply(tmp_path / "a")
    assert everything_in(tmp_path / "a") == body[:length]


def test_parts_that_are_whole_survive_a_document_that_is_cut(tmp_path: Path) -> None:
    """The right length and half a document: the picture before the cut was paid for."""
    body = b'{"data":[{"b64_json":"%b"},{"b64_json":"%b' % (TEXT.encode(), TEXT[:30_000].encode())

    reply = spooled(tmp_path / "a", body)

    assert reply.document is None
    [picture] = reply.parts.values()
    assert picture.path.read_bytes() == PICTURE


def test_the_head_is_kept_without_secrets(tmp_path: Path) -> None:
    """Cookies and credentials are left out."""
    spool = SpooledAnswer(tmp_path / "a")
    spool.opened(
        429,
        {"retry-after": "3", "set-cookie": "session=secret", "authorization": "secret"},
    )
    spool.feed(b"{}")
    spool.finish("whole")
    reply = load_reply(tmp_path / "a")

    assert reply.status == 429
    assert reply.headers == {"retry-after": "3"}
    assert all(b"secret" not in file.read_bytes() for file in (tmp_path / "a").iterdir())


def test_an_answer_whose_files_were_changed_is_refused(tmp_path: Path) -> None:
    """After a power cut files may be shorter than they were; that is no answer."""
    body = json.dumps({"p": TEXT, "q": TEXT + "!", "r": "é" * 70_000}).encode()
    for number, name in enumerate(["part-0", "part-1", "answer"]):
        folder = tmp_path / str(number)
        spooled(folder, body, pieces=10_000)
        os.truncate(folder / name, (folder / name).stat().st_size // 2)

        too_short = "not complete" if name == "answer" else f"{re.escape(name)} has .* instead of"
        with pytest.raises(SpoolRefused, match=too_short):
            load_reply(folder)

        (folder / name).unlink()
        with pytest.raises(SpoolRefused, match=f"{re.escape(name)} cannot be read"):
            load_reply(folder)


def test_an_answer_never_overwrites_another(tmp_path: Path) -> None:
    """Two attempts in one folder would mix their parts."""
    spooled(tmp_path / "a", b"{}")

    with pytest.raises(StorageFailed, match="exists"):
        spooled(tmp_path / "a", b"{}")


@pytest.mark.parametrize("name", ["answer", "part-0"])
def test_a_planted_link_is_not_followed(tmp_path: Path, name: str) -> None:
    """Nothing outside the spool is written, wherever a name leads."""
    victim = tmp_path / "victim"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).symlink_to(victim)

    with pytest.raises(StorageFailed):  # noqa: PT012 - whichever comes to the name first
        spool = SpooledAnswer(tmp_path / "a")
        spool.opened(200, {})
        spool.feed(b'{"b": "%b"}' % TEXT.encode())

    assert not victim.exists()


def test_a_link_planted_meanwhile_is_not_followed_either(tmp_path: Path) -> None:
    """The receipt stays open until its last line: no name is looked up a second time."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    spool = SpooledAnswer(tmp_path / "a")
    spool.opened(200, {})
    (tmp_path / "a" / "answer").unlink()
    (tmp_path / "a" / "answer").symlink_to(victim)

    spool.finish("whole")

    assert victim.read_bytes() == b""


def test_a_full_disk_at_any_write_never_leaves_a_complete_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed write is told once, as a failure of storage, and the answer never counts."""
    body = json.dumps({"a": "é" * 70_000, "p": TEXT, "q": "A" * 40_000 + "!"}).encode()
    write_whole = new_file.write_whole
    left = 0

    def write_until_full(descriptor: int, data: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(descriptor, data)

    monkeypatch.setattr(new_file, "write_whole", write_until_full)
    left = needed = 1000
    spooled(tmp_path / "all", body, pieces=30_000)
    needed -= left
    for writes in range(needed):
        left = writes
        with pytest.raises(StorageFailed, match="No space left"):
            spooled(tmp_path / str(writes), body, pieces=30_000)

        assert not is_complete(tmp_path / str(writes))
    assert needed > 8


def test_an_answer_that_was_cut_anywhere_is_not_complete(tmp_path: Path) -> None:
    """A process may be killed, or a disk be full, within the last write."""
    folder = tmp_path / "a"
    spooled(folder, json.dumps({"text": "end\n", "p": TEXT}).encode())
    answer = folder / "answer"
    for length in reversed(range(answer.stat().st_size)):
        os.truncate(answer, length)

        assert not is_complete(folder)
        with pytest.raises(SpoolRefused, match="not complete"):
            load_reply(folder)


def test_an_answer_of_other_lines_is_refused(tmp_path: Path) -> None:
    """A power cut may leave zeros where something was written."""
    folder = tmp_path / "a"
    spooled(folder, b"{}")
    lines = (folder / "answer").read_bytes().splitlines()
    for number in (0, 2):
        zeros = [bytes(len(line)) if at == number else line for at, line in enumerate(lines)]
        (folder / "answer").write_bytes(b"\n".join(zeros) + b"\n")

        with pytest.raises(SpoolRefused, match="answer is not what was written"):
            load_reply(folder)


def test_what_cannot_be_looked_at_is_not_called_incomplete(tmp_path: Path) -> None:
    """A whole answer would be told as unknown, because too many files were open, say."""
    (tmp_path / "a" / "answer").mkdir(parents=True)

    with pytest.raises(StorageFailed, match="answer"):
        is_complete(tmp_path / "a")


def test_without_room_in_memory_there_is_no_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made before a paid request leaves, which then does not: it costs nothing."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("mmap.mmap", refuse)
    with pytest.raises(StorageFailed, match="Cannot allocate memory"):
        SpooledAnswer(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_cut_answer_whose_look_fails_is_none_and_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever strangers' bytes raise: the run that was given them goes on."""

    def fail(*_: object) -> None:
        raise RecursionError

    answer = SpooledAnswer(tmp_path / "a")
    answer.opened(200, {})
    answer.feed(b'{"a": 1}')
    monkeypatch.setattr("stage3_plugin.storage.spool.reading.document_in", fail)

    assert not answer.finish("cut")
    assert not is_complete(tmp_path / "a")


def test_a_compressed_answer_leaves_one_picture_however_often_it_is_read(tmp_path: Path) -> None:
    """Every run reads anew what is unknown, and must not leave a copy each time."""
    body = gzip.compress(json.dumps({"data": [{"b64_json": TEXT}]}).encode())
    answer = SpooledAnswer(tmp_path / "a")
    answer.opened(200, {"content-type": "application/json", "content-encoding": "gzip"})
    answer.feed(body)
    answer.finish("whole")
    found = [load_reply(tmp_path / "a") for _ in range(3)]

    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["answer", "part-64"]
    assert found[0] == found[1] == found[2]
    (part,) = found[0].parts.values()
    assert part.path.read_bytes() == PICTURE


@pytest.mark.parametrize("headers", [{}, {"content-encoding": "gzip"}])
def test_half_of_what_was_made_of_an_answer_is_not_taken_for_its_picture(
    headers: dict[str, str], tmp_path: Path
) -> None:
    """A power cut leaves that of it, since only what came is synced; it is made once more."""
    body = json.dumps({"data": TEXT}).encode() if headers else PICTURE
    answer = SpooledAnswer(tmp_path / "a")
    answer.opened(200, headers)
    answer.feed(gzip.compress(body) if headers else body)
    answer.finish("whole")
    load_reply(tmp_path / "a")
    (tmp_path / "a" / "part-64").write_bytes(b"")
    (part,) = load_reply(tmp_path / "a").parts.values()

    assert part.path.read_bytes() == PICTURE
