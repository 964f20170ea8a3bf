"""What a refusal is about, by what was asked for: most vendors only say that it was what went in.

Pure. Apart from the reading of answers, which knows no request.
"""

from __future__ import annotations

from dataclasses import replace

from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict

MOST_MESSAGE = 300
_STEP = "; it may be about a reference that was shown: which part of the request is not said"


def refused_for(verdict: Verdict, request: PictureRequest) -> Verdict:
    """Return a verdict that says what it is about.

    Where references were shown it may be one of them, and is taken as that: such a request is the
    same with another seed.
    """
    if verdict.about != "input":
        return verdict
    if not request.shown:
        return replace(verdict, about="prompt")
    message = verdict.message[: MOST_MESSAGE - len(_STEP)] + _STEP
    return replace(verdict, about="reference", message=message)
