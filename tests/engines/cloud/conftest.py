"""A bucket of each kind, and one S3 server for all tests of a process."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.engines.cloud.s3_server import RADOSGW, S3Server
from tests.engines.conftest import need


@pytest.fixture(scope="session")
def s3_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    need("S3 server (radosgw)", is_there=RADOSGW is not None)
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    server.user("owner")
    server.user("reader")
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """See that no test meets anybody's account."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_")):
            monkeypatch.delenv(name)


@pytest.fixture
def s3(s3_of_all: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """Return the server; the environment is its owner's."""
    for name, value in s3_of_all.environment("owner").items():
        monkeypatch.setenv(name, value)
    return s3_of_all


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """Return the address of a bucket of this test's own."""
    name = f"t{secrets.token_hex(8)}"
    return s3.bucket(name, "owner", readers=("reader",)) + "/stage3"
