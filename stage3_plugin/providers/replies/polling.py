"""What an answer about a job says that says nothing of the job: an overload, a page, a bad key.

Apart from ``judging``, whose sentences are about a request that may have been paid for. Here the
job goes on whatever is said: what follows is how long to wait, and whether to ask at all.
"""

from __future__ import annotations

from stage3_plugin.domain.exchange import Reply, Unsaid
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.providers.replies.hints import hint_of
from stage3_plugin.providers.replies.reading import cleaned, status_line
from stage3_plugin.providers.replies.taxonomy import meaning_of
from stage3_plugin.providers.replies.words import error_in, message_in

_GONE = frozenset({404, 410})
_OF_A_KEY = frozenset({400, 401, 403})
_MOST_ID = 200


def is_job_id(text: str) -> bool:
    """Return whether a text can be the name of a job: it is asked for by it, and shown."""
    return 0 < len(text) <= _MOST_ID and text.isascii() and text.isprintable()


def is_gone(reply: Reply) -> bool:
    """Return whether an answer says, in the provider's own words, that there is no such job.

    A page of what stands in between has the same status and proves nothing.
    """
    return reply.status in _GONE and error_in(reply.document) is not None


def about_another(named: str, job: Accepted) -> Unsaid | None:
    """Return that an answer says nothing of a job, if the job that it names is another one.

    Caches and gateways mix answers up, and the picture of another job would be somebody else's.
    """
    if named in {"", job.job_id}:
        return None
    return Unsaid(message="an answer about another job came than the one that was asked for")


def unsaid(reply: Reply, *, now_s: float) -> Unsaid:
    """Return that an answer says nothing of the job, in its own words where it has some.

    Args:
        reply: The answer.
        now_s: Seconds since 1970, for hints that name a moment.
    """
    error = error_in(reply.document)
    words = error or message_in(reply.document)
    status = status_line(reply.status)
    told = words.message or ("" if reply.status >= 300 else "not the answer that was expected")
    hint_s = hint_of(reply.headers, reply.document, now_s=now_s)
    is_key = error is not None and reply.status in _OF_A_KEY
    meaning = meaning_of(words, reply.status, hinted=bool(hint_s))
    return Unsaid(
        message=cleaned(f"{status}: {told}" if told else status),
        hint_s=hint_s or None,
        stops_run=is_key and meaning.kind is VerdictKind.BAD_CREDENTIALS,
    )
