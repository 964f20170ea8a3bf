"""What the vendors' endpoints take, each shape written once, and how they refuse what is none.

Written from the vendors' packages and documents, not from what the product sends: openai 3.57.0,
openrouter 1.3.84, google-genai 3.6.1, fal.ai's pages of endpoints and docs.bfl.ai (2026-11). Every
field that is not in a shape is refused, as OpenAI does and as nobody should count on others not to
do. Apart from ``shapes``, which has the answers, because this needs pydantic and whoever runs the
fake by hand has perhaps none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tests.fakes import shapes
from tests.fakes.behaviours import Behaviour, Json
from tests.fakes.wire import Asked

MOST_DATA_URL = 20_971_520
"""Characters of a reference at OpenAI."""
MOST_INLINE = 20_000_000
"""Bytes of a whole request to Gemini that carries its pictures itself."""
_DATA_URL = re.compile(r"data:(image/[a-z]+);base64,(?P<data>.*)", re.DOTALL)
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp",
}  # fmt: skip


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


# References --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """A reference as it arrived.

    Attributes:
        media_type: What it was called.
        data: Its bytes; empty if they are no base64.
    """

    media_type: str
    data: bytes

    @property
    def sha256(self) -> str:
        """Return the hash of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def is_a_picture(self) -> bool:
        """Return whether the bytes begin as the kind of file that they are called."""
        found = (kind for begin, kind in _SIGNATURES.items() if self.data.startswith(begin))
        return next(found, None) == self.media_type


def shown_in(asked: Asked) -> list[Shown]:
    """Return the references that a request carries itself, in their order."""
    return [_shown(media_type, text) for media_type, text in _carried(asked.document)]


def _carried(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the kind and the base64 of each; one at an address, or of a file, is not carried."""
    for content in document.get("contents", ()):
        for part in content["parts"]:
            if "inlineData" in part:
                yield part["inlineData"]["mimeType"], part["inlineData"]["data"]
    for text in _bare(document):
        yield _kind_of(text), text
    for address in _addresses(document):
        if (found := _DATA_URL.fullmatch(address)) is not None:
            yield found[1], found["data"]


def _bare(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is base64 without a word on what it is, as Black Forest Labs takes it."""
    yield from (image for image in document.get("images", ()) if isinstance(image, str))
    for number in range(1, 11):
        text = document.get("input_image" if number == 1 else f"input_image_{number}")
        if text is not None:
            yield text


def _kind_of(text: str) -> str:
    begin = base64.b64decode(text[:16] + "=" * (-len(text[:16]) % 4))
    return next((kind for sign, kind in _SIGNATURES.items() if begin.startswith(sign)), "")


def _addresses(document: Mapping[str, Any]) -> Iterator[str]:
    yield from document.get("image_urls", ())
    if "image_url" in document:
        yield document["image_url"]
    for image in document.get("images", ()):
        yield "" if isinstance(image, str) else image.get("image_url", "")
    for part in document.get("input_references", ()):
        yield part["image_url"]["url"]
    for message in document.get("messages", ()):
        if not isinstance(message["content"], str):
            for part in message["content"]:
                if part["type"] == "image_url":
                    yield part["image_url"]["url"]


def _shown(media_type: str, text: str) -> Shown:
    try:
        return Shown(media_type, base64.b64decode(text, validate=True))
    except binascii.Error:
        return Shown(media_type, b"")


def _checked_address(address: str) -> str:
    """Refuse what is neither an address nor a data URL of bounded length."""
    if len(address) > MOST_DATA_URL:
        raise PydanticCustomError("string_too_long", "string too long")
    if not address.startswith("https://") and _DATA_URL.fullmatch(address) is None:
        raise PydanticCustomError("invalid_value", "expected a URL or a data URL")
    return address


_Address: TypeAlias = Annotated[str, AfterValidator(_checked_address)]

# OpenAI ------------------------------------------------------------------------------------------

_THREE_SIZES = {"1024x1024", "1536x1024", "1024x1536"}
_USUAL = {"auto", "low", "medium", "high"}
_Prompt: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=32_000)]


