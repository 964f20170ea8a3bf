"""What a picture is known by in the ledger: hashes of what was wanted, in every form they ever had.

Pure. A key is made of our own words for a wish and never of the bytes that are sent, so that a
release that words or orders differently finds what was bought. It holds what decides the request
as sent, and where it is sent; a wish that a route has no field for is not in it. A form that was
ever released is looked for as long as there are ledgers; ``tests/hostile/keys.json`` has recorded
keys of each.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from ipaddress import ip_address
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.purchase import NewPurchase
from stage3_plugin.domain.request import NegativePrompt, PictureRequest
from stage3_plugin.settings import Settings

VERSION = 2
"""Of :func:`_decides`. A new form raises it, raises the ledger's version, and joins the earlier
ones in :func:`scene_keys`."""

Wish: TypeAlias = Literal["seed", "references", "output_format", "background"]
"""A wish that some routes have no field for."""
Expression: TypeAlias = NegativePrompt | Literal["field"]
"""How a negative prompt is expressed: behind the prompt, not at all, or in a field of its own."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_DOTS = re.compile("[\u3002\uff0e\uff61]")
"""What other scripts write for the dots of a name."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where a picture is bought, as far as that decides its keys.

    Attributes:
        provider: Its word in the settings.
        api: Which of its ways of asking.
        model: Its name of the model.
        base_url: Where it is asked; ``None`` is its public address.
        public_url: That address.
        name: What the user calls the endpoint; its address is then not in the key.
        was: Further addresses whose purchases count as this endpoint's own.
        negative_prompt: How a negative prompt is expressed.
        sends: The wishes that reach the provider.
        is_local: Made on this machine, whatever the address.
    """

    provider: str
    api: str = "images"
    model: str = ""
    base_url: str | None = None
    public_url: str = ""
    name: str | None = None
    was: tuple[str, ...] = ()
    negative_prompt: Expression = "append"
    sends: frozenset[Wish] = frozenset()
    is_local: bool = False

    @property
    def address(self) -> str:
        """Return where it is asked, in the one form that every spelling of it has."""
        return self.addresses[0]

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """Return where its purchases may have been made, the present address first."""
        asked = (self.base_url or self.public_url, *self.was)
        return tuple(dict.fromkeys(map(canonical_address, asked)))

    @cached_property
    def places(self) -> list[dict[str, object]]:
        """Return what keys say of where a picture is bought: now, then where it may have been.

        A name that was given later finds what was bought at the address that it stands for.
        """
        if self.is_local:
            return [{}]
        places: list[dict[str, object]] = [{"address": address} for address in self.addresses]
        return places if self.name is None else [{"endpoint": self.name}, *places]

    def owns(self, new: NewPurchase) -> bool:
        """Tell whether a purchase was made on this route, by whichever form of its key."""
        if (new.provider, new.api, new.model) != (self.provider, self.api, self.model):
            return False
        return self.is_local or canonical_address(new.base_url or self.public_url) in self.addresses


class Keys:
    """What one wish is known by on one route; what is not asked for is not hashed.

    Attributes:
        present: Its key; a new purchase gets it.
    """

    def __init__(
        self, request: PictureRequest, route: Route, *, take: int = 1, edition: str = ""
    ) -> None:
        self._request = request
        self._route = route
        self._take = take
        self._edition = edition
        self._wanted = _wanted(request, route, take, edition)
        self._earlier: tuple[str, ...] | None = None
        self._content: str | None = None
        self.present = hashed(self._wanted | route.places[0])

    @property
    def earlier(self) -> tuple[str, ...]:
        """Return the keys it had in earlier forms, or has under another address of its endpoint.

        What is found by one of them has to be asked for with :meth:`owns`: the first form knew no
        addresses.
        """
        if self._earlier is None:
            elsewhere = (hashed(self._wanted | place) for place in self._route.places[1:])
            self._earlier = (*elsewhere, self._first())
        return self._earlier

    def _first(self) -> str:
        """Return the key it had in the first form."""
        request, route = self._request, self._route
        if route.negative_prompt == "drop" and not route.is_local:
            request = replace(request, negative_prompt=None)
        return scene_key(request, take=self._take, edition=self._edition)

    @property
    def content(self) -> str:
        """Return the hash of the wish without its endpoint."""
        if self._content is None:
            self._content = hashed(self._wanted | {"endpoint": None})
        return self._content

    @property
    def all(self) -> tuple[str, ...]:
        """Return every key, the present one first."""
        return (self.present, *self.earlier)

    def owns(self, new: NewPurchase) -> bool:
        """Tell whether a purchase with one of the keys was made on this route."""
        return new.scene_key == self.present or self._route.owns(new)


