"""What comes behind an accepted request: jobs, addresses of pictures, and batches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from stage3_plugin.testing.batch_plans import Batched, CutFile, Line
from stage3_plugin.testing.batches import BatchKind
from stage3_plugin.testing.bill import by_the_table
from stage3_plugin.testing.queues import Queued
from tests.fakes import behaviours as does
from tests.fakes.behaviours import Behaviour, Json, Ok, Raw
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.wire import Said
from tests.oracle.answers import FIGURES, PROVIDERS, SHAPES, STATUSES
from tests.oracle.cases import (
    AT_VENDORS,
    ROUTES,
    WITH_JOBS,
    Case,
    Good,
    Prepare,
    Route,
    Told,
    bent,
    meets,
    put,
    thinned,
)

PNG = make_png("a harbour", 64, 64)
ODD: dict[str, Any] = {
    "none": None, "empty": "", "a number": 5, "true": True, "a list": [], "an object": {},
    "long": "x" * 70_000, "upwards": "../../credits", "with a blank": "a b", "in two lines": "a\nb",
    "NUL": "a\0b", "a lone surrogate": "\ud83d", "the key": KEY, "percent": "%2e%2e%2f", "a dot": ".",
    "elsewhere": "http://127.0.0.1:9/a", "a file": "file:///etc/hosts", "no scheme": "//[",
    "a bad port": "http://127.0.0.1:99999/a", "with a login": "http://a:b@127.0.0.1:9/a",
    "of another kind": "gopher://127.0.0.1/", "a query": "?a=b", "in brackets": "<a>",
    "private": "http://169.254.169.254/latest", "data": "data:image/png;base64,AAAA",
}  # fmt: skip
FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "fal": {
        "submitted": ("request_id", "status_url", "response_url", "status"),
        "status": ("request_id", "status"), "result": ("images.0.url", "images", "seed", "images.0"),
    },
    "bfl": {"submitted": ("id", "polling_url"),
            "status": ("id", "status", "result", "result.sample")},
    "replicate": {"submitted": ("id", "urls.get", "status", "urls"),
                  "status": ("id", "status", "output", "urls.get", "error")},
}  # fmt: skip
BILLS = {"bfl": ("submitted", "cost"), "xai": ("submitted", "usage.cost_in_usd_ticks")}
VISITS: dict[str, Behaviour] = {
    **{f"missing {status}": does.Missing(status)
    for status in (204, 400, 401, 403, 404, 405, 408, 410, 416, 425, 429, 451, 500, 502, 503, 504)},
    **{f"half of it {status}{' cut' * cut}": does.HalfPicture(status, cut)
    for status in (200, 206) for cut in (False, True)},
    **{f"redirect {status}": does.Redirect("/pictures/1.png", status) for status in (301, 303, 307)},
    "redirect elsewhere": does.Redirect("http://127.0.0.1:9/a.png"), "reset": does.ResetAfterRead(),
    "a page": does.Page(200), "a page 403": does.Page(403), "nothing": Raw(b""),
    "as text": Raw(PNG, "text/html"), "another": Raw(make_png("another", 32, 32)),
    "JSON": Json({"error": "expired"}), "hangs": does.Hang(), "drips": does.Drip(),
    "early 403": does.EarlyAnswer(403), "endless": does.Endless(), "limited": does.Limited(),
    "limited for long": does.Limited(hint="retry-after", wait_s=60.0),
}  # fmt: skip
_LATE: dict[str, Any] = {"haste": 5, "runs": 4, "only_end": True}
"""Of a batch: a run looks at it twice within two seconds, and the next runs again."""
ADDRESSED = [*AT_VENDORS, *WITH_JOBS]


def _case(route: Route, name: str, prepare: Prepare, **more: Any) -> Case:
    fixed: dict[str, Any] = {"waits": True}
    return Case(name=f"{route.name}/{name}", route=route, prepare=prepare, **fixed | more)


def between(route: Route, name: str, behaviour: Behaviour) -> Iterator[Case]:
    """Yield one thing in the place of the first look at a job."""
    plan = Queued(polls=0, between=(behaviour,))
    yield from thinned(iter([_case(route, f"first look/{name}", meets(plan))]), one_of=4)


def _bodies() -> Iterator[Case]:
    """Each status and shape in the place of the first look, and of each look."""
    for route, status, shape in product(WITH_JOBS, STATUSES, SHAPES):
        told = Told(make=SHAPES[shape], status=status)
        yield _case(route, f"look/{status}/{shape}", meets(Queued(polls=0, between=(told,))))
        yield _case(route, f"looks/{status}/{shape}", lambda api, told=told: api.poll(
            told, of="status", times=99))  # fmt: skip


def _plans() -> Iterator[Case]:
    plans: dict[str, Queued] = {
        **{f"ends {ends}{'' if billed is None else f' billed {billed}'}": Queued(
        polls=0, ends=ends, billed=billed)
        for ends in ("made", "refused", "failed", "odd") for billed in (None, True, False)},
        **{f"ends as {word}": Queued(polls=0, ends="odd", word=word)
        for word in ("", "CANCELED", "succeeded", "Ready", "COMPLETED", "aborted", "Error", "x" * 999)},
        **{f"lost {lost}{' unlisted' * n}": Queued(polls=0, lost=lost, unlisted=n)
        for lost in ("begun", "not begun", "cut") for n in (0, 1, 9)},
        "after three looks": Queued(polls=3), "never": Queued(polls=99), "twice": Queued(polls=0, again=2),
        "forgotten": Queued(polls=99, kept=1), "forgotten at the end": Queued(polls=1, kept=1),
        "never known": Queued(polls=0, kept=0), "late": Queued(polls=0, delay_s=0.5),
        **{f"its picture is {status} {times} times": Queued(polls=0, visits=(status,) * times)
        for status in (403, 404, 410, 503) for times in (1, 99)},
    }  # fmt: skip
    for (name, plan), route in product(plans.items(), [*WITH_JOBS, ROUTES["xai"]]):
        yield _case(route, f"job/{name}", meets(plan))
    for route in [*WITH_JOBS, ROUTES["xai"]]:
        for trouble in ("bad key", "no money", "no model", "limited", "overloaded"):
            if trouble in route.server().queue.dialect.troubles:
                yield _case(route, f"job/{trouble}", lambda api, trouble=trouble: api.script(
                    api.queue.dialect.tells(trouble)))  # fmt: skip


def _fields() -> Iterator[Case]:
    """Each odd value in each field by which a job is followed."""
    for name, pages in FIELDS.items():
        for (page, paths), (what, value) in product(pages.items(), ODD.items()):
            for path in paths:

                def change(said: Said, _root: str, path: str = path, value: Any = value) -> Said:
                    try:
                        document = put(said.document, path, value)
                    except (TypeError, LookupError):
                        return said  # not while it is being made
                    return Said(said.status, document, said.headers)

                yield _case(ROUTES[name], f"{page} {path}/{what}", bent(page, change))


def _bills() -> Iterator[Case]:
    for (name, (page, path)), figure in product(BILLS.items(), FIGURES):

        def change(said: Said, _root: str, path: str = path, figure: object = figure) -> Said:
            return Said(said.status, put(said.document, path, figure), said.headers)

        yield _case(ROUTES[name], f"bill/{path} {json.dumps(figure)[:24]}", bent(page, change))
    for figure in ("0", "1", "0.5", "-1", "NaN", "1e9", "x", "", "9" * 500, "0.00000001"):

        def units(said: Said, _root: str, figure: str = figure) -> Said:
            return Said(said.status, said.document, {**said.headers, "X-Fal-Billable-Units": figure})

        yield _case(ROUTES["fal"], f"bill/units {figure[:24]!r}", bent("result", units))


def _visits() -> Iterator[Case]:
    """Each thing at a picture's address, once and each time; and each odd address."""
    for (name, behaviour), route in product(VISITS.items(), ADDRESSED):
        for often in ("once", "always"):

            def prepare(
                api: ImageApi, often: str = often, behaviour: Behaviour = behaviour,
                has_jobs: bool = route.has_jobs,
            ) -> None:  # fmt: skip
                if not has_jobs:
                    api.script(Ok(url="own"))
                if often == "once":
                    api.visit(behaviour)
                else:
                    api.visit_always(behaviour)

            patience = route.with_(timeout_s=120)
            yield _case(patience, f"picture {name} {often}", prepare)
    paths = {
        "openai": "data.0.url", "openrouter": "data.0.url",
        "openrouter chat": "choices.0.message.images.0.image_url.url",
        "gemini": "candidates.0.content.parts.0.fileData.fileUri",
    }  # fmt: skip
    for (what, value), (name, path) in product(ODD.items(), paths.items()):

        def make(good: Good, path: str = path, value: Any = value) -> bytes:
            return json.dumps(put(good.addressed, path, value)).encode()

        yield _case(ROUTES[name], f"address/{what}", meets(Told(make=make)))
    for how, name in product(("own", "relative", "foreign"), paths):
        yield _case(ROUTES[name], f"address {how}", meets(Ok(url=how)))  # type: ignore[arg-type]  # one of its own by now


