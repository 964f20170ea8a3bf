"""A batch: many purchases that are lines of one job, made for less within a day or so.

Pure values, apart from the providers, which say the steps, and from those that take them. The order
is that of the ledger's protocol: the file is uploaded, which is free; then all lines and the job's
row are held at once; then the batch is created, by the one request that is paid for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from stage3_plugin.domain.exchange import Body, Fetch, Gone, Unclear, Unsaid
from stage3_plugin.domain.exchange import Payload as Payload  # noqa: PLC0414 - a body names it
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.profile import Listing
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.runtime.declared import (
    Address,
    Amount,
    Count,
    Headers,
    Hint,
    Key,
    Line,
    Message,
    Name,
    Seconds,
    Words,
    or_unknown,
)

UploadedAs: TypeAlias = Literal["lines", "reference"]
"""What a file is uploaded for: the lines of a batch, or to be shown by some of them."""
ShownAs: TypeAlias = Literal["file", "inline"]
How: TypeAlias = Literal["completed", "expired", "cancelled", "failed"]
"""How a batch has ended."""
Lacking: TypeAlias = Literal["never_ran", "unknown"]
Lines: TypeAlias = Annotated[LineCount, or_unknown]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTerms:
    """What a provider's batch lane takes and promises.

    Attributes:
        most_lines: Of one batch.
        most_bytes: Of its file of lines.
        most_queued_tokens: Of all batches that are being made of one model; ``None`` where that is
            not known, or differs by account.
        within_s: Seconds within which a batch has ended, finished or expired.
        listing: What its listing of batches can prove of a create whose answer was lost.
        references: ``file`` where pictures that lines show are uploaded once and named, ``inline``
            where they go into the lines.
        most_reference_bytes: Of a picture that is uploaded; ``None`` where no bound is known.
    """

    most_lines: Amount
    most_bytes: Amount
    most_queued_tokens: Amount | None = None
    within_s: Seconds
    listing: Listing
    references: ShownAs
    most_reference_bytes: Amount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLine:
    """One line of a batch's file.

    Attributes:
        payload: Becomes one line of JSON.
        dropped: Wishes of the request that it cannot express.
        tokens: What counts against :attr:`BatchTerms.most_queued_tokens`, at most; 0 if unknown.
    """

    payload: Body = field(repr=False)
    dropped: tuple[Line, ...] = ()
    tokens: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A step: one POST that hands over a file, or says that one comes. It costs nothing.

    Attributes:
        url: Absolute.
        headers: Beside those that the client sets itself; never the key.
        has_file: The file is in its body: alone, or as :attr:`file_field` of a form.
        file_field: The name of the file's field, where the body is ``multipart/form-data``.
        fields: Other fields of that form.
        payload: The JSON body of a step without the file.
        media_type: Of the file.
        file_name: Of the file, in a form.
    """

    url: Address
    headers: Headers = field(default_factory=dict[str, str])
    has_file: bool = True
    file_field: Line | None = None
    fields: Words = field(default_factory=dict[str, str])
    payload: Body | None = None
    media_type: Line = "application/jsonl"
    file_name: Line = "stage3.jsonl"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The provider has a file.

    Attributes:
        name: What it calls it, as ``create`` and lines name it.
    """

    name: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMaking:
    """The batch is being made.

    Attributes:
        lines: How far it is; ``None`` if that is not said.
        hint_s: Seconds the provider asks to wait.
        message: The provider's word for where it is, for people.
    """

    lines: Lines | None = None
    hint_s: Hint | None = None
    message: Message = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEnded:
    """Nothing more is made of the batch.

    Attributes:
        how: The word for people: ``completed``, ``expired``, ``cancelled`` or ``failed``.
        files: Addresses of its result files, each asked for with the key; none where it has none.
        lacking: What it means for a line that all of these files, whole, do not have: it never ran,
            or that is not known.
        lines: How many were done.
        message: Why, where it came to nothing; one line for people.
        verdict: Where nothing was even begun for a reason that is true of every line, such as a
            queue that is full: that.
    """

    how: How
    files: tuple[Address, ...] = ()
    lacking: Lacking = "never_ran"
    lines: Lines | None = None
    message: Message = ""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSaid:
    """What a line of a result file says.

    Attributes:
        key: Whose line it is; ``None`` if it does not say.
        step: What follows, as from the answer to an ordinary request.
        never_ran: Its provider says that the batch ended before it was begun. Then the step is a
            verdict of ``BUSY`` that cost nothing: the picture can be made by another batch.
    """

    key: Key | None
    step: Verdict | Fetch
    never_ran: bool = False


UploadStep: TypeAlias = Upload | Uploaded | Verdict
"""What follows from the answer to an upload: another step, its end, or why it came to nothing."""
CreateStep: TypeAlias = Accepted | Verdict
"""What follows from the answer to the create."""
BatchPolled: TypeAlias = BatchMaking | BatchEnded | Unsaid | Gone | Unclear
"""What follows from an answer to a poll."""


def key_of(token: str, line: int) -> str:
    """Return what a line is called at the provider; nothing of another batch is called so."""
    return f"{token}-{line}"


def line_of(token: str, key: str | None) -> int | None:
    """Return the number of a line by what it is called; ``None`` if it is none of this batch."""
    if key is None:
        return None
    number = key.rpartition("-")[2][:_MOST_DIGITS]
    is_ours = number.isascii() and number.isdigit() and key == key_of(token, int(number))
    return int(number) if is_ours else None


_MOST_DIGITS = 9
