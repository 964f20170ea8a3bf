"""Names of the Hub: fetched from one on loopback where that is asked for, and else never."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.diffusers.little_hub import NAME, LittleHub, little_hub
from tests.diffusers.test_model import in_a_process


@pytest.fixture
def hub(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LittleHub]:
    """Serve the pipeline, with files beside it that nobody should want."""
    folder = Path(shutil.copytree(weights, tmp_path / "served"))
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"what pickle reads")
    (folder / "setup.py").write_text("raise SystemExit", encoding="utf-8")
    with little_hub(folder) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        yield served


def rendered(**more: object) -> str:
    """Have a picture rendered in a process of its own; its hash, or why there is none."""
    return in_a_process(
        f"""
try:
    (picture,) = here.made(here.replica({NAME!r}, **{more!r}), here.asked())
except here.WorkUnusable as error:
    print(error)
else:
    print("made", here.hash_of(picture))
"""
    ).strip()


def test_nothing_is_fetched_unasked(hub: LittleHub) -> None:
    assert "neither a folder nor in this machine's cache" in rendered()
    assert hub.asked == []


def test_what_is_fetched_is_weights_that_may_be_read_and_no_code(
    hub: LittleHub, offline: Path
) -> None:
    """Once; after that it is in the cache, which needs no Hub."""
    first = rendered(download=True)

    assert first.startswith("made ")
    assert "unet/diffusion_pytorch_model.safetensors" in hub.fetched
    assert hub.fetched & {"unet/diffusion_pytorch_model.bin", "setup.py"} == set()
    assert {path.suffix for path in offline.rglob("*") if path.is_file()} & {".bin", ".py"} == set()
    assert not any("torch/" in agent for _, _, agent in hub.asked)  # nobody is told what runs here

    hub.asked.clear()
    assert rendered() == first
    assert hub.asked == []


def test_offline_is_obeyed_over_download(hub: LittleHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    assert "unset HF_HUB_OFFLINE" in rendered(download=True)
    assert hub.asked == []


def test_a_name_with_nothing_but_pickled_weights(hub: LittleHub) -> None:
    (hub.folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()

    said = rendered(download=True)

    assert f"{NAME!r} cannot be fetched from the Hugging Face Hub" in said
    assert "safetensors" in said
    assert "unet/diffusion_pytorch_model.bin" not in hub.fetched


def test_a_hub_that_does_not_answer(hub: LittleHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    assert f"{NAME!r} cannot be fetched from the Hugging Face Hub" in rendered(download=True)


def test_a_name_that_the_hub_has_not_got(hub: LittleHub) -> None:
    shutil.rmtree(hub.folder)

    assert f"{NAME!r} cannot be fetched from the Hugging Face Hub" in rendered(download=True)
