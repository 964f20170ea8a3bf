"""Laws about batches, for a provider that has a lane of them; nothing is asked of a server."""

from __future__ import annotations

import json
from functools import partial

from stage3_plugin.domain.batch import BatchEnded, BatchLine, BatchMaking, Upload
from stage3_plugin.domain.exchange import Reply, Send, Unclear
from stage3_plugin.testing.laws.requests import ELSEWHERE, KEY_HEADERS, WISHES, key_in_environment
from stage3_plugin.testing.recordings import lost
from stage3_plugin.testing.subject import TOKEN, Subject, must, with_texts
from stage3_plugin.transport.bodies import body_of

WORD = "STATE_OF_TOMORROW"
_OTHER = "f" * len(TOKEN)


def a_line_is_pure_and_json_without_the_key(subject: Subject) -> int:
    """The same wish is the same line but for what it is called, and that is in it."""
    provider = subject.at()
    lane = provider.batch
    if lane is None:
        return 0
    with key_in_environment(provider.profile.key_variable) as secret:
        for name, wish in WISHES.items():
            where = f"a line, asked for {name}"
            line, again = lane.line(wish, f"{TOKEN}-0", {}), lane.line(wish, f"{TOKEN}-0", {})
            other = lane.line(wish, f"{TOKEN}-1", {})
            text = _text(line, where)
            must(line == again, f"{where}: it is not the same for the same wish")
            must(f"{TOKEN}-0" in text, f"{where}: what it is called is not in it")
            same = _text(other, where).replace(f"{TOKEN}-1", f"{TOKEN}-0")
            must(same == text, f"{where}: another one is called otherwise, and is not the same")
            must(secret not in text, f"{where}: the key is in it")
            is_unsaid = wish.seed is not None and not provider.profile.seed
            must(not is_unsaid or "seed" in line.dropped, f"{where}: the seed is not in dropped")
            kind = lane.kind(wish)
            must(kind == lane.kind(wish), f"{where}: its kind is another one each time")
    return len(WISHES)


def a_batch_is_asked_for_where_the_settings_say(subject: Subject) -> int:
    """Its upload, its create and its listing go to ``base_url``, without the key."""
    provider = subject.at(ELSEWHERE)
    lane = provider.batch
    if lane is None:
        return 0
    kind = lane.kind(WISHES["plain"])
    steps: list[Send | Upload] = [lane.create("an-input", TOKEN, kind)]
    for of in ("lines", "reference"):
        media_type = "application/jsonl" if of == "lines" else "image/png"
        first = lane.upload(1000, of, media_type)
        steps += [first] if isinstance(first, Upload) else []
    for step in steps:
        where = type(step).__name__
        must(step.url.startswith(ELSEWHERE), f"{where}: it goes to {step.url}")
        taken = {name.lower() for name in step.headers}
        taken &= KEY_HEADERS | {provider.profile.key_header}
        must(not taken, f"{where}: it sets the header {taken}, which is the key's")
    page = lane.look_for(lost(TOKEN))
    must(page.startswith(ELSEWHERE), f"the listing of batches is asked for at {page}")
    return len(steps) + 1


def a_create_says_which_batch_it_is(subject: Subject) -> int:
    """Its label and its file are in it, or nothing could find it once its answer is lost."""
    lane = subject.at().batch
    if lane is None:
        return 0
    kind = lane.kind(WISHES["plain"])
    create = _body(lane.create("files/an-input", TOKEN, kind))
    must(TOKEN in create, "the label of a batch is not in its create")
    must("files/an-input" in create, "the file of a batch is not in its create")
    other = _body(lane.create("files/an-input", _OTHER, kind))
    must(other.replace(_OTHER, TOKEN) == create, "creates differ in more than the label")
    return 2


def an_unknown_state_of_a_batch_is_shown(subject: Subject) -> int:
    """It is no end, and none that is known to pass: it is asked on, slowly, with a warning."""
    provider, tried = subject.at(), 0
    for heard in subject.known:
        if heard.to != "batch" or not isinstance(heard.step(provider), BatchMaking | BatchEnded):
            continue
        name = "" if heard.job is None else heard.job.job_id
        told = with_texts(json.loads(heard.body), partial(_word, name))
        reply = Reply(status=heard.status, headers=dict(heard.headers), document=told)
        step = subject.step(provider, heard, reply, heard.name)
        must(isinstance(step, Unclear), f"{heard.name}, in words of tomorrow: it is {step}")
        shown = step.message if isinstance(step, Unclear) else ""
        must(WORD in shown, f"{heard.name}: the unknown state is not shown: {shown!r}")
        tried += 1
    return tried


def _word(name: str, text: str) -> str:
    """Put the unknown word in the place of every text but the batch's name and figures."""
    return text if text in {name, ""} or text.isdigit() or "://" in text else WORD


def _text(line: BatchLine, where: str) -> str:
    return _body(Send(url=ELSEWHERE, payload=line.payload), where)


def _body(send: Send, where: str = "a create") -> str:
    try:
        text = b"".join(map(bytes, body_of(send.payload))).decode()
        json.loads(text)
    except (TypeError, ValueError, LookupError) as error:
        raise AssertionError(f"{where}: it is no JSON: {error}") from error
    return text
