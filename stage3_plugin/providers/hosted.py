"""What every provider over HTTP has in common: its address, its prices, and judging its answers.

A new one is a ``profile_of`` and a ``begin``; answers are judged alike, because the words that
providers use for the same trouble are known together.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, replace
from datetime import date
from decimal import Decimal
from typing import ClassVar

from pydantic import JsonValue

from stage3_plugin.domain.addressing import canonical_address
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Asked, Fetch, Lost, Reply, Send, Unsaid
from stage3_plugin.domain.free_checks import About, Ask, Finding, Price
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.money import Estimate, Prices, to_usd
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import BehindPrompt, PictureRequest, worded
from stage3_plugin.domain.verdict import Verdict
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers import prices as price_table
from stage3_plugin.providers.base import BatchLane, Looked, Next, Polled
from stage3_plugin.providers.models import (
    Form,
    form_of,
    like_of,
    option_problem,
    said_of,
    takes_of,
    who_has,
)
from stage3_plugin.providers.replies.free_answers import (
    compared,
    found_model,
    good,
    missing,
    trouble,
)
from stage3_plugin.providers.replies.judging import judge_reply
from stage3_plugin.providers.replies.polling import is_gone, unsaid
from stage3_plugin.providers.replies.taxonomy import meanings
from stage3_plugin.providers.replies.unbilled import free
from stage3_plugin.settings import PictureMaker


class Hosted(PictureMaker, ABC):
    """The shared part of a :class:`~stage3_plugin.providers.base.Provider`.

    Args:
        endpoint: Where it is asked, and for which model.
        prices: The settings' price table, instead of the shipped one.
        flat_usd: The settings' price per picture.
        negative_prompt: ``append`` puts it behind the prompt, ``drop`` leaves it out.
        style_tags: Likewise.
        options: The setting ``options``, as ``Options`` has taken it.
        clock: Seconds since 1970, for answers that name a moment and have no ``Date``.

    Attributes:
        base_url: Where its API is, without a slash at the end.
        endpoint: Where it is asked, and for which model.
        options: What to send beside the wishes of a scene, by its own names: those that are set.
        clock: Seconds since 1970.
    """

    _no_model: ClassVar[str] = ""
    """What the vendor's page of a model that it does not have comes to, if it has one of each."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        prices: Prices | None = None,
        flat_usd: Decimal | None = None,
        negative_prompt: BehindPrompt = "append",
        style_tags: BehindPrompt = "append",
        options: Mapping[str, JsonValue] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # What an answer is judged by is read now: later, what was paid for may wait for the disk.
        meanings()
        free()
        self._profile = profile = self.profile_of(endpoint)
        self.base_url = (endpoint.base_url or profile.base_url).rstrip("/")
        self.endpoint = endpoint
        self.options: Mapping[str, JsonValue] = options or {}
        self._prices = prices
        self._flat_usd = flat_usd
        self._negative_prompt: BehindPrompt = negative_prompt
        self._style_tags: BehindPrompt = style_tags
        self.clock = clock
        self._is_free = self.base_url != profile.base_url and _costs_nothing(prices, flat_usd)

    @staticmethod
    @abstractmethod
    def profile_of(endpoint: Endpoint, /) -> Profile:
        """Return what is known beforehand of one of its endpoints."""

    @abstractmethod
    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""

    @property
    def batch(self) -> BatchLane | None:
        """Return its batch lane: most have none."""
        return None

    @property
    def profile(self) -> Profile:
        """Return what is known of it beforehand."""
        return self._profile

    @property
    def prices(self) -> Prices | None:
        """Return the settings' prices, else the shipped ones of the model."""
        return self._prices or price_table.prices_of(self._profile.name, self.endpoint.model)

    def next(self, reply: Reply) -> Next:
        """Return what follows from a complete answer."""
        return self.judged(reply)

    def _in_known_words(self, reply: Reply) -> Reply:
        """Return an answer in the shape that all are read in: most come in it."""
        return reply

    def judged(self, reply: Reply) -> Verdict | Fetch:
        """Read a complete answer as all providers do: a verdict, or that its picture is fetched."""
        return judge_reply(
            self._in_known_words(reply),
            profile=self._profile,
            base_url=self.base_url,
            now_s=self.clock(),
            is_free=self._is_free,
        )

    def _unsaid(self, reply: Reply) -> Unsaid:
        """Return that its answer says nothing of a job."""
        return unsaid(self._in_known_words(reply), now_s=self.clock())

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        """Return what follows from an answer of a job's: one without a queue has none."""
        raise NotImplementedError(f"{self._profile.name} has no queue")

    def look_for(self, lost: Lost) -> str:
        """Return where a listing begins: one without a listing has none."""
        raise NotImplementedError(f"{self._profile.name} has no listing")

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        """Return what a page of a listing shows."""
        raise NotImplementedError(f"{self._profile.name} has no listing")

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what the picture is expected to cost by the price table."""
        if self._style_tags == "drop":
            request = replace(request, style_tags=())
        return price_table.estimate(
            request,
            provider=self._profile.name,
            model=self.model_of(request),
            api=self.endpoint.api,
            prices=self._prices,
            flat_usd=self._flat_usd,
        )

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:  # noqa: ARG002 - named in the protocol
        """Return what can be asked for free about key, models and account: nothing is known."""
        return ()

    def _pages(
        self, models: Iterable[str], page: Callable[[str], str], *about: About
    ) -> Iterator[Ask]:
        """Yield what asks for the page of each model."""
        for model in models:
            yield Ask(url=page(model), about=about, model=model, judge=self._of_model)

    def _of_model(self, ask: Ask, reply: Reply, today: date) -> tuple[Finding, ...]:
        """Judge a model's page by what is on it; where only a good key opens it, the key, too."""
        model = ask.model or ""
        if self._no_model and self.is_vendors and is_gone(reply):
            return (missing(f"{self.who} {self._no_model}", model),)
        found = self._on_page(model, reply, today) if reply.status == 200 else ()
        if not found:
            return self._trouble(ask, reply)
        return (good("key", f"{self.who} accepts it"), *found) if "key" in ask.about else found

    def _on_page(self, model: str, reply: Reply, today: date) -> tuple[Finding, ...]:  # noqa: ARG002 - of a page that says more
        """Return what is on a model's page; nothing if it is not one."""
        return ()

    def _has(self, model: str, today: date, ends_on: date | None = None) -> Finding:
        return found_model(self._profile.name, self.who, model, ends_on, today)

    def _trouble(self, ask: Ask, reply: Reply) -> tuple[Finding, ...]:
        """Return what an answer that is not the expected one says."""
        return trouble(ask, self._in_known_words(reply), is_vendor=self.is_vendors)

    def priced(self, model: str, prices: Iterable[Price]) -> tuple[Finding, ...]:
        """Compare what a page says of prices, the dearest of each kind; one of 0 says nothing."""
        by_height = sorted(prices, key=lambda price: price.usd)
        dearest = {price.per: price for price in by_height if price.usd}.values()
        found = (self._compared(model, theirs) for theirs in dearest)
        return tuple(one for one in found if one is not None)

    def _compared(self, model: str, theirs: Price) -> Finding | None:
        theirs = replace(theirs, usd=theirs.usd.normalize())
        estimate = self.estimate(replace(PLAIN, model=model))
        low, high = (
            None if microusd is None else to_usd(microusd)
            for microusd in (estimate.low_microusd, estimate.high_microusd)
        )
        line = None
        if theirs.per == "million picture tokens":
            own = self._prices if model == self.endpoint.model else None
            prices = (
                own or price_table.prices_of(self._profile.name, model) or self._prices or Prices()
            )
            if prices.output_image is None and high is not None:
                return None  # here it is sold by the picture
            low = high = prices.output_image
            said = asdict(replace(prices, output_image=theirs.usd)).items()
            words = (f'{name} = "{usd:f}"' for name, usd in said if usd is not None)
            line = None if high is None else f"prices = {{ {', '.join(words)} }}"
        elif theirs.per == "picture" and price_table.is_same_for_all(self._profile.name, model):
            line = f'price_usd = "{theirs.usd:f}"'
        return compared(self.who, model, theirs, (low, high), line)

    @property
    def is_vendors(self) -> bool:
        """Whether it is asked at the vendor's own address, however that is written."""
        return canonical_address(self.base_url) == canonical_address(self._profile.base_url)

    @property
    def who(self) -> str:
        """Return who answers, as people call it."""
        profile = self._profile
        return profile.vendor or profile.name if self.is_vendors else f"the server {self.base_url}"

    def said_of(self, model: str) -> dict[str, JsonValue]:
        """Return what is always said to a model, and the options that are set.

        Raises:
            SettingsRefused: The model, which may be a scene's own, does not have one of them.
        """
        provider, known = self._profile.name, self.known_as(model)
        need_options(provider, known, self.options)
        return said_of(takes_of(provider, known), self.options)

    def model_of(self, request: PictureRequest) -> str:
        return request.model or self.endpoint.model

    def known_as(self, model: str) -> str:
        """Return by whose name the rows of a model are found: the setting ``like``, or its own."""
        asked = self.endpoint
        return like_of(self._profile.name, model, own=asked.model, like=asked.like) or model

    def form_of(self, request: PictureRequest) -> Form | None:
        """Return how the size is asked for; ``None`` where it is in pixels."""
        known = self.known_as(self.model_of(request)).removeprefix("models/").partition(":")[0]
        size_px = (request.width_px, request.height_px)
        return form_of(self._profile.name, known, size_px, api=self.endpoint.api)

    def prompt_of(self, request: PictureRequest) -> tuple[str, list[str]]:
        """Word the prompt, and name the wishes that no paid provider here can take."""
        says_tags, says_what_not = self._style_tags != "drop", self._negative_prompt != "drop"
        unmet = {
            "negative_prompt": bool(request.negative_prompt) and not says_what_not,
            "style_tags": bool(request.unsaid_tags) and not says_tags,
            "references": bool(request.references or request.wishes) and not request.shown,
            "characters": request.is_without_characters,
            "quality": "quality" in self._profile.unsaid and request.quality != PLAIN.quality,
        }
        avoid = request.negative_prompt if says_what_not else None
        prompt = worded(request.prompt, request.style_tags if says_tags else (), avoid)
        return prompt, [name for name, is_unmet in unmet.items() if is_unmet]


