"""OpenRouter: its image endpoint, and chat completions with pictures, which the original used.

Answers carry their exact cost. Chat completions know no size in pixels: the nearest thing is an
aspect ratio and a tier, and ``size`` counts as left out where the nearest ratio is another one.
``max_tokens`` is never sent: a limit that is too low is billed and gives no picture, while one that
was missing is refused unbilled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Payload, Reply, Send
from stage3_plugin.domain.free_checks import Ask, Finding, Price
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.hosted import Hosted, unsaid_of
from stage3_plugin.providers.models import Form
from stage3_plugin.providers.profiles import profile_named
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.free_answers import bad, day_at, good, missing, unsure
from stage3_plugin.providers.replies.reading import Json, at, items_at, text_at
from stage3_plugin.providers.replies.words import error_in
from stage3_plugin.providers.showing import as_parts, data_url, named_first
from stage3_plugin.settings import ProviderOptions

PROFILE = profile_named("openrouter")
_CHAT_PROFILE = replace(
    PROFILE, empty_is_unbilled=False, unsaid=frozenset({"output_format", "background"})
)
"""Chat completions charge for words, too, and have no field for what the file should be."""

HEADERS = {"X-OpenRouter-Title": "stage3-plugin", "X-Title": "stage3-plugin"}
"""Name the program in OpenRouter's own lists; the second is what its header was called before."""

_IMAGE_ONLY = ("black-forest-labs/", "bytedance-seed/", "recraft/", "sourceful/")
"""Authors whose models put out no text and refuse to be asked for it."""


class Routing(BaseModel):
    """Which of the services behind OpenRouter may serve a request."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    order: tuple[str, ...] = Field(default=(), description="Tried in this order.")
    only: tuple[str, ...] = Field(default=(), description="No others.")
    ignore: tuple[str, ...] = Field(default=(), description="Never these.")
    sort: Literal["price", "throughput", "latency"] | None = Field(
        default=None, description="By what they are chosen."
    )
    allow_fallbacks: bool = Field(
        default=True, strict=True, description="Whether another may serve if the first does not."
    )


class OpenRouterOptions(ProviderOptions):
    """What only OpenRouter has."""

    provider: Routing = Field(default=Routing(), description="Who may serve a request.")
    output_compression: int = Field(
        default=100, strict=True, ge=0, le=100, description="Percent; of its image endpoint alone."
    )


class OpenRouter(Hosted):
    """The provider ``openrouter``; the arguments are those of ``Hosted``."""

    Options = OpenRouterOptions

    @staticmethod
    def profile_of(endpoint: Endpoint, /) -> Profile:
        """Return what is known beforehand of one of its endpoints."""
        return PROFILE if endpoint.api == "images" else _CHAT_PROFILE

    @staticmethod
    def api_problem(api: str, /) -> str | None:
        """Say what keeps it from being asked in this way: nothing, if it is one of its two."""
        return None if api == "chat" else Hosted.api_problem(api)

    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""
        prompt, dropped = self.prompt_of(request)
        model = self.model_of(request)
        payload: dict[str, Payload] = {"model": model}
        if request.seed is not None:
            payload["seed"] = request.seed
        if self.endpoint.api == "images":
            path, payload = "/images", payload | _images(request, prompt)
        else:
            form = self.form_of(request)
            assert form is not None  # the shipped table has a row for every model of it
            chat = _chat(request, prompt, form, self.known_as(model))
            path, payload = "/chat/completions", payload | chat
            dropped += unsaid_of(request, form, seed=True)
        options = self.said_of(model)
        if self.endpoint.api == "chat" and "output_compression" in options:
            options = {name: options[name] for name in options if name != "output_compression"}
            dropped.append("output_compression")
        payload |= options
        url = f"{self.base_url}{path}"
        return Send(url=url, payload=payload, headers=HEADERS, dropped=tuple(dropped))

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        """Return what can be asked for free: the key's page, the balance, a page for each model."""
        return (
            Ask(url=f"{self.base_url}/key", about=("key", "account"), judge=self._of_key),
            Ask(url=f"{self.base_url}/credits", about=("account",), judge=self._of_credits),
            *map(self._about_model, models),
        )

    def _about_model(self, model: str) -> Ask | Finding:
        author, _, slug = model.partition("/")
        if not slug or "/" in slug:
            told = "its name is not AUTHOR/NAME, as those are that have a page"
            return unsure("model", told, model=model)
        among = "images/models" if self.endpoint.api == "images" else "models"
        page = f"{self.base_url}/{among}/{quote(author, safe='')}/{quote(slug, safe='')}/endpoints"
        return Ask(url=page, about=("model",), model=model, judge=self._of_model)

    def _of_key(self, ask: Ask, reply: Reply, today: date) -> tuple[Finding, ...]:
        found = at(reply.document, "data")
        if reply.status != 200 or not isinstance(found, dict):
            return self._trouble(ask, reply)
        return (_key(found, self.who, today), _limit(found))

    def _of_credits(self, ask: Ask, reply: Reply, _today: date) -> tuple[Finding, ...]:
        """Judge the balance, which is told to some keys only: that it is not says nothing."""
        bought, used = (
            _number(at(reply.document, "data", name)) for name in ("total_credits", "total_usage")
        )
        if reply.status != 200 or bought is None or used is None:
            return ask.unknown("the balance is told to a management key alone")
        if bought <= used:
            return (bad("account", f"no credit is left of {_usd(bought)}", hint=_BUY),)
        return (good("account", f"{_usd(bought - used)} of credit is left"),)

    def _of_model(self, ask: Ask, reply: Reply, today: date) -> tuple[Finding, ...]:
        model, whole = ask.model or "", reply.document
        found = at(whole, "data") if isinstance(at(whole, "data"), dict) else whole
        if reply.status == 404 and self.is_vendors and error_in(whole) is not None:
            api = self.endpoint.api
            told = f'{self.who} has no such model for api = "{api}"'
            return (missing(told, model),)
        servers = at(found, "endpoints")
        if reply.status != 200 or not isinstance(servers, list):
            return self._trouble(ask, reply)
        if not servers:
            return (missing("no service offers it now", model),)
        makes = items_at(found, "architecture", "output_modalities")
        if makes and "image" not in makes:
            return (bad("model", "it makes no pictures", model=model),)
        ends_on = day_at(found, "expiration_date")
        there = self._has(model, today, ends_on)
        return (there, *self.priced(model, _prices(servers)))


