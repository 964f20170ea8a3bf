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

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote

from pydantic import JsonValue

from stage3_plugin.domain.addressing import address_of
from stage3_plugin.domain.batch import (
    BatchLine,
    BatchPolled,
    BatchTerms,
    How,
    LineSaid,
    Upload,
    UploadedAs,
    UploadStep,
)
from stage3_plugin.domain.exchange import Reply, Send
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.file_lane import DAY_S, FileLane, Lacks, is_good
from stage3_plugin.providers.prices import most_tokens_in
from stage3_plugin.providers.replies.batches import not_taken
from stage3_plugin.providers.replies.figures import count_of
from stage3_plugin.providers.replies.polling import is_gone, unsaid
from stage3_plugin.providers.replies.reading import Json, at, int_at, name_at, path_at, text_at
from stage3_plugin.providers.replies.taxonomy import meanings
from stage3_plugin.providers.replies.usage import usage_in

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
_OF_THE_REQUEST = frozenset({3, 5, 7, 9, 16})
"""Codes for a request that is bad, names what is not there, or may not: said before any work."""
_MOST_TOKEN = 4000
"""Characters of the name of a page."""


class GeminiBatch(FileLane):
    """The batch lane of the provider ``gemini``."""

    terms = TERMS
    _keeps_s = KEEPS_S
    _batches, _first_page, _cursor = "/v1beta/batches", "pageSize=100", "pageToken"
    _state = ("state",)
    _pending = frozenset({"PENDING", "QUEUED", "RUNNING", "UPDATING", "CANCELLING", "PAUSED"})
    _ends: ClassVar[Mapping[str, How]] = {
        "SUCCEEDED": "completed",
        "PARTIALLY_SUCCEEDED": "completed",
        "EXPIRED": "expired",
        "CANCELLED": "cancelled",
        "FAILED": "failed",
    }
    _label, _label_begins = ("displayName",), "stage3-"
    _counts = ("batchStats", "requestCount", "successfulRequestCount", "failedRequestCount")
    _begun_at, _ended_at = "createTime", ("endTime",)
    _cancelled_at = ":cancel"
    _awaited = "its result file"
    _key = "key"

    def kind(self, request: PictureRequest) -> str:
        """Return the model: it is in the address of the create."""
        return self._of.model_of(request).removeprefix("models/")

    def line(self, request: PictureRequest, key: str, files: Mapping[str, str]) -> BatchLine:  # noqa: ARG002 - its pictures are in the line
        """Return a request as a line; its pictures are in it."""
        send = self._of.begin(request)
        return BatchLine(
            payload={"key": key, "request": send.payload},
            dropped=send.dropped,
            tokens=most_tokens_in(request, "gemini", self.kind(request)),
        )

    def upload(self, size_bytes: int, of: UploadedAs, media_type: str) -> UploadStep:  # noqa: ARG002 - named in the protocol
        """Return the first of two steps: that a file comes, and how large it is."""
        return Upload(
            url=f"{self._of.base_url}/upload/v1beta/files",
            headers={
                "x-goog-upload-protocol": "resumable",
                "x-goog-upload-command": "start",
                "x-goog-upload-header-content-length": str(size_bytes),
                "x-goog-upload-header-content-type": media_type,
            },
            has_file=False,
            payload={"file": {"displayName": "stage3"}},
            media_type=media_type,
        )

    def uploaded(self, reply: Reply, size_bytes: int, of: UploadedAs) -> UploadStep:
        """Return what follows: the file itself, to where the answer says; then its name there."""
        place = reply.headers.get("x-goog-upload-url", "").strip()
        if not place or name_at(reply.document, "file", "name") or not is_good(reply):
            return super().uploaded(reply, size_bytes, of)
        url = address_of(place, base_url=self._of.base_url)
        if url is None:
            return not_taken("the address for its bytes is none", reply)
        return Upload(
            url=url,
            headers={"x-goog-upload-offset": "0", "x-goog-upload-command": "upload, finalize"},
            media_type="application/jsonl" if of == "lines" else "application/octet-stream",
        )

    def _file(self, document: Json) -> tuple[str, int | None, str | None]:
        file = at(document, "file")
        failure = text_at(file, "error", "message") if text_at(file, "state") == "FAILED" else None
        arrived = count_of(at(file, "sizeBytes"), most=10**13)
        return path_at(file, "files", "name"), arrived, failure

    def create(self, input_file: str, label: str, kind: str) -> Send:
        """Return the request that begins a batch: the one that is paid for."""
        name = f"{self._label_begins}{label}"
        return Send(
            url=f"{self._of.base_url}/v1beta/models/{quote(kind, safe='')}:batchGenerateContent",
            payload={"batch": {"displayName": name, "inputConfig": {"fileName": input_file}}},
        )

    def polled(self, reply: Reply, job: Accepted) -> BatchPolled:
        """Return what follows from a complete answer to a poll; a batch has an error of its own."""
        if is_gone(reply) and self._name(reply.document) == job.job_id:
            return unsaid(reply, now_s=self._of.clock())
        return super().polled(reply, job)

    def _name(self, batch: Json) -> str:
        return path_at(batch, "batches", "name")

    def _page_of(self, name: str) -> str:
        return f"/v1beta/{name}"

    def _of_batch(self, document: Json) -> Json:
        """Return what an operation says of its batch; Google's pages also show it without one."""
        metadata = at(document, "metadata")
        return metadata if isinstance(metadata, dict) else document

    def _word(self, batch: Json) -> str:
        word = super()._word(batch)
        return word.removeprefix("BATCH_STATE_").removeprefix("JOB_STATE_")

    def _lines(self, batch: Json) -> LineCount | None:
        """Return how far it is: one that has expired has no results at all."""
        lines = super()._lines(batch)
        is_lost = lines is not None and self._word(batch) == "EXPIRED"
        return LineCount(total=lines.total, expired=lines.total) if lines and is_lost else lines

    def _items(self, reply: Reply) -> list[JsonValue] | None:
        """Return the batches of a page.

        Google writes an empty list as an empty object, which counts as one only if it is called
        JSON: it is not what a proxy would say.
        """
        document = reply.document
        items, token = at(document, "operations"), at(document, "nextPageToken")
        is_json = reply.headers.get("content-type", "").startswith("application/json")
        if items is None and is_json and document in ({}, {"nextPageToken": ""}):
            items = []
        is_token = isinstance(token, str) and len(token) <= _MOST_TOKEN and token.isascii()
        return items if isinstance(items, list) and (token is None or is_token) else None

    def _following(self, reply: Reply, items: list[JsonValue]) -> str:  # noqa: ARG002 - the page names the next one
        return text_at(reply.document, "nextPageToken")

    def _answer(self, reply: Reply) -> Reply:
        document, response = reply.document, at(reply.document, "response")
        if isinstance(response, dict):
            return Reply(status=200, headers={}, document=response, parts=reply.parts)
        error = at(document, "error") or at(document, "status")
        code = int_at(error, "code")
        if not isinstance(error, dict) or code is None:
            return Reply(status=0, headers={}, document=document, parts=reply.parts)
        status = meanings().rpc.get(code, code if 400 <= code < 600 else 500)
        return replace(reply, status=status, headers={}, document={"error": error})

    def _unanswered(self, reply: Reply, step: Verdict) -> LineSaid:
        """Judge a line with an error instead: it was not charged, unless it counts tokens."""
        if not step.provider_status:
            told = "a line without an answer; it may have been billed"
            kind = VerdictKind.UNKNOWN
            step = replace(step, kind=kind, may_be_billed=True, message=told, provider_status=None)
        elif usage_in(reply.document) is None and step.is_unknown:
            answer = self._answer(reply).document
            code = int_at(answer, "error", "code")
            told = self._message(answer) or f"an error of the code {code}"
            step = replace(step, kind=VerdictKind.BUSY, message=told, may_be_billed=False)
        return LineSaid(key=None, step=step)

    def _files(self, document: Json) -> tuple[str, ...]:
        """Return the path of its one file, wherever that stands."""
        batch = self._of_batch(document)
        names = (
            path_at(document, "files", "response", "responsesFile"),
            path_at(document, "files", "response", "output", "responsesFile"),
            path_at(batch, "files", "output", "responsesFile"),
            path_at(batch, "files", "dest", "fileName"),
        )
        found = dict.fromkeys(filter(None, names))
        return tuple(f"/download/v1beta/{name}:download?alt=media" for name in found)

    def _not_begun(self, document: Json, lines: LineCount | None) -> Verdict | None:
        code = int_at(document, "error", "code")
        if code not in _OF_THE_REQUEST or _is_begun(lines):
            return None
        status, message = meanings().rpc[code], text_at(document, "error", "message")
        return self._refused(status, {"code": status, "message": message})

    def _lacks(self, document: Json, how: How, lines: LineCount | None) -> Lacks:
        is_empty = how == "cancelled" and lines is not None and not _is_begun(lines)
        is_none = is_empty or how in {"expired", "failed"} or self._files(document)
        return "nothing" if is_none else "a file"


def _is_begun(lines: LineCount | None) -> bool:
    return lines is not None and lines.done + lines.failed > 0
