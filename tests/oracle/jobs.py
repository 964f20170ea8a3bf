"""What comes behind an accepted request: jobs, addresses of pictures, and batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

from stage3_plugin.testing.batch_plans import Batched, CutBy, CutFile, Line
from stage3_plugin.testing.batches import BatchKind
from stage3_plugin.testing.bill import by_the_table
from stage3_plugin.testing.dialects import dialect_of
from stage3_plugin.testing.queues import Queued
from tests.fakes.behaviours import Behaviour, HalfPicture, Json, Ok, Raw
from tests.fakes.image_api import ImageApi
from tests.fakes.menu import named
from tests.fakes.pngs import make_png
from tests.fakes.wire import Said
from tests.oracle.answers import PROVIDERS
from tests.oracle.cases import (
    AT_ONCE,
    CORPUS,
    ROUTES,
    WITH_JOBS,
    Case,
    Good,
    Prepare,
    Route,
    Told,
    bent,
    looks,
    meets,
    put,
    repeated,
    thinned,
    visited,
)

ODD = {text[:30]: json.loads(repeated(text)) for text in CORPUS.odd}
_LATE: dict[str, Any] = {"haste": 5, "runs": 4, "only_end": True}
"""Of a batch: a run looks at it twice within two seconds, and the next runs again."""


def _case(route: Route, name: str, prepare: Prepare, **more: Any) -> Case:
    spoken = name.replace("//", "")
    return Case(name=f"{route.name}/{spoken}", route=route, prepare=prepare, waits=True, **more)


def between(route: Route, name: str, behaviour: Behaviour, **more: Any) -> Case:
    """Return one thing in the place of the first look at a job."""
    prepare = meets(Queued(polls=0, between=(behaviour,)))
    return _case(route, f"first look/{name}", prepare, **more)


def _bodies() -> Iterator[Case]:
    """Each status and shape in the place of the first look, and of each look."""
    for route, status, shape in product(WITH_JOBS, CORPUS.statuses, CORPUS.shapes):
        told = Told(make=CORPUS.shapes[shape], status=status)
        yield between(route, f"{status}/{shape}", told)
        hurried = route.with_(deadline_s=120)
        yield _case(hurried, f"looks/{status}/{shape}", looks(told, "status", times=999))


def _plans() -> Iterator[Case]:
    plans: dict[str, Queued] = {
        **{f"{ends} billed {billed}": Queued(polls=0, ends=ends, billed=billed)
        for ends in ("made", "refused", "failed", "odd") for billed in (None, True, False)},
        **{f"ends as {word[:9]}": Queued(polls=0, ends="odd", word=word) for word in (
        "", "CANCELED", "succeeded", "Ready", "COMPLETED", "aborted", "Error", "x" * 999)},
        **{f"lost {lost} unlisted {times}": Queued(polls=0, lost=lost, unlisted=times)
        for lost in ("begun", "not begun", "cut") for times in (0, 1, 9)},
        "after three looks": Queued(polls=3), "never": Queued(polls=99),
        "twice": Queued(polls=0, again=2), "forgotten": Queued(polls=99, kept=1),
        "forgotten at the end": Queued(polls=1, kept=1), "never known": Queued(polls=0, kept=0),
        **{f"its picture is {status} {times} times": Queued(polls=0, visits=(status,) * times)
        for status in (403, 404, 410, 503) for times in (1, 99)},
    }  # fmt: skip
    for (name, plan), route in product(plans.items(), [*WITH_JOBS, ROUTES["xai"]]):
        # Whether a listing has it within a run's minute is up to the moment.
        yield _case(route, f"job/{name}", meets(plan), only_end=plan.unlisted > 0)
    for route in [*WITH_JOBS, ROUTES["xai"]]:
        dialect = dialect_of(route.name)
        assert dialect is not None
        for trouble in dialect.troubles:
            yield _case(route, f"job/{trouble}", meets(dialect().tells(trouble)))


def _fields() -> Iterator[Case]:
    """Each odd value in each field by which a job is followed, and each figure in its bill."""
    for name, pages in CORPUS.jobs.items():
        for (page, paths), (what, value) in product(pages.items(), ODD.items()):
            for path in paths:
                yield _case(ROUTES[name], f"{page} {path}/{what}", _bent(page, path, value))
    bills = {"bfl": ("submitted", "cost"), "xai": ("submitted", "usage.cost_in_usd_ticks")}
    for name, (page, path) in bills.items():
        for text in CORPUS.figures:
            yield _case(ROUTES[name], f"bill/{text}", _bent(page, path, json.loads(text)))
    for text in CORPUS.headers["X-Fal-Billable-Units"]:

        def billed(said: Said, units: str = repeated(text)) -> Said:
            return Said(said.status, said.document, {**said.headers, "X-Fal-Billable-Units": units})

        yield _case(ROUTES["fal"], f"bill/{text}", bent("result", billed))


def _bent(page: str, path: str, value: object) -> Prepare:
    def change(said: Said) -> Said:
        try:
            return Said(said.status, put(said.document, path, value), said.headers)
        except (TypeError, LookupError):
            return said  # while it is being made

    return bent(page, change)


def _visits() -> Iterator[Case]:
    """Each thing at a picture's address, once and each time; and each odd address."""
    found: dict[str, Behaviour] = {name: named(name) for name in CORPUS.visits} | {
        "a picture as text": Raw(make_png("a harbour", 64, 64), "text/html"),
        "another": Raw(make_png("another", 32, 32)), "cut": HalfPicture(is_cut=True),
    }  # fmt: skip
    for (name, behaviour), route in product(found.items(), [*AT_ONCE, *WITH_JOBS]):
        impatient = route.with_(timeout_s=120)
        first: list[Behaviour] = [] if route.has_jobs else [Ok(url="own")]
        for times in (1, 999):
            yield _case(impatient, f"at address/{name} {times}", visited(
                behaviour, *first, times=times))  # fmt: skip
    for (what, value), (name, path) in product(ODD.items(), CORPUS.addresses.items()):

        def make(good: Good, path: str = path, value: Any = value) -> bytes:
            return json.dumps(put(good.addressed, path, value)).encode()

        yield _case(ROUTES[name], f"address/{what}", meets(Told(make=make)))


