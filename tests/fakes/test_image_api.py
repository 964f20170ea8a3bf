"""The fake itself: it does what its behaviours say, and its books are right."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from typing import Any

import pytest

from tests.fakes.image_api import KEY, ImageApi


def post(
    api: ImageApi,
    path: str = "/images/generations",
    *,
    prompt: str = "a lighthouse",
    key: str = KEY,
    timeout_s: float = 10.0,
    context: ssl.SSLContext | None = None,
    **fields: Any,
) -> tuple[int, dict[str, str], bytes]:
    """Ask for a picture with the standard library's client, which knows nothing of ours."""
    scheme, _, rest = api.base_url.partition("://")
    host = rest.removesuffix("/v1")
    connection = (
        http.client.HTTPSConnection(host, timeout=timeout_s, context=context)
        if scheme == "https"
        else http.client.HTTPConnection(host, timeout=timeout_s)
    )
    body = json.dumps({"model": "m", "prompt": prompt, "size": "96x64", **fields})
    try:
        connection.request("POST", "/v1" + path, body, {"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def picture(body: bytes) -> bytes:
    return base64.b64decode(json.loads(body)["data"][0]["b64_json"])


def test_a_fault_of_the_fake_itself_fails_the_test_that_used_it() -> None:
    """What goes wrong inside the server's thread is raised where the test sees it."""

    class Faulty:
        async def answer(self, exchange: object) -> None:
            raise ZeroDivisionError(exchange)

    api = ImageApi()
    api.__enter__()
    api.script(Faulty())
    with pytest.raises(http.client.RemoteDisconnected):
        post(api)
    with pytest.raises(ExceptionGroup, match="fake image API") as caught:
        api.__exit__(None, None, None)

    assert caught.group_contains(ZeroDivisionError)