class OpenAIGeneration(_Shape):
    """``POST /v1/images/generations``."""

    model: str = Field(min_length=1)
    prompt: _Prompt
    n: int = Field(default=1, ge=1, le=10)
    size: str = Field(default="auto", pattern=r"^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$")
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max"] = "auto"
    output_format: Literal["png", "jpeg", "webp", "gif", "svg"] = "png"
    output_compression: int | None = Field(default=None, ge=0, le=100)
    background: Literal["auto", "opaque", "transparent"] = "auto"
    moderation: Literal["auto", "low"] = "auto"
    complexity: Literal["low", "medium", "high"] | None = None
    stream: bool = False
    partial_images: int = Field(default=0, ge=0, le=3)
    safety_identifier: str | None = None

    @model_validator(mode="after")
    def _is_known_to_its_model(self) -> OpenAIGeneration:
        is_old = self.model.startswith(("gpt-image-1", "chatgpt-image"))
        is_newest = self.model.startswith("gpt-image-2.")
        if self.model.startswith("gpt-image") and not is_newest and self.quality not in _USUAL:
            raise PydanticCustomError("invalid_value", "quality is not one of this model")
        if is_old and self.size not in _THREE_SIZES | {"auto"}:
            raise PydanticCustomError("invalid_value", "size is not one of this model")
        if not is_old and self.size != "auto" and not _is_free_size(self.size):
            raise PydanticCustomError("invalid_value", "size is out of bounds")
        if self.background == "transparent" and self.output_format == "jpeg":
            raise PydanticCustomError("invalid_value", "background needs png or webp")
        if self.complexity is not None and not self.model.startswith("gpt-image-2.6"):
            raise PydanticCustomError("invalid_value", "complexity is not of this model")
        return self


def _is_free_size(size: str) -> bool:
    short, long = sorted(map(int, size.split("x")))
    fits = long <= 3840 and short <= 2160 and long <= 3 * short
    return fits and not short % 16 and not long % 16


class _EditImage(_Shape):
    image_url: _Address | None = None
    file_id: str | None = None

    @model_validator(mode="after")
    def _is_one(self) -> _EditImage:
        if (self.image_url is None) == (self.file_id is None):
            raise PydanticCustomError("invalid_value", "one of image_url and file_id")
        return self


class OpenAIEdit(OpenAIGeneration):
    """``POST /v1/images/edits`` as JSON."""

    images: list[_EditImage] = Field(min_length=1, max_length=16)
    mask: _EditImage | None = None
    input_fidelity: Literal["low", "high"] | None = None

    @model_validator(mode="after")
    def _leaves_fidelity_to_newer_models(self) -> OpenAIEdit:
        if self.input_fidelity is not None and self.model.startswith("gpt-image-2"):
            raise PydanticCustomError("invalid_value", "input_fidelity is not of this model")
        return self


# OpenRouter --------------------------------------------------------------------------------------


class _ImageUrl(_Shape):
    url: _Address


class _ImagePart(_Shape):
    type: Literal["image_url"]
    image_url: _ImageUrl


class _TextPart(_Shape):
    type: Literal["text"]
    text: str = Field(min_length=1)


class OpenRouterImages(_Shape):
    """``POST /api/v1/images``."""

    model: str = Field(pattern=r"^[^/]+/.+$")
    prompt: str = Field(min_length=1)
    n: int = Field(default=1, ge=1, le=10)
    size: str | None = Field(default=None, pattern=r"^(512|768|1K|1\.5K|2K|4K|\d{1,5}x\d{1,5})$")
    resolution: Literal["512", "768", "1K", "1.5K", "2K", "4K"] | None = None
    aspect_ratio: str | None = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max"] | None = None
    output_format: Literal["png", "jpeg", "webp", "svg"] | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100)
    background: Literal["auto", "opaque", "transparent"] | None = None
    seed: int | None = None
    stream: bool = False
    input_references: list[_ImagePart] = Field(default_factory=list[_ImagePart], max_length=16)
    provider: dict[str, Any] | None = None
    user: str | None = None
    session_id: str | None = Field(default=None, max_length=256)


