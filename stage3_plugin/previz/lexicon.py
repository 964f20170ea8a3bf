"""The words that decide a picture, in English and Chinese, read from ``data/words/*.toml``.

This module alone knows how those lists are laid out and how a word is matched: an ASCII word
between word boundaries, any other wherever it stands, because Chinese has no spaces. It is apart
from the reading so that a word is added without touching code. Files are read once, and a pattern
is compiled when it is first looked for.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Literal, TypeAlias, TypeVar

Key = TypeVar("Key")
PropKind: TypeAlias = Literal["hand", "ground", "water", "animal", "sky", "underwater"]


class Words:
    """Several ways to say one thing."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = tuple(words)

    def __repr__(self) -> str:
        return f"Words({self._words!r})"

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Compile the words to one pattern."""
        bounded = "|".join(word for word in self._words if word.isascii())
        anywhere = "|".join(word for word in self._words if not word.isascii())
        parts = [rf"\b(?:{bounded})\b"] if bounded else []
        if anywhere:
            parts.append(f"(?:{anywhere})")
        return re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)

    def start(self, text: str) -> int | None:
        """Return where the first of the words stands in ``text``."""
        match = self.pattern.search(text)
        return None if match is None else match.start()

    def found_in(self, text: str) -> bool:
        """Return whether ``text`` has one of the words."""
        return self.pattern.search(text) is not None

    def removed_from(self, text: str, *, leaving: str = "") -> str:
        """Return ``text`` with ``leaving`` in the place of each of the words."""
        return self.pattern.sub(leaving, text)


@dataclass(frozen=True, slots=True)
class PlaceWords:
    """A place of the story.

    Attributes:
        indoor: Whether it is a room.
        label: What the slate calls it.
        yields: Characters of head start that it gives to more specific places.
        words: How prompts name it.
        labels: What the slate calls it instead, by the word that the prompt has for it.
    """

    indoor: bool
    label: str
    yields: int
    words: Words
    labels: Mapping[str, Words]

    def called(self, text: str) -> str:
        """Return the slate's word for the place: the prompt's own where it has a closer one."""
        return earliest(self.labels, text) or self.label


@dataclass(frozen=True, slots=True)
class CameraWords:
    """A shot size or a camera angle: what the slate calls it and how prompts name it."""

    label: str
    words: Words


@dataclass(frozen=True, slots=True)
class PropWords:
    """A thing that can be drawn.

    Attributes:
        kind: Where it belongs.
        words: How prompts name it.
        heads: How large it is on a table or in a hand, in heights of a head.
        is_fixed: Whether it is never carried.
        is_undyed: Whether a colour word before it speaks of something else.
    """

    kind: PropKind
    words: Words
    heads: float = 1.0
    is_fixed: bool = False
    is_undyed: bool = False


@dataclass(frozen=True, slots=True)
class HoldingWords:
    """What says, around the word for a thing, that a person has it in the hand.

    ``before`` and ``along`` end where the thing's word begins, the others begin where it ends.
    ``feet`` is for animals, which are not held: they keep to a person's feet.
    """

    before: re.Pattern[str]
    raised: re.Pattern[str]
    along: re.Pattern[str]
    behind: re.Pattern[str]
    between: re.Pattern[str]
    placed: re.Pattern[str]
    feet: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class SceneWords:
    """``scenes.toml``; the order of a mapping's entries is the order of their rank."""

    times: Mapping[str, Words]
    weathers: Mapping[str, Words]
    places: Mapping[str, PlaceWords]
    shots: Mapping[str, CameraWords]
    angles: Mapping[str, CameraWords]
    moods: Mapping[str, Words]
    interior: Words
    exterior: Words
    open_air: Words
    window: Words
    dim: Words
    snowing: Words
    bamboo: Words
    numbers: Words
    dust: Words
    misleading: Words
    features: Mapping[str, Words]


