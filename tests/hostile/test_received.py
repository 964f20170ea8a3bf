"""What can be read from what was received is delivered, and what was received is kept.

Through the door: a run over sockets, and what it left on the disk.
"""

from __future__ import annotations

import builtins
import io
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.states import State
from tests.doors import only, run_stage, settings_for, states, story
from tests.fakes.behaviours import Behaviour, Ok
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.hostile.received import (
    BEFORE,
    BEFORE_AT_ADDRESS,
    BEHIND_BLANKS,
    BESIDE,
    COMPRESSED,
    FRAMED,
    TRAILING,
    WRITTEN,
    Odd,
    images,
    text_of,
)

pytestmark = pytest.mark.anyio

READABLE = {
    f"{kind}: {name}": odd
    for kind, all_ in (
        ("before", BEFORE),
        ("behind blanks", BEHIND_BLANKS),
        ("compressed", COMPRESSED),
        ("framed", FRAMED),
        ("trailing", TRAILING),
        ("written", WRITTEN),
        ("beside", BESIDE),
    )
    for name, odd in all_.items()
}


@pytest.mark.parametrize("name", READABLE)
async def test_a_picture_that_can_be_read_is_delivered(
    image_api: ImageApi, tmp_path: Path, name: str
) -> None:
    """However oddly it came, it was paid for: its bytes arrive, and nothing is bought again."""
    odd = READABLE[name]
    image_api.script(odd)
    settings = settings_for(image_api, price_usd="0.05")

    ran = await run_stage(settings, story("pier"), tmp_path)
    again = await run_stage(settings, story("pier"), tmp_path)

    wanted = make_png("pier: a harbour at dusk", 160, 120, heavy=odd.heavy)
    assert (ran.code("pier"), again.code("pier")) == ("made", "made")
    assert (tmp_path / "out" / "images" / "pier.png").read_bytes() == wanted
    assert image_api.received() == 1
    assert states(tmp_path) == [State.PAID]


@pytest.mark.parametrize("name", BEFORE_AT_ADDRESS)
async def test_a_picture_behind_blanks_comes_from_its_address(
    image_api: ImageApi, tmp_path: Path, name: str
) -> None:
    """What is read in an answer is read at an address, too."""
    image_api.script(Ok(url="own"))
    image_api.visit_always(BEFORE_AT_ADDRESS[name])
    settings = settings_for(image_api, price_usd="0.05", deadline_s=3)

    ran = await run_stage(settings, story("pier"), tmp_path)

    assert ran.code("pier") == "made"
    assert states(tmp_path) == [State.PAID]
    [picture] = (path for path in (tmp_path / ".stage3" / "objects").rglob("*") if path.is_file())
    shown = (tmp_path / "out" / "images" / "pier.png").read_bytes()
    assert shown == picture.read_bytes() == make_png("", 160, 120, heavy=True)


@pytest.mark.parametrize("name", TRAILING)
async def test_what_stood_behind_a_picture_is_kept(
    image_api: ImageApi, tmp_path: Path, name: str
) -> None:
    """The object is the picture alone; the whole of what came lies beside it, for good."""
    image_api.script(TRAILING[name])

    await run_stage(settings_for(image_api), story("pier"), tmp_path)
    await run_stage(settings_for(image_api), story("pier"), tmp_path)

    state = tmp_path / ".stage3"
    wanted = make_png("pier: a harbour at dusk", 160, 120, heavy=True)
    [original] = (state / "originals").iterdir()
    [picture] = (path for path in (state / "objects").rglob("*") if path.is_file())
    assert picture.read_bytes() == wanted
    assert original.read_bytes().startswith(wanted)
    assert original.stat().st_size > len(wanted)
    assert original.name.startswith(only(tmp_path).attempt_id)
    assert original.stat().st_ino != picture.stat().st_ino


def _keys(count: int) -> bytes:
    return b",".join(b'"key%d":1' % number for number in range(count))


