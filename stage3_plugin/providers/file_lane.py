"""What two vendors' lanes have in common: a batch is made of a file, and its results are files.

Each says where things stand in its documents, and four things beside: how a line is written, a file
handed over, a batch created, and how what came of it is read. What follows from an answer is the
same for both, and stands here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar, Literal, TypeAlias, get_args
from urllib.parse import quote

from pydantic import JsonValue

from stage3_plugin.domain.batch import (
    BatchEnded,
    BatchMaking,
    BatchPolled,
    BatchTerms,
    CreateStep,
    How,
    LineSaid,
    Uploaded,
    UploadedAs,
    UploadStep,
)
from stage3_plugin.domain.exchange import Found, Gone, Lost, NotListed, Reply, Unclear, Unsaid
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Looked
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.prices import share_in_batch
from stage3_plugin.providers.replies.batches import (
    line_count,
    not_taken,
    of_a_line,
    why_not_begun,
    why_not_created,
    why_not_uploaded,
)
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.hints import iso_moment_s, moment_s
from stage3_plugin.providers.replies.polling import is_gone, unsaid
from stage3_plugin.providers.replies.reading import Json, at, cleaned, name_at, text_at
from stage3_plugin.providers.replies.words import error_in

DAY_S = 86_400.0
LAG_S = 3600.0
"""How long a result file is waited for after the batch has ended: it may come behind the word."""

_MOST_S = 10**11
"""Beyond this a figure is no moment in seconds since 1970."""

Path: TypeAlias = tuple[str, ...]
Lacks: TypeAlias = Literal["nothing", "lines", "a file"]
"""What the files of a batch that has ended are without: ``lines`` of which it is not known what
became of them, or ``a file`` as well, which may still come."""


class FileLane(ABC):
    """The shared part of a :class:`~stage3_plugin.providers.base.BatchLane`.

    Args:
        provider: Makes and judges the ordinary requests.
    """

    terms: BatchTerms
    """What it takes and promises."""
    _keeps_s: ClassVar[float]
    """For how long a batch and its results are kept."""
    _batches: ClassVar[str]
    """The path of its batches."""
    _first_page: ClassVar[str]
    """What asks for the first page of their listing; there is no filter."""
    _cursor: ClassVar[str]
    """What asks for the next one."""
    _state: ClassVar[Path]
    """Where a batch has the word for how it is."""
    _pending: ClassVar[frozenset[str]]
    """Words of a batch that goes on."""
    _ends: ClassVar[Mapping[str, How]] = {word: word for word in get_args(How)}
    """Those of one that has ended."""
    _cut_short: ClassVar[frozenset[str]] = frozenset()
    """Those of one whose other lines were never begun."""
    _label: ClassVar[Path]
    """Where a batch has its token."""
    _label_begins: ClassVar[str] = ""
    _counts: ClassVar[Path]
    """The field of its figures, and in it those of all lines, of those done and those failed."""
    _begun_at: ClassVar[str]
    """Where it has the moment in which it was made."""
    _ended_at: ClassVar[Path]
    """Where it may have the one in which it has ended."""
    _cancelled_at: ClassVar[str]
    """What the address of a batch ends with where it is called off."""
    _awaited: ClassVar[str]
    """What it has when it has ended."""
    _later: ClassVar[frozenset[str]] = frozenset()
    """Codes of a create that is refused now, and may be taken later."""
    _key: ClassVar[str]
    """Where a line of a result file has its key."""

    def __init__(self, provider: Hosted) -> None:
        self._of = provider

    @abstractmethod
    def _name(self, batch: Json) -> str:
        """Return by which name it asks for a batch; an empty one if that is not said."""

    def _page_of(self, name: str) -> str:
        """Return the path where a batch is asked for."""
        return f"{self._batches}/{quote(name, safe='')}"

    @abstractmethod
    def _file(self, document: Json) -> tuple[str, int | None, str | None]:
        """Return what a file is called, how many bytes of it are there, and why it is not taken."""

    def _message(self, document: Json) -> str:
        """Return what a batch says of itself as a whole, in one line for people."""
        return cleaned(text_at(document, "error", "message"))

    @abstractmethod
    def _files(self, document: Json) -> tuple[str, ...]:
        """Return the paths of a batch's result files."""

    @abstractmethod
    def _not_begun(self, document: Json, lines: LineCount | None) -> Verdict | None:
        """Return why nothing of a batch that failed without a file was begun, if that is so."""

    @abstractmethod
    def _lacks(self, document: Json, how: How, lines: LineCount | None) -> Lacks:
        """Return what the files of a batch are without."""

    @abstractmethod
    def _items(self, reply: Reply) -> list[JsonValue] | None:
        """Return the batches of a page of the listing; ``None`` if it is none."""

    @abstractmethod
    def _following(self, reply: Reply, items: list[JsonValue]) -> str | Unsaid:
        """Return what names the page of the listing behind this one; empty if there is none."""

    @abstractmethod
    def _answer(self, reply: Reply) -> Reply:
        """Return what a line says as if it had come by itself."""

    @abstractmethod
    def _unanswered(self, reply: Reply, step: Verdict) -> LineSaid:
        """Judge a line without a response, and without a picture; its key is not looked for."""

    def share(self, model: str) -> Decimal | None:
        """Return what part of the ordinary price a picture costs; ``None`` if it is not known."""
        return share_in_batch(self._of.profile.name, model)

    def uploaded(self, reply: Reply, size_bytes: int, of: UploadedAs) -> UploadStep:  # noqa: ARG002 - named in the protocol
        """Return what follows from the answer to a file: its name, if all of it has arrived."""
        name, arrived, failure = self._file(reply.document)
        if not (name and is_good(reply)):
            step = self._of.judged(reply)
            return why_not_uploaded(reply, step, who=self._of.who, now_s=self._of.clock())
        if arrived is not None and arrived != size_bytes:
            return not_taken(f"{arrived} of its {size_bytes} bytes have arrived", reply)
        if failure is not None:
            told = cleaned(failure) or "it does not say why"
            return not_taken(f"it is not taken: {told}", reply)
        return Uploaded(name)

    def created(self, reply: Reply) -> CreateStep:
        """Return what follows from the complete answer to a create."""
        accepted = self._accepted(reply.document) if 200 <= reply.status < 300 else None
        if accepted is not None:
            return accepted
        no = why_not_created(reply, self._of.judged(reply), now_s=self._of.clock())
        if no.kind is VerdictKind.REJECTED and no.provider_code in self._later:
            return replace(no, kind=VerdictKind.RATE_LIMITED, stops_run=False)
        return no

    def _accepted(self, document: Json) -> Accepted | None:
        """Return a batch as a job; ``None`` if it is none.

        It says no address of its own, so that it is made of its name: that is the one of the API
        itself, with nothing of the answer in it but one step.
        """
        name = self._name(document)
        if not name:
            return None
        url = f"{self._of.base_url}{self._page_of(name)}"
        cancel_url = f"{url}{self._cancelled_at}"
        return Accepted(job_id=name, poll_url=url, cancel_url=cancel_url, keeps_s=self._keeps_s)

    def polled(self, reply: Reply, job: Accepted) -> BatchPolled:
        """Return what follows from a complete answer to a poll."""
        document = reply.document
        if is_gone(reply):
            return Gone(message=f"{self._of.who} does not know the batch {job.job_id} any more")
        if not (200 <= reply.status < 300 and self._name(document) == job.job_id):
            return unsaid(reply, now_s=self._of.clock())
        word = self._word(document)
        lines, how = self._lines(document), self._ends.get(word)
        if word in self._pending:
            return BatchMaking(lines=lines if lines and lines.total else None, message=word.lower())
        if how is None:
            shown = cleaned(word, most=80)
            return Unclear(message=f"{self._of.who} calls the batch {shown!r}, which is not known")
        return self._ended(reply, how, lines)

    def _word(self, batch: Json) -> str:
        return text_at(self._of_batch(batch), *self._state)

    def _of_batch(self, document: Json) -> Json:
        """Return the part of a document that is about the batch."""
        return document

    def _lines(self, batch: Json) -> LineCount | None:
        figures, *names = self._counts
        total, done, failed = (at(self._of_batch(batch), figures, name) for name in names)
        lines = line_count(total=total, done=done, failed=failed)
        if lines is None or self._word(batch) not in self._cut_short:
            return lines
        return replace(lines, expired=max(0, lines.total - lines.done - lines.failed))

    def _ended(self, reply: Reply, how: How, lines: LineCount | None) -> BatchEnded | BatchMaking:
        document = reply.document
        files, message = self._files(document), self._message(document)
        no = self._not_begun(document, lines) if how == "failed" and not files else None
        if no is not None:
            return BatchEnded(how=how, lines=lines, message=message, verdict=no)
        lacks = self._lacks(document, how, lines)
        if lacks == "a file" and self._since_its_end_s(reply) < LAG_S:
            return BatchMaking(lines=lines, message=f"{how}; {self._awaited} is not there yet")
        return BatchEnded(
            how=how,
            files=tuple(f"{self._of.base_url}{path}" for path in files),
            lacking="never_ran" if lacks == "nothing" and how != "failed" else "unknown",
            lines=lines,
            message=message,
        )

    def look_for(self, lost: Lost) -> str:  # noqa: ARG002 - its listing has no filter
        """Return where the listing of batches begins."""
        return f"{self._of.base_url}{self._batches}?{self._first_page}"

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        """Return what a page of the listing shows; one that cannot be read proves nothing."""
        items = self._items(reply) if 200 <= reply.status < 300 else None
        if items is None:
            return unsaid(reply, now_s=self._of.clock())
        for item in items:
            if not self._name(item):
                return Unsaid(message="a batch is listed without its name")
            label = text_at(self._of_batch(item), *self._label)
            is_it = lost.token is not None and label == f"{self._label_begins}{lost.token}"
            accepted = self._accepted(item) if is_it else None
            if accepted is not None and accepted.job_id not in lost.taken:
                return Found(accepted=accepted)
        following = self._following(reply, items)
        if isinstance(following, Unsaid):
            return following
        page = f"{self.look_for(lost)}&{self._cursor}={quote(following, safe='')}"
        return NotListed(next_url=page if following else None)

    def said(self, reply: Reply) -> LineSaid:
        """Return what one line of a result file says.

        Of a line that was answered the answer is judged as if it had come by itself.
        """
        step = self._of.judged(self._answer(reply))
        said = LineSaid(key=None, step=step)
        is_response = isinstance(at(reply.document, "response"), dict)
        if isinstance(step, Verdict) and step.kind is not VerdictKind.PICTURES and not is_response:
            said = self._unanswered(reply, step)
        key = name_at(reply.document, self._key) or None
        return replace(said, key=key, step=of_a_line(said.step))

    def _refused(self, status: int, words: dict[str, JsonValue]) -> Verdict:
        """Judge why a batch was not begun, as if its create had been refused with these words."""
        answer = Reply(status=status, headers={}, document={"error": words})
        return why_not_begun(self._of.judged(answer))

    def _since_its_end_s(self, reply: Reply) -> float:
        """Return how long ago a batch has ended, or has to have ended; below 0 if it had time.

        The ``Date`` of what says so goes before our own clock. Where it names no moment at all, it
        is asked for as long as it is kept.
        """
        about = self._of_batch(reply.document)
        begun_s = _moment_at(about, self._begun_at)
        ends = [_moment_at(about, name) for name in self._ended_at]
        ended_s = max((one for one in ends if one is not None), default=None)
        if ended_s is None and begun_s is not None:
            ended_s = begun_s + self.terms.within_s
        sent_s = moment_s(reply.headers.get("date", ""))
        now_s = self._of.clock() if sent_s is None else sent_s
        return 0.0 if ended_s is None else now_s - ended_s


def _moment_at(batch: Json, name: str) -> float | None:
    """Read a moment in seconds since 1970: a figure of them, or a text."""
    figure = figure_of(at(batch, name), most=_MOST_S)
    return iso_moment_s(text_at(batch, name)) if figure is None else float(figure)


def is_good(reply: Reply) -> bool:
    """Return whether an answer is a success, and no error that calls itself one."""
    return 200 <= reply.status < 300 and error_in(reply.document) is None
