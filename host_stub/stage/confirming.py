"""What a confirmation is of: all that decides what a run would buy, and how it is compared.

A plan says what would be bought, and names it by a hash; ``run --confirm HASH`` buys that or less,
and never anything more, else or dearer. The first run with a hash has to find the very same, and
writes down what that is before it sends anything. From then on the hash stands for what is written:
a run that was cut off, or came too late, has less left to buy, and each scene of that has to be
among what was confirmed. So whoever starts the same command a thousand times pays once.

Pure, but for the one question to the plugin. What is in it and what is not:

* who makes the pictures, and its distribution's version; its settings, but for secrets; the routes;
  the lane that is asked for;
* of each scene and sheet of which something would be made: what its file says, what it is made from
  (the plugin's word for it), how many pictures are missing and wanted, how many were paid for and
  never came, and what one costs at most;
* not what is there already, held, or on its way, since nothing of that is bought; not the folder
  for results, the cap, the order, or how many are in work at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

from pydantic import TypeAdapter

from host_stub.config.plugin_settings import masked
from host_stub.contract import Lane, ScenePlan, StagePlan
from host_stub.plugins.selection import SelectedPlugin
from host_stub.stage.scene_plans import routes_as_json
from host_stub.standing.standing import SceneStanding
from host_stub.text.escape import escaped

HASH_DIGITS: Final = 32
_PART_DIGITS: Final = 24
_MOST_NAMED: Final = 5
_LONGEST: Final = 80
_SCENE: Final = "scene:"


class Wish(NamedTuple):
    """What would be bought of one scene or sheet.

    Attributes:
        scene_id: Its id.
        role: ``scene`` or ``sheet``.
        said: A digest of what its file says of it.
        shows: A digest of the files that it shows the model; empty without any.
        basis: What it is made from; ``None`` while a picture that it shows is to be made first.
        to_make: How many pictures are missing.
        wanted: How many are wanted in all.
        lost: How many were paid for and never came.
        cost_usd: The most that one costs, as a decimal string; ``None`` if that is not known.
    """

    scene_id: str
    role: str
    said: str
    shows: str
    basis: str | None
    to_make: int
    wanted: int
    lost: int
    cost_usd: str | None

    @classmethod
    def of(cls, standing: SceneStanding) -> Wish | None:
        """Return what would be bought of a scene; ``None`` if nothing would be."""
        is_due = standing.to_make > 0 and standing.problem is None
        if not is_due or standing.state in {"held", "pending"}:
            return None
        scene, basis, cost_usd = standing.scene, standing.basis, standing.cost_usd
        return cls(
            scene_id=standing.scene_id,
            role=standing.role,
            said="" if scene is None else _digest(scene.model_dump()),
            shows="",
            basis=None if basis is None else _digest(basis),
            to_make=standing.to_make,
            wanted=standing.wanted,
            lost=standing.lost,
            cost_usd=_money(cost_usd),
        )

    def showing(self, planned: ScenePlan) -> Wish:
        """Return it with the files that it shows: its basis may not say them yet."""
        files = [
            (one.image, one.sha256)
            for one in planned.references
            if not one.image.startswith(_SCENE)
        ]
        return self._replace(shows=_digest(files)) if files else self

    def beyond(self, confirmed: Wish | None) -> str | None:
        """Say what is more, else or dearer than what was confirmed; ``None`` if nothing is."""
        if confirmed is None:
            return "was not to be made"
        # What it shows of other scenes may be there by now.
        is_other = confirmed.basis is not None and self.basis != confirmed.basis
        if is_other or (self.said, self.shows) != (confirmed.said, confirmed.shows):
            return "would be made from something else"
        if self.lost > confirmed.lost:
            return "was paid for since, and no picture came"
        if self.to_make > confirmed.to_make or self.wanted > confirmed.wanted:
            return "wants more takes"
        if not _is_at_most(self.cost_usd, confirmed.cost_usd):
            return "costs more"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """All that a run would buy.

    Attributes:
        made_by: Who makes the pictures, how, and on which routes, as plain JSON values.
        make: How many pictures the plugin says it would make.
        cost_usd: The most that they cost, as a decimal string; ``None`` if that is not known.
        wishes: What would be bought of each scene and sheet.
    """

    made_by: dict[str, str]
    make: int = 0
    cost_usd: str | None = None
    wishes: tuple[Wish, ...] = ()

    @classmethod
    def of(
        cls,
        plugin: SelectedPlugin,
        wishes: Iterable[Wish],
        answer: StagePlan,
        *,
        lane: Lane | None = None,
    ) -> Self:
        """Put together what a run would buy.

        Args:
            plugin: Makes the pictures.
            wishes: What would be bought of each scene.
            answer: The plugin's plan.
            lane: The one that the run is asked to buy by, if any.
        """
        planned: dict[tuple[str, str], ScenePlan] = {
            (one.scene_id, one.role): one for one in answer.scenes
        }
        return cls(
            made_by={
                "plugin": plugin.name,
                "source": plugin.source,
                "settings": _digest(masked(plugin.settings, plugin.secrets)),
                "routes": _digest(routes_as_json(answer.routes)),
                **({} if lane is None else {"lane": lane}),
            },
            make=answer.make,
            cost_usd=_money(answer.cost_high_usd),
            wishes=tuple(
                one
                if (told := planned.get((one.scene_id, one.role))) is None
                else one.showing(told)
                for one in wishes
            ),
        )

    @property
    def hash(self) -> str:
        """Name it."""
        return _digest(self.as_record(), digits=HASH_DIGITS)

    def as_record(self) -> dict[str, Any]:
        """Return it as plain JSON values, to be kept."""
        found: dict[str, Any] = _RECORD.dump_python(self, mode="json")
        return found

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Foreseen:
        """Read what was kept.

        Raises:
            ValueError: It is none of ours.
        """
        return _RECORD.validate_python(record)

    def beyond(self, confirmed: Foreseen) -> list[str]:
        """Say what is more, else or dearer than what was confirmed; empty if nothing is."""
        if not self.make and not self.wishes:
            return []  # whatever is different, nothing is bought
        said = [
            words
            for key, words in _SAID_OF.items()
            if self.made_by.get(key) != confirmed.made_by.get(key)
        ]
        known = {(one.scene_id, one.role): one for one in confirmed.wishes}
        found = [
            (one, why)
            for one in self.wishes
            if (why := one.beyond(known.get((one.scene_id, one.role)))) is not None
        ]
        if not found and self.make > confirmed.make:
            said.append(f"{self.make} pictures would be made, and not {confirmed.make}")
        if not found and not _is_at_most(self.cost_usd, confirmed.cost_usd):
            said.append("all together costs more")
        return [*said, *_named(found)]


_RECORD: Final = TypeAdapter(Foreseen)
_SAID_OF: Final = {
    "plugin": "another plugin makes the pictures",
    "source": "the plugin is of another version",
    "settings": "settings of the plugin are others",
    "routes": "the pictures would be made elsewhere, or with other options",
    "lane": "the pictures would be bought by another lane",
}


def _named(found: Sequence[tuple[Wish, str]]) -> Iterator[str]:
    for one, why in found[:_MOST_NAMED]:
        yield f"{one.role} {escaped(one.scene_id, limit=_LONGEST)} {why}"
    if len(found) > _MOST_NAMED:
        yield f"and so on for {len(found) - _MOST_NAMED} more"


def _money(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd.normalize():f}"


def _is_at_most(now_usd: str | None, confirmed_usd: str | None) -> bool:
    if now_usd is None or confirmed_usd is None:
        return now_usd == confirmed_usd
    return Decimal(now_usd) <= Decimal(confirmed_usd)


# Made once: ``json.dumps`` with options makes one per call.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


def _digest(value: object, *, digits: int = _PART_DIGITS) -> str:
    return hashlib.sha256(_canonical(value).encode("ascii")).hexdigest()[:digits]
