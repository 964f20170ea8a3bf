"""Made-up stories for decisions: takes, standings, and a studio that buys what is wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from host_stub.contract import Cost, Role, Scene, SceneSurvey
from host_stub.decisions.apply import Applied
from host_stub.decisions.decision import Decision, Origin
from host_stub.decisions.merge import merge
from host_stub.decisions.prompts import directed, own_digests
from host_stub.stage.directing import obey
from host_stub.standing.standing import SceneStanding, standing_of
from host_stub.story.book import Book
from host_stub.story.takes import NewTake, Take, shown_of

WHEN = datetime(2026, 11, 26, tzinfo=UTC)
PAID = Cost(usd=Decimal("0.05"), basis="reported")
FREE = Cost(usd=Decimal(0), basis="free")
PLUGIN = "stage3"


def sha(word: object) -> str:
    return hashlib.sha256(str(word).encode()).hexdigest()


def new_take(scene_id: str, word: object, basis: str | None, **said: Any) -> NewTake:
    """Make a take whose picture, and whose purchase, go by a word."""
    parts: dict[str, Any] = {
        "scene_id": scene_id,
        "sha256": sha(word),
        "media_type": "image/png",
        "width": 64,
        "height": 64,
        "plugin": PLUGIN,
        "purchase": f"p-{word}",
        "basis": basis,
        "cost": PAID,
        "made_at": WHEN,
    }
    return NewTake(**{**parts, **said})


def take(number: int, basis: str | None = "now", *, scene_id: str = "s1", **said: Any) -> Take:
    """Make the take with this number, whose bytes are ``sha(number)``."""
    rejected = said.pop("is_rejected", False)
    new = new_take(scene_id, number, basis, made_at=WHEN + timedelta(minutes=number), **said)
    parts = {name: getattr(new, name) for name in NewTake.__dataclass_fields__}
    return Take(number=number, is_rejected=rejected, **parts)


def standing(
    *takes: Take, basis: str | None = "now", scene_id: str = "s1", **said: Any
) -> SceneStanding:
    """Say how a scene stands that has these takes."""
    scene = said.pop("scene", Scene(scene_id=scene_id, prompt="a pier"))
    return SceneStanding(
        scene_id=scene_id, scene=scene, state="current", takes=takes, basis=basis, **said
    )


def decision(
    scene_id: str = "s1", *, index: int = 0, reviewer: str = "ana", **said: Any
) -> Decision:
    """Make a decision of a file that is named after its reviewer."""
    origin = Origin(Path(f"{reviewer}.json"), index, reviewer)
    return Decision(scene_id=scene_id, origin=origin, **said)


@dataclass
class Studio:
    """A story on a table: its scenes, its book, and everything that was ever bought for it.

    A scene is made from its prompt and from the picture that its sheet shows; ``sheets`` says which
    sheet a scene refers to. Nothing of it is stage3's: it is the few lines that a plugin comes to.
    """

    book: Book
    scenes: dict[str, str]
    sheets: Mapping[str, str] = field(default_factory=dict[str, str])
    bought: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    stops_after: int | None = None
    on_look: Callable[[], None] = lambda: None

    def prompts(self) -> dict[str, Scene]:
        said = self.book.said_prompts()
        files = (Scene(scene_id=one, prompt=words) for one, words in self.scenes.items())
        return {one.scene_id: directed(one, said.get(one.scene_id)) for one in files}

    def basis(self, scene_id: str, prompts: Mapping[str, Scene]) -> str | None:
        sheet = self.sheets.get(scene_id)
        if scene_id not in prompts:
            return f"sheet {scene_id}"
        if sheet is None:
            return prompts[scene_id].prompt
        shown = self.book.shown(sheet)
        if shown is None:
            return None
        picture = self.book.take(sheet, shown)
        assert picture is not None
        return f"{prompts[scene_id].prompt} with {picture.sha256[:8]}"

    def standing(self, scene_id: str, role: Role = "scene") -> SceneStanding:
        prompts = self.prompts()
        survey = SceneSurvey(scene_id=scene_id, role=role, basis=self.basis(scene_id, prompts))
        return standing_of(
            survey,
            prompts.get(scene_id),
            self.book.takes_of(scene_id),
            plugin=PLUGIN,
            pick=self.book.pick(scene_id),
            shown=self.book.shown(scene_id),
            wants=self.book.wanted(scene_id),
        )

    async def look(self, tell: Callable[[SceneStanding], None]) -> None:
        self.on_look()
        for sheet in sorted(set(self.sheets.values())):
            tell(self.standing(sheet, "sheet"))
        for scene_id in self.scenes:
            tell(self.standing(scene_id))

    async def obey(self, decisions: Sequence[Decision]) -> Applied:
        merged = merge(decisions)
        given = {one.scene_id for one in decisions if one.prompt is not None}
        files = [Scene(scene_id=one, prompt=words) for one, words in self.scenes.items()]
        own = own_digests(files, given)
        return await obey(merged, self.book, self.look, plugin=PLUGIN, own=own)

    def make(self) -> int:
        """Buy what is wanted, and move pointers as a run does; return how many were bought."""
        before = len(self.bought)
        for role, names in (("sheet", sorted(set(self.sheets.values()))), ("scene", self.scenes)):
            for scene_id in names:
                there = self.standing(scene_id, "sheet" if role == "sheet" else "scene")
                for _ in range(there.to_make):
                    if self.stops_after is not None and len(self.bought) >= self.stops_after:
                        raise InterruptedError
                    self._buy(scene_id, there.basis)
                self._settle(scene_id, there.basis)
        return len(self.bought) - before

    def _buy(self, scene_id: str, basis: str | None) -> None:
        assert basis is not None
        self.bought.append((scene_id, basis))
        word = f"{scene_id} {len(self.bought)}"
        self.book.add([new_take(scene_id, word, basis)])

    def _settle(self, scene_id: str, basis: str | None) -> None:
        pick, shown = self.book.pick(scene_id), self.book.shown(scene_id)
        due = shown_of(self.book.takes_of(scene_id), basis, pick=pick, shown=shown)
        if due is not None and due.number != shown:
            self.book.point(scene_id, due.number, by="run")
