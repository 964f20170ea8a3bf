"""How the pictures of a run become takes.

A picture is looked at, and is at its place, before its take is written down: digest, media type and
size are those of its bytes, whatever its plugin says of it. Its take is durable before anything is
shown. All of it happens beside the event loop, in groups.

A thread of its own does this work that waits for a disk. What has come while one group was written
down is the next one, so that a disk is waited for as often as it lets us, and the event loop never.
Items come and go in order, and whoever is quicker than the disk waits for it in the end: memory
stays flat.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from host_stub.contract import SceneOutcome
from host_stub.errors import HostError
from host_stub.stage.survey import Inquiry
from host_stub.story.files import digest_of
from host_stub.story.pictures import EXTENSIONS, look_at
from host_stub.story.results import IMAGES
from host_stub.story.takes import NewTake
from host_stub.text.escape import escaped

MOST_AT_ONCE: Final = 200
MOST_QUEUED: Final = 1_000

T = TypeVar("T")


class Groups(Generic[T]):
    """Hands items over in groups.

    Args:
        write: Called with each group, in a thread of its own. What it raises is noted, and the
            groups that follow are written all the same.

    Attributes:
        failures: What it raised.
    """

    def __init__(self, write: Callable[[Sequence[T]], None]) -> None:
        self.failures: list[Exception] = []
        self._written = 0
        self._write = write
        self._queue: queue.Queue[tuple[T] | None] = queue.Queue(MOST_QUEUED)
        self._thread = threading.Thread(target=self._work, name="groups", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Take one item; it is written soon."""
        self._queue.put((item,))

    def close(self, patience_s: float | None = None) -> bool:
        """Write all that has come; nothing may come later.

        Args:
            patience_s: How long one group may take.

        Returns:
            Whether all is written: a disk may hang.
        """
        self._queue.put(None)
        written = -1
        while self._thread.is_alive() and written != self._written:
            written = self._written
            self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        goes_on = True
        while goes_on:
            group = [self._queue.get()]
            while len(group) < MOST_AT_ONCE and not self._queue.empty():
                group.append(self._queue.get())
            goes_on = None not in group
            items = [one[0] for one in group if one is not None]
            try:
                if items:
                    self._write(items)
            except Exception as error:  # noqa: BLE001 - whoever closes looks at it
                self.failures.append(error)
            self._written += 1


NO_PICTURE: Final = "application/octet-stream"
_KINDS: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".avif": "image/avif",
}
Present = Callable[[SceneOutcome], str | None]
"""Returns what an outcome's scene would be made from now, if that is known."""


@dataclass(frozen=True, slots=True)
class Lie:
    """A picture that is not what its plugin said.

    Attributes:
        told: As it was said to be.
        seen: What is another in its bytes, by the names of a manifest's row.
    """

    told: NewTake
    seen: Mapping[str, Any]

    def __str__(self) -> str:
        said = ", ".join(f"{name} {getattr(self.told, name)}" for name in self.seen)
        name, found = escaped(self.told.scene_id), ", ".join(map(str, self.seen.values()))
        return f"says {said} of the picture of {name}, which has {found}"


@dataclass(frozen=True, slots=True)
class _Arrival:
    told: NewTake
    basis_now: str | None
    picture: Path


@dataclass(frozen=True, slots=True)
class _Batch:
    arrivals: Sequence[_Arrival]
    is_found: bool = False


