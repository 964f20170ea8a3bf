"""The batch lanes of OpenAI and Gemini: what is sent, and what only a whole answer can prove.

What each answer means stands in ``recorded``, and is tried by the laws; here is what those do not
ask.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stage3_plugin.domain.batch import (
    BatchEnded,
    BatchLine,
    BatchMaking,
    Upload,
    key_of,
    line_of,
)
from stage3_plugin.domain.exchange import (
    Found,
    NotListed,
    Reply,
)
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.picture import SpooledPart
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import BatchLane, Provider
from stage3_plugin.testing.recordings import lost
from stage3_plugin.transport.bodies import body_of
from tests.stage3.providers.replies import NOW_S, gemini, openai, page, part, reply, request

TOKEN = "0123456789abcdef" * 2
KEY = key_of(TOKEN, 7)
MIRA, PIER = (
    SentPicture(
        sha256=name * 64,
        media_type="image/png",
        size_bytes=10,
        base64=lambda: memoryview(b"QUJD"),
    )
    for name in "ab"
)
SHOWN = (
    Reference(wish=ReferenceWish(image="a", name="Mira"), sha256="a" * 64, sent=MIRA),
    Reference(wish=ReferenceWish(image="b", role="place"), sha256="c" * 64, sent=PIER),
)
SHOWING = request(shown=SHOWN, references=("a",))
LABELS = "Reference image 1 is Mira. Use reference image 2 for: place."
NAMES = {MIRA.sha256: "file-mira", PIER.sha256: "file-pier"}
OUR_BATCH = {"id": "batch_1", "object": "batch", "metadata": {"stage3": TOKEN}}
LANES = ("openai", "gemini")


def lane(name: str, **settings: Any) -> BatchLane:
    provider: Provider = openai(**settings) if name == "openai" else gemini(**settings)
    found = provider.batch
    assert found is not None
    return found


def job(name: str) -> Accepted:
    job_id = "batch_1" if name == "openai" else "batches/1"
    return Accepted(job_id=job_id, poll_url="https://x.example/1", keeps_s=60.0)


def written(line: BatchLine) -> str:
    """Return a line as it would be in the file."""
    pieces = body_of(line.payload)
    return b"".join(map(bytes, pieces)).decode()


# What is sent ------------------------------------------------------------------------------------


def test_openais_line_names_the_pictures_that_were_uploaded() -> None:
    """No bytes of them are in it, and the names of who is on them are where they always are."""
    line = openai().batch.line(SHOWING, KEY, NAMES)
    body: Any = line.payload["body"]

    assert line.payload["url"] == "/v1/images/edits" == openai().batch.kind(SHOWING)
    assert body["images"] == [{"file_id": "file-mira"}, {"file_id": "file-pier"}]
    assert body["prompt"] == f"{LABELS}\n\na lighthouse at dusk"
    assert "base64" not in written(line)


def test_a_picture_that_was_not_uploaded_is_an_error() -> None:
    """A line without one of its pictures would be another picture, and paid for."""
    with pytest.raises(KeyError):
        openai().batch.line(SHOWING, KEY, {MIRA.sha256: "file-mira"})


def test_geminis_line_is_the_ordinary_body_with_its_pictures_in_it() -> None:
    """An uploaded file could be deleted before the batch comes to it."""
    line = gemini().batch.line(SHOWING, KEY, {})

    assert line.payload == {"key": KEY, "request": gemini().begin(SHOWING).payload}
    assert written(line).count("QUJD") == 2


def test_a_file_is_announced_to_google_and_sent_where_it_says() -> None:
    """The second address is the answer's: who sends has to see that the key may go there."""
    first = gemini().batch.upload(512, "lines", "application/jsonl")
    headers = {"x-goog-upload-url": "https://elsewhere.example/up?id=1"}
    second = gemini().batch.uploaded(Reply(status=200, headers=headers), 512, "lines")
    relative = gemini().batch.uploaded(
        reply({}, headers={"x-goog-upload-url": "/up?id=1"}), 512, "lines"
    )

    assert isinstance(first, Upload)
    assert not first.has_file
    assert first.headers["x-goog-upload-header-content-length"] == "512"
    assert isinstance(second, Upload)
    assert second.has_file
    assert second.url == "https://elsewhere.example/up?id=1"
    assert isinstance(relative, Upload)
    assert relative.url == "https://generativelanguage.googleapis.com/up?id=1"


@pytest.mark.parametrize("name", LANES)
@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_takes_no_files_is_told_from_a_bad_one(name: str, status: int) -> None:
    """A server of one's own may speak of pictures and of nothing else."""
    made = lane(name, base_url="http://localhost:8080/v1")
    for answer in (page(status), reply({"detail": "Not Found"}, status)):
        step = made.uploaded(answer, 512, "lines")

        assert isinstance(step, Verdict)
        assert (step.kind, step.stops_run) == (VerdictKind.REJECTED, True)
        assert "the server http://localhost:8080/v1 takes no files here" in step.message
        assert 'set lane = "ordinary"' in step.message
        assert not step.may_be_billed


STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 408, 409, 429, 500, 503, 529])
WORDS = st.sampled_from(
    [None, "slow_down", "insufficient_quota", "server_error", "moderation_blocked", "overloaded"]
)


@given(st.sampled_from(LANES), STATUSES, WORDS)
def test_an_upload_costs_nothing_and_a_create_is_free_only_by_a_whole_no(
    name: str, status: int, word: str | None
) -> None:
    """Whatever the answer says; a create with a server's error may have begun all of it."""
    error = {"code": word or "x", "message": "It did not work.", "status": word or "x"}
    answer = reply({"error": error}, status)
    upload, create = lane(name).uploaded(answer, 512, "lines"), lane(name).created(answer)

    assert isinstance(upload, Verdict)
    assert not upload.may_be_billed
    assert upload.kind not in {VerdictKind.UNKNOWN, VerdictKind.PICTURES}
    assert isinstance(create, Verdict)
    if status in {200, 201, 204, 302, 408, 409, 500}:
        assert create.is_unknown
        assert "it may have begun the whole batch" in create.message
    if status in {400, 401, 403, 404, 429}:
        assert not create.may_be_billed
    assert not create.lower_capacity


@pytest.mark.parametrize("strange", ["../../models", "a/b?c=d#e", "%2e%2e"])
def test_a_name_leads_nowhere_but_to_its_own_page(strange: str) -> None:
    """It comes from an answer, and the key goes where an address made of it leads."""
    step = lane("openai").created(reply({"id": strange, "object": "batch"}))

    assert isinstance(step, Accepted)
    prefix = "https://api.openai.com/v1/batches/"
    assert step.poll_url.startswith(prefix)
    assert not set(step.poll_url.removeprefix(prefix)) & set("/?#")


# How far it is -----------------------------------------------------------------------------------


def openai_says(status: str, **fields: Any) -> Reply:
    return reply({**OUR_BATCH, "status": status, **fields}, headers=fields.pop("headers", {}))


ENDS = st.sampled_from(["completed", "expired", "cancelled"])
FILES = st.sampled_from([None, "", "file-1"])
COUNTS = st.integers(0, 5)
AGES = st.sampled_from([None, 0, 3000, 4000])


@given(ENDS, st.tuples(COUNTS, COUNTS, COUNTS), st.tuples(FILES, FILES), AGES)
@example("completed", (0, 0, 0), (None, None), None)
@example("completed", (0, 0, 3), (None, None), 0)
@example("completed", (2, 0, 1), ("file-1", None), 0)
@example("completed", (2, 1, 0), ("file-1", "file-1"), 0)
def test_a_line_never_ran_only_where_each_file_that_is_spoken_of_is_named(
    how: str,
    figures: tuple[int, int, int],
    names: tuple[str | None, str | None],
    age: int | None,
) -> None:
    """What was done, and is in no file, was paid for all the same.

    Of a batch that is complete so may be what its counts leave open: they may lag.
    """
    (done, failed, rest), (out, err) = figures, names
    counts = {"total": done + failed + rest, "completed": done, "failed": failed}
    ended = {} if age is None else {f"{how}_at": int(NOW_S) - age}
    answer = openai_says(how, request_counts=counts, output_file_id=out, error_file_id=err, **ended)
    step = lane("openai").polled(answer, job("openai"))
    is_open = how == "completed" and (rest > 0 or not done + failed)
    lacks = (done > 0 and not out) or (failed > 0 and not err) or (is_open and not (out or err))

    if isinstance(step, BatchMaking):
        assert lacks
        assert age is None or age < 3600
    else:
        assert isinstance(step, BatchEnded)
        assert step.lacking == ("unknown" if lacks or is_open else "never_ran")
        assert len(step.files) == bool(out) + bool(err)
        assert step.lines is not None
        expired = rest if how in {"expired", "cancelled"} else 0
        assert step.lines == LineCount(
            total=done + failed + rest, done=done, failed=failed, expired=expired
        )


@pytest.mark.parametrize("name", LANES)
@pytest.mark.parametrize("days, is_late", [(None, False), (0, False), (1, False), (3, True)])
def test_a_result_file_that_is_late_is_waited_for_by_the_batchs_own_clock(
    name: str,
    days: int | None,
    is_late: bool,  # noqa: FBT001 - of a table
) -> None:
    """Of an end that is not dated the latest moment is taken at which it can have been."""
    ago_s = NOW_S - 86_400 * (days or 0)
    if name == "openai":
        created: dict[str, Any] = {} if days is None else {"created_at": int(ago_s) + 60}
        answer = openai_says("completed", request_counts={"total": 1, "completed": 1}, **created)
    else:
        batch: dict[str, Any] = {"state": "BATCH_STATE_SUCCEEDED"}
        if days is not None:
            begun = datetime.fromtimestamp(ago_s, UTC)
            batch["createTime"] = begun.isoformat().replace("+00:00", "Z")
        answer = reply({"name": "batches/1", "metadata": batch})
    step = lane(name).polled(answer, job(name))

    if is_late:
        assert isinstance(step, BatchEnded)
        assert step.lacking == "unknown"
    else:
        assert isinstance(step, BatchMaking)
        assert "not there yet" in step.message


