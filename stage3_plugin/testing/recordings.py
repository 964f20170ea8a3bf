"""Answers as they were recorded, each with what a provider has to make of it.

A recording is a JSON file. Apart from the laws, since those hold for every answer, and this says
what one of them means::

    {
      "source": "recorded on 2026-11-20, model oil",
      "job": {"job_id": "7", "poll_url": "https://…/jobs/7"},
      "replies": [
        {"to": "submit", "status": 200, "headers": {}, "body": {"id": "7"},
         "means": {"step": "Accepted", "job_id": "7"}},
        {"to": "status", "status": 200, "body": {"state": "waiting"}, "means": {"step": "Poll"}}
      ]
    }

``means`` names the step, and those of its fields that matter; of a ``message`` a part of it. A body
that is no JSON is a string under ``text``. ``job`` is the job that is asked for. ``token`` beside
``"to": "listing"`` is what is looked for in it.

Of a batch there is ``"to": "upload"`` (with ``size_bytes``), ``create``, ``batch`` for how far it
is, ``batches`` for the listing, and ``line`` for one line of a result file.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from stage3_plugin.domain.batch import BatchPolled, CreateStep, LineSaid, UploadStep
from stage3_plugin.domain.exchange import Asked, Lost, Reply
from stage3_plugin.domain.job import Accepted
from stage3_plugin.providers.base import BatchLane, Looked, Next, Polled, Provider
from stage3_plugin.testing.replies import reply_of

ToBatch: TypeAlias = Literal["upload", "create", "batch", "batches", "line"]
"""What is asked of a batch lane."""
To: TypeAlias = Asked | Literal["submit", "listing"] | ToBatch
"""What was asked, so that the right method is asked what the answer means."""
Step: TypeAlias = Next | Polled | Looked | UploadStep | CreateStep | BatchPolled | LineSaid

_KEEPS_S = 600.0
_TO_BATCH = frozenset(get_args(ToBatch))
_OPENED_AT = datetime(2026, 11, 26, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One answer.

    Attributes:
        name: For people: which one it is.
        to: What was asked.
        status: HTTP status.
        body: Its bytes.
        headers: As they came.
        means: What a provider has to make of it; ``None`` where only the laws are asked.
        job: The job that was asked for.
        lost: What was looked for.
        size_bytes: Of the file that was uploaded.
    """

    name: str
    to: To
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    means: Mapping[str, Any] | None = None
    job: Accepted | None = None
    lost: Lost | None = None
    size_bytes: int = 0

    @property
    def reply(self) -> Reply:
        """Return it as a provider gets to see it."""
        return reply_of(self.status, self.headers, self.body)

    def step(self, provider: Provider, reply: Reply | None = None) -> Step:
        """Return what a provider makes of it, or of another answer to the same question."""
        answer = self.reply if reply is None else reply
        if self.to == "submit":
            return provider.next(answer)
        if self.to == "listing":
            return provider.looked(answer, self.lost or lost(None))
        job = self.job or job_at(provider.profile.base_url)
        if self.to in _TO_BATCH:
            lane = provider.batch
            assert lane is not None, "it has no batch lane to ask"
            return self._of_batch(lane, answer, job)
        return provider.polled(answer, job, cast("Asked", self.to))

    def _of_batch(self, lane: BatchLane, answer: Reply, job: Accepted) -> Step:
        match self.to:
            case "upload":
                return lane.uploaded(answer, self.size_bytes, "lines")
            case "create":
                return lane.created(answer)
            case "batches":
                return lane.looked(answer, self.lost or lost(None))
            case "line":
                return lane.said(answer)
            case _:
                return lane.polled(answer, job)


def lost(token: str | None, endpoint: str = "") -> Lost:
    """Return a request whose answer was lost."""
    return Lost(token=token, endpoint=endpoint, opened_at=_OPENED_AT)


def job_at(base_url: str) -> Accepted:
    """Return some job of a provider's."""
    url = f"{base_url}/jobs/1"
    return Accepted(job_id="1", poll_url=url, result_url=f"{url}/result", keeps_s=_KEEPS_S)


def recorded_in(folder: Path) -> Iterator[Heard]:
    """Read every recording in a folder.

    Raises:
        ValueError: One of them is none; its message names the file and what is wrong.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            yield from _read(path)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is no recording: {type(error).__name__}: {error}") from error


def _read(path: Path) -> Iterator[Heard]:
    whole: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    told = whole.get("job")
    job = None if told is None else Accepted(keeps_s=_KEEPS_S, **told)
    for number, one in enumerate(whole["replies"], 1):
        body = one["text"] if "text" in one else json.dumps(one["body"])
        yield Heard(
            name=f"{path.stem}, answer {number}",
            to=one.get("to", "submit"),
            status=one["status"],
            headers=one.get("headers", {}),
            body=body.encode(),
            means=one.get("means"),
            job=job,
            lost=lost(one.get("token")),
            size_bytes=one.get("size_bytes", 0),
        )


def differences(wanted: Mapping[str, Any], step: Step) -> list[str]:
    """Say in which fields a step is not what was wanted."""
    found: dict[str, Any] = {"step": type(step).__name__, **shown(step)}
    return list(_differences(wanted, found, ""))


def _differences(wanted: Any, found: Any, at: str) -> Iterator[str]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        there = cast("Mapping[str, Any]", found)
        for name, value in cast("Mapping[str, Any]", wanted).items():
            yield from _differences(value, there.get(name), f"{at}.{name}".lstrip("."))
    elif at.endswith("message") and isinstance(found, str):
        if not isinstance(wanted, str) or wanted not in found:
            yield f"{at} is {found!r}, without {wanted!r}"
    elif wanted != found:
        yield f"{at} is {found!r}, and not {wanted!r}"


def shown(value: Any) -> Any:
    """Return a step as JSON would have it: its fields by name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return {name: shown(one) for name, one in named.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {name: shown(one) for name, one in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, tuple):
        return [shown(one) for one in cast("Iterable[Any]", value)]
    return value
