"""A conversation of a provider with the loopback server, a step at a time, and nothing durable.

What a run does between the steps (the ledger, the spool, patience) is left out: here it is seen
what the provider makes of what the server says. No address but the loopback's is ever asked.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from stage3_plugin.domain.batch import (
    BatchEnded,
    BatchMaking,
    BatchPolled,
    CreateStep,
    LineSaid,
    Upload,
    Uploaded,
    UploadedAs,
    key_of,
)
from stage3_plugin.domain.exchange import Fetch, Lost, NotListed, Poll, Reply
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.picture import RemotePicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.providers.base import BatchLane, Looked, Next, Polled, Provider
from stage3_plugin.testing.replies import reply_of
from stage3_plugin.transport.bodies import body_of

MOST_POLLS = 100
_TIMEOUT_S = 10.0


class NoAnswer(Exception):
    """A request was sent, and no whole answer came."""


@dataclass(slots=True)
class Talk:
    """What was said so far.

    Attributes:
        provider: Says the steps.
        key: What the server takes.
        replies: The answers that came, in their order.
    """

    provider: Provider
    key: str
    replies: list[Reply] = field(default_factory=list[Reply])

    def submit(self, request: PictureRequest) -> Next:
        """Send the one request that is paid for, and return what follows.

        Raises:
            NoAnswer: None came.
        """
        send = self.provider.begin(request)
        body = b"".join(bytes(piece) for piece in body_of(send.payload))
        headers = {"Content-Type": "application/json", **send.headers}
        return self.provider.next(self._exchange("POST", send.url, headers, body))

    def follow(self, job: Accepted, *, most: int = MOST_POLLS) -> Polled:
        """Poll a job, without a pause, until something else than another poll follows."""
        step: Polled = Poll(url=job.poll_url)
        for _ in range(most):
            if not isinstance(step, Poll):
                break
            step = self.provider.polled(self.read(step.url), job, step.of)
        return step

    def look(self, lost: Lost) -> Looked:
        """Read a listing, page by page, until it has the job or ends."""
        step: Looked = NotListed(next_url=self.provider.look_for(lost))
        for _ in range(MOST_POLLS):
            if not (isinstance(step, NotListed) and step.next_url is not None):
                break
            step = self.provider.looked(self.read(step.next_url), lost)
        return step

    def picture(self, fetch: Fetch) -> bytes:
        """Fetch what lies at the first address of a step.

        Raises:
            LookupError: It has none, or nothing is there.
            NoAnswer: None came.
        """
        for source in fetch.sources:
            if isinstance(source, RemotePicture):
                status, _, body = exchange("GET", source.url)
                if status == 200:
                    return body
        raise LookupError("there is no picture at its address")

    def read(self, url: str) -> Reply:
        """Read a page of the API's, with the key.

        Raises:
            NoAnswer: None came.
        """
        return self._exchange("GET", url, {}, b"")

    def _key(self) -> dict[str, str]:
        profile = self.provider.profile
        return {profile.key_header: f"{profile.key_prefix}{self.key}"}

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        reply = reply_of(*exchange(method, url, {**headers, **self._key()}, body))
        self.replies.append(reply)
        return reply


@dataclass(slots=True)
class BatchTalk(Talk):
    """The same with the provider's batch lane."""

    @property
    def lane(self) -> BatchLane:
        """Return the lane.

        Raises:
            LookupError: The provider has none.
        """
        if self.provider.batch is None:
            raise LookupError(f"{self.provider.profile.name} has no batch lane")
        return self.provider.batch

    def hand_over(
        self, data: bytes, of: UploadedAs = "lines", media_type: str = "application/jsonl"
    ) -> Uploaded | Verdict:
        """Upload a file, however many steps that takes.

        Raises:
            NoAnswer: To one of them none came.
        """
        step = self.lane.upload(len(data), of, media_type)
        while isinstance(step, Upload):
            headers, body = _handed(step, data)
            step = self.lane.uploaded(
                self._exchange("POST", step.url, headers, body), len(data), of
            )
        return step

    def begin(
        self,
        requests: Sequence[PictureRequest],
        token: str,
        names: Mapping[str, str] | None = None,
    ) -> CreateStep:
        """Upload a file of lines and begin its batch.

        Args:
            requests: One for each line.
            token: The batch's.
            names: What uploaded pictures are called, by the SHA-256 of what was sent.

        Raises:
            NoAnswer: None came.
        """
        lines = [
            self.lane.line(request, key_of(token, number), names or {}).payload
            for number, request in enumerate(requests)
        ]
        bodies = (body_of(line) for line in lines)
        handed = self.hand_over(b"".join(b"".join(map(bytes, one)) + b"\n" for one in bodies))
        if isinstance(handed, Verdict):
            return handed
        send = self.lane.create(handed.name, token, self.lane.kind(requests[0]))
        body = b"".join(bytes(piece) for piece in body_of(send.payload))
        headers = {"Content-Type": "application/json", **send.headers}
        return self.lane.created(self._exchange("POST", send.url, headers, body))

    def await_end(self, job: Accepted, *, most: int = MOST_POLLS) -> BatchPolled:
        """Poll a batch, without a pause, until it is not being made any more."""
        step: BatchPolled = BatchMaking()
        for _ in range(most):
            if not isinstance(step, BatchMaking):
                break
            step = self.lane.polled(self.read(job.poll_url), job)
        return step

    def results(self, ended: BatchEnded) -> list[LineSaid]:
        """Read the lines of all files of a batch."""
        found: list[LineSaid] = []
        for url in ended.files:
            key = self._key()
            _, _, body = exchange("GET", url, key)
            found += [self.lane.said(reply_of(200, {}, line)) for line in body.splitlines()]
        return found

    def find(self, lost: Lost) -> Looked:
        """Read the listing of batches, page by page, until it has the batch or ends."""
        step: Looked = NotListed(next_url=self.lane.look_for(lost))
        for _ in range(MOST_POLLS):
            if not (isinstance(step, NotListed) and step.next_url is not None):
                break
            step = self.lane.looked(self.read(step.next_url), lost)
        return step


_MARK = "stage3-form"


def _handed(step: Upload, data: bytes) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a step."""
    if step.file_field is None:
        body = data if step.has_file else json.dumps(step.payload or {}).encode()
        kind = step.media_type if step.has_file else "application/json"
        return {"Content-Type": kind, **step.headers}, body
    pieces = [
        f'--{_MARK}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in step.fields.items()
    ]
    head = (
        f'--{_MARK}\r\nContent-Disposition: form-data; name="{step.file_field}"; '
        f'filename="{step.file_name}"\r\nContent-Type: {step.media_type}\r\n\r\n'
    )
    body = "".join([*pieces, head]).encode() + data + f"\r\n--{_MARK}--\r\n".encode()
    return {"Content-Type": f"multipart/form-data; boundary={_MARK}", **step.headers}, body


def exchange(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """Send a request to this machine, and return status, headers and body of its answer.

    Raises:
        LookupError: The address is another machine's: nothing is sent to it.
        NoAnswer: No whole answer came.
    """
    parts = urlsplit(url)
    if parts.hostname not in {"127.0.0.1", "localhost"}:
        raise LookupError(f"{url} is not on this machine: give the provider the server's base_url")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request(
            method, parts._replace(scheme="", netloc="").geturl(), body, headers or {}
        )
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{method} {parts.path}: {error}") from error
    finally:
        connection.close()