@dataclass(frozen=True, slots=True)
class PeopleWords:
    """``people.toml``; the order of a mapping's entries is the order of their rank."""

    person: Words
    owned: re.Pattern[str]
    """A person's word that speaks of a thing."""
    nobody: Words
    crowd: Words
    groups: Mapping[int, Words]
    female: Words
    male: Words
    men: Words
    women: Words
    ages: Mapping[str, Words]
    hair_colours: Mapping[str, Words]
    hair_styles: Mapping[str, Words]
    beards: Mapping[str, Words]
    beard_colours: Mapping[str, Words]
    shaven: Words
    glasses: Words
    sweat: Words
    outfits: Mapping[str, Words]
    emotions: Mapping[str, Words]
    together: re.Pattern[str]
    """A clause about everybody at once."""
    poses: Mapping[str, Words]
    seated: Words
    hand_in_hand: Words
    face_to_face: Words
    aboard: Words
    holding: HoldingWords
    colours: Mapping[str, Words]
    garment: re.Pattern[str]
    dyed: re.Pattern[str]
    """A colour word that ends where the word for a thing begins."""
    not_names: frozenset[str]


@cache
def scene_words() -> SceneWords:
    """Load the words that set a scene."""
    data = _load("scenes")
    return SceneWords(
        times=_table(data["times"]),
        weathers=_table(data["weathers"]),
        places={
            name: PlaceWords(
                entry["indoor"],
                entry["label"],
                entry.get("yields", 0),
                Words(entry["words"]),
                _table(entry.get("labels", {})),
            )
            for name, entry in data["places"].items()
        },
        shots=_camera(data["shots"]),
        angles=_camera(data["angles"]),
        moods=_table(data["moods"]),
        interior=Words(data["interior"]),
        exterior=Words(data["exterior"]),
        open_air=Words(data["open_air"]),
        window=Words(data["window"]),
        dim=Words(data["dim"]),
        snowing=Words(data["snowing"]),
        bamboo=Words(data["bamboo"]),
        numbers=Words(data["numbers"]),
        dust=Words(data["dust"]),
        misleading=Words(data["misleading"]),
        features=_table(data["features"]),
    )


@cache
def people_words() -> PeopleWords:
    """Load the words about people."""
    data = _load("people")
    return PeopleWords(
        person=Words(data["person"]),
        owned=_owned(data["person"], **data["owned"]),
        nobody=Words(data["nobody"]),
        crowd=Words(data["crowd"]),
        groups={int(count): Words(words) for count, words in data["groups"].items()},
        female=Words(data["female"]),
        male=Words(data["male"]),
        men=Words(data["men"]),
        women=Words(data["women"]),
        ages=_table(data["ages"]),
        hair_colours=_table(data["hair_colours"]),
        hair_styles=_table(data["hair_styles"]),
        beards=_table(data["beards"]),
        beard_colours=_table(data["beard_colours"]),
        shaven=Words(data["shaven"]),
        glasses=Words(data["glasses"]),
        sweat=Words(data["sweat"]),
        outfits=_table(data["outfits"]),
        emotions=_table(data["emotions"]),
        together=_together(**data["together"]),
        poses=_table(data["poses"]),
        seated=Words(data["seated"]),
        hand_in_hand=Words(data["hand_in_hand"]),
        face_to_face=Words(data["face_to_face"]),
        aboard=Words(data["aboard"]),
        holding=_holding(data["holding"]),
        colours=_table(data["colours"]),
        garment=_garment(**data["garments"]),
        dyed=_dyed(data["garments"]["english_colours"], data["garments"]["chinese_colours"]),
        not_names=frozenset(data["not_names"]),
    )


@cache
def prop_words() -> Mapping[str, PropWords]:
    """Load the things that can be drawn, by the name of their drawing."""
    return {
        name: PropWords(
            entry["kind"],
            Words(entry["words"]),
            entry.get("heads", 1.0),
            is_fixed=entry.get("fixed", False),
            is_undyed=entry.get("undyed", False),
        )
        for name, entry in _load("props").items()
    }


@cache
def boilerplate() -> Words:
    """Load what prompts say about quality and technique."""
    return Words(_load("boilerplate")["words"])


def earliest(table: Mapping[Key, Words], text: str) -> Key | None:
    """Return the entry whose word comes first in ``text``; of two, the one that ranks higher."""
    found = [
        (start, rank, key)
        for rank, (key, words) in enumerate(table.items())
        if (start := words.start(text)) is not None
    ]
    return min(found, key=lambda hit: hit[:2])[2] if found else None


def highest(table: Mapping[Key, Words], text: str) -> Key | None:
    """Return the highest-ranking entry that ``text`` has a word of."""
    return next((key for key, words in table.items() if words.found_in(text)), None)


