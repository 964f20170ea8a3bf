"""What is known of models, as data: one table with a date, and a source for every row.

Apart from its users: ``prices`` counts what a picture is expected to cost, ``advice``
warns, providers choose a ratio and references are made to fit. What they all know of a
model stands in ``models.toml``, read once, numbers as Decimal. A row that is missing is no reason
to refuse anything.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Annotated, Literal, TypeAlias, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
)

from stage3_plugin.domain.profile import Unsayable
from stage3_plugin.domain.reference import Limits, MediaType
from stage3_plugin.providers.tables import text_of

_ROW = re.compile(r"^(?=\[\[)", re.MULTILINE)
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
SAME_RATIO = Fraction(2, 100)
"""How far apart two ratios may be and still count as one: pictures of 1344x768 are called 16:9."""

Ratio: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[1-9]\d?(\.\d)?:[1-9]\d?(\.\d)?$")]
Size: TypeAlias = Annotated[str, StringConstraints(pattern=r"^\d{2,5}x\d{2,5}$")]
Tier: TypeAlias = Literal["512", "768", "1K", "1.5K", "2K", "4K"]
Bounds: TypeAlias = Annotated[
    tuple[PositiveInt, PositiveInt],
    BeforeValidator(lambda figure: (figure, figure) if isinstance(figure, int) else figure),
]
"""The least and the most of something; the table has one figure where both are the same."""


Kind: TypeAlias = Literal["vendor", "recorded", "third party"]


class _Shipped(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Row(_Shipped):
    """What is said of a model, and by whom.

    Attributes:
        source: The page, package or answer that says so.
        kind: Whose word that is: the vendor's own, an answer's that was recorded, or somebody
            else's.
        date: When it was last seen to say so.
    """

    source: str = Field(min_length=1)
    kind: Kind
    date: dt.date


class _OfModels(_Row):
    """What is said of models by their names at one provider: another may sell them otherwise."""

    provider: str = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)


class _OfFamily(_Row):
    provider: str
    begins: tuple[str, ...] = Field(min_length=1)
    ends: tuple[str, ...] = Field(default=("",), min_length=1)


class PriceRow(_OfModels):
    """USD per million tokens."""

    input_text: Decimal | None = None
    input_image: Decimal | None = None
    output_text: Decimal | None = None
    output_image: Decimal | None = None


class FlatRow(_OfModels):
    """USD per picture, in one of four ways.

    Attributes:
        per_picture: Whatever its size.
        per_tier: By the tier that it is asked for in, the smallest first.
        per_quality: Likewise, by quality.
        per_megapixel: For each that is begun, or for the first of them.
        per_further_megapixel: For each that is begun behind the first.
        megapixel_px: The pixels that the vendor calls one; ``None`` where it may be a million or
            1024x1024.
        per_reference: The most that one adds; ``None`` where it is not known.
    """

    per_picture: Decimal | None = None
    per_tier: Mapping[Tier, Decimal] = {}
    per_quality: Mapping[str, Mapping[Tier, Decimal]] = {}
    per_megapixel: Decimal | None = None
    per_further_megapixel: Decimal | None = None
    megapixel_px: PositiveInt | None = None
    per_reference: Decimal | None = None


class Shown(_Shipped):
    """Tokens of one reference, the least and the most that it can have."""

    source: str = Field(min_length=1)
    least: PositiveInt
    most: PositiveInt


class TokensRow(_OfModels):
    """Tokens of one picture, and of one that is shown with the request.

    Attributes:
        quality: By quality and size.
        factor: By quality, what OpenAI's calculator makes the tokens of any size of.
        words: The most tokens of text that come with a picture.
        reference: Those of one that is shown; ``None`` where that is not known.
    """

    quality: Mapping[str, Mapping[Size, Bounds]] = {}
    factor: Mapping[str, Bounds] = {}
    words: int = 0
    reference: Shown | None = None

    def __hash__(self) -> int:
        return id(self)  # what was counted by it is kept with it


class FreeSizes(_Shipped):
    """Bounds within which every size can be asked for.

    Attributes:
        step: Both sides are multiples of it.
        ratio: The longer side is at most so many times the shorter one.
        long: The longest that a side may be.
        least_px: So many pixels in all at least.
        most_px: So many at most.
    """

    step: PositiveInt
    ratio: PositiveInt
    long: PositiveInt
    least_px: PositiveInt
    most_px: PositiveInt


class References(_Shipped):
    """How many reference pictures a model takes, and of what kind.

    Attributes:
        most: So many of them; 0 where there is no input for any.
        most_bytes: Of one file; ``None`` where no bound is known.
        most_pixels: Of one picture.
        least_side_px: Of the shorter side of one.
        most_request_bytes: Of a whole request, as it is sent.
        media_types: The kinds of file.
    """

    most: NonNegativeInt
    most_bytes: PositiveInt | None = None
    most_pixels: PositiveInt | None = None
    least_side_px: PositiveInt | None = None
    most_request_bytes: PositiveInt | None = None
    media_types: tuple[MediaType, ...] = Field(min_length=1)


class Takes(_OfFamily):
    """What models whose names begin alike take.

    Attributes:
        qualities: The words they know; empty where that is not known, or there is no field.
        sizes: The only sizes they make, if they make only some.
        free_sizes: The bounds of every size they make, if they make any.
        formats: The kinds of file that can be asked for; empty where there is no choice.
        seed: Whether a seed is heeded.
        always: What is said of every picture, unless the options say otherwise: what the vendor
            would choose by itself, or turn on.
        called: Fields of options that are called otherwise; one with ``!`` says the opposite.
        options: The options that they have, with the values of each, all where none is named;
            ``None`` where that is not known.
        references: What they take of them.
    """

    qualities: tuple[str, ...] = ()
    sizes: tuple[Size, ...] = ()
    free_sizes: FreeSizes | None = None
    formats: tuple[Literal["png", "jpeg", "webp"], ...] = ()
    seed: Literal["none", "best effort", "by model"]
    always: Mapping[str, JsonValue] = {}
    called: Mapping[str, str] = {}
    options: Mapping[str, tuple[JsonValue, ...]] | None = None
    references: References


class Shapes(_OfFamily):
    """The ratios and tiers of models that know no pixels.

    Attributes:
        api: The way of asking that knows no pixels.
        ratios: By their names, such as ``16:9``.
        tiers: Those that can be asked for, the smallest first; empty if there is no choice.
        words: What tiers are called, where they are called otherwise.
    """

    api: Literal["images", "chat"] = "images"
    ratios: tuple[Ratio, ...] = Field(min_length=1)
    tiers: tuple[Tier, ...] = ()
    words: Mapping[str, str] = {}


class Inputs(_OfFamily):
    """What models are asked by, at a provider that sells many vendors' models.

    Attributes:
        edit: The end of the sibling that takes references; empty where it is the same endpoint.
        plain: The end of the one without.
        references: The input for them; ``None`` where there is none.
        one: It takes a single one.
        numbered: The second and each further one has an input of its own, by its number.
        seed: There is an input for it.
        tier: The input for the size, and its words by those of our table.
        tiers: Likewise.
        custom: The least and most pixels of a side, and their step, where any size can be asked
            for.
        output_format: There is an input for it.
        formats: Its words, where it has words of its own.
        quality: There is an input for it.
        background: Likewise; ``always`` where it is said even where it is left to the model.
    """

    edit: str = ""
    plain: str = ""
    references: str | None = None
    one: bool = False
    numbered: bool = False
    seed: bool = True
    tier: str = ""
    tiers: Mapping[str, str] = {}
    custom: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None
    output_format: bool = False
    formats: Mapping[str, str] = {}
    quality: bool = False
    background: bool | Literal["always"] = False

    @property
    def is_a_guess(self) -> bool:
        """Whether the row is of every model that no other row is about."""
        return self.begins == ("",)

    @property
    def unsaid(self) -> frozenset[Unsayable]:
        """What there is no input for."""
        return frozenset(name for name in get_args(Unsayable) if not getattr(self, name))

    def makes(self, *sides_px: int) -> bool:
        """Return whether a size can be asked for in pixels."""
        least, most, step = self.custom or (1, 0, 1)
        return all(least <= side_px <= most and not side_px % step for side_px in sides_px)

    @property
    def most_shown(self) -> int | None:
        """The most references that it can be shown; ``None`` for any number."""
        return 0 if self.references is None else 1 if self.one else None

    def endpoint_of(self, model: str, *, shows: bool) -> str:
        """Return which endpoint is asked: of a family with two, the one that takes references."""
        if not (self.edit or self.plain):
            return model
        bare = model.removesuffix(self.edit).removesuffix(self.plain)
        return bare + (self.edit if shows else self.plain)


class BatchRow(_OfModels):
    """What part of the ordinary price a picture costs that is made in a batch."""

    share: Decimal = Field(gt=0, le=1)


class EndRow(_OfFamily):
    """When models are switched off at a provider's API, and what is named in their place."""

    on: dt.date
    vendor: str
    instead: tuple[str, ...] = Field(min_length=1)


