"""What keeps a bucket from working, in words that name the next step and no secret."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread

import pytest

from stage3_plugin.errors import BucketFailed, SettingsRefused
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.storage import bucket as buckets
from stage3_plugin.storage.bucket import Bucket
from tests.engines.cloud.s3_server import S3Server

CLOSED = "http://127.0.0.1:9"
SHA256 = hashlib.sha256(b"anything").hexdigest()
AZURE = {"AZURE_STORAGE_ACCOUNT_NAME": "ours", "AZURE_STORAGE_ENDPOINT": CLOSED}

FAILING: Mapping[str, tuple[str, Mapping[str, str], str, str]] = {
    "no credentials": (
        "s3://media",
        {"AWS_METADATA_ENDPOINT": CLOSED},
        "no credentials were found for it",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    "a server that is not there": (
        "s3://media",
        {"AWS_ENDPOINT_URL": CLOSED, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "hunter2"},
        "the bucket's server does not answer",
        "see whether it can be reached from here",
    ),
    "Azure's that is not there": (
        "az://media",
        AZURE | {"AZURE_STORAGE_SAS_TOKEN": "?sv=2024-01-01&sig=hunter2"},
        "the bucket's server does not answer",
        "see whether it can be reached from here",
    ),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_bucket_that_cannot_be_used_says_why(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And shows nothing of what its library says, which quotes addresses and answers."""
    address, environment, problem, hint = FAILING[what]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BucketFailed) as caught:
        Bucket.at(address).probe()

    assert str(caught.value) == f"cannot write {address}/stage3-probe: {problem}"
    assert hint in str(caught.value.hint)
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint} {caught.value.cause}"


REFUSED: Mapping[str, tuple[str, Mapping[str, str], str]] = {
    "nobody's container": ("az://media", {}, "whose container that is"),
    "a key that is none": (
        "az://media",
        AZURE | {"AZURE_STORAGE_ACCOUNT_KEY": "hunter2 is no key"},
        "cannot be used with the environment's credentials",
    ),
    "a file of credentials that is not there": (
        "gs://media",
        {"GOOGLE_APPLICATION_CREDENTIALS": "hunter2.json"},
        "cannot be used with the environment's credentials",
    ),
    "a server without TLS": (
        "s3://media",
        {"AWS_ENDPOINT_URL": "http://s3.example.com"},
        "the server in AWS_ENDPOINT_URL would be asked without TLS",
    ),
    "a server that is no address": (
        "s3://media",
        {"AWS_ENDPOINT_URL": "hunter2"},
        "the variable AWS_ENDPOINT_URL is no address of a server",
    ),
    "a folder that is not there": ("file:///nonesuch/at/all", {}, "there is no folder"),
    "credentials in the address": ("s3://u:hunter2@media", {}, "no user, password"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_work_is_refused_when_it_is_opened(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without asking anybody."""
    address, environment, problem = REFUSED[what]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsRefused) as caught:
        Bucket.at(address)

    assert problem in str(caught.value)
    assert caught.value.field == "store"
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint}"


def test_a_server_without_tls_is_asked_where_somebody_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The network may be theirs."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.example.com")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")

    assert Bucket.at("s3://media").url_of(SHA256) == f"s3://media/{SHA256[:2]}/{SHA256}"


def test_a_fault_of_the_library_is_a_bucket_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends no thread unseen: it is no exception of Python's, and would pass by all that care."""
    monkeypatch.setattr(buckets, "_may_be_plain", bool)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "no address")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")

    with pytest.raises(BucketFailed, match="it did not do that"):
        Bucket.at("s3://media").probe()


def test_a_bucket_of_google_is_read_by_the_same_names(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its protocol for objects is S3's older sister, so that the same server speaks it."""
    s3.open_bucket("google", "owner")
    part = tmp_path / "part"
    part.write_bytes(b"anything")
    Bucket.at("s3://google/x").put(SHA256, part, "image/png")
    monkeypatch.setenv("GOOGLE_BASE_URL", s3.url)
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    far = Bucket.at("gs://google/x")
    with NewFile(tmp_path / "got") as file:
        came = far.get(SHA256, file.write)

    assert came
    assert (tmp_path / "got").read_bytes() == b"anything"
    assert dict(far.sizes()) == {SHA256: 8}
    assert far.size_of(SHA256) == 8
    assert far.size_of("0" * 64) is None


def test_what_is_in_memory_at_once_is_bounded() -> None:
    """The next one waits, and one that is longer than all goes by itself."""
    room = buckets.Room(100)
    may_end, is_in = Event(), Event()
    order: list[str] = []

    def first() -> None:
        with room.room(60):
            is_in.set()
            may_end.wait(30)
            order.append("first")

    def second() -> None:
        with room.room(500):
            order.append("second")

    threads = [Thread(target=first)]
    threads[0].start()
    is_in.wait(30)
    with room.room(40):
        order.append("beside")
    threads.append(Thread(target=second))
    threads[1].start()
    may_end.set()
    for thread in threads:
        thread.join(30)

    assert order == ["beside", "first", "second"]
