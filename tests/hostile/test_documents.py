"""No document of a provider holds the interpreter or fills the memory, whatever is in it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.storage.spool import documents
from stage3_plugin.storage.spool.documents import MOST_LEVELS, MOST_VALUES, document_in
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.spool.writing import SpooledAnswer
from tests.fakes.image_api import KEY, ImageApi
from tests.heavy import further
from tests.hostile.worst_answers import (
    COMPRESSED,
    DOCUMENTS,
    SIZE,
    TEXTS,
    Answer,
    Made,
    Together,
    made,
    trailing_gzip,
)
from tests.rules.repository import ROOT

KINDS = {kind.__name__: kind for kind in (*DOCUMENTS, *TEXTS, *COMPRESSED)}
MOST_GROWTH_MB = 64
PROGRAM = f"""
import runpy, sys
sys.path.append({str(ROOT)!r})  # last, so that what is installed is what runs
runpy.run_module("tests.hostile.watched_run", run_name="__main__")
"""

PARSERS = {
    "loads",
    "load",
    "JSONDecoder",
    "raw_decode",
    "validate_json",
    "literal_eval",
    "json",
    "reader",
}
DOORS = {
    ("storage/spool/documents.py", "JSONDecoder"): "the door",
    ("storage/spool/documents.py", "raw_decode"): "likewise",
    ("storage/spool/receipt.py", "validate_json"): "what we wrote, of bounded length",
    ("storage/spool/awaited.py", "validate_json"): "what we wrote, of bounded length",
    ("storage/spool/batch_files.py", "loads"): "likewise",
    ("providers/models.py", "loads"): "the table that is shipped",
    ("providers/tables.py", "loads"): "the tables that are shipped",
    ("ledger/records.py", "JSONDecoder"): "what we wrote: words alone, of bounded length",
    ("executors/child.py", "loads"): "likewise; of bounded length",
    ("executors/messages.py", "loads"): "what we wrote, in a process of ours",
    ("renderers/replica.py", "loads"): "what we wrote, in a replica",
    ("executors/registry.py", "load"): "an entry point, not a text",
    ("storage/copies/__init__.py", "loads"): "likewise",
    ("storage/copies/shrinking.py", "load"): "a picture's pixels, in a process of their own",
    ("domain/made_from.py", "loads"): "what we wrote, of bounded length",
    ("runtime/offers.py", "load"): "an entry point, not a text",
    ("providers/registry.py", "load"): "likewise",
    ("settings.py", "load"): "likewise",
    ("renderers/diffusion/folder.py", "loads"): "beside weights that a user names; bounded length",
}


DOORS_OF_SCENES = {
    ("strict_json.py", "JSONDecoder"): "the door to documents, of scenes and of stories",
    ("strict_json.py", "loads"): "a key of one that went through it",
    ("importing/table.py", "reader"): "the door to tables: strict, of bounded length",
}
"""Where the host reads what people bring; tests/hostile/test_stories.py tries them."""


def _parsing(folder: Path, *, beside: tuple[str, ...] = ()) -> set[tuple[str, str]]:
    """Return which modules of a folder call a parser, and which."""
    found: set[tuple[str, str]] = set()
    for path in folder.rglob("*.py"):
        name = path.relative_to(folder).as_posix()
        if name.startswith(beside):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                found |= {(name, node.func.attr)} if node.func.attr in PARSERS else set()
    return found


def test_there_is_one_door_to_a_parser() -> None:
    """Every other place that parses has only what we wrote before it."""
    # Those beside read their own data, and what their own processes or tests say.
    found = _parsing(ROOT / "stage3_plugin", beside=("previz/", "testing/"))

    assert found == set(DOORS)
    assert _parsing(ROOT / "host_stub" / "scenes") == set(DOORS_OF_SCENES)


class _Noted:
    """Stands in for the parser, and notes what it was asked to parse."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def raw_decode(self, text: str) -> Any:
        self.asked.append(text)
        return json.JSONDecoder().raw_decode(text)


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> _Noted:
    noted = _Noted()
    monkeypatch.setattr(documents, "DECODER", noted)
    return noted


