"""A file of lines against ``splitlines`` and ``json.loads``, whatever is in it, wherever cut."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.errors import StorageFailed
from stage3_plugin.storage.spool import result_file
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.spool.receipt import MOST_BODY_BYTES
from stage3_plugin.storage.spool.result_file import (
    SPOOLED_STRANGE,
    PassedBy,
    SpooledLine,
    lines_in,
)
from tests.stage3.pictures.spooling import TEXT, a_folder

DOCUMENTS = st.dictionaries(
    st.text(max_size=5),
    st.none() | st.integers(-9, 9) | st.text(max_size=20) | st.lists(st.booleans(), max_size=3),
    max_size=4,
)


def lines_of(
    path: Path, *, is_whole: bool = True, most_bytes: int = MOST_BODY_BYTES
) -> list[Reply | str]:
    """Read a file; of a line that cannot be read, return why."""
    found: list[Reply | str] = []
    for line in lines_in(path, is_whole=is_whole, into=path.parent, most_bytes=most_bytes):
        assert isinstance(line, SpooledLine), "no line is passed by where all are ours"
        found.append(line.problem or load_reply(line.folder))
    return found


def documents_of(path: Path, *, is_whole: bool = True) -> list[object]:
    return [
        line if isinstance(line, str) else line.document
        for line in lines_of(path, is_whole=is_whole)
    ]


@given(
    documents=st.lists(DOCUMENTS, max_size=5),
    end=st.sampled_from(["\n", "\r\n", "\n\n", " \n\t\n"]),
    last=st.sampled_from(["", "\n"]),
    piece=st.integers(1, 40),
)
def test_a_whole_file_has_the_lines_that_stand_in_it(
    documents: list[dict[str, JsonValue]], end: str, last: str, piece: int
) -> None:
    """However it is read, and whether its last line has an end or not."""
    body = end.join([json.dumps(one, ensure_ascii=False) for one in documents])
    with a_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(result_file, "_PIECE_BYTES", piece)
        folder.mkdir()
        path = folder / "results"
        path.write_text(body + last, "utf-8", newline="")

        assert documents_of(path) == documents


@given(documents=st.lists(DOCUMENTS, min_size=1, max_size=4), data=st.data())
def test_a_cut_file_has_the_lines_that_are_whole_and_no_other(
    documents: list[dict[str, JsonValue]], data: st.DataObject
) -> None:
    """Wherever it was cut: never half a line, and never one more."""
    body = b"".join(json.dumps(one).encode() + b"\n" for one in documents)
    cut = data.draw(st.integers(0, len(body)))
    with a_folder() as folder:
        folder.mkdir()
        path = folder / "results"
        path.write_bytes(body[:cut])
        found = documents_of(path, is_whole=False)

    ends = [
        len(b"".join(json.dumps(one).encode() + b"\n" for one in documents[:n]))
        for n in range(1, len(documents) + 1)
    ]
    assert found == documents[: sum(end - 1 <= cut for end in ends)]


def test_a_line_that_is_too_long_is_passed_over_to_its_end(tmp_path: Path) -> None:
    """What comes behind it is read."""
    path = tmp_path / "results"
    long = json.dumps({"key": "t-0", "text": TEXT})
    path.write_text(f'{long}\n{{"key": "t-1"}}\n', "ascii")

    first, second = lines_of(path, most_bytes=10_000)

    assert isinstance(first, str)
    assert "10000 bytes" in first
    assert isinstance(second, Reply)
    assert second.document == {"key": "t-1"}


def test_a_line_that_the_disk_does_not_take_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the disk is named as what failed."""
    path = tmp_path / "results"
    path.write_text(json.dumps({"key": "t-0", "b64_json": TEXT}) + "\n", "ascii")

    def full(_descriptor: int, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("stage3_plugin.files.new_file.write_whole", full)
    with pytest.raises(StorageFailed, match="No space left"):
        lines_of(path)

    assert [one.name for one in tmp_path.iterdir()] == ["results"]


@pytest.mark.parametrize("most_passed_bytes", [10, 10**9])
def test_short_lines_that_do_not_name_the_batch_are_only_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_passed_bytes: int
) -> None:
    """But for the first of them: a file of a million such ones is not a million folders.

    None of the batch is left out, whatever stands before it, and however its key is written.
    """
    monkeypatch.setattr(result_file, "_MOST_PASSED_BYTES", most_passed_bytes)
    token = "a0" * 16
    ours = [f'{{"key": "{token}-{number}"}}' for number in range(3)]
    ours.append(f'{{"key": "\\u0061{token[1:]}-3"}}')
    foreign = [f'{{"key": "nobody-{number}"}}' for number in range(SPOOLED_STRANGE + 250)]
    long = json.dumps({"key": "nobody", "is": "so long " * 10_000})
    path = tmp_path / "results"
    body = [ours[0], *foreign[:150], "", " ", ours[1], *foreign[150:], long, ours[2], ours[3]]
    path.write_text("\n".join(body), "utf-8")
    documents: list[object] = []
    passed = 0

    for line in lines_in(path, is_whole=True, into=tmp_path, token=token):
        if isinstance(line, PassedBy):
            passed += line.lines
        else:
            documents.append(load_reply(line.folder).document)

    spooled = [*ours[:1], *foreign[:SPOOLED_STRANGE], ours[1], long, *ours[2:]]
    assert documents == [json.loads(one) for one in spooled]
    assert passed == 250
    assert len(list(tmp_path.iterdir())) == len(spooled) + 1


def test_a_file_of_blanks_is_read_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gigabytes of them keep nobody from stopping."""
    monkeypatch.setattr(result_file, "_MOST_PASSED_BYTES", 10)
    monkeypatch.setattr(result_file, "_SHORT_BYTES", 20)
    path = tmp_path / "results"
    path.write_bytes(b"\n" * 53 + b"{}\n")

    found = list(lines_in(path, is_whole=True, into=tmp_path))

    assert found[:3] == [PassedBy(0)] * 3
    assert isinstance(found[3], SpooledLine)
    assert len(found) == 4