class TakingIn:
    """Writes down the pictures of one run.

    Args:
        asking: What the run was asked to do, and the story that keeps them.
        keeps_bytes: The plugin cannot give a picture back, so that its bytes are kept for it.
        present: What their scenes would be made from now.

    Attributes:
        lies: Pictures that are not what their plugin said.
    """

    def __init__(self, asking: Inquiry, *, keeps_bytes: bool, present: Present) -> None:
        self.lies: list[Lie] = []
        self._asking = asking
        self._options = asking.options
        self._story = asking.story
        self._keeps_bytes = keeps_bytes
        self._present = present
        self._failures: list[Exception] = []
        self._found: list[_Arrival] = []
        self._groups = Groups[_Batch](self._write)

    @property
    def failures(self) -> list[Exception]:
        """What went wrong; the pictures themselves are where their plugin put them."""
        return self._failures + self._groups.failures

    def take(self, outcome: SceneOutcome, row: Mapping[str, Any]) -> None:
        """Take one picture; it is written down soon, unless it was found and all of it is there."""
        assert outcome.image is not None, "only pictures become takes"
        arrival = _Arrival(self._new_take(outcome, row), self._basis_now(outcome), outcome.image)
        if outcome.reused:
            self._found.append(arrival)
            if len(self._found) == MOST_AT_ONCE:
                self._hand_over_found()
        else:
            self._hand_over_found()  # takes are numbered as they come
            self._groups.put(_Batch([arrival]))

    def _hand_over_found(self) -> None:
        """Have the pictures that were found looked at, all by one question."""
        found, self._found = self._found, []
        if found:
            self._groups.put(_Batch(found, is_found=True))

    def close(self, patience_s: float | None = None) -> bool:
        """Write down all that has come; return whether that could be done.

        Args:
            patience_s: How long a group of pictures may take.
        """
        self._hand_over_found()
        return self._groups.close(patience_s)

    def _write(self, group: Sequence[_Batch]) -> None:
        """Write down one group; a picture that cannot be had costs the others nothing."""
        arrivals: list[tuple[NewTake, str | None]] = []
        for one in itertools.chain.from_iterable(map(self._with_news, group)):
            try:
                arrivals.append((self._placed(one), one.basis_now))
            except (OSError, ValueError) as error:
                self._failures.append(error)
        try:
            if arrivals:
                self._story.take_in(arrivals, keep_bytes=self._keeps_bytes)
        except (OSError, HostError) as error:  # the next run takes in what is not noted
            self._failures.append(error)

    def _with_news(self, batch: _Batch) -> Sequence[_Arrival]:
        """Return those of a batch that there is anything to write down of."""
        if not batch.is_found:
            return batch.arrivals
        told = [(one.told, one.basis_now) for one in batch.arrivals]
        try:
            are_there = self._story.are_there(told, keep_bytes=self._keeps_bytes)
        except (OSError, HostError) as error:  # the next run looks again
            self._failures.append(error)
            return ()
        return [
            one
            for one, is_there in zip(batch.arrivals, are_there, strict=True)
            if not is_there or one.picture != self._story.files.place_of(one.told)
        ]

    def _basis_now(self, outcome: SceneOutcome) -> str | None:
        return None if self._options.is_guest or self._options.is_draft else self._present(outcome)

    def _placed(self, one: _Arrival) -> NewTake:
        """Put a picture at its place, where it is not there, and return its take."""
        told = one.told
        new = self._looked_at(told, one.picture)
        place = self._story.files.place_of(new)
        if place == one.picture:
            return new
        is_shown = one.picture.parent == self._options.out_dir / IMAGES
        # Not durable where the story's own copy will be.
        durable = is_shown or not self._keeps_bytes
        self._story.files.place(new, one.picture, durable=durable)
        if is_shown or self._story.files.place_of(told) == one.picture:
            one.picture.unlink(missing_ok=True)  # it would look edited by hand, or damaged
        return new

    def _looked_at(self, told: NewTake, picture: Path) -> NewTake:
        """Return a take as its bytes are; what was said of it otherwise is noted as a lie."""
        with picture.open("rb", buffering=0) as file:
            looks = look_at(file)
            file.seek(0)
            seen: dict[str, Any] = {"sha256": digest_of(file)}
        if looks is not None:
            seen |= asdict(looks)
        elif told.media_type in EXTENSIONS:  # of other kinds nothing is known here
            seen["media_type"] = NO_PICTURE
        is_another = {name: value for name, value in seen.items() if getattr(told, name) != value}
        if not is_another:
            return told
        self.lies.append(Lie(told, is_another))
        return replace(told, **is_another, row={**told.row, **is_another})

    def _new_take(self, outcome: SceneOutcome, row: Mapping[str, Any]) -> NewTake:
        asking = self._asking
        assert outcome.sha256 is not None, "a picture has a digest"
        assert outcome.image is not None, "it is a picture"
        assert outcome.width is not None, "and a size"
        assert outcome.height is not None, "and a size"
        params = row.get("generation_params", {})
        return NewTake(
            scene_id=outcome.scene_id,
            role=outcome.role,
            sha256=outcome.sha256,
            media_type=outcome.media_type or _kind_of(outcome.image),
            width=outcome.width,
            height=outcome.height,
            plugin=asking.plugin.name,
            purchase=outcome.purchase,
            basis=self._present(outcome),
            provider=_word(params, "provider"),
            model=_word(params, "model"),
            cost=outcome.bought_for or outcome.cost,  # that of the run says nothing of the picture
            is_draft=self._options.is_draft,
            made_at=outcome.made_at or asking.plugin.services.now(),
            run_id=asking.run_id,
            row={name: part for name, part in row.items() if name != "image_path"},
        )


def _word(params: Mapping[str, Any], name: str) -> str | None:
    word = params.get(name)
    return word if isinstance(word, str) else None


def _kind_of(picture: Path) -> str:
    """Return what a picture is by its name, where its plugin does not say."""
    return _KINDS.get(picture.suffix.lower(), NO_PICTURE)
