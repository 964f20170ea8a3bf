"""What an answer that says no is about, by what was asked for: answers alone rarely say.

Pure. Apart from the reading of answers, which knows no request.
"""

from __future__ import annotations

from dataclasses import replace

from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind

MOST_MESSAGE = 300
_PERHAPS_A_REFERENCE = (
    "; it may be about a reference that was shown: which part of the request is not said"
)
_PERHAPS_NO_REFERENCES = "; or nothing takes references at this address"

_NOT_THERE = frozenset({404, 405, 415})
"""What a server says of an address or a body that it does not know: that of the vendors' edits."""


def refused_for(verdict: Verdict, request: PictureRequest) -> Verdict:
    """Return a verdict that says what it is about.

    Where references were shown a refusal may be about one of them, and is taken as that: such a
    request is the same with another seed. And what is not known where they go may be known where
    requests without them go, so that it holds for its scene and not for all.
    """
    if verdict.about == "input" and not request.shown:
        return replace(verdict, about="prompt")
    if verdict.about == "input":
        return replace(_said(verdict, _PERHAPS_A_REFERENCE), about="reference")
    is_not_there = verdict.kind is VerdictKind.REJECTED and verdict.provider_status in _NOT_THERE
    if request.shown and is_not_there:
        return replace(_said(verdict, _PERHAPS_NO_REFERENCES), stops_run=False)
    return verdict


def _said(verdict: Verdict, more: str) -> Verdict:
    return replace(verdict, message=verdict.message[: MOST_MESSAGE - len(more)] + more)