def _load(name: str) -> dict[str, Any]:
    resource = files("stage3_plugin.previz") / "data" / "words" / f"{name}.toml"
    return tomllib.loads(resource.read_text(encoding="utf-8"))


def _table(data: Mapping[str, list[str]]) -> Mapping[str, Words]:
    return {key: Words(words) for key, words in data.items()}


def _camera(data: Mapping[str, Mapping[str, Any]]) -> Mapping[str, CameraWords]:
    return {key: CameraWords(entry["label"], Words(entry["words"])) for key, entry in data.items()}


def _garment(
    english_colours: list[str],
    english_clothes: list[str],
    chinese_colours: list[str],
    chinese_clothes: list[str],
) -> re.Pattern[str]:
    english = (
        rf"\b(?:{'|'.join(english_colours)})\b(?:[ -][a-z]+){{0,2}}?"
        rf"[ -](?:{'|'.join(english_clothes)})(?:e?s)?\b"
    )
    chinese = f"(?:{'|'.join(chinese_colours)})色?的?(?:{'|'.join(chinese_clothes)})"
    return re.compile(f"{english}|{chinese}", re.IGNORECASE)


def _dyed(english_colours: list[str], chinese_colours: list[str]) -> re.Pattern[str]:
    # A preposition or an article between the two begins another thing: "red and a boat".
    other = "and|or|with|of|in|on|at|by|to|from|under|over|near|like|the|an?"
    english = rf"\b(?P<english>{'|'.join(english_colours)})(?:[ -](?!(?:{other})\b)[a-z]+)?[ -]$"
    chinese = f"(?P<chinese>{'|'.join(chinese_colours)})色?的?[大小旧老木]?$"
    return re.compile(f"{english}|{chinese}", re.IGNORECASE)


def _owned(
    person: list[str], persons: list[str], things: list[str], parts: list[str]
) -> re.Pattern[str]:
    people, _ = _by_script([*person, *persons])
    whose = rf"(?:['’]s|s['’])(?! (?:[a-z]+ ){{0,2}}?(?:{'|'.join(parts)})\b)"
    return re.compile(rf"\b(?:{people})(?:{whose}|(?=[ -](?:{'|'.join(things)})\b))", re.IGNORECASE)


def _together(begins: list[str], ends: list[str]) -> re.Pattern[str]:
    # Chinese clauses end at a sign of their own; a word in Latin letters stands by itself.
    clause, rest = (
        "(?:^|[.,;:!?，。；：！？、])\\s*(?:(?:and|while|but) )?",
        "[^.,;:!?，。；：！？、]*",
    )
    latin, chinese = _by_script(begins)
    begun = rf"{clause}(?:(?:{latin})\b|(?:{chinese})){rest}"
    ended = rf"{clause}{rest}?\b(?:{'|'.join(ends)})(?=$|[.,;:!?])"
    return re.compile(rf"{begun}|{ended}", re.IGNORECASE)


def _holding(data: Mapping[str, list[str]]) -> HoldingWords:
    def before(name: str) -> re.Pattern[str]:
        """Match up to five words before the thing, in the same clause."""
        english, chinese = _by_script(data[name])
        parts = [rf"\b(?:{english})(?:[ -][\w'-]+){{0,5}}[ -]$"] if english else []
        return _either(*parts, f"(?:{chinese})[^，。；、,.;]{{0,16}}$" if chinese else "")

    def behind(name: str, distance: str) -> re.Pattern[str]:
        english, chinese = _by_script(data[name])
        return _either(
            rf"^{distance}[ -](?:{english})\b" if english else "",
            f"^[^，。；、]{{0,4}}(?:{chinese})" if chinese else "",
        )

    return HoldingWords(
        before=before("before"),
        raised=before("raised"),
        along=before("along"),
        behind=behind("behind", r"(?:[ -][a-z]+)?"),
        between=behind("between", r"(?:[ -][a-z]+){0,3}"),
        placed=behind("placed", r"(?:[ -][a-z]+)?"),
        feet=behind("feet", r"(?:[ -][a-z]+){0,4}"),
    )


def _by_script(words: Iterable[str]) -> tuple[str, str]:
    listed = tuple(words)
    return (
        "|".join(word for word in listed if word.isascii()),
        "|".join(word for word in listed if not word.isascii()),
    )


def _either(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(pattern for pattern in patterns if pattern), re.IGNORECASE)
