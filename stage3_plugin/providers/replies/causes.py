"""What a refusal is about: the prompt, a reference, the picture that was made, or rights.

Apart from ``taxonomy``, which says that it is a refusal, because the same word may be about either.
Only what came out may come out otherwise another time; what goes in is the same again. Most vendors
say only that it was something that went in (``input``): which of it, whoever knows the request can
say, if nothing was shown.
"""

from __future__ import annotations

from stage3_plugin.domain.verdict import RefusedFor
from stage3_plugin.providers.replies.reading import Json, at, text_at
from stage3_plugin.providers.replies.taxonomy import meanings
from stage3_plugin.providers.replies.words import ErrorWords, as_word

_STAGES: dict[str, RefusedFor | None] = {"input": "input", "output": "output", "unknown": None}
"""OpenAI's stages of moderation."""

_PICTURE_FIELDS = frozenset({"image", "images", "image_url", "image_urls", "input_references"})


def about_of_error(error: ErrorWords) -> RefusedFor | None:
    """Return what a refusal is about that came as an error; by itself it is about what went in."""
    members = dict(error.members)
    stage = members.get("moderation_stage")
    if isinstance(stage, str) and as_word(stage) in _STAGES:
        return _STAGES[as_word(stage)]
    return (
        _of_codes(error) or _of_fields(error, members) or about_of_sentence(error.said) or "input"
    )


def about_of_reasons(document: Json) -> RefusedFor | None:
    """Return what a refusal is about that came as a success without a picture."""
    if text_at(document, "promptFeedback", "blockReason"):
        return "input"
    reason = as_word(text_at(at(document, "candidates", 0), "finishReason"))
    return meanings().about.reasons.get(reason)


def _of_codes(error: ErrorWords) -> RefusedFor | None:
    codes = {*error.words, error.upstream}
    for begins, about in meanings().about.begins.items():
        if any(code.startswith(begins) for code in codes):
            return about
    return None


def _of_fields(error: ErrorWords, members: dict[str, Json]) -> RefusedFor | None:
    """Read which field is complained of, or what of it was flagged."""
    loc = {held for name, held in error.members if name == "loc" and isinstance(held, str)}
    places = loc | {error.param}
    if places & _PICTURE_FIELDS:
        return "reference"
    if "prompt" in places:
        return "prompt"
    flagged = members.get("flagged_input")
    if isinstance(flagged, str):
        return "reference" if flagged.lower() in _PICTURE_FIELDS else "prompt"
    return None


def about_of_sentence(said: str) -> RefusedFor | None:
    """Return what a sentence for people says that a refusal is about."""
    return next((about for form, about in meanings().about.says if form.search(said)), None)
