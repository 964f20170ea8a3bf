"""What a picture was made from, as far as the ledger keeps it, and what of that is another now.

Pure. A purchase's key says whether its picture is the one that is wanted, and not why it is not. So
a few facts are kept beside the picture; of one without them, whose run was killed before it had
taken its answer in, as much is said as its columns tell.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from host_stub.contract import MOST_TAKES, StaleReason
from stage3_plugin.domain.keys import Keys
from stage3_plugin.domain.picture import Picture
from stage3_plugin.domain.purchase import NewPurchase, Purchase
from stage3_plugin.domain.reference import OF_A_SCENE
from stage3_plugin.domain.request import PictureRequest, labels_of

WISH = "wish"
"""The fact about a picture that says what it was made from: a JSON object; see :class:`MadeFrom`.
It is the ledger's own, and nothing that a picture was made with."""
SHOWN = "references"
"""The fact about a picture that says what it was shown: a JSON list of names and hashes."""

_IN_ORDER: tuple[StaleReason, ...] = get_args(StaleReason)
_DIGITS = 16
"""So many tell two texts apart that a person wrote for one scene."""


class MadeFrom(BaseModel):
    """What the ledger keeps of how a picture was wanted.

    Attributes:
        words: A digest of its prompt, negative prompt and style tags, as it was asked for.
        names: A digest of what was said of the pictures that it was shown; ``""`` if nothing was.
        key: The key of the first take of the same wish, in the same way; ``None`` if that is the
            purchase's own.
        basis: The key of the first take of the wish at its first route; ``None`` if that is
            ``key``.
        draft: It was made as a draft.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    words: str = ""
    names: str = ""
    key: str | None = None
    basis: str | None = None
    draft: bool = False

    def written(self) -> str:
        """Return the fact as the ledger keeps it; what goes without saying is left out."""
        return self.model_dump_json(exclude_defaults=True)


def made_from(request: PictureRequest, *, key: str, basis: str, own_key: str) -> MadeFrom:
    """Return what is kept of a request.

    Args:
        request: As it is asked for, in the way that makes the picture.
        key: The key of its first take in that way.
        basis: The key of its first take at its first route.
        own_key: The key that its purchase has.
    """
    return MadeFrom(
        words=_words(request),
        names=_names(request),
        key=None if key == own_key else key,
        basis=None if basis == key else basis,
        draft=request.is_draft,
    )


def kept_of(purchase: Purchase) -> MadeFrom | None:
    """Return what was kept of a picture; ``None`` if nothing was, or if it cannot be read."""
    return _kept(purchase.details.get(WISH))


@lru_cache(
    maxsize=256
)  # it is asked for several times of each, and is the same for takes of a wish
def _kept(text: str | None) -> MadeFrom | None:
    try:
        return MadeFrom.model_validate_json(text or "null")
    except ValidationError:
        return None


def basis_of(purchase: Purchase) -> str:
    """Return what a picture was made from, as far as its row tells: the key of its wish."""
    kept = kept_of(purchase)
    own = purchase.new.scene_key
    return own if kept is None else kept.basis or kept.key or own


def as_first_take(purchase: Purchase) -> NewPurchase:
    """Return what a purchase began as, with the key of the first take of its wish."""
    kept = kept_of(purchase)
    new = purchase.new
    return new if kept is None or kept.key is None else replace(new, scene_key=kept.key)


def is_draft(purchase: Purchase) -> bool:
    """Return whether a picture was made as a draft."""
    kept = kept_of(purchase)
    return kept is not None and kept.draft


def shown_to(purchase: Purchase) -> dict[str, str] | None:
    """Return the hashes of what a picture was shown, by names; ``None`` if that is not known."""
    return {} if purchase.new.base_key is None else shown_by(purchase.details)


def shown_by(details: Mapping[str, str]) -> dict[str, str] | None:
    """Return likewise what the facts about a picture say that was shown something."""
    try:
        return {str(image): str(sha256) for image, sha256 in _read(details.get(SHOWN))}
    except (ValueError, TypeError):
        return None


def what_is_another(
    purchase: Purchase, ways: Sequence[PictureRequest], keys: Keys
) -> tuple[StaleReason, ...]:
    """Return what is another since a picture was made that is not the one that is wanted.

    Args:
        purchase: The picture's.
        ways: The picture as it is wanted, as it would be asked for in each way, the first one
            first. A reference whose picture is still to be made has no hash.
        keys: Those of the first take of the first of these.
    """
    way = _nearest(purchase, ways)
    kept = kept_of(purchase)
    new = purchase.new
    found = set[StaleReason]()
    if kept is not None and kept.words not in {_words(one) for one in ways}:
        found.add("prompt")
    if new.size != way.size:
        found.add("size")
    if new.quality != way.quality:
        found.add("quality")
    if not _is_of(new, way):
        found.add("model")
    found |= _other_references(purchase, way, kept)
    if not found and kept is None and _is_but_for_references(new, keys):
        found.add("sheet" if all(one.scene_id for one in way.wishes) else "reference")
    if not found:
        found.add("prompt" if kept is None else "settings")
    return tuple(reason for reason in _IN_ORDER if reason in found)


def _nearest(purchase: Purchase, ways: Sequence[PictureRequest]) -> PictureRequest:
    """Return the way that a picture was made in, as far as there still is such a one."""
    return next((one for one in ways if _is_of(purchase.new, one)), ways[0])


def _is_of(new: NewPurchase, request: PictureRequest) -> bool:
    return (new.endpoint.provider, new.endpoint.model) == (request.provider, request.model)


def _other_references(
    purchase: Purchase, request: PictureRequest, kept: MadeFrom | None
) -> set[StaleReason]:
    """Return whether a picture was shown others than are shown now, and of which kind they are."""
    before = shown_to(purchase)
    if before is None:
        return set()
    now = [(one.wish.image, one.sha256) for one in request.shown]
    hashes, known = {sha256 for _, sha256 in now}, set(before.values())
    others = [image for image, sha256 in now if sha256 not in known]
    others += [image for image, sha256 in before.items() if sha256 not in hashes]
    if not others and kept is not None and kept.names != _names(request):
        return {"reference"}
    return {"sheet" if image.startswith(OF_A_SCENE) else "reference" for image in others}


def _is_but_for_references(new: NewPurchase, keys: Keys) -> bool:
    """Return whether a picture was made for the same wish, whatever it showed the model."""
    if new.base_key is None:
        return False
    return any(new.base_key in keys.of_take(one).base_keys for one in range(1, MOST_TAKES + 1))


def _words(request: PictureRequest) -> str:
    negative_prompt = request.negative_prompt or None
    return _digest_of_words(request.prompt, negative_prompt, request.unsaid_tags)


@lru_cache(maxsize=256)
def _digest_of_words(prompt: str, negative_prompt: str | None, tags: tuple[str, ...]) -> str:
    return _digest([prompt, negative_prompt, *([tags] if tags else [])])


def _names(request: PictureRequest) -> str:
    if not request.labels:
        return ""
    said = [[one.wish.name, one.wish.role] for one in request.shown]
    return _digest(said) if any(map(any, said)) else ""


def _digest(said: object) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:_DIGITS]


def _read(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def without_our_facts(details: Mapping[str, str]) -> dict[str, str]:
    """Return the facts about a picture without those that the ledger keeps for itself."""
    return {name: fact for name, fact in details.items() if name != WISH}


def generation_params(
    request: PictureRequest, picture: Picture, details: Mapping[str, str]
) -> dict[str, object]:
    """Return what a picture was made with."""
    params: dict[str, object] = {
        **without_our_facts(details),
        "model": request.model or request.provider,
        "size": request.size,
        "quality": request.quality,
        "prompt": request.prompt,
        "provider": request.provider,
    }
    if request.negative_prompt is not None:
        params["negative_prompt"] = request.negative_prompt
    if request.style_tags:
        params["style_tags"] = list(request.style_tags)
    if request.seed is not None:
        params["seed"] = request.seed
    params.update(shown_params(request))
    if (picture.width_px, picture.height_px) != (request.width_px, request.height_px):
        params["size_mismatch"] = True
    return params


def shown_params(request: PictureRequest) -> dict[str, object]:
    """Return which pictures were shown to the model, by their bytes, and what was said of them."""
    if not request.shown:
        return {}
    labels = labels_of(request)
    references: list[dict[str, object]] = [
        {
            "image": one.wish.image,
            "name": one.wish.name,
            "role": one.wish.role,
            "sha256": one.sha256,
            **({"sent_sha256": one.sent.sha256} if one.is_copy else {}),
        }
        for one in request.shown
    ]
    params: dict[str, object] = {"references": references}
    return params if labels is None else params | {"labels": labels}