class Table(_Shipped):
    """The whole of ``models.toml``."""

    model_config = ConfigDict(title="models.toml")

    as_of: dt.date
    takes: tuple[Takes, ...] = ()
    shapes: tuple[Shapes, ...] = ()
    inputs: tuple[Inputs, ...] = ()
    ends: tuple[EndRow, ...] = ()
    price: tuple[PriceRow, ...] = ()
    flat: tuple[FlatRow, ...] = ()
    tokens: tuple[TokensRow, ...] = ()
    batch: tuple[BatchRow, ...] = ()


@functools.cache
def table(provider: str | None = None) -> Table:
    """Return the shipped table, or what it has of one provider: to read all takes 40 ms."""
    text = text_of("models.toml")
    if provider is not None:
        head, *rows = _ROW.split(text)
        text = "".join([head, *(row for row in rows if f'\nprovider = "{provider}"\n' in row)])
    return Table.model_validate(tomllib.loads(text, parse_float=Decimal))


_BESIDE_PICTURES = 500_000
"""Bytes of a request that are kept for its prompt where all of it is bounded."""


NamedT = TypeVar("NamedT", bound=_OfModels)
FamilyT = TypeVar("FamilyT", bound=_OfFamily)


def row_named(rows: Sequence[NamedT], provider: str, model: str) -> NamedT | None:
    """Return a provider's row that has a model by its name; a dated snapshot has that of its name.

    Gemini's may be written with ``models/`` before them.
    """
    named = model.removeprefix("models/")
    names = {named, _SNAPSHOT.sub("", named)}
    own = (row for row in rows if row.provider == provider)
    return next((row for row in own if not names.isdisjoint(row.models)), None)


