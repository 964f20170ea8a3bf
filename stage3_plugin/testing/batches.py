"""A vendor's batches: the files it was handed, the batches it was given, and what it billed.

One state machine for all vendors, as with their queues: what their pages are called and what stands
on them is a :class:`BatchDialect`. A batch that was begun is billed by its plan, line by line,
whether anybody hears of it or not: a lost answer changes no bill.
"""

from __future__ import annotations

import collections
import json
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from email.utils import formatdate
from typing import Any, ClassVar, Literal, TypeAlias, cast

from stage3_plugin.testing import shapes
from stage3_plugin.testing.batch_plans import Batched, BatchEnds, Line
from stage3_plugin.testing.behaviours import Behaviour, Json
from stage3_plugin.testing.bill import Bill
from stage3_plugin.testing.result_files import HERE, Drawn, ResultFile, ResultLine, drawing
from stage3_plugin.testing.wire import Asked, Exchange, Framing, Said, prompt_of

BatchKind: TypeAlias = Literal[
    "upload", "uploaded", "create", "batch", "batches", "results", "cancel"
]
"""What a page is for: handing a file over, what became of it; beginning a batch, how far it is, all
there are, a file of its results, and calling it off."""
Standing: TypeAlias = Literal["new", "working", "ending"] | BatchEnds
Biller: TypeAlias = Callable[[Mapping[str, Any], str], Bill | None]

HALF = Decimal("0.5")
_MICRO = Decimal("0.000001")
_KEPT = 64
"""Bytes of a picture that was uploaded that its book keeps; of a file of lines it keeps all."""


@dataclass(frozen=True, slots=True)
class BatchPage:
    """What a request is for; of one batch or file, where it names one."""

    kind: BatchKind
    vendor: str
    name: str = ""


@dataclass(slots=True, kw_only=True)
class Stored:
    """A file that the vendor was handed.

    Attributes:
        id: Its name there.
        data: Its bytes; of a picture the first.
        size_bytes: Of all of it.
        of: What it is for, in the vendor's words.
        media_type: As it was told.
        name: As it was told.
    """

    id: str
    data: bytes = field(repr=False)
    size_bytes: int
    of: str
    media_type: str
    name: str = ""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(slots=True, kw_only=True)
class BatchLine:
    """A line of a batch, in the vendor's books.

    Attributes:
        key: What it is called.
        asked: What it asks for, as if it were a request of its own.
        plan: What becomes of it, if it runs.
        ran: Whether it did, or will.
        usd: What it costs; ``None`` if a picture of its model has no known price.
    """

    key: str
    asked: Asked
    plan: Line
    ran: bool
    usd: Decimal | None

    @property
    def is_billed(self) -> bool:
        """Return whether money was taken."""
        return self.ran and self.plan.is_billed

    @property
    def prompt(self) -> str:
        """Return what it wants drawn."""
        return self.asked.prompt


