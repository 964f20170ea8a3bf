"""The steps of a batch, each by itself, from a real server to real files and back."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import anyio
import anyio.to_thread
import pytest
from pydantic import SecretStr

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.batch import BatchEnded, Uploaded, key_of, line_of
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import TOKEN_DIGITS, Accepted, BeingMade, Job, LineCount, NewJob
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.purchase import conversation, result_files
from stage3_plugin.purchase.asking import Asking
from stage3_plugin.purchase.conversation import Batching, Conversation, Written
from stage3_plugin.purchase.maker import Jobs
from stage3_plugin.purchase.result_files import (
    MOST_ANEW,
    Reading,
    ReadLine,
    ResultFile,
    Results,
)
from stage3_plugin.purchase.run_ledger import RunLedger
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool.receipt import MOST_BODY_BYTES
from stage3_plugin.storage.spool.result_file import PassedBy
from stage3_plugin.testing.batch_plans import Batched, CutFile, Line
from stage3_plugin.testing.behaviours import Json, Page, ResetAfterRead
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.wire import Exchange
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
        said = await self.batching.upload(token, written)
        assert isinstance(said, Uploaded), said
        return said.name

    async def begun(self, *prompts: str) -> BeingMade:
        """Begin a batch, and return it as the ledger would have it."""
        file = await self.uploaded(*prompts)
        kind = self.batching.kind(self.scenes("any")[0])
        assert isinstance(kind, str), kind
        begun = await self.create(file, kind)
        assert begun.making is not None, begun
        return begun.making

    async def create(
        self, file: str, kind: str, *, is_late: Callable[[], bool] = lambda: False
    ) -> AttemptResult:
        async def accept(_token: str, accepted: Accepted) -> Job:
            return self.job(accepted, file)

        def note_sent(_token: str) -> None: ...

        ledger = cast("RunLedger", SimpleNamespace(accept=accept, note_sent=note_sent))
        jobs = Jobs(ledger=ledger, waits_s=0.0, is_late=is_late)
        return await self.batching.create(TOKEN, file, kind, jobs)

    async def claim(self, line: ReadLine, name: str) -> None:
        await self.batching.files.claim(line, self.folder(name))

    def job(self, accepted: Accepted, file: str = "") -> Job:
        new = NewJob(
            token=TOKEN,
            account=self.batching.asking.client.account,
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
            said = await self.batching.ask(TOKEN, before)
            if isinstance(said, BatchEnded):
                return said
            assert isinstance(said, BeingMade), said
            before = said
        raise AssertionError("it never ends")

    async def taken_in(self, before: BeingMade) -> TakenIn:
        """Take in all that has come of a batch that has ended, as purchases ``line-N``."""
        ended = await self.ended(before)
        results = await self.batching.files.here(self.folder(), ended, before.job)
        return await self.read(ended, results)

    async def read(self, ended: BatchEnded, results: Results) -> TakenIn:
        taken = TakenIn(self.batching.files.reading(self.folder(), ended, results), results)

        async def take(line: ReadLine) -> None:
            number = line_of(TOKEN, line.key)
            if number is None:
                taken.foreign.append(line.key)
                return
            await self.claim(line, f"line-{number}")
            taken.lines[number] = await self.batching.resume_line(f"line-{number}")

        await handed_on(taken.reading, take)
        return taken


async def handed_on(reading: Reading, take: Callable[[ReadLine], Awaitable[None]]) -> Reading:
    """Take what results have, line by line."""
    async with aclosing(reading.lines()) as lines:
        async for line in lines:
            await take(line)
    return reading


@dataclass
class TakenIn:
    """What came of a batch."""

    reading: Reading
    results: Results
    lines: dict[int, AttemptResult] = field(default_factory=dict[int, AttemptResult])
    foreign: list[str] = field(default_factory=list[str])

    @property
    def lacking(self) -> str:
        """Return what is true of the lines that are not there."""
        lacking = self.reading.lacking
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
    most_bytes: int = MOST_BODY_BYTES,
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
    asking = Asking(
        client=client,
        pictures=pictures,
        hosts=JobHosts(base_url, base_url, profile.job_hosts),
        most_bytes=most_bytes,
        masked=masked or Masked([KEY]),
        now=now,
    )
    at = Conversation(provider, asking, PictureHosts(base_url), model=endpoint.model)
    assert at.batching is not None
    yield Desk(api, at.batching, pictures, endpoint.model, now=now)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand over again without a wait that counts."""
    monkeypatch.setattr(conversation, "_FIRST_WAIT_S", 0.001)


