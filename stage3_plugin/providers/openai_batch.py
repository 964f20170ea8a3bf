"""OpenAI's Batch API for pictures: half the price, and an answer within a day.

A file of lines is uploaded, a batch is made of it by one request, and what came of each line stands
in two files, which are fetched like any other. All lines of a batch are for the same address, and
of the same model. The batch's token is in its ``metadata``, which the listing returns, so that a
create whose answer was lost is found, or proved absent: the listing has batches of every state.

A batch that has expired, or was cancelled, has finished what it had finished: that is delivered and
charged, and the rest never ran. ``failed`` is the word for a file that was not taken: nothing ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final, TypeAlias
from urllib.parse import quote

from pydantic import JsonValue

from stage3_plugin.domain.batch import (
    BatchEnded,
    BatchLine,
    BatchMaking,
    BatchTerms,
    CreateStep,
    How,
    LineSaid,
    Upload,
    UploadedAs,
    UploadStep,
)
from stage3_plugin.domain.exchange import Fetch, Lost, NotListed, Payload, Reply, Send, Unsaid
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.file_lane import DAY_S, LAG_S, FileLane
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.replies.batches import line_count, of_a_line
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.reading import (
    Json,
    at,
    cleaned,
    int_at,
    items_at,
    name_at,
    text_at,
)
from stage3_plugin.providers.replies.words import error_in

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
QUEUE_FULL = frozenset({"token_limit_exceeded", "too_many_tasks"})
"""Why a file is not taken now, and may be later."""

_MOST_ERRORS = 50
_MOST_S = 10**11
"""Beyond this a figure is no moment in seconds since 1970."""
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}

Body: TypeAlias = Callable[
    [PictureRequest, Sequence[Payload]], tuple[dict[str, Payload], list[str]]
]
"""Returns the body of a request, and the wishes that it drops.

