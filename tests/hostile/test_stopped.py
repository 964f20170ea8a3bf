"""A process that is stopped for longer than its deadlines loses no answer, and no time."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.transport import patience
from tests.doors import states
from tests.fakes.behaviours import Gate, Ok
from tests.fakes.image_api import KEY, ImageApi
from tests.heavy import first_of
from tests.hostile.sending import post
from tests.hostile.test_proxies import proxying, trust_in, tunnel

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 3.0
LARGE = (1500, 1500)
"""9 MB of base64: more than lies in the buffers of a socket, so that it flows on afterwards."""
SCENES = {
    "small-length": Ok(framing="length"),
    "small-chunked": Ok(framing="chunked"),
    "large-length": Ok(framing="length", size_px=LARGE, heavy=True),
    "large-chunked": Ok(framing="chunked", size_px=LARGE, heavy=True),
}


PROGRAM = f"""
import sys
sys.path.append({str(ROOT)!r})  # last, so that what is installed is what runs
from tests.hostile.buyer import main
main()
"""


STOPS_ITSELF = """
import os, signal, socket, ssl, sys
owner, name = sys.argv[2].rsplit(".", 1)
owner = {"socket": socket, "socket.socket": socket.socket, "ssl.SSLObject": ssl.SSLObject}[owner]
told = int(sys.argv[3])  # nobody sees how the process is, so it says so
does = getattr(owner, name)
def stop_at_first(*args, **kwargs):
    if getattr(owner, name) is stop_at_first:  # some have it in hand and call it again
        setattr(owner, name, does)
        os.write(told, b".")
        os.kill(os.getpid(), signal.SIGSTOP)
    return does(*args, **kwargs)
setattr(owner, name, stop_at_first)
"""
STEPS = {
    "resolving": "socket.getaddrinfo",
    "connecting": "socket.socket.connect",
    "connected": "socket.socket.getpeername",
    "handshake": "ssl.SSLObject.do_handshake",
    "sending": "ssl.SSLObject.write",
    "receiving": "ssl.SSLObject.read",
}
THROUGH_A_PROXY = {
    "asking the proxy": "socket.socket.send",
    "hearing the proxy": "socket.socket.recv_into",
    "handshake behind the proxy": "ssl.SSLObject.do_handshake",
}


def started(order: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, json.dumps(order)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


def order_for(
    api: ImageApi, folder: Path, backend: str, scenes: Sequence[str], **settings: Any
) -> dict[str, Any]:
    order: dict[str, Any] = {
        "backend": backend,
        "folder": str(folder),
        "scenes": list(scenes),
        "settings": {
            "provider": "openai",
            "model": "gpt-image-2",
            "base_url": api.base_url,
            "api_key": KEY,
            "size": "64x64",
            "timeout_s": TIMEOUT_S,
            **settings,
        },
    }
    if api.ca_pem is not None:
        authority = folder / "authority.pem"
        authority.write_bytes(api.ca_pem)
        order["authority"] = str(authority)
    return order


@pytest.mark.parametrize("tls", [pytest.param(False, id="plain", marks=pytest.mark.heavy), True])
def test_what_came_while_the_process_was_stopped_is_taken_in(
    tmp_path: Path,
    anyio_backend: str,
    tls: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Whole in the buffers of the socket, or flowing on when the process wakes up."""
    gate = Gate()
    with ImageApi(tls=tls) as api:
        for scene, good in SCENES.items():
            api.script(
                Ok(framing=good.framing, size_px=good.size_px, heavy=good.heavy, gate=gate),
                scene=scene,
            )
        buyer = started(order_for(api, tmp_path, anyio_backend, tuple(SCENES)))
        deadline = time.monotonic() + 60
        while api.received() < len(SCENES) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(buyer.pid, signal.SIGSTOP)
        gate.open()
        time.sleep(TIMEOUT_S + 0.5)
        os.kill(buyer.pid, signal.SIGCONT)
        told, _ = buyer.communicate(timeout=60)

        assert json.loads(told)["codes"] == dict.fromkeys(SCENES, "made")
        assert api.received() == len(SCENES)
    assert states(tmp_path) == ["PAID"] * len(SCENES)


