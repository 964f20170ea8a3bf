"""A conversation with a provider that is its two functions alone: step by step, to a picture."""

from __future__ import annotations

import pytest

from stage3_plugin.domain.exchange import Fetch
from stage3_plugin.domain.job import Accepted, Job, Jobs
from stage3_plugin.domain.picture import RemotePicture
from stage3_plugin.domain.verdict import Verdict, VerdictKind

pytestmark = pytest.mark.anyio


class NoBook:
    """No job ever comes of these requests."""

    async def accept(self, attempt_id: str, accepted: Accepted) -> Job | None:
        raise AssertionError(f"{attempt_id} became {accepted.job_id}")


NO_JOBS = Jobs(book=NoBook(), waits_s=0)


def test_there_is_nothing_to_fetch_for_anything_but_pictures() -> None:
    """A failure that came with an address would hide what it is."""
    with pytest.raises(ValueError, match="pictures"):
        Fetch(sources=(RemotePicture("https://a.test/1"),), verdict=Verdict(kind=VerdictKind.BUSY))
