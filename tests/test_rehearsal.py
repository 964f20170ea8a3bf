"""``stage3 rehearse`` as a newcomer runs it: its table as printed, its pictures, its books."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from io import BytesIO
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stage3_plugin.cli import main
from stage3_plugin.previz.cast import Cast
from stage3_plugin.previz.plate import Plate
from stage3_plugin.previz.render import render
from stage3_plugin.testing.rehearsal import MODELS
from tests.heavy import further

SCENES = [
    {"scene_id": "pier", "prompt": "A girl in a yellow raincoat on a foggy pier at dawn"},
    {"scene_id": "lamp", "prompt": "Close-up of an old man in the lamp room"},
]
IN_BACKGROUND = ("/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="nobody can interrupt a child there"),
]


class Rehearsal:
    """Somebody with two terminals: the one that serves, and the one that buys."""

    def __init__(self, folder: Path, server: subprocess.Popen[str], table: dict[str, Any]) -> None:
        self.folder, self.table, self._server = folder, table, server

    def type(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Type a command in the other terminal; return its object."""
        ran = subprocess.run(
            [sys.executable, "-m", *words, "--json"],
            cwd=self.folder, capture_output=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip
        assert ran.returncode == code, ran.stderr
        told: dict[str, Any] = json.loads(ran.stdout)
        return told

    def set(self, **settings: str) -> None:
        """Write the table as it was printed into the config, with more behind it."""
        lines = [
            f"{name} = {json.dumps(value)}" for name, value in {**self.table, **settings}.items()
        ]
        config = "\n".join(["[plugin.stage3]", *lines, ""])
        (self.folder / "host.toml").write_text(config, encoding="utf-8")

    def takes(self, scene_id: str) -> list[bytes]:
        """Return the pictures of a scene."""
        files = sorted((self.folder / "out" / "takes" / scene_id).iterdir())
        return [file.read_bytes() for file in files]

    def end(self, *signals: signal.Signals) -> str:
        """Press Ctrl-C, or send others; return all that it said since."""
        for number in signals or (signal.SIGINT,):
            self._server.send_signal(number)
        said, _ = self._server.communicate(timeout=60)
        assert self._server.returncode == 0
        return said


@contextmanager
def rehearsed(folder: Path, *words: str, shell: Sequence[str] = ()) -> Generator[Rehearsal]:
    """Begin a rehearsal outside the checkout, with the config that it prints."""
    (folder / "scenes.json").write_text(json.dumps(SCENES), encoding="utf-8")
    with subprocess.Popen(
        [*shell, sys.executable, "-m", "stage3_plugin", "rehearse", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    ) as server:  # fmt: skip
        try:
            stream = server.stderr if "--json" in words else server.stdout
            assert stream is not None
            printed = "".join(takewhile(str.strip, stream))
            rehearsal = Rehearsal(folder, server, tomllib.loads(printed)["plugin"]["stage3"])
            rehearsal.set()
            yield rehearsal
        finally:
            server.kill()


@pytest.mark.parametrize(
    "provider, settings, size, form",
    [
        ("fal", {"size": "512x384", "output_format": "webp"}, (512, 384), "webp"),
        ("gemini", {"size": "1280x720"}, (1360, 768), "png"),
        *further(
            [
                ("openrouter", {"output_format": "jpeg"}, (1024, 1024), "jpeg"),
                ("openai", {}, (1024, 1024), "png"),
                ("bfl", {"size": "640x480"}, (640, 480), "png"),
                ("replicate", {"size": "640x480"}, (640, 480), "png"),
                ("xai", {"size": "1280x720"}, (1360, 768), "png"),
            ]
        ),
    ],
)
def test_each_take_is_another_storyboard_with_its_number(
    provider: str, settings: dict[str, str], size: tuple[int, int], form: str, tmp_path: Path
) -> None:
    """Of the prompt, in the size and the format that were asked for; both books have one sum."""
    with rehearsed(tmp_path, "--provider", provider) as rehearsal:
        rehearsal.set(**settings)
        ran = rehearsal.type("host_stub", "run", "scenes.json", "--takes", "2")
        *_, books = rehearsal.end().splitlines()
    drawn = {scene["scene_id"]: rehearsal.takes(scene["scene_id"]) for scene in SCENES}

    assert [(one.size, one.format) for one in map(Image.open, map(BytesIO, drawn["pier"]))] == [
        (size, form.upper())
    ] * 2
    for scene in SCENES:
        plates = [(number, Plate(f"take {number}", scene["prompt"])) for number in (1, 2)]
        wanted = [
            render(plate, size, Cast(), seed=number, caption=True, output_format=form)
            for number, plate in plates
        ]
        assert sorted(drawn[scene["scene_id"]]) == sorted(wanted)
    found = re.fullmatch(r"requests 4, pictures 4, would have been billed \$(\S+)", books)
    assert found is not None
    assert Decimal(found[1]) == Decimal(ran["cost_usd"]) > 0


def test_a_batch_is_drawn_too(tmp_path: Path) -> None:
    """Its lines are other takes, and the books say what they cost by the batch."""
    with rehearsed(tmp_path, "--provider", "openai", "--json") as rehearsal:
        rehearsal.set(size="1024x1024", lane="batch")
        ran = rehearsal.type("host_stub", "run", "scenes.json", "--takes", "2")
        books = json.loads(rehearsal.end())
    pictures = [picture for one in SCENES for picture in rehearsal.takes(one["scene_id"])]

    assert len({*pictures}) == 4
    assert (books["format"], books["requests"], books["pictures"]) == ("stage3-rehearse/1", 4, 4)
    assert books["unpriced"] == 0
    assert Decimal(books["billed_usd"]) == Decimal(ran["cost_usd"]) > 0


def test_a_lost_answer_can_be_rehearsed(tmp_path: Path) -> None:
    """Every second one is billed and does not come: the run says that money may be spent.

    In the background of a shell, which has it ignore an interrupt, a termination ends it.
    """
    words = ("--provider", "openai", "--lose", "2")
    with rehearsed(tmp_path, *words, shell=IN_BACKGROUND) as rehearsal:
        rehearsal.type("host_stub", "run", "scenes.json", code=4)
        listed = rehearsal.type("stage3_plugin", "attempts")
        *_, books = rehearsal.end(signal.SIGINT, signal.SIGTERM).splitlines()

    assert [one["state"] for one in listed["attempts"]].count("UNKNOWN") == 1
    assert books.startswith("requests 2, pictures 2, would have been billed $0.0")


def test_who_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that there are, and before anything is served."""
    code = main(["rehearse", "--provider", "opneai"])

    assert code == 2
    assert f"there are {', '.join(MODELS)}" in capsys.readouterr().err


def test_the_config_that_it_writes_buys_from_it(tmp_path: Path) -> None:
    """It is the table that is printed; and no file is written over."""
    with rehearsed(tmp_path, "--write", "new.toml") as rehearsal:
        rehearsal.type("host_stub", "run", "scenes.json", "--config", "new.toml")
        written = tomllib.loads((tmp_path / "new.toml").read_text(encoding="utf-8"))
        refused = subprocess.run(
            [sys.executable, "-m", "stage3_plugin", "rehearse", "--write", "new.toml"],
            cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=60, check=False,
        )  # fmt: skip
        books = rehearsal.end()

    assert "requests 2, pictures 2" in books
    assert written["plugin"]["stage3"] == rehearsal.table
    assert refused.returncode == 2
    assert "new.toml cannot be written: File exists" in refused.stderr
