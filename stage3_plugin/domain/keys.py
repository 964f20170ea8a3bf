"""What a picture is known by in the ledger: hashes of what was wanted.

Pure. A key is made of our own words for a wish and never of the bytes that are sent, so that a
release that words or orders differently finds what was bought. It holds what decides the request
as sent, and where it is sent; a wish that an endpoint has no field for is not in it.
``tests/hostile/keys.json`` has recorded keys, which never change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import chain

from pydantic import JsonValue

from host_stub.contract import MOST_TAKES
from stage3_plugin.domain.purchase import NewPurchase
from stage3_plugin.domain.reference import Reference
from stage3_plugin.domain.request import PictureRequest, Wish
from stage3_plugin.domain.route import Route

VERSION = 1
"""Of what a key and a subject hold. Rows keep what they were given, so a change of it makes wishes
that nothing stands for: what was bought by this form has to be looked for then, too."""


class Keys:
    """The keys of one wish at one endpoint; each is hashed only when it is asked for.

    Where a picture may be tried in several ways, each has keys of its own, and all of them stand
    for it: a picture that was made in another way is found by them, too.

    Attributes:
        scene_key: Its key; a new purchase gets it.
    """

    def __init__(
        self,
        request: PictureRequest,
        route: Route,
        *,
        take: int = 1,
        edition: str = "",
        others: Callable[[], tuple[Keys, ...]] = tuple,
    ) -> None:
        self._request = request
        self._subject_of = request.wanted or request
        self._others_of = others
        self._route = route
        self._take = take
        self._edition = edition
        self._takes: dict[int, Keys] = {take: self}
        self._wanted = _wanted(request, route, take, edition)
        self.scene_key = hashed(self._wanted | route.places[0])

    def of_take(self, take: int) -> Keys:
        """Return the keys of another take of the same wish."""
        keys = self._takes.get(take)
        if keys is None:
            keys = self._takes[take] = Keys(
                self._request,
                self._route,
                take=take,
                edition=self._edition,
                others=lambda: tuple(one.of_take(take) for one in self._others_of()),
            )
        return keys

    def take_of(self, new: NewPurchase) -> int | None:
        """Return as which take of its wish a purchase was made, in whatever way.

        That is in its key, and need not be the number of its slot: slots are of what is wanted of
        any route, and one may be another route's.

        Returns:
            ``None`` if it was not made for this wish, or on a route that is none of its ways.
        """
        if not any(keys._may_have(new) for keys in self._ways):  # noqa: SLF001 - of its own class
            return None
        likely = (new.slot, *range(1, MOST_TAKES + 1))
        return next((one for one in likely if new.scene_key in self.of_take(one).all), None)

    def _may_have(self, new: NewPurchase) -> bool:
        """Return whether a purchase may have been made in this way, by what needs no hashing."""
        mine = self._route.endpoint
        asked, of = new.endpoint, self._request.model or mine.model
        return (asked.provider, asked.model, new.size) == (mine.provider, of, self._request.size)

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Return the keys it has under other addresses of its endpoint, and in other ways."""
        return self.all[1:]

    @cached_property
    def all(self) -> tuple[str, ...]:
        """Return every key, the present one first."""
        return tuple(chain.from_iterable(keys.own for keys in self._ways))

    @cached_property
    def own(self) -> tuple[str, ...]:
        """Return the keys it has in this very way, at each address of its endpoint."""
        further = (hashed(self._wanted | place) for place in self._route.places[1:])
        return (self.scene_key, *further)

    def has(self, new: NewPurchase) -> bool:
        """Return whether a purchase was made in this very way."""
        return new.scene_key in self.own

    @cached_property
    def _ways(self) -> tuple[Keys, ...]:
        """Return the keys of all ways in which the picture may be tried, this one first."""
        others = (keys for keys in self._others_of() if keys.scene_key != self.scene_key)
        return (self, *others)

    @cached_property
    def content_key(self) -> str:
        """Return the hash of the wish without its endpoint."""
        return hashed(self._wanted | _NOWHERE)

    @cached_property
    def subject_key(self) -> str:
        """Return the hash of what is wanted, whatever route it is bought by: its slots are of that.

        Neither a provider nor a model is in it, nor style tags, nor what a route cannot be told:
        whoever changes those while something is in doubt must not pay a second time. The bytes of
        references are, and not what is said of them; a picture of a renderer on this machine is
        another subject.
        """
        return _subject(self._subject_of, is_here=self._route.is_here)

    @cached_property
    def base_keys(self) -> tuple[str, ...]:
        """Return the keys of the wish without references, at every address and in every way.

        They are found in the ledger whatever the wish shows the model, and if it cannot be opened.
        """
        return tuple(chain.from_iterable(keys.own_base_keys for keys in self._ways))

    @property
    def own_base_keys(self) -> Iterator[str]:
        """Yield those of this very way."""
        bare = {name: wish for name, wish in self._wanted.items() if name != "references"}
        return (hashed(bare | place) for place in self._route.places)

    @property
    def base_key(self) -> str | None:
        """Return the key it would have without its references; ``None`` if it shows none."""
        return self.base_keys[0] if "references" in self._wanted else None


