"""Laws about what answers mean: cut ones, odd ones, and those that want to do harm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any, cast, get_args

from stage3_plugin.domain.batch import BatchEnded, BatchMaking, LineSaid, Upload, Uploaded
from stage3_plugin.domain.exchange import Fetch, Found, Gone, NotListed, Reply, Unclear, Unsaid
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.picture import RemotePicture
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.testing.recordings import Heard, Step, ToBatch, differences, job_at, lost
from stage3_plugin.testing.replies import reply_of
from stage3_plugin.testing.subject import AT, TOKEN, Subject, must, with_texts

MOST_CUTS = 300
"""Of one answer; a longer one is cut in its beginning, in its end, and here and there between."""
KEYS = ("sk-proj-0123456789abcdefXYZ", "Bearer abcdef0123456789", "r8_0123456789abcdefXYZ")
_STATUSES = (*range(200, 209), 226, *range(300, 309), *range(400, 432), 451, *range(500, 512), 599)
_USUAL = {200, 201, 202, 204, 302, 400, 401, 402, 403, 404, 408, 410, 422, 429, 500, 502, 503, 504}
"""These come with every body, and the others with two."""
_BODIES = {
    "nothing": b"",
    "a page": b"<!DOCTYPE html><html><title>502 Bad Gateway</title></html>",
    "an empty object": b"{}",
    "an empty list": b"[]",
    "null": b"null",
    "a word": b'"ok"',
    "half an object": b'{"id": "1", "sta',
}
_HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, 10**40, 1e308, "", " ", "\0\x1b[2J\r\n\u202e", "a" * 5000,
    "javascript:alert(1)", "file:///etc/passwd", "http://", "//[::1", "\ud800", [], {}, [[]],
    {"a": None},
)  # fmt: skip


def recorded_answers_mean_what_they_meant(subject: Subject) -> int:
    """Each is judged as its recording says, and the same each time."""
    provider = subject.at()
    meant = [heard for heard in subject.heard if heard.means is not None]
    for heard in meant:
        step = subject.step(provider, heard, heard.reply, heard.name)
        again = subject.step(provider, heard, heard.reply, heard.name)
        must(step == again, f"{heard.name}: it is judged differently a second time")
        wrong = "; ".join(differences(heard.means or {}, step))
        must(not wrong, f"{heard.name}: {wrong}")
    return len(meant)


def an_answer_that_is_cut_proves_nothing(subject: Subject) -> int:
    """No picture, no refusal, no job, no end of one: the rest of it may say anything."""
    provider, tried = subject.at(), 0
    for heard in _read_as_json(subject.known):
        for length in _cuts(len(heard.body.rstrip())):
            where = f"{heard.name}, cut after {length} bytes"
            reply = reply_of(heard.status, heard.headers, heard.body[:length])
            _proves_nothing(heard, subject.step(provider, heard, reply, where), reply, where)
            tried += 1
    return tried


def no_status_alone_brings_a_picture_or_a_refusal(subject: Subject) -> int:
    """A proxy's page, an empty body and odd JSON settle nothing, and free nothing where it ran."""
    provider, tried = subject.at(AT), 0
    for heard in _questions(subject):
        for status in _STATUSES:
            for name, body in _BODIES.items():
                if status not in _USUAL and name not in {"a page", "an empty object"}:
                    continue
                where = f"{name} with status {status}, asked for a {heard.to}"
                reply = reply_of(status, {}, body)
                step = subject.step(provider, heard, reply, where)
                _proves_nothing(heard, step, reply, where)
                tried += 1
    return tried


def hostile_values_harm_nothing(subject: Subject) -> int:
    """Whatever stands in a field: nothing is raised, what is shown is one line, no odd address."""
    provider, tried = subject.at(), 0
    for heard in _read_as_json(subject.known):
        for where, document in _spoiled(json.loads(heard.body)):
            place = f"{heard.name}, with {where}"
            reply = Reply(status=heard.status, headers=dict(heard.headers), document=document)
            step = subject.step(provider, heard, reply, place)
            _is_decent(step, place)
            tried += 1
    return tried


def keys_are_not_repeated(subject: Subject) -> int:
    """What looks like a key is shown to nobody, wherever the vendor has put it."""
    provider, tried = subject.at(), 0
    for heard in _read_as_json(subject.known):
        for key, are_words_kept in product(KEYS, (False, True)):
            job_id = "" if heard.job is None else heard.job.job_id
            put = _repeating(key, are_words_kept, job_id)
            headers = {
                name: value if value == job_id else f"{value} {key}"
                for name, value in heard.headers.items()
            }
            told = with_texts(json.loads(heard.body), put)
            reply = Reply(status=heard.status, headers=headers, document=told)
            said = " ".join(_said(subject.step(provider, heard, reply, heard.name)))
            must(key not in said, f"{heard.name}: the key that it repeats is shown: {said}")
            tried += 1
    return tried


