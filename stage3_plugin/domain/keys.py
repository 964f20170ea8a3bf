"""What a picture is known by in the ledger: hashes of what was wanted, in every form they ever had.

Pure. A key is made of our own words for a wish and never of the bytes that are sent, so that a
release that words or orders differently finds what was bought. It holds what decides the request
as sent, and where it is sent; a wish that an endpoint has no field for is not in it. A form that
was ever released is looked for as long as there are ledgers; ``tests/hostile/keys.json`` has
recorded keys of each.
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

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.purchase import NewPurchase
from stage3_plugin.domain.request import NegativePrompt, PictureRequest

VERSION = 2
"""Of :func:`_decides`. A new form raises it, raises the ledger's version, and joins the earlier
ones in :func:`scene_keys`."""

Wish: TypeAlias = Literal["seed", "references", "output_format", "background", "quality"]
"""A wish that some endpoints have no field for."""
Expression: TypeAlias = NegativePrompt | Literal["field"]
"""How a negative prompt is expressed: behind the prompt, not at all, or in a field of its own."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_DOTS = re.compile("[\u3002\uff0e\uff61]")
"""What other scripts write for the dots of a name."""


@dataclass(frozen=True, kw_only=True)
class KeyScope:
    """What keys hold beside a wish: the endpoint it is bought at, and what can be said there.

    Attributes:
        endpoint: Where pictures are bought.
        public_url: The provider's public address, which an endpoint without one is at.
        name: What the user calls the endpoint; its address is then not in the key.
        was: Further addresses whose purchases count as this endpoint's own.
        negative_prompt: How a negative prompt is expressed.
        sends: The wishes that reach the provider.
        is_here: Made on this machine, whatever the address.
    """

    endpoint: Endpoint
    public_url: str = ""
    name: str | None = None
    was: tuple[str, ...] = ()
    negative_prompt: Expression = "append"
    sends: frozenset[Wish] = frozenset()
    is_here: bool = False

    @property
    def address(self) -> str:
        """Return the endpoint's address in the one form that all spellings of it share."""
        return self.addresses[0]

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """Return the addresses of its purchases, the present one first."""
        asked = (self.endpoint.base_url or self.public_url, *self.was)
        return tuple(dict.fromkeys(map(canonical_address, asked)))

    @cached_property
    def places(self) -> list[dict[str, object]]:
        """Return what keys say of where a picture is bought: now, then where it may have been.

        A name that was given later finds what was bought at the address that it stands for.
        """
        if self.is_here:
            return [{}]
        places: list[dict[str, object]] = [{"address": address} for address in self.addresses]
        return places if self.name is None else [{"endpoint": self.name}, *places]

    def owns(self, new: NewPurchase) -> bool:
        """Return whether a purchase was made at this endpoint, by whichever form of its key."""
        asked, mine = new.endpoint, self.endpoint
        if replace(asked, base_url=mine.base_url) != mine:
            return False
        address = canonical_address(asked.base_url or self.public_url)
        return self.is_here or address in self.addresses


class Keys:
    """The keys of one wish at one endpoint; each is hashed only when it is asked for.

    Attributes:
        present: Its key; a new purchase gets it.
    """

    def __init__(
        self, request: PictureRequest, scope: KeyScope, *, take: int = 1, edition: str = ""
    ) -> None:
        self._request = request
        self._scope = scope
        self._take = take
        self._edition = edition
        self._wanted = _wanted(request, scope, take, edition)
        self._earlier: tuple[str, ...] | None = None
        self._content: str | None = None
        self.present = hashed(self._wanted | scope.places[0])

    @property
    def earlier(self) -> tuple[str, ...]:
        """Return the keys it had in earlier forms, or has under another address of its endpoint.

        What is found by one of them has to be asked for with :meth:`owns`: the first form knew no
        addresses.
        """
        if self._earlier is None:
            elsewhere = (hashed(self._wanted | place) for place in self._scope.places[1:])
            self._earlier = (*elsewhere, self._first())
        return self._earlier

    def _first(self) -> str:
        """Return the key it had in the first form."""
        request, scope = self._request, self._scope
        if scope.negative_prompt == "drop" and not scope.is_here:
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
        """Return whether a purchase with one of the keys was made at this endpoint."""
        return new.scene_key == self.present or self._scope.owns(new)


def scene_keys(
    request: PictureRequest, scope: KeyScope, *, take: int = 1, edition: str = ""
) -> Keys:
    """Hash what decides a picture, in each form that it ever had; 64 hex digits each.

    ``characters``, ``style_tags`` and ``extra`` are left out: they do not reach a paid provider.

    Args:
        request: The picture.
        scope: Where it is bought, and what can be said there.
        take: Which one of several of the same request.
        edition: What else decides it, where a renderer on this machine makes it.
    """
    return Keys(request, scope, take=take, edition=edition)


def _wanted(request: PictureRequest, scope: KeyScope, take: int, edition: str) -> dict[str, object]:
    """Name what decides a picture wherever it is bought; a wish that is not there has no name."""
    wanted: dict[str, object] = {
        "version": VERSION,
        "provider": scope.endpoint.provider,
        "api": scope.endpoint.api,
        "model": request.model or scope.endpoint.model,
        "scene_id": request.scene_id,
        "take": take,
        "prompt": request.prompt,
        "size": request.size,
    }
    if request.negative_prompt and scope.negative_prompt != "drop":
        wanted["negative_prompt"] = [scope.negative_prompt, request.negative_prompt]
    sent: dict[Wish, object] = {
        "seed": request.seed,
        "references": list(request.references) or None,
        "output_format": request.output_format,
        "background": request.background,
        "quality": request.quality,
    }
    wanted.update(
        (name, wish) for name, wish in sent.items() if name in scope.sends and wish is not None
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
