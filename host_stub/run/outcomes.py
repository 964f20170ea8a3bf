"""What became of each scene: taken in as it ends, held on disk, returned in input order.

An outcome becomes a row of the manifest at once and goes to a spill file; memory keeps its place
there, some bytes per scene however many takes it has. The contract is checked here too: one outcome
for every take of a scene of the request and for every sheet, and for no other, with pictures that
exist and lie where they should.

The lines of one place in that file are a chain: each says where the one before it begins, so that
memory keeps eight bytes a place. It is written without a buffer: one that could not be emptied
would fail again at the next line, at every seek, and once more when the file is closed.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, cast

from host_stub.contract import MOST_TAKES, Cost, Event, Failure, Role, SceneOutcome
from host_stub.errors import ContractViolation, SceneFileError
from host_stub.events.journal import json_line
from host_stub.run.picture_paths import PicturePaths
from host_stub.run.taking_in import Lie
from host_stub.scenes.index import SceneFile
from host_stub.story.known_takes import publishable, row_of
from host_stub.text.redaction import Redactor

_NOWHERE = (1 << 64) - 1
_PLACE_BYTES = 8
_LENGTH_BYTES = 4


class Spill:
    """Some lines for each position, in whatever order they come.

    Args:
        file: Empty, open for reading and writing, without a buffer.
        positions: How many positions there are.
    """

    def __init__(self, file: BinaryIO, positions: int) -> None:
        self._file = file
        self._end = 0
        self._places = array("Q", [_NOWHERE]) * positions
        self._remembered: dict[int, list[bytes]] = {}

    def add(self) -> int:
        """Make room for one more position, and return it."""
        self._places.append(_NOWHERE)
        return len(self._places) - 1

    def put(self, position: int, line: bytes) -> None:
        """Keep a line; a disk that does not take it costs memory, and no line."""
        before = self._places[position].to_bytes(_PLACE_BYTES, "big")
        record = before + len(line).to_bytes(_LENGTH_BYTES, "big") + line
        try:
            self._file.seek(self._end)
            rest = memoryview(record)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._remembered.setdefault(position, []).append(line)
        else:
            self._places[position] = self._end
            self._end += len(record)

    def get(self, position: int) -> list[bytes]:
        """Return the lines at a position, those that the disk took first, in their order.

        Raises:
            OSError: The disk does not return them.
        """
        lines: list[bytes] = []
        place = self._places[position]
        while place != _NOWHERE:
            self._file.seek(place)
            place = int.from_bytes(self._read(_PLACE_BYTES), "big")
            lines.append(self._read(int.from_bytes(self._read(_LENGTH_BYTES), "big")))
        return lines[::-1] + self._remembered.get(position, [])

    def _read(self, length: int) -> bytes:
        read = bytearray()
        while len(read) < length:
            piece = self._file.read(length - len(read))
            if not piece:
                raise OSError("the file of outcomes is shorter than it was")
            read += piece
        return bytes(read)


MOST_VIOLATIONS = 20
"""Breaches of the contract named one by one; further ones are counted."""
Rows: TypeAlias = Literal["images", "sheets", "failures"]
"""The lists of a manifest."""
_OF_BYTES = {
    "sha256": "result.file-matches-hash",
    "media_type": "result.readable",
    "width": "result.real-size",
    "height": "result.real-size",
}
"""The rules about what a picture's bytes say, by the names of a row."""


