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
from decimal import Decimal
from typing import Final, TypeAlias
from urllib.parse import quote

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
    Payload,
    Reply,
    Send,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Looked
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.prices import share_in_batch
from stage3_plugin.providers.replies.batches import (
    known,
    line_count,
    not_taken,
    of_a_line,
    since_its_end_s,
    why_not_begun,
    why_not_created,
    why_not_uploaded,
)
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.polling import is_gone, unsaid
from stage3_plugin.providers.replies.reading import (
    Json,
    at,
    cleaned,
    items_at,
    name_at,
    text_at,
)
from stage3_plugin.providers.replies.words import error_in

DAY_S = 86_400.0
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
LAG_S = 3600.0
"""How long a result file that the counts speak of is waited for after the batch has ended."""
REFERENCES_KEPT_S: Final = 3 * 86_400
"""Pictures to be shown are deleted after so long: a batch has ended by then."""

PENDING = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
NEVER_RAN = frozenset({"batch_expired", "batch_cancelled"})
"""Codes of lines, in the file of errors, that the end of their batch has kept from being begun."""
QUEUE_FULL = frozenset({"token_limit_exceeded", "too_many_tasks"})
"""Why a file is not taken now, and may be later."""

_ENDS: Mapping[str, How] = {
    "completed": "completed",
    "expired": "expired",
    "cancelled": "cancelled",
    "failed": "failed",
}
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