UNREADABLE = {
    "a million lists": Odd(make=lambda _picture, _body: b"[" + b"[]," * 10**6 + b"1]"),
    "a million objects": Odd(make=lambda _picture, _body: b"[" + b"{}," * 10**6 + b"1]"),
    "400,000 keys": Odd(
        make=lambda _picture, _body: b"{%b}" % _keys(400_000)
    ),
    "damaged gzip": Odd(
        make=lambda _picture, _body: b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"\xff" * 500,
        headers={"Content-Encoding": "gzip"},
    ),
    "a picture that was cut": Odd(
        make=lambda picture, _: picture[:-500], headers={"Content-Type": "image/png"},
        framing="close",
    ),
    "a document that was cut within its picture": Odd(
        make=lambda picture, _: images(text_of(picture))[:-500], framing="cut"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_cannot_be_read_blocks_its_scene_and_is_kept(
    image_api: ImageApi, tmp_path: Path, name: str
) -> None:
    """It may have been billed: it is neither bought again nor called a bad picture."""
    image_api.script(UNREADABLE[name])

    ran = await run_stage(settings_for(image_api), story("pier"), tmp_path)
    again = await run_stage(settings_for(image_api), story("pier"), tmp_path)

    kept = tmp_path / ".stage3" / "spool" / only(tmp_path).attempt_id
    assert (ran.code("pier"), again.code("pier")) == ("unknown", "unknown")
    assert image_api.received() == 1
    assert states(tmp_path) == [State.UNKNOWN]
    assert sum(file.stat().st_size for file in kept.iterdir()) > 400


@contextmanager
def noting_writers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[list[str]]:
    """Note every file below a folder that is opened to be written and may have been there."""
    found: list[str] = []
    system_open = os.open
    received = tuple(str(folder / name) for name in ("spool", "objects", "originals", "tmp"))

    def noting(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_TRUNC)
        if writes and not flags & os.O_EXCL and str(path).startswith(received):
            found.append(f"{path} with {flags:#o}")
        return system_open(path, flags, *arguments, **named)

    def refuse(path: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if set(mode) & set("wa+") and str(path).startswith(received):
            found.append(f"{path} with {mode}")
        return real_open(path, mode, *arguments, **named)

    real_open = io.open
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", noting)
        patch.setattr(io, "open", refuse)
        patch.setattr(builtins, "open", refuse)
        yield found


async def test_no_received_or_stored_file_is_opened_to_be_written_twice(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every one is made with O_EXCL: an object that shares its inode with a part is safe."""
    kinds: dict[str, Behaviour] = {
        **READABLE,
        "fetched": Ok(url="own"),
        "relative": Ok(url="relative"),
        "good": Ok(),
    }
    scenes = [f"s{number:03}" for number in range(len(kinds))]
    for scene, odd in zip(scenes, kinds.values(), strict=True):
        image_api.script(odd, scene=scene)
    settings = settings_for(image_api, budget_usd=None)
    with noting_writers(tmp_path / ".stage3", monkeypatch) as found:
        ran = await run_stage(settings, story(*scenes), tmp_path)
        for picture in (tmp_path / "out" / "images").iterdir():
            picture.unlink()
        for kept in (tmp_path / ".stage3" / "objects").rglob("*"):
            if kept.is_file() and int(kept.name[:1], 16) % 2:
                kept.unlink()
        await run_stage(settings, story(*scenes), tmp_path)

    assert {ran.code(scene) for scene in scenes} == {"made"}
    assert found == []


async def test_a_state_folder_that_was_there_shows_nothing_to_others(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Made by hand with the usual umask, by an earlier version, or by us: only the owner reads."""
    state = tmp_path / ".stage3"
    (state / "spool").mkdir(parents=True)
    (state / "objects").mkdir()
    image_api.script(TRAILING["a ZIP"], scene="one")
    image_api.script(Odd(make=lambda _picture, _body: b"[" + b"[]," * 10**5 + b"1]"), scene="two")
    image_api.script(Ok(url="own"), scene="three")
    before = os.umask(0o022)
    try:
        state.chmod(0o755)
        (state / "spool").chmod(0o755)
        (state / "objects").chmod(0o755)
        await run_stage(settings_for(image_api), story("one", "two", "three"), tmp_path)
    finally:
        os.umask(before)

    modes = {
        str(path.relative_to(state)): stat.S_IMODE(path.stat().st_mode) for path in state.rglob("*")
    }
    assert {name for name, mode in modes.items() if mode & 0o077} == set()
    assert {"ledger.db", "spool", "objects", "originals", "tmp", "owners"} <= set(modes)


async def test_the_name_of_a_new_state_folder_is_on_the_disk_before_a_request(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those of the folders above it that were made: a power cut would take all of it along."""
    sent_before: dict[int, int] = {}
    sync = os.fsync

    def note(descriptor: int) -> None:
        sync(descriptor)
        sent_before.setdefault(os.fstat(descriptor).st_ino, image_api.received())

    monkeypatch.setattr(os, "fsync", note)
    await run_stage(settings_for(image_api, state_dir="new/newer/state"), story("one"), tmp_path)

    above = [tmp_path, tmp_path / "new", tmp_path / "new" / "newer"]
    assert [sent_before.get(folder.stat().st_ino) for folder in above] == [0, 0, 0]
    assert image_api.received() == 1
