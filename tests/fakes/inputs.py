"""What Replicate's models and xAI take, each shape written once.

Written from the models' pages at replicate.com (versions/…/api, as of 2026-11) and from xai_sdk
1.21.0, not from what the product sends. Apart from ``requests``, because there a path says which
shape it is: xAI's are OpenAI's, and a model of Replicate's is in the path or in the body. An input
that a model does not have is refused here; Replicate would leave it alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

_DataUrl: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/=]+$")
]
_Ratio: TypeAlias = Literal[
    "1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21",
]  # fmt: skip
_Wide: TypeAlias = _Ratio | Literal["1:4", "4:1", "1:8", "8:1"]
_Format: TypeAlias = Literal["png", "jpg", "webp"]
_Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**31)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Input(_Shape):
    prompt: str = Field(min_length=1)


class FluxSchnell(_Input):
    """``black-forest-labs/flux-schnell``."""

    aspect_ratio: _Ratio
    num_outputs: int = Field(ge=1, le=4)
    go_fast: bool
    megapixels: Literal["1", "0.25"]
    seed: _Seed | None = None
    output_format: _Format


class FluxDev(FluxSchnell):
    """``black-forest-labs/flux-dev``."""

    image: _DataUrl | None = None


class Flux2(_Input):
    """``black-forest-labs/flux-2-pro`` and its kin."""

    input_images: list[_DataUrl] = Field(default_factory=list[str], max_length=8)
    aspect_ratio: _Ratio | Literal["custom", "match_input_image"]
    resolution: Literal["0.5 MP", "1 MP", "2 MP", "4 MP"] | None = None
    width: int | None = Field(default=None, ge=256, le=2048, multiple_of=16)
    height: int | None = Field(default=None, ge=256, le=2048, multiple_of=16)
    safety_tolerance: int = Field(default=2, ge=1, le=5)
    prompt_upsampling: bool
    seed: _Seed | None = None
    output_format: _Format

    @model_validator(mode="after")
    def _has_a_size(self) -> Flux2:
        is_custom = self.aspect_ratio == "custom"
        assert is_custom is (self.width is not None) is (self.height is not None)
        assert is_custom is (self.resolution is None)
        return self


class Flux3(_Input):
    """``black-forest-labs/flux-3-image``: no seed."""

    images: list[_DataUrl] = Field(default_factory=list[str], max_length=10)
    aspect_ratio: str = Field(pattern=r"^\d{1,2}:\d{1,2}$")
    resolution: Literal["768sq", "1k", "1.5k", "2k", "4k"]
    grounding: bool
    safety_tolerance: int = Field(default=2, ge=0, le=4)
    output_format: _Format


class Kontext(_Input):
    """``black-forest-labs/flux-kontext-pro``."""

    input_image: _DataUrl | None = None
    aspect_ratio: _Ratio
    prompt_upsampling: bool
    seed: _Seed | None = None
    output_format: Literal["png", "jpg"]


class NanoBanana(_Input):
    """``google/nano-banana``."""

    image_input: list[_DataUrl] = Field(default_factory=list[str], max_length=14)
    aspect_ratio: _Wide
    output_format: Literal["png", "jpg"]


class NanoBananaPro(NanoBanana):
    """``google/nano-banana-pro``."""

    resolution: Literal["1K", "2K", "4K"]
    allow_fallback_model: bool


class Seedream4(_Input):
    """``bytedance/seedream-4``."""

    image_input: list[_DataUrl] = Field(default_factory=list[str], max_length=10)
    size: Literal["1K", "2K", "4K", "custom"]
    aspect_ratio: _Ratio
    sequential_image_generation: Literal["disabled", "auto"]
    max_images: int = Field(ge=1, le=15)
    enhance_prompt: bool


class GptImage(_Input):
    """``openai/gpt-image-1.5``."""

    input_images: list[_DataUrl] = Field(default_factory=list[str], max_length=16)
    aspect_ratio: Literal["1:1", "3:2", "2:3"]
    quality: Literal["auto", "low", "medium", "high"]
    background: Literal["auto", "opaque", "transparent"]
    output_format: Literal["png", "jpeg", "webp"]
    number_of_images: int = Field(ge=1, le=10)
    input_fidelity: Literal["low", "high"] = "low"


REPLICATE: Mapping[str, type[_Input]] = {
    "black-forest-labs/flux-schnell": FluxSchnell,
    "black-forest-labs/flux-dev": FluxDev,
    "black-forest-labs/flux-2-pro": Flux2,
    "black-forest-labs/flux-3-image": Flux3,
    "black-forest-labs/flux-kontext-pro": Kontext,
    "google/nano-banana": NanoBanana,
    "google/nano-banana-pro": NanoBananaPro,
    "bytedance/seedream-4": Seedream4,
    "openai/gpt-image-1.5": GptImage,
}
_OFFICIAL = re.compile(r"/v1/models/([\w.-]+/[\w.-]+)/predictions")


def check_replicate(path: str, document: Mapping[str, Any]) -> None:
    """Refuse a prediction that its model would not take.

    Raises:
        ValueError: It would not.
    """
    official = _OFFICIAL.fullmatch(path)
    body, model = dict(document), official and official[1]
    if official is None:
        assert path == "/v1/predictions"
        model = body.pop("version").partition(":")[0]
    assert set(body) == {"input"}  # what else stands there is refused (changelog, 2024-05-01)
    REPLICATE[model or ""].model_validate(body["input"])


# xAI ---------------------------------------------------------------------------------------------


class _Storage(_Shape):
    filename: str = Field(min_length=1)
    expires_after: int = Field(ge=3600, le=2_592_000)


class XAIGeneration(_Shape):
    """``POST /v1/images/generations``: no size, no seed."""

    model: str
    prompt: str = Field(min_length=1)
    n: int = Field(ge=1, le=10)
    aspect_ratio: Literal[
        "1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "9:19.5", "19.5:9", "9:20", "20:9",
        "1:2", "2:1", "auto",
    ]  # fmt: skip
    resolution: Literal["1k", "2k"]
    response_format: Literal["url", "b64_json"]
    quality: Literal["low", "medium"] | None = None
    storage_options: _Storage | None = None

    @model_validator(mode="after")
    def _is_known_to_its_model(self) -> XAIGeneration:
        assert (self.quality is not None) is self.model.endswith("-2.0")
        return self


class _ImageUrl(_Shape):
    type: Literal["image_url"]
    url: _DataUrl


class XAIEdit(XAIGeneration):
    """``POST /v1/images/edits``, as JSON."""

    images: list[_ImageUrl] = Field(min_length=1, max_length=3)


def check_xai(path: str, document: Mapping[str, Any]) -> None:
    """Refuse a request that xAI would not take.

    Raises:
        ValueError: It would not.
    """
    shapes: dict[str, type[XAIGeneration]] = {
        "/v1/images/generations": XAIGeneration,
        "/v1/images/edits": XAIEdit,
    }
    shapes[path].model_validate(dict(document))