@given(st.integers(0, 20), COUNTS, COUNTS, st.sampled_from([None, "files/out"]))
def test_what_failed_at_google_was_not_begun_only_by_its_own_word(
    code: int, done: int, failed: int, file: str | None
) -> None:
    """An error of the request, and not one line counted; else it may be billed."""
    stats = {"requestCount": "9", "successfulRequestCount": done, "failedRequestCount": failed}
    metadata = {
        "state": "BATCH_STATE_FAILED",
        "batchStats": stats,
        "output": {"responsesFile": file},
    }
    answer = reply(
        {"name": "batches/1", "metadata": metadata, "error": {"code": code, "message": "No."}}
    )
    step = lane("gemini").polled(answer, job("gemini"))

    assert isinstance(step, BatchEnded)
    was_not_begun = code in {3, 5, 7, 9, 16} and not (done or failed or file)
    assert (step.verdict is not None) == was_not_begun
    assert (step.lacking == "never_ran") == was_not_begun
    assert step.verdict is None or not step.verdict.may_be_billed


# A create whose answer was lost ------------------------------------------------------------------


@pytest.mark.parametrize("name", LANES)
def test_a_batch_is_found_by_its_own_label_alone(name: str) -> None:
    """Not by another's, not without one, and not where it is another purchase's already."""

    def listing(label: str, id_: str = "1") -> Reply:
        if name == "openai":
            one = {"id": f"batch_{id_}", "object": "batch", "metadata": {"stage3": label}}
            return reply({"object": "list", "data": [one], "has_more": False})
        one = {"name": f"batches/{id_}", "metadata": {"displayName": f"stage3-{label}"}}
        return reply({"operations": [one]})

    made = lane(name)
    found = made.looked(listing(TOKEN), lost(TOKEN))
    whole = NotListed(next_url=None)

    assert isinstance(found, Found)
    assert found.accepted.job_id == job(name).job_id
    assert made.looked(listing(TOKEN[:-1]), lost(TOKEN)) == whole
    assert made.looked(listing(TOKEN + "0"), lost(TOKEN)) == whole
    assert made.looked(listing(""), lost(None)) == whole
    taken = replace(lost(TOKEN), taken=frozenset({job(name).job_id}))
    assert made.looked(listing(TOKEN), taken) == whole


# What a line says --------------------------------------------------------------------------------


def of_openai(answer: Any = None, status: object = 200, **line: Any) -> Reply:
    response = {"status_code": status, "request_id": "req_1", "body": answer}
    return reply({"custom_id": KEY, "response": response, "error": None} | line)


def test_a_picture_that_was_spooled_is_the_lines() -> None:
    """A result file is gigabytes: its pictures lie on the disk, and never in memory."""
    placeholder = "\0part-0"
    answers = {
        "openai": {
            "custom_id": KEY,
            "response": {"status_code": 200, "body": {"data": [{"b64_json": placeholder}]}},
        },
        "gemini": {
            "key": KEY,
            "response": {
                "candidates": [{"content": {"parts": [{"inlineData": {"data": placeholder}}]}}]
            },
        },
    }
    for name, document in answers.items():
        said = lane(name).said(reply(document, parts={placeholder: part()}))

        assert said.key == KEY
        assert line_of(TOKEN, said.key) == 7
        assert isinstance(said.step, Verdict)
        assert said.step.sources == (SpooledPart(0),)


@pytest.mark.parametrize("code", ["batch_expired", "batch_cancelled"])
def test_a_line_that_was_not_begun_says_so(code: str) -> None:
    """Unless it counts tokens, or has a picture: then it was."""
    error = {"code": code, "message": "The window has ended."}
    said = lane("openai").said(of_openai(response=None, error=error))
    counted = lane("openai").said(
        of_openai(response=None, error=error, usage={"input_tokens": 5, "output_tokens": 1056})
    )
    pictured = lane("openai").said(
        of_openai({"data": [{"b64_json": "iVBORw0KGgo="}]}, 200, error=error)
    )

    assert said.never_ran
    assert isinstance(said.step, Verdict)
    assert (said.step.kind, said.step.may_be_billed) == (VerdictKind.BUSY, False)
    assert not counted.never_ran
    assert isinstance(counted.step, Verdict)
    assert counted.step.may_be_billed
    assert not pictured.never_ran
    assert isinstance(pictured.step, Verdict)
    assert pictured.step.kind is VerdictKind.PICTURES


@pytest.mark.parametrize(
    "spelling", ["07", "+7", " 7", "7 ", "7.0", "٧", "0x7", "", "-7", "7" * 12]
)
def test_a_line_has_one_spelling(spelling: str) -> None:
    """Two keys for one line were two pictures for one purchase, of which one was nobody's."""
    assert line_of(TOKEN, KEY) == 7
    assert line_of(TOKEN, key_of(TOKEN, 123_456_789)) == 123_456_789
    assert line_of(TOKEN, f"{TOKEN}-{spelling}") is None
