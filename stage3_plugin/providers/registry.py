"""From a provider's word to what makes its pictures, or to a refusal that says whose fault it is.

Ours are found like all others, by the entry-point group ``stage3.providers``; another is a class
of another distribution. One that is broken, or has the word of another, troubles only the user who
asks for it by that word.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from decimal import Decimal

from pydantic import JsonValue

from host_stub import contract
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.money import Prices
from stage3_plugin.domain.request import BehindPrompt
from stage3_plugin.errors import ProviderBroken, SettingsRefused
from stage3_plugin.providers.base import Provider
from stage3_plugin.providers.guarding import guarded
from stage3_plugin.providers.hosted import Hosted
from stage3_plugin.providers.options import options_of
from stage3_plugin.runtime.offers import PROVIDERS, NotOffered, Offers
from stage3_plugin.runtime.system_errors import in_one_line
from stage3_plugin.settings import PictureMaker


def listed(offers: Offers = PROVIDERS, *, used: Container[str] = ()) -> Iterator[contract.Provider]:
    """Yield who is installed, sorted by name; nothing is imported for that."""
    for name in offers.names:
        sources = [one.source for one in offers.all if one.name == name]
        yield contract.Provider(
            name=name,
            source=" and ".join(sources),
            in_use=name in used,
            problem="more than one distribution offers it" if len(sources) > 1 else None,
        )


def maker_named(name: str, offers: Offers = PROVIDERS) -> type[PictureMaker]:
    """Return the class that makes pictures by this word.

    Raises:
        SettingsRefused: There is none, or more than one, or it cannot be used.
    """
    try:
        found = offers.load(name)
        if isinstance(found, type) and issubclass(found, PictureMaker):
            return found
        problem = f"it is no class that derives from {Hosted.__module__}.Hosted"
        raise offers.unusable(name, problem)
    except NotOffered as missing:
        raise _refused(missing) from missing.__cause__


def hosted_named(name: str, offers: Offers = PROVIDERS) -> type[Hosted] | None:
    """Return the class of the paid provider of this word, if there is one and it can be used."""
    try:
        found = maker_named(name, offers)
    except SettingsRefused:
        return None
    return found if issubclass(found, Hosted) else None


def in_batches(offers: Offers = PROVIDERS) -> tuple[str, ...]:
    """Return the words of all that have a batch lane; each is imported for that."""
    found = ((name, hosted_named(name, offers)) for name in offers.names)
    return tuple(name for name, one in found if one is not None and one.batch is not Hosted.batch)


def provider_at(
    endpoint: Endpoint,
    *,
    prices: Prices | None = None,
    flat_usd: Decimal | None = None,
    negative_prompt: BehindPrompt = "append",
    style_tags: BehindPrompt = "append",
    options: Mapping[str, JsonValue] | None = None,
    offers: Offers = PROVIDERS,
) -> Provider:
    """Make the provider of an endpoint.

    Args:
        endpoint: Where it is asked.
        prices: The settings' price table, instead of the shipped one.
        flat_usd: The settings' price per picture.
        negative_prompt: What becomes of it where there is no field for it.
        style_tags: Likewise.
        options: What the settings say that only this provider has.
        offers: Where its class is found.

    Raises:
        SettingsRefused: There is no such provider, it buys nothing, it has no such options, or it
            cannot be made.
    """
    name = endpoint.provider
    found = maker_named(name, offers)
    if not issubclass(found, Hosted):
        raise SettingsRefused("provider", f"provider {name!r} buys no pictures")
    try:
        made = found(
            endpoint,
            prices=prices,
            flat_usd=flat_usd,
            negative_prompt=negative_prompt,
            style_tags=style_tags,
            options=options_of(found.Options, name, options or {}),
        )
        return guarded(made, name)
    except SettingsRefused:
        raise
    except ProviderBroken as error:
        raise _refused(offers.unusable(name, str(error))) from error
    except (Exception, SystemExit) as error:
        raise _refused(offers.unusable(name, in_one_line(error))) from error


def _refused(missing: NotOffered) -> SettingsRefused:
    return SettingsRefused("provider", str(missing), hint=missing.hint)
