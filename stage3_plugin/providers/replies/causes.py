"""What a refusal is about: the prompt, a reference, the picture that was made, or rights.

Apart from ``taxonomy``, which says that it is a refusal, because the same word may be about either.
Only what came out may come out otherwise another time; what goes in is the same again. Most vendors
say only that it was something that went in (``input``): which of it, whoever knows the request can
say, if nothing was shown.
"""

from __future__ import annotations

import re

from stage3_plugin.domain.verdict import RefusedFor
from stage3_plugin.providers.replies.reading import Json, at, text_at
from stage3_plugin.providers.replies.words import ErrorWords, as_word

_STAGES: dict[str, RefusedFor | None] = {"input": "input", "output": "output", "unknown": None}
"""OpenAI's stages of moderation."""

_BEGINNINGS: tuple[tuple[str, RefusedFor], ...] = (
    ("input_image_", "reference"),
    ("output_", "output"),
    ("content_moderated", "output"),
    ("image_safety", "output"),
    ("input_text_", "prompt"),
    ("recitation", "rights"),
    ("image_recitation", "rights"),
    ("copyright", "rights"),
    ("trademark", "rights"),
)
"""Of the vendors' codes."""

_SAID: tuple[tuple[re.Pattern[str], RefusedFor], ...] = (
    (re.compile("(?i)(reference|input|uploaded|provided) (image|picture)"), "reference"),
    (re.compile("(?i)(output|generated|resulting) (image|picture)"), "output"),
    (re.compile(r"(?i)\boutput\b.{0,60}\bsensitive\b"), "output"),
    (re.compile("(?i)copyright|trademark|third-party content"), "rights"),
)
"""Within sentences."""

_PICTURE_FIELDS = frozenset({"image", "images", "image_url", "image_urls", "input_references"})

_REASONS: dict[str, RefusedFor] = {
    "safety": "output",
    "image_safety": "output",
    "recitation": "rights",
    "image_recitation": "rights",
    "prohibited_content": "input",
    "image_prohibited_content": "input",
    "blocklist": "input",
    "language": "prompt",
}
"""Gemini's reasons for ending without a picture."""


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
    return _REASONS.get(reason)


def _of_codes(error: ErrorWords) -> RefusedFor | None:
    codes = {*error.words, error.upstream}
    return next(
        (about for begins, about in _BEGINNINGS if any(code.startswith(begins) for code in codes)),
        None,
    )


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
    return next((about for form, about in _SAID if form.search(said)), None)