# Handing over ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
async def test_an_upload_is_not_tried_for_ever(tmp_path: Path) -> None:
    """After three times it is left to who asked, with the provider's own word."""
    with ImageApi() as api:
        api.batches.meet(ResetAfterRead(billed=False), at="upload", times=3)
        async with at_desk(api, tmp_path) as desk:
            written = await desk.batching.write(TOKEN, desk.scenes("a"), {})
            assert isinstance(written, Written)
            said = await desk.batching.upload(TOKEN, written)

        assert isinstance(said, AttemptResult)
        assert said.verdict.kind is VerdictKind.NOT_SENT
        assert "could not be handed over" in said.verdict.message
        assert said.cost.microusd == 0
        assert api.batches.files == {}


async def test_a_file_that_was_handed_over_is_not_kept_here(tmp_path: Path) -> None:
    """It may have gigabytes, for as long as a batch takes; one that was not is handed over anew."""
    with ImageApi() as api:
        async with at_desk(api, tmp_path) as desk:
            lines = desk.folder() / "lines.jsonl"
            written = await desk.batching.write(TOKEN, desk.scenes("a"), {})
            assert isinstance(written, Written)
            api.key = "another"
            await desk.batching.upload(TOKEN, written)
            was_kept = lines.exists()
            api.key = KEY
            said = await desk.batching.upload(TOKEN, written)

        assert was_kept
        assert isinstance(said, Uploaded)
        assert not lines.exists()


@BOTH
async def test_a_prompt_with_ends_of_lines_in_it_is_one_line(tmp_path: Path, service: str) -> None:
    """Also for readers that take more for an end of a line than JSON does."""
    prompt = "s0: a\n\r\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
    with ImageApi() as api:
        async with at_desk(api, tmp_path, service) as desk:
            taken = await desk.taken_in(await desk.begun(prompt, "s1: after it"))
            beside = "f" * TOKEN_DIGITS  # the batch's own is not kept
            await desk.batching.write(beside, desk.scenes(prompt, "s1: after it"), desk.names)
            lines = (desk.folder(beside) / "lines.jsonl").read_text("utf-8").splitlines()

        assert len(lines) == 2
        assert [line.prompt for line in api.batches.lines] == [prompt, "s1: after it"]
        assert taken.pictured == [0, 1]


# What came of it ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overlong:
    """Send a result file, and then lines of others that would be a megabyte."""

    billed: bool = False

    async def answer(self, exchange: Exchange) -> None:
        assert exchange.content is not None
        pieces = [*exchange.content.pieces(), b'{"custom_id": "nobody"}\n' * 43_691]
        headers = {"Content-Type": "application/octet-stream"}
        await exchange.reply(200, b"".join(pieces), headers, framing="chunked")


async def test_a_file_without_end_is_not_taken_until_the_disk_is_full(tmp_path: Path) -> None:
    """What it has of the batch counts; what is far more than the batch can have does not come."""
    with ImageApi() as api:
        api.batches.plan = Batched(order="asked", polls=0)
        api.batches.meet(Overlong(), at="results")
        async with at_desk(api, tmp_path, most_bytes=16384) as desk:
            before = await desk.begun("s0: a", "s1: b")
            ended = await desk.ended(before)
            results = await desk.batching.files.here(desk.folder(), ended, before.job, lines=2)
            first = await desk.read(ended, results)
            second = await desk.taken_in(before)

        assert results.problem == "its results came in part: the answer is longer than 196608 bytes"
        assert (first.pictured, first.lacking) == ([0, 1], "asked again")
        assert first.reading.passed > 0
        assert (second.pictured, second.lacking) == ([0, 1], "never ran")


