"""Whole runs with a bucket beside the state folder, on both loops, against a real S3 server."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from stage3_plugin.errors import BucketFailed, NotStarted
from stage3_plugin.storage.bucket import Bucket
from tests.doors import settings_for
from tests.engines.cloud.s3_server import SECRET, S3Server
from tests.fakes.image_api import ImageApi
from tests.stage3.running import run_stage, story

pytestmark = pytest.mark.anyio


class Failing:
    """Has a bucket fail to take pictures, though it answers what comes before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_on = True
        real = Bucket.put

        def put(bucket: Bucket, sha256: str, path: Path, media_type: str | None = None) -> None:
            if self.is_on:
                raise BucketFailed(bucket.url_of(sha256), "the bucket's server does not answer")
            real(bucket, sha256, path, media_type)

        monkeypatch.setattr(Bucket, "put", put)


def in_bucket(address: str) -> set[str]:
    """Name what a bucket has."""
    return {sha256 for sha256, _ in Bucket.at(address).sizes()}


async def test_a_bucket_that_fails_leaves_the_answer_for_the_next_run(
    image_api: ImageApi, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture is not delivered until both have it, and is billed once."""
    failing = Failing(monkeypatch)
    settings, scenes = settings_for(image_api, store=bucket), story("s01")
    first = await run_stage(settings, scenes, tmp_path)
    left = await anyio.to_thread.run_sync(
        lambda: len(list((tmp_path / ".stage3" / "spool").iterdir()))
    )
    stored = await anyio.to_thread.run_sync(in_bucket, bucket)
    failing.is_on = False
    second = await run_stage(settings, scenes, tmp_path)
    stored_then = await anyio.to_thread.run_sync(in_bucket, bucket)

    failure = first.outcomes["s01"].failure
    assert failure is not None
    assert failure.code == "storage"
    assert "the bucket's server does not answer" in failure.message
    assert bucket in failure.message
    assert (left, stored) == (1, set())
    assert second.code("s01") == "made"
    assert len(stored_then) == 1
    assert image_api.received() == image_api.billed() == 1


REFUSED = {
    "may only read": ("reader", SECRET, "AccessDenied"),
    "has a wrong secret": ("owner", "wrong", "SignatureDoesNotMatch"),
    "is nobody": ("nobody", SECRET, "InvalidAccessKeyId"),
}


@pytest.mark.parametrize("who", REFUSED)
async def test_a_bucket_without_rights_is_known_before_anything_is_bought(
    image_api: ImageApi, tmp_path: Path, bucket: str, s3: S3Server, who: str
) -> None:
    """Read-only rights too: a picture that could not be put there is not asked for."""
    user, secret, code = REFUSED[who]
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3.environment(user, secret).items():
            environment.setenv(name, value)
        with pytest.raises(NotStarted) as caught:
            await run_stage(settings_for(image_api, store=bucket), story("s01"), tmp_path)

    assert f"the credentials do not allow that (HTTP 403, {code})" in str(caught.value)
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.hint)
    assert image_api.received() == 0


async def test_a_bucket_that_is_not_there_is_known_before_anything_is_bought(
    image_api: ImageApi, tmp_path: Path, s3: S3Server
) -> None:
    """And named."""
    with pytest.raises(NotStarted, match=r"s3://nonesuch/.*there is no such bucket"):
        await run_stage(settings_for(image_api, store="s3://nonesuch"), story("s01"), tmp_path)

    assert image_api.received() == 0
