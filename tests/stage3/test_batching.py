"""The steps of a batch, each by itself, from a real server to real files and back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
import pytest
from pydantic import SecretStr

from stage3_plugin.attempt import handing_over
from stage3_plugin.attempt.batched import ReadLine, ReadLines, Results, Written
from stage3_plugin.attempt.batching import Batching
from stage3_plugin.attempt.conversation import Conversation
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchEnded, Uploaded, key_of, line_of
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import Accepted, BeingMade, Job, NewJob
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool.writing import Caps
from stage3_plugin.testing.bill import by_the_table
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.transport.client import Client
from stage3_plugin.transport.job_hosts import JobHosts
from stage3_plugin.transport.picture_hosts import PictureHosts
from tests.stage3.providers.replies import request
from tests.stage3.stored import Stored

pytestmark = pytest.mark.anyio

TOKEN = "0123456789abcdef0123456789abcdef"
OPENED_AT = datetime(2026, 7, 1, tzinfo=UTC)
MODELS = {"openai": "gpt-image-2.5-flare", "gemini": "gemini-3.1-flash-image"}
Result = TypeVar("Result")

BOTH = pytest.mark.parametrize("service", ["openai", "gemini"])


async def in_thread(work: Callable[[], Result]) -> Result:
    return await anyio.to_thread.run_sync(work)


@dataclass
class Desk:
    """One process that takes the steps of batches, and what it has of them."""

    api: ImageApi
    batching: Batching
    pictures: Pictures
    model: str
    names: dict[str, str] = field(default_factory=dict[str, str])
    now: Callable[[], datetime] = lambda: OPENED_AT

    def scenes(self, *prompts: str) -> list[PictureRequest]:
        return [
            request(
                scene_id=f"scene_{number}",
                prompt=prompt,
                model=self.model,
                width_px=64,
                height_px=64,
            )
            for number, prompt in enumerate(prompts)
        ]

    def folder(self, name: str = TOKEN) -> Path:
        return self.pictures.spool.folder_of(name)

    async def uploaded(self, *prompts: str, token: str = TOKEN) -> str:
        written = await self.batching.write(token, self.scenes(*prompts), self.names)
        assert isinstance(written, Written), written
        said = await self.batching.upload(token)
        assert isinstance(said, Uploaded), said
        return said.name

    async def begun(self, *prompts: str) -> BeingMade:
        """Begin a batch, and return it as the ledger would have it."""
        file = await self.uploaded(*prompts)
        kind = self.batching.kind(self.scenes("any")[0])
        assert isinstance(kind, str), kind
        accepted = await self.batching.create(TOKEN, file, kind)
        assert isinstance(accepted, Accepted), accepted
        return BeingMade(job=self.job(accepted, file))

    def job(self, accepted: Accepted, file: str = "") -> Job:
        new = NewJob(
            token=TOKEN,
            account=self.batching.account,
            endpoint="",
            lane="batch",
            input_file=file,
        )
        return Job(
            new=new,
            provider="any",
            opened_at=OPENED_AT,
            accepted=accepted,
            accepted_at=OPENED_AT,
            expires_at=OPENED_AT + timedelta(seconds=accepted.keeps_s),
        )

    async def ended(self, before: BeingMade) -> BatchEnded:
        """Ask until it has ended."""
        for _ in range(20):
            said = await self.batching.poll(TOKEN, before)
            if isinstance(said, BatchEnded):
                return said
            assert isinstance(said, BeingMade), said
            before = said
        raise AssertionError("it never ends")

    async def taken_in(self, before: BeingMade) -> TakenIn:
        """Take in all that has come of a batch that has ended, as purchases ``line-N``."""
        ended = await self.ended(before)
        results = await self.batching.results(TOKEN, ended, before.job)
        return await self.read(ended, results)

    async def read(self, ended: BatchEnded, results: Results) -> TakenIn:
        taken = TakenIn(results=results)

        async def take(line: ReadLine) -> None:
            number = line_of(TOKEN, line.key)
            if number is None:
                taken.foreign.append(line.key)
                return
            await self.batching.claim(line, f"line-{number}")
            taken.lines[number] = await self.batching.resume_line(f"line-{number}")
            taken.never_ran += [number] if line.never_ran else []

        taken.read = await self.batching.read(TOKEN, ended, results, take)
        return taken


@dataclass
class TakenIn:
    """What came of a batch."""

    results: Results
    lines: dict[int, AttemptResult] = field(default_factory=dict[int, AttemptResult])
    foreign: list[str] = field(default_factory=list[str])
    never_ran: list[int] = field(default_factory=list[int])
    read: ReadLines = field(default_factory=ReadLines)

    @property
    def lacking(self) -> str:
        """Return what is true of the lines that are not there."""
        lacking = self.read.lacking
        if lacking is None:
            return "asked again"
        return "in doubt" if lacking.verdict.may_be_billed else "never ran"

    @property
    def pictured(self) -> list[int]:
        return sorted(number for number, line in self.lines.items() if line.picture is not None)


@asynccontextmanager
async def at_desk(
    api: ImageApi,
    state_dir: Path,
    service: str = "openai",
    *,
    masked: Masked | None = None,
    timeout_s: float = 20.0,
    caps: Caps | None = None,
    now: Callable[[], datetime] = lambda: OPENED_AT,
    hosts: Sequence[str] = (),
) -> AsyncGenerator[Desk]:
    base_url = api.root_url if service == "gemini" else api.base_url
    endpoint = Endpoint(provider=service, base_url=base_url, model=MODELS[service])
    provider = provider_at(endpoint)
    profile = provider.profile
    client = Client(
        key_header=profile.key_header,
        key_prefix=profile.key_prefix,
        key=SecretStr(KEY),
        own_urls=[base_url, *hosts],
        timeout_s=timeout_s,
    )
    pictures = Stored(state_dir).pictures(max_pixels=1 << 24, blocking=in_thread)
    conversation = Conversation(
        provider,
        client,
        pictures,
        model=endpoint.model,
        hosts=PictureHosts(base_url),
        job_hosts=JobHosts(base_url, base_url, profile.job_hosts),
        caps=caps or Caps(),
        masked=masked or Masked([KEY]),
        now=now,
    )
    assert conversation.batching is not None
    yield Desk(api, conversation.batching, pictures, endpoint.model, now=now)
    await client.aclose()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand over again without a wait that counts."""
    monkeypatch.setattr(handing_over, "_FIRST_WAIT_S", 0.001)


# The whole way -----------------------------------------------------------------------------------


@BOTH
async def test_a_batch_goes_its_way_to_the_pictures_at_half_the_price(
    tmp_path: Path, service: str
) -> None:
    """Written, handed over, begun, asked for, fetched, read, taken in: each line has its own."""
    with ImageApi() as api:
        api.bill = by_the_table
        async with at_desk(api, tmp_path, service) as desk:
            taken = await desk.taken_in(await desk.begun("s0: a", "s1: b", "s2: c"))

        assert taken.pictured == [0, 1, 2]
        assert taken.lacking == "never ran"
        assert taken.read == ReadLines(lines=3, lacking=taken.read.lacking)
        costs = [taken.lines[number].cost.microusd for number in range(3)]
        billed = [line.usd for line in api.batches.lines]
        assert [cost and cost / 1_000_000 for cost in costs] == [
            usd and pytest.approx(float(usd), abs=1e-6) for usd in billed
        ]
        prompts = [line.prompt for line in api.batches.lines]
        assert prompts == ["s0: a", "s1: b", "s2: c"]
        assert [line.key for line in api.batches.lines] == [key_of(TOKEN, n) for n in range(3)]
        assert api.batches.all[0].label.endswith(TOKEN)
