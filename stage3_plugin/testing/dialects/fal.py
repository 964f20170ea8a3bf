"""fal.ai's queue and its history, as ``providers/fal.py`` meets them.

Written from its documents of 2026 and from fal_client 1.0.3, and not from what the product sends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from stage3_plugin.testing.queues import Dialect, Page, QueueJob, Standing, Trouble
from stage3_plugin.testing.wire import Asked, Said

_HISTORY = "/v1/models/requests/by-endpoint"
_PRICES = "/v1/models/pricing"
_OF_A_JOB = re.compile(r"/[\w.-]+/[\w.-]+/requests/([\w-]+)(/status)?")
_SUBMIT = re.compile(r"/[\w.-]+/[\w./-]+")
_MEGAPIXEL = 1024**2
_ENDED = {"made": 200, "refused": 422, "failed": 503}
"""Statuses that the history names; what goes on is not in it."""


def _flat(status: int, kind: str, detail: str) -> Said:
    document = {"detail": detail, "error_type": kind}
    return Said(status, document, {"X-Fal-Error-Type": kind})


class FalDialect(Dialect):
    """What fal says; ``usd`` is for a megapixel, which is how ``fal-ai/flux-2/turbo`` is sold."""

    name = "fal"
    key_prefix = "Key "
    usd = Decimal("0.008")
    troubles: ClassVar[Mapping[Trouble, Said]] = {
        "bad key": Said(401, {"detail": "Cannot access application. Invalid key."}),
        "no money": Said(403, {"detail": "User is locked. Reason: Exhausted balance."}),
        "no model": Said(404, {"detail": 'Application "painter" not found'}),
        "limited": Said(429, {"detail": "Too many requests"}, {"Retry-After": "1"}),
        "overloaded": _flat(503, "runner_scheduling_failure", "No runner could be had."),
    }

    def page_of(self, method: str, path: str) -> Page | None:
        if method == "POST":
            return Page("submit") if _SUBMIT.fullmatch(path) else None
        if path in {_HISTORY, _PRICES}:
            return Page("listing" if path == _HISTORY else "free")
        match = _OF_A_JOB.fullmatch(path)
        return match and Page("status" if match[2] else "result", match[1])

    def submitted(self, job: QueueJob, at: str) -> Said:
        owner, app = job.asked.path.strip("/").split("/")[:2]
        url = f"{at}/{owner}/{app}/requests/{job.id}"
        return Said(
            200,
            {
                "status": "IN_QUEUE",
                "request_id": job.id,
                "queue_position": 0,
                "response_url": url,
                "status_url": f"{url}/status",
                "cancel_url": f"{url}/cancel",
            },
        )

    def status(self, job: QueueJob, standing: Standing, at: str) -> Said:
        del at
        document: dict[str, Any] = {"request_id": job.id}
        if standing in {"queued", "working"}:
            word = "IN_QUEUE" if standing == "queued" else "IN_PROGRESS"
            return Said(202, document | {"status": word, "logs": None})
        if standing == "odd":
            return Said(200, document | {"status": job.plan.word})
        document |= {"status": "COMPLETED", "metrics": {"inference_time": 1.25}}
        if standing == "failed":
            document |= {"error": "The runner was lost", "error_type": "runner_disconnected"}
        return Said(200, document)

    def result(self, job: QueueJob, standing: Standing, at: str) -> Said:
        headers = {"X-Fal-Request-Id": job.id}
        if standing in {"queued", "working", "odd"}:
            return Said(400, {"detail": "Request is still in progress"}, headers)
        if standing == "failed":
            said = _flat(503, "runner_disconnected", "The runner was lost.")
            return Said(said.status, said.document, {**said.headers, **headers})
        if standing == "refused":
            return Said(422, {"detail": [_flagged()]}, headers)
        units = f"{self._megapixels(job.document):f}"
        return Said(200, self._made(job, at), {**headers, "X-Fal-Billable-Units": units})

    def _made(self, job: QueueJob, at: str) -> dict[str, Any]:
        picture = {
            "url": job.picture_url(at),
            "content_type": "image/png",
            "file_name": "picture.png",
            "file_size": None,
            "width": None,
            "height": None,
        }
        return {
            "images": [picture],
            "timings": {"inference": 1.25},
            "seed": job.document.get("seed", 7),
            "has_nsfw_concepts": [False],
            "prompt": job.document["prompt"],
        }

    def lists(self, job: QueueJob, standing: Standing, asked: Asked) -> bool:
        """Return whether the history has a job: it has what ended, by endpoint or by its name."""
        if asked.query.get("request_id", job.id) != job.id:
            return False
        endpoints = asked.query.get("endpoint_id", "").split(",")
        return standing in _ENDED and job.asked.path.strip("/") in endpoints

    def start_of(self, query: Mapping[str, str]) -> int:
        return int(query.get("cursor", "0"))

    def listed(
        self, jobs: Sequence[tuple[QueueJob, Standing]], asked: Asked, next_url: str | None, at: str
    ) -> Said:
        shows = asked.query.get("expand") == "payloads"
        items = [self._item(job, standing, at, shows=shows) for job, standing in jobs]
        cursor = None
        if next_url is not None:
            cursor = dict(parse_qsl(urlsplit(next_url).query))["offset"]
        return Said(200, {"items": items, "next_cursor": cursor, "has_more": cursor is not None})

    def _item(self, job: QueueJob, standing: Standing, at: str, *, shows: bool) -> dict[str, Any]:
        item: dict[str, Any] = {
            "request_id": job.id,
            "endpoint_id": job.asked.path.strip("/"),
            "sent_at": job.begun_at.isoformat(),
            "started_at": job.begun_at.isoformat(),
            "ended_at": job.begun_at.isoformat(),
            "status_code": _ENDED.get(standing),
            "duration": 1.25,
        }
        if shows:
            output = self.result(job, standing, at).document
            item |= {"json_input": dict(job.document), "json_output": output}
        return item

    def unknown(self, job_id: str) -> Said:
        del job_id
        return Said(404, {"detail": "Request not found"})

    def free(self, asked: Asked) -> Said:
        names = asked.query.get("endpoint_id", "").split(",")
        prices = [
            {"endpoint_id": name, "unit_price": 0.008, "unit": "megapixels", "currency": "USD"}
            for name in names
        ]
        return Said(200, {"prices": prices, "next_cursor": None, "has_more": False})

    def size_of(self, document: Mapping[str, Any]) -> tuple[int, int] | None:
        match document.get("image_size"):
            case {"width": int(width), "height": int(height)}:
                return width, height
            case _:
                return None

    def price_of(self, document: Mapping[str, Any]) -> Decimal:
        return self.usd * self._megapixels(document)

    def _megapixels(self, document: Mapping[str, Any]) -> Decimal:
        """Count what is billed: begun megapixels of the picture, and one of each that is shown."""
        width, height = self.size_of(document) or (1024, 1024)
        made = -(-width * height // _MEGAPIXEL)
        return Decimal(made + len(document.get("image_urls", ())))


def _flagged() -> dict[str, Any]:
    return {
        "loc": ["body", "prompt"],
        "msg": "The content could not be processed because it contained material flagged by a "
        "content checker.",
        "type": "content_policy_violation",
        "url": "https://docs.fal.ai/errors#content_policy_violation",
        "input": "what was asked for",
    }
