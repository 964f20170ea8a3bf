"""Google's batches for Gemini, in file mode: half the price, and an answer within two days.

A file of lines is handed over in two steps (Google names the address of the second), a batch of one
model is made of it by one request, and all that came of it stands in one file. Never inline:
results of that kind are in the batch's own page, which cannot be fetched once they are large. The
batch's token is in its ``displayName``, which the listing returns.

A batch that has expired has no results at all, and none of it is charged. One that has ``FAILED``
may have been worked on: only an error of the request itself, before a single line was counted,
shows that it was not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import JsonValue

from stage3_plugin.domain.addressing import address_of
from stage3_plugin.domain.batch import (
    BatchEnded,
    BatchLine,
    BatchMaking,
    BatchPolled,
    BatchTerms,
    How,
    LineSaid,
    Upload,
    UploadedAs,
    UploadStep,
)
from stage3_plugin.domain.exchange import Fetch, Lost, NotListed, Reply, Send
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest, labels_of
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.file_lane import DAY_S, LAG_S, FileLane
from stage3_plugin.providers.models import row_named, table
from stage3_plugin.providers.replies.batches import count_of, line_count, not_taken, of_a_line
from stage3_plugin.providers.replies.polling import is_gone, unsaid
from stage3_plugin.providers.replies.reading import Json, at, cleaned, int_at, name_at, text_at
from stage3_plugin.providers.replies.usage import usage_in
from stage3_plugin.providers.replies.words import error_in

TERMS = BatchTerms(
    most_lines=50_000,  # ours: of a file only its bytes are bounded
    most_bytes=2_000_000_000,
    most_queued_tokens=3_000_000,  # of the lowest paid tier, by a third party; others have more
    within_s=2 * DAY_S,
    listing=Listing(proves_absence=True, settle_s=1800.0, reaches_back_s=14 * DAY_S),
    references="inline",  # an uploaded file is deleted after as long as a batch may take
)
KEEPS_S = 14 * DAY_S
"""A batch is listed for weeks, and its results are kept for about six, by a third party."""
_PREFIXES = ("BATCH_STATE_", "JOB_STATE_")
"""On the wire, and in Google's own client and pages: the words behind them are the same."""

_STATUSES = {
    1: 499,
    2: 500,
    3: 400,
    4: 504,
    5: 404,
    6: 409,
    7: 403,
    8: 429,
    9: 400,
    10: 409,
    11: 400,
    12: 501,
    13: 500,
    14: 503,
    15: 500,
    16: 401,
}
"""Google's own table from the codes of its calls to those of HTTP (google.rpc.Code)."""
_OF_THE_REQUEST = frozenset({3, 5, 7, 9, 16})
"""Codes for a request that is bad, names what is not there, or may not: said before any work."""
_LABEL = "stage3-"
_STEP = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,500}", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_MOST_TOKEN = 4000
"""Characters of the name of a page."""
_MOST_SHOWN_TOKENS = 3000
"""Of a picture that is shown to a model of which that is not known."""


