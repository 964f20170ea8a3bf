"""Laws about jobs, asked of a server on this machine that speaks as the vendor does."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from stage3_plugin.domain.exchange import (
    Fetch,
    Found,
    Gone,
    Lost,
    NotListed,
    Poll,
    Reply,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.picture import RemotePicture
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.testing.behaviours import Behaviour, Page, ServerError
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.queues import Loss, Queued, Trouble
from stage3_plugin.testing.recordings import Step
from stage3_plugin.testing.subject import TOKEN, WISH, Subject, must, with_texts
from stage3_plugin.testing.talking import NoAnswer, Talk

WORD = "STATE_OF_TOMORROW"
_ABOUT_US: tuple[Trouble, ...] = ("limited", "overloaded", "bad key")


def an_unknown_state_ends_nothing_and_is_shown(subject: Subject) -> int:
    """It is no end, and none that is known to pass: it is asked on, slowly, with a warning."""
    provider, tried = subject.at(), 0
    for heard in subject.known:
        is_of_a_job = heard.to == "status" and 200 <= heard.status < 300
        if not (is_of_a_job and isinstance(heard.step(provider), Poll)):
            continue
        told = with_texts(json.loads(heard.body), _word_for(heard.job))
        reply = Reply(status=heard.status, headers=dict(heard.headers), document=told)
        step = subject.step(provider, heard, reply, heard.name)
        must(isinstance(step, Unclear), f"{heard.name}, in words of tomorrow: it is {step}")
        shown = step.message if isinstance(step, Unclear) else ""
        must(WORD in shown, f"{heard.name}: the unknown state is not shown: {shown!r}")
        tried += 1
    return tried


def a_job_is_made_fetched_and_billed_once(subject: Subject) -> int:
    """Through all of its addresses, with what the vendor says that it cost."""
    with _speaking(subject) as (api, talk):
        if api is None:
            return 0
        api.script(Queued(polls=3))
        step = _ended(talk, talk.submit(WISH))
        must(_is_picture(step), f"a job that is made is {step}")
        if isinstance(step, Fetch) and isinstance(step.sources[0], RemotePicture):
            picture = talk.picture(step)
            must(picture == api.queue.jobs[0].picture, "what is fetched is not the picture")
        billed = [job.usd for job in api.queue.jobs]
        must(len(billed) == 1, f"{len(billed)} jobs were begun for one picture")
        verdict = step.verdict if isinstance(step, Fetch) else step
        reported = verdict.reported_usd if isinstance(verdict, Verdict) else None
        must(reported in {None, billed[0]}, f"it says {reported} USD, and {billed[0]} were billed")
        has_said = reported is not None or not talk.provider.profile.reports_cost
        must(has_said, "its profile says that answers carry their cost, and this one has none")
        return 1


def a_look_that_fails_changes_nothing(subject: Subject) -> int:
    """Neither an overload nor a page, neither a key that is refused: the job goes on."""
    with _speaking(subject) as (api, talk):
        if api is None or not talk.provider.profile.has_jobs:
            return 0
        job = talk.submit(WISH)
        if not isinstance(job, Accepted):
            return 0
        words = api.queue.dialect
        fails: dict[str, Behaviour] = {
            "a proxy's page": Page(502),
            "an error of the server's": ServerError(500),
            **{name: words.tells(name) for name in _ABOUT_US if name in words.troubles},
        }
        for name, fail in fails.items():
            for of in ("status", "result"):
                api.poll(fail)
                url = job.poll_url if of == "status" else job.result_url or job.poll_url
                step = talk.provider.polled(talk.read(url), job, of)
                must(isinstance(step, Unsaid), f"{name}, asked for the {of}: it is {step}")
                stops = isinstance(step, Unsaid) and step.stops_run
                must(stops == (name == "bad key"), f"{name}: it stops the run: {stops}")
        made = talk.follow(job)
        must(isinstance(made, Fetch | Verdict), f"after all of them the job is {made}")
        return 2 * len(fails)


def an_answer_about_another_job_changes_nothing(subject: Subject) -> int:
    """Where an answer names the job that it is about: a cache or a gateway may mix two up."""
    provider, tried = subject.at(), 0
    for heard in subject.known:
        if heard.job is None or heard.to not in {"status", "result", "record", "batch"}:
            continue
        ours, other = heard.job.job_id, f"{heard.job.job_id}0"
        headers = {name: other if it == ours else it for name, it in heard.headers.items()}
        body = heard.body.replace(json.dumps(ours).encode(), json.dumps(other).encode())
        mixed_up = replace(heard, headers=headers, body=body)
        if mixed_up != heard:
            step = subject.step(provider, mixed_up, mixed_up.reply, heard.name)
            must(isinstance(step, Unsaid), f"{heard.name}, about another job: it is {step}")
            tried += 1
    return tried


def a_queue_that_lies_is_not_believed(subject: Subject) -> int:
    """A job that is made twice, forgotten, failed, or called something that nobody knows."""
    lies: dict[str, tuple[Queued, type[Any] | tuple[type[Any], ...]]] = {
        "finished twice": (Queued(polls=0, again=2), (Fetch, Verdict)),
        "called what nobody knows": (Queued(ends="odd", word=WORD), Unclear),
        "forgotten": (Queued(polls=1, kept=1), Gone),
        "failed": (Queued(ends="failed"), Verdict),
        "refused": (Queued(ends="refused"), Verdict),
    }
    tried = 0
    for name, (plan, wanted) in lies.items():
        with _speaking(subject) as (api, talk):
            if api is None:
                return 0
            api.script(plan)
            job = talk.submit(WISH)
            if not isinstance(job, Accepted):
                return tried
            step = _ended(talk, job)
            if name == "forgotten" and isinstance(step, Fetch):
                continue  # a record of it has outlived the queue
            must(isinstance(step, wanted), f"a job that is {name} is {step}")
            must(name == "finished twice" or not _is_picture(step), f"{name}: a picture is seen")
            tried += 1
    return tried


def a_lost_answer_is_found_by_its_token(subject: Subject) -> int:
    """By no other's; and one that never arrived is not found."""
    losses: tuple[Loss, ...] = ("begun", "cut", "not begun")
    for loss in losses:
        with _speaking(subject) as (api, talk):
            if api is None or talk.provider.profile.listing is None:
                return 0
            api.queue.page_jobs = 1
            api.script(Queued(lost=loss, polls=0), Queued(polls=0))
            try:
                step = talk.submit(WISH)
                raise AssertionError(f"an answer that was {loss} is {step}")
            except NoAnswer:
                talk.submit(replace(WISH, token="e" * len(TOKEN)))
            found = talk.look(_lost(subject, TOKEN))
            if loss == "not begun":
                must(not isinstance(found, Found), f"what never arrived is {found}")
                continue
            must(isinstance(found, Found), f"a lost job is not found by its token: {found}")
            if isinstance(found, Found):
                made = talk.follow(found.accepted)
                must(_is_picture(made), f"a lost job that is found is {made}")
            strange = talk.look(_lost(subject, "f" * len(TOKEN)))
            must(not isinstance(strange, Found), f"another's token finds {strange}")
            is_whole = isinstance(strange, NotListed) and strange.next_url is None
            may_prove = talk.provider.profile.listing.proves_absence
            must(is_whole or not may_prove, f"a whole listing without a job is {strange}")
    return len(losses)


