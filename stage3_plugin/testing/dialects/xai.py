"""What xAI says: it answers at once, and keeps what it made as a file, if it was asked to.

Written from xAI's documents of Imagine and of files, and from recorded answers of 2026-08, not from
what the product reads.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from stage3_plugin.testing.dialects.replicate import of_ratio
from stage3_plugin.testing.queues import Dialect, Page, QueueJob, Standing, Trouble
from stage3_plugin.testing.wire import Asked, Said

_FILE = re.compile(r"/v1/files/([\w-]+)/content")
_FREE = re.compile(r"/v1/(?:api-key|image-generation-models/[^/]+)")
_TICKS = 10**10


def _error(status: int, code: str, message: str) -> Said:
    return Said(status, {"code": code, "error": message})


class XAIDialect(Dialect):
    """xAI's Imagine, and the files of an account."""

    name = "xai"
    usd = Decimal("0.06")
    answers_at_once = True
    troubles: ClassVar[Mapping[Trouble, Said]] = {
        "bad key": _error(
            400,
            "Client specified an invalid argument",
            "Incorrect API key provided: sk***06. You can obtain an API key from "
            "https://console.x.ai.",
        ),
        "no money": _error(
            429,
            "Some resource has been exhausted",
            "Your team has either used all available credits or reached its monthly spending "
            "limit. To continue making API requests, please purchase more credits.",
        ),
        "no model": _error(
            404,
            "Some requested entity was not found",
            "The model grok-imagine-image-9 does not exist or your team does not have access to "
            "it. Please ensure you're using the correct API key.",
        ),
        "limited": _error(429, "Some resource has been exhausted", "Too many requests."),
        "overloaded": _error(503, "unavailable", "The model is currently overloaded."),
    }

    def page_of(self, method: str, path: str) -> Page | None:
        if method == "POST":
            is_paid = path in {"/v1/images/generations", "/v1/images/edits"}
            return Page("submit") if is_paid else None
        if path == "/v1/files":
            return Page("listing")
        if _FREE.fullmatch(path):
            return Page("free")
        match = _FILE.fullmatch(path)
        return match and Page("file", match[1])

    def submitted(self, job: QueueJob, at: str) -> Said:
        del at
        usage = {"cost_in_usd_ticks": int(job.usd * _TICKS)}
        if job.plan.ends == "failed":
            return _error(500, "Internal error", "Something went wrong.")
        if job.plan.ends == "odd":
            return Said(200, {"outcome": job.plan.word, "usage": usage})
        slot: dict[str, Any] = {"mime_type": "image/jpeg", "respect_moderation": False}
        if job.plan.ends == "made":
            text = base64.b64encode(job.picture).decode()
            slot = {"b64_json": text, "mime_type": "image/jpeg", "respect_moderation": True}
            if self._is_stored(job):
                slot["file_output"] = self._file(job)
        return Said(200, {"data": [slot], "usage": usage})

    def status(self, job: QueueJob, standing: Standing, at: str) -> Said:
        del standing
        return self.submitted(job, at)  # nobody asks: it has no such page

    def listed(
        self, jobs: Sequence[tuple[QueueJob, Standing]], asked: Asked, next_url: str | None, at: str
    ) -> Said:
        del asked, at
        files = [self._file(job) for job, _ in jobs if self._is_stored(job)]
        document: dict[str, Any] = {"data": files}
        if next_url is not None:
            document["pagination_token"] = parse_qs(urlsplit(next_url).query)["offset"][0]
        return Said(200, document)

    def start_of(self, query: Mapping[str, str]) -> int:
        return int(query.get("pagination_token", "0"))

    def unknown(self, job_id: str) -> Said:
        return _error(404, "Some requested entity was not found", f"File {job_id} not found.")

    def free(self, asked: Asked) -> Said:
        if asked.path == "/v1/api-key":
            blocked = dict.fromkeys(("team_blocked", "api_key_blocked", "api_key_disabled"), False)
            return Said(200, {"api_key_id": "ae1e1841", "name": "a key", **blocked})
        return Said(200, {"id": asked.path.rpartition("/")[2], "object": "model"})

    def size_of(self, document: Mapping[str, Any]) -> tuple[int, int] | None:
        return of_ratio(document.get("aspect_ratio"))

    @staticmethod
    def _is_stored(job: QueueJob) -> bool:
        return job.plan.ends == "made" and "storage_options" in job.document

    @staticmethod
    def _file(job: QueueJob) -> dict[str, Any]:
        options, created = job.document["storage_options"], int(job.begun_at.timestamp())
        return {
            "id": job.id,
            "file_id": job.id,
            "filename": options["filename"],
            "bytes": len(job.picture),
            "created_at": created,
            "expires_at": created + options["expires_after"],
        }