class GeminiBatch(FileLane):
    """The batch lane of the provider ``gemini``."""

    _pending = frozenset({"PENDING", "QUEUED", "RUNNING", "UPDATING", "CANCELLING", "PAUSED"})
    _ends: ClassVar[Mapping[str, How]] = {
        "SUCCEEDED": "completed",
        "PARTIALLY_SUCCEEDED": "completed",
        "EXPIRED": "expired",
        "CANCELLED": "cancelled",
        "FAILED": "failed",
    }

    @property
    def terms(self) -> BatchTerms:
        """Return what it takes and promises."""
        return TERMS

    def kind(self, request: PictureRequest) -> str:
        """Return the model: it is in the address of the create."""
        return self._of.model_of(request).removeprefix("models/")

    def line(self, request: PictureRequest, key: str, files: Mapping[str, str]) -> BatchLine:  # noqa: ARG002 - its pictures are in the line
        """Return a request as a line; its pictures are in it."""
        send = self._of.begin(request)
        return BatchLine(
            payload={"key": key, "request": send.payload},
            dropped=send.dropped,
            tokens=_most_tokens(request, self.kind(request)),
        )

    def upload(self, size_bytes: int, of: UploadedAs, media_type: str) -> UploadStep:
        """Return the first of two steps: that a file comes, and how large it is."""
        of_it = "application/jsonl" if of == "lines" else media_type
        return Upload(
            url=f"{self._of.base_url}/upload/v1beta/files",
            headers={
                "x-goog-upload-protocol": "resumable",
                "x-goog-upload-command": "start",
                "x-goog-upload-header-content-length": str(size_bytes),
                "x-goog-upload-header-content-type": of_it,
            },
            has_file=False,
            payload={"file": {"displayName": "stage3"}},
            media_type=of_it,
        )

    def uploaded(self, reply: Reply, size_bytes: int, of: UploadedAs) -> UploadStep:
        """Return what follows: the file itself, to where the answer says; then its name there."""
        file = at(reply.document, "file")
        name = name_at(file, "name")
        is_good = 200 <= reply.status < 300 and error_in(reply.document) is None
        place = reply.headers.get("x-goog-upload-url", "").strip()
        if is_good and not name and place:
            return self._second_step(place, of, reply)
        has_failed = text_at(file, "state") == "FAILED"
        return self._handed_over(
            reply,
            name if is_good and _is_path_of("files", name) else "",
            (count_of(at(file, "sizeBytes"), most=10**13), size_bytes),
            text_at(file, "error", "message") if has_failed else None,
        )

    def _second_step(self, place: str, of: UploadedAs, reply: Reply) -> UploadStep:
        url = address_of(place, base_url=self._of.base_url)
        if url is None:
            return not_taken("the address for its bytes is none", reply)
        return Upload(
            url=url,
            headers={"x-goog-upload-offset": "0", "x-goog-upload-command": "upload, finalize"},
            media_type="application/jsonl" if of == "lines" else "application/octet-stream",
        )

    def create(self, input_file: str, label: str, kind: str) -> Send:
        """Return the request that begins a batch: the one that is paid for."""
        return Send(
            url=f"{self._of.base_url}/v1beta/models/{quote(kind, safe='')}:batchGenerateContent",
            payload={
                "batch": {
                    "displayName": f"{_LABEL}{label}",
                    "inputConfig": {"fileName": input_file},
                }
            },
        )

    def polled(self, reply: Reply, job: Accepted) -> BatchPolled:
        """Return what follows from a complete answer to a poll; a batch has an error of its own."""
        if is_gone(reply) and self._name(reply.document) == job.job_id:
            return unsaid(reply, now_s=self._of.clock())
        return super().polled(reply, job)

    def _name(self, batch: Json) -> str:
        name = name_at(batch, "name")
        return name if _is_path_of("batches", name) else ""

    def _word(self, batch: Json) -> str:
        word = text_at(_batch_of(batch), "state")
        for prefix in _PREFIXES:
            word = word.removeprefix(prefix)
        return word

    def _has_label(self, batch: Json, label: str) -> bool:
        return text_at(_batch_of(batch), "displayName") == f"{_LABEL}{label}"

    def _lines(self, batch: Json) -> LineCount | None:
        """Return how far a batch is; its figures are texts, and those of nothing are left out."""
        stats = at(_batch_of(batch), "batchStats")
        lines = line_count(
            total=at(stats, "requestCount"),
            done=at(stats, "successfulRequestCount"),
            failed=at(stats, "failedRequestCount"),
        )
        if lines is None or self._word(batch) != "EXPIRED":
            return lines
        return LineCount(total=lines.total, expired=lines.total)

    def look_for(self, lost: Lost) -> str:  # noqa: ARG002 - its listing has no filter
        """Return where the listing of batches begins."""
        return f"{self._of.base_url}/v1beta/batches?pageSize=100"

    def _page(self, reply: Reply) -> list[JsonValue] | None:
        """Return the batches of a page.

        Google writes an empty list as an empty object, which counts as one only if it is called
        JSON: it is not what a proxy would say.
        """
        document = reply.document
        items, token = at(document, "operations"), at(document, "nextPageToken")
        is_json = reply.headers.get("content-type", "").startswith("application/json")
        if items is None and is_json and document in ({}, {"nextPageToken": ""}):
            items = []
        is_page = token is None or _is_token(token)
        return items if isinstance(items, list) and is_page else None

    def _following(self, reply: Reply, items: list[JsonValue]) -> NotListed:  # noqa: ARG002 - the page names the next one
        token = text_at(reply.document, "nextPageToken")
        page = f"{self._of.base_url}/v1beta/batches?pageSize=100&pageToken={quote(token, safe='')}"
        return NotListed(next_url=page if token else None)

    def said(self, reply: Reply) -> LineSaid:
        """Return what one line of a result file says.

        Its response is judged as if it had come by itself. One with an error instead was not
        charged, whatever the error, unless it counts tokens.
        """
        document = reply.document
        key = name_at(document, "key") or None
        response = at(document, "response")
        if isinstance(response, dict):
            answer = Reply(status=200, headers={}, document=response, parts=reply.parts)
            return LineSaid(key=key, step=of_a_line(self._of.judged(answer)))
        error = at(document, "error") or at(document, "status")
        code = int_at(error, "code")
        if not isinstance(error, dict) or code is None:
            step = self._of.judged(
                Reply(status=0, headers={}, document=document, parts=reply.parts)
            )
            return LineSaid(key=key, step=of_a_line(_in_words(step, "a line without an answer")))
        return LineSaid(key=key, step=of_a_line(self._of_error(reply, error, code)))

    def _of_error(self, reply: Reply, error: dict[str, JsonValue], code: int) -> Verdict | Fetch:
        """Judge an error that stands in the place of an answer."""
        status = _STATUSES.get(code, code if 400 <= code < 600 else 500)
        step = self._of.judged(replace(reply, status=status, headers={}, document={"error": error}))
        if isinstance(step, Fetch) or step.kind is VerdictKind.PICTURES:
            return step
        if usage_in(reply.document) is not None or not step.is_unknown:
            return step
        told = cleaned(text_at(error, "message")) or f"an error of the code {code}"
        return replace(step, kind=VerdictKind.BUSY, message=told, may_be_billed=False)

    def _accepted(self, document: Json) -> Accepted | None:
        """Return a batch as a job; its name is the path of its page."""
        name = self._name(document)
        if not name:
            return None
        url = f"{self._of.base_url}/v1beta/{name}"
        return Accepted(job_id=name, poll_url=url, cancel_url=f"{url}:cancel", keeps_s=KEEPS_S)

    def _ended(self, reply: Reply, how: How, lines: LineCount | None) -> BatchEnded | BatchMaking:
        batch = _batch_of(reply.document)
        files = tuple(
            f"{self._of.base_url}/download/v1beta/{name}:download?alt=media"
            for name in dict.fromkeys(_result_files(reply.document, batch))
        )
        error = at(reply.document, "error")
        message = cleaned(text_at(error, "message"))
        done = 0 if lines is None else lines.done + lines.failed
        if files or how == "expired":
            lacking: Literal["never_ran", "unknown"] = "unknown" if how == "failed" else "never_ran"
            return BatchEnded(how=how, files=files, lacking=lacking, lines=lines, message=message)
        if how == "failed":
            was_not_begun = int_at(error, "code") in _OF_THE_REQUEST and not done
            return BatchEnded(
                how=how,
                lacking="never_ran" if was_not_begun else "unknown",
                lines=lines,
                message=message,
                verdict=self._not_made(error) if was_not_begun else None,
            )
        if how == "cancelled" and not done and lines is not None:
            return BatchEnded(how=how, lines=lines, message=message)
        moments = _moment_at(batch, "endTime"), _moment_at(batch, "createTime")
        if self._since_its_end_s(reply, *moments) < LAG_S:
            return BatchMaking(lines=lines, message=f"{how}; its result file is not there yet")
        return BatchEnded(how=how, lacking="unknown", lines=lines, message=message)

    def _not_made(self, error: Json) -> Verdict:
        status = _STATUSES.get(int_at(error, "code") or 0, 400)
        return self._not_begun(status, {"code": status, "message": text_at(error, "message")})