class _Message(_Shape):
    role: Literal["user"]
    content: str | list[Annotated[_TextPart | _ImagePart, Field(discriminator="type")]]


class _ImageConfig(_Shape):
    aspect_ratio: str | None = Field(default=None, pattern=r"^\d+:\d+$")
    image_size: Literal["0.5K", "1K", "2K", "4K"] | None = None
    quality: str | None = None
    strength: float | None = None


class OpenRouterChat(_Shape):
    """``POST /api/v1/chat/completions`` for a picture."""

    model: str = Field(pattern=r"^[^/]+/.+$")
    messages: list[_Message] = Field(min_length=1)
    modalities: list[Literal["image", "text"]] = Field(min_length=1, max_length=2)
    image_config: _ImageConfig | None = None
    seed: int | None = None

    @model_validator(mode="after")
    def _shows_at_most_sixteen(self) -> OpenRouterChat:
        parts = [part for message in self.messages for part in message.content]
        if sum(isinstance(part, _ImagePart) for part in parts) > 16:
            raise PydanticCustomError("too_long", "at most 16 pictures")
        return self


# Gemini ------------------------------------------------------------------------------------------

_RATIOS = {"1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"}
_WIDER = _RATIOS | {"1:4", "4:1", "1:8", "8:1"}


class _Inline(_Shape):
    mimeType: Literal["image/png", "image/jpeg", "image/webp"]  # noqa: N815 - the wire's
    data: str = Field(min_length=1)


class _FileData(_Shape):
    mimeType: Literal["image/png", "image/jpeg", "image/webp"]  # noqa: N815 - the wire's
    fileUri: str = Field(min_length=1)  # noqa: N815 - the wire's


class _GeminiPart(_Shape):
    text: str | None = Field(default=None, min_length=1)
    inlineData: _Inline | None = None  # noqa: N815 - the wire's
    fileData: _FileData | None = None  # noqa: N815 - the wire's

    @model_validator(mode="after")
    def _is_one(self) -> _GeminiPart:
        if sum(one is not None for one in (self.text, self.inlineData, self.fileData)) != 1:
            raise PydanticCustomError("invalid_value", "one of text, inlineData and fileData")
        return self


class _Content(_Shape):
    role: Literal["user"]
    parts: list[_GeminiPart] = Field(min_length=1)


class _GeminiImage(_Shape):
    aspectRatio: str | None = None  # noqa: N815 - the wire's
    imageSize: Literal["512", "1K", "2K", "4K"] | None = None  # noqa: N815 - the wire's


class _Thinking(_Shape):
    thinkingLevel: Literal["MINIMAL", "LOW", "MEDIUM", "HIGH"]  # noqa: N815 - the wire's


_LEVELS = {
    "gemini-nano-banana-2.1": {"MINIMAL", "MEDIUM", "HIGH"},
    "gemini-3.1-flash-image": {"MINIMAL", "HIGH"},
    "gemini-3.1-flash-lite-image": {"MINIMAL", "HIGH"},
}


class _GeminiConfig(_Shape):
    thinkingConfig: _Thinking | None = None  # noqa: N815 - the wire's
    responseModalities: list[Literal["IMAGE", "TEXT"]]  # noqa: N815 - the wire's
    imageConfig: _GeminiImage | None = None  # noqa: N815 - the wire's
    seed: int | None = Field(default=None, ge=-(2**31), lt=2**31)