@dataclass(slots=True)
class Totals:
    """What a run came to so far.

    Attributes:
        images: Takes of scenes and sheets that have a picture; all that follows counts both.
        reused: Those of them that an earlier run had made.
        failed: Takes without one, by code.
        known_usd: The sum of all costs that are known.
        unknown_costs: Scenes whose cost is not known.
        unpriced_images: Those of them that have their picture.
        unsettled: Scenes without a picture whose outcome or cost is unknown: money may be spent.
            A pending one is not among them: what became of it is known, with nothing to decide.
        busy_s: The sum of all scenes' durations.
        attempts: Requests sent.
        sheets: Pictures made beside those asked for, as far as they are known, ended or not.
        further: Takes beyond one a scene, ended or not, less the scenes that are left out.
        failed_sheets: Those of them that ended without one.
    """

    images: int = 0
    reused: int = 0
    failed: Counter[str] = field(default_factory=Counter[str])
    known_usd: Decimal = Decimal(0)
    unknown_costs: int = 0
    unpriced_images: int = 0
    unsettled: int = 0
    busy_s: float = 0.0
    attempts: int = 0
    sheets: int = 0
    further: int = 0
    failed_sheets: int = 0

    @property
    def ended(self) -> int:
        """How many outcomes there are: one for each take."""
        return self.images + self.failed.total()

    @property
    def pending(self) -> int:
        """How many scenes are bought, or accepted, and not here yet."""
        return self.failed["pending"]

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost of all of them; ``None`` as soon as one is unknown."""
        return None if self.unknown_costs else self.known_usd

    def add(self, outcome: SceneOutcome) -> None:
        """Count one more scene."""
        if outcome.failure is None:
            self.images += 1
            self.reused += outcome.reused
        else:
            self.failed_sheets += outcome.role == "sheet"
            code = outcome.failure.code
            self.failed[code] += 1
            is_open = code == "unknown" or outcome.cost.usd is None
            self.unsettled += is_open and code != "pending"
        if outcome.cost.usd is None:
            self.unknown_costs += 1
            self.unpriced_images += outcome.failure is None
        else:
            self.known_usd += outcome.cost.usd
        self.busy_s += outcome.duration_s
        self.attempts += outcome.attempts


class Outcomes:
    """Takes the outcomes of one run.

    Args:
        scenes: The scenes asked for.
        out_dir: Where pictures have to lie; it exists.
        plugin: The plugin's name in the config, for messages.
        source: Its distribution and version.
        redactor: Takes secrets out of what is kept.
        spill: An empty file, open for reading and writing, without a buffer.
        listener: Called with each outcome.
        taker: Called with each picture's outcome and its row, as it may be published.

    Attributes:
        totals: What they come to.
        violations: Where the plugin broke the contract, up to :data:`MOST_VIOLATIONS`.
        violation_count: How many there were in all.
    """

    def __init__(
        self,
        scenes: SceneFile,
        *,
        out_dir: Path,
        plugin: str,
        source: str,
        redactor: Redactor,
        spill: BinaryIO,
        listener: Callable[[SceneOutcome], None],
        taker: Callable[[SceneOutcome, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.totals = Totals()
        self.violations: list[ContractViolation] = []
        self.violation_count = 0
        self._scenes = scenes
        self._pictures = PicturePaths(out_dir)
        self._plugin = plugin
        self._source = source
        self._redactor = redactor
        self._spill = Spill(spill, len(scenes))
        self._listener = listener
        self._taker = taker
        self._wanted = bytearray(scenes.takes)
        self.totals.further = sum(self._wanted) - len(scenes)
        self._started = array("L", [0]) * len(scenes)
        self._ended = array("L", [0]) * len(scenes)
        self._sheets: dict[str, int] = {}
        self._told_costs: dict[tuple[str, int], Cost] = {}
        self._corrected: dict[tuple[str, int], Mapping[str, Any]] = {}

    def expect_sheets(self, ids: Iterable[str]) -> None:
        """Note which pictures are made beside those asked for; each needs an outcome as well."""
        for sheet_id in ids:
            self._position_of_sheet(sheet_id)

    def leave_out(self, scene_id: str) -> None:
        """Expect nothing of a scene: it needs no picture, or is not asked for after all."""
        position = self._scenes.positions.find(scene_id)
        if position is not None:
            self.totals.further -= self._wanted[position]
            self._wanted[position] = 0

    def started(self, scene_id: str, take: int = 1) -> None:
        """Remember that work on a take of a scene or a sheet has begun."""
        position = self._scenes.positions.find(scene_id)
        if position is None:
            position = self._sheets.get(scene_id)
        if position is not None and 1 <= take <= MOST_TAKES:
            self._started[position] |= _bit(take)

    def told_cost(self, event: Event) -> None:
        """Remember what an event says that a picture cost, until its outcome comes."""
        usd, basis = event["cost_usd"], event["cost_basis"]
        if usd is not None and basis != "unknown":
            cost = Cost(usd=Decimal(usd), basis=basis)
            self._told_costs[event["scene_id"], event.get("take") or 1] = cost

    def correct(self, lie: Lie) -> None:
        """Say of a picture what its bytes say, and name what its plugin said otherwise."""
        self._corrected[lie.told.scene_id, lie.told.row.get("take", 1)] = lie.seen
        self.violate(next(_OF_BYTES[name] for name in lie.seen), str(lie))

    def deliver(self, outcome: SceneOutcome) -> None:
        """Take one outcome; what breaks the contract is noted, and nothing is raised.

        An exception here would end the plugin's other scenes, which may be paid for.
        """
        if not isinstance(outcome, SceneOutcome):  # pyright: ignore[reportUnnecessaryIsInstance] - plugins need not be typed
            self.violate("result.complete", f"delivered {type(outcome).__name__}, not SceneOutcome")
            return
        name = _named(outcome.scene_id)
        is_sheet = outcome.role == "sheet"
        find = self._position_of_sheet if is_sheet else self._scenes.positions.find
        position = find(outcome.scene_id)
        if position is None or not self._least(position):
            if not is_sheet:
                self.violate("result.complete", f"delivered scene {name}, which was not asked for")
        elif self._ended[position] & _bit(outcome.take):
            which = "" if outcome.take == 1 else f"take {outcome.take} of "
            self.violate("result.complete", f"delivered {which}{outcome.role} {name} a second time")
        else:
            outcome = self._at_its_cost(publishable(outcome))
            self._keep(position, *self._with_its_picture(outcome))

    def violate(self, requirement: str, detail: str) -> None:
        """Note that the plugin broke a rule of the contract."""
        self.violation_count += 1
        if len(self.violations) < MOST_VIOLATIONS:
            detail = self._redactor.text(detail)
            self.violations.append(
                ContractViolation(self._plugin, requirement, detail, source=self._source)
            )

    def missing(self) -> int:
        """Count the takes and sheets that have no outcome yet."""
        totals = self.totals
        return len(self._scenes) + totals.sheets + totals.further - totals.ended

    def fill(self, why: str) -> None:
        """Add the outcomes that are missing: never tried, or cancelled if it was started.

        Args:
            why: One line for people.
        """
        if not self.missing():
            return
        for sheet_id, position in self._sheets.items():
            if not self._ended[position]:
                self._keep(position, self._not_made(sheet_id, position, why, role="sheet"))
        try:
            for position, scene in enumerate(self._scenes):
                self._fill(position, scene.scene_id, why)
        except SceneFileError:
            # The file is another one now. Its scenes still have to be accounted for.
            for position in range(len(self._scenes)):
                self._fill(
                    position, "", f"{why}; scene {position + 1} of a file that was changed since"
                )

    def _fill(self, position: int, scene_id: str, why: str) -> None:
        for take in range(1, self._wanted[position] + 1):
            if not self._ended[position] & _bit(take):
                self._keep(position, self._not_made(scene_id, position, why, take=take))

    def rows(self, kind: Rows) -> Iterator[bytes]:
        """Return the rows of one kind in input order, each one JSON object.

        Failures are those of sheets, which others may come of, and then those of scenes.

        Raises:
            OSError: The disk does not return them.
        """
        scenes = range(len(self._scenes))
        sheets = self._sheets.values()
        positions = {"images": scenes, "sheets": sheets, "failures": chain(sheets, scenes)}
        wanted = b"f" if kind == "failures" else b"i"
        for position in positions[kind]:
            yield from self._rows_at(position, wanted)

    def pictures_of(self, scene_id: str) -> list[dict[str, Any]]:
        """Return the rows of a scene's, or a sheet's, pictures of this run, by take.

        Raises:
            OSError: The disk does not return them.
        """
        position = self._scenes.positions.find(scene_id)
        if position is None:
            position = self._sheets.get(scene_id)
        rows = (
            [] if position is None else [json.loads(one) for one in self._rows_at(position, b"i")]
        )
        seen = (row | self._corrected.get((scene_id, row.get("take", 1)), {}) for row in rows)
        return sorted(seen, key=lambda row: row.get("take", 1))

    def _rows_at(self, position: int, kind: bytes) -> Iterator[bytes]:
        for line in self._spill.get(position):
            if line.startswith(kind):
                yield line[1:].rstrip()

    def _at_its_cost(self, outcome: SceneOutcome) -> SceneOutcome:
        """Return an outcome with the most that was said of its cost; to say two things is a lie."""
        told = self._told_costs.pop((outcome.scene_id, outcome.take), None)
        said = [outcome.cost, told or outcome.cost]
        steps = [one.cost for one in outcome.steps]
        if steps and all(one.usd is not None for one in steps):
            dearest = max(steps, key=_known_usd)
            said.append(Cost(usd=sum(map(_known_usd, steps), Decimal(0)), basis=dearest.basis))
        cost = max(said, key=_known_usd)
        figures = sorted({_known_usd(one) for one in said})
        name = f"{outcome.role} {_named(outcome.scene_id)}"
        if outcome.cost.usd is not None and len(figures) > 1:
            told_usd = " and ".join(f"${usd}" for usd in figures)
            self.violate("events.as-delivered", f"says that {name} cost {told_usd}")
            outcome = outcome.model_copy(update={"cost": cost})
        if outcome.reused and outcome.bought_for is None and told is not None:
            self.violate("events.as-delivered", f"says that {name} was found, and that it was made")
            outcome = outcome.model_copy(update={"reused": False})
        return outcome

    def _position_of_sheet(self, sheet_id: str) -> int | None:
        """Return a sheet's place behind all scenes; ``None``, and a breach, for a scene's id."""
        if self._scenes.positions.find(sheet_id) is not None:
            self.violate("result.complete", f"makes a sheet under a scene's id, {_named(sheet_id)}")
            return None
        if sheet_id not in self._sheets:
            self._sheets[sheet_id] = self._spill.add()
            self._started.append(0)
            self._ended.append(0)
            self.totals.sheets += 1
        return self._sheets[sheet_id]

    def _keep(self, position: int, outcome: SceneOutcome, image_path: str | None = None) -> None:
        row = row_of(outcome, image_path)
        written = json_line(row)
        if self._redactor.may_be_in(written):
            row = cast("Mapping[str, Any]", self._redactor.value(row))
            written = json_line(row)
        self._spill.put(position, (b"i" if image_path else b"f") + written)
        self._ended[position] |= _bit(outcome.take)
        if outcome.take > self._least(position):  # more were wanted of it than its file says
            self.totals.further += 1
        self.totals.add(outcome)
        if image_path is not None and self._taker is not None:
            self._taker(outcome, row)
        self._listener(outcome)

    def _least(self, position: int) -> int:
        """Return how many takes there have to be, at least."""
        return self._wanted[position] if position < len(self._wanted) else 1

    def _with_its_picture(self, outcome: SceneOutcome) -> tuple[SceneOutcome, str | None]:
        """Return an outcome with its picture's path; without one that can be used, a failure."""
        if outcome.image is None:
            return outcome, None
        image_path, fault = self._pictures.look(outcome.image)
        if fault is None:
            return outcome, image_path
        if fault == "missing":
            rule, breach = "result.no-partial-files", "names a picture that is not there"
        else:
            rule, breach = (
                "manners.writes-only-in-out-dir",
                "names a picture outside the out folder",
            )
        self.violate(rule, f"{outcome.role} {_named(outcome.scene_id)} {breach}")
        failure = Failure(code="storage", message=f"the plugin {breach}", retryable=True)
        parts = dict(outcome) | {"image": None, "sha256": None, "failure": failure}
        return SceneOutcome.model_validate(parts), None

    def _not_made(
        self, scene_id: str, position: int, why: str, *, role: Role = "scene", take: int = 1
    ) -> SceneOutcome:
        if self._started[position] & _bit(take):
            failure = Failure(code="cancelled", message=f"cut off: {why}", retryable=True)
            cost = Cost(usd=None, basis="unknown")
        else:
            failure = Failure(code="not_tried", message=f"never started: {why}", retryable=True)
            cost = Cost(usd=Decimal(0), basis="free")
        return SceneOutcome(scene_id=scene_id, role=role, take=take, failure=failure, cost=cost)


def _known_usd(cost: Cost) -> Decimal:
    return cost.usd or Decimal(0)


def _bit(take: int) -> int:
    return 1 << (take - 1)


def _named(scene_id: str) -> str:
    return json.dumps(scene_id[:80])
