"""A conversation of a provider with the loopback server, a step at a time, and nothing durable.

What a run does between the steps (the ledger, the spool, patience) is left out: here it is seen
what the provider makes of what the server says. No address but the loopback's is ever asked.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from stage3_plugin.domain.exchange import Fetch, Lost, NotListed, Poll, Reply
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.picture import RemotePicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.base import Looked, Next, Polled, Provider
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
        body = b"".join(bytes(piece) for piece in body_of(send))
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

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        profile = self.provider.profile
        key = {profile.key_header: f"{profile.key_prefix}{self.key}"}
        reply = reply_of(*exchange(method, url, {**headers, **key}, body))
        self.replies.append(reply)
        return reply


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
