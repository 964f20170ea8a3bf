"""Whose word it is that a job is not there: the vendor's own, and no page's in between."""

from __future__ import annotations

from typing import Any

import pytest

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Gone, Poll, Unsaid
from stage3_plugin.domain.job import Accepted
from stage3_plugin.providers.registry import provider_at
from tests.stage3.providers.replies import page, reply

AT = "https://queue.example/jobs/p1"
JOB = Accepted(job_id="p1", poll_url=AT, result_url=AT, keeps_s=3600.0)
MODELS = {
    "bfl": "flux-2-pro",
    "fal": "fal-ai/flux-2/turbo",
    "replicate": "black-forest-labs/flux-2-pro",
    "xai": "grok-imagine-image-2.0",
}
OWN: dict[str, dict[str, Any]] = {
    "bfl": {"detail": "Not Found"},
    "fal": {"detail": "Request not found"},
    "replicate": {"detail": "Not found.", "status": 404},
    "xai": {"code": "x", "error": "File not found."},
}
BETWEEN: tuple[dict[str, Any], ...] = (
    {"message": "no Route matched with those values"},
    {"message": "Not Found", "request_id": "4f2a"},
    {"status": 404, "title": "Not Found"},
    {},
)
"""What a gateway writes of an address that it does not know, or that it has lost."""


@pytest.mark.parametrize("word", MODELS)
@pytest.mark.parametrize("status", [404, 410])
def test_only_the_vendors_own_words_say_that_a_job_is_gone(word: str, status: int) -> None:
    """A job that is given up is a picture that was paid for: any other page is asked past."""
    asked = provider_at(Endpoint(provider=word, model=MODELS[word]))
    own = asked.polled(reply(OWN[word], status), JOB, "status")
    others = [page(status), *(reply(document, status) for document in BETWEEN)]

    assert isinstance(own, Gone | Poll)  # fal's history may still have it
    assert isinstance(own, Poll) is (word == "fal")
    for answer in others:
        assert isinstance(asked.polled(answer, JOB, "status"), Unsaid)
