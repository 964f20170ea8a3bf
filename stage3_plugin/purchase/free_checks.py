"""Asks a provider what costs nothing: whether the key, the models and the account are good.

No attempt, and no purchase: nothing is claimed, held or kept, and a run never asks this. It stands
beside them because it needs the provider's words and the transport, as they do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import anyio

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.free_checks import Ask, Finding, settled
from stage3_plugin.providers.base import Provider
from stage3_plugin.providers.replies.free_answers import ONE_PICTURE
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.storage.inflating import codings_of, inflate
from stage3_plugin.storage.spool.documents import MOST_BYTES, document_in

if TYPE_CHECKING:
    from stage3_plugin.transport.client import Client  # imports httpx, which drawing needs not
    from stage3_plugin.transport.sinks import Answer

_TEXT_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeChecks:
    """Asks one provider.

    Attributes:
        provider: Says what to ask, and what answers mean.
        client: Asks.
        models: Who would be asked for pictures.
        has_key: Whether the settings have a key.
        masked: Covers secrets in what comes back.
    """

    provider: Provider
    client: Client
    models: tuple[str, ...]
    has_key: bool
    masked: Masked

    async def ask(self, today: date) -> tuple[Finding, ...]:
        """Ask all at once, and return what is known then.

        Raises:
            ProviderBroken: The provider does not say what one says.
        """
        checks = self.provider.checks(self.models) or tuple(self._nothing_to_ask())
        asks = [check for check in checks if isinstance(check, Ask)]
        answers = await self._answers(asks)
        found = [check for check in checks if isinstance(check, Finding)]
        for ask, answer in zip(asks, answers, strict=True):
            found += self._judged(ask, answer, today)
        return settled(map(self._said, found))

    def _nothing_to_ask(self) -> Iterator[Finding]:
        told = f"provider {self.provider.profile.name!r} has no free check"
        for about in ("key", "account"):
            yield Finding(about=about, verdict="unknown", message=told, hint=ONE_PICTURE)
        for model in self.models:
            yield Finding(
                about="model", verdict="unknown", message=told, hint=ONE_PICTURE, model=model
            )

    async def _answers(self, asks: Sequence[Ask]) -> list[Answer]:
        answers: dict[int, Answer] = {}

        async def ask(number: int, url: str) -> None:
            answers[number] = await self.client.ask(url)

        async with anyio.create_task_group() as tasks:
            for number, one in enumerate(asks):
                tasks.start_soon(ask, number, one.url)
        return [answers[number] for number in range(len(asks))]

    def _judged(self, ask: Ask, answer: Answer, today: date) -> Iterator[Finding]:
        if answer.problem:
            yield from ask.unknown(answer.problem)
        else:
            yield from ask.judged(self._reply(answer), today)

    def _reply(self, answer: Answer) -> Reply:
        body = inflate(answer.body, codings_of(answer.headers), most_bytes=MOST_BYTES)
        body = self.masked.covered(body)
        document = document_in(body)
        return Reply(
            status=answer.status,
            headers=self.masked.words(answer.headers),
            document=document.value,
            text="" if document.is_json else body.decode("utf-8", "replace")[:_TEXT_CHARACTERS],
            unread=document.unread,
        )

    def _said(self, finding: Finding) -> Finding:
        """Return a finding without secrets, and without praise for a key that there is not."""
        if finding.about == "key" and finding.verdict == "good" and not self.has_key:
            finding = replace(finding, message="none is set, and none was asked for")
        return self.masked.record(finding)
