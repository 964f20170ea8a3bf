"""What ``stage3 providers`` shows: who can make pictures, and what each can do.

The only place that imports every provider that is installed, each by itself: one that is broken is
listed with what is wrong with it, and hides no other. A run imports only those that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal, TypeAlias, get_args

from stage3_plugin.domain.batch import BatchTerms
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.profile import Listing, Profile
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers.base import BatchLane
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.model_ends import ends_at
from stage3_plugin.providers.models import EndRow, models_known_of
from stage3_plugin.providers.options import option_names, takes_others
from stage3_plugin.providers.prices import batch_models_of
from stage3_plugin.providers.registry import listed, maker_named, provider_at
from stage3_plugin.runtime.offers import PROVIDERS, Offers

Ability: TypeAlias = Literal["references", "seed", "negative_prompt"]
_ABILITIES: tuple[Ability, ...] = get_args(Ability)

Lost: TypeAlias = Literal["proved", "found", "unknown"]
FORMAT = "stage3-providers/1"
_MOST_MODELS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledProvider:
    """One who can make pictures, or could.

    Attributes:
        name: Its word in the settings.
        source: Who brings it.
        problem: Why it cannot be used, if it cannot; then nothing else is known.
        hint: What to do about that.
        profile: What is known of one that is paid; ``None`` of one that draws on this machine. What
            any of its models can, it can.
        by_model: What not all of its models can.
        options: The names that the setting ``options`` may have.
        has_more_options: It takes others, such as single models have.
        models: Those whose prices are known.
        ends: When models of it were, or will be, switched off.
        lane: What its batch lane takes and promises; ``None`` where it has none.
        shares: What part of the ordinary price its models cost in batches, where that is known.
    """

    name: str
    source: str
    problem: str | None = None
    hint: str | None = None
    profile: Profile | None = None
    by_model: frozenset[Ability] = frozenset()
    options: tuple[str, ...] = ()
    has_more_options: bool = False
    models: tuple[str, ...] = ()
    ends: tuple[EndRow, ...] = ()
    lane: BatchTerms | None = None
    shares: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


def installed(offers: Offers = PROVIDERS) -> tuple[InstalledProvider, ...]:
    """Return all that are installed, sorted by name; each is imported."""
    return tuple(_looked_at(one.name, " and ".join(one.sources), offers) for one in listed(offers))


def _looked_at(name: str, source: str, offers: Offers) -> InstalledProvider:
    try:
        made_by = maker_named(name, offers)
        models = models_known_of(name)
        asked = ("", *models) if issubclass(made_by, Hosted) else ()
        made = [provider_at(Endpoint(provider=name, model=one), offers=offers) for one in asked]
        profiles = [one.profile for one in made]
        lane = made[0].batch if made else None
        return InstalledProvider(
            name=name,
            source=source,
            profile=_of_any(profiles) if profiles else None,
            by_model=frozenset(
                one for one in _ABILITIES if len({getattr(each, one) for each in profiles}) > 1
            ),
            options=option_names(made_by.Options),
            has_more_options=takes_others(made_by.Options),
            models=models,
            ends=ends_at(name),
            lane=None if lane is None else lane.terms,
            shares={} if lane is None else _shares(lane, (*models, *batch_models_of(name))),
        )
    except SettingsRefused as refused:
        problem, hint = refused.problem, refused.hint
    except Exception as error:  # noqa: BLE001 - whatever a stranger's class does, others are shown
        problem, hint = f"{type(error).__name__}: {error}", "tell its author"
    return InstalledProvider(name=name, source=source, problem=problem, hint=hint)


def _shares(lane: BatchLane, models: Sequence[str]) -> dict[str, Decimal]:
    found = {model: lane.share(model) for model in sorted(set(models))}
    return {model: share for model, share in found.items() if share is not None}


def _of_any(profiles: Sequence[Profile]) -> Profile:
    """Return what is known of a provider by what is known of its models."""
    return replace(
        profiles[0],
        references=any(one.references for one in profiles),
        seed=any(one.seed for one in profiles),
        negative_prompt=any(one.negative_prompt for one in profiles),
        listing=next((one.listing for one in profiles if one.listing is not None), None),
    )


def as_json(providers: Sequence[InstalledProvider]) -> dict[str, object]:
    """Return them as plain JSON values; what is not known of one is ``null``."""
    return {"format": FORMAT, "providers": [_json_of(one) for one in providers]}


def _json_of(one: InstalledProvider) -> dict[str, object]:
    profile = one.profile
    told: dict[str, object] = {
        "name": one.name,
        "source": one.source,
        "problem": one.problem,
        "hint": one.hint,
        "is_paid": None if one.problem else profile is not None,
    }
    facts: dict[str, object] = {name: None for name in _FACTS}  # noqa: C420 - is typed
    if profile is not None:
        facts = {
            "vendor": profile.vendor or profile.name,
            "base_url": profile.base_url,
            "key_variable": profile.key_variable,
            "needs_key": profile.needs_key,
            "references": profile.references,
            "seed": profile.seed,
            "negative_prompt": profile.negative_prompt,
            "reports_cost": profile.reports_cost,
            "queue": profile.keeps_s is not None,
            "keeps_result_s": profile.keeps_s,
            "lost_answer": _lost_answer(profile),
            "by_model": sorted(one.by_model),
            "batch": _batch_of(one),
        }
    return {
        **told,
        **facts,
        "options": list(one.options),
        "has_more_options": one.has_more_options,
        "models": list(one.models),
        "ends": [
            end.model_dump(mode="json", include={"begins", "on", "instead"}) for end in one.ends
        ],
    }


_FACTS = (
    "vendor", "base_url", "key_variable", "needs_key", "references", "seed", "negative_prompt",
    "reports_cost", "queue", "keeps_result_s", "lost_answer", "by_model",
    "batch",
)  # fmt: skip


def _batch_of(one: InstalledProvider) -> dict[str, object] | None:
    """Return its batch lane as plain JSON values."""
    lane = one.lane
    if lane is None:
        return None
    return {
        "within_s": lane.within_s,
        "most_lines": lane.most_lines,
        "most_bytes": lane.most_bytes,
        "lost_create": _lost(lane.listing),
        "shares": {model: float(share) for model, share in one.shares.items()},
    }


def _lost_answer(profile: Profile) -> Lost:
    """Return what can be learned of a request whose answer was lost."""
    return _lost(profile.listing)


def _lost(listing: Listing | None) -> Lost:
    if listing is None:
        return "unknown"
    return "proved" if listing.proves_absence else "found"


_LOST = {
    "proved": "a lost answer is found, or proved never to have been asked for",
    "found": "a lost answer can be found, and its absence proves nothing",
    "unknown": "a lost answer cannot be asked for",
}


_LOST_CREATE: Mapping[Lost, str] = {
    "proved": "a lost create is found, or proved never to have arrived",
    "found": "a lost create can be found, and its absence proves nothing",
    "unknown": "a lost create cannot be asked for",
}


def as_text(providers: Sequence[InstalledProvider]) -> str:
    """Say what each can, in a few lines."""
    return "\n".join(line for one in providers for line in _lines_of(one))


def _lines_of(one: InstalledProvider) -> Iterator[str]:
    who = f"{one.name} ({one.source})"
    if one.problem is not None:
        yield f"{who}: cannot be used: {one.problem}"
        yield f"  hint: {one.hint}"
        return
    profile = one.profile
    if profile is None:
        yield f"{who}: draws on this machine, for nothing"
    else:
        key = f"its key is in {profile.key_variable}" if profile.needs_key else "it needs no key"
        yield f"{who}: {profile.vendor or profile.name}; {key}"
        yield f"  {', '.join(_abilities(profile, one.by_model))}"
        yield f"  {_how_it_answers(profile)}; {_LOST[_lost_answer(profile)]}"
    if one.lane is not None:
        yield f"  {_how_it_makes_batches(one.lane, one.shares)}"
    if one.options or one.has_more_options:
        more = ["what its models take"] if one.has_more_options else []
        yield f"  options: {', '.join([*one.options, *more])}"
    if one.models:
        more = (
            [f"and {len(one.models) - _MOST_MODELS} more"] if len(one.models) > _MOST_MODELS else []
        )
        yield f"  prices are known of: {', '.join([*one.models[:_MOST_MODELS], *more])}"
    for end in sorted(one.ends, key=lambda end: end.on):
        instead = " or ".join(end.instead)
        yield f"  end on {end.on}: {', '.join(end.begins)}; in their place: {instead}"


def _abilities(profile: Profile, by_model: frozenset[Ability]) -> Iterator[str]:
    for ability in _ABILITIES:
        words = ability.replace("_", " ") + (" by model" if ability in by_model else "")
        yield words if getattr(profile, ability) else f"no {words}"
    yield "answers say what they cost" if profile.reports_cost else "costs by the price list"


def _how_it_answers(profile: Profile) -> str:
    if profile.keeps_s is None:
        return "answers at once"
    return f"has a queue, and keeps what came of a job for {_duration(profile.keeps_s)}"


def _how_it_makes_batches(lane: BatchTerms, shares: Mapping[str, Decimal]) -> str:
    within = f"has a batch lane, which ends within {_duration(lane.within_s)}"
    parts = {
        share: [model for model, one in shares.items() if one == share] for share in shares.values()
    }
    costs = [
        f"{float(100 * share):g} % of the price of {', '.join(models)}"
        for share, models in parts.items()
    ]
    return "; ".join([within, *costs, _LOST_CREATE[_lost(lane.listing)]])


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"
