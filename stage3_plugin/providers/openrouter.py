"""OpenRouter: its image endpoint, and chat completions with pictures, which the original used.

Answers carry their exact cost. Chat completions know no size in pixels: the nearest thing is an
aspect ratio and a tier, and ``size`` counts as left out where the nearest ratio is another one.
``max_tokens`` is never sent: a limit that is too low is billed and gives no picture, while one that
was missing is refused unbilled.
"""

from __future__ import annotations

from dataclasses import replace

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Payload, Send
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.reference import SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.models import (
    Shapes,
    is_same_ratio,
    nearest_ratio,
    shapes_of,
    tier_of,
)
from stage3_plugin.providers.showing import as_parts, data_url, named_first

PROFILE = Profile(
    name="openrouter",
    vendor="OpenRouter",
    base_url="https://openrouter.ai/api/v1",
    key_variable="OPENROUTER_API_KEY",
    empty_is_unbilled=True,  # "all or nothing", where the answer reports no charge
    seed=True,
    reports_cost=True,
)
_CHAT_PROFILE = replace(
    PROFILE, empty_is_unbilled=False, unsaid=frozenset({"output_format", "background"})
)
"""Chat completions charge for words, too, and have no field for what the file should be."""

HEADERS = {"X-OpenRouter-Title": "stage3-plugin", "X-Title": "stage3-plugin"}
"""Name the program in OpenRouter's own lists; the second is what its header was called before."""

_IMAGE_ONLY = ("black-forest-labs/", "bytedance-seed/", "recraft/", "sourceful/")
"""Authors whose models put out no text and refuse to be asked for it."""


class OpenRouter(Hosted):
    """The provider ``openrouter``; the arguments are those of ``Hosted``."""

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
            path, payload = "/chat/completions", payload | _chat(request, prompt, model)
            dropped += _unsaid_in_chat(request)
        url = f"{self.base_url}{path}"
        return Send(url=url, payload=payload, headers=HEADERS, dropped=tuple(dropped))


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


def _chat(request: PictureRequest, prompt: str, model: str) -> dict[str, Payload]:
    """Say the request as a chat completion; without references its content is a text."""
    content: Payload = prompt
    if request.shown:
        content = as_parts(prompt, request, text=_text, picture=_image_url)
    image_config: dict[str, Payload] = {
        "quality": request.quality,
        "aspect_ratio": aspect_ratio(request.width_px, request.height_px),
    }
    tier = size_tier(request.width_px, request.height_px)
    if tier != "1K":  # every model's own choice, and not all of them know the field
        image_config["image_size"] = tier
    return {
        "messages": [{"role": "user", "content": content}],
        "modalities": ["image"] if model.startswith(_IMAGE_ONLY) else ["image", "text"],
        "image_config": image_config,
    }


def _text(words: str) -> Payload:
    return {"type": "text", "text": words}


def _image_url(sent: SentPicture) -> Payload:
    return {"type": "image_url", "image_url": {"url": data_url(sent)}}


def _unsaid_in_chat(request: PictureRequest) -> list[str]:
    """Name the wishes a chat completion has no word for."""
    ratio = aspect_ratio(request.width_px, request.height_px)
    wishes = {
        "size": not is_same_ratio(request.width_px, request.height_px, ratio),
        "output_format": request.output_format != "png",
        "background": request.background != "auto",
    }
    return [name for name, is_unsaid in wishes.items() if is_unsaid]


def aspect_ratio(width_px: int, height_px: int) -> str:
    """Return the name of the ratio that is nearest to a size's own."""
    return nearest_ratio(width_px, height_px, _shapes().ratios)


def size_tier(width_px: int, height_px: int) -> str:
    """Return the smallest tier that has at least about as many pixels as a size."""
    return tier_of(width_px, height_px, _shapes().tiers)


def _shapes() -> Shapes:
    shapes = shapes_of("openrouter", "", api="chat")
    assert shapes is not None  # the shipped table has a row for every model of it
    return shapes
