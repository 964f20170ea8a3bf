"""Write the tables that come from the code: ``python docs/tables.py``, or ``--check`` them.

The settings of a plugin are described once, in its model, what is known of models in one data file,
and the states of a purchase where the database is built from them; here they become the tables of
the pages, between the markers that name them.
"""
# ruff: noqa: INP001  - a script beside the pages, not a module of a package

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from host_stub import plain_image
from host_stub.cli import parser as host_parser
from host_stub.conformance.catalogue import requirements
from host_stub.conformance.requirement import Requirement
from stage3_plugin import cli as stage3_cli
from stage3_plugin import settings as stage3
from stage3_plugin.domain.batch import BatchTerms
from stage3_plugin.domain.money import to_usd
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.states import COUNTED, LEGAL, LIVE, State
from stage3_plugin.executors.ray import RayOptions
from stage3_plugin.executors.replicas import ReplicasOptions
from stage3_plugin.providers import gemini_batch, openai_batch
from stage3_plugin.providers.models import (
    FlatRow,
    PriceRow,
    References,
    Shapes,
    Takes,
    TokensRow,
    end_of,
    shapes_of,
    table,
    takes_of,
)
from stage3_plugin.providers.prices import estimate
from stage3_plugin.providers.replies import unbilled
from stage3_plugin.renderers.diffusion.options import DiffusionOptions

PAGES = {
    "configuration.md": (
        "stage3-settings",
        "fallback-settings",
        "cast-settings",
        "price-settings",
        "plain-settings",
    ),
    "conformance.md": ("requirements",),
    "costs-and-retries.md": ("purchase-states",),
    "diffusers.md": ("diffusion-options",),
    "half-price.md": ("batch-prices", "batch-terms"),
    "json.md": ("host-documents", "stage3-documents"),
    "options.md": ("host-options", "stage3-options"),
    "ray.md": ("ray-options",),
    "models.md": ("expected-costs", "prices", "models", "model-ends"),
    "providers.md": ("unbilled-words",),
    "your-own-model.md": ("replicas-options",),
}
"""Each page with the tables it has."""
GROUPS = {
    "provider": "Who makes the pictures, and what is asked for",
    "capacity": "How they are made",
    "price_usd": "What they cost",
    "budget_usd": "What may be spent, and what counts as spent",
    "state_dir": "Where things are kept",
}
"""The setting that opens a group, and the group's heading."""

RULES = {
    "hooks": "How it is found, and describes itself",
    "settings": "Its settings",
    "open": "Opening and closing it",
    "result": "Its pictures and outcomes",
    "dropped": "Wishes it cannot honour",
    "plan": "Plans",
    "reuse": "Pictures of earlier runs",
    "takes": "Takes",
    "stage": "What an opened stage may have",
    "manners": "Manners",
    "loop": "Event loops",
    "events": "Events",
    "concurrency": "Several at once",
    "faults": "A service that says no",
    "hostile": "A service that answers badly",
    "unanswered": "A request without an answer",
    "money": "Caps",
    "costs": "Costs",
    "resume": "What an earlier run paid for",
    "stopping": "Stopping",
    "cancelling": "Cancelling",
    "secrets": "Secrets",
    "lifetime": "What it leaves open",
}
"""Each group of requirements, in the order of the page, and its heading there."""

QUALITIES = ("low", "medium", "high")
SCHEMAS = {
    "host": Path(host_parser.__file__).parent / "schemas",
    "stage3": Path(stage3_cli.__file__).parent / "maintenance" / "schemas",
}
"""Where the JSON Schemas of each program's documents are."""
SHOWN = Reference(
    wish=ReferenceWish(image="refs/mira.png"),
    sha256="0" * 64,
    sent=SentPicture(sha256="0" * 64, media_type="image/png", size_bytes=1_000_000),
)
STORY = 200
"""Scenes of the story whose prices are laid out."""
PROMPT = "A word of the prompt. " * 16
"""As long as one that Stage 2 writes."""

_BLOCK = re.compile(
    r"(?P<open><!-- table: (?P<name>[a-z0-9-]+) -->\n).*?(?P<close><!-- end of table -->)",
    re.DOTALL,
)