@dataclass(slots=True, kw_only=True)
class Batch:
    """A batch in the vendor's books.

    Attributes:
        id: The vendor's name of it.
        vendor: Whose it is.
        asked: Its create.
        of: What its lines have in common: an address or a model.
        label: What it was called.
        input_file: What its lines were uploaded as.
        lines: In their order.
        plan: What becomes of it.
        faults: Why it fails, before a line runs: code, message, and the line from 1 or nothing.
        looks: How often it was looked at.
        ended_looks: Those of them that found it ended.
        listings: How often it might have been listed.
    """

    id: str
    vendor: str
    asked: Asked
    of: str
    label: str
    input_file: str
    lines: list[BatchLine]
    plan: Batched
    faults: list[tuple[str, str, int | None]]
    begun_at: datetime
    begun_s: float
    looks: int = 0
    ended_looks: int = 0
    listings: int = 0
    between: list[Behaviour] = field(default_factory=list[Behaviour])

    @property
    def ran(self) -> list[BatchLine]:
        """Return the lines that ran, or will."""
        return [line for line in self.lines if line.ran]

    def done(self, standing: Standing) -> list[BatchLine]:
        """Return the lines that have been made so far."""
        ran = self.ran
        if standing == "new":
            return []
        if standing == "working":
            seen = min(max(self.looks - 1, 0), max(self.plan.polls, 1))
            return ran[: len(ran) * seen // (max(self.plan.polls, 1) + 1)]
        return ran


class BatchDialect(ABC):
    """How a vendor with batches says things; ``at`` is always the root of the server's address.

    Attributes:
        name: The word of the provider that speaks it.
        share: What part of the ordinary price a line costs.
        expiry_delivers: Whether a batch that expired has the results of what was made by then, and
            bills them.
    """

    name: ClassVar[str]
    share: Decimal = HALF
    expiry_delivers: ClassVar[bool] = True

    @abstractmethod
    def page_of(self, method: str, path: str) -> BatchPage | None:
        """Return what a request is for; ``None`` for what is none of its pages."""

    @abstractmethod
    def key_in(self, asked: Asked) -> str | None:
        """Return the key that a request carries."""

    @abstractmethod
    def upload(self, books: Batches, asked: Asked, body: bytes, at: str) -> Said:
        """Return the answer to a step of handing over a file."""

    @abstractmethod
    def uploaded(self, stored: Stored, at: str) -> Said:
        """Return what is known of a file."""

    @abstractmethod
    def wanted(self, asked: Asked) -> tuple[str, str, str]:
        """Return of a create what its lines have in common, its label and its file."""

    def refuses(self, asked: Asked) -> Said | None:
        """Return how a create is refused that is not what it must be."""
        del asked
        return None

    @abstractmethod
    def line(self, document: Mapping[str, Any], of: str) -> tuple[str, str, Mapping[str, Any]]:
        """Return the key of a line, the path it is for and what it asks for there."""

    def fault_of(self, document: Mapping[str, Any], of: str) -> tuple[str, str] | None:
        """Return the code and the message by which a line is turned away; ``None``: it is good."""
        del document, of
        return None

    def files_in(self, document: Mapping[str, Any]) -> Sequence[str]:
        """Return the names of the files that a line's picture shows."""
        del document
        return ()

    def too_much(self, books: Batches) -> Said | None:
        """Return the answer to a create that is one too many, where the vendor says it there."""
        del books
        return None

    @abstractmethod
    def shown(self, batch: Batch, standing: Standing, at: str) -> Mapping[str, Any]:
        """Return how far a batch is."""

    @abstractmethod
    def listed(self, batches: Sequence[Batch], asked: Asked) -> Sequence[Batch]:
        """Return those that stand on the page of the listing that is asked for."""

    @abstractmethod
    def listing(self, shown: Sequence[Mapping[str, Any]], next_page: str | None) -> Said:
        """Return a page of the listing; ``next_page``: the last name on it, if there is more."""

    @abstractmethod
    def results(self, batch: Batch, name: str) -> ResultFile | None:
        """Return a file of a batch's results; ``None`` if it is none of its own."""

    @abstractmethod
    def unknown(self, name: str) -> Said:
        """Return the answer to who asks for what there is not."""


class Batches:
    """The books of the vendors with batches: all of them on one server.

    Attributes:
        all: The batches that were begun, in their order.
        files: The files that were handed over, by their names.
        plan: What becomes of batches that no plan was lined up for.
        line: What becomes of lines that no plan was lined up for.
        most_lines: A batch with more fails.
        most_bytes: A larger file is turned away.
        most_queued_lines: With more in batches that are being made, a further batch is turned away
            or fails.
        cut_uploads: So many bytes of the next uploads' bodies are read before they are reset.
        page_batches: Most batches on a page of a listing.
        date_s: The vendors' own clock, in seconds since 1970, as their answers tell it.
    """

    def __init__(
        self,
        dialects: Sequence[BatchDialect],
        *,
        bill: Biller = lambda _, __: None,
        refuses: Callable[[Asked], Behaviour | None] = lambda _: None,
        drawn: Callable[[Asked], Asked] = lambda asked: asked,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dialects = {dialect.name: dialect for dialect in dialects}
        self.all: list[Batch] = []
        self.files: dict[str, Stored] = {}
        self.plan = Batched()
        self.line = Line()
        self.most_lines = 50_000
        self.most_bytes = 200_000_000
        self.most_queued_lines: int | None = None
        self.cut_uploads: collections.deque[int] = collections.deque()
        self.page_batches = 100
        self.date_s: Callable[[], float] = time.time
        self._bill = bill
        self._refuses = refuses
        self._drawn = drawn
        self._clock = clock
        self._plans = collections.deque[Behaviour]()
        self._lines: dict[str, collections.deque[Line]] = {}
        self._met: dict[BatchKind | None, collections.deque[Behaviour]] = {}
        self._numbers = 0

    # What tests say and ask ---------------------------------------------------------------------

    def script(self, *plans: Batched, times: int = 1) -> None:
        """Line up what becomes of the next batches."""
        self._plans.extend(plans * times)

    def script_line(self, *plans: Line, scene: str, times: int = 1) -> None:
        """Line up what becomes of the next lines whose prompt contains ``scene``."""
        self._lines.setdefault(scene, collections.deque()).extend(plans * times)

    def meet(self, *behaviours: Behaviour, at: BatchKind | None = None, times: int = 1) -> None:
        """Line up what the next requests meet, at any page or at those of one kind.

        A create that meets an answer of another kind than :class:`Batched` is not begun, unless
        that answer is made of the true one, as that of ``CutJson`` is.
        """
        self._met.setdefault(at, collections.deque()).extend(behaviours * times)

    @property
    def lines(self) -> list[BatchLine]:
        """Return the lines of all batches."""
        return [line for batch in self.all for line in batch.lines]

    def received(self, scene: str = "") -> int:
        """Count the lines of batches whose prompt contains ``scene``, run or not."""
        return sum(scene in line.prompt for line in self.lines)

    def ran(self, scene: str = "") -> int:
        """Count those of them that ran."""
        return sum(scene in line.prompt and line.ran for line in self.lines)

    def billed(self, scene: str = "") -> int:
        """Count those of them that money was taken for."""
        return sum(scene in line.prompt and line.is_billed for line in self.lines)

    @property
    def billed_usd(self) -> Decimal:
        """Return what all lines come to that have a price."""
        return sum((line.usd or Decimal(0) for line in self.lines), Decimal(0))

    @property
    def unfinished(self) -> list[Batch]:
        """Return the batches that are being made."""
        return [one for one in self.all if self.standing(one) in {"new", "working"}]

    def standing(self, batch: Batch) -> Standing:
        """Return how far a batch is."""
        if batch.faults:
            return "failed" if batch.looks >= 1 else "new"
        plan = batch.plan
        is_early = batch.looks < plan.polls or self._clock() - batch.begun_s < plan.takes_s
        if is_early or (plan.until is not None and not plan.until.is_open):
            return "working" if batch.looks else "new"
        return "ending" if batch.ended_looks < plan.lag else plan.ends

    # What the server asks -----------------------------------------------------------------------

    def page_of(self, method: str, path: str) -> BatchPage | None:
        """Return what a request is for; ``None`` if that is no page of these vendors' batches."""
        pages = (dialect.page_of(method, path) for dialect in self.dialects.values())
        return next((page for page in pages if page is not None), None)

    def has_key(self, asked: Asked, page: BatchPage, key: str | None) -> bool:
        """Return whether a request carries the key where the vendor looks for it."""
        return key is None or self.dialects[page.vendor].key_in(asked) == key

    def meets(self, page: BatchPage) -> Behaviour | None:
        """Return what a request meets instead of what is there; a create always meets something."""
        for lined_up in (self._met.get(page.kind), self._met.get(None)):
            if lined_up:
                return lined_up.popleft()
        if page.kind == "create":
            return self._plans.popleft() if self._plans else self.plan
        batch = self._known(page.name) if page.kind == "batch" else None
        return batch.between.pop(0) if batch is not None and batch.between else None

    def begin(self, asked: Asked, page: BatchPage, plan: object, at: str) -> Said:
        """Begin the batch of a create, and return the answer."""
        dialect = self.dialects[page.vendor]
        of, label, input_file = dialect.wanted(asked)
        stored = self.files.get(input_file)
        if stored is None:
            return dialect.unknown(input_file)
        if (said := dialect.refuses(asked)) is not None:
            return said
        chosen = plan if isinstance(plan, Batched) else self.plan
        documents, faults = self._read(dialect, stored, of)
        too_much = self.most_queued_lines is not None and self.most_queued_lines < len(
            documents
        ) + sum(len(one.lines) for one in self.unfinished)
        if too_much and (said := dialect.too_much(self)) is not None:
            return said
        if too_much:
            faults.append(("token_limit_exceeded", "Enqueued token limit reached.", None))
        if chosen.ends == "failed":
            faults.append((chosen.why, f"The batch failed: {chosen.why}.", None))
        most = len(documents) if chosen.done is None else chosen.done
        if faults or (chosen.ends == "expired" and not dialect.expiry_delivers):
            most = 0
        batch = Batch(
            id=f"batch_{asked.number:08d}",
            vendor=page.vendor,
            asked=asked,
            of=of,
            label=label,
            input_file=input_file,
            lines=[
                self._line(dialect, document, of, asked, ran=number < most)
                for number, document in enumerate(documents)
            ],
            plan=chosen,
            faults=faults,
            begun_at=datetime.now(UTC),
            begun_s=self._clock(),
            between=list(chosen.between),
        )
        self.all.append(batch)
        return Said(200, dialect.shown(batch, "new", at))

    async def answer(self, exchange: Exchange, page: BatchPage, body: bytes, at: str) -> None:
        """Answer a request for one of the pages as things are."""
        if page.kind == "results" and exchange.content is not None:
            media = {"Content-Type": "application/octet-stream"}
            await exchange.stream(200, exchange.content, media, framing=self._framing(page))
            return
        said = self._said(exchange.asked, page, body, at)
        dated = {"Date": formatdate(self.date_s(), usegmt=True), **said.headers}
        await exchange.reply_json(said.status, said.document, dated)

    def content(self, page: BatchPage) -> ResultFile | None:
        """Return the file of results that a page is."""
        if page.kind != "results":
            return None
        dialect = self.dialects[page.vendor]
        of_vendor = (one for one in self.all if one.vendor == page.vendor)
        ended = (one for one in of_vendor if self.standing(one) == one.plan.ends)
        files = (dialect.results(one, page.name) for one in ended)
        return next((file for file in files if file is not None), None)

    def store(self, data: bytes, *, of: str, media_type: str, name: str, prefix: str) -> Stored:
        """Keep a file that was handed over."""
        self._numbers += 1
        kept = data[:_KEPT] if media_type.startswith("image/") else data
        stored = Stored(
            id=f"{prefix}{self._numbers:08d}",
            data=kept,
            size_bytes=len(data),
            of=of,
            media_type=media_type,
            name=name,
        )
        self.files[stored.id] = stored
        return stored

    # ---------------------------------------------------------------------------------------------

    def _known(self, name: str) -> Batch | None:
        for one in self.all:
            if one.id == name and (one.plan.kept is None or one.looks < one.plan.kept):
                return one
        return None

    def _framing(self, page: BatchPage) -> Framing:
        dialect = self.dialects[page.vendor]
        for one in self.all:
            if one.vendor == page.vendor and dialect.results(one, page.name) is not None:
                return one.plan.framing
        return "length"

    def _said(self, asked: Asked, page: BatchPage, body: bytes, at: str) -> Said:
        dialect = self.dialects[page.vendor]
        if page.kind == "upload":
            return dialect.upload(self, asked, body, at)
        if page.kind == "batches":
            return self._listed(dialect, asked, at)
        if page.kind == "uploaded" and page.name in self.files:
            return dialect.uploaded(self.files[page.name], at)
        batch = self._known(page.name) if page.kind in {"batch", "cancel"} else None
        if batch is None:
            return dialect.unknown(page.name)
        if page.kind == "cancel":
            self._cancel(batch)
            return Said(200, dialect.shown(batch, self.standing(batch), at))
        standing = self._looked_at(batch)
        return Said(200, dialect.shown(batch, standing, at))

    def _looked_at(self, batch: Batch) -> Standing:
        standing = self.standing(batch)
        batch.looks += 1
        batch.ended_looks += standing not in {"new", "working"}
        return standing

    def _cancel(self, batch: Batch) -> None:
        """Call a batch off: what has been made by now is delivered, and the rest never runs."""
        standing = self.standing(batch)
        if standing not in {"new", "working"}:
            return
        done = {id(line) for line in batch.done(standing)}
        for line in batch.lines:
            if line.ran and id(line) not in done:
                line.ran, line.usd = False, Decimal(0)
        batch.plan = replace(batch.plan, ends="cancelled", polls=0, takes_s=0.0, until=None)

    def _listed(self, dialect: BatchDialect, asked: Asked, at: str) -> Said:
        is_first = not {"after", "pageToken"} & {*asked.query}
        there: list[Batch] = []
        for batch in reversed(self.all):
            if batch.vendor != dialect.name:
                continue
            batch.listings += is_first
            if batch.listings > batch.plan.unlisted:
                there.append(batch)
        page = dialect.listed(there, asked)[: self.page_batches]
        has_more = bool(page) and page[-1] is not there[-1]
        shown = [dialect.shown(one, self.standing(one), at) for one in page]
        return dialect.listing(shown, page[-1].id if has_more else None)

    def _read(
        self, dialect: BatchDialect, stored: Stored, of: str
    ) -> tuple[list[Mapping[str, Any]], list[tuple[str, str, int | None]]]:
        """Read a file of lines, and see that they are what the vendor takes."""
        documents: list[Mapping[str, Any]] = []
        faults: list[tuple[str, str, int | None]] = []
        keys = set[str]()
        for number, text in enumerate(stored.data.splitlines(), start=1):
            try:
                document = cast("dict[str, Any]", json.loads(text))
                key = dialect.line(document, of)[0]
            except (ValueError, LookupError, TypeError):
                faults.append(("invalid_json_line", "This line is not what it must be.", number))
                continue
            documents.append(document)
            if (fault := dialect.fault_of(document, of)) is not None:
                faults.append((*fault, number))
            if key in keys:
                faults.append(("duplicate_custom_id", f"There are two {key!r}.", number))
            keys.add(key)
            missing = [name for name in dialect.files_in(document) if name not in self.files]
            if missing:
                faults.append(("file_not_found", f"No such file: {missing[0]}.", number))
        if not documents:
            faults.append(("empty_file", "The file has no lines.", None))
        if len(documents) > self.most_lines:
            faults.append(("too_many_tasks", f"More than {self.most_lines} lines.", None))
        return documents, faults

    def _line(
        self,
        dialect: BatchDialect,
        document: Mapping[str, Any],
        of: str,
        create: Asked,
        *,
        ran: bool,
    ) -> BatchLine:
        key, path, body = dialect.line(document, of)
        self._numbers += 1
        prompt = prompt_of(body)
        bill = self._bill({"model": shapes.model_of(path), **body}, prompt)
        asked = Asked(
            number=self._numbers,
            method="POST",
            path=path,
            headers={},
            document=body,
            prompt=prompt,
            in_flight=create.in_flight,
            bill=bill,
        )
        asked = self._drawn(asked)
        plan = self._plan_of(asked) if ran else self.line
        usd: Decimal | None = Decimal(0)
        if ran and plan.is_billed:
            usual = shapes.usual_usd(asked)
            usd = None if usual is None else (usual * dialect.share).quantize(_MICRO, ROUND_CEILING)
        return BatchLine(key=key, asked=asked, plan=plan, ran=ran, usd=usd)

    def _plan_of(self, asked: Asked) -> Line:
        """Choose what becomes of a line: what the vendor does not take comes before any plan."""
        refusal = self._refuses(asked)
        if isinstance(refusal, Json):
            document, status = refusal.document, refusal.status
            return Line(ends="said", document=document, status=status, billed=refusal.billed)
        for scene, plans in self._lines.items():
            if plans and scene in asked.prompt:
                return plans.popleft()
        return self.line


# What a line came to, for the dialects ----------------------------------------------------------


def body_of(line: BatchLine) -> tuple[int, object, Drawn | None]:
    """Return status and document of what a line came to, and the picture that goes into it."""
    plan, asked = line.plan, line.asked
    match plan.ends:
        case "made":
            width_px, height_px = plan.size_px or asked.size_px
            picture = drawing(asked.prompt, width_px, height_px, heavy=plan.heavy)
            if (given := plan.picture) is not None:
                picture = Drawn(lambda: len(given), lambda: given)
            elif (drawn := asked.drawn) is not None:
                picture = Drawn(lambda: len(drawn()), drawn)
            return 200, shapes.success(asked, shapes.Base64(HERE), usage={}), picture
        case "empty":
            return 200, shapes.success(asked, None, usage={}), None
        case "said":
            return plan.status, plan.document, None
        case "refused" | "failed":
            said = shapes.refusal(asked) if plan.ends == "refused" else shapes.fault(asked)
            return said.status, said.document, None


def in_order(batch: Batch, lines: Sequence[ResultLine]) -> list[ResultLine]:
    """Return result lines in the order of a batch's plan."""
    ordered = list(lines)
    if batch.plan.order == "reversed":
        ordered.reverse()
    elif batch.plan.order == "shuffled":
        random.Random(batch.id).shuffle(ordered)  # noqa: S311 - the same every time
    return ordered