def _batches() -> Iterator[Case]:
    plans: dict[str, Batched] = {
        **{f"{ends}, {done} done": Batched(polls=0, ends=ends, done=done)
        for ends in ("completed", "expired", "cancelled", "failed") for done in (None, 0, 1)},
        **{f"lost {lost}": Batched(polls=0, lost=lost) for lost in ("begun", "not begun", "cut")},
        **{f"failed by {why}": Batched(polls=0, ends="failed", why=why)
        for why in ("billing_hard_limit_reached", "invalid_file", "x")},
        **{f"ends as {word}": Batched(polls=0, word=word) for word in ("", "done", "cancelling")},
        "after a look": Batched(), "file late": Batched(polls=0, lag=1),
        "a line twice": Batched(polls=0, again=1), "lines of others": Batched(polls=0, foreign=3),
        "forgotten": Batched(polls=1, kept=1), "never known": Batched(kept=0),
        "file chunked": Batched(polls=0, framing="chunked"), "no file": Batched(no_file=None),
        "unlisted": Batched(polls=0, lost="begun", unlisted=9),
        "expired silently": Batched(polls=0, ends="expired", done=0, tells_expired=False),
    }  # fmt: skip
    documents: tuple[object, ...] = (
        None, {"error": {"message": "It failed.", "code": "server_error"}}, [], "no",
        {"data": [{"b64_json": "AAAA"}]},
    )  # fmt: skip
    lines: dict[str, Line] = {
        **{f"{ends} billed {billed}": Line(ends=ends, billed=billed)
        for ends in ("made", "refused", "failed", "empty") for billed in (None, True, False)},
        "heavy": Line(heavy=True), "small": Line(size_px=(8, 8)), "no picture": Line(picture=b"x"),
        **{f"says {status} {document}": Line(ends="said", document=document, status=status)
        for status in (200, 400, 429, 500, 503) for document in documents},
    }  # fmt: skip
    for name, plan in plans.items():
        yield from _batch(name, _planned(plan))
    for name, line in lines.items():
        yield from _batch(f"line {name}", _lined(line))
    endings: tuple[CutBy, ...] = ("reset", "close", "end")
    for at, by in product((0, 40, -1), endings):
        yield from _batch(f"cut at {at} by {by}", _met(CutFile(at=at, by=by), "results"))
    pages: tuple[BatchKind, ...] = ("upload", "create", "batch", "batches", "results")
    for page, name in product(pages, CORPUS.pages):
        yield from _batch(f"{page} meets {name}", _met(named(name), page))


def _planned(plan: Batched) -> Prepare:
    return lambda api: api.batches.script(plan)


def _lined(line: Line) -> Prepare:
    return lambda api: api.batches.script_line(line, scene="harbour")


def _met(behaviour: Behaviour, page: BatchKind) -> Prepare:
    return lambda api: api.batches.meet(behaviour, at=page)


def _batch(name: str, prepare: Prepare) -> Iterator[Case]:
    """Yield a batch of one line, at each vendor that has some."""
    for word, model in (("openai", "gpt-image-2"), ("gemini", "gemini-3.1-flash-image")):

        def priced(api: ImageApi) -> None:
            api.bill, api.batches.plan = by_the_table, Batched(polls=0)
            prepare(api)

        route = ROUTES[word].with_(
            lane="batch", model=model, size="1024x1024", price_usd=None, listing_is_whole=True
        )
        yield _case(route, f"batch/{name}", priced, **_LATE)


def _batches_heard() -> Iterator[Case]:
    """What vendors said of batches, in the place of the first answer of that kind."""
    for word in ("openai", "gemini"):
        told = json.loads((PROVIDERS / "recorded" / word / "batches.json").read_text("utf-8"))
        route = ROUTES[word].with_(lane="batch", size="1024x1024", listing_is_whole=True)
        for number, one in enumerate(told["replies"], 1):
            if one["to"] != "line" and "body" in one:
                text = json.dumps(one["body"]).replace(told["job"]["job_id"], "batch_00000002")
                answer = Json(json.loads(text), one["status"], one.get("headers", {}))
                name = f"batch/heard {number} to {one['to']}"
                yield _case(route, name, _met(answer, one["to"]), **_LATE)


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from thinned(_bodies(), one_of=90)
    yield from _plans()
    yield from thinned(_fields(), one_of=4)
    yield from thinned(_visits(), one_of=4)
    yield from thinned(_batches(), one_of=2)
    yield from _batches_heard()
