"""No file of a run's results holds what makes an address as good as a key."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from host_stub.text.addresses import in_text, without_query
from tests.fakes.behaviours import Json, Ok
from tests.fakes.image_api import ImageApi
from tests.fakes.wire import Exchange
from tests.projects import Project

SIGNATURE = "X-Amz-Signature=5f2b7c"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed(Ok):
    """Make the picture, and answer its signed address."""

    def body(self, exchange: Exchange) -> bytes:
        host = exchange.base_url.removesuffix("/v1")
        address = f"{host}/pictures/{exchange.asked.number}.png?{SIGNATURE}&Expires=9#part"
        document: dict[str, Any] = {"created": 1, "data": [{"url": address}]}
        return json.dumps(document).encode()


@pytest.fixture
def project(tmp_path: Path, image_api: ImageApi) -> Project:
    project = Project(tmp_path)
    project.scenes(1)
    project.config(image_api, provider="openai", model="gpt-image-2")
    return project


def everything_below(folder: Path) -> str:
    """Read every file of a folder, whatever it is."""
    return "\n".join(
        path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()
    )


def test_a_signed_address_stands_without_its_query_in_the_results(
    project: Project, image_api: ImageApi
) -> None:
    """Everybody may read those; whole it stands in the ledger alone, which is its owner's."""
    image_api.always(Signed())

    ran = project.run("run", "scenes.json")
    again = project.run("run", "scenes.json")

    assert (ran.returncode, again.returncode) == (0, 0), ran.stderr
    results = everything_below(project.folder / "out")
    assert SIGNATURE not in results + ran.stdout + ran.stderr
    assert "Expires" not in results
    [image] = project.manifest()["images"]
    assert image["image_url"].endswith("/pictures/1.png")
    assert SIGNATURE in everything_below(project.folder / ".stage3")
    assert SIGNATURE not in project.stage3("attempts", "--all", "--json").stdout
    assert (project.folder / ".stage3" / "ledger.db").stat().st_mode & 0o077 == 0


def test_an_address_in_a_providers_own_words_stands_there_without_its_query(
    project: Project, image_api: ImageApi
) -> None:
    """A refusal may name what it refuses; it goes into manifest, journal and terminal."""
    told = f"the picture at https://me:pass@files.example/p/a.png?{SIGNATURE} breaks our policy"
    error = {"message": told, "type": "image_generation_user_error", "code": "moderation_blocked"}
    image_api.always(Json({"error": error}, status=400))

    ran = project.run("run", "scenes.json")

    results = everything_below(project.folder / "out")
    assert ran.returncode == 1, ran.stderr
    assert SIGNATURE not in results + ran.stdout + ran.stderr
    assert "me:pass" not in results + ran.stdout + ran.stderr
    assert "https://files.example/p/a.png" in results


@pytest.mark.parametrize(
    "text, left",
    [
        ("https://h.example/p.png?sig=a&e=1", "https://h.example/p.png"),
        ("https://h.example/p.png#sig", "https://h.example/p.png"),
        ("https://me:pass@h.example:8443/p.png?sig", "https://h.example:8443/p.png"),
        ("https://me@h.example", "https://h.example"),
        ("HTTPS://H.EXAMPLE/P?SIG", "HTTPS://H.EXAMPLE/P"),
        ("s3://bucket/key?sig=a", "s3://bucket/key"),
        ("http://[::1]:80/p?sig=a", "http://[::1]:80/p"),
        (r"https:\/\/me@h.example\/p?sig=a\u0026e=1", r"https:\/\/h.example\/p"),
        ("https%3A%2F%2Fme%40h.example%2Fp%3Fsig%3Da", "https%3A%2F%2Fh.example%2Fp"),
    ],
)
def test_what_makes_an_address_as_good_as_a_key_is_left_out(text: str, left: str) -> None:
    """In every form in which an address comes, alone and among words."""
    assert without_query(text) == left
    assert in_text(f'GET "{text}" failed').replace("?…", "") == f'GET "{left}" failed'


@pytest.mark.parametrize(
    "text", ["Is it a pier? Yes, 1+1=2.", "what?", "5 scenes: 3 of 5", "a@b.example"]
)
def test_what_is_no_address_stays_as_it_is(text: str) -> None:
    """People ask questions in prompts and messages."""
    assert in_text(text) == text


@pytest.mark.parametrize(
    "worst",
    [
        "?a",
        "a?",
        "://",
        "a:",
        "https://",
        "%3a%2f%2f",
        "https://a@",
        "http:\\/\\/",
        "@",
        "%40",
        "a",
    ],
)
def test_the_worst_text_is_read_once(worst: str) -> None:
    """Messages are a provider's words: a pattern that goes back would stand still for minutes."""
    text = "https://" + worst * (1_000_000 // len(worst))

    begun = time.process_time()
    in_text(text)
    without_query(text)

    assert time.process_time() - begun < 5  # a second pass for each beginning would take hours