def _batch_of(operation: Json) -> Json:
    """Return what an operation says of its batch; Google's pages also show it without one."""
    metadata = at(operation, "metadata")
    return metadata if isinstance(metadata, dict) else operation


def _result_files(operation: Json, batch: Json) -> list[str]:
    """Return the names of the result files, wherever they stand; there is one."""
    places = (
        (operation, ("response", "responsesFile")),
        (operation, ("response", "output", "responsesFile")),
        (batch, ("output", "responsesFile")),
        (batch, ("dest", "fileName")),
    )
    names = [name_at(where, *path) for where, path in places]
    return [name for name in names if _is_path_of("files", name)]


def _is_path_of(kind: Literal["files", "batches"], name: str) -> bool:
    """Return whether a name is one step below its kind, so that an address can be made of it."""
    begins, slash, rest = name.partition("/")
    return begins == kind and slash == "/" and _STEP.fullmatch(rest) is not None


def _is_token(found: Json) -> bool:
    return isinstance(found, str) and len(found) <= _MOST_TOKEN and found.isascii()


def _moment_at(value: Json, name: str) -> float | None:
    """Read a moment as Google writes it, in seconds since 1970."""
    text = text_at(value, name)
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(f"{found[1]}{found[2].replace('Z', '+00:00')}").timestamp()
    except (ValueError, OverflowError):  # the 31st of February
        return None


def _most_tokens(request: PictureRequest, model: str) -> int:
    """Return the most tokens that a request can be: a byte of a text is one at most."""
    texts = (request.whole_prompt, labels_of(request))
    row = row_named(table("gemini").tokens, "gemini", model)
    known = None if row is None else row.reference
    each = _MOST_SHOWN_TOKENS if known is None else known.most
    return sum(len((text or "").encode("utf-8", "surrogatepass")) for text in texts) + each * len(
        request.shown
    )


def _in_words(step: Verdict | Fetch, words: str) -> Verdict | Fetch:
    """Say what is wrong with a line that has no status of its own."""
    if isinstance(step, Fetch) or step.kind is VerdictKind.PICTURES:
        return step
    return replace(
        step,
        kind=VerdictKind.UNKNOWN,
        may_be_billed=True,
        message=f"{words}; it may have been billed",
        provider_status=None,
    )
