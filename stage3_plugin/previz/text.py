"""What a prompt says, as text: made safe, freed of boilerplate, searched for names.

Nothing here knows about pictures. It is apart because two sides need it: the cast pass over the
whole story in the main process, and the reading of one prompt in a worker.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from stage3_plugin.previz.lexicon import boilerplate, people_words

MOST_CHARACTERS = 6000
"""What is read of a prompt; four times the longest that providers take."""
LONGEST_PASSAGE = 420
"""Characters after a name that may describe its bearer."""

_JOINERS = "\u200c\u200d"
_NAME = re.compile(r"\b([A-Z][a-z]+(?:\s[A-Z][a-z]+){1,2})\b")
_CAPITALISED = re.compile(r"[A-Z][a-z]+")
_DIGITS = re.compile(r"\d+")
_LONGEST_IDENTIFIER = 200
_EPITHET = re.compile(r"\b(?:old|young|little|elderly|aged)\s$", re.IGNORECASE)
"""What stands before a name and says more than the name: a description begins there."""
_AND = re.compile(r"(?:\b(?:and|with)|[,&和与同跟、，])\s*$")
_SENTENCE_END = re.compile(r"[.!?。！？]")
_NEGATIVE = re.compile(r"[.\s]*\b(?:avoid|negative prompt)\s*:", re.IGNORECASE)
# What is left where boilerplate was cut out, in the order in which it is mended.
_MENDING = (
    (re.compile(r"\s+([,.;:\u3002\uff0c])"), r"\1"),
    (re.compile(r"([\uff0c\u3001])\s*(?:[,;\uff0c\u3001]\s*)+"), r"\1"),
    (re.compile(r"([,;])\s*(?:[,;\uff0c\u3001]\s*)+"), r"\1 "),
    (re.compile(r"([.\u3002])\s*[,\uff0c.]+"), r"\1"),
    (re.compile(r"\b(?:in|with|of)\s*(?=[,.])", re.IGNORECASE), ""),
    (re.compile(r"\s{2,}"), " "),
)


def clean(text: str, *, limit: int = MOST_CHARACTERS) -> str:
    """Return the first ``limit`` characters on one line, without what no XML or font could take.

    Control characters and lone surrogates become spaces; runs of white space become one.
    """
    text = text[:limit]
    if not text.isprintable():
        text = "".join(character if _is_text(character) else " " for character in text)
    return re.sub(r"\s+", " ", text).strip()


def wish(text: str) -> str:
    """Cut off what a cleaned prompt wants to avoid (``… Avoid: rain``)."""
    return _NEGATIVE.split(text, maxsplit=1)[0]


def story(prompt: str) -> str:
    """Return what the prompt says, without quality boilerplate: the caption."""
    wording = boilerplate().removed_from(wish(clean(prompt)))
    for pattern, replacement in _MENDING:
        wording = pattern.sub(replacement, wording)
    wording = wording.strip(" ,.;\uff0c\u3001\u3002:-")
    return wording[:1].upper() + wording[1:]


def names(text: str) -> list[str]:
    """List the names in Latin letters, two or three capitalised words, each once and in order.

    A place that is written like a person is among them; who bears a name is for the cast to find.
    """
    found: list[str] = []
    for match in _NAME.finditer(text):
        name = match.group(1)
        known = name in found or name in people_words().not_names
        if not known and not boilerplate().found_in(name):
            found.append(name)
    return found


def name_from(identifier: str, text: str) -> str | None:
    """Return the name a prompt has for an identifier: ``林晓岚``, Old Tom for ``old_tom``.

    Capitals distinguish a name from a word: ``hope`` is a person called Hope, no other hope is one.
    """
    if len(identifier) < 2:
        return None
    if not identifier.isascii():
        return identifier if identifier in text else None
    written = identifier.replace("_", " ").replace("-", " ").strip().title()
    for name in (identifier, written):
        if name in text and re.search(rf"\b{re.escape(name)}\b", text):
            return name
    return None


def capitalised(text: str) -> Iterable[str]:
    """Return the capitalised words of ``text``, each once."""
    return dict.fromkeys(_CAPITALISED.findall(text))


def last_digits(identifier: str) -> str:
    """Return the last number in an identifier as it is written there, or nothing."""
    digits = _DIGITS.findall(identifier[-_LONGEST_IDENTIFIER:])
    return digits[-1] if digits else ""


def sentence_from(passage: str, text: str) -> str:
    """Return a passage of ``text``, up to the end of its sentence if it breaks off at an "and"."""
    start = text.find(passage)
    if start < 0 or not _AND.search(passage):
        return passage
    end = _SENTENCE_END.search(text, start + len(passage))
    return text[start : end.start() if end else None]


def passage_about(name: str, text: str, others: Iterable[str]) -> str:
    """Return the longest piece of ``text`` that starts at ``name`` and ends at another's name."""
    if not name or name not in text:
        return ""
    rivals = [other for other in others if other and other != name]
    passages: list[str] = []
    for match in re.finditer(re.escape(name), text):
        ends = [at for other in rivals if (at := text.find(other, match.end())) >= 0]
        end = min([*ends, match.start() + LONGEST_PASSAGE])
        epithet = _EPITHET.search(text, max(0, match.start() - 12), match.start())
        passages.append(text[epithet.start() if epithet else match.start() : end])
    return max(passages, key=len)


def _is_text(character: str) -> bool:
    if character in "\n\t" or character in _JOINERS:
        return True
    return not unicodedata.category(character).startswith("C")
