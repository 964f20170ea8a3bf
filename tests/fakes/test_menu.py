"""Every behaviour can be asked for by hand, and does what its name says."""

from __future__ import annotations

import http.client
import inspect
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stage3_plugin.testing import behaviours as does
from tests.fakes import menu
from tests.fakes.by_hand import by_hand
from tests.fakes.image_api import KEY, ImageApi

TOP = Path(__file__).parents[2]


def ask(
    base_url: str, path: str = "/v1/images/generations", method: str = "POST"
) -> tuple[http.client.HTTPResponse, bytes]:
    """Ask for a picture, or for another path."""
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=10)
    try:
        body = b'{"prompt": "a pier"}' if method == "POST" else None
        connection.request(method, path, body, {"Authorization": f"Bearer {KEY}"})
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_every_behaviour_is_on_the_menu() -> None:
    """One that is not can only be had by a test."""
    made = {type(dish.make(dish.usual)) for dish in menu.MENU.values()}
    there_are = {
        kind
        for _, kind in inspect.getmembers(does, inspect.isclass)
        if kind.__module__ == does.__name__ and hasattr(kind, "answer")
    }

    assert there_are - made == {does.Behaviour}


@pytest.mark.parametrize(
    "text", ["nothing-like-it", "limited:whenever", "page:often", "echo-key:x"]
)
def test_what_is_not_on_the_menu_is_refused(text: str) -> None:
    """It says which word was not understood."""
    with pytest.raises(ValueError, match=text.partition(":")[2] or text):
        menu.named(text)


def test_a_recorded_answer_can_be_asked_for() -> None:
    """All of them, the JSON of a gateway that ran out of time among them."""
    found = {name: menu.named(f"recorded:{name}") for name in menu.RECORDED}

    assert found == menu.RECORDED


def test_behaviours_take_turns_by_hand() -> None:
    """After the last comes the first again."""
    with by_hand("--behave", "page:503", "limited:none", "--behave", "ok") as (_, table):
        statuses = [ask(table["base_url"])[0].status for _ in range(4)]

    assert statuses == [503, 429, 200, 503]


def test_the_menu_can_be_read() -> None:
    """Each behaviour has a line that says what it does, and its argument."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes", "--list"],
        cwd=TOP, env={"PYTHONPATH": str(TOP)}, capture_output=True, check=True, encoding="utf-8",
    )  # fmt: skip

    lines = done.stdout.splitlines()
    assert [line.split("[")[0].split(" ")[0] for line in lines] == list(menu.MENU)
    assert any("hang" in line and "never answer" in line for line in lines)


def test_a_port_that_is_in_use_is_said_in_one_line() -> None:
    """And what else can be done; no traceback, and nothing hangs."""
    with ImageApi() as api:
        port = str(urlsplit(api.base_url).port)
        done = subprocess.run(
            [sys.executable, "-m", "tests.fakes", "--port", port],
            cwd=TOP,
            env={"PYTHONPATH": str(TOP)},
            capture_output=True,
            encoding="utf-8",
            timeout=30,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot listen at port {port}: ")
    assert done.stderr.count("\n") == 1
    assert "--port 0" in done.stderr