class OpenAIBatch:
    """The batch lane of the provider ``openai``.

    Args:
        provider: Judges the answers to ordinary requests.
        body: Makes the body of a line.
    """

    def __init__(self, provider: Hosted, body: Body) -> None:
        self._of = provider
        self._body = body

    @property
    def terms(self) -> BatchTerms:
        """Return what it takes and promises."""
        return TERMS

    def share(self, model: str) -> Decimal | None:
        """Return what part of the ordinary price a picture costs; ``None`` if it is not known."""
        return share_in_batch("openai", model)

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
        name = name_at(document, "id")
        if not (200 <= reply.status < 300 and name and error_in(document) is None):
            step = self._of.judged(reply)
            return why_not_uploaded(reply, step, who=self._of.who, now_s=self._of.clock())
        arrived = at(document, "bytes")
        if isinstance(arrived, int) and not isinstance(arrived, bool) and arrived != size_bytes:
            return not_taken(f"{arrived} of its {size_bytes} bytes have arrived", reply)
        if text_at(document, "status") == "error":
            told = cleaned(text_at(document, "status_details")) or "it does not say why"
            return not_taken(f"it is not taken: {told}", reply)
        return Uploaded(name)

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
        if 200 <= reply.status < 300:
            accepted = self._accepted(reply.document)
            if accepted is not None:
                return accepted
        verdict = why_not_created(reply, self._of.judged(reply), now_s=self._of.clock())
        if verdict.kind is VerdictKind.REJECTED and verdict.provider_code in QUEUE_FULL:
            return replace(verdict, kind=VerdictKind.RATE_LIMITED, stops_run=False)
        return verdict

    def polled(self, reply: Reply, job: Accepted) -> BatchPolled:
        """Return what follows from a complete answer to a poll."""
        document = reply.document
        if is_gone(reply):
            return Gone(message=f"{self._of.who} does not know the batch {job.job_id} any more")
        is_about_it = text_at(document, "id") == job.job_id
        if not (200 <= reply.status < 300 and is_about_it):
            return unsaid(reply, now_s=self._of.clock())
        word, lines = text_at(document, "status"), _lines_of(document)
        if word in PENDING:
            return BatchMaking(lines=known(lines), message=word)
        if word not in _ENDS:
            shown = cleaned(word, most=80)
            return Unclear(message=f"{self._of.who} calls the batch {shown!r}, which is not known")
        return self._ended(reply, _ENDS[word], lines)

    def look_for(self, lost: Lost) -> str:  # noqa: ARG002 - its listing has no filter
        """Return where the listing of batches begins."""
        return f"{self._of.base_url}/batches?limit=100"

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        """Return what a page of it shows; a page that cannot be read proves nothing."""
        document = reply.document
        items, more = at(document, "data"), at(document, "has_more")
        is_page = isinstance(items, list) and isinstance(more, bool)
        if not (200 <= reply.status < 300 and isinstance(items, list) and is_page):
            return unsaid(reply, now_s=self._of.clock())
        for item in items:
            if not name_at(item, "id"):
                return Unsaid(message="a batch is listed without its name")
            is_it = lost.token is not None and text_at(item, "metadata", "stage3") == lost.token
            accepted = self._accepted(item) if is_it else None
            if accepted is not None and accepted.job_id not in lost.taken:
                return Found(accepted=accepted)
        if more is False:
            return NotListed(next_url=None)
        if not items:
            return Unsaid(message="a page of the listing does not say where the next one is")
        last = quote(name_at(items[-1], "id"), safe="")
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
        status = at(response, "status_code")
        is_status = isinstance(status, int) and not isinstance(status, bool)
        name, body = name_at(response, "request_id"), response.get("body")
        answer = Reply(
            status=status if isinstance(status, int) and is_status else 0,
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
        name = name_at(document, "id")
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
                verdict=self._not_begun(document, message),
            )
        # its counts may lag behind the word: a line that none of them accounts for may have run
        is_open = how == "completed" and not (
            lines is not None and 0 < lines.total == lines.done + lines.failed
        )
        lacks_file = not files and (lines is None or is_open)
        if lines is not None:
            lacks_file |= (lines.done > 0 and not output) or (lines.failed > 0 and not errors)
        if lacks_file and self._since_its_end_s(reply) < LAG_S:
            return BatchMaking(lines=lines, message=f"{how}; a result file is not there yet")
        is_unclear = lacks_file or is_open or how == "failed"
        return BatchEnded(
            how=how,
            files=files,
            lacking="unknown" if is_unclear else "never_ran",
            lines=lines,
            message=message,
        )

    def _not_begun(self, document: Json, message: str) -> Verdict:
        """Judge why a file was not taken, as if its create had been refused with these words."""
        error = next(iter(items_at(document, "errors", "data")), None)
        code = text_at(error, "code")
        words = {
            "code": code,
            "message": text_at(error, "message"),
            "type": "invalid_request_error",
        }
        is_full = code in QUEUE_FULL
        if is_full:
            words["type"] = "tokens"
        judged = self._of.judged(
            Reply(status=429 if is_full else 400, headers={}, document={"error": {**words}})
        )
        verdict = why_not_begun(judged)
        told = verdict.message if error is not None else message or "its file was not taken"
        return replace(verdict, message=told)

    def _since_its_end_s(self, reply: Reply) -> float:
        moments = [_moment_at(reply.document, f"{how}_at") for how in _ENDS]
        ended_s = max((one for one in moments if one is not None), default=None)
        begun_s = _moment_at(reply.document, "created_at")
        return since_its_end_s(
            reply, ended_s, begun_s, within_s=TERMS.within_s, now_s=self._of.clock()
        )


def _moment_at(document: Json, name: str) -> float | None:
    """Read a moment in seconds since 1970."""
    figure = figure_of(at(document, name), most=_MOST_S)
    return None if figure is None else float(figure)


def _lines_of(document: Json) -> LineCount | None:
    """Return how far a batch is; of one that was ended early the rest was never begun."""
    counts = at(document, "request_counts")
    lines = line_count(
        total=at(counts, "total"), done=at(counts, "completed"), failed=at(counts, "failed")
    )
    if lines is None or text_at(document, "status") not in {"expired", "cancelled"}:
        return lines
    return replace(lines, expired=max(0, lines.total - lines.done - lines.failed))


def _errors_in(document: Json) -> str:
    """Return what a batch says of itself as a whole, in one line for people."""
    errors = items_at(document, "errors", "data")[:_MOST_ERRORS]
    told = (
        ": ".join(filter(None, (text_at(error, "code"), text_at(error, "message"))))
        for error in errors
    )
    return cleaned("; ".join(dict.fromkeys(filter(None, told))))
