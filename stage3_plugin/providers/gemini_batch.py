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
from decimal import Decimal
from typing import Literal
from urllib.parse import quote

from pydantic import JsonValue

from stage3_plugin.domain.addressing import address_of
from stage3_plugin.domain.batch import (
    BatchEnded,
    BatchLine,
    BatchMaking,
    BatchPolled,
    BatchTerms,
    CreateStep,
    How,
    LineSaid,
    Upload,
    Uploaded,
    UploadedAs,
    UploadStep,
)
from stage3_plugin.domain.exchange import (
    Fetch,
    Found,
    Gone,
    Lost,
    NotListed,
    Reply,
    Send,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest, labels_of
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Looked
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.models import row_named, table
from stage3_plugin.providers.prices import share_in_batch
from stage3_plugin.providers.replies.batches import (
    count_of,
    known,
    line_count,
    not_taken,
    of_a_line,
    since_its_end_s,
    why_not_begun,
    why_not_created,
    why_not_uploaded,
)
from stage3_plugin.providers.replies.polling import is_gone, unsaid
from stage3_plugin.providers.replies.reading import Json, at, cleaned, name_at, text_at
from stage3_plugin.providers.replies.usage import usage_in
from stage3_plugin.providers.replies.words import error_in

DAY_S = 86_400.0
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
LAG_S = 3600.0
"""How long a result file is waited for after the batch has ended: it may come behind the word."""

PENDING = frozenset({"PENDING", "QUEUED", "RUNNING", "UPDATING", "CANCELLING", "PAUSED"})
_ENDS: Mapping[str, How] = {
    "SUCCEEDED": "completed",
    "PARTIALLY_SUCCEEDED": "completed",
    "EXPIRED": "expired",
    "CANCELLED": "cancelled",
    "FAILED": "failed",
}
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


class GeminiBatch:
    """The batch lane of the provider ``gemini``.

    Args:
        provider: Makes and judges the ordinary requests.
    """

    def __init__(self, provider: Hosted) -> None:
        self._of = provider

    @property
    def terms(self) -> BatchTerms:
        """Return what it takes and promises."""
        return TERMS

    def share(self, model: str) -> Decimal | None:
        """Return what part of the ordinary price a picture costs; ``None`` if it is not known."""
        return share_in_batch("gemini", model)

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
        if not (is_good and _is_path_of("files", name)):
            step = self._of.judged(reply)
            return why_not_uploaded(reply, step, who=self._of.who, now_s=self._of.clock())
        arrived = count_of(at(file, "sizeBytes"), most=10**13)
        if arrived is not None and arrived != size_bytes:
            return not_taken(f"{arrived} of its {size_bytes} bytes have arrived", reply)
        if text_at(file, "state") == "FAILED":
            told = cleaned(text_at(file, "error", "message")) or "it does not say why"
            return not_taken(f"it is not taken: {told}", reply)
        return Uploaded(name)

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

    def created(self, reply: Reply) -> CreateStep:
        """Return what follows from its complete answer."""
        if 200 <= reply.status < 300:
            accepted = self._accepted(reply.document)
            if accepted is not None:
                return accepted
        return why_not_created(reply, self._of.judged(reply), now_s=self._of.clock())

    def polled(self, reply: Reply, job: Accepted) -> BatchPolled:
        """Return what follows from a complete answer to a poll."""
        document = reply.document
        is_about_it = text_at(document, "name") == job.job_id
        if not is_about_it and is_gone(reply):
            return Gone(message=f"{self._of.who} does not know the batch {job.job_id} any more")
        if not (200 <= reply.status < 300 and is_about_it):
            return unsaid(reply, now_s=self._of.clock())
        batch = _batch_of(document)
        word = text_at(batch, "state")
        for prefix in _PREFIXES:
            word = word.removeprefix(prefix)
        lines = _lines_of(batch, is_expired=word == "EXPIRED")
        if word in PENDING:
            return BatchMaking(lines=known(lines), message=word.lower())
        if word not in _ENDS:
            shown = cleaned(word, most=80)
            return Unclear(message=f"{self._of.who} calls the batch {shown!r}, which is not known")
        return self._ended(reply, _ENDS[word], lines)

    def look_for(self, lost: Lost) -> str:  # noqa: ARG002 - its listing has no filter
        """Return where the listing of batches begins."""
        return f"{self._of.base_url}/v1beta/batches?pageSize=100"

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        """Return what a page of it shows; a page that cannot be read proves nothing.

        Google writes an empty list as an empty object, which counts as one only if it is called
        JSON: it is not what a proxy would say.
        """
        document = reply.document
        items, token = at(document, "operations"), at(document, "nextPageToken")
        is_json = reply.headers.get("content-type", "").startswith("application/json")
        if items is None and is_json and document in ({}, {"nextPageToken": ""}):
            items = []
        is_page = isinstance(items, list) and (token is None or _is_token(token))
        if not (200 <= reply.status < 300 and isinstance(items, list) and is_page):
            return unsaid(reply, now_s=self._of.clock())
        for item in items:
            if not _is_path_of("batches", name_at(item, "name")):
                return Unsaid(message="a batch is listed without its name")
            label = text_at(_batch_of(item), "displayName")
            is_it = lost.token is not None and label == f"{_LABEL}{lost.token}"
            accepted = self._accepted(item) if is_it else None
            if accepted is not None and accepted.job_id not in lost.taken:
                return Found(accepted=accepted)
        if not isinstance(token, str) or not token:
            return NotListed(next_url=None)
        page = quote(token, safe="")
        return NotListed(
            next_url=f"{self._of.base_url}/v1beta/batches?pageSize=100&pageToken={page}"
        )

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
        code = _code_of(error)
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
        name = name_at(document, "name")
        if not _is_path_of("batches", name):
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
            was_not_begun = _code_of(error) in _OF_THE_REQUEST and not done
            return BatchEnded(
                how=how,
                lacking="never_ran" if was_not_begun else "unknown",
                lines=lines,
                message=message,
                verdict=self._not_begun(error) if was_not_begun else None,
            )
        if how == "cancelled" and not done and lines is not None:
            return BatchEnded(how=how, lines=lines, message=message)
        if self._since_its_end_s(reply, batch) < LAG_S:
            return BatchMaking(lines=lines, message=f"{how}; its result file is not there yet")
        return BatchEnded(how=how, lacking="unknown", lines=lines, message=message)

    def _not_begun(self, error: Json) -> Verdict:
        """Judge why a batch was not begun, as if its create had been refused with these words."""
        status = _STATUSES.get(_code_of(error) or 0, 400)
        told: dict[str, JsonValue] = {"code": status, "message": text_at(error, "message")}
        judged = self._of.judged(Reply(status=status, headers={}, document={"error": told}))
        return why_not_begun(judged)

    def _since_its_end_s(self, reply: Reply, batch: Json) -> float:
        ended_s, begun_s = _moment_at(batch, "endTime"), _moment_at(batch, "createTime")
        return since_its_end_s(
            reply, ended_s, begun_s, within_s=TERMS.within_s, now_s=self._of.clock()
        )


def _batch_of(operation: Json) -> Json:
    """Return what an operation says of its batch; Google's pages also show it without one."""
    metadata = at(operation, "metadata")
    return metadata if isinstance(metadata, dict) else operation


def _code_of(error: Json) -> int | None:
    """Return the number of an error; ``None`` if it has none."""
    code = at(error, "code")
    return code if isinstance(code, int) and not isinstance(code, bool) else None


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


def _lines_of(batch: Json, *, is_expired: bool) -> LineCount | None:
    """Return how far a batch is; its figures are texts, and those of nothing are left out."""
    stats = at(batch, "batchStats")
    lines = line_count(
        total=at(stats, "requestCount"),
        done=at(stats, "successfulRequestCount"),
        failed=at(stats, "failedRequestCount"),
    )
    if lines is None or not is_expired:
        return lines
    return LineCount(total=lines.total, expired=lines.total)


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
