"""OpenAI's Batch API for pictures: half the price, and an answer within a day.

A file of lines is uploaded, a batch is made of it by one request, and what came of each line stands
in two files, which are fetched like any other. All lines of a batch are for the same address, and
of the same model. The batch's token is in its ``metadata``, which the listing returns, so that a
create whose answer was lost is found, or proved absent: the listing has batches of every state.

A batch that has expired, or was cancelled, has finished what it had finished: that is delivered and
charged, and the rest never ran. ``failed`` is the word for a file that was not taken: nothing ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from stage3_plugin.domain.batch import (
    BatchLine,
    BatchTerms,
    How,
    LineSaid,
    Upload,
    UploadedAs,
    UploadStep,
)
from stage3_plugin.domain.exchange import Reply, Send, Unsaid
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.file_lane import DAY_S, FileLane, Lacks
from stage3_plugin.providers.replies.reading import (
    Json,
    at,
    cleaned,
    int_at,
    items_at,
    name_at,
    text_at,
    with_step,
)

TERMS = BatchTerms(
    most_lines=50_000,
    most_bytes=200_000_000,
    # its limit of queued tokens is by account and model, and no page says what a picture counts
    within_s=DAY_S,
    # it has batches of every state, at once as far as is known; half an hour is ours
    listing=Listing(proves_absence=True, settle_s=1800.0, reaches_back_s=30 * DAY_S),
    references="file",
    most_reference_bytes=50_000_000,
)
KEEPS_S = 30 * DAY_S
"""Files of a batch are kept for so long, its results among them."""
REFERENCES_KEPT_S: Final = 3 * 86_400
"""Pictures to be shown are deleted after so long: a batch has ended by then."""

NEVER_RAN = frozenset({"batch_expired", "batch_cancelled"})
"""Codes of lines, in the file of errors, that the end of their batch has kept from being begun."""

_MOST_ERRORS = 50
_EXTENSIONS = {"application/jsonl": "jsonl", "image/jpeg": "jpg", "image/webp": "webp"}
_FIELDS: Mapping[UploadedAs, Mapping[str, str]] = {
    "lines": {"purpose": "batch"},
    "reference": {
        "purpose": "vision",
        "expires_after[anchor]": "created_at",
        "expires_after[seconds]": str(REFERENCES_KEPT_S),
    },
}
"""What a file is handed over with."""


class OpenAIBatch(FileLane):
    """The batch lane of the provider ``openai``."""

    terms = TERMS
    _keeps_s = KEEPS_S
    _batches, _first_page, _cursor = "/batches", "limit=100", "after"
    _state = ("status",)
    _pending = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
    _cut_short = frozenset({"expired", "cancelled"})
    _label = ("metadata", "stage3")
    _counts = ("request_counts", "total", "completed", "failed")
    _begun_at = "created_at"
    _ended_at = ("completed_at", "expired_at", "cancelled_at", "failed_at")
    _later = frozenset({"token_limit_exceeded", "too_many_tasks"})
    _cancelled_at = "/cancel"
    _awaited = "a result file"
    _key = "custom_id"

    def kind(self, request: PictureRequest) -> str:
        """Return the address that its lines are for: one that shows pictures, or one that does not.

        It is the vendor's own path, wherever ``base_url`` leads.
        """
        return "/v1/images/edits" if request.shown else "/v1/images/generations"

    def line(self, request: PictureRequest, key: str, files: Mapping[str, str]) -> BatchLine:
        """Return a request as a line; its pictures are named as they were uploaded.

        Raises:
            KeyError: One of its pictures was not.
        """
        send = self._of.begin(request)
        shown = [{"file_id": files[one.sent.sha256]} for one in request.shown]
        return BatchLine(
            payload={
                "custom_id": key,
                "method": "POST",
                "url": self.kind(request),
                "body": {**send.payload, "images": shown} if shown else send.payload,
            },
            dropped=send.dropped,
        )

    def upload(self, size_bytes: int, of: UploadedAs, media_type: str) -> UploadStep:  # noqa: ARG002 - named in the protocol
        """Return the one step of handing over a file: a form."""
        return Upload(
            url=f"{self._of.base_url}/files",
            file_field="file",
            fields=_FIELDS[of],
            media_type=media_type,
            file_name=f"stage3.{_EXTENSIONS.get(media_type, 'png')}",
        )

    def _file(self, document: Json) -> tuple[str, int | None, str | None]:
        has_failed = text_at(document, "status") == "error"
        failure = text_at(document, "status_details") if has_failed else None
        return name_at(document, "id"), int_at(document, "bytes"), failure

    def create(self, input_file: str, label: str, kind: str) -> Send:
        """Return the request that begins a batch: the one that is paid for."""
        return Send(
            url=f"{self._of.base_url}/batches",
            payload={
                "input_file_id": input_file,
                "endpoint": kind,
                "completion_window": "24h",
                "metadata": {"stage3": label},
            },
        )

    def _name(self, batch: Json) -> str:
        return name_at(batch, "id")

    def _items(self, reply: Reply) -> list[JsonValue] | None:
        items, more = at(reply.document, "data"), at(reply.document, "has_more")
        return items if isinstance(items, list) and isinstance(more, bool) else None

    def _following(self, reply: Reply, items: list[JsonValue]) -> str | Unsaid:
        if at(reply.document, "has_more") is False:
            return ""
        if not items:
            return Unsaid(message="a page of the listing does not say where the next one is")
        return self._name(items[-1])

    def _answer(self, reply: Reply) -> Reply:
        response = at(reply.document, "response")
        if not isinstance(response, dict):
            return replace(reply, status=200)
        name, body = name_at(response, "request_id"), response.get("body")
        return Reply(
            status=int_at(response, "status_code") or 0,
            headers={"x-request-id": name} if name else {},
            document=body if isinstance(body, dict) else None,
            text=body[:2000] if isinstance(body, str) else "",
            unread=reply.unread,
            parts=reply.parts,
        )

    def _unanswered(self, reply: Reply, step: Verdict) -> LineSaid:
        """Judge a line without an answer: its batch has ended before it, or nobody knows."""
        error = at(reply.document, "error")
        code = cleaned(text_at(error, "code"), most=80)
        told = cleaned(text_at(error, "message"))
        if code in NEVER_RAN and step.usage is None:
            message = told or f"the batch has ended before it ({code})"
            never = Verdict(kind=VerdictKind.BUSY, message=message, provider_code=code)
            return LineSaid(key=None, step=never, never_ran=True)
        words = f"{code}: {told}" if code and told else code or told or "a line without an answer"
        in_doubt = Verdict(
            kind=VerdictKind.UNKNOWN,
            message=with_step(words, "; it may have been billed"),
            may_be_billed=True,
            usage=step.usage,
            provider_code=code or None,
        )
        return LineSaid(key=None, step=in_doubt)

    def _accepted(self, document: Json) -> Accepted | None:
        return super()._accepted(document) if text_at(document, "object") == "batch" else None

    def _message(self, document: Json) -> str:
        errors = items_at(document, "errors", "data")[:_MOST_ERRORS]
        told = (
            ": ".join(filter(None, (text_at(error, "code"), text_at(error, "message"))))
            for error in errors
        )
        return cleaned("; ".join(dict.fromkeys(filter(None, told))))

    def _files(self, document: Json) -> tuple[str, ...]:
        names = (name_at(document, f"{kind}_file_id") for kind in ("output", "error"))
        return tuple(f"/files/{quote(name, safe='')}/content" for name in names if name)

    def _lacks(self, document: Json, how: How, lines: LineCount | None) -> Lacks:
        """Return what is lacking; counts may lag behind the word.

        A line that none of them accounts for may have run.
        """
        is_counted = lines is not None and 0 < lines.total == lines.done + lines.failed
        is_open = how == "completed" and not is_counted
        lacks_file = not self._files(document) and (lines is None or is_open)
        if lines is not None:
            lacks_file |= lines.done > 0 and not name_at(document, "output_file_id")
            lacks_file |= lines.failed > 0 and not name_at(document, "error_file_id")
        return "a file" if lacks_file else "lines" if is_open else "nothing"

    def _not_begun(self, document: Json, lines: LineCount | None) -> Verdict | None:
        if lines is not None and lines.done:
            return None
        error = next(iter(items_at(document, "errors", "data")), None)
        code, told = text_at(error, "code"), text_at(error, "message")
        is_full = code in self._later
        kind = "tokens" if is_full else "invalid_request_error"
        words: dict[str, JsonValue] = {"code": code, "message": told, "type": kind}
        verdict = self._refused(429 if is_full else 400, words)
        told = verdict.message if error is not None else "its file was not taken"
        return replace(verdict, message=told)
