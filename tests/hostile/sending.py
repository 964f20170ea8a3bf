"""Sends one paid request, or fetches one picture, with a client of its own."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from stage3_plugin.domain.exchange import Send
from stage3_plugin.purchase.ingest import fetch_into
from stage3_plugin.runtime.interrupt import Interrupt
from stage3_plugin.transport.client import Client
from stage3_plugin.transport.exchange import Exchange
from stage3_plugin.transport.picture_hosts import PictureHosts
from tests.fakes.image_api import KEY


class Kept:
    """The sink of a body: keeps it."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""

    def open(self, status: int, _headers: Mapping[str, str]) -> Kept:
        self.status = status
        return self

    def feed(self, chunk: bytes) -> None:
        self.body += chunk

    def finish(self, how: str) -> bool:
        return how == "whole" or (how == "closed" and self.body.rstrip().endswith(b"}"))


def client(
    *own_urls: str,
    timeout_s: float = 10.0,
    tls: ssl.SSLContext | None = None,
    trust_env: bool = False,
    headers: Mapping[str, SecretStr] | None = None,
) -> Client:
    return Client(
        key_header="authorization",
        key_prefix="Bearer ",
        key=SecretStr(KEY),
        own_urls=own_urls,
        headers=headers,
        timeout_s=timeout_s,
        trust_env=trust_env,
        tls=tls,
    )


async def post(
    base_url: str,
    sink: Kept | None = None,
    *,
    prompt: str = "a harbour",
    interrupt: Interrupt | None = None,
    **more: Any,
) -> Exchange:
    """Send a request for a picture."""
    sender = client(base_url, **more)
    call = Send(
        url=f"{base_url}/images/generations",
        payload={"model": "m", "prompt": prompt, "n": 1, "size": "64x64"},
    )
    with (interrupt or Interrupt()).in_force():
        return await sender.post(call, (sink or Kept()).open)


async def fetch(
    url: str, folder: Path, hosts: PictureHosts, *, cap: int = 1 << 20, **more: Any
) -> Path:
    """Fetch a picture."""
    sender = client(**more)
    path = folder / f"fetched-{secrets.token_hex(8)}"
    await fetch_into(sender, url, path, hosts=hosts, cap=cap)
    return path
