"""What a run will leave out and what it will replace, said before it begins.

A wish that is not sent and a picture that replaces another are no faults; but the person who pays
should know of them first. A plan goes through the story anyway; a run looks once, at its start, and
asks the ledger only about scenes of which there is something to say.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import anyio
import anyio.lowlevel

from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.states import State
from stage3_plugin.engine.steps import Steps
from stage3_plugin.errors import StorageFailed
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.purchase.takes import first_take, live_takes
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.placing import KEPT, names_of, place_of

_SCENES_A_TURN = 100


def _is_there(reference: str, folders: Iterable[Path]) -> bool:
    """Return whether a reference may be there: an address may, a file is in one of the folders."""
    if ":" in reference[2:]:  # behind the letter of a drive: an address of any scheme, or data
        return True
    try:
        return any((folder / reference).exists() for folder in folders)
    except (OSError, ValueError):  # a name that no file can have
        return False


@dataclass(kw_only=True)
class Notices:
    """What there is to say about a story before a run of it.

    Attributes:
        steps: Know what is asked for, and of whom.
        folders: Where references are looked for.
        images: The folder of results, if pictures in it may be replaced; it may not be there.
        was_said: Wishes that are not sent, by the settings alone.
        pictures: Knows what lies beside the story untouched.
        ledger: To read; empty if there is none yet.
    """

    steps: Steps
    folders: tuple[Path, ...]
    images: Path | None
    was_said: frozenset[str]
    pictures: Pictures
    ledger: Ledger
    _by_kind: dict[tuple[object, ...], list[str]] = field(
        default_factory=dict[tuple[object, ...], list[str]]
    )
    _left_out: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    _missing: dict[str, str] = field(default_factory=dict[str, str])
    _first_replaced: str = ""
    _replaced: int = 0

    def look(self, request: PictureRequest, *, foreseen: bool | None = None) -> None:
        """Look at one scene; the ledger is asked only where there is something to say.

        Args:
            request: Its picture.
            foreseen: Whether anything would be sent for it, where a plan knows that already.
        """
        folder, dropped = self.images, self._to_say(request)
        name = next((one for one in names_of(request) if one in self._there), None)
        if folder is None or name is None:
            if dropped and self._will_be_made(request, foreseen=foreseen):
                self._leave_out(request, dropped)
            return
        keys = self.steps.keys_of(request)
        if foreseen is None:  # quicker than to read a purchase
            sha256 = self.ledger.live_picture(keys.scene_key)
            if sha256 is not None and self.pictures.is_copy(sha256, folder, name):
                return
        if self._will_be_made(request, foreseen=foreseen):
            self._leave_out(request, dropped)
            # What was paid for elsewhere is said apart, with the price.
            if self.ledger.paid_elsewhere(keys) is None:
                self._replace(name)
            return
        purchase = first_take(self.ledger, keys)
        if purchase is None or purchase.picture is None or purchase.state is not State.PAID:
            return
        path = place_of(purchase.picture, folder, request)
        if not self.pictures.is_copy(purchase.picture.sha256, folder, path.name):
            self._replace(name)

    def _will_be_made(self, request: PictureRequest, *, foreseen: bool | None) -> bool:
        if foreseen is not None:
            return foreseen
        keys, wanted = self.steps.keys_of(request), request.takes
        if wanted == 1:
            return first_take(self.ledger, keys) is None
        return len(live_takes(self.ledger, keys, wanted=wanted)) < wanted

    def _to_say(self, request: PictureRequest) -> list[str]:
        kind = wishes_of(request)
        if kind not in self._by_kind:
            dropped = self.steps.routes[0].dropped(request)
            self._by_kind[kind] = [wish for wish in dropped if wish not in self.was_said]
        return self._by_kind[kind]

    async def look_at_all(
        self,
        requests: Iterable[PictureRequest],
        stopping: anyio.Event,
    ) -> None:
        """Look at a whole story, unless the run is to stop meanwhile.

        A story or a ledger that breaks is not reported here: the run comes to the same place, and
        brings to an end what it has in work by then.
        """
        with suppress(StorageFailed):
            for number, request in enumerate(readable(requests), start=1):
                self.look(request)
                if number % _SCENES_A_TURN == 0:
                    await anyio.lowlevel.checkpoint()
                    if stopping.is_set():
                        return

    @cached_property
    def _there(self) -> frozenset[str]:
        with suppress(OSError):
            return frozenset(os.listdir(self.images) if self.images else ())  # noqa: PTH208 - names are all it needs
        return frozenset()

    def _replace(self, name: str) -> None:
        self._first_replaced = self._first_replaced or name
        self._replaced += 1

    def _leave_out(self, request: PictureRequest, dropped: Iterable[str]) -> None:
        """Count what one scene will go without."""
        for wish in dropped:
            count, first = self._left_out.get(wish, (0, request.scene_id))
            self._left_out[wish] = (count + 1, first)
        for reference in request.references:
            if reference not in self._missing and not _is_there(reference, self.folders):
                self._missing[reference] = request.scene_id

    def warnings(self) -> tuple[Warned, ...]:
        """Return all there is to say, a line each."""
        lines = [
            coded(
                "wish_left_out",
                f"{wish} of {_counted(count, 'scene')} (the first is {first!r}) will be left out: "
                f"{self.steps.routes[0].endpoint.provider} is not asked for that",
            )
            for wish, (count, first) in self._left_out.items()
        ]
        if self._missing:
            reference, scene_id = next(iter(self._missing.items()))
            count = _counted(len(self._missing), "reference")
            is_one = len(self._missing) == 1
            line = (
                f"{count} {'is' if is_one else 'are'} not there: "
                f"{'' if is_one else 'the first is '}{reference!r} of scene {scene_id!r}"
            )
            lines.append(coded("reference_missing", line))
        if self._replaced and self.images is not None:
            is_one = self._replaced == 1
            first = self._first_replaced if is_one else f"the first is {self._first_replaced}"
            folder = from_here(self.images)
            line = (
                f"{_counted(self._replaced, 'picture')} in {folder} will be replaced by what this "
                f"run finds or makes ({first}). What this ledger bought stays in it: the settings "
                "it was bought with put it back, and nothing is paid again. Any other is kept in "
                f"{folder / KEPT}. Another folder for results leaves all alone"
            )
            lines.append(coded("pictures_replaced", line))
        return tuple(lines)


def wishes_of(request: PictureRequest) -> tuple[object, ...]:
    """Return what decides which wishes of a request are left out; its words do not."""
    return (
        request.model,
        request.quality,
        request.size,
        request.output_format,
        request.background,
        request.seed is None,
        request.negative_prompt is None,
        bool(request.unsaid_tags),
        request.is_without_characters,
        len(request.shown),
        len(request.wishes),
        len(request.references),
    )


def readable(requests: Iterable[PictureRequest]) -> Iterator[PictureRequest]:
    """Yield a story's scenes as far as it can be read; hide its own fault, and no other."""
    scenes = iter(requests)
    while True:
        try:
            request = next(scenes)
        except Exception:  # noqa: BLE001 - its end, or what the run meets at the same place
            return
        yield request


def from_here(path: Path) -> Path:
    """Return a path as it is written in the current folder, if it is below that."""
    with suppress(OSError, ValueError):  # the folder may be gone by now
        return path.relative_to(Path.cwd())
    return path


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"