def bought_over_a_stop(
    order: dict[str, Any], step: str, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Let a process stop before its first such step, for longer than its time; give the codes."""
    reading, told = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-P", "-c", STOPS_ITSELF + PROGRAM, json.dumps(order), step, str(told)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        pass_fds=[told],
        env={**os.environ, **(environ or {})},
    ) as buyer:
        os.close(told)
        try:
            assert os.read(reading, 1) == b"."
            time.sleep(TIMEOUT_S + 0.5)
            os.kill(buyer.pid, signal.SIGCONT)
            printed, _ = buyer.communicate(timeout=60)
        finally:
            os.close(reading)
            buyer.kill()
    codes: dict[str, str] = json.loads(printed)["codes"]
    return codes


@pytest.mark.parametrize("step", first_of(STEPS, "handshake"))
def test_a_stop_before_the_request_takes_none_of_its_time(
    tmp_path: Path, anyio_backend: str, step: str
) -> None:
    """The first try buys the picture, though the server takes a while."""
    with ImageApi(tls=True) as api:
        api.script(Ok(delay_s=0.7), scene="s0")
        order = order_for(api, tmp_path, anyio_backend, ["s0"], max_attempts=1)

        assert bought_over_a_stop(order, STEPS[step]) == {"s0": "made"}
        assert api.received() == 1
    assert states(tmp_path) == ["PAID"]


@pytest.mark.parametrize("step", first_of(THROUGH_A_PROXY, "asking the proxy"))
def test_nor_does_one_before_a_proxy_has_connected(
    tmp_path: Path, anyio_backend: str, step: str
) -> None:
    with ImageApi(tls=True) as api, proxying(tunnel) as proxy:
        api.script(Ok(delay_s=0.7), scene="s0")
        order = order_for(api, tmp_path, anyio_backend, ["s0"], max_attempts=1, trust_env=True)
        environ = {"https_proxy": f"http://127.0.0.1:{proxy.port}", "no_proxy": "", "NO_PROXY": ""}

        assert bought_over_a_stop(order, THROUGH_A_PROXY[step], environ) == {"s0": "made"}
        assert (api.received(), proxy.connections) == (1, 1)
    assert states(tmp_path) == ["PAID"]


@pytest.mark.anyio
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_request_whose_time_is_over_does_not_leave(
    monkeypatch: pytest.MonkeyPatch,
    tls: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Here lost time is not given back, as after too many stops: nothing is sent, nothing paid."""
    monkeypatch.setattr(patience, "_GRANTS", 0)
    finds_out = socket.socket.getpeername

    def find_out_late(connected: socket.socket) -> Any:
        time.sleep(1.1)
        return finds_out(connected)

    with ImageApi(tls=tls) as api:
        monkeypatch.setattr(socket.socket, "getpeername", find_out_late)
        exchange = await post(api.base_url, timeout_s=1.0, tls=trust_in(api) if tls else None)

        assert (exchange.sent, exchange.permanent) == (False, False)
        assert exchange.problem == "the request could not leave within 1 s"
        assert api.received() == 0


@pytest.mark.anyio
async def test_finding_and_connecting_together_take_no_more_than_the_whole_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each has a limit of its own; here the name takes a while, and the handshake has no end."""
    looks_up = socket.getaddrinfo

    def look_up_slowly(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "pictures.example":
            if kwargs.get("flags"):
                raise socket.gaierror(socket.EAI_NONAME, "not a number")
            time.sleep(1.9)
        return looks_up("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_slowly)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        exchange = await post(f"https://pictures.example:{silent.getsockname()[1]}", timeout_s=2.0)

    assert not exchange.sent
    assert time.monotonic() - began < 3.5  # one after the other they would take 3.9