def settings_rows(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Return each setting's name and its row."""
    for name, schema in model.model_json_schema()["properties"].items():
        told = model.model_fields[name].description or ""
        cells = (f"`{name}`", _default(schema), _kind(schema), told)
        yield name, "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def settings_table(model: type[BaseModel], groups: dict[str, str]) -> str:
    """Write the settings of a model as tables, one per group."""
    head = "| Setting | Default | May be | What it does |\n|---|---|---|---|"
    lines: list[str] = [] if groups else [head]
    for name, row in settings_rows(model):
        if name in groups:
            lines += ["", f"### {groups[name]}", "", head]
        lines.append(row)
    return "\n".join(lines).lstrip("\n") + "\n"


def costs_table() -> str:
    """Write what a 1024x1024 picture is expected to cost, by model and quality."""
    known = table()
    lines = [_expected_costs(row, model) for row in known.tokens for model in row.models]
    lines += [_expected_costs(row, model) for row in known.flat for model in row.models]
    heads = ("Model", "Provider", *QUALITIES, "each reference")
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---|" * (len(heads) - 1), *sorted(lines)]
    return "\n".join([f"As of {known.as_of}, in USD:", "", *lines]) + "\n"


def _expected_costs(row: TokensRow | FlatRow, model: str) -> str:
    provider = row.provider
    costs = [_between(*_estimated(provider, model, quality=quality)) for quality in QUALITIES]
    cells = (f"`{model}`", f"`{provider}`", *costs, _expected_of_reference(provider, model))
    return f"| {' | '.join(cells)} |"


def _expected_of_reference(provider: str, model: str) -> str:
    """Say what a picture costs more for each reference that it is shown."""
    without, beside = _estimated(provider, model), _estimated(provider, model, shown=(SHOWN,))
    more = (_more(after, before) for after, before in zip(beside, without, strict=True))
    return _between(*more, places=4)


def _more(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


def _estimated(
    provider: str, model: str, *, quality: str = QUALITIES[1], shown: tuple[Reference, ...] = ()
) -> tuple[int | None, int | None]:
    request = PictureRequest(
        scene_id="scene_001",
        prompt=PROMPT,
        width_px=1024,
        height_px=1024,
        quality=quality,
        shown=shown,
    )
    costs = estimate(request, provider=provider, model=model)
    return costs.low_microusd, costs.high_microusd


def _between(*ends: int | None, places: int = 3) -> str:
    known = [to_usd(end) for end in ends if end is not None]
    if len(known) < len(ends):
        return "?"
    figures = (f"{usd.quantize(Decimal(10) ** -places, ROUND_HALF_UP)}" for usd in known)
    return " to ".join(dict.fromkeys(figures))


def batch_prices_table() -> str:
    """Lay out what a long story costs by itself and in batches, by model and quality."""
    known = table()
    lines = [
        f"As of {known.as_of}, in USD, for {STORY} pictures of 1024x1024:",
        "",
        "| Provider | Model | Quality | By itself | In a batch |",
        "|---|---|---|---|---|",
    ]
    for row in known.batch:
        for model in row.models:
            end = end_of(row.provider, model)
            if end is not None and end.on <= known.as_of:
                continue
            costs = {one: _estimated(row.provider, model, quality=one) for one in QUALITIES}
            if len(set(costs.values())) == 1:
                costs = {"any": costs[QUALITIES[0]]}
            for quality, ends in costs.items():
                whole = _between(*_times(ends, Decimal(STORY)), places=2)
                half = _between(*_times(ends, STORY * row.share), places=2)
                lines.append(f"| `{row.provider}` | `{model}` | {quality} | {whole} | {half} |")
    return "\n".join(lines) + "\n"


def _times(ends: tuple[int | None, ...], factor: Decimal) -> list[int | None]:
    return [None if end is None else int(end * factor) for end in ends]


def batch_terms_table() -> str:
    """Lay out what each provider's batches take and promise."""
    heads = (
        "Provider",
        "Ended within",
        "Most lines",
        "Largest file",
        "Queued tokens",
        "Pictures that are shown",
        "Results are kept",
    )
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---|" * (len(heads) - 1)]
    for name, terms, keeps_s in (
        ("openai", openai_batch.TERMS, openai_batch.KEEPS_S),
        ("gemini", gemini_batch.TERMS, gemini_batch.KEEPS_S),
    ):
        tokens = terms.most_queued_tokens
        cells = (
            f"`{name}`",
            f"{terms.within_s / 3600:g} hours",
            f"{terms.most_lines:,}",
            f"{terms.most_bytes / 1e6:,g} MB",
            "by account" if tokens is None else f"{tokens:,}",
            _shown_in_batch(terms),
            f"{keeps_s / 86_400:g} days",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shown_in_batch(terms: BatchTerms) -> str:
    """Say how a batch is shown pictures."""
    if terms.references == "inline":
        return "in each line"
    most = terms.most_reference_bytes
    return "uploaded once" + ("" if most is None else f", up to {most / 1e6:g} MB each")


def prices_table() -> str:
    """Lay out the prices that the table of models has, as their vendors write them."""
    known = table()
    heads = ("text in", "image in", "text out", "image out", "a picture")
    lines = [f"| Model | Provider | {' | '.join(heads)} | Says |", "|---|" + "---|" * 7]
    rows = list[str]()
    for price in known.price:
        tokens = (price.input_text, price.input_image, price.output_text, price.output_image)
        rows += _price_lines(price, (*map(_figure, tokens), "-"))
    for flat in known.flat:
        rows += _price_lines(flat, ("-", "-", "-", "-", _flat(flat)))
    return "\n".join([f"As of {known.as_of}, in USD:", "", *lines, *sorted(rows)]) + "\n"


def _price_lines(row: PriceRow | FlatRow, cells: tuple[str, ...]) -> list[str]:
    told = f"`{row.provider}` | {' | '.join(cells)} | {row.kind}"
    return [f"| `{model}` | {told} |" for model in row.models]


def _flat(row: FlatRow) -> str:
    """Say what a picture costs where it has a price of its own."""
    if row.per_quality:
        return ", ".join(
            f"{_figure(usd)} ({quality} {tier})"
            for quality, per_tier in row.per_quality.items()
            for tier, usd in per_tier.items()
        )
    if row.per_tier:
        return ", ".join(f"{_figure(usd)} ({tier})" for tier, usd in row.per_tier.items())
    if row.per_megapixel is None:
        return _figure(row.per_picture)
    if row.per_further_megapixel is None:
        return f"{_figure(row.per_megapixel)} a megapixel"
    return f"{_figure(row.per_megapixel)}, each further megapixel {row.per_further_megapixel}"


def _figure(usd: Decimal | None) -> str:
    return "-" if usd is None else f"{usd:f}"


def unbilled_table() -> str:
    """Write what proves a failure to be free, whose word that is, and where it holds."""
    lines = [
        "| Words | Status | Whose | By anybody? | How it is known | Page, when read |",
        "|---|---|---|---|---|---|",
    ]
    for free in unbilled.free():
        statuses = ", ".join(map(str, sorted(free.statuses)))
        where = f"`{free.at}` at its own address" if free.at else "yes"
        known = "said by the vendor" if free.kind == "said" else "presumed"
        cells = (free.quoted, statuses, free.vendor, where, known, f"{free.page}; {free.seen}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def requirements_table() -> str:
    """Write what the conformance kit tries, with a heading for each so that it can be linked to."""
    by_group: dict[str, list[Requirement]] = {group: [] for group in RULES}
    for one in requirements():
        by_group.setdefault(one.id.partition(".")[0], []).append(one)
    lines = [""]
    for group, found in by_group.items():
        lines += [f"## {RULES.get(group, group.capitalize())}", ""] if found else []
        for one in found:
            lines += [f"### {one.id}", "", f"{one.sentence}{_asked_of(one)}", ""]
            how = inspect.cleandoc(one.trial.check.__doc__ or "").partition("\n\n")[0]
            lines += ["Tried so: " + " ".join(how.split()), ""] if how else []
    return "\n".join(lines) + "\n"


def _asked_of(requirement: Requirement) -> str:
    """Say of whom it is asked, where that is not everybody."""
    trial = requirement.trial
    needs: list[str] = []
    if trial.capability is not None:
        needs.append(f"for a plugin with `{trial.capability}`")
    if trial.needs == "backend":
        told = ", ".join(f"`{name}`" for name in trial.behaviours)
        needs.append("with a backend" + (f" that can be told {told}" if told else ""))
    return f" *({'; '.join(needs)})*" if needs else ""


def states_table() -> str:
    """Write the states of a purchase: what each means, counts and blocks, and where it may go."""
    lines = [
        "| State | What it means | Counts as spent | Blocks its scene | May become |",
        "|---|---|---|---|---|",
    ]
    for state, told in _told_of_states().items():
        ways = ", ".join(f"`{new}`" for new in State if new in LEGAL[state]) or "nothing else"
        counts, blocks = ("yes" if state in among else "no" for among in (COUNTED, LIVE))
        lines.append(f"| `{state}` | {told} | {counts} | {blocks} | {ways} |")
    return "\n".join(lines) + "\n"


def _told_of_states() -> dict[State, str]:
    """Return what is written under each state; Python itself keeps no docstrings of members."""
    body = ast.parse(inspect.getsource(State)).body[0]
    assert isinstance(body, ast.ClassDef)
    told: dict[State, str] = {}
    for member, below in zip(body.body, body.body[1:], strict=False):
        match member, below:
            case (
                ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                told[State[name]] = " ".join(words.split())
            case _:
                pass
    return told


def ends_table() -> str:
    """Lay out when models end at whose API, the next first."""
    told = f"As of {table().as_of}:\n\n"
    told += (
        "| Models that begin so | End on | Switched off by | In their place | At | Says who |\n"
        "|---|---|---|---|---|---|\n"
    )
    for row in sorted(table().ends, key=lambda row: (row.on, row.provider, row.begins)):
        for begins in row.begins:
            told += f"| `{begins}` | {row.on} | {row.vendor} | {' or '.join(row.instead)} "
            told += f"| `{row.provider}` | {row.source} ({row.kind}, {row.date}) |\n"
    return told


def models_table() -> str:
    """Lay out what models take, a row for each beginning of a name."""
    known = table()
    named = dict.fromkeys(
        (row.provider, begins + ends)
        for provider in dict.fromkeys(row.provider for row in known.takes)
        for row in sorted((*known.takes, *known.shapes), key=lambda row: row.begins == ("",))
        if row.provider == provider
        for begins in row.begins
        for ends in row.ends
    )
    lines = [
        f"As of {known.as_of}:",
        "",
        "| Provider | Models that begin so | Sizes | Quality | Formats | Seed | References |",
        "|---|---|---|---|---|---|---|",
    ]
    for provider, begins in named:
        takes = takes_of(provider, begins)
        assert takes is not None
        cells = (
            provider,
            f"`{'…' * begins.startswith('/')}{begins}`" if begins else "others",
            _sizes(takes, _shapes(provider, begins)),
            ", ".join(takes.qualities) or "-",
            ", ".join(takes.formats) or "-",
            takes.seed,
            _references(takes.references),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _shapes(provider: str, begins: str) -> Shapes | None:
    """Return the ratios of a model; OpenRouter has some for chat alone, and said once for most."""
    by_chat = {begin for row in table().shapes if row.api == "chat" for begin in row.begins}
    api = "chat" if provider == "openrouter" and begins in by_chat else "images"
    return shapes_of(provider, begins, api=api)


def _sizes(takes: Takes, shapes: Shapes | None) -> str:
    """Say which sizes a model makes."""
    told: list[str] = []
    if takes.sizes:
        told.append(", ".join(takes.sizes))
    if (free := takes.free_sizes) is not None:
        told.append(
            f"multiples of {free.step} up to {free.long}, 1:{free.ratio} to {free.ratio}:1, "
            f"{free.least_px:,} to {free.most_px:,} pixels"
        )
    if shapes is not None:
        where = 'with `api = "chat"`: ' if takes.provider == "openrouter" else ""
        told.append(" ".join((f"{where}{', '.join(shapes.ratios)}", *_tiers(shapes))))
    return "; ".join(told) or "-"


def _tiers(shapes: Shapes) -> list[str]:
    return [f"in {', '.join(shapes.tiers)}"] if shapes.tiers else []


def _references(bounds: References) -> str:
    """Say how many reference pictures a model takes, and how large."""
    if not bounds.most:
        return "none"
    kinds = ", ".join(name.removeprefix("image/") for name in bounds.media_types)
    told = [f"up to {bounds.most} ({kinds})"]
    if bounds.most_bytes is not None:
        told.append(f"{bounds.most_bytes / 1e6:.1f} MB each")
    if bounds.most_pixels is not None:
        told.append(f"{bounds.most_pixels / 1e6:g} megapixels each")
    if bounds.least_side_px is not None:
        told.append(f"a side of {bounds.least_side_px} pixels at least")
    if bounds.most_request_bytes is not None:
        told.append(f"{bounds.most_request_bytes / 1e6:g} MB in all")
    return ", ".join(told)


def options_table(program: str) -> str:
    """Write the options of each command, as its ``--help`` has them."""
    lines: list[str] = []
    for name, parser in _parsers(program):
        options = parser._actions  # noqa: SLF001  - argparse has no public list of them
        words = " ".join(str(one.metavar) for one in options if not one.option_strings)
        lines += ["", f"### {name} {words}".rstrip(), "", parser.description or ""]
        rows = [_option_row(one) for one in options if one.dest not in {"help", "json", "debug"}]
        lines += ["", "| Option | What it does |", "|---|---|", *rows] if rows else []
    return "\n".join(lines).lstrip("\n") + "\n"


def _parsers(program: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the name and the parser of each command."""
    if program == "host":
        yield from host_parser.parsers()[1].items()
        return
    for command in stage3_cli.commands():
        parser = argparse.ArgumentParser(description=command.summary)
        command.add_arguments(parser)
        yield command.name, parser


def _option_row(option: argparse.Action) -> str:
    name = " ".join((*option.option_strings, str(option.metavar or ""))).strip()
    return f"| `{_cell(name)}` | {_cell(option.help or '')} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def documents_table(program: str) -> str:
    """Write the keys of each document of a program, from the schemas that come with it."""
    lines: list[str] = []
    for path in sorted(SCHEMAS[program].glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        lines += ["", f"### {schema['properties']['format'].get('const', path.stem)}", ""]
        lines += [f"{schema['title']}.", "", "| Key | Is | What it says |", "|---|---|---|"]
        lines += _keys(schema, schema["$defs"])
    return "\n".join(lines).lstrip("\n") + "\n"


def _keys(schema: Mapping[str, Any], parts: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Yield a row for each key, and behind it those of the objects that it holds."""
    for name, value in schema.get("properties", {}).items():
        if not within and name in {"format", "next_actions"}:  # every document has these
            continue
        kinds, inner = _of_key(value, parts)
        if name not in schema.get("required", ()):
            kinds += ", may be absent"
        key = f"{within}{name}"
        yield f"| `{key}` | {_cell(kinds)} | {_cell(_told(value))} |"
        for one, suffix in inner:
            yield from _keys(one, parts, f"{key}{suffix}.")


def _told(value: Mapping[str, Any]) -> str:
    """Return what a key says, but for what its kind has said already."""
    told: str = value.get("description", "")
    return "" if told == "US dollars, as a decimal string" else told


def _of_key(
    value: Mapping[str, Any], parts: Mapping[str, Any]
) -> tuple[str, list[tuple[Mapping[str, Any], str]]]:
    """Return what a key may be, and the objects in it with what stands between their keys."""
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[-1]
        return ("an action", []) if name == "action" else _of_key(parts[name], parts)
    if "anyOf" in value:
        found = [_of_key(one, parts) for one in value["anyOf"]]
        kinds = dict.fromkeys(kind for kind, _ in found)
        return " or ".join(kinds), [one for _, inner in found for one in inner]
    if "enum" in value:
        return ", ".join("null" if word is None else f"`{word}`" for word in value["enum"]), []
    if "const" in value:
        return f"`{json.dumps(value['const'])}`".replace(chr(34), ""), []
    told, inner = list[str](), list[tuple[Mapping[str, Any], str]]()
    named: str | list[str] = value.get("type", "anything")
    for kind in [named] if isinstance(named, str) else named:
        if kind == "array":
            of, below = _of_key(value.get("items", {}), parts)
            told.append("a list" if of in {"object", "anything"} else f"a list of: {of}")
            inner += [(one, f"[]{suffix}") for one, suffix in below]
        elif kind == "string" and value.get("pattern", "").startswith("^-?[0-9]"):
            told.append("US dollars")
        else:
            told.append({"string": "text", "boolean": "true or false"}.get(kind, kind))
            inner += [(value, "")] if "properties" in value else []
    more = value.get("additionalProperties")
    if isinstance(more, dict) and "properties" not in value:
        of, below = _of_key(cast("dict[str, Any]", more), parts)
        told = [f"object of: {of}" if kind == "object" else kind for kind in told]
        inner += [(one, f".*{suffix}") for one, suffix in below]
    return " or ".join(told), inner


def tables() -> dict[str, str]:
    """Return every table by the name in its marker."""
    return {
        "stage3-settings": settings_table(stage3.Settings, GROUPS),
        "fallback-settings": settings_table(stage3.FallbackRoute, {}),
        "cast-settings": settings_table(stage3.CastMember, {}),
        "price-settings": settings_table(stage3.PriceTable, {}),
        "plain-settings": settings_table(plain_image.Settings, {}),
        "host-options": options_table("host"),
        "stage3-options": options_table("stage3"),
        "host-documents": documents_table("host"),
        "stage3-documents": documents_table("stage3"),
        "batch-prices": batch_prices_table(),
        "batch-terms": batch_terms_table(),
        "diffusion-options": settings_table(DiffusionOptions, {}),
        "ray-options": settings_table(RayOptions, {}),
        "replicas-options": settings_table(ReplicasOptions, {}),
        "expected-costs": costs_table(),
        "prices": prices_table(),
        "models": models_table(),
        "model-ends": ends_table(),
        "purchase-states": states_table(),
        "unbilled-words": unbilled_table(),
        "requirements": requirements_table(),
    }


def filled(page: str, text: str) -> str:
    """Return a page's text with each marked table as the code has it now."""
    written = tables()
    marked = tuple(match["name"] for match in _BLOCK.finditer(text))
    if marked != PAGES[page]:
        raise SystemExit(f"{page} should mark the tables {PAGES[page]}, not {marked}")
    return _BLOCK.sub(
        lambda match: f"{match['open']}{written[match['name']]}{match['close']}", text
    )


def _default(schema: dict[str, Any]) -> str:
    """Write a default as TOML has it."""
    default = schema.get("default")
    if default is None:
        return "not set"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default}`"


def _kind(schema: dict[str, Any]) -> str:
    """Say what a setting may be."""
    if "ge" in schema:  # only money says its bounds this way, being a number or text
        return "an amount from 0"
    for part in schema.get("anyOf", []):
        if part.get("type") != "null":
            return _kind(part)
    if "$ref" in schema:
        return "a table"
    if "enum" in schema:
        return ", ".join(f'`"{word}"`' for word in schema["enum"])
    kind = {"integer": "a whole number", "number": "a number", "boolean": "`true`, `false`"}
    told = kind.get(schema["type"], "text")
    if schema.get("format") == "path":
        told = "a path"
    bounds = {"minimum": "from", "maximum": "to", "exclusiveMinimum": "above"}
    return " ".join(
        [told, *(f"{word} {schema[key]}" for key, word in bounds.items() if key in schema)]
    )


def main() -> int:
    """Write the pages anew, or report which would change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if out of date")
    options = parser.parse_args()
    stale: list[str] = []
    for name in PAGES:
        path = Path(__file__).parent / name
        text = path.read_text(encoding="utf-8")
        wanted = filled(name, text)
        if text != wanted and options.check:
            stale.append(name)
        elif text != wanted:
            path.write_text(wanted, encoding="utf-8", newline="\n")
    if stale:
        sys.stderr.write(f"{', '.join(stale)} out of date; run python docs/tables.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
