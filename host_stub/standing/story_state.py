"""What the standings of a story's scenes come to: how many, why, for how much, and which.

Pure. The plan, ``status`` and the manifest say the same in the same words. Prices add up as long as
all of them are known; one that is not makes the sum unknown, and never smaller.

Its status is a table in the order of the story; of a long story it has those scenes of which there
is something to say, and the JSON has them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from io import StringIO
from typing import Any, Final

from host_stub.contract import Role
from host_stub.standing.standing import STATES, SceneStanding
from host_stub.story.takes import Take
from host_stub.text.addresses import in_text
from host_stub.text.escape import escaped
from host_stub.text.format import coded, counted, dollars, exact

_LONGEST_NAME: Final = 80
_SAID: Final = {"pending": "on the way"}
"""How a state is said to people, where that is not its own word."""
_ROLES: Final[tuple[Role, ...]] = ("scene", "sheet")
_CHANGED: Final[dict[str, str]] = {
    "prompt": "the prompt",
    "reference": "a reference",
    "sheet": "a referenced picture",
    "size": "the size",
    "quality": "the quality",
    "model": "the model",
    "settings": "the settings",
}
"""What has changed, of a scene that is stale for a reason."""


@dataclass(slots=True)
class Price:
    """Money that adds up while it is known.

    Attributes:
        pictures: How many pictures it is for.
        usd: What they cost at most; ``None`` once one of them has no known price.
    """

    pictures: int = 0
    usd: Decimal | None = Decimal(0)

    def add(self, each_usd: Decimal | None, pictures: int) -> None:
        """Add pictures of one price."""
        if not pictures:
            return
        self.pictures += pictures
        unknown = self.usd is None or each_usd is None
        self.usd = None if unknown else (self.usd or Decimal(0)) + (each_usd or 0) * pictures

    def __str__(self) -> str:
        return dollars(self.usd) if not self.usd else f"at most {dollars(self.usd)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleScene:
    """A scene, or a sheet, that has a picture and would be made anew.

    Attributes:
        scene_id: Its id.
        role: Which of the two.
        reasons: What is another since its picture was made.
        cost_usd: The most that a new one can cost; ``None`` if that is not known.
        takes: How many would be made.
    """

    scene_id: str
    role: Role
    reasons: tuple[str, ...]
    cost_usd: Decimal | None
    takes: int = 1

    @classmethod
    def of(cls, standing: SceneStanding) -> StaleScene | None:
        """Return what is to be said of a scene that would be made anew, if it would be."""
        if standing.state != "stale" or not standing.to_make or standing.problem is not None:
            return None
        return cls(
            scene_id=standing.scene_id,
            role=standing.role,
            reasons=standing.reasons,
            cost_usd=standing.cost_usd,
            takes=standing.to_make,
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "scene": self.scene_id,
            "role": self.role,
            "reasons": list(self.reasons),
            "cost_usd": exact(self.cost_usd),
        }

    def __str__(self) -> str:
        kind = "sheet " if self.role == "sheet" else ""
        name = f"{kind}{escaped(self.scene_id, limit=_LONGEST_NAME)}"
        price = dollars(None if self.cost_usd is None else self.cost_usd * self.takes)
        takes = f" for {self.takes} takes" if self.takes > 1 else ""
        return f"{name}: {', '.join(self.reasons)}, {price}{takes}"


@dataclass(slots=True)
class StoryState:
    """How a story stands as a whole.

    Attributes:
        scenes: How many there are; sheets are not counted with them.
        states: How many scenes are in each state.
        sheets: How many sheets are in each state.
        wrong_aspect: How many scenes show a picture of another shape than was asked for.
        reasons: Why scenes and sheets are stale; one may be so for several reasons.
        remade: How many stale ones would be made anew; those that cannot be made are not in it.
        redo: What that costs.
        make: What making everything that is wanted costs, stale ones included.
        known: How many takes the plugin knows.
        forgotten: Takes that the plugin made and does not know any more, and what they cost.
    """

    scenes: int = 0
    states: Counter[str] = field(default_factory=Counter[str])
    sheets: Counter[str] = field(default_factory=Counter[str])
    wrong_aspect: int = 0
    reasons: Counter[str] = field(default_factory=Counter[str])
    remade: Counter[Role] = field(default_factory=Counter[Role])
    redo: Price = field(default_factory=Price)
    make: Price = field(default_factory=Price)
    known: int = 0
    forgotten: Price = field(default_factory=Price)

    def add(self, standing: SceneStanding) -> None:
        """Count one scene, or sheet."""
        if standing.role == "sheet":
            self.sheets[standing.state] += 1
        else:
            self.scenes += 1
            self.states[standing.state] += 1
            self.wrong_aspect += standing.wrong_aspect
        self.reasons.update(standing.reasons)
        self.known += standing.known
        for cost_usd in standing.forgotten:
            self.forgotten.add(cost_usd, 1)
        if standing.problem is None and standing.state not in {"held", "pending"}:
            self.make.add(standing.cost_usd, standing.to_make)
            if standing.state == "stale":
                self.remade[standing.role] += bool(standing.to_make)
                self.redo.add(standing.cost_usd, standing.to_make)

    def as_json(self) -> dict[str, int]:
        """Return the counts of scenes, as the manifest has them under ``story``."""
        counts: dict[str, int] = {state: self.states[state] for state in STATES}
        return {"scenes": self.scenes, **counts, "wrong_aspect": self.wrong_aspect}

    def in_words(self) -> str:
        """Say the counts of scenes in one line."""
        counts = [f"{self.states[one]} {_SAID.get(one, one)}" for one in STATES if self.states[one]]
        line = f"{counted(self.scenes, 'scene')}: {', '.join(counts)}" if counts else "no scenes"
        return f"{line}; {self.wrong_aspect} of a wrong aspect" if self.wrong_aspect else line

    def remade_in_words(self) -> str | None:
        """Say what would be made anew, for how much and why, if anything would be."""
        if not self.redo.pictures:
            return None
        each = [counted(self.remade[role], role) for role in _ROLES if self.remade[role]]
        is_more = self.redo.pictures > self.remade.total()
        pictures = f"{counted(self.redo.pictures, 'picture')}, " if is_more else ""
        return f"{' and '.join(each)} ({pictures}{self.redo}): {self.why_stale()}"

    def why_stale(self) -> str:
        """Say what has changed, the most frequent first."""
        said = (f"{_CHANGED.get(why, why)} {{}}in {n}" for why, n in self.reasons.most_common())
        return ", ".join(one.format("" if n else "changed ") for n, one in enumerate(said))

    def warnings(self) -> Iterator[str]:
        """Say that takes are bought again since their maker knows none of them, if that is so."""
        if self.forgotten.pictures and not self.known:
            takes, cost = counted(self.forgotten.pictures, "take"), dollars(self.forgotten.usd)
            yield coded(
                "takes_forgotten",
                f"this story has {takes} that {cost} was paid for, and the plugin knows none of "
                "them: its state folder (.stage3) is gone, or another one. Put it back first, or "
                "what is made now is paid for again",
            )

    def as_lines(self) -> Iterator[str]:
        """Say what the story wants, and what that costs."""
        yield from self.warnings()
        if (remade := self.remade_in_words()) is not None:
            yield f"the next run remakes {remade}"
        if self.make.pictures > self.redo.pictures:
            count = counted(self.make.pictures, "picture")
            yield f"{count} still to make; {self.make}"


FORMAT: Final = "stage3-status/1"
MOST_SHOWN: Final = 40
_WIDEST: Final = 80
_LONGEST_TEXT: Final = 1_000
_COLUMNS: Final = ("scene", "state", "take", "about", "at most")
_WHY: Final = {
    "held": "held: the outcome of a request is unknown, so it may have been paid for",
    "pending": "on the way: paid for, and not here yet; nothing more is paid for those",
}


@dataclass(slots=True, kw_only=True)
class Status:
    """How a story stands, taken in one scene after the other; no more is kept than is said.

    Attributes:
        path_of: Says where a take's file lies, as seen from here.
        is_full: Keep what is to be said of every scene, for programs.
        state: The counts.
    """

    path_of: Callable[[Take], str]
    is_full: bool = False
    state: StoryState = field(default_factory=StoryState)
    _rows: dict[Role, list[dict[str, Any]]] = field(
        default_factory=lambda: {"scene": [], "sheet": []}
    )
    _first: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])
    _wanting: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])
    _seen: int = 0

    def add(self, standing: SceneStanding) -> None:
        """Take one scene in, or one sheet."""
        self.state.add(standing)
        if self.is_full:
            self._rows[standing.role].append(self._row(standing))
            return
        self._seen += 1
        cells = _cells(standing)
        if len(self._first) < MOST_SHOWN:
            self._first.append(cells)
        if len(self._wanting) < MOST_SHOWN and not _is_quiet(standing):
            self._wanting.append(cells)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values; money is a decimal string, unknown is ``null``."""
        return {
            "format": FORMAT,
            "story": self.state.as_json(),
            "stale_reasons": dict(self.state.reasons.most_common()),
            "redo": _price(self.state.redo),
            "make": _price(self.state.make),
            "scenes": self._rows["scene"],
            "sheets": self._rows["sheet"],
        }

    def as_lines(self) -> Iterator[str]:
        """Return it for people, line by line: in a long story, the scenes that want something."""
        yield self.state.in_words()
        rows = self._first if self._seen <= MOST_SHOWN else self._wanting
        if rows:
            yield from _table(rows)
        if self._seen > len(rows):
            yield f"and {counted(self._seen - len(rows), 'other')}; --json has all of them"
        for state, why in _WHY.items():
            if self.state.states[state] or self.state.sheets[state]:
                yield why
        yield from self.state.as_lines()

    def _row(self, one: SceneStanding) -> dict[str, Any]:
        shown = one.shown
        return {
            "scene": one.scene_id,
            "state": one.state,
            "reasons": list(one.reasons),
            "wrong_aspect": one.wrong_aspect,
            "take": None if shown is None else shown.number,
            "sha256": None if shown is None else shown.sha256,
            "path": None if shown is None else self.path_of(shown),
            "draft": shown is not None and shown.is_draft,
            "imported": shown is not None and shown.is_import,
            "takes": len(one.takes),
            "wanted": one.wanted,
            "to_make": one.to_make,
            "next_take": None if one.due is None else one.due.number,
            "cost_usd": exact(one.cost_usd),
            "problem": None if one.problem is None else in_text(one.problem),
            "waits_for": list(one.waits_for),
        }


