"""What a user may set, each setting described, with its unit.

The host validates its config table ``[plugin.stage3]`` with :class:`Settings` before the stage is
opened; ``docs/configuration.md`` is checked against the fields here. Who makes the pictures is
found by its word in the entry-point group ``stage3.providers``, and its class has the few facts
that are needed here; a word that nothing usable stands for is refused when the stage opens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    Strict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from stage3_plugin.runtime.buckets import bucket_address
from stage3_plugin.runtime.database_url import DatabaseUrl, password_in, secrets_in
from stage3_plugin.runtime.declared import HEADER_NAME, OUR_HEADERS
from stage3_plugin.runtime.extras import lacking
from stage3_plugin.runtime.hosts import in_ascii, is_number, split_host
from stage3_plugin.runtime.offers import OFFLINE, PROVIDERS, NotOffered


def _exact(value: object) -> object:
    """Take a TOML number or string as the decimal it was written as, never as a binary float."""
    return str(value) if isinstance(value, float) else value


Usd: TypeAlias = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=0, le=1_000_000, allow_inf_nan=False),
]
Cap: TypeAlias = Annotated[Usd, Field(decimal_places=6)]
Seconds: TypeAlias = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Whole: TypeAlias = Annotated[int, Strict()]
YesOrNo: TypeAlias = Annotated[bool, Strict()]

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
LARGEST_SIDE_PX = 16384

_NOT_IN_ADDRESSES = frozenset(" \"'<>\\^`{|}")
_NOT_IN_HOSTS = _NOT_IN_ADDRESSES | frozenset("/?#@%*,;")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PROJECT = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NO_PROJECTS = frozenset({"public", "information_schema"})
_PLAIN_WORD = re.compile(r"[A-Za-z]{1,12}|[0-9.]{1,6}|.{1,3}")


def _is_host(host: str) -> bool:
    """Return whether a host can be one: a name, or an address."""
    if is_number(host):
        return True
    try:
        labels = in_ascii(host).split(".")
    except ValueError:
        return False
    is_name = all(map(_LABEL.fullmatch, labels)) and len(".".join(labels)) <= 253
    return is_name and not labels[-1].isdecimal()  # 300.1.2.3, or 1.2.3


def _text_of(secret: SecretStr) -> str | None:
    """Return a secret; ``None`` where its host could not get it, which whoever sends it is told."""
    try:
        return secret.get_secret_value().strip()
    except LookupError:
        return None


def _came_from_elsewhere(secret: SecretStr, info: ValidationInfo) -> bool:
    """Return whether a value was read from a variable, a file or a command, or given by a program.

    A host that reads configs says which texts came from elsewhere, in the context that it validates
    with (``secrets``).
    """
    context: object = info.context
    if not isinstance(context, Mapping):
        return True
    known: object = cast("Mapping[str, object]", context).get("secrets")
    return not isinstance(known, frozenset) or secret.get_secret_value() in known


class PriceTable(BaseModel):
    """Prices of one model, in USD per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    input_text: Usd | None = Field(
        examples=["40.00"], default=None, description="Text tokens of the prompt."
    )
    input_image: Usd | None = Field(
        examples=["40.00"], default=None, description="Tokens of reference pictures."
    )
    output_text: Usd | None = Field(
        examples=["40.00"], default=None, description="Text tokens of the answer."
    )
    output_image: Usd | None = Field(
        examples=["40.00"], default=None, description="Picture tokens of the answer."
    )


def _is_json(value: JsonValue) -> bool:
    """Return whether JSON has all numbers of a value: there is none for nan and inf."""
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return not isinstance(value, float) or math.isfinite(value)


def _address(url: str) -> str:
    """Take the address of an API, without a slash at its end."""
    if not url.isprintable() or set(url) & _NOT_IN_ADDRESSES:
        raise ValueError("an address has no spaces, quotes, brackets or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("an address ends its host with a port of 1 to 65535, or none") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address starts with https:// or http:// and names a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an address has no user, password, query or fragment; use api_key")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("an address ends its host with a port of 1 to 65535, or none")
    if not _is_host(parts.hostname):
        raise ValueError("an address names a host, such as images.example.com or 127.0.0.1")
    return url.rstrip("/")


Address: TypeAlias = Annotated[str, AfterValidator(_address)]