def route_of(settings: Settings, profile: Profile | None, *, is_local: bool = False) -> Route:
    """Put together what the settings and the provider's profile say of where pictures are bought.

    Args:
        settings: Validated settings.
        profile: What is known of the provider; ``None`` for a renderer of our own.
        is_local: Pictures are made on this machine.
    """
    endpoint = settings.endpoint
    sends: set[Wish] = {"seed", "references", "output_format", "background"}
    expression: Expression = settings.negative_prompt
    if profile is not None:
        sends -= profile.unsaid
        sends -= {"seed"} if not profile.seed else set()
        sends -= {"references"} if not profile.references else set()
        expression = "field" if profile.negative_prompt else expression
    return Route(
        provider=settings.provider,
        api=settings.api,
        model=settings.model or "",
        base_url=settings.base_url,
        public_url="" if profile is None else profile.base_url,
        name=None if endpoint is None else endpoint.name,
        was=() if endpoint is None else endpoint.was,
        negative_prompt=expression,
        sends=frozenset(sends),
        is_local=is_local,
    )


def scene_keys(request: PictureRequest, route: Route, *, take: int = 1, edition: str = "") -> Keys:
    """Hash what decides a picture, in each form that it ever had; 64 hex digits each.

    ``characters``, ``style_tags`` and ``extra`` are left out: they do not reach a paid provider.

    Args:
        request: The picture.
        route: Where it is bought.
        take: Which one of several of the same request.
        edition: What else decides it, where a renderer on this machine makes it.
    """
    return Keys(request, route, take=take, edition=edition)


def _wanted(request: PictureRequest, route: Route, take: int, edition: str) -> dict[str, object]:
    """Name what decides a picture wherever it is bought; a wish that is not there has no name."""
    wanted: dict[str, object] = {
        "version": VERSION,
        "provider": route.provider,
        "api": route.api,
        "model": request.model or route.model,
        "scene_id": request.scene_id,
        "take": take,
        "prompt": request.prompt,
        "size": request.size,
        "quality": request.quality,
    }
    if request.negative_prompt and route.negative_prompt != "drop":
        wanted["negative_prompt"] = [route.negative_prompt, request.negative_prompt]
    sent: dict[Wish, object] = {
        "seed": request.seed,
        "references": list(request.references) or None,
        "output_format": request.output_format,
        "background": request.background,
    }
    wanted.update(
        (name, wish) for name, wish in sent.items() if name in route.sends and wish is not None
    )
    if edition:
        wanted["edition"] = edition
    return wanted


@cache
def canonical_address(url: str) -> str:
    """Return the one form of all spellings of an address; what is no address stays as it is.

    Scheme and host in lower case, the host in its own script and without a dot at its end, no
    default port, no slash at the end.
    """
    try:
        parts = urlsplit(url.strip())
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:  # such as a port that is no number
        return url
    if not scheme or not host:
        return url
    host = _host(host)
    where = "" if port in {None, _DEFAULT_PORTS.get(scheme)} else f":{port}"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{where}{parts.path.rstrip('/')}"


def _host(name: str) -> str:
    """Write a host's name in its own script: ``xn--mnchen-3ya.example`` is ``münchen.example``."""
    with suppress(ValueError):
        return ip_address(name).compressed
    labels = _DOTS.sub(".", name).rstrip(".").split(".")
    return unicodedata.normalize("NFC", ".".join(map(_label, labels))).lower()


def _label(label: str) -> str:
    if not label.lower().startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


# Made once: ``json.dumps`` with options makes one per call.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


def scene_key(request: PictureRequest, *, take: int = 1, edition: str = "") -> str:
    """Hash a request in the first form of a key, which is found for as long as there are ledgers.

    It knew no endpoint, and held a seed and references also where they are not sent; the present
    form is in :mod:`~stage3_plugin.domain.keys`.

    Args:
        request: The picture.
        take: Which one of several of the same request.
        edition: What else decides it, where a renderer on this machine makes it.
    """
    decides: dict[str, object] = {
        "scene_id": request.scene_id,
        "take": take,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "size": request.size,
        "quality": request.quality,
        "output_format": request.output_format,
        "background": request.background,
        "model": request.model,
        "provider": request.provider,
        "seed": request.seed,
        "references": request.references,
    }
    if edition:
        decides["edition"] = edition
    return hashed(decides)


def hashed(decides: Mapping[str, object]) -> str:
    """Hash named JSON values, 64 hex digits; the order of the names says nothing."""
    return hashlib.sha256(_canonical(decides).encode("ascii")).hexdigest()