def _is_quiet(one: SceneStanding) -> bool:
    """Return whether nothing has to be said of a scene."""
    return one.state == "current" and not one.to_make and not any(_about(one))


def _about(one: SceneStanding) -> Iterator[str]:
    """Say what is not as usual about a scene."""
    yield from one.reasons
    if one.due is not None and one.shown is not None and one.due != one.shown:
        yield f"the next run shows take {one.due.number}"
    if one.wrong_aspect:
        yield "wrong aspect"
    if one.takes and one.shown is None:
        yield "drafts only"
    if one.shown is not None and one.shown.is_import:
        yield "imported"
    if one.to_make > 1 or (one.to_make and one.state == "current"):
        yield counted(one.to_make, "more take" if one.made else "take") + " wanted"
    if one.problem is not None:
        yield escaped(in_text(one.problem), limit=_LONGEST_TEXT)


def _cells(one: SceneStanding) -> tuple[str, ...]:
    name = escaped(one.scene_id, limit=_LONGEST_NAME)
    is_bought = bool(one.to_make) and one.problem is None and one.state not in {"held", "pending"}
    each = one.cost_usd
    return (
        f"sheet {name}" if one.role == "sheet" else name,
        _SAID.get(one.state, one.state),
        "-" if one.shown is None else f"{one.shown.number} of {len(one.takes)}",
        ", ".join(_about(one)),
        dollars(None if each is None else each * one.to_make) if is_bought else "",
    )


def _table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lay rows out in lines of at most 80 columns; wide letters count for two."""
    from rich.console import Console  # noqa: PLC0415  - programs, which get JSON, need not wait
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in _COLUMNS:
        table.add_column(
            Text(name),
            justify="right" if name == _COLUMNS[-1] else "left",
            overflow="fold",
            no_wrap=name not in {"scene", "about"},
        )
    for row in rows:
        table.add_row(*map(Text, row))
    written = StringIO()
    Console(file=written, width=_WIDEST, color_system=None, legacy_windows=False).print(table)
    yield from (line.rstrip() for line in written.getvalue().splitlines())


def _price(price: Price) -> dict[str, Any]:
    return {
        "pictures": price.pictures,
        "cost_high_usd": exact(price.usd),
    }