BURDENS = {
    "lists": b"[" + b"[]," * (SIZE // 3) + b"1]",
    "objects": b"[" + b"{}," * (SIZE // 3) + b"1]",
    "lists in lists": b"[[[[" + b"[[]]," * (SIZE // 5) + b"1]]]]",
    "names": b"{%b}" % b",".join(b'"%x":0' % number for number in range(SIZE // 10)),
    "strings": b"[%b]" % b",".join(b'"%x"' % number for number in range(SIZE // 8)),
    "numbers": b"[%b1]" % (b"1," * (SIZE // 2)),
    "a few too many": b"[%b1]" % (b"1," * MOST_VALUES),
    "deep": b"[" * (SIZE // 2) + b"]" * (SIZE // 2),
    "a little too deep": b"[" * (MOST_LEVELS + 1) + b"]" * (MOST_LEVELS + 1),
    "deep in objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "brackets and a long text": b'["%b",%b1]' % (b"a, b: [c] " * 9000, b"[]," * MOST_VALUES),
}


@pytest.mark.parametrize("name", BURDENS)
@pytest.mark.parametrize("piece_bytes", [1 << 16, 997])
def test_a_document_of_too_many_values_reaches_no_parser(
    tmp_path: Path, parser: _Noted, name: str, piece_bytes: int
) -> None:
    """It is not understood, and says why; what came is on the disk."""
    body = BURDENS[name]
    spool = SpooledAnswer(tmp_path / "a")
    spool.opened(200, {})
    for start in range(0, len(body), piece_bytes):
        spool.feed(body[start : start + piece_bytes])
    spool.finish("whole")
    reply = load_reply(tmp_path / "a")

    assert parser.asked == []
    assert reply.document is None
    assert reply.unread
    assert reply.text == body[:2000].decode()
    assert sum(file.stat().st_size for file in (tmp_path / "a").iterdir()) >= len(body)
    assert document_in(body).unread
    assert parser.asked == []


FINE = {
    "as many as there may be": b"[%b1]" % (b"1," * (MOST_VALUES - 1)),
    "as deep as there may be": b"[" * MOST_LEVELS + b"]" * MOST_LEVELS,
    "a long text full of commas": b'{"text": "%b"}' % (b"one, two: [three], " * 50_000),
    "a text full of escapes": b'{"text": "%b"}' % (b"\\n\\u00e9\\ud83d\\ude00" * 50_000),
    "a text full of quotes": b'{"text": "%b"}' % (b'\\",\\"' * 100_000),
}


@pytest.mark.parametrize("name", FINE)
def test_what_is_no_burden_is_read(parser: _Noted, name: str) -> None:
    """A text counts as one value, whatever signs are in it."""
    document = document_in(FINE[name])

    assert document.is_json
    assert document.value == json.loads(FINE[name])
    assert len(parser.asked) == 1


@pytest.mark.parametrize(
    "written, read",
    [
        ("1e400", None),
        ("-1e999999", None),
        ("1E+99999999999999999999", None),
        ("9" * 5000, None),
        ("-" + "9" * 5000 + ".5", None),
        ("0." + "0" * 5000 + "1", None),
        ("0.04" + "0" * 5000, Decimal("0.04")),
        ("NaN", None),
        ("Infinity", None),
        ("-Infinity", None),
        ("1e-999999", None),
        ("12345678901234567890", 12345678901234567890),
    ],
)
def test_an_absurd_number_is_nothing_and_spoils_nothing(written: str, read: object) -> None:
    """What stands beside it is read."""
    document = document_in(b'{"cost": %b, "beside": [1.5]}' % written.encode())

    assert document.value == {"cost": read, "beside": [Decimal("1.5")]}


def growth_mb(kind: Made, folder: Path, api: ImageApi) -> float:
    """Have a run in a fresh process buy eight pictures, and be given eight such answers at once."""
    together = Together([made(kind, SIZE)], 8)
    for number in range(8):
        api.script(together, scene=f"hostile-{number:03}")
    settings = {
        "provider": "openai", "model": "gpt-image-2", "base_url": api.base_url, "api_key": KEY,
        "size": "64x64", "capacity": 8, "adaptive": False, "max_attempts": 1, "deadline_s": 20,
    }  # fmt: skip
    options = {"folder": str(folder), "story": "hostile", "scenes": 8, "settings": settings}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, json.dumps(options)],
        stdout=subprocess.PIPE, check=True, encoding="utf-8", timeout=60,
    )  # fmt: skip
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads the system's own books")
@pytest.mark.parametrize("names", [list(KINDS)[:3], *further([list(KINDS)[3:9], list(KINDS)[9:]])])
def test_eight_hostile_answers_in_flight_take_little_memory(
    tmp_path: Path, image_api: ImageApi, names: Sequence[str]
) -> None:
    """4 MB each; the process grows by less than two of them would take as values."""
    grown = {name: growth_mb(KINDS[name], tmp_path / name, image_api) for name in names}

    assert {name: growth for name, growth in grown.items() if growth >= MOST_GROWTH_MB} == {}


def lengthened(_: int) -> Answer:
    """Make a small answer with 24 MB behind its end."""
    return trailing_gzip(6 * SIZE)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads the system's own books")
def test_bytes_behind_a_compressed_answer_pile_up_nowhere(
    tmp_path: Path, image_api: ImageApi
) -> None:
    """However many come: eight such answers at once take no more than others do."""
    assert growth_mb(lengthened, tmp_path, image_api) < MOST_GROWTH_MB
