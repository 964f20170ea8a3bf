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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from ipaddress import ip_address
from itertools import chain
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import JsonValue

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.purchase import NewPurchase
from stage3_plugin.domain.reference import Reference
from stage3_plugin.domain.request import MOST_TAKES, BehindPrompt, PictureRequest

VERSION = 3
"""Of what a key holds. A new form raises it, raises the ledger's version, and the one before joins
those of :func:`_earlier_forms`."""

SUBJECT_VERSION = 1
"""Of what a subject holds. Rows keep what they were given, so a change of it makes a subject that
nothing stands for, and has to be looked for by both forms."""

Wish: TypeAlias = Literal["seed", "references", "output_format", "background", "quality"]
"""A wish that some endpoints have no field for."""
Ignored: TypeAlias = Literal["references", "model", "quality", "style_tags"]
"""A wish of a scene's own that earlier programs did not know, and bought its picture without; for
style tags it is bought anew, and no earlier form of a key stands for it."""
Expression: TypeAlias = BehindPrompt | Literal["field"]
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
        style_tags: Whether style tags are put behind the prompt.
        sends: The wishes that reach the provider.
        sent_before: Those that did in earlier releases, where they were others.
        quality: What the settings say, which earlier programs asked for whatever a scene said.
        options: What is asked for that only this provider has.
        is_here: Made on this machine, whatever the address.
    """

    endpoint: Endpoint
    public_url: str = ""
    name: str | None = None
    was: tuple[str, ...] = ()
    negative_prompt: Expression = "append"
    style_tags: BehindPrompt = "append"
    sends: frozenset[Wish] = frozenset()
    sent_before: frozenset[Wish] | None = None
    quality: str = ""
    options: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue], hash=False)
    is_here: bool = False

    def said_tags(self, request: PictureRequest) -> tuple[str, ...]:
        """Return the style tags that are put behind a prompt."""
        return request.unsaid_tags if self.style_tags == "append" else ()

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

    def owns(self, new: NewPurchase, model: str) -> bool:
        """Return whether a purchase was made at this endpoint, by whichever form of its key.

        Args:
            new: What it began as.
            model: The scene's own; a scene of an earlier program had that of the settings.
        """
        return new.endpoint.model in {model, self.endpoint.model} and self.is_at(new.endpoint)

    def is_at(self, asked: Endpoint) -> bool:
        """Return whether an endpoint, as a purchase has it, is this one, whatever the model."""
        mine = self.endpoint
        if replace(asked, base_url=mine.base_url, model=mine.model) != mine:
            return False
        address = canonical_address(asked.base_url or self.public_url)
        return self.is_here or address in self.addresses


class Keys:
    """The keys of one wish at one endpoint; each is hashed only when it is asked for.

    Where a picture may be tried in several ways, each has keys of its own, and all of them stand
    for it: a picture that was made in another way is found by them, too.

    Attributes:
        present: Its key; a new purchase gets it.
    """

    def __init__(
        self,
        request: PictureRequest,
        scope: KeyScope,
        *,
        take: int = 1,
        edition: str = "",
        others: Callable[[], tuple[Keys, ...]] = tuple,
    ) -> None:
        self._request = request
        self._subject_of = request.wanted or request
        self._others_of = others
        self._scope = scope
        self._take = take
        self._edition = edition
        self._takes: dict[int, Keys] = {take: self}
        self._wanted = _wanted(request, scope, take, edition)
        self.present = hashed(self._wanted | scope.places[0])

    def of_take(self, take: int) -> Keys:
        """Return the keys of another take of the same wish."""
        keys = self._takes.get(take)
        if keys is None:
            keys = self._takes[take] = Keys(
                self._request,
                self._scope,
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
        if not any(keys._may_have(new) for keys in (self, *self._others)):  # noqa: SLF001 - of its own class
            return None
        likely = (new.take, *range(1, MOST_TAKES + 1))
        return next((one for one in likely if self.of_take(one).stands_for(new)), None)

    def _may_have(self, new: NewPurchase) -> bool:
        """Return whether a purchase may have been made in this way, by what needs no hashing."""
        mine = self._scope.endpoint
        models = {self._request.model or mine.model, mine.model}
        is_there = new.endpoint.provider == mine.provider and new.endpoint.model in models
        return is_there and new.size == self._request.size

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Return the keys it has under other addresses of its endpoint, and in other ways.

        And those it had while requests to its endpoint held other wishes.
        """
        return (
            *self._own_elsewhere,
            *self._of_others(lambda keys: (keys.present, *keys.elsewhere)),
        )

    @property
    def _own_elsewhere(self) -> tuple[str, ...]:
        scope, places = self._scope, self._scope.places
        keys = [hashed(self._wanted | place) for place in places[1:]]
        if scope.sent_before is not None:
            before = replace(scope, sends=scope.sent_before)
            wanted = _wanted(self._request, before, self._take, self._edition)
            keys += [hashed(wanted | place) for place in places]
        return tuple(keys)

    @cached_property
    def _others(self) -> tuple[Keys, ...]:
        """Return the keys of all other ways in which the picture may be tried."""
        return tuple(keys for keys in self._others_of() if keys.present != self.present)

    def _of_others(self, keys_of: Callable[[Keys], Iterable[str]]) -> Iterator[str]:
        return chain.from_iterable(map(keys_of, self._others))

    @property
    def earlier(self) -> tuple[str, ...]:
        """Return the keys it had in earlier forms, at every address of its endpoint.

        What is found by one of them has to be asked for with :meth:`owns`: the first form knew no
        addresses.
        """
        return (*self._earlier, *self._of_others(lambda keys: keys.earlier))

    @cached_property
    def _earlier(self) -> dict[str, frozenset[Ignored]]:
        """Return the earlier keys, and what each was bought without."""
        forms: dict[str, frozenset[Ignored]] = {}
        for form in self._earlier_forms():
            for key in form.keys(self._scope, self._take, self._edition):
                forms.setdefault(key, form.without)
        return forms

    def _earlier_forms(self) -> Iterator[_EarlierForm]:
        names = bool(self._request.wishes) and "references" in self._scope.sends
        return _earlier_forms(self._request, self._scope, shows=self._shows or names)

    @property
    def content(self) -> str:
        """Return the hash of the wish without its endpoint."""
        return self._content

    @cached_property
    def _content(self) -> str:
        return hashed(self._wanted | _NOWHERE)

    @property
    def subject(self) -> str:
        """Return the hash of what is wanted, whatever route it is bought by: its slots are of that.

        Neither a provider nor a model is in it, nor style tags, nor what a route cannot be told:
        whoever changes those while something is in doubt must not pay a second time. The bytes of
        references are, and not what is said of them; a picture of a renderer on this machine is
        another subject.
        """
        return self._subject

    @cached_property
    def _subject(self) -> str:
        return _subject(self._subject_of, is_here=self._scope.is_here)

    @property
    def earlier_contents(self) -> tuple[str, ...]:
        """Return what :attr:`content` was in earlier forms; the first had none."""
        contents = (
            hashed(_wanted_2(form.request, self._scope, self._take, self._edition) | _NOWHERE)
            for form in self._earlier_forms()
            if form.version == 2
        )
        return tuple(dict.fromkeys(contents))

    @property
    def all(self) -> tuple[str, ...]:
        """Return every key, the present one first."""
        return (self.present, *self.elsewhere, *self.earlier)

    @property
    def _shows(self) -> bool:
        """Return whether pictures are shown to the model."""
        return "references" in self._wanted

    @cached_property
    def bases(self) -> tuple[str, ...]:
        """Return the present form's keys of the wish without references, at every address.

        They are found in the ledger whatever the wish shows the model, and if it cannot be opened.
        """
        bare = {name: wish for name, wish in self._wanted.items() if name != "references"}
        own = (hashed(bare | place) for place in self._scope.places)
        return (*own, *self._of_others(lambda keys: keys.bases))

    @property
    def base(self) -> str | None:
        """Return the key it would have without its references; ``None`` if it shows none."""
        return self.bases[0] if self._shows else None

    def owns(self, new: NewPurchase) -> bool:
        """Return whether a purchase with one of the keys was made at this endpoint.

        Or at that of another way in which the picture may be tried.
        """
        return self._owns(new) or any(keys.has(new) for keys in self._others)

    def _owns(self, new: NewPurchase) -> bool:
        model = self._request.model or self._scope.endpoint.model
        return new.scene_key == self.present or self._scope.owns(new, model)

    def has(self, new: NewPurchase) -> bool:
        """Return whether a purchase was made in this very way."""
        if new.scene_key == self.present:
            return True
        known = (*self._own_elsewhere, *self._earlier)
        return new.scene_key in known and self._owns(new)

    def stands_for(self, new: NewPurchase) -> bool:
        """Return whether a purchase was made in this way, or in another way of the picture's."""
        return any(keys.has(new) for keys in (self, *self._others))

    def is_earlier(self, new: NewPurchase) -> bool:
        """Return whether a purchase that was found was made by an earlier program."""
        return any(new.scene_key in keys._earlier for keys in (self, *self._others))  # noqa: SLF001 - of its own class

    @property
    def are_of_more(self) -> bool:
        """Return whether the wish says anything that earlier programs did not know."""
        return any(form.without for form in self._earlier_forms())

    def ignored_by(self, new: NewPurchase) -> frozenset[Ignored]:
        """Return what of this wish a purchase was made without, by a program that did not know it.

        Such a picture counts as current until somebody asks for it anew.
        """
        for keys in (self, *self._others):
            if keys.has(new):
                return keys._earlier.get(new.scene_key, _NOTHING)  # noqa: SLF001 - likewise
        return _NOTHING