class GeminiContent(_Shape):
    """``POST /v1beta/models/MODEL:generateContent``, with the model of its path."""

    model: str
    contents: list[_Content] = Field(min_length=1)
    generationConfig: _GeminiConfig  # noqa: N815 - the wire's

    @model_validator(mode="after")
    def _is_known_to_its_model(self) -> GeminiContent:
        image = self.generationConfig.imageConfig or _GeminiImage()
        is_wide = self.model.startswith(("gemini-3.1-flash-image", "gemini-nano-banana-2.1"))
        if image.aspectRatio is not None and image.aspectRatio not in (
            _WIDER if is_wide else _RATIOS
        ):
            raise PydanticCustomError("invalid_value", "aspectRatio is not one of this model")
        if image.imageSize == "512" and not self.model.startswith("gemini-3.1-flash-image"):
            raise PydanticCustomError("invalid_value", "imageSize is not one of this model")
        if image.imageSize not in {None, "1K"} and "flash-lite" in self.model:
            raise PydanticCustomError("invalid_value", "imageSize is not one of this model")
        thinking = self.generationConfig.thinkingConfig
        if thinking is not None and thinking.thinkingLevel not in _LEVELS.get(self.model, ()):
            raise PydanticCustomError("invalid_value", "thinkingLevel is not one of this model")
        parts = [part for content in self.contents for part in content.parts]
        shown = [part for part in parts if part.inlineData or part.fileData]
        if len(shown) > (3 if self.model.startswith("gemini-2.5") else 14):
            raise PydanticCustomError("too_long", "too many pictures")
        return self


# fal ---------------------------------------------------------------------------------------------


class _Pixels(_Shape):
    width: int = Field(gt=0, le=14_142)
    height: int = Field(gt=0, le=14_142)


class _OfFal(_Shape):
    prompt: str = Field(min_length=1)
    num_images: int = Field(default=1, ge=1, le=4)
    output_format: Literal["png", "jpeg", "webp"] = "jpeg"
    image_urls: list[_Address] = Field(default_factory=list[_Address])


class FalFlux2(_OfFal):
    """``POST /fal-ai/flux-2/…``; webp is not of all of them."""

    enable_prompt_expansion: bool = False
    image_size: _Pixels
    seed: int | None = None
    image_urls: list[_Address] = Field(default_factory=list[_Address], max_length=8)
    enable_safety_checker: bool = True


class FalNanoBanana(_OfFal):
    """``POST /fal-ai/nano-banana-2`` and ``…-pro``."""

    aspect_ratio: str
    resolution: Literal["0.5K", "1K", "2K", "4K"] = "1K"
    limit_generations: bool = False
    enable_web_search: bool = False
    thinking_level: Literal["minimal", "high"] | None = None
    seed: int | None = None
    image_urls: list[_Address] = Field(default_factory=list[_Address], max_length=14)

    @model_validator(mode="after")
    def _is_a_ratio(self) -> FalNanoBanana:
        if self.aspect_ratio not in _RATIOS:
            raise PydanticCustomError("invalid_value", "aspect_ratio is not one of this model")
        return self


class FalGptImage(_OfFal):
    """``POST /openai/gpt-image-…``: no seed, and a quality that is dear where it is left out."""

    image_size: _Pixels
    quality: Literal["auto", "low", "medium", "high"]
    background: Literal["auto", "opaque", "transparent"] = "auto"
    image_urls: list[_Address] = Field(default_factory=list[_Address], max_length=16)


class FalNewerGptImage(_OfFal):
    """``POST /openai/gpt-image-2.5/…/text-to-image`` and ``…/edit``."""

    image_size: _Pixels
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max"]
    background: Literal["auto", "opaque", "transparent"] = "auto"
    image_urls: list[_Address] = Field(default_factory=list[_Address], max_length=16)


class FalFlux3(_Shape):
    """``POST /blackforestlabs/flux-3/text-to-image`` and ``…/edit-image``: one picture, no seed."""

    prompt: str = Field(min_length=1)
    image_urls: list[_Address] = Field(default_factory=list[_Address], max_length=10)
    aspect_ratio: str = Field(pattern=r"^\d{1,2}:\d{1,2}$")
    resolution: Literal["768sq", "1k", "2k", "4k"] = "1k"
    safety_tolerance: int = Field(default=2, ge=0, le=4)
    enable_prompt_expansion: bool = True
    output_format: Literal["png", "jpeg"] = "jpeg"


class FalGrok(_OfFal):
    """``POST /xai/grok-imagine-image/v2.0/text-to-image`` and ``…/edit``: no seed."""

    aspect_ratio: str = Field(pattern=r"^[\d.]+:[\d.]+$")
    resolution: Literal["1k", "2k"] = "1k"
    quality: Literal["low", "medium"] = "medium"
    image_urls: list[_Address] = Field(default_factory=list[_Address], max_length=3)