def scene_keys(
    request: PictureRequest,
    route: Route,
    *,
    take: int = 1,
    others: Callable[[], tuple[Keys, ...]] = tuple,
) -> Keys:
    """Hash what decides a picture; 64 hex digits each.

    ``characters`` and ``extra`` are left out: they do not reach a paid provider. Of style tags,
    those count that are put behind the prompt. Of references, the bytes count: ``shown`` has to be
    filled.

    Args:
        request: The picture.
        route: Where it is bought, and what can be said there.
        take: Which one of several of the same request.
        others: Returns the keys of all ways in which it may be tried; asked only if need be.
    """
    return Keys(request, route, take=take, edition=route.edition_of(request), others=others)


def _wanted(request: PictureRequest, route: Route, take: int, edition: str) -> dict[str, object]:
    """Name what decides a picture wherever it is bought; a wish that is not there has no name."""
    wanted = _words(request, route, take, edition)
    if request.shown and "references" in route.sends:
        wanted["references"] = [_shown(one, labels=request.labels) for one in request.shown]
    return wanted | {"version": VERSION}


def _shown(reference: Reference, *, labels: bool) -> dict[str, str]:
    """Name what decides of a reference: its bytes, and what is said of them if that is said.

    Where its file lies, what a smaller copy of it is, and how its name is put into words do not.
    """
    wish = reference.wish
    said = {"name": wish.name, "role": wish.role} if labels else {}
    return {"sha256": reference.sha256} | {name: word for name, word in said.items() if word}


def _subject(request: PictureRequest, *, is_here: bool) -> str:
    """Hash what is wanted of any route; a wish that is not there has no name."""
    wanted: dict[str, object] = {
        "subject": VERSION,
        "scene_id": request.scene_id,
        "prompt": request.prompt,
        "size": request.size,
        "quality": request.quality,
        "output_format": request.output_format,
        "background": request.background,
    }
    if request.negative_prompt:
        wanted["negative_prompt"] = request.negative_prompt
    if request.seed is not None:
        wanted["seed"] = request.seed
    if request.shown:
        wanted["references"] = [one.sha256 for one in request.shown]
    if is_here:
        wanted["draft"] = True
    if request.is_draft:
        wanted["of_a_draft_run"] = True
    return hashed(wanted)


def _words(request: PictureRequest, route: Route, take: int, edition: str) -> dict[str, object]:
    """Name what decides a picture beside its references."""
    wanted: dict[str, object] = {
        "provider": route.endpoint.provider,
        "api": route.endpoint.api,
        "model": request.model or route.endpoint.model,
        "scene_id": request.scene_id,
        "take": take,
        "prompt": request.prompt,
        "size": request.size,
    }
    if tags := route.said_tags(request):
        wanted["style_tags"] = tags
    if request.negative_prompt and route.negative_prompt != "drop":
        wanted["negative_prompt"] = [route.negative_prompt, request.negative_prompt]
    sent: dict[Wish, object] = {
        "seed": request.seed,
        "output_format": request.output_format,
        "background": request.background,
        "quality": request.quality,
    }
    wanted.update(
        (name, wish) for name, wish in sent.items() if name in route.sends and wish is not None
    )
    if options := route.options_for(request):
        wanted["options"] = {name: _plain(value) for name, value in options.items()}
    if edition:
        wanted["edition"] = edition
    if request.is_draft:
        wanted["draft"] = True
    return wanted


def _plain(value: JsonValue) -> JsonValue:
    """Write a number in one way: 3.0 is 3."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


_NOWHERE: dict[str, object] = {"endpoint": None}


# Made once: ``json.dumps`` with options makes one per call.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


def hashed(decides: Mapping[str, object]) -> str:
    """Hash named JSON values, 64 hex digits; the order of the names says nothing."""
    return hashlib.sha256(_canonical(decides).encode("ascii")).hexdigest()