def unsaid_of(
    request: PictureRequest,
    form: Form | None,
    *,
    seed: bool = False,
    formats: Collection[str] = (),
    background: bool = False,
) -> list[str]:
    """Name the wishes that there is no word for.

    Args:
        request: The picture.
        form: How its size is asked for.
        seed: Whether its seed can be said.
        formats: The kinds of file that can be, beside PNG.
        background: Whether its background can be.
    """
    wishes = {
        "seed": request.seed is not None and not seed,
        "size": form is not None and not form.is_size,
        "output_format": request.output_format not in {"png", *formats},
        "background": request.background != "auto" and not background,
    }
    return [name for name, is_unsaid in wishes.items() if is_unsaid]


PLAIN = PictureRequest(scene_id="plain", prompt="", width_px=1000, height_px=1000)
"""One picture of one megapixel, by whatever a vendor calls one, in the usual quality."""


def need_options(provider: str, model: str, options: Mapping[str, JsonValue]) -> None:
    """Refuse an option that a model is known not to have: left out, it would be missed unseen.

    Raises:
        SettingsRefused: There is one.
    """
    for option, value in options.items():
        problem = option_problem(takes_of(provider, model), option, value)
        if problem is not None:
            having = who_has(option, value, provider=provider)
            hint = f"take it out of options{having and f', or name a model that has it: {having}'}"
            raise SettingsRefused(f"options.{option}", f"{problem} model {model!r}", hint=hint)


def _costs_nothing(prices: Prices | None, flat_usd: Decimal | None) -> bool:
    """Return whether the settings say that a picture costs nothing: every price in them is zero."""
    known = prices or Prices()
    says_so = flat_usd is not None or known.output_image is not None
    return says_so and not any((flat_usd, *astuple(known)))