async def test_whole_files_that_always_lack_what_was_made_leave_it_in_doubt(tmp_path: Path) -> None:
    """It is not asked for without end, and never taken for what never ran."""
    with ImageApi() as api:
        api.batches.script(Batched(order="asked", polls=0))
        api.batches.meet(CutFile(at=-40, by="end"), at="results", times=9)
        async with at_desk(api, tmp_path) as desk:
            before = await desk.begun("s0: a", "s1: b")
            said = [(await desk.taken_in(before)).lacking for _ in range(MOST_ANEW + 1)]

        assert said == ["asked again"] * MOST_ANEW + ["in doubt"]


async def test_a_page_that_is_no_file_of_results_is_not_taken_for_one(tmp_path: Path) -> None:
    """A proxy's page with 200, one with 502, and one that says that there is no such file."""
    with ImageApi() as api:
        api.batches.meet(
            Page(200, billed=False), Page(502, billed=False), Json({}, status=404), at="results"
        )
        async with at_desk(api, tmp_path) as desk:
            before = await desk.begun("a")
            taken = [await desk.taken_in(before) for _ in range(4)]

        assert [one.lacking for one in taken] == ["asked again"] * 3 + ["never ran"]
        assert "status 502" in taken[1].results.problem
        assert [one.pictured for one in taken] == [[], [], [], [0]]


async def test_files_that_cannot_be_had_before_their_time_is_over_leave_lines_in_doubt(
    tmp_path: Path,
) -> None:
    """A batch has its end all the same."""
    with ImageApi() as api:
        api.batches.meet(Json({}, status=404), at="results", times=2)
        async with at_desk(api, tmp_path) as desk:
            before = await desk.begun("a")
            early = await desk.taken_in(before)
        later = OPENED_AT + timedelta(days=31)
        async with at_desk(api, tmp_path, now=lambda: later) as desk:
            late = await desk.taken_in(before)

        assert early.lacking == "asked again"
        assert late.lacking == "in doubt"


def _of_a_line(status: int, body: object) -> dict[str, object]:
    response = {"status_code": status, "request_id": "req_1", "body": body}
    return {"custom_id": key_of(TOKEN, 0), "response": response, "error": None}


async def test_an_error_in_a_file_that_lacks_lines_is_not_believed_before_the_rest_has_come(
    tmp_path: Path,
) -> None:
    """It is called whole by who cut it; the line's picture may stand behind the cut."""
    with ImageApi() as api:
        api.batches.script(Batched())
        async with at_desk(api, tmp_path) as desk:
            before = await desk.begun("a", "b")
            ended = await desk.ended(before)
            error = {"error": {"code": "moderation_blocked", "message": "It was rejected."}}
            file = desk.folder() / "results-by-hand"
            file.write_text(f"{json.dumps(_of_a_line(400, error))}\n", encoding="utf-8")
            heard: list[str] = []

            async def take(line: ReadLine) -> None:
                heard.append(line.key)

            results = Results(files=(ResultFile(path=file, is_whole=True),))
            read = await handed_on(desk.batching.files.reading(desk.folder(), ended, results), take)
            over = replace(results, is_over=True)
            file.write_text(f"{json.dumps(_of_a_line(400, error))}\n", encoding="utf-8")
            last = await handed_on(desk.batching.files.reading(desk.folder(), ended, over), take)

    assert read.lacking is None
    assert last.lacking is not None
    assert heard == [key_of(TOKEN, 0)]


async def test_a_whole_answer_of_a_purchase_stays_unless_only_another_has_a_picture(
    tmp_path: Path,
) -> None:
    """Whichever of two lines was claimed first, and by whatever process."""
    with ImageApi() as api:
        api.batches.script_line(Line(ends="refused"), scene="s0")
        api.batches.script(Batched(order="asked"))
        async with at_desk(api, tmp_path) as desk:
            before = await desk.begun("s0: a", "s1: b")
            ended = await desk.ended(before)
            results = await desk.batching.files.here(desk.folder(), ended, before.job)

            lines: list[ReadLine] = []

            async def take(line: ReadLine) -> None:
                lines.append(line)
                await desk.claim(line, line.key)

            await handed_on(desk.batching.files.reading(desk.folder(), ended, results), take)
            pictured, refused = lines
            await desk.claim(replace(pictured, folder=desk.folder(pictured.key)), refused.key)
            first = await desk.batching.resume_line(refused.key)
            await handed_on(desk.batching.files.reading(desk.folder(), ended, results), take)
            second = await desk.batching.resume_line(refused.key)

        assert (pictured.has_picture, refused.has_picture) == (True, False)
        assert first.picture is not None
        assert second.picture is not None
        assert len(list(desk.folder(refused.key).glob("older-*"))) == 1


