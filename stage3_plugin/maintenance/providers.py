"""What ``stage3 providers`` shows: who can make pictures, and what each can do.

The only place that imports every provider that is installed, each by itself: one that is broken is
listed with what is wrong with it, and hides no other. A run imports only those that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import BeforeValidator

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.profile import Listing
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.maintenance.report import Part, Report, at, named
from stage3_plugin.providers.base import BatchLane
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.models import ends_at, models_known_of
from stage3_plugin.providers.options import option_names, takes_others
from stage3_plugin.providers.prices import batch_models_of
from stage3_plugin.providers.registry import listed, maker_named, provider_at
from stage3_plugin.runtime.offers import PROVIDERS, Offers

Ability: TypeAlias = Literal["references", "seed", "negative_prompt"]
_ABILITIES: tuple[Ability, ...] = get_args(Ability)

Lost: TypeAlias = Literal["proved", "found", "unknown"]
_LOST: Final[Mapping[Lost, str]] = {
    "proved": "is found, or proved never to have",
    "found": "can be found, and its absence proves nothing",
    "unknown": "cannot be asked for",
}
_OF_AN_END: Final = {"begins", "on", "instead"}
_MOST_MODELS: Final = 12


def _lost(listing: Listing | None) -> Lost:
    if listing is None:
        return "unknown"
    return "proved" if listing.proves_absence else "found"


class Batches(Part):
    """What a batch lane takes and promises.

    Attributes:
        shares: What part of the ordinary price models cost in it, where that is known.
    """

    within_s: float = at("terms", "within_s")
    most_lines: int = at("terms", "most_lines")
    most_bytes: int = at("terms", "most_bytes")
    lost_create: Annotated[Lost, BeforeValidator(_lost)] = at("terms", "listing")
    shares: Mapping[str, float]

    def __str__(self) -> str:
        parts = {
            share: [model for model, one in self.shares.items() if one == share]
            for share in self.shares.values()
        }
        proved = " arrived" if self.lost_create == "proved" else ""
        return "; ".join(
            [
                f"has a batch lane, which ends within {_duration(self.within_s)}",
                *(f"{100 * one:g} % of the price of {', '.join(of)}" for one, of in parts.items()),
                f"a lost create {_LOST[self.lost_create]}{proved}",
            ]
        )


class InstalledProvider(Part):
    """One who can make pictures, or could; what is not known of it is ``None``.

    Attributes:
        name: Its word in the settings.
        source: Who brings it.
        problem: Why it cannot be used, if it cannot; then nothing else is known.
        hint: What to do about that.
        is_paid: It does not draw on this machine.
        references: Any of its models can take them, as with the others.
        keeps_result_s: How long its queue keeps what came of a job.
        lost_answer: What can be learned of a request whose answer was lost.
        by_model: What not all of its models can.
        options: The names that the setting ``options`` may have.
        has_more_options: It takes others, such as single models have.
        models: Those whose prices are known.
        ends: When models were, or will be, switched off, and what to use in their place.
    """

    name: str
    source: str
    problem: str | None = None
    hint: str | None = None
    is_paid: bool | None = None
    vendor: str | None = None
    base_url: str | None = at("profile", "base_url", default=None)
    key_variable: str | None = at("profile", "key_variable", default=None)
    needs_key: bool | None = at("profile", "needs_key", default=None)
    references: bool | None = None
    seed: bool | None = None
    negative_prompt: bool | None = None
    reports_cost: bool | None = at("profile", "reports_cost", default=None)
    queue: bool | None = None
    keeps_result_s: float | None = at("profile", "keeps_s", default=None)
    lost_answer: Lost | None = None
    by_model: Sequence[Ability] | None = None
    batch: Batches | None = None
    options: Sequence[str] = ()
    has_more_options: bool = False
    models: Sequence[str] = ()
    ends: Sequence[Mapping[str, object]] = ()

    def told(self) -> Iterator[str]:
        """Yield what it can, in a few lines."""
        who = f"{self.name} ({self.source})"
        if self.problem is not None:
            yield f"{who}: cannot be used: {self.problem}"
            yield f"  hint: {self.hint}"
            return
        if self.lost_answer is None:
            yield f"{who}: draws on this machine, for nothing"
        else:
            key = f"its key is in {self.key_variable}" if self.needs_key else "it needs no key"
            yield f"{who}: {self.vendor}; {key}"
            costs = "answers say what they cost" if self.reports_cost else "costs by the price list"
            yield f"  {', '.join([*map(self._ability, _ABILITIES), costs])}"
            lost = f"a lost answer {_LOST[self.lost_answer]}"
            proved = " been asked for" if self.lost_answer == "proved" else ""
            yield f"  {self._how_it_answers()}; {lost}{proved}"
        if self.batch is not None:
            yield f"  {self.batch}"
        if self.options or self.has_more_options:
            more = ["what its models take"] if self.has_more_options else []
            yield f"  options: {', '.join([*self.options, *more])}"
        if self.models:
            yield f"  prices are known of: {named(self.models, _MOST_MODELS)}"
        for end in sorted(ends_at(self.name), key=lambda end: end.on):
            instead = " or ".join(end.instead)
            yield f"  end on {end.on}: {', '.join(end.begins)}; in their place: {instead}"

    def _ability(self, ability: Ability) -> str:
        words = ability.replace("_", " ")
        if not getattr(self, ability):
            return f"no {words}"
        return f"{words} by model" if ability in (self.by_model or ()) else words

    def _how_it_answers(self) -> str:
        if self.keeps_result_s is None:
            return "answers at once"
        return f"has a queue, and keeps what came of a job for {_duration(self.keeps_result_s)}"


class Installed(Report):
    """Who can make pictures, sorted by name."""

    format = "stage3-providers/1"
    providers: list[InstalledProvider]

    def sentences(self) -> Iterator[str]:
        """Yield what each can."""
        for one in self.providers:
            yield from one.told()


def installed(offers: Offers = PROVIDERS) -> Installed:
    """Look at all who are installed; each is imported."""
    each = [_looked_at(one.name, one.source, offers) for one in listed(offers)]
    return Installed(providers=each)


def _looked_at(name: str, source: str, offers: Offers) -> InstalledProvider:
    try:
        return InstalledProvider.of(name=name, source=source, **_asked(name, offers))
    except SettingsRefused as refused:
        problem, hint = refused.problem, refused.hint
    except Exception as error:  # noqa: BLE001 - whatever a stranger's class does, others are shown
        problem, hint = f"{type(error).__name__}: {error}", "tell its author"
    return InstalledProvider(name=name, source=source, problem=problem, hint=hint)


def _asked(name: str, offers: Offers) -> dict[str, Any]:
    """Ask a provider of itself: what any of its models can, it can."""
    made_by, models = maker_named(name, offers), models_known_of(name)
    asked = ("", *models) if issubclass(made_by, Hosted) else ()
    made = [provider_at(Endpoint(provider=name, model=one), offers=offers) for one in asked]
    told: dict[str, Any] = {
        "is_paid": bool(made),
        "options": option_names(made_by.Options),
        "has_more_options": takes_others(made_by.Options),
        "models": models,
        "ends": [one.model_dump(include=_OF_AN_END) for one in ends_at(name)],
    }
    if not made:
        return told
    first, lane = made[0].profile, made[0].batch
    can = {one: {bool(getattr(each.profile, one)) for each in made} for one in _ABILITIES}
    listings = (each.profile.listing for each in made)
    told |= {one: True in found for one, found in can.items()}
    return told | {
        "profile": first,
        "vendor": first.vendor or first.name,
        "queue": first.keeps_s is not None,
        "lost_answer": _lost(next(filter(None, listings), None)),
        "by_model": sorted(one for one, found in can.items() if len(found) > 1),
        "batch": None if lane is None else _batches(name, models, lane),
    }


def _batches(name: str, models: Sequence[str], lane: BatchLane) -> Batches:
    each = ((one, lane.share(one)) for one in sorted({*models, *batch_models_of(name)}))
    shares = {model: float(share) for model, share in each if share is not None}
    return Batches.of(terms=lane.terms, shares=shares)


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"
