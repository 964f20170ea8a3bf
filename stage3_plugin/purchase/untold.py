"""What the ledger keeps of a line without a picture until a scene has been told of it, and back.

Pure. It is one word, since the row itself has the rest: what its result came to, and what a refusal
is about.
"""

from __future__ import annotations

from typing import Final, get_args

from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.money import FREE, Charge
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.states import State
from stage3_plugin.domain.verdict import RefusedFor, Verdict, VerdictKind

_OF_THE_PICTURE: Final = {
    kind.value: kind
    for kind in (
        VerdictKind.REFUSED, VerdictKind.REJECTED, VerdictKind.NO_PICTURE, VerdictKind.UNREADABLE,
    )
}  # fmt: skip
"""What a later run may still end by. An account without money, say, is another matter by then."""
_ABOUT: Final[dict[str, RefusedFor]] = {word: word for word in get_args(RefusedFor)}


def word_of(verdict: Verdict) -> str | None:
    """Return the word that is kept; ``None`` if it says nothing about the picture."""
    if verdict.kind.value not in _OF_THE_PICTURE:
        return None
    return f"{verdict.kind.value}:{verdict.about or ''}"


def result_of(line: Purchase, word: str) -> AttemptResult | None:
    """Return what a line came to, from its row and the word that was kept of it.

    ``None`` where a person has decided about it since, or the word is none of this version's.
    """
    name, _, about = word.partition(":")
    kind = _OF_THE_PICTURE.get(name)
    is_billed = line.state is State.PAID_BAD
    if (
        kind is None
        or line.decided_by is not None
        or not (is_billed or line.state is State.REFUSED)
    ):
        return None
    verdict = Verdict(
        kind=kind,
        message=line.why,
        may_be_billed=is_billed,
        request_id=line.request_id,
        about=_ABOUT.get(about),
    )
    cost = Charge(line.cost_microusd, line.basis or "unknown") if is_billed else FREE
    return AttemptResult(verdict=verdict, cost=cost)