@functools.lru_cache
def takes_of(provider: str, model: str) -> Takes | None:
    """Return what a model is known to take, at the vendor's own address."""
    return _family(table(provider).takes, provider, model.removeprefix("models/"))


def is_known(provider: str, model: str) -> bool:
    """Return whether a row is about a model, or about those whose names begin as its does."""
    name = model.removeprefix("models/")
    return bool(begin_of(provider, name)) or is_named(provider, name)


def begin_of(provider: str, name: str) -> str:
    """Return what a model's name has in common with those of the first row that is about it."""
    rows: tuple[_OfFamily, ...] = (*table(provider).takes, *table(provider).shapes)
    begins = (one for row in rows if row.provider == provider for one in row.begins)
    return next((one for one in begins if one and name.startswith(one)), "")


def is_named(provider: str, model: str) -> bool:
    """Return whether a row of prices or tokens is about a model by its own name."""
    known = table(provider)
    named: tuple[Sequence[_OfModels], ...] = (known.price, known.flat, known.tokens)
    return any(row_named(rows, provider, model) is not None for rows in named)


def like_of(provider: str, model: str, *, own: str, like: str | None) -> str:
    """Return by whose name the rows of a model are found; empty where that is its own.

    Args:
        provider: Whose model it is.
        model: The model.
        own: The one that ``like`` was said of, whatever the table knows of it.
        like: The setting; it is for every other model that the table does not know, too.
    """
    return like if like and (model == own or not is_known(provider, model)) else ""