def _repeating(
    key: str,
    are_words_kept: bool,  # noqa: FBT001 - of a pair
    job_id: str,
) -> Callable[[str], str]:
    """Return what puts a key behind a text but the job's name; single words may have to stay."""

    def put(text: str) -> str:
        is_kept = text == job_id or (are_words_kept and " " not in text)
        return text if is_kept else f"{text} for {key} "

    return put


def _proves_nothing(heard: Heard, step: Step, reply: Reply, where: str) -> None:
    """See that a step from no whole answer of the vendor's decides nothing about money."""
    _is_decent(step, where)
    must(not isinstance(step, _DECIDING), f"{where}: it is {step}")
    if isinstance(step, LineSaid):
        must(not step.never_ran, f"{where}: it never ran")
        must(not isinstance(step.step, Fetch), f"{where}: a picture is seen in it")
        step = cast("Verdict", step.step)
    if heard.to == "upload":
        return  # costs nothing, whatever was said
    if not isinstance(step, Verdict):
        is_about_jobs = isinstance(step, Unsaid | Unclear) or reply.status in {404, 410}
        must(is_about_jobs or 200 <= reply.status < 300, f"{where}: it is {step}")
        must(not isinstance(step, Gone) or reply.status in {404, 410}, f"{where}: the job is gone")
        return
    is_new = heard.to in {"submit", "create", "line"}
    must(is_new, f"{where}: it settles the job ({step.kind}: {step.message})")
    must(step.kind is not VerdictKind.PICTURES, f"{where}: a picture is seen in it")
    must(step.kind is not VerdictKind.REFUSED, f"{where}: a refusal is seen in it")
    ran = 200 <= reply.status < 300 or reply.status >= 500
    free = not step.may_be_billed and not step.is_unknown
    must(not (ran and free), f"{where}: it is believed to be free ({step.kind})")


_DECIDING = (Accepted, Fetch, Found, NotListed, Uploaded, BatchMaking, BatchEnded)
"""What nothing but a whole answer of the vendor's can come to."""


def _is_decent(step: Step, where: str) -> None:
    for text in _said(step):
        must(text.isprintable(), f"{where}: what is shown is not one printable line: {text!r}")
    for url in _addresses(step):
        must(url.startswith(("http://", "https://")), f"{where}: an address is {url!r}")


def _said(step: Step) -> Iterator[str]:
    if isinstance(step, LineSaid):
        step = step.step
    if isinstance(step, Verdict | Unsaid | Gone | Unclear | BatchMaking | BatchEnded):
        yield step.message
    if isinstance(step, BatchEnded) and step.verdict is not None:
        step = step.verdict
        yield step.message
    verdict = step.verdict if isinstance(step, Fetch) else step
    if isinstance(verdict, Verdict):
        yield verdict.provider_code or ""
        yield from verdict.details.values()


def _addresses(step: Step) -> Iterator[str]:
    accepted = step.accepted if isinstance(step, Found) else step
    if isinstance(accepted, Accepted):
        yield accepted.poll_url
    if isinstance(step, NotListed):
        yield step.next_url or AT
    if isinstance(step, Upload):
        yield step.url
    if isinstance(step, BatchEnded):
        yield from step.files
    if isinstance(step, LineSaid):
        step = step.step
    if isinstance(step, Fetch):
        yield from (source.url for source in step.sources if isinstance(source, RemotePicture))


def _questions(subject: Subject) -> list[Heard]:
    """Return one of each question that the provider can be asked."""
    profile = subject.at().profile
    asked = ["submit"]
    asked += ["status", "result", "record"] if profile.has_jobs else []
    asked += ["listing"] if profile.listing is not None else []
    asked += get_args(ToBatch) if subject.at().batch is not None else []
    return [
        Heard(name=to, to=cast("Any", to), status=200, body=b"", job=job_at(AT), lost=lost(TOKEN))
        for to in asked
    ]


def _read_as_json(heard: tuple[Heard, ...]) -> list[Heard]:
    return [one for one in heard if one.reply.document is not None]


def _cuts(length: int) -> list[int]:
    if length <= MOST_CUTS:
        return list(range(length))
    ends = MOST_CUTS // 3
    step = (length - 2 * ends) // ends + 1
    return [*range(ends), *range(ends, length - ends, step), *range(length - ends, length)]


def _spoiled(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield a document with another value in each place, one at a time, and what was done."""
    for path in _paths(document):
        for value in _HOSTILE:
            yield (
                f"{value!r:.40} at {'.'.join(map(str, path)) or 'the top'}",
                _set(document, path, value),
            )


def _paths(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(document, dict):
        for name, value in cast("dict[str, Any]", document).items():
            yield from _paths(value, (*path, name))
    elif isinstance(document, list):
        for index, value in enumerate(cast("Iterable[Any]", document)):
            yield from _paths(value, (*path, index))


def _set(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of a document, with a value at a place; the rest is shared."""
    if not path:
        return value
    head, *rest = path
    copy: Any = document.copy()
    copy[head] = _set(document[head], tuple(rest), value)
    return copy