def a_bad_key_is_reported_as_such(subject: Subject) -> int:
    """A wrong key, an empty account and an unknown model stop the run; too many only wait."""
    kinds = {
        "bad key": (VerdictKind.BAD_CREDENTIALS, True),
        "no money": (VerdictKind.OUT_OF_MONEY, True),
        "no model": (VerdictKind.REJECTED, True),
        "limited": (VerdictKind.RATE_LIMITED, False),
        "overloaded": (VerdictKind.BUSY, False),
    }
    with _speaking(subject) as (api, talk):
        if api is None:
            return 0
        troubles = api.queue.dialect.troubles
        for trouble in troubles:
            kind, stops = kinds[trouble]
            api.script(api.queue.dialect.tells(trouble))
            step = talk.submit(WISH)
            must(isinstance(step, Verdict), f"{trouble}: it is {step}")
            if isinstance(step, Verdict):
                in_doubt = (
                    trouble == "overloaded" and step.is_unknown
                )  # where nothing says it is free
                is_right = in_doubt or (step.kind is kind and not step.may_be_billed)
                must(is_right, f"{trouble}: it is {step.kind}: {step.message}")
                must(step.stops_run == stops, f"{trouble}: it stops the run: {step.stops_run}")
                must(bool(step.message), f"{trouble}: nothing is said of it")
        must(not api.queue.jobs, "a job was begun by who may not")
        return len(troubles)


@contextmanager
def _speaking(subject: Subject) -> Generator[tuple[ImageApi | None, Talk]]:
    """Run a server that speaks as the vendor does, and have the provider talk to it."""
    if subject.dialect is None:
        yield None, Talk(subject.at(), KEY)
        return
    with ImageApi(dialect=subject.dialect()) as api:
        yield api, Talk(subject.at(api.base_url), KEY)


def _word_for(job: Accepted | None) -> Callable[[str], str]:
    """Return what puts the unknown word in place of every text but names and addresses."""
    names = frozenset[str]() if job is None else frozenset({job.job_id})

    def put(text: str) -> str:
        return text if text in names or "://" in text else WORD

    return put


def _lost(subject: Subject, token: str) -> Lost:
    return Lost(token=token, endpoint=subject.model, opened_at=datetime.now(UTC))


def _ended(talk: Talk, step: Step) -> Step:
    return talk.follow(step) if isinstance(step, Accepted) else step


def _is_picture(step: Step) -> bool:
    verdict = step.verdict if isinstance(step, Fetch) else step
    return isinstance(verdict, Verdict) and verdict.kind is VerdictKind.PICTURES
