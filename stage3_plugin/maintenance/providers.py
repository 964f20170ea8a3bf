"""What ``stage3 providers`` shows: who can make pictures, and what each can do.

The only place that imports every provider that is installed, each by itself: one that is broken is
listed with what is wrong with it, and hides no other. A run imports only those that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.profile import Profile
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.models import models_known_of
from stage3_plugin.providers.options import option_names, takes_others
from stage3_plugin.providers.registry import listed, maker_named, provider_at
from stage3_plugin.runtime.offers import PROVIDERS, Offers

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
        profile: What is known of one that is paid; ``None`` of one that draws on this machine.
        options: The names that the setting ``options`` may have.
        has_more_options: It takes others, such as single models have.
        models: Those whose prices are known.
    """

    name: str
    source: str
    problem: str | None = None
    hint: str | None = None
    profile: Profile | None = None
    options: tuple[str, ...] = ()
    has_more_options: bool = False
    models: tuple[str, ...] = ()


def installed(offers: Offers = PROVIDERS) -> tuple[InstalledProvider, ...]:
    """Return all that are installed, sorted by name; each is imported."""
    return tuple(_looked_at(one.name, " and ".join(one.sources), offers) for one in listed(offers))


def _looked_at(name: str, source: str, offers: Offers) -> InstalledProvider:
    try:
        made_by = maker_named(name, offers)
        is_paid = issubclass(made_by, Hosted)
        return InstalledProvider(
            name=name,
            source=source,
            profile=provider_at(Endpoint(provider=name), offers=offers).profile
            if is_paid
            else None,
            options=option_names(made_by.Options),
            has_more_options=takes_others(made_by.Options),
            models=models_known_of(name),
        )
    except SettingsRefused as refused:
        problem, hint = refused.problem, refused.hint
    except Exception as error:  # noqa: BLE001 - whatever a stranger's class does, others are shown
        problem, hint = f"{type(error).__name__}: {error}", "tell its author"
    return InstalledProvider(name=name, source=source, problem=problem, hint=hint)


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
        }
    return {
        **told,
        **facts,
        "options": list(one.options),
        "has_more_options": one.has_more_options,
        "models": list(one.models),
    }


_FACTS = (
    "vendor", "base_url", "key_variable", "needs_key", "references", "seed", "negative_prompt",
    "reports_cost", "queue", "keeps_result_s", "lost_answer",
)  # fmt: skip


def _lost_answer(profile: Profile) -> Literal["proved", "found", "unknown"]:
    """Return what can be learned of a request whose answer was lost."""
    if profile.listing is None:
        return "unknown"
    return "proved" if profile.listing.proves_absence else "found"


_LOST = {
    "proved": "a lost answer is found, or proved never to have been asked for",
    "found": "a lost answer can be found, and its absence proves nothing",
    "unknown": "a lost answer cannot be asked for",
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
        yield f"  {', '.join(_abilities(profile))}"
        yield f"  {_how_it_answers(profile)}; {_LOST[_lost_answer(profile)]}"
    if one.options or one.has_more_options:
        more = ["what its models take"] if one.has_more_options else []
        yield f"  options: {', '.join([*one.options, *more])}"
    if one.models:
        more = (
            [f"and {len(one.models) - _MOST_MODELS} more"] if len(one.models) > _MOST_MODELS else []
        )
        yield f"  prices are known of: {', '.join([*one.models[:_MOST_MODELS], *more])}"


def _abilities(profile: Profile) -> Iterator[str]:
    for ability, has in (
        ("references", profile.references),
        ("seed", profile.seed),
        ("negative prompt", profile.negative_prompt),
    ):
        yield ability if has else f"no {ability}"
    yield "answers say what they cost" if profile.reports_cost else "costs by the price list"


def _how_it_answers(profile: Profile) -> str:
    if profile.keeps_s is None:
        return "answers at once"
    return f"has a queue, and keeps what came of a job for {_duration(profile.keeps_s)}"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"