def scene_keys(
    request: PictureRequest,
    scope: KeyScope,
    *,
    take: int = 1,
    edition: str = "",
    others: Callable[[], tuple[Keys, ...]] = tuple,
) -> Keys:
    """Hash what decides a picture, in each form that it ever had; 64 hex digits each.

    ``characters`` and ``extra`` are left out: they do not reach a paid provider. Of style tags,
    those count that are put behind the prompt. Of references, the bytes count: ``shown`` has to be
    filled.

    Args:
        request: The picture.
        scope: Where it is bought, and what can be said there.
        take: Which one of several of the same request.
        edition: What else decides it, where a renderer on this machine makes it.
        others: Returns the keys of all ways in which it may be tried; asked only if need be.
    """
    return Keys(request, scope, take=take, edition=edition, others=others)


def _wanted(request: PictureRequest, scope: KeyScope, take: int, edition: str) -> dict[str, object]:
    """Name what decides a picture wherever it is bought; a wish that is not there has no name."""
    wanted = _words(request, scope, take, edition)
    if request.shown and "references" in scope.sends:
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
        "subject": SUBJECT_VERSION,
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


def _words(request: PictureRequest, scope: KeyScope, take: int, edition: str) -> dict[str, object]:
    """Name what decides a picture beside its references."""
    wanted: dict[str, object] = {
        "provider": scope.endpoint.provider,
        "api": scope.endpoint.api,
        "model": request.model or scope.endpoint.model,
        "scene_id": request.scene_id,
        "take": take,
        "prompt": request.prompt,
        "size": request.size,
    }
    if tags := scope.said_tags(request):
        wanted["style_tags"] = tags
    if request.negative_prompt and scope.negative_prompt != "drop":
        wanted["negative_prompt"] = [scope.negative_prompt, request.negative_prompt]
    sent: dict[Wish, object] = {
        "seed": request.seed,
        "output_format": request.output_format,
        "background": request.background,
        "quality": request.quality,
    }
    wanted.update(
        (name, wish) for name, wish in sent.items() if name in scope.sends and wish is not None
    )
    if scope.options:
        wanted["options"] = {name: _plain(value) for name, value in scope.options.items()}
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