def said_of(takes: Takes | None, options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what is always said of a picture and what the options say, by a model's own names."""
    if takes is None:
        return dict(options)
    said: dict[str, JsonValue] = {}
    for name, value in {**takes.always, **options}.items():
        field = takes.called.get(name, name)
        said[field.removeprefix("!")] = not value if field.startswith("!") else value
    return said


def beyond_always(takes: Takes | None, options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the options that say something else than what is said of every picture anyway."""
    always = () if takes is None else takes.always.items()
    return {name: value for name, value in options.items() if (name, value) not in always}


def option_problem(takes: Takes | None, option: str, value: JsonValue) -> str | None:
    """Say what an option is of a model, where that is known and is not what is wanted."""
    if takes is None or takes.options is None:
        return None
    if option not in takes.options:
        return "is no option of"
    values = takes.options[option]
    return None if not values or value in values else f"is {', '.join(map(str, values))} of"


def who_has(option: str, value: JsonValue, *, provider: str = "") -> str:
    """Name the models that are known to have an option: a provider's own, or those of all."""
    rows = [row for row in table().takes if row.options is not None]
    having = [row for row in rows if option_problem(row, option, value) is None]
    near = [row for row in having if row.provider == provider] or having
    return "; ".join(
        f"{', '.join(dict.fromkeys(repr(begin) for row in its for begin in row.begins))} of {whose}"
        for whose, its in groupby(near, key=lambda row: row.provider)
    )


def limits_of(provider: str, model: str, count: int) -> Limits:
    """Return what a model takes of each of ``count`` references.

    Where all of a request is bounded, each has an equal share of it. Shares are of 1, 2, 4, 8, …
    so that a picture which many scenes show beside different others is not copied for each number.
    """
    takes = takes_of(provider, model)
    if takes is None:
        return Limits()
    known = takes.references
    bounds = [] if known.most_bytes is None else [known.most_bytes]
    if known.most_request_bytes is not None:
        sharing = min(1 << (max(count, 1) - 1).bit_length(), known.most)
        bounds.append((known.most_request_bytes - _BESIDE_PICTURES) // sharing // 4 * 3)
    return Limits(
        most=known.most,
        most_bytes=min(bounds, default=None),
        most_pixels=known.most_pixels,
        least_side_px=known.least_side_px,
        media_types=known.media_types,
    )


@functools.lru_cache
def shapes_of(provider: str, model: str, *, api: str = "images") -> Shapes | None:
    """Return the ratios and tiers of a model, where it is asked by them."""
    return _family([row for row in table(provider).shapes if row.api == api], provider, model)


@functools.lru_cache
def inputs_of(provider: str, model: str) -> Inputs:
    """Return what a model is asked by; the last row of a provider is about any other.

    Its name may end as a sibling's where those of its family do not.
    """
    rows, end = table(provider).inputs, model[model.rfind("/") :]
    known, by_end = _family(rows, provider, model), _family(rows, provider, end)
    assert known is not None, "the shipped table has a row for every model of it"
    assert by_end is not None
    if known.references is None or by_end.ends == ("",) or end in {known.edit, known.plain}:
        return known
    return known.model_copy(update={"edit": by_end.edit, "plain": by_end.plain})


@dataclass(frozen=True, slots=True)
class Form:
    """How a size is asked for where it is not in pixels.

    Attributes:
        ratio: The nearest that there is.
        tier: By the model's own word; empty if there is no choice.
        is_size: The size has that ratio, but for what no eye sees.
    """

    ratio: str
    tier: str
    is_size: bool

    def said(self, ratio: str, tier: str) -> dict[str, JsonValue]:
        """Return it by the names of its two fields."""
        return {ratio: self.ratio, **({tier: self.tier} if self.tier else {})}


def form_of(
    provider: str, model: str, size_px: tuple[int, int], *, api: str = "images"
) -> Form | None:
    """Return how a size is asked for; ``None`` where it is in pixels."""
    shapes = shapes_of(provider, model, api=api)
    if shapes is None:
        return None
    ratio = nearest_ratio(*size_px, shapes.ratios)
    tier = tier_of(*size_px, shapes.tiers) if shapes.tiers else ""
    return Form(ratio, shapes.words.get(tier, tier), is_same_ratio(*size_px, ratio))


def formats_of(provider: str, model: str) -> tuple[str, ...]:
    """Return the kinds of file that a model can be asked for; none where that is not known."""
    takes = takes_of(provider, model)
    return () if takes is None else takes.formats


def models_known_of(provider: str) -> tuple[str, ...]:
    """Return models of a provider's whose prices are known, sorted; it may have others.

    What is only another way of asking one that shows it pictures is left out.
    """
    known = table(provider)
    priced = (row for row in (*known.price, *known.flat) if row.provider == provider)
    named = {model for row in priced for model in row.models}
    return tuple(sorted(model for model in named if not model.endswith(("/edit", "/edit-image"))))


def _family(rows: Sequence[FamilyT], provider: str, model: str) -> FamilyT | None:
    among = (row for row in rows if row.provider == provider and model.endswith(row.ends))
    return next((row for row in among if model.startswith(row.begins)), None)


def nearest_ratio(width_px: int, height_px: int, ratios: Sequence[str]) -> str:
    """Return the ratio that is least far from a size's own; of two as far, the first."""
    asked = Fraction(width_px, height_px)
    return min(ratios, key=lambda name: _times_apart(asked, value_of(name)))


def is_same_ratio(width_px: int, height_px: int, ratio: str) -> bool:
    """Return whether a size has a ratio, but for what no eye sees."""
    return abs(Fraction(width_px, height_px) / value_of(ratio) - 1) <= SAME_RATIO


def value_of(ratio: str) -> Fraction:
    """Return what a ratio's name stands for."""
    across, _, down = ratio.partition(":")
    return Fraction(across) / Fraction(down)


def _times_apart(one: Fraction, other: Fraction) -> Fraction:
    """Return how many times the one is the other; 1:2 and 2:1 are as far from a square."""
    return max(one / other, other / one)


def tier_of(width_px: int, height_px: int, tiers: Sequence[str]) -> str:
    """Return the smallest of some tiers that has at least about as many pixels as a size."""
    for name in tiers:
        if width_px * height_px <= side_of(name) ** 2 * 3 // 2:
            return name
    return tiers[-1]


def side_of(tier: str) -> int:
    """Return the side of a tier's square, in pixels."""
    return int(tier) if tier.isdigit() else int(Decimal(tier.removesuffix("K")) * 1024)


# When they are switched off ----------------------------------------------------------------------


WARNED_BEFORE = dt.timedelta(days=30)
"""A warning comes from then on, and never a refusal: vendors move dates."""
_PARTING = "-:@"


def ends_at(provider: str) -> tuple[EndRow, ...]:
    """Return the rows of a provider's API: what ends at one may go on at another."""
    return table(provider).ends


def end_of(provider: str, model: str) -> EndRow | None:
    """Return when a model is, or was, switched off; ``None`` where nothing is known of it.

    A row is of its names, and of their snapshots and variants; the first that fits counts.
    """
    name = model.removeprefix("models/")
    return next(
        (row for row in ends_at(provider) if any(_is_of(name, one) for one in row.begins)), None
    )


def _is_of(model: str, name: str) -> bool:
    rest = model.removeprefix(name)
    return model == name or (rest != model and rest[0] in _PARTING)
