"""The reference plugin through the command: wishes it honours or lists, and files of their own."""

import json
import re
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from host_stub import plain_image
from host_stub.cli import main
from host_stub.plain_image import Settings, flat_png


@pytest.fixture
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


pytestmark = pytest.mark.usefixtures("_in_a_folder_of_its_own")


def drawn(*scenes: dict[str, Any], **settings: str) -> dict[str, dict[str, Any]]:
    """Run a story of these scenes; return the manifest's row of each."""
    story = [{"prompt": "a pier", **scene} for scene in scenes]
    Path("scenes.json").write_text(json.dumps(story), encoding="utf-8")
    told = [f"--set=plugin.plain.{name}={value}" for name, value in settings.items()]

    assert main(["run", "scenes.json", "--image", "plain", *told]) == 0
    rows = json.loads(Path("out/manifest.json").read_bytes())["images"]
    return {row["scene_id"]: row for row in rows}


def test_the_colour_is_the_setting_or_the_prompts_own() -> None:
    """A set colour fills every picture; without one, equal prompts look equal."""
    own = drawn(
        *({"scene_id": one, "prompt": prompt} for one, prompt in ("ax", "bx", "cy")), size="4x4"
    )
    told = drawn({"scene_id": "new"}, size="4x4", colour="#4466aa")

    assert own["a"]["sha256"] == own["b"]["sha256"] != own["c"]["sha256"]
    with Image.open(told["new"]["image_path"]) as picture:
        assert picture.convert("RGB").getcolors() == [(16, (0x44, 0x66, 0xAA))]


def test_wishes_it_cannot_honour_are_listed() -> None:
    """Nothing is dropped silently, and what was not asked for is not listed."""
    rows = drawn(
        {"scene_id": "all", "seed": 0, "negative_prompt": "text", "references": ["a.png"]},
        {"scene_id": "its own", "model": "m", "quality": "low"},
        {"scene_id": "none", "negative_prompt": ""},
        size="4x4",
    )

    assert {name: row["dropped"] for name, row in rows.items()} == {
        "all": ["negative_prompt", "seed", "references"],
        "its own": ["model", "quality"],
        "none": [],
    }


@pytest.mark.parametrize("settings", [{"colour": "red"}, {"size": "0x4"}, {"size": "4"}, {"x": 1}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    """The model is strict."""
    with pytest.raises(ValueError, match="validation error"):
        Settings.model_validate(settings)


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Take a PNG apart, checking every checksum."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(png):
        [length] = struct.unpack_from(">I", png, at)
        body = png[at + 4 : at + 8 + length]
        [checksum] = struct.unpack_from(">I", png, at + 8 + length)

        assert zlib.crc32(body) == checksum
        yield body[:4], body[4:]
        at += 12 + length


@given(
    width_px=st.integers(1, 70),
    height_px=st.integers(1, 40),
    colour=st.binary(min_size=3, max_size=3),
)
def test_the_hand_written_png_is_a_right_one(width_px: int, height_px: int, colour: bytes) -> None:
    """Law: for every size and colour the chunks are sound and every pixel has the colour."""
    png = flat_png(width_px, height_px, colour)
    parts = dict(chunks(png))
    decoded = Image.open(BytesIO(png))

    assert list(parts) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert len(zlib.decompress(parts[b"IDAT"])) == height_px * (1 + -(-width_px // 8))
    assert decoded.size == (width_px, height_px)
    assert decoded.convert("RGB").getcolors() == [(width_px * height_px, tuple(colour))]


def test_the_reference_plugin_needs_nothing_but_the_contract() -> None:
    """Its imports from the host are the two modules an author is promised."""
    source = Path(plain_image.__file__).read_text(encoding="utf-8")

    assert set(re.findall(r"from (host_stub\S*) import", source)) == {
        "host_stub.contract",
        "host_stub.hookspecs",
    }