class Endpoint(BaseModel):
    """What a user calls the place where pictures are bought, whatever its address."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=100, description="Its name.")
    was: tuple[Address, ...] = Field(
        default=(), description="Addresses that it had before; what was bought there is its own."
    )

    @field_validator("name")
    @classmethod
    def _name_can_be_read(cls, name: str) -> str:
        if not name.isprintable() or name != name.strip():
            raise ValueError("a name is printable, without spaces around it")
        return name


def _named(value: object) -> object:
    """Take a name alone as an endpoint that never had another address."""
    return {"name": value} if isinstance(value, str) else value


class ProviderOptions(BaseModel):
    """What the setting ``options`` may hold for one who makes pictures: by itself, nothing.

    A subclass has a field for each option, by the name that is sent. Names that say how many
    pictures are bought, or how the answer comes, are refused whatever the fields are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    reserved: ClassVar[Mapping[str, str]] = {}
    """Further names that are refused, and why: what its requests say by themselves, where its
    fields do not tell what there is (``extra="allow"``)."""


class PictureMaker:
    """What settings are held to, of a class that makes pictures; a subclass says what differs."""

    Options: ClassVar[type[BaseModel]] = ProviderOptions
    """What the setting ``options`` may hold."""
    needs_model: ClassVar[bool] = True
    """Without a model it is not known what to ask for."""
    default_size_px: ClassVar[tuple[int, int] | None] = None
    """Width and height where no size is set, if those are not the setting's own default."""
    runs_model_class: ClassVar[bool] = False
    """It has pictures rendered by a class of the user's: ``model_class``."""

    @staticmethod
    def api_problem(api: str, /) -> str | None:
        """Say what keeps it from being asked in this way; ``None`` if nothing does."""
        return None if api == "images" else f'`api = "{api}"` is not one that this provider has'