@cache
def canonical_address(url: str) -> str:
    """Return the one form of all spellings of an address; what is no address stays as it is.

    Scheme and host in lower case, the host in its own script and without a dot at its end, no
    default port, no slash or blank at the end. That form is its own.
    """
    while (form := _plainer(url)) != url:  # a blank may stand before a slash, a script within one
        url = form
    return url


def _plainer(url: str) -> str:
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


# What earlier programs made of a wish ------------------------------------------------------------


_NOTHING: frozenset[Ignored] = frozenset()
_REFERENCES: frozenset[Ignored] = frozenset({"references"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _EarlierForm:
    """One form that the key of a wish may have had.

    Attributes:
        version: Of the form.
        request: The wish as the program knew it that made the key.
        without: What of the wish of now that program did not know.
    """

    version: Literal[1, 2]
    request: PictureRequest
    without: frozenset[Ignored]

    def keys(self, scope: KeyScope, take: int, edition: str) -> list[str]:
        """Return the keys of that form: one, or one for each address."""
        if self.version == 1:
            return [_first(self.request, scope, take, edition)]
        wanted = _wanted_2(self.request, scope, take, edition)
        return [hashed(wanted | place) for place in scope.places]


def _earlier_forms(
    request: PictureRequest, scope: KeyScope, *, shows: bool
) -> Iterator[_EarlierForm]:
    """Yield the forms that a wish's key may have had, likeliest first.

    Earlier programs showed the model no references, and knew no model or quality of a scene's own;
    what they bought is found whatever a scene says of these now. The first form held the paths of
    references wherever it was bought, the second where they were sent: by a provider of others.
    There were no options, and no style tags were sent: who sets some wants another picture. They
    knew no drafts.
    """
    if scope.options or request.is_draft or scope.said_tags(request):
        return
    bare = replace(request, references=())
    named = (request,) if request.references else ()
    sent = named if "references" in scope.sends else ()
    ways: tuple[tuple[Literal[1, 2], tuple[PictureRequest, ...]], ...] = (
        (2, (*sent, bare)),
        (1, (*named, bare)),
    )
    for version, requests in ways:
        for wish in requests:
            was_shown = version == 2 and wish.references
            missing = _REFERENCES if shows and not was_shown else _NOTHING
            for was, ignored in _as_it_was(wish, scope):
                yield _EarlierForm(version=version, request=was, without=missing | ignored)


def _as_it_was(
    request: PictureRequest, scope: KeyScope
) -> Iterator[tuple[PictureRequest, frozenset[Ignored]]]:
    """Yield a wish with the model and quality it asks for, then with those of the settings."""
    yield request, _NOTHING
    model, quality = scope.endpoint.model, scope.quality or request.quality
    was = replace(request, model=model, quality=quality)
    if was != request:
        ignored: set[Ignored] = {"model"} if request.model != model else set()
        if request.quality != quality and "quality" in scope.sends:
            ignored.add("quality")
        yield was, frozenset(ignored)


def _wanted_2(
    request: PictureRequest, scope: KeyScope, take: int, edition: str
) -> dict[str, object]:
    """Name what the second form held; references by their paths."""
    wanted = _words(request, scope, take, edition) | {"version": 2}
    return wanted | ({"references": list(request.references)} if request.references else {})


def _first(request: PictureRequest, scope: KeyScope, take: int, edition: str) -> str:
    """Return the key of the first form, which left a negative prompt out that was dropped."""
    if scope.negative_prompt == "drop" and not scope.is_here:
        request = replace(request, negative_prompt=None)
    return scene_key(request, take=take, edition=edition)


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
