"""Every behaviour can be asked for by hand, and does what its name says."""

from __future__ import annotations

import base64
import http.client
import inspect
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from stage3_plugin.testing import behaviours as does
from tests.fakes import menu
from tests.fakes.by_hand import by_hand
from tests.fakes.image_api import KEY, ImageApi

TOP = Path(__file__).parents[2]
PICTURE = b"\x89PNG"


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


def address_in(body: bytes) -> str:
    """Return the path, and what follows it, of a picture's address."""
    url: str = json.loads(body)["data"][0]["url"]
    return urlsplit(url)._replace(scheme="", netloc="").geturl()


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


def test_a_picture_is_down_for_a_while(image_api: ImageApi) -> None:
    """Its address answers 503 so often as was said, and then the picture."""
    image_api.script(menu.named("picture-down:2"))
    _, body = ask(image_api.base_url)

    got = [ask(image_api.base_url, address_in(body), "GET") for _ in range(4)]

    assert [answer.status for answer, _ in got] == [503, 503, 200, 200]
    assert got[-1][1].startswith(PICTURE)
    assert (image_api.billed(), len(image_api.visits())) == (1, 4)


def test_a_picture_is_gone(image_api: ImageApi) -> None:
    """Its address answers the same, however often it is visited."""
    image_api.script(menu.named("picture-gone:410"))
    _, body = ask(image_api.base_url)

    assert {ask(image_api.base_url, address_in(body), "GET")[0].status for _ in range(5)} == {410}


def test_a_post_is_sent_elsewhere_after_it_was_billed(image_api: ImageApi) -> None:
    """As a service does that has taken the request and wants its result to be fetched."""
    image_api.script(menu.named("see-other:/v1/there"))

    answer, _ = ask(image_api.base_url)

    assert (answer.status, answer.getheader("location")) == (303, "/v1/there")
    assert image_api.billed() == 1


def test_an_early_answer_is_whole_and_then_reset(image_api: ImageApi) -> None:
    """The page arrives, and nothing more can be asked on that connection."""
    image_api.script(menu.named("early:413"))
    connection = http.client.HTTPConnection(urlsplit(image_api.base_url).netloc, timeout=10)
    headers = {"Authorization": f"Bearer {KEY}"}
    connection.request("POST", "/v1/images/generations", b"{}", headers)
    answer = connection.getresponse()
    status, page = answer.status, answer.read()

    assert (status, page) == (413, b"<html><title>413</title></html>")
    assert connection.sock is not None
    with pytest.raises(ConnectionResetError):
        connection.sock.recv(1)
    connection.close()


@pytest.mark.parametrize("place", ["message", "header", "status line", "in base64"])
def test_a_refusal_repeats_the_key(image_api: ImageApi, place: str) -> None:
    """In the place that was asked for and in no other."""
    image_api.script(menu.named(f"echo-key:{place}"))
    answer, body = ask(image_api.base_url)
    message = json.loads(body)["error"]["message"]

    found = {
        "message": KEY in message,
        "header": answer.getheader("x-your-key") == KEY,
        "status line": KEY in answer.reason,
        "in base64": base64.b64encode(KEY.encode()).decode() in message,
    }
    assert [name for name, is_there in found.items() if is_there] == [place]
    assert image_api.billed() == 0


def test_the_key_can_be_repeated_percent_encoded(image_api: ImageApi) -> None:
    """Every byte of it, as a strict encoder writes them."""
    image_api.script(menu.named("echo-key:percent-encoded"))
    message = json.loads(ask(image_api.base_url)[1])["error"]["message"]

    assert KEY not in message
    assert quote(KEY[:1], safe="") == KEY[:1]  # a lax one would have left it
    assert "".join(f"%{byte:02X}" for byte in KEY.encode()) in message


@pytest.mark.parametrize("place", ["beside", "address"])
def test_a_success_repeats_the_key(image_api: ImageApi, place: str) -> None:
    """Beside the picture, or in its address, which gives the picture."""
    image_api.script(menu.named(f"echo-key:{place}"))
    _, body = ask(image_api.base_url)

    assert KEY.encode() in body
    assert image_api.billed() == 1
    if place == "address":
        assert KEY in address_in(body)
        assert ask(image_api.base_url, address_in(body), "GET")[1].startswith(PICTURE)


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


def test_no_two_behaviours_are_described_alike() -> None:
    """Whoever reads the list has to choose."""
    lines = menu.described().splitlines()
    about = [line[34:].partition(" (")[0].strip() for line in lines]

    assert all(about)
    assert len(set(about)) == len(about)