async def test_a_key_that_results_repeat_is_on_no_disk(tmp_path: Path) -> None:
    """Neither in the file as it came, nor in what a line becomes."""
    with ImageApi() as api:
        error = {"error": {"code": "x", "message": f"the key {KEY} may not do this"}}
        api.batches.script_line(Line(ends="said", document=error, status=400), scene="s0")
        async with at_desk(api, tmp_path) as desk:
            taken = await desk.taken_in(await desk.begun("s0: a", "s1: b"))

        assert taken.pictured == [1]
        assert KEY not in taken.lines[0].verdict.message
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert [path for path in files if KEY.encode() in path.read_bytes()] == []


DONE = {"response": {"status_code": 400, "body": {"error": {"code": "moderation_blocked"}}}}
EXPIRED = {"response": None, "error": {"code": "batch_expired", "message": "too late"}}


@pytest.mark.parametrize(
    "lines, counted, is_whole, lacking",
    [
        ({f"{TOKEN}-0": DONE}, LineCount(total=3, done=1), True, "never ran"),
        ({f"{TOKEN}-0": DONE}, None, True, "never ran"),
        ({f"{TOKEN}-0": DONE}, None, False, "asked again"),
        ({f"{TOKEN}-0": DONE}, LineCount(total=3, done=1), False, "asked again"),
        ({f"{TOKEN}-0": DONE}, LineCount(total=3, done=1, failed=1), True, "asked again"),
        (
            {f"{TOKEN}-0": DONE, f"{TOKEN}-1": EXPIRED},
            LineCount(total=3, done=2, expired=1),
            True,
            "asked again",
        ),
        (
            {f"{TOKEN}-0": DONE, "another-1": DONE},
            LineCount(total=3, done=2),
            True,
            "asked again",
        ),
        ({f"{TOKEN}-0": DONE, "": DONE}, None, True, "in doubt"),
        ({f"{TOKEN}-0": DONE, "": DONE}, LineCount(total=3, done=1), True, "never ran"),
        ({}, None, True, "never ran"),
    ],
)
async def test_what_lacks_has_never_run_only_where_all_that_ran_is_there(
    tmp_path: Path,
    lines: dict[str, object],
    counted: LineCount | None,
    is_whole: Any,
    lacking: str,
) -> None:
    """Lines of others, and those that say that they never ran, stand for none that ran."""
    with ImageApi() as api:
        async with at_desk(api, tmp_path) as desk:
            folder = desk.pictures.new_folder(TOKEN)
            path = folder / "results-x"
            with path.open("w", encoding="ascii") as file:
                for key, line in lines.items():
                    print(json.dumps({"custom_id": key, **cast("Any", line)}), file=file)
            ended = BatchEnded(how="expired", files=("u",), lines=counted)
            problem = "" if is_whole else "it was cut off"
            results = Results(files=(ResultFile(path=path, is_whole=is_whole),), problem=problem)
            taken = await desk.read(ended, results)

        assert taken.lacking == lacking
        assert path.exists() is (lacking != "asked again")


def test_ctrl_c_is_not_swallowed_while_a_thread_reads_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its main task is cancelled by asyncio itself then, and no scope shields from that."""
    reads, goes_on = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> Generator[PassedBy]:
        reads.set()
        goes_on.wait(20)
        yield PassedBy(1)

    async def main() -> None:
        with ImageApi() as api:
            async with at_desk(api, tmp_path) as desk:
                before = await desk.begun("a")
                monkeypatch.setattr(result_files, "lines_in", slow)
                reading = asyncio.create_task(desk.taken_in(before))
                await anyio.to_thread.run_sync(reads.wait)
                reading.cancel()
                try:
                    with pytest.raises(asyncio.CancelledError):
                        await reading
                finally:
                    goes_on.set()

    asyncio.run(main())