_AT_FAL: dict[str, type[_OfFal | FalFlux3]] = {
    "/blackforestlabs/flux-3/": FalFlux3,
    "/xai/grok-imagine-image/v2": FalGrok,
    "/openai/gpt-image-2.": FalNewerGptImage,
    "/fal-ai/flux-2": FalFlux2,
    "/fal-ai/nano-banana-": FalNanoBanana,
    "/openai/gpt-image-": FalGptImage,
}

# Black Forest Labs -------------------------------------------------------------------------------


class _OfBfl(_Shape):
    prompt: str = Field(min_length=1)
    seed: int | None = None
    output_format: Literal["png", "jpeg", "webp"] = "jpeg"
    safety_tolerance: int = Field(default=2, ge=0, le=6)
    input_image: str | None = None


class BflFlux2(_OfBfl):
    """``POST /v1/flux-2-…``: pixels in steps of 16, four megapixels at most."""

    safety_tolerance: int = Field(default=2, ge=0, le=5)
    disable_pup: bool = False
    width: int = Field(ge=64, multiple_of=16)
    height: int = Field(ge=64, multiple_of=16)
    input_image_2: str | None = None
    input_image_3: str | None = None
    input_image_4: str | None = None
    input_image_5: str | None = None
    input_image_6: str | None = None
    input_image_7: str | None = None
    input_image_8: str | None = None

    @model_validator(mode="after")
    def _is_of_four_megapixels(self) -> BflFlux2:
        if self.width * self.height > 4 * 1024**2:
            raise PydanticCustomError("invalid_value", "at most 4 megapixels")
        return self


class BflKontext(_OfBfl):
    """``POST /v1/flux-kontext-…``: ratios, and one reference."""

    aspect_ratio: str = Field(pattern=r"^\d{1,2}:\d{1,2}$")
    prompt_upsampling: bool = False


class BflFlux3(_Shape):
    """``POST /v1/flux-3-image``: these and nothing else, so neither a seed nor a kind of file."""

    prompt: str = Field(min_length=1)
    images: list[str] = Field(default_factory=list[str], max_length=10)
    aspect_ratio: Literal[
        "auto", "21:9", "2:1", "16:9", "3:2", "7:5", "4:3", "5:4", "1:1", "4:5", "3:4", "5:7",
        "2:3", "9:16", "1:2", "9:21",
    ] = "auto"  # fmt: skip
    resolution: Literal["768sq", "1k", "1.5k", "2k", "4k"] = "1k"
    grounding: bool = True
    safety_tolerance: int = Field(default=2, ge=0, le=4)
    version: str = "latest"


_AT_BFL: dict[str, type[_OfBfl | BflFlux3]] = {
    "/v1/flux-3": BflFlux3,
    "/v1/flux-2": BflFlux2,
    "/v1/flux-kontext": BflKontext,
}

# Refusing ----------------------------------------------------------------------------------------


def vendor_of(path: str) -> str:
    """Return whose endpoint a path is."""
    if path.startswith(tuple(_AT_FAL)):
        return "fal"
    return "bfl" if path.startswith(tuple(_AT_BFL)) else shapes.vendor_of(path)


def shape_of(path: str) -> type[_Shape]:
    """Return the shape that an endpoint takes."""
    if path.endswith(shapes.GENERATE_CONTENT):
        return GeminiContent
    for begins, shape in (*_AT_FAL.items(), *_AT_BFL.items()):
        if path.startswith(begins):
            return shape
    named: dict[str, type[_Shape]] = {
        shapes.OPENAI: OpenAIGeneration,
        shapes.EDITS: OpenAIEdit,
        shapes.OPENROUTER: OpenRouterImages,
        shapes.CHAT: OpenRouterChat,
    }
    return named[path]


