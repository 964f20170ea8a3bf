"""Who is tried: a provider as it is made for an address, and the answers that are known of it.

Answers come from recordings, and from the dialect of its vendor where there is one: what that says
of a job in every state, and to who may not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeAlias, cast
from urllib.parse import parse_qsl, urlsplit

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.job import Accepted, new_token
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.base import Provider
from stage3_plugin.providers.guarding import guarded
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.testing.queues import Dialect, Ends, Queue, Queued, QueueJob, Standing
from stage3_plugin.testing.recordings import Heard, Step, lost
from stage3_plugin.testing.wire import Asked, Said
from stage3_plugin.transport.bodies import body_of

WORDS = "a lighthouse at dusk"
TOKEN = "0123456789abcdef" + new_token(WORDS)[16:]
"""What is drawn for a request, where nothing else is said."""
WISH = PictureRequest(
    scene_id="scene_001",
    prompt=WORDS,
    width_px=1024,
    height_px=1024,
    token=TOKEN,
)
AT = "http://127.0.0.1:9"
"""Where nobody is; what is made of answers asks nobody."""

_ENDS: tuple[Ends, ...] = ("made", "refused", "failed", "odd")
Making: TypeAlias = Callable[[str | None], Provider]


def must(holds: bool, sentence: str) -> None:  # noqa: FBT001 - reads like assert
    """Raise the sentence unless it holds, also under ``python -O``."""
    if not holds:
        raise AssertionError(sentence)


def with_texts(document: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON document with every text in it changed."""
    if isinstance(document, dict):
        named = cast("dict[str, Any]", document)
        return {name: with_texts(value, change) for name, value in named.items()}
    if isinstance(document, list):
        return [with_texts(value, change) for value in cast("Iterable[Any]", document)]
    return change(document) if isinstance(document, str) else document


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A provider on trial.

    Attributes:
        name: Its word.
        model: What it is asked for.
        make: Makes it for a ``base_url``; ``None`` is its vendor's.
        heard: Its recorded answers.
        dialect: Makes a server speak as its vendor does; ``None``: that is not tried.
    """

    name: str
    model: str
    make: Making
    heard: tuple[Heard, ...] = ()
    dialect: Callable[[], Dialect] | None = None

    @classmethod
    def of(
        cls,
        provider: type[Hosted],
        *,
        model: str,
        api: str = "images",
        heard: Iterable[Heard] = (),
        dialect: Callable[[], Dialect] | None = None,
    ) -> Self:
        """Try a class as the settings would make it, with a model of its vendor's."""

        def make(base_url: str | None) -> Provider:
            return provider(Endpoint(provider=name, api=api, base_url=base_url, model=model))

        endpoint = Endpoint(provider=provider.__name__.lower(), api=api, model=model)
        name = provider.profile_of(endpoint).name
        return cls(name=name, model=model, make=make, heard=tuple(heard), dialect=dialect)

    def at(self, base_url: str | None = None) -> Provider:
        """Make it, with what every run has around it: a promise that is not kept is an error."""
        return guarded(self.make(base_url), self.name)

    @cached_property
    def known(self) -> tuple[Heard, ...]:
        """Return every answer that is known of it."""
        spoken = () if self.dialect is None else tuple(said_by(self, self.dialect()))
        return (*self.heard, *spoken)

    def step(self, provider: Provider, heard: Heard, reply: Reply, where: str) -> Step:
        """Return what it makes of an answer.

        Raises:
            AssertionError: It raises, or returns what it must not.
        """
        try:
            return heard.step(provider, reply)
        except Exception as error:
            raise AssertionError(f"{where}: {error}") from error


def said_by(subject: Subject, dialect: Dialect) -> Iterator[Heard]:
    """Yield what a vendor says of jobs in every state, and to who may not, or not now."""
    provider = subject.at(f"{AT}{dialect.api_path}")
    queue = Queue(dialect)

    def heard(name: str, to: Any, said: Said, job: Accepted | None = None) -> Heard:
        body = json.dumps(said.document).encode()
        return Heard(
            name=f"{dialect.name} says {name}",
            to=to, status=said.status, headers=said.headers, body=body, job=job, lost=lost(TOKEN),
        )  # fmt: skip

    for ends in _ENDS:
        job = queue.begin(_asked(provider, dialect), Queued(ends=ends))
        submitted = heard(f"yes to one that will be {ends}", "submit", dialect.submitted(job, AT))
        yield submitted
        accepted = submitted.step(provider)
        if isinstance(accepted, Accepted):
            for name, to, said in _of_a_job(dialect, job, ends):
                yield heard(f"{name} of {to}", to, said, accepted)
    if provider.profile.listing is not None:
        listed: list[tuple[QueueJob, Standing]] = [(job, job.plan.ends) for job in queue.jobs]
        asked = _asked_for_a_listing(provider)
        yield heard("what there is", "listing", dialect.listed(listed, asked, None, AT))
        yield heard("nothing", "listing", dialect.listed([], asked, None, AT))
    for trouble, said in dialect.troubles.items():
        yield heard(trouble, "submit", said)


def _of_a_job(dialect: Dialect, job: QueueJob, ends: Ends) -> Iterator[tuple[str, str, Said]]:
    waiting: tuple[Standing, ...] = ("queued", "working") if ends == _ENDS[0] else ()
    for standing in (*waiting, ends):
        yield standing, "status", dialect.status(job, standing, AT)
        yield standing, "result", dialect.result(job, standing, AT)
        yield standing, "record", dialect.record(job, standing, AT)
    if waiting:
        for to in ("status", "result", "record"):
            yield "nothing known", to, dialect.unknown(job.id)


def _asked(provider: Provider, dialect: Dialect) -> Asked:
    """Return the submit of a wish, as the server gets to see it."""
    send = provider.begin(WISH)
    document = json.loads(b"".join(map(bytes, body_of(send.payload))))
    return Asked(
        number=1,
        method="POST",
        path=urlsplit(send.url).path,
        headers={},
        document=document,
        prompt=dialect.prompt_of(document),
        in_flight=1,
        canvas_px=dialect.size_of(document),
    )


def _asked_for_a_listing(provider: Provider) -> Asked:
    parts = urlsplit(provider.look_for(lost(TOKEN)))
    return Asked(
        number=1,
        method="GET",
        path=parts.path,
        headers={},
        document={},
        prompt="",
        in_flight=1,
        query=dict(parse_qsl(parts.query)),
    )
