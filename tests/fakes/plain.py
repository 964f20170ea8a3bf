"""The plainest vendor with a queue: its dialect, and the provider that speaks to it.

Nobody's, and in no config: what it says is only what every queue has to say, so that what is true
of all of them can be tried with it, and read in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from pydantic import JsonValue

from stage3_plugin.domain.addressing import address_of
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Asked as AskedFor,
)
from stage3_plugin.domain.exchange import (
    Fetch,
    Found,
    Gone,
    Lost,
    NotListed,
    Poll,
    Reply,
    Send,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.job import Accepted, seed_of
from stage3_plugin.domain.money import MOST_USD
from stage3_plugin.domain.picture import RemotePicture
from stage3_plugin.domain.profile import Listing, Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Looked, Next, Polled
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.polling import about_another, is_job_id, unsaid
from stage3_plugin.providers.replies.reading import cleaned, text_at
from stage3_plugin.testing.queues import Dialect, Page, QueueJob, Standing, Trouble
from stage3_plugin.testing.wire import Asked, Said

KEEPS_S = 600.0
PROFILE = Profile(
    name="plain",
    base_url="https://plain.example/v1",
    key_variable="PLAIN_API_KEY",
    seed=True,
    reports_cost=True,
    has_jobs=True,
    keeps_s=KEEPS_S,
    token_is_seed=True,
    listing=Listing(proves_absence=True, settle_s=60.0, reaches_back_s=86_400.0),
)
_WAITING = {"waiting", "working"}
_JOB = re.compile(r"/v1/jobs/([\w-]+)(/result)?")


def _error(status: int, code: str, message: str) -> Said:
    return Said(status, {"error": {"code": code, "message": message}})


class PlainDialect(Dialect):
    """What the vendor says."""

    name = "plain"
    api_path = "/v1"
    troubles: ClassVar[Mapping[Trouble, Said]] = {
        "bad key": _error(401, "invalid_api_key", "Incorrect API key provided."),
        "no money": _error(402, "insufficient_quota", "The account is empty."),
        "no model": _error(404, "model_not_found", "There is no such model."),
        "limited": _error(429, "rate_limit_exceeded", "Too many requests."),
        "overloaded": _error(503, "overloaded", "The service is overloaded."),
    }

    def page_of(self, method: str, path: str) -> Page | None:
        if path == "/v1/jobs":
            return Page("submit" if method == "POST" else "listing")
        match = _JOB.fullmatch(path)
        return match and Page("result" if match[2] else "status", match[1])

    def submitted(self, job: QueueJob, at: str) -> Said:
        url = f"{at}/v1/jobs/{job.id}"
        return Said(202, {"id": job.id, "state": "waiting", "poll": url, "result": f"{url}/result"})

    def status(self, job: QueueJob, standing: Standing, at: str) -> Said:
        del at
        words = {"queued": "waiting", "odd": job.plan.word, "made": "done", "refused": "done"}
        return Said(200, {"id": job.id, "state": words.get(standing, standing)})

    def result(self, job: QueueJob, standing: Standing, at: str) -> Said:
        if standing == "refused":
            return _error(422, "content_policy_violation", "Rejected by our safety system.")
        if standing != "made":
            return self.status(job, standing, at)
        return Said(200, {"picture": job.picture_url(at), "usd": str(self.price_of(job.document))})

    def listed(
        self, jobs: Sequence[tuple[QueueJob, Standing]], asked: Asked, next_url: str | None, at: str
    ) -> Said:
        del asked
        found = [
            {**cast("dict[str, Any]", self.submitted(job, at).document),
             **cast("dict[str, Any]", self.status(job, standing, at).document),
             "seed": job.document.get("seed")}
            for job, standing in jobs
        ]  # fmt: skip
        return Said(200, {"jobs": found, "next": next_url})

    def unknown(self, job_id: str) -> Said:
        return _error(404, "not_found", f"There is no job {job_id}.")


class Plain(Hosted):
    """The provider that speaks it."""

    @staticmethod
    def profile_of(_endpoint: Endpoint, /) -> Profile:
        return PROFILE

    def begin(self, request: PictureRequest) -> Send:
        prompt, dropped = self.prompt_of(request)
        payload: dict[str, JsonValue] = {
            "model": self.model_of(request),
            "prompt": prompt,
            "size": f"{request.width_px}x{request.height_px}",
        }
        if request.seed is not None:
            payload["seed"] = request.seed
        elif request.token is not None:
            payload["seed"] = seed_of(request.token)
        return Send(url=f"{self.base_url}/jobs", payload=payload, dropped=tuple(dropped))

    def next(self, reply: Reply) -> Next:
        found = _accepted(reply.document, self.base_url) if reply.status in {200, 202} else None
        return super().next(reply) if found is None else found

    def polled(self, reply: Reply, job: Accepted, of: AskedFor) -> Polled:
        document = reply.document
        if (another := about_another(text_at(document, "id"), job)) is not None:
            return another
        if reply.status in {404, 410}:
            return Gone(message="the job is not known any more")
        if of == "result" and reply.status == 422:
            verdict = self._verdict(reply)
            return (
                verdict
                if verdict.kind is VerdictKind.REFUSED
                else unsaid(reply, now_s=self.clock())
            )
        if reply.status != 200 or not isinstance(document, dict):
            return unsaid(reply, now_s=self.clock())
        if of == "result" and "picture" in document:
            return self._pictures(reply, document["picture"], document.get("usd"))
        match document.get("state"):
            case "done":
                return Poll(url=job.result_url or job.poll_url, of="result")
            case "failed":
                return Verdict(kind=VerdictKind.BUSY, message="the job failed")
            case str() as state if state in _WAITING:
                return Poll(url=job.poll_url)
            case state:
                return Unclear(message=f"the job is said to be {cleaned(str(state), most=40)!r}")

    def _verdict(self, reply: Reply) -> Verdict:
        step = super().next(reply)
        return step if isinstance(step, Verdict) else Verdict(kind=VerdictKind.UNKNOWN)

    def _pictures(self, reply: Reply, address: JsonValue, usd: JsonValue) -> Polled:
        source = reply.source(address, base_url=self.base_url) if isinstance(address, str) else None
        if not isinstance(source, RemotePicture):
            return Unclear(message="the job is done, and its picture is at no address")
        verdict = Verdict(
            kind=VerdictKind.PICTURES,
            may_be_billed=True,
            reported_usd=figure_of(usd, most=MOST_USD),
            provider_status=reply.status,
        )
        return Fetch(sources=(source,), verdict=verdict)

    def look_for(self, lost: Lost) -> str:
        del lost
        return f"{self.base_url}/jobs"

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        document = reply.document
        jobs = document.get("jobs") if isinstance(document, dict) else None
        if reply.status != 200 or not isinstance(document, dict) or not isinstance(jobs, list):
            return unsaid(reply, now_s=self.clock())
        if lost.token is None:
            return Unsaid(message="its seed is a person's, by which no job can be told")
        for job in jobs:
            if isinstance(job, dict) and job.get("seed") == seed_of(lost.token):
                found = _accepted(job, self.base_url)
                return Unsaid(message="odd") if found is None else Found(accepted=found)
        more = document.get("next")
        next_url = address_of(more, base_url=self.base_url) if isinstance(more, str) else None
        if "next" not in document or (more is not None and next_url is None):
            return Unsaid(message="a page of the listing does not say where the next one is")
        return NotListed(next_url=next_url)


def _accepted(document: object, base_url: str) -> Accepted | None:
    if not isinstance(document, dict):
        return None
    told = cast("dict[str, JsonValue]", document)
    name = text_at(told, "id")
    poll, result = (address_of(text_at(told, at), base_url=base_url) for at in ("poll", "result"))
    if not (is_job_id(name) and poll and result):
        return None
    return Accepted(job_id=name, poll_url=poll, result_url=result, keeps_s=KEEPS_S)
