"""Addresses of buckets: which there are, and what is never part of one."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from stage3_plugin.runtime.buckets import BucketAddress, bucket_address
from stage3_plugin.settings import Settings

GOOD = {
    "s3://media": ("s3", "media", ""),
    "s3://media/": ("s3", "media", ""),
    "s3://media.example/stories/lighthouse/": ("s3", "media.example", "stories/lighthouse"),
    "gs://media/run=1/a+b": ("gs", "media", "run=1/a+b"),
    "az://container/x": ("az", "container", "x"),
    "file:///srv/my%20pictures/": ("file", "", "/srv/my pictures"),
}


@pytest.mark.parametrize("text", GOOD)
def test_an_address_says_which_bucket_and_where_in_it(text: str) -> None:
    """And is written again as it was, but for a slash at its end."""
    address = bucket_address(text)

    assert address == BucketAddress(*GOOD[text])
    assert str(address) == text.rstrip("/")
    assert bucket_address(str(address)) == address


BAD = {
    "media": "starts with s3://",
    "": "starts with s3://",
    "S3://media": "starts with s3://",
    "http://127.0.0.1/media": "AWS_ENDPOINT_URL",
    "memory:///": "starts with s3://",
    "s3:///media": "names it after s3://",
    "s3://key:secret/x": "names it after s3://",
    "s3://media//x": "single slashes",
    "s3://media/../x": "single slashes",
    "s3://media/a b": "single slashes",
    "s3://media/%3Fsig=1": "single slashes",
    "s3://media/x\n": "single slashes",
    "file://pictures": "three slashes",
    "file:///": "three slashes",
    "file:///srv/x?sig=1": "three slashes",
    "file:///srv/../etc": "no '..'",
    "file:///srv/%0A": "no '..'",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With what one looks like."""
    with pytest.raises(ValueError, match=re.escape(BAD[text])):
        bucket_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "s3://user:hunter2@media/x",
        "s3://hunter2@media",
        "s3://media/x?X-Amz-Signature=hunter2",
        "s3://media/x#hunter2",
        "az://container/x?sv=2024&sig=hunter2",
        "https://media.s3.amazonaws.com/x?X-Amz-Credential=hunter2",
        "ftp://user:hunter2@host/x",
    ],
)
def test_credentials_are_no_part_of_an_address(text: str) -> None:
    """They are not shown either; where they belong is said."""
    with pytest.raises(ValidationError) as caught:
        Settings(store=text)
    said = str(caught.value)

    assert "no user, password, signature or query" in said
    assert "read from the environment" in said
    assert "AZURE_STORAGE_SAS_TOKEN" in said if text.startswith("az") else "AWS_ACCESS" in said
    assert "hunter2" not in said


def test_a_setting_is_kept_as_it_is_shown() -> None:
    """Without the slash at its end, so that names below it have one."""
    assert Settings(store="s3://media/x/").store == "s3://media/x"