def check(path: str, document: Mapping[str, Any]) -> None:
    """Refuse what an endpoint would not take.

    Raises:
        ValidationError: It would not.
    """
    asked = dict(document)
    if path.endswith(shapes.GENERATE_CONTENT):
        asked["model"] = shapes.model_of(path)
    shape_of(path).model_validate(asked)
    is_sibling = path.endswith(("/edit", "/edit-image"))
    if vendor_of(path) == "fal" and is_sibling is not bool(asked.get("image_urls")):
        raise ValueError("pictures are shown to the sibling that takes them, and to no other")


class Refusing:
    """Says no to requests that a vendor would not take, in the vendor's words.

    Args:
        flagged: Hashes of references that a policy is against.
        word: One that a policy is against in prompts.
    """

    def __init__(self, flagged: AbstractSet[str] = frozenset(), *, word: str = "") -> None:
        self.flagged = flagged
        self.word = word

    def __call__(self, asked: Asked) -> Behaviour | None:
        """Return how a request is refused, or ``None`` if it is taken."""
        vendor = _VENDORS[vendor_of(asked.path)]
        length = int(asked.headers.get("content-length", "0"))
        if vendor is _gemini and length > MOST_INLINE:
            return _gemini(
                "too large", f"Request payload size exceeds the limit: {MOST_INLINE} bytes."
            )
        try:
            check(asked.path, asked.document)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            return vendor(_CASES.get(first["type"], "invalid"), f"{where}: {first['msg']}", where)
        for number, shown in enumerate(shown_in(asked)):
            if not shown.is_a_picture:
                return vendor("no picture", f"Reference {number} is not a valid image.")
            if shown.sha256 in self.flagged:
                return vendor("flagged", _UNSAFE, "image")
        if self.word and self.word in asked.prompt:
            return vendor("flagged", _UNSAFE, asked.prompt[:100])
        return None


_UNSAFE = "Your request was rejected by the safety system."
_CASES = {"extra_forbidden": "unknown", "too_long": "too many", "string_too_long": "too large"}


def _openai(case: str, message: str, where: str = "") -> Json:
    code = {
        "unknown": "unknown_parameter",
        "too many": "array_above_max_length",
        "too large": "string_above_max_length",
        "no picture": "invalid_image_file",
        "flagged": "moderation_blocked",
    }.get(case, "invalid_value")
    error: dict[str, Any] = {"message": message, "type": "invalid_request_error", "code": code}
    if case in {"no picture", "flagged"}:
        error["type"] = "image_generation_user_error"
    if case == "flagged":
        error["moderation_details"] = {"moderation_stage": "input", "categories": ["violence"]}
        where = ""  # which of what went in is not told
    error["param"] = where.partition(".")[0] or None
    return Json({"error": error}, status=400, headers={"x-request-id": "req_refused"})


def _openrouter(case: str, message: str, where: str = "") -> Json:
    if case == "flagged":
        metadata: dict[str, Any] = {"reasons": ["violence"], "flagged_input": where}
        return Json({"error": {"code": 403, "message": message, "metadata": metadata}}, status=403)
    kind, status = {
        "too large": ("payload_too_large", 413),
        "no picture": ("image_parse_error", 400),
    }.get(case, ("invalid_request", 400))
    metadata = {"error_type": kind}
    error = {"code": status, "message": message, "metadata": metadata}
    return Json({"error": error}, status=status)


def _gemini(case: str, message: str, _where: str = "") -> Json:
    if case == "flagged":
        counts = {"promptTokenCount": 1132, "totalTokenCount": 1132}
        feedback = {"blockReason": "PROHIBITED_CONTENT"}
        document = {"promptFeedback": feedback, "usageMetadata": counts, "responseId": "refused"}
        return Json(document, billed=True)
    error = {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}
    return Json({"error": error}, status=400)


def _validation(case: str, message: str, where: str = "") -> Json:
    """Say no as FastAPI does, which both are built with."""
    kind = "content_policy_violation" if case == "flagged" else "value_error"
    loc = ["body", *where.split(".")] if case != "flagged" else ["body", "prompt"]
    return Json({"detail": [{"loc": loc, "msg": message, "type": kind}]}, status=422)


_VENDORS = {
    "openai": _openai,
    "openrouter": _openrouter,
    "gemini": _gemini,
    "fal": _validation,
    "bfl": _validation,
}
