"""The vendor's queue that tests talk to: what it does, what it can be made to do, what it bills."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.talking import Talk
from tests.fakes.plain import Plain, PlainDialect
from tests.stage3.providers.replies import request

TOKEN = "0123456789abcdef" * 2
WISH = request(token=TOKEN, width_px=64, height_px=64)


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with ImageApi(dialect=PlainDialect()) as api:
        yield api


def talking(api: ImageApi, key: str = KEY) -> Talk:
    return Talk(Plain(Endpoint(provider="plain", base_url=api.base_url, model="m")), key)


def test_nothing_leaves_this_machine() -> None:
    """A provider that was given no address would ask the vendor's."""
    with pytest.raises(LookupError, match="base_url"):
        Talk(Plain(Endpoint(provider="plain", model="m")), KEY).submit(WISH)


def test_a_server_without_a_dialect_has_no_queue(image_api: ImageApi) -> None:
    """That is said where a test asks for one."""
    with pytest.raises(LookupError, match="dialect="):
        _ = image_api.queue