def _batches() -> Iterator[Case]:
    plans: dict[str, Batched] = {
        **{f"{ends}, {done} done": Batched(polls=0, ends=ends, done=done)
        for ends in ("completed", "expired", "cancelled", "failed") for done in (None, 0, 1)},
        **{f"lost {lost}": Batched(polls=0, lost=lost) for lost in ("begun", "not begun", "cut")},
        **{f"failed by {why}": Batched(polls=0, ends="failed", why=why)
        for why in ("billing_hard_limit_reached", "invalid_file", "x")},
        **{f"ends as {word}": Batched(polls=0, word=word) for word in ("", "done", "cancelling")},
        "after a look": Batched(), "never": Batched(polls=99), "file late": Batched(polls=0, lag=1),
        "a line twice": Batched(polls=0, again=1), "lines of others": Batched(polls=0, foreign=3),
        "forgotten": Batched(polls=1, kept=1), "never known": Batched(kept=0),
        "file chunked": Batched(polls=0, framing="chunked"),
        "file until closed": Batched(polls=0, framing="close"),
        "no file": Batched(polls=0, no_file=None), "unlisted": Batched(polls=0, lost="begun", unlisted=9),
        "expired silently": Batched(polls=0, ends="expired", done=0, tells_expired=False),
    }  # fmt: skip
    lines: dict[str, Line] = {
        **{f"{ends}{'' if billed is None else f' billed {billed}'}": Line(ends=ends, billed=billed)
        for ends in ("made", "refused", "failed", "empty") for billed in (None, True, False)},
        "heavy": Line(heavy=True), "small": Line(size_px=(8, 8)), "no picture": Line(picture=b"x"),
        **{f"says {status} {name}": Line(ends="said", document=document, status=status)
        for status in (200, 400, 429, 500, 503) for name, document in {
            "nothing": None, "an error": {"error": {"message": "It failed.", "code": "server_error"}},
            "a list": [], "a bare picture": {"data": [{"b64_json": "AAAA"}]}, "words": "no",
        }.items()},
    }  # fmt: skip
    met: Mapping[BatchKind, tuple[Behaviour, ...]] = {
        "upload": (), "create": (), "batch": (), "batches": (),
        "results": tuple(CutFile(at=at, by=by) for at in (0, 40, -1) for by in ("reset", "close", "end")),
    }  # fmt: skip
    trouble: dict[str, Behaviour] = {
        "limited": does.Limited(), "500": does.ServerError(), "a page": does.Page(502),
        "missing": does.Missing(), "reset": does.ResetAfterRead(), "nothing": Raw(b""),
        "an odd object": Json({"odd": 1}), "a bad key": Json({"error": {"code": "invalid_api_key"}}, 401),
        "no money": Json({"error": {"code": "insufficient_quota", "message": "x"}}, 429),
        "cut": does.CutJson(), "redirect": does.Redirect("/v1/elsewhere"),
    }  # fmt: skip
    for route in (ROUTES["openai"], ROUTES["gemini"]):
        model = "gemini-3.1-flash-image" if route.name == "gemini" else "gpt-image-2"
        asked = route.with_(
            lane="batch", model=model, size="1024x1024", price_usd=None, listing_is_whole=True
        )

        def case(name: str, prepare: Prepare, asked: Route = asked) -> Case:
            def priced(api: ImageApi) -> None:
                api.bill, api.batches.plan = by_the_table, Batched(polls=0)
                prepare(api)

            return _case(asked, f"batch/{name}", priced, **_LATE)

        for name, plan in plans.items():
            yield case(name, lambda api, plan=plan: api.batches.script(plan))
        for name, line in lines.items():
            yield case(f"line {name}", lambda api, line=line: api.batches.script_line(
                line, scene="harbour"))  # fmt: skip
        for at, more in met.items():
            all_of_it = {**trouble, **{f"{one}": one for one in more}}
            for name, behaviour in all_of_it.items():
                if at == "create" and name == "cut":
                    continue
                yield case(f"{at} meets {name}", lambda api, at=at, behaviour=behaviour: (
                    api.batches.meet(behaviour, at=at)))  # fmt: skip


def _batches_heard() -> Iterator[Case]:
    """What vendors said of batches, in the place of the first answer of that kind."""
    for name in ("openai", "gemini"):
        told = json.loads((PROVIDERS / "recorded" / name / "batches.json").read_text("utf-8"))
        route = ROUTES[name].with_(lane="batch", size="1024x1024", listing_is_whole=True)
        for number, one in enumerate(told["replies"], 1):
            if one["to"] == "line" or "body" not in one:
                continue
            text = json.dumps(one["body"]).replace(told["job"]["job_id"], "batch_00000002")
            answer = Json(json.loads(text), one["status"], one.get("headers", {}))
            yield _case(
                route, f"batch/heard {number} to {one['to']}",
                lambda api, at=one["to"], answer=answer: api.batches.meet(answer, at=at),
                **_LATE,
            )  # fmt: skip


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from thinned(_bodies(), one_of=90)
    yield from _plans()
    yield from thinned(_fields(), one_of=4)
    yield from _bills()
    yield from thinned(_visits(), one_of=4)
    yield from thinned(_batches(), one_of=2)
    yield from _batches_heard()