class CastMember(BaseModel):
    """What a character, a place or a style looks like: a picture, or the prompt of a sheet."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    image: str | None = Field(
        examples=["refs/mira.png"],
        default=None,
        min_length=1,
        description="A picture of it, relative to the config; or `scene:ID`, a scene's picture.",
    )
    prompt: str | None = Field(
        examples=["Mira, a girl of nine in a yellow raincoat, four views on white"],
        default=None,
        min_length=1,
        description="Instead of `image`: what its sheet shows, which is made before the scenes.",
    )
    name: str | None = Field(
        examples=["Mira"], default=None, min_length=1, description="What prompts call it."
    )
    role: str | None = Field(
        examples=["character"],
        default=None,
        min_length=1,
        description="What it is for, such as `character`, `style` or `place`.",
    )
    always: YesOrNo = Field(
        default=False, description="It goes with every scene, and not only where it is named."
    )
    model: str | None = Field(
        examples=["gpt-image-2"],
        default=None,
        min_length=1,
        description="For its sheet, instead of the setting `model`.",
    )
    quality: str | None = Field(
        examples=["high"],
        default=None,
        min_length=1,
        description="For its sheet, instead of the setting `quality`.",
    )

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.image is None) == (self.prompt is None):
            raise ValueError("give either image, or prompt for a sheet that is made first")
        if self.prompt is None and (self.model or self.quality):
            raise ValueError("model and quality are for a sheet, which needs a prompt")
        return self


def who_makes(provider: str) -> type[PictureMaker] | None:
    """Return what makes pictures by this word, if anything usable does."""
    try:
        found = PROVIDERS.load(provider)
    except NotOffered:
        return None
    return found if isinstance(found, type) and issubclass(found, PictureMaker) else None


class _OfARoute(BaseModel):
    """What every route says of itself and is held to, the first one and those behind it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    provider: str
    api: Literal["images", "chat"] = Field(
        default="images",
        description="OpenRouter only: its image endpoint, or chat completions, which some models "
        "still need.",
    )
    base_url: str | None = Field(
        examples=["http://localhost:8080/v1"],
        default=None,
        description="Where the API lives, if not at the provider's public address; with "
        "`openai`, any compatible server, for example `http://localhost:8080/v1`.",
    )
    endpoint: Annotated[Endpoint | None, BeforeValidator(_named)] = Field(
        examples=["studio", {"name": "studio", "was": ["http://old:4000/v1"]}],
        default=None,
        description='Your name for what answers at `base_url`: `"NAME"`, or `{ name = "NAME", '
        "was = [addresses] }`. What was bought is then found again when the address changes, also "
        "what was bought at the addresses that it had.",
    )
    model: str | None = Field(
        examples=["gpt-image-2"],
        default=None,
        description="The provider's name of the model. Needed by every provider but `previz` and "
        "`local`, where it is the name of the class unless it is set; without a class, a folder of "
        "weights for diffusers.",
    )
    like: str | None = Field(
        examples=["gpt-image-2.6-flare"],
        default=None,
        description="For a `model` that is newer than the shipped table: a known one of the same "
        "provider that it is like. Sizes, formats, qualities, references and how it is asked are "
        "that one's, never its price; it is for a scene's own model, too, where that is not known.",
    )
    api_key: SecretStr | None = Field(
        examples=[{"env": "OPENAI_API_KEY"}],
        default=None,
        description='The key, best written as `{ env = "NAME" }`, `{ file = "PATH" }` or '
        '`{ command = ["PROGRAM", "WORD"] }`.',
    )
    headers: dict[str, SecretStr] = Field(
        examples=[{"x-portkey-provider": "openai"}],
        default_factory=dict[str, SecretStr],
        description="Further headers of every paid request, for gateways: "
        '`{ x-portkey-provider = "openai", x-token = { env = "NAME" } }`. Their values are kept '
        "like the key, and go to the API alone.",
    )
    picture_hosts: tuple[str, ...] = Field(
        examples=[["cdn.example.com"]],
        default=(),
        description="Further hosts that pictures may be fetched from, where answers name an "
        "address: `cdn.example.com`, or `.example.com` for every host below it. Always over https, "
        "and at private addresses only where `base_url` is at one, too.",
    )
    listing_is_whole: YesOrNo = Field(
        default=False,
        description="What answers at `base_url` lists every job of yours, as its vendor does: what "
        "it does not list is believed never to have arrived, and is bought anew.",
    )

    @field_validator("size", check_fields=False)
    @classmethod
    def _size_is_width_by_height(cls, size: str | None) -> str | None:
        if size is None:
            return None
        match = _SIZE.fullmatch(size)
        if match is None or max(int(side) for side in match.groups()) > LARGEST_SIDE_PX:
            raise ValueError(
                f"a size is WIDTHxHEIGHT in pixels up to {LARGEST_SIDE_PX}, such as 1024x1024"
            )
        return size

    @field_validator("base_url", check_fields=False)
    @classmethod
    def _base_url_can_be_asked(cls, base_url: str | None) -> str | None:
        return None if base_url is None else _address(base_url)

    @field_validator("picture_hosts", check_fields=False)
    @classmethod
    def _picture_hosts_are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            try:
                name, port = split_host(host)
            except ValueError:
                name, port = "", None
            if (
                not host.isprintable()
                or set(host) & _NOT_IN_HOSTS
                or not _is_host(name.removeprefix("."))
                or port == 0
            ):
                raise ValueError(
                    "a host is a name such as cdn.example.com, or .example.com for all below it, "
                    "without https:// and without a path"
                )
        return hosts

    @field_validator("options", "model_args", "executor", check_fields=False)
    @classmethod
    def _numbers_are_finite(cls, table: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if not all(map(_is_json, table.values())):
            raise ValueError("a number is a finite one")
        return table

    @field_validator("headers", check_fields=False)
    @classmethod
    def _headers_can_be_sent(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        sent: dict[str, SecretStr] = {}
        for written, secret in headers.items():
            name, value = written.lower(), _text_of(secret)
            if HEADER_NAME.fullmatch(name) is None:
                raise ValueError("a header's name is made of letters, digits and '-'")
            if name in OUR_HEADERS:
                raise ValueError(f"the header {name} is set by the program itself")
            if name in sent:
                raise ValueError(f"the header {name} is there twice")
            if value is not None and not (value.isascii() and value.isprintable() and value):
                raise ValueError(f"the value of {name} is not one line of printable ASCII")
            sent[name] = secret if value is None else SecretStr(value)
        return sent

    @field_validator("api_key", check_fields=False)
    @classmethod
    def _key_can_be_sent(cls, api_key: SecretStr | None) -> SecretStr | None:
        key = None if api_key is None else _text_of(api_key)
        if key is None:
            return api_key
        if not key:
            raise ValueError("the key is empty")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("a key is printable ASCII without spaces")
        return SecretStr(key)


def _instead(example: object) -> Any:
    """Return a field that a fallback takes over from the settings where it says nothing."""
    return Field(default=None, examples=[example], description="Instead of the setting.")


OwnOptions: TypeAlias = Annotated[
    dict[str, JsonValue],
    Field(
        examples=[{"moderation": "low"}],
        description="What only this provider has, by its own names; `stage3 providers` lists what "
        "each takes. Other options are other pictures.",
    ),
]
RequestsPerMinute: TypeAlias = Annotated[
    Whole | None,
    Field(
        examples=[60],
        ge=1,
        le=1_000_000,
        description="A limit of your account that you know: no more requests leave in any minute.",
    ),
]
Pacing: TypeAlias = Annotated[
    Literal["window", "paced"],
    Field(
        description="How `requests_per_minute` is kept: `window` sends as early as the last 60 "
        "seconds allow, `paced` at even intervals, for accounts that allow no bursts. Without it, "
        "leave this out.",
    ),
]
PriceUsd: TypeAlias = Annotated[
    Usd | None,
    Field(
        examples=["0.05"],
        description="USD per picture, for providers that report neither cost nor tokens.",
    ),
]
OwnPrices: TypeAlias = Annotated[
    PriceTable | None,
    Field(
        examples=[{"output_image": "40.00"}],
        description="USD per million tokens: `input_text`, `input_image`, `output_text`, "
        "`output_image`; used instead of the shipped table.",
    ),
]


class FallbackRoute(_OfARoute):
    """One more place where a picture is bought, if the one before it has refused it.

    What is said of one place alone (its address, key, model, prices and limits) is never taken over
    from another; what says how pictures are to be is, where nothing is said. A scene's own model is
    for the first route alone.
    """

    provider: str = Field(
        min_length=1, description="Who makes the pictures; like the setting, but no renderer."
    )
    size: str | None = Field(
        examples=["1024x1024"],
        default=None,
        description="For scenes that do not name their own; else the setting holds.",
    )
    quality: str | None = Field(
        examples=["high"],
        default=None,
        min_length=1,
        description="Sent to it for every scene, since each provider has its own words; else the "
        "scene's own, or the setting.",
    )
    output_format: Literal["png", "jpeg", "webp"] | None = _instead("png")
    background: Literal["auto", "opaque", "transparent"] | None = _instead("auto")
    negative_prompt: Literal["append", "drop"] | None = _instead("append")
    style_tags: Literal["append", "drop"] | None = _instead("append")
    options: OwnOptions = Field(default_factory=dict[str, JsonValue])
    capacity: Whole | None = Field(
        examples=[4],
        default=None,
        ge=1,
        le=4096,
        description="At most this many scenes in flight at it; those at all routes together stay "
        "within the setting.",
    )
    adaptive: YesOrNo | None = _instead(True)
    requests_per_minute: RequestsPerMinute = None
    pacing: Pacing = "window"
    timeout_s: Seconds | None = _instead(300.0)
    price_usd: PriceUsd = None
    prices: OwnPrices = None
    after_billed_refusal: YesOrNo | None = Field(
        examples=[True],
        default=None,
        description="For the way to this route, instead of the setting.",
    )


OF_ALL_ROUTES = frozenset(
    {
        "size", "quality", "output_format", "background", "negative_prompt", "style_tags",
        "capacity", "adaptive", "timeout_s",
    }
)  # fmt: skip
"""What a fallback takes over from the settings where it says nothing."""
_OF_THE_LADDER = frozenset({"fallback", "after_billed_refusal", "seeds_after_refusal"})
_OF_A_MODEL_CLASS = ("model_class", "model_args", "edition", "executor")
_NOT_OF_A_MODEL_CLASS = (
    "api_key", "base_url", "endpoint", "headers", "picture_hosts", "trust_env", "fallback",
    "after_billed_refusal", "seeds_after_refusal", "price_usd", "prices", "budget_usd", "daily_usd",
    "total_usd", "on_unknown", "lane", "requests_per_minute", "pacing", "options", "caption",
    "negative_prompt", "style_tags", "like", "listing_is_whole",
)  # fmt: skip
"""What only a provider has that is asked over a network and paid for, or one that draws."""
_MODEL_CLASS = re.compile(r"(?!\d)\w+(?:\.(?!\d)\w+)*:(?!\d)\w+(?:\.(?!\d)\w+)*")


class Settings(_OfARoute):
    """The settings of the Stage3 plugin."""

    provider: str = Field(
        default=OFFLINE,
        min_length=1,
        description="Who makes the pictures: `previz` (offline, free), `local` (a model class of "
        "your own), `openai` (the Images API and every server compatible with it), `openrouter`, "
        "`gemini`, `fal`, `bfl`, `replicate`, `xai`, or the word of one that another distribution "
        "brings.",
    )
    size: str = Field(
        # Part of the key of every paid picture: another default would buy them all again.
        default="1024x1024",
        description="Width x height in pixels, for scenes that do not name their own. Where none "
        "is set, `previz` draws 1280x720.",
    )
    quality: str = Field(
        default="medium",
        min_length=1,
        description="Sent as it is: `low`, `medium`, `high`, and with newer models `xhigh` and "
        "`max`. The same word costs differently on different models.",
    )
    output_format: Literal["png", "jpeg", "webp"] = Field(
        default="png", description="Asked for; what really came is told from the bytes."
    )
    background: Literal["auto", "opaque", "transparent"] = Field(
        default="auto", description="`transparent` needs png or webp and a model that can do it."
    )
    negative_prompt: Literal["append", "drop"] = Field(
        default="append",
        description="Where a provider has no field for it: put it behind the prompt as "
        "`. Avoid: …`, or leave it out and list it in `dropped`.",
    )
    style_tags: Literal["append", "drop"] = Field(
        default="append",
        description="Put a scene's style tags behind its prompt as `. Style: …`, but for those "
        "that stand in it, or leave them out and list them in `dropped`. Pictures with other tags "
        "are other pictures.",
    )
    seed: Whole | None = Field(
        examples=[7],
        default=None,
        description="For scenes without one of their own; honoured where the provider can.",
    )
    options: OwnOptions = Field(default_factory=dict[str, JsonValue])
    caption: YesOrNo = Field(
        default=True, description="previz only: the slate and caption; `false` gives a clean plate."
    )

    model_class: str | None = Field(
        examples=["my_models:Sdxl"],
        default=None,
        min_length=3,
        max_length=500,
        description="`local` only: your class that renders pictures, as `module:Class`; without "
        "one, weights are rendered with by diffusers.",
    )
    model_args: dict[str, JsonValue] = Field(
        examples=[{"weights": "/models/sdxl", "steps": 30}],
        default_factory=dict[str, JsonValue],
        description="`local` only: what the class is made with, once in each replica.",
    )
    edition: str = Field(
        examples=["2026-11"],
        default="",
        max_length=200,
        description="`local` only: any word; another one makes every picture anew, as is wanted "
        "where the weights have changed and nothing else of the settings has.",
    )
    executor: dict[str, JsonValue] = Field(
        examples=[{"kind": "processes", "replicas": 4, "gpus": 1}],
        default_factory=dict[str, JsonValue],
        description="`local` only: where the class runs: `kind` is `processes` of this machine, "
        "`ray`, or the word of one that another distribution brings; the rest is what that kind "
        "takes.",
    )

    fallback: tuple[FallbackRoute, ...] = Field(
        examples=[[{"provider": "openrouter", "model": "google/gemini-3.1-flash-image"}]],
        default=(),
        max_length=8,
        description="Further routes, tried in order where the one before has refused a picture or "
        "could not be asked for it, and took no money: one table each, "
        "`[[plugin.stage3.fallback]]`, with `provider`, `model` and what else differs.",
    )
    after_billed_refusal: YesOrNo = Field(
        default=False,
        description="Try the next route also where a refusal was billed; within the caps.",
    )
    seeds_after_refusal: Whole = Field(
        default=0,
        ge=0,
        le=10,
        description="So often a picture is tried anew with another seed, where it was made and "
        "then refused for what it shows, and that is not billed; only where no seed is set.",
    )

    cast: dict[str, CastMember] = Field(
        examples=[{"char_001": {"image": "refs/mira.png", "name": "Mira"}}],
        default_factory=dict[str, CastMember],
        description="What the ids in a scene's `characters_in_scene` look like, one table each: "
        '`[plugin.stage3.cast.char_001]` with `image = "refs/mira.png"`, or with `prompt = "…"` '
        'for a sheet that is made first, and `name = "Mira"`.',
    )
    reference_roots: tuple[Path, ...] = Field(
        examples=[["/srv/refs"]],
        default=(),
        description="Further folders that a scene file may name references in, beside its own and "
        "the config's; relative to the config.",
    )
    reference_labels: YesOrNo = Field(
        default=True,
        description='Bind the names of references in what is sent ("Reference image 1 is Mira."); '
        "`false` sends every prompt as it is in the file.",
    )

    capacity: Whole = Field(
        default=8,
        ge=1,
        le=4096,
        description="At most this many scenes in flight; 1 is serial, in order. Where none is set, "
        "`local` has as many as its replicas render at once.",
    )
    adaptive: YesOrNo = Field(
        default=True,
        description="Find out how much the provider takes, below `capacity`, from what it turns "
        "away; `false` keeps `capacity` in flight and only obeys the waits it asks for.",
    )
    requests_per_minute: RequestsPerMinute = None
    pacing: Pacing = "window"
    max_attempts: Whole = Field(
        default=4,
        ge=1,
        le=100,
        description="Requests for one scene that may fail for passing reasons. Rate limiting does "
        "not count, since such a request did not run; `deadline_s` bounds it.",
    )
    backoff_base_s: Seconds = Field(
        default=1.0, description="Seconds; the longest wait before the second request."
    )
    backoff_max_s: Seconds = Field(
        default=60.0, description="Seconds; the longest wait that backoff comes to by itself."
    )
    max_wait_s: Seconds = Field(
        default=120.0,
        description="Seconds; the longest wait a provider may ask for. A longer one fails the "
        "scene as `rate_limited` or `unavailable` instead of being cut short.",
    )
    timeout_s: Seconds = Field(
        default=300.0,
        description="Seconds for one whole exchange, from connecting to the last byte; time in "
        "which the program was stopped does not count.",
    )
    deadline_s: Seconds = Field(
        default=3600.0,
        description="Seconds for one scene in all, waiting between requests included; no request "
        "starts after it, and one that is in flight is left to end. What a provider with a queue "
        "is still making then is left to the next run.",
    )
    drain_s: Seconds = Field(
        default=120.0,
        description="Seconds that paid requests in flight may take to end after the first "
        "interrupt. What a provider with a queue is still making then is left to the next run.",
    )
    max_reply_bytes: Whole = Field(
        default=64 << 20,
        ge=1 << 16,
        description="Bytes; a longer answer is cut off and kept as evidence.",
    )
    max_pixels: Whole = Field(
        default=64_000_000, ge=1, description="Pixels; a larger picture is not accepted."
    )
    trust_env: YesOrNo = Field(
        default=False, description="Use the proxy that HTTPS_PROXY and its like name."
    )

    price_usd: PriceUsd = None
    prices: OwnPrices = None

    budget_usd: Cap | None = Field(
        examples=["2.50"],
        default=None,
        description="USD; one run holds and spends no more than this.",
    )
    daily_usd: Cap | None = Field(
        examples=["20.00"],
        default=None,
        description="USD; all runs on one ledger hold and spend no more than this with one "
        "provider on one calendar day.",
    )
    total_usd: Cap | None = Field(
        examples=["200.00"],
        default=None,
        description="USD; all runs on one ledger hold and spend no more than this, ever.",
    )
    time_zone: str = Field(
        default="UTC",
        min_length=1,
        description="Whose calendar `daily_usd` goes by, for example `Europe/Berlin`.",
    )
    lane: Literal["ordinary", "batch"] = Field(
        default="ordinary",
        description="`batch` buys pictures as lines of batches, for less: they may take a day, and "
        "the run ends while they are made.",
    )
    on_unknown: Literal["hold", "resend"] = Field(
        default="hold",
        description="What becomes of a scene whose request was sent and never answered: `hold` "
        "counts it as spent and waits for a decision (`stage3 resolve`); `resend` sends it once "
        "more, if the caps allow for both.",
    )

    state_dir: Path = Field(
        default=Path(".stage3"),
        description="Where the ledger, received answers and pictures are kept; relative to the "
        "config.",
    )
    store: str | None = Field(
        examples=["s3://bucket/stage3"],
        default=None,
        min_length=1,
        max_length=2_000,
        description="A second place for pictures, which other machines reach too: `s3://`, "
        "`gs://`, `az://` or `file://`; a picture is paid for only when both have it. Credentials "
        "are the environment's. See Pictures in a bucket.",
    )
    ledger: SecretStr | None = Field(
        examples=["postgresql://stage3@db.example.com/media"],
        default=None,
        description="A PostgreSQL server that keeps the ledger for several drivers, instead of a "
        "file below `state_dir`: `postgresql://USER@HOST/DATABASE`.",
    )
    project: str = Field(
        default="stage3",
        min_length=1,
        max_length=63,
        description="With `ledger`: the name of the project there (a schema of the database); "
        "drivers of one project share pictures and caps.",
    )

    @field_validator("ledger")
    @classmethod
    def _ledger_is_a_server(
        cls, ledger: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if ledger is None:
            return None
        text = ledger.get_secret_value().strip()
        if "://" not in text and "=" not in text:
            raise ValueError(
                "should be postgresql://USER@HOST/DATABASE; a ledger that is a file needs no "
                "setting but state_dir"
            )
        if lacking("postgres") is None:  # else whoever opens it says what to install
            DatabaseUrl.parse(text)
        if password_in(text) is not None and not _came_from_elsewhere(ledger, info):
            raise ValueError(
                "an address with a password does not stand in a config: write "
                'ledger = { env = "STAGE3_LEDGER" } or { file = "PATH" }; or leave the password '
                "out of it and to libpq, with a password file or PGPASSWORD"
            )
        return SecretStr(text)

    @field_validator("project")
    @classmethod
    def _project_is_a_schema(cls, project: str) -> str:
        if not _PROJECT.fullmatch(project):
            raise ValueError(
                "a project is called by 1 to 63 of the letters a to z, digits and _, and begins "
                "with a letter"
            )
        if project in _NO_PROJECTS or project.startswith("pg_"):
            raise ValueError("this name is taken by the database itself; choose another one")
        return project

    @field_validator("store")
    @classmethod
    def _store_is_a_bucket(cls, store: str | None) -> str | None:
        return None if store is None else str(bucket_address(store))

    @model_validator(mode="after")
    def _words_fit_together(self) -> Self:
        if "project" in self.model_fields_set and self.ledger is None:
            raise ValueError("`project` is set, but no `ledger` that it could be in")
        if "provider" not in self.model_fields_set:
            self._needs_no_provider()
        if self.api_key is not None and "authorization" in self.headers:
            raise ValueError("`api_key` and the header authorization say the same; set one of them")
        if "pacing" in self.model_fields_set and self.requests_per_minute is None:
            raise ValueError("`pacing` is set, but no `requests_per_minute` to be kept")
        maker = who_makes(self.provider)
        self._check_model_class(maker)
        problem = None if maker is None else maker.api_problem(self.api)
        if problem is not None:
            raise ValueError(problem)
        width, height = self.default_size_px
        if width * height > self.max_pixels:
            raise ValueError(f"size {width}x{height} is more than max_pixels, {self.max_pixels:,}")
        if maker is not None and maker.needs_model and not self.model:
            raise ValueError(
                f"provider {self.provider!r} needs `model`, the provider's name of the model"
            )
        if self.background == "transparent" and self.output_format == "jpeg":
            raise ValueError("a transparent background needs output_format png or webp")
        if self.backoff_max_s < self.backoff_base_s:
            raise ValueError("backoff_max_s is less than backoff_base_s")
        self._check_routes()
        return self

    def _check_model_class(self, maker: type[PictureMaker] | None) -> None:
        """Refuse a model class that nobody runs, and what nobody reads beside one."""
        if maker is None:
            return
        if not maker.runs_model_class:
            for name in _OF_A_MODEL_CLASS:
                if getattr(self, name) not in (None, {}, ""):
                    raise ValueError(
                        f"`{name}` is set, and provider {self.provider!r} runs no model class"
                    )
            return
        if self.model_class is None:
            if self.model is None and "weights" not in self.model_args:
                raise ValueError(
                    f"provider {self.provider!r} needs `model_class`, a class of your own as "
                    "module:Class, such as my_models:Sdxl; or `model`, a folder of weights for "
                    "diffusers, such as /models/sdxl"
                )
        elif _MODEL_CLASS.fullmatch(self.model_class) is None:
            raise ValueError(
                "`model_class` is a module and a class in it, such as my_models:Sdxl; no path, and "
                "no .py"
            )
        unused = [name for name in _NOT_OF_A_MODEL_CLASS if name in self.model_fields_set]
        if unused:
            instead = "; its own settings go into `model_args`" if "options" in unused else ""
            raise ValueError(
                f"`{unused[0]}` is set, and provider {self.provider!r}, which renders with a model "
                f"of your own for nothing, has no use for it{instead}"
            )

    def _check_routes(self) -> None:
        """Hold every further route to what the first is held to."""
        if self.after_billed_refusal and not self.fallback:
            raise ValueError("`after_billed_refusal` is set, but no `fallback` to be tried then")
        known = [_what_is_asked_for(self)]
        for number, fallback in enumerate(self.fallback, start=1):
            try:
                asked = _what_is_asked_for(self._with(fallback))
            except ValidationError as error:
                first = error.errors(include_input=False, include_url=False)[0]
                names = "".join(f"{name}: " for name in first["loc"])
                problem = first["msg"].removeprefix("Value error, ")
                raise ValueError(f"fallback {number}: {names}{problem}") from None
            if asked in known:
                raise ValueError(f"fallback {number} asks for the same as a route before it")
            known.append(asked)

    def _with(self, fallback: FallbackRoute) -> Settings:
        """Return the settings with a further route in the place of the first."""
        own = FallbackRoute.model_fields.keys() - OF_ALL_ROUTES | _OF_THE_LADDER
        said = {name: getattr(fallback, name) for name in fallback.model_fields_set}
        values = {name: getattr(self, name) for name in self.model_fields_set - own}
        values |= {name: value for name, value in said.items() if value is not None}
        values.pop("after_billed_refusal", None)
        return Settings(**values)

    @property
    def routes(self) -> tuple[Settings, ...]:
        """Return the settings of each route, the first one's first."""
        return (self, *map(self._with, self.fallback))

    def steps_after_billed(self, route: int) -> bool:
        """Return whether a route may be tried after a refusal that was billed; 0 is the first."""
        own = self.fallback[route - 1].after_billed_refusal if route else None
        return self.after_billed_refusal if own is None else own

    def _needs_no_provider(self) -> None:
        names = ("model", "like", "base_url", "endpoint", "api_key", "headers", "price_usd")
        for name in (*names, "prices", "fallback"):
            if getattr(self, name) not in (None, {}, ()):
                raise ValueError(f"`{name}` is set, but no `provider` that could use it")

    @property
    def default_size_px(self) -> tuple[int, int]:
        """Return width and height of ``size``; where none is set, a renderer may have its own."""
        maker = None if "size" in self.model_fields_set else who_makes(self.provider)
        if maker is not None and maker.default_size_px is not None:
            return maker.default_size_px
        width, height = self.size.split("x")
        return int(width), int(height)

    def secrets(self) -> tuple[str, ...]:
        """Return what no file and no message may hold: keys, passwords, and values of headers.

        A value that is a plain word or a short number is none; to blank out every "openai" in what
        people read would hide more than it keeps.
        """
        known = list[str]()
        places: tuple[Settings | FallbackRoute, ...] = (self, *self.fallback)
        for place in places:
            keys = [] if place.api_key is None else [place.api_key]
            known += filter(None, map(_text_of, keys))
            for value in filter(None, map(_text_of, place.headers.values())):
                parts = (value, *value.split())
                known += [part for part in parts if not _PLAIN_WORD.fullmatch(part)]
        if self.ledger is not None:
            known += secrets_in(self.ledger.get_secret_value())
        return tuple(dict.fromkeys(known))


def draft_settings(settings: Settings) -> Settings:
    """Return settings with which a story is drawn for nothing, in the frames that it will have.

    The ledger stays the same one; whoever draws already goes on as it is set.
    """
    kept = ["seed", "caption", "max_pixels", "drain_s", "deadline_s", "time_zone", "state_dir"]
    if settings.ledger is not None:
        kept += ["ledger", "project"]
    width, height = settings.default_size_px
    return Settings(
        provider=OFFLINE,
        size=f"{width}x{height}",
        options=settings.options if settings.provider == OFFLINE else {},
        **{name: getattr(settings, name) for name in kept},
    )


def _what_is_asked_for(settings: Settings) -> tuple[object, ...]:
    """Return what makes a route another one than those before it."""
    words = (settings.provider, settings.api, settings.base_url, settings.model, settings.like)
    file = (settings.output_format, settings.background)
    return (*words, settings.size, settings.quality, *file, settings.options)