The sequence has the pictures that it shows, as they stand in the body.
"""


class OpenAIBatch(FileLane):
    """The batch lane of the provider ``openai``.

    Args:
        provider: Judges the answers to ordinary requests.
        body: Makes the body of a line.
    """

    _pending = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
    _ends: ClassVar[Mapping[str, How]] = {
        "completed": "completed",
        "expired": "expired",
        "cancelled": "cancelled",
        "failed": "failed",
    }

    def __init__(self, provider: Hosted, body: Body) -> None:
        super().__init__(provider)
        self._body = body

    @property
    def terms(self) -> BatchTerms:
        """Return what it takes and promises."""
        return TERMS

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
        shown: list[Payload] = [{"file_id": files[one.sent.sha256]} for one in request.shown]
        body, dropped = self._body(request, shown)
        return BatchLine(
            payload={
                "custom_id": key,
                "method": "POST",
                "url": self.kind(request),
                "body": body,
            },
            dropped=tuple(dropped),
        )

    def upload(self, size_bytes: int, of: UploadedAs, media_type: str) -> UploadStep:  # noqa: ARG002 - named in the protocol
        """Return the one step of handing over a file: a form."""
        url = f"{self._of.base_url}/files"
        if of == "lines":
            return Upload(
                url=url,
                file_field="file",
                fields={"purpose": "batch"},
                media_type="application/jsonl",
            )
        return Upload(
            url=url,
            file_field="file",
            fields={
                "purpose": "vision",
                "expires_after[anchor]": "created_at",
                "expires_after[seconds]": str(REFERENCES_KEPT_S),
            },
            media_type=media_type,
            file_name=f"stage3.{_EXTENSIONS.get(media_type, 'png')}",
        )

    def uploaded(self, reply: Reply, size_bytes: int, of: UploadedAs) -> UploadStep:  # noqa: ARG002 - named in the protocol
        """Return what follows from the answer: its name there, if all of it has arrived."""
        document = reply.document
        is_good = 200 <= reply.status < 300 and error_in(document) is None
        has_failed = text_at(document, "status") == "error"
        return self._handed_over(
            reply,
            name_at(document, "id") if is_good else "",
            (int_at(document, "bytes"), size_bytes),
            text_at(document, "status_details") if has_failed else None,
        )

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

    def created(self, reply: Reply) -> CreateStep:
        """Return what follows from its complete answer."""
        step = super().created(reply)
        if isinstance(step, Accepted) or step.provider_code not in QUEUE_FULL:
            return step
        is_refusal = step.kind is VerdictKind.REJECTED
        return replace(step, kind=VerdictKind.RATE_LIMITED, stops_run=False) if is_refusal else step

    def _name(self, batch: Json) -> str:
        return name_at(batch, "id")

    def _word(self, batch: Json) -> str:
        return text_at(batch, "status")

    def _has_label(self, batch: Json, label: str) -> bool:
        return text_at(batch, "metadata", "stage3") == label

    def _lines(self, batch: Json) -> LineCount | None:
        """Return how far a batch is; of one that was ended early the rest was never begun."""
        counts = at(batch, "request_counts")
        lines = line_count(
            total=at(counts, "total"), done=at(counts, "completed"), failed=at(counts, "failed")
        )
        if lines is None or self._word(batch) not in {"expired", "cancelled"}:
            return lines
        return replace(lines, expired=max(0, lines.total - lines.done - lines.failed))

    def look_for(self, lost: Lost) -> str:  # noqa: ARG002 - its listing has no filter
        """Return where the listing of batches begins."""
        return f"{self._of.base_url}/batches?limit=100"

    def _page(self, reply: Reply) -> list[JsonValue] | None:
        items, more = at(reply.document, "data"), at(reply.document, "has_more")
        return items if isinstance(items, list) and isinstance(more, bool) else None

    def _following(self, reply: Reply, items: list[JsonValue]) -> NotListed | Unsaid:
        if at(reply.document, "has_more") is False:
            return NotListed(next_url=None)
        if not items:
            return Unsaid(message="a page of the listing does not say where the next one is")
        last = quote(self._name(items[-1]), safe="")
        return NotListed(next_url=f"{self._of.base_url}/batches?limit=100&after={last}")

    def said(self, reply: Reply) -> LineSaid:
        """Return what one line of a result file says.

        Of a line that was answered the answer is judged as if it had come by itself. One that was
        not says why: that its batch has ended before it, or anything else, and then it is not known
        what became of it.
        """
        document = reply.document
        key = name_at(document, "custom_id") or None
        response, error = at(document, "response"), at(document, "error")
        if not isinstance(response, dict):
            return self._unanswered(reply, key, error)
        name, body = name_at(response, "request_id"), response.get("body")
        answer = Reply(
            status=int_at(response, "status_code") or 0,
            headers={"x-request-id": name} if name else {},
            document=body if isinstance(body, dict) else None,
            text=body[:2000] if isinstance(body, str) else "",
            unread=reply.unread,
            parts=reply.parts,
        )
        return LineSaid(key=key, step=of_a_line(self._of.judged(answer)))

    def _unanswered(self, reply: Reply, key: str | None, error: Json) -> LineSaid:
        """Judge a line without an answer; a picture in it is one all the same."""
        step = self._of.judged(replace(reply, status=200))
        verdict = step.verdict if isinstance(step, Fetch) else step
        if verdict.kind is VerdictKind.PICTURES:
            return LineSaid(key=key, step=of_a_line(step))
        code = cleaned(text_at(error, "code"), most=80)
        told = cleaned(text_at(error, "message"))
        if code in NEVER_RAN and verdict.usage is None:
            message = told or f"the batch has ended before it ({code})"
            never = Verdict(kind=VerdictKind.BUSY, message=message, provider_code=code)
            return LineSaid(key=key, step=never, never_ran=True)
        words = f"{code}: {told}" if code and told else code or told or "a line without an answer"
        step_of_it = "; it may have been billed"
        in_doubt = Verdict(
            kind=VerdictKind.UNKNOWN,
            message=cleaned(words, most=300 - len(step_of_it)).rstrip(" .") + step_of_it,
            may_be_billed=True,
            usage=verdict.usage,
            provider_code=code or None,
        )
        return LineSaid(key=key, step=in_doubt)

    def _accepted(self, document: Json) -> Accepted | None:
        """Return a batch as a job; it says no address of its own, so that it is made of its name.

        That is the one of the API itself, with nothing of the answer in it but one quoted step.
        """
        name = self._name(document)
        if not name or text_at(document, "object") != "batch":
            return None
        url = f"{self._of.base_url}/batches/{quote(name, safe='')}"
        return Accepted(job_id=name, poll_url=url, cancel_url=f"{url}/cancel", keeps_s=KEEPS_S)

    def _ended(self, reply: Reply, how: How, lines: LineCount | None) -> BatchEnded | BatchMaking:
        document = reply.document
        output, errors = name_at(document, "output_file_id"), name_at(document, "error_file_id")
        files = tuple(
            f"{self._of.base_url}/files/{quote(name, safe='')}/content"
            for name in (output, errors)
            if name
        )
        message = _errors_in(document)
        done = 0 if lines is None else lines.done
        if how == "failed" and not files and not done:
            return BatchEnded(
                how=how,
                lines=lines,
                message=message,
                verdict=self._not_taken(document, message),
            )
        # its counts may lag behind the word: a line that none of them accounts for may have run
        is_open = how == "completed" and not (
            lines is not None and 0 < lines.total == lines.done + lines.failed
        )
        lacks_file = not files and (lines is None or is_open)
        if lines is not None:
            lacks_file |= (lines.done > 0 and not output) or (lines.failed > 0 and not errors)
        if lacks_file and self._ended_since_s(reply) < LAG_S:
            return BatchMaking(lines=lines, message=f"{how}; a result file is not there yet")
        is_unclear = lacks_file or is_open or how == "failed"
        return BatchEnded(
            how=how,
            files=files,
            lacking="unknown" if is_unclear else "never_ran",
            lines=lines,
            message=message,
        )

    def _not_taken(self, document: Json, message: str) -> Verdict:
        """Return why nothing of a file was begun."""
        error = next(iter(items_at(document, "errors", "data")), None)
        code, told = text_at(error, "code"), text_at(error, "message")
        is_full = code in QUEUE_FULL
        kind = "tokens" if is_full else "invalid_request_error"
        words: dict[str, JsonValue] = {"code": code, "message": told, "type": kind}
        verdict = self._not_begun(429 if is_full else 400, words)
        told = verdict.message if error is not None else message or "its file was not taken"
        return replace(verdict, message=told)

    def _ended_since_s(self, reply: Reply) -> float:
        moments = [_moment_at(reply.document, f"{how}_at") for how in self._ends]
        ended_s = max((one for one in moments if one is not None), default=None)
        return self._since_its_end_s(reply, ended_s, _moment_at(reply.document, "created_at"))


def _moment_at(document: Json, name: str) -> float | None:
    """Read a moment in seconds since 1970."""
    figure = figure_of(at(document, name), most=_MOST_S)
    return None if figure is None else float(figure)


def _errors_in(document: Json) -> str:
    """Return what a batch says of itself as a whole, in one line for people."""
    errors = items_at(document, "errors", "data")[:_MOST_ERRORS]
    told = (
        ": ".join(filter(None, (text_at(error, "code"), text_at(error, "message"))))
        for error in errors
    )
    return cleaned("; ".join(dict.fromkeys(filter(None, told))))
