"""Black Forest Labs' tasks, as ``providers/bfl.py`` meets them.

Written from docs.bfl.ai and the vendor's own packages, and not from what the product sends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from stage3_plugin.testing.queues import Dialect, Page, QueueJob, Standing, Trouble
from stage3_plugin.testing.wire import Asked, Said

_SUBMIT = re.compile(r"/v1/[\w.-]+")
_MEGAPIXEL = 10**6
_CREDITS_USD = Decimal("0.01")


class BflDialect(Dialect):
    """What it says; a picture costs what ``flux-2-pro`` does, of which ``usd`` is the first MP.

    That it is overloaded it has no words for which say that nothing was begun.
    """

    name = "bfl"
    key_header = "x-key"
    key_prefix = ""
    usd = Decimal("0.03")
    further_usd = Decimal("0.015")
    troubles: ClassVar[Mapping[Trouble, Said]] = {
        "bad key": Said(403, {"detail": "Not authenticated - Invalid Authentication"}),
        "no money": Said(402, {"detail": "Insufficient credits"}),
        "no model": Said(404, {"detail": "Not Found"}),
        "limited": Said(429, {"detail": "Too many requests"}),
    }

    def page_of(self, method: str, path: str) -> Page | None:
        if method == "POST":
            return Page("submit") if _SUBMIT.fullmatch(path) else None
        kinds = {"/v1/get_result": Page("status"), "/v1/credits": Page("free")}
        return kinds.get(path)

    def job_in(self, query: Mapping[str, str]) -> str:
        return query.get("id", "")

    def submitted(self, job: QueueJob, at: str) -> Said:
        shown, made = self._megapixels(job.document)
        cost = float(self.price_of(job.document) / _CREDITS_USD)
        return Said(
            200,
            {
                "id": job.id,
                "polling_url": f"{at}/v1/get_result?id={job.id}",
                "cost": cost,
                "input_mp": float(shown),
                "output_mp": float(made),
            },
        )

    def status(self, job: QueueJob, standing: Standing, at: str) -> Said:
        words = {
            "queued": "Pending",
            "working": "Generating",
            "made": "Ready",
            "refused": "Content Moderated",
            "failed": "Error",
            "odd": job.plan.word,
        }
        result: dict[str, Any] | None = None
        details: dict[str, Any] | None = None
        if standing == "made":
            result = {
                "sample": job.picture_url(at),
                "prompt": job.document["prompt"],
                "seed": job.document.get("seed", 7),
                "start_time": 1.0,
                "end_time": 2.5,
                "duration": 1.5,
            }
        if standing == "refused":
            details = {"Moderation Reasons": ["Derivative Works Filter"]}
        return Said(
            503 if standing in {"refused", "failed"} else 200,
            {
                "id": job.id,
                "status": words[standing],
                "result": result,
                "progress": None,
                "details": details,
            },
        )

    def unknown(self, job_id: str) -> Said:
        return Said(404, {"id": job_id, "status": "Task not found", "result": None})

    def free(self, asked: Asked) -> Said:
        del asked
        return Said(200, {"credits": 412.5})

    def size_of(self, document: Mapping[str, Any]) -> tuple[int, int] | None:
        width, height = document.get("width"), document.get("height")
        return (width, height) if isinstance(width, int) and isinstance(height, int) else None

    def price_of(self, document: Mapping[str, Any]) -> Decimal:
        shown, made = self._megapixels(document)
        return self.usd + self.further_usd * (shown + made - 1)

    def _megapixels(self, document: Mapping[str, Any]) -> tuple[int, int]:
        """Count what is billed: begun ones, and one of each picture that is shown."""
        width, height = self.size_of(document) or (1024, 1024)
        shown = sum(name.startswith("input_image") for name in document)
        return shown, -(-width * height // _MEGAPIXEL)
