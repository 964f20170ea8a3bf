"""When a job is asked for again, and when that has no sense any more.

Pure. Asking costs nothing, and an answer that says nothing changes nothing: only a provider that
says twice that it does not know the job ends the asking, or the end of the time for which it has
promised to: then by an answer that does not say that the job goes on or, where none comes, a day
later. Even so what was bought is not called bad, and each later run asks for it once more.

==================  ==================================  ======================================
what came           while the provider keeps the job    when its time is over
==================  ==================================  ======================================
in the queue, made  ask again                           ask again: it has its time once more
nothing, trouble    ask again, as it asked to           the same for a day; then unknown
its key is refused  this run asks no more, and stops    the same for a day; then unknown
not to be asked     this run asks no more               the same for a day; then unknown
not understood      ask again, more slowly; after two   given up: unknown
                    minutes this run asks no more
not known           ask again; the second time unknown  given up: unknown
not known: a batch  ask again; unknown when it has not  given up: unknown
                    been known for long enough
==================  ==================================  ======================================

What is not understood is a word for a state that nobody here knows, or a result in a strange shape:
both are one row, since for both asking once more is free and may bring what is understood, while
giving up costs a picture. Once the time is over a word that stays is likelier to be one for an end.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage3_plugin.domain.batch import BatchMaking
from stage3_plugin.domain.exchange import Gone, Poll, Unclear, Unsaid

FIRST_WAIT_S = 1.0
GROWS = 1.5
LONGEST_WAIT_S = 10.0
GONE_WAIT_S = 5.0
"""Before the second time of asking for a job that is said not to be known: a provider's parts may
hear of a job one after the other."""
STRANGE_WAITS = (5, 10, 15, 30, 60)
"""The waits after one answer after the other that is not understood, in first waits: two minutes.
Then a run asks no more, and the job is left to a later one."""
GONE_PART = 24
"""A batch is lost once its provider has not known it for this part of the time in which it is to be
made: an hour of a day. Two looks five seconds apart call no work of a day lost."""
UNHEARD_S = 86_400.0
"""After its time is over, for a job of which nothing is heard, or that cannot be asked for with the
settings of a run: its provider often knows it for longer. It has to have its end all the same."""
_MOST_STEPS = 16


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nobody can be asked any more: what became of the job stays unknown.

    Attributes:
        why: In words.
    """

    why: str


def follows(
    step: Poll | BatchMaking | Unsaid | Gone | Unclear,
    *,
    asked: int,
    was_gone: bool,
    strange: int,
    left_s: float,
) -> float | GiveUp | None:
    """Return what follows from an answer of a job's that is not its last.

    That is the seconds after which it is asked for again; ``None`` where this run asks no more, and
    a later one does.

    Args:
        step: What the answer comes to; trouble on the way is an ``Unsaid``.
        asked: How often the job was asked for by this process, this time included.
        was_gone: The answer before said that the job is not known.
        strange: How many answers before it, one after the other, were not understood here.
        left_s: Seconds for which the provider has promised to know it, from now on.
    """
    grace_s = UNHEARD_S if isinstance(step, Unsaid) else 0.0
    if left_s <= -grace_s and not isinstance(step, Poll | BatchMaking):
        told = step.message or "nothing was said of it"
        return GiveUp(f"{told}, and the time is over for which its provider keeps it")
    match step:
        case Gone():
            if was_gone:
                return GiveUp(f"its provider does not know the job any more: {step.message}")
            return GONE_WAIT_S
        case Unclear() if strange < len(STRANGE_WAITS):
            return STRANGE_WAITS[strange] * FIRST_WAIT_S
        case Unclear() | Unsaid(stops_run=True):
            return None
        case Unsaid(hint_s=hint_s) | BatchMaking(hint_s=hint_s) | Poll(after_s=hint_s):
            return _wait_s(asked, hint_s, left_s)


def without_asking(left_s: float) -> GiveUp | None:
    """Return what follows where a run's settings do not let it ask for a job at all."""
    if left_s > -UNHEARD_S:
        return None
    return GiveUp("it cannot be asked for with these settings, and its time has long been over")


def _wait_s(asked: int, hint_s: float | None, left_s: float) -> float:
    """Return the wait: what the provider asks for, but for what would let the time run out."""
    if hint_s is None:
        return min(LONGEST_WAIT_S, FIRST_WAIT_S * GROWS ** min(asked - 1, _MOST_STEPS))
    return min(max(FIRST_WAIT_S, hint_s), max(LONGEST_WAIT_S, left_s / 2))
