"""The fake as a person runs it: its table works as pasted, its book adds up, and it always ends."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import tomllib
from decimal import Decimal
from itertools import product, takewhile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.money import to_microusd
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.testing.dialects import dialect_of
from tests.fakes.__main__ import TABLES
from tests.fakes.bill import by_the_table
from tests.fakes.by_hand import TOP, by_hand
from tests.fakes.wire import prompt_of
from tests.heavy import further

SCENES = [{"scene_id": f"s{n}", "prompt": f"a pier, {n}"} for n in range(3)]


def ask(table: dict[str, str], *, at: str = "/v1/images/generations", **fields: Any) -> int:
    connection = http.client.HTTPConnection(urlsplit(table["base_url"]).netloc, timeout=10)
    body = json.dumps({"prompt": "a pier", "size": "1024x1024"} | fields)
    try:
        headers = {"Authorization": f"Bearer {table['api_key']}", "x-key": table["api_key"]}
        connection.request("POST", at, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in TABLES if dialect_of(name) is None),
        "fal",
        *further(name for name in TABLES if dialect_of(name) is not None and name != "fal"),
    ],
)
def test_the_table_works_as_it_was_printed(name: str, tmp_path: Path) -> None:
    """A story is bought with it under its budget, and both books have the same total."""
    (tmp_path / "scenes.json").write_text(json.dumps(SCENES), encoding="utf-8")
    with by_hand("--table", name) as (server, table):
        lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        config = "\n".join(["[plugin.stage3]", *lines, ""])
        (tmp_path / "host.toml").write_text(config, encoding="utf-8")
        ran = subprocess.run(
            [sys.executable, "-m", "host_stub", "run", "scenes.json", "--json"],
            cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=60, check=False,
        )  # fmt: skip
        server.terminate()
        assert server.stdout is not None
        *lines, total = server.stdout.read().splitlines()
        book = [line.rpartition("$")[2] for line in lines if "$" in line]

    assert ran.returncode == 0, ran.stderr
    usd = Decimal(json.loads(ran.stdout)["cost_usd"])
    assert usd == sum(map(Decimal, book))
    assert total == f"requests 3, pictures 3, would have been billed ${usd}"


@pytest.mark.skipif(sys.platform == "win32", reason="terminate is the end there")
def test_a_termination_ends_it_where_a_shell_has_it_ignore_an_interrupt() -> None:
    """As a script's background process: it ends with code 0 and its total."""
    program = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "runpy.run_module('tests.fakes', run_name='__main__')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=TOP, env={"PYTHONPATH": str(TOP)}, stdout=subprocess.PIPE, encoding="utf-8",
    ) as server:  # fmt: skip
        assert server.stdout is not None
        try:
            printed = "".join(takewhile(str.strip, server.stdout))
            table = tomllib.loads(printed)["plugin"]["stage3"]
            ask(table, model="gpt-image-2")
            server.send_signal(signal.SIGINT)
            ask(table, model="gpt-image-2")
            server.terminate()
            rest = server.stdout.read()
            code = server.wait(20)
        finally:
            server.kill()

    assert rest.endswith("requests 2, pictures 2, would have been billed $0.10538\n")
    assert code == 0


def test_it_needs_nothing_but_python() -> None:
    """A checkout and an interpreter are enough for a rehearsal, of a queue as well."""
    with by_hand(python=("-S", "-E")) as (_, table):
        assert ask(table, model="gpt-image-2") == 200
    with by_hand("--table", "bfl", python=("-S", "-E")) as (_, table):
        assert table["provider"] == "bfl"


def test_at_a_queue_the_job_takes_the_delay_and_not_its_answer() -> None:
    """So that there is time for an interrupt in which jobs are being made."""
    with by_hand("--table", "bfl", "--delay", "600") as (_, table):
        assert ask(table, at="/v1/flux-2-pro", width=256, height=256) == 200  # within ten seconds


def models(kind: str) -> list[tuple[str, str]]:
    rows = tomllib.loads((TOP / "stage3_plugin/providers/models.toml").read_text("utf-8"))[kind]
    return [(row["provider"], model) for row in rows for model in row["models"]]


WITHOUT_QUEUE = {"openai", "gemini", "openrouter"}
"""Others have a dialect with a bill of its own."""
SIZES = ((1024, 1024), (1536, 1024), (1280, 720), (1344, 768))
QUALITIES = ("low", "medium", "high")


@pytest.mark.parametrize(
    "provider, model",
    [one for one in (*models("tokens"), *models("flat")) if one[0] in WITHOUT_QUEUE],
)
def test_a_bill_is_within_what_is_expected(provider: str, model: str) -> None:
    """Of every model in the price table, at each endpoint that it can be asked for at.

    With references, too; only of two models it is not known what they cost.
    """
    sent = SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=10)
    shown = Reference(wish=ReferenceWish(image="a", name="Mira"), sha256="a" * 64, sent=sent)
    apis = ("images", "chat") if provider == "openrouter" else ("images",)
    endpoints = [Endpoint(provider=provider, api=api, model=model) for api in apis]
    for size, quality, count, endpoint in product(SIZES, QUALITIES, (0, 3), endpoints):
        request = PictureRequest(
            scene_id="s",
            prompt="a pier at dawn",
            width_px=size[0],
            height_px=size[1],
            quality=quality,
            shown=(shown,) * count,
        )
        asked = provider_at(endpoint)
        payload = {"model": model, **asked.begin(request).payload}
        bill = by_the_table(payload, prompt_of(payload))
        expected = asked.estimate(request)

        assert bill is not None
        if count and model.startswith(("recraft/", "microsoft/")):
            assert expected.high_microusd is None
            continue
        assert bill.image_in >= 64 * count or (provider, model) in models("flat")
        assert expected.high_microusd is not None
        assert to_microusd(bill.usd) <= expected.high_microusd
