"""A bucket whose server takes a token no longer, as happens to most tokens within hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.image_api import ImageApi
from tests.hostile.pages import response, serving
from tests.later import not_yet, turned_green_by
from tests.projects import Project

EXPIRED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"""


@turned_green_by(3, "storage", finding="X12")
def test_a_token_that_has_expired_is_told_as_that(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next step is new credentials, and neither the region nor the address."""
    with serving() as server:
        server.otherwise = response(400, EXPIRED, content_type="application/xml")
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
            "AWS_ACCESS_KEY_ID": "ASIAOFTHISTEST",
            "AWS_SECRET_ACCESS_KEY": "a secret of nothing but this test",
            "AWS_SESSION_TOKEN": "a token of nothing but this test",
            "AWS_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        project = Project(tmp_path)
        project.scenes(1)
        project.config(image_api, store="s3://pictures")
        ran = project.run("run", "scenes.json")

    assert ran.returncode == 2, ran.stderr
    assert image_api.received() == 0
    assert "ExpiredToken" in ran.stderr
    with not_yet("see to `store`, to the region"):
        assert "credentials" in ran.stderr, ran.stderr