def _prices(servers: list[JsonValue]) -> Iterator[Price]:
    """Yield what the services behind a model ask for pictures of the smallest tier, or of any."""
    for server in servers:
        by_token = figure_of(at(server, "pricing", "image_output"), most=1)
        if by_token is not None:  # chat completions
            yield Price(usd=by_token * 10**6, per="million picture tokens")
        for entry in items_at(server, "pricing"):
            usd, unit = figure_of(at(entry, "cost_usd"), most=_MOST_USD), text_at(entry, "unit")
            is_plain = text_at(entry, "variant").upper() in {"", "1K"}
            if text_at(entry, "billable") != "output_image" or usd is None or not is_plain:
                continue
            if unit == "token":
                yield Price(usd=usd * 10**6, per="million picture tokens")
            elif unit in {"image", "megapixel"}:
                yield Price(usd=usd, per="picture" if unit == "image" else "megapixel")


_MOST_USD = 10**9
_BUY = "buy credit at https://openrouter.ai/settings/credits"
_LIMITS = "raise its limit at https://openrouter.ai/settings/keys, or use another key"


def _key(found: Json, who: str, today: date) -> Finding:
    """Judge a key by its own page."""
    if at(found, "is_management_key") is True or at(found, "is_provisioning_key") is True:
        told = "it is a key for managing others, which makes no pictures"
        return bad("key", told, hint="use an ordinary key")
    ends_on = day_at(found, "expires_at")
    if ends_on is not None and ends_on < today:
        return bad("key", f"it expired on {ends_on}", hint="make another key")
    ends = "" if ends_on is None else f" until {ends_on}"
    return good("key", f"{who} accepts it{ends}")


def _limit(found: Json) -> Finding:
    """Judge an account by what its key may still spend; the balance may be less."""
    limit, left = (_number(at(found, name)) for name in ("limit", "limit_remaining"))
    if _is_spent(at(found, "limit_remaining")):
        return bad("account", f"the key's limit{_of(limit)} is used up", hint=_LIMITS)
    if at(found, "is_free_tier") is True:
        told = "no credit was ever bought, and only free models are served without"
        return Finding(about="account", verdict="unknown", message=told, hint=_BUY)
    if left is not None:
        return good("account", f"{_usd(left)} is left of the key's limit{_of(limit)}")
    return good("account", "credit was bought, and the key has no limit")


def _of(limit: Decimal | None) -> str:
    return "" if limit is None else f" of {_usd(limit)}"


def _usd(amount: Decimal) -> str:
    return f"${amount:.2f}"


def _number(value: Json) -> Decimal | None:
    return figure_of(value, most=_MOST_USD)


def _is_spent(left: Json) -> bool:
    """Return whether nothing is left; what was spent beyond a limit is below zero."""
    return isinstance(left, int | Decimal) and not isinstance(left, bool) and left <= 0


def _images(request: PictureRequest, prompt: str) -> dict[str, Payload]:
    """Say the request in the image endpoint's fields."""
    payload: dict[str, Payload] = {
        "prompt": named_first(prompt, request),
        "n": 1,
        "size": request.size,
        "quality": request.quality,
        "output_format": request.output_format,
    }
    if request.background != "auto":
        payload["background"] = request.background
    if request.shown:
        payload["input_references"] = [_image_url(one.sent) for one in request.shown]
    return payload


def _chat(request: PictureRequest, prompt: str, form: Form, model: str) -> dict[str, Payload]:
    """Say the request as a chat completion; without references its content is a text."""
    content: Payload = prompt
    if request.shown:
        content = as_parts(prompt, request, text=_text, picture=_image_url)
    return {
        "messages": [{"role": "user", "content": content}],
        "modalities": ["image"] if model.startswith(_IMAGE_ONLY) else ["image", "text"],
        "image_config": {"quality": request.quality, **form.said("aspect_ratio", "image_size")},
    }


def _text(words: str) -> Payload:
    return {"type": "text", "text": words}


def _image_url(sent: SentPicture) -> Payload:
    return {"type": "image_url", "image_url": {"url": data_url(sent)}}
