"""What Replicate says: predictions, their states, and the listing of all of them with their input.

Written from the API's document and recorded answers (replicate-python, 2023-11 to 2024-10), and not
from what the product reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from stage3_plugin.testing.queues import Dialect, Page, QueueJob, Standing, Trouble
from stage3_plugin.testing.wire import Asked, Said

_SUBMIT = re.compile(r"/v1/(?:predictions|models/([^/]+/[^/]+)/predictions)")
_JOB = re.compile(r"/v1/predictions/([\w-]+)")
_FREE = re.compile(r"/v1/(?:account|models/[^/]+/[^/]+)")
_WORDS: Mapping[Standing, str] = {
    "queued": "starting", "working": "processing", "made": "succeeded", "refused": "failed",
    "failed": "failed",
}  # fmt: skip
_SENSITIVE = (
    "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
)


def _problem(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> Said:
    document = {"title": title, "detail": detail, "status": status}
    return Said(status, document, {"Content-Type": "application/problem+json", **(headers or {})})


class ReplicateDialect(Dialect):
    """Replicate, for official models and for versions."""

    name = "replicate"
    troubles: ClassVar[Mapping[Trouble, Said]] = {
        "bad key": _problem(
            401, "Unauthenticated", "You did not pass a valid authentication token"
        ),
        "no money": _problem(
            402,
            "Insufficient credit",
            "You have insufficient credit to run this model. Go to "
            "https://replicate.com/account/billing#billing to purchase credit.",
        ),
        "no model": _problem(404, "Not found", "The requested resource could not be found."),
        "limited": _problem(
            429,
            "",
            "Request was throttled. Your rate limit resets in ~1s.",
            {"ratelimit-remaining": "0", "ratelimit-reset": "1"},
        ),
        "overloaded": _problem(503, "Service Unavailable", "The server is overloaded."),
    }

    def page_of(self, method: str, path: str) -> Page | None:
        if method == "POST":
            return Page("submit") if _SUBMIT.fullmatch(path) else None
        if path == "/v1/predictions":
            return Page("listing")
        if _FREE.fullmatch(path):
            return Page("free")
        match = _JOB.fullmatch(path)
        return match and Page("status", match[1])

    def submitted(self, job: QueueJob, at: str) -> Said:
        return Said(201, self._prediction(job, "queued", at))

    def status(self, job: QueueJob, standing: Standing, at: str) -> Said:
        return Said(200, self._prediction(job, standing, at))

    def listed(
        self, jobs: Sequence[tuple[QueueJob, Standing]], asked: Asked, next_url: str | None, at: str
    ) -> Said:
        since = datetime.fromisoformat(asked.query.get("created_after", "1970-01-01T00:00:00Z"))
        results = [
            self._prediction(job, standing, at) for job, standing in jobs if job.begun_at >= since
        ]
        return Said(200, {"previous": None, "next": next_url, "results": results})

    def unknown(self, job_id: str) -> Said:
        del job_id
        return self.troubles["no model"]

    def free(self, asked: Asked) -> Said:
        if asked.path == "/v1/account":
            return Said(200, {"type": "organization", "username": "acme", "name": "Acme"})
        owner, name = asked.path.split("/")[-2:]
        return Said(200, {"owner": owner, "name": name, "visibility": "public"})

    def prompt_of(self, document: Mapping[str, Any]) -> str:
        return str(document.get("input", {}).get("prompt", ""))

    def size_of(self, document: Mapping[str, Any]) -> tuple[int, int] | None:
        given = document.get("input", {})
        if "width" in given:
            return given["width"], given["height"]
        return of_ratio(given.get("aspect_ratio"))

    def _prediction(self, job: QueueJob, standing: Standing, at: str) -> dict[str, Any]:
        match = _SUBMIT.fullmatch(job.asked.path)
        version = job.document.get("version", "hidden")
        model = match[1] if match and match[1] else version.partition(":")[0]
        picture = job.picture_url(at)
        output: Any = [picture] if "num_outputs" in job.document["input"] else picture
        ended = (job.begun_at + timedelta(seconds=4)).isoformat()
        return {
            "id": job.id,
            "model": model,
            "version": version.rpartition(":")[2],
            "input": job.document["input"],
            "logs": "",
            "output": output if standing == "made" else None,
            "data_removed": False,
            "error": {"refused": _SENSITIVE, "failed": "CUDA out of memory"}.get(standing),
            "source": "api",
            "status": job.plan.word if standing == "odd" else _WORDS[standing],
            "created_at": job.begun_at.isoformat(),
            "completed_at": ended if standing == "made" else None,
            "urls": {
                "get": f"{at}/v1/predictions/{job.id}",
                "cancel": f"{at}/v1/predictions/{job.id}/cancel",
            },
        }


def of_ratio(ratio: object) -> tuple[int, int]:
    """Return a small size of a ratio; a square one where there is none."""
    across, _, down = str(ratio).partition(":")
    return (16 * int(across), 16 * int(down)) if across.isdigit() and down.isdigit() else (64, 64)
