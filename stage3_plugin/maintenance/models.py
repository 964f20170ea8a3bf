"""What ``stage3 models`` shows: the rows of the table of models, whose word each is, and how old.

The table itself is in ``providers``. Whether a vendor says otherwise now is asked by the command,
which has a config with keys, and is only shown here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from textwrap import TextWrapper
from typing import Literal, TypeAlias, TypeVar

from pydantic import JsonValue

from stage3_plugin.domain.free_checks import Finding
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.maintenance.report import Kept, Part, Report, at, usd
from stage3_plugin.providers.models import (
    BatchRow,
    EndRow,
    FlatRow,
    PriceRow,
    Shapes,
    Takes,
    TokensRow,
    end_of,
    ends_at,
    models_known_of,
    row_named,
    shapes_of,
    table,
    takes_of,
)
from stage3_plugin.providers.prices import batch_models_of, estimate

_GOOGLE, _OPENAI = "https://ai.google.dev/gemini-api/docs", "https://developers.openai.com/api/docs"
PAGES: Mapping[str, tuple[str, ...]] = {
    "bfl": ("https://docs.bfl.ai/quick_start/pricing",),
    "fal": ("https://fal.ai/pricing",),
    "gemini": (f"{_GOOGLE}/pricing", f"{_GOOGLE}/deprecations"),
    "openai": (f"{_OPENAI}/models", f"{_OPENAI}/deprecations"),
    "openrouter": ("https://openrouter.ai/models",),
    "replicate": ("https://replicate.com/pricing",),
    "xai": ("https://docs.x.ai/docs/models",),
}
"""Where a vendor says what a row says: the pages to look at where one is old."""

Row: TypeAlias = Takes | Shapes | EndRow | PriceRow | FlatRow | TokensRow | BatchRow
RowT = TypeVar("RowT", Takes, Shapes, EndRow, PriceRow, FlatRow)
What: TypeAlias = Literal["takes", "shapes", "end", "price", "flat", "tokens", "batch"]
Online: TypeAlias = Mapping[tuple[str, str], Sequence[Finding]]
"""What vendors have said of models, by provider and name."""

_NOT_FIGURES = {"source", "kind", "date", "models", "begins", "provider"}
_COLUMNS = (34, 15, 9, 4, 10, 11, 10)


_PICTURE = PictureRequest(scene_id="one", prompt="", width_px=1024, height_px=1024)
"""As it is asked for where the settings say no more."""


class OnePicture(Part):
    """What one picture is thought to cost, as it is asked for where the settings say no more."""

    size: str = _PICTURE.size
    quality: str = _PICTURE.quality
    low_microusd: int | None
    high_microusd: int | None

    def __str__(self) -> str:
        if self.high_microusd is None:
            return "at a price that is not known"
        high, low = usd(self.high_microusd), usd(self.low_microusd)
        return f"${high}" if low == high else f"${low} to ${high}"


class RowKeys(Part):
    """A row of the table, and whose word it is."""

    row: Kept[Row]
    what: What
    figures: dict[str, JsonValue]
    source: str = at("row", "source")
    kind: str = at("row", "kind")
    date: dt.date = at("row", "date")


class KnownModel(Part):
    """A model, or those whose names begin so, with the rows that are about it.

    Attributes:
        provider: The word in the settings.
        model: Its name, or the beginning or the end of several; empty for all others.
        pages: Where its vendor says what a row says.
        online: What the vendor says now; ``None`` where it was not asked.
        is_whole: It is a name that can be asked for.
    """

    provider: str
    model: str
    one_picture: OnePicture
    pages: tuple[str, ...]
    rows: tuple[RowKeys, ...]
    online: Sequence[Finding] | None = None
    is_whole: Kept[bool]

    def row(self, of: type[RowT]) -> RowT | None:
        """Return its row of a kind."""
        return next((one.row for one in self.rows if isinstance(one.row, of)), None)


def known_models() -> Iterator[KnownModel]:
    """Yield what the table knows, by provider and name."""
    known = table()
    for provider in sorted({row.provider for row in known.takes}):
        whole = {*models_known_of(provider), *batch_models_of(provider)}
        whole |= {begin for row in ends_at(provider) for begin in row.begins}
        of_it = (row for row in (*known.takes, *known.shapes) if row.provider == provider)
        parts = {begin + end for row in of_it for begin in row.begins for end in row.ends}
        for name in sorted(whole | parts):
            yield KnownModel(
                provider=provider,
                model=name,
                one_picture=OnePicture.model_validate(
                    estimate(_PICTURE, provider=provider, model=name)
                ),
                pages=PAGES.get(provider, ()),
                rows=tuple(_rows_of(provider, name)),
                is_whole=name in whole,
            )


def _rows_of(provider: str, model: str) -> Iterator[RowKeys]:
    known = table()
    found: dict[What, Row | None] = {
        "takes": takes_of(provider, model),
        "shapes": shapes_of(provider, model),
        "end": end_of(provider, model),
        "price": row_named(known.price, provider, model),
        "flat": row_named(known.flat, provider, model),
        "tokens": row_named(known.tokens, provider, model),
        "batch": row_named(known.batch, provider, model),
    }
    for what, row in found.items():
        if row is not None:
            figures = row.model_dump(mode="json", exclude=_NOT_FIGURES, exclude_defaults=True)
            yield RowKeys.of(row=row, what=what, figures=figures)


def named(models: Sequence[KnownModel], name: str) -> list[KnownModel]:
    """Return the models of a name; where there is none of it, those that have it in theirs."""
    exact = [one for one in models if one.model == name]
    return exact or [one for one in models if name in one.model or name == one.provider]


def older_than(models: Sequence[KnownModel], days: int, *, today: date) -> list[KnownModel]:
    """Return the models with the rows that were last seen longer ago, and no others."""
    kept = (
        (one, tuple(row for row in one.rows if (today - row.date).days > days)) for one in models
    )
    return [one.model_copy(update={"rows": rows}) for one, rows in kept if rows]


class Models(Report):
    """What is known of models.

    Attributes:
        asked: Providers that were asked what they say now; ``None`` where nobody was.
        whole: People are told every row and its source.
        prices: First with what one picture of each costs.
    """

    format = "stage3-models/1"
    as_of: str
    models: list[KnownModel]
    asked: Kept[Collection[str] | None]
    whole: Kept[bool]
    prices: Kept[bool]

    def sentences(self) -> Iterator[str]:
        """Yield a table of 100 columns."""
        priced = [one for one in self.models if one.is_whole and self.prices]
        for one in priced:
            asked = f"one picture of {_PICTURE.size} in {_PICTURE.quality}"
            yield f"{one.provider} {one.model}: {asked}, {one.one_picture}"
        yield from [""] if priced else []
        if not self.models:
            yield "no row is that old"
            return
        yield from _line("model", "price", "sizes", "refs", "ends", "how sure", "seen")
        for provider, of_it in groupby(self.models, key=lambda one: one.provider):
            yield from ("", f"{provider}:", *(f"  {page}" for page in PAGES.get(provider, ())))
            if self.asked is not None and provider not in self.asked:
                yield "  not asked: no route of the config is to it"
            for one in of_it:
                yield from _line(*_cells(one))
                for row in one.rows if self.whole else ():
                    whose = f"{row.kind}, {row.date}: {row.source}"
                    yield from _wrapped(f"{row.what}: {_words(row.figures)}; {whose}")
                for said in one.online or ():
                    hint = f"; {said.hint}" if said.hint else ""
                    yield from _wrapped(f"now: {said.verdict}, {said.message}{hint}")


def shown(
    known: Sequence[KnownModel], online: Online | None, *, whole: bool, prices: bool
) -> Models:
    """Show the models that were asked for.

    Args:
        known: The models.
        online: What vendors have said; ``None`` where nobody was asked.
        whole: With every row and its source.
        prices: First with what one picture of each costs.
    """
    said = online or {}
    return Models(
        as_of=str(table().as_of),
        models=[
            one.model_copy(update={"online": said.get((one.provider, one.model))}) for one in known
        ],
        asked=None if online is None else {provider for provider, _ in online},
        whole=whole,
        prices=prices,
    )


_wrapped = TextWrapper(100, initial_indent="  ", subsequent_indent="    ").wrap


def _line(*cells: str) -> Iterator[str]:
    """Lay out a row; a name that is too long has a line to itself."""
    name, *others = cells
    widths = _COLUMNS
    if len(name) > widths[0]:
        yield name
        name = ""
    yield " ".join(f"{one:<{of}}" for one, of in zip((name, *others), widths, strict=True)).rstrip()


def _cells(one: KnownModel) -> tuple[str, ...]:
    takes, end = one.row(Takes), one.row(EndRow)
    prices = [row for row in one.rows if row.what in {"price", "flat", "tokens"}]
    kinds = {row.kind for row in prices or one.rows}
    sure = next(kind for kind in ("third party", "recorded", "vendor") if kind in kinds)
    return (
        one.model if one.is_whole else f"…{one.model}" if one.model[:1] == "/" else f"{one.model}…",
        _price(one.row(PriceRow), one.row(FlatRow)),
        _sizes(takes, one.row(Shapes)),
        "" if takes is None else str(takes.references.most),
        "" if end is None else str(end.on),
        sure,
        str(min(row.date for row in one.rows)),
    )


def _price(tokens: PriceRow | None, flat: FlatRow | None) -> str:
    if tokens is not None and tokens.output_image is not None:
        return f"${tokens.output_image:f}/M tokens"
    if flat is None:
        return ""
    if flat.per_megapixel is not None:
        return f"${flat.per_megapixel:f}/MP"
    tiers = (flat.per_tier, *flat.per_quality.values())
    each = [usd for named in tiers for usd in named.values()]
    each += [] if flat.per_picture is None else [flat.per_picture]
    return "-".join(dict.fromkeys(f"${end(each):f}" for end in (min, max))) if each else ""


def _sizes(takes: Takes | None, shapes: Shapes | None) -> str:
    if takes is not None and takes.free_sizes is not None:
        return f"{takes.free_sizes.most_px / 1e6:.1f} MP"
    if shapes is not None:
        return "-".join(dict.fromkeys((shapes.tiers or ("ratios",))[:: len(shapes.tiers) - 1 or 1]))
    return f"{len(takes.sizes)} sizes" if takes is not None and takes.sizes else ""


def _words(value: JsonValue) -> str:
    """Write figures for people: names, and what stands behind them."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(one)}" for name, one in value.items())
    if isinstance(value, list):
        return " ".join(map(_words, value))
    return str(value)
