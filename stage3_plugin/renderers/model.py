"""``provider = "local"`` as the stage sees it: a model class of the user's, run by an executor.

It is free, and needs no network that this program would know of. The class itself is never imported
here: :mod:`.replica` does that, in another process or on another machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import pybase64
from pydantic import JsonValue

from stage3_plugin.domain.events import Warned
from stage3_plugin.domain.model import ModelReference, ModelRequest
from stage3_plugin.domain.reference import Reference
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import JobFailed, NoWorker, WorkerLost, WorkUnusable
from stage3_plugin.executors.base import Executor
from stage3_plugin.renderers.base import not_drawn
from stage3_plugin.renderers.replica import PLAIN, job_of

LOST_TRIES = 3
"""In all for one scene whose replica is lost over it: if it is the scene that kills them, each has
its model to load again."""
LEAST_LOST_IN_A_ROW = 10
"""So many replicas that are lost one after the other, without one picture, are no chance;"""
LOST_OF_EACH_SLOT = 4
"""and where there are many, so many for each: a machine that is gone takes all of its own along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelClass:
    """A model class, the user's or the ready one, and what is known of it before it is made.

    Attributes:
        model_class: ``module:Class``.
        model_args: What it is made with.
        decides: What of that decides a picture.
        what: What it is called in what is said.
        setting: Which setting names it.
        at_once: How many pictures it renders in one call.
        warnings: What is to be said of the settings before a run.
    """

    model_class: str
    model_args: Mapping[str, JsonValue]
    decides: Mapping[str, JsonValue]
    what: str
    setting: str
    at_once: int = 1
    warnings: tuple[Warned, ...] = ()

    @staticmethod
    def unmet(_request: PictureRequest, /) -> tuple[str, ...]:
        """Name the wishes of a request that change nothing, by their field.

        A class of the user's is told all, and what it makes of that is its own.
        """
        return ()

    @staticmethod
    def refused(_request: PictureRequest, /) -> str | None:
        """Say why a request can never be rendered; ``None`` if nothing is known against it."""
        return None


class ModelRenderer:
    """Has pictures rendered by a model class.

    Args:
        executor: Does :data:`~stage3_plugin.renderers.replica.WORK`.
        model: The class.
        decides: From :func:`decided_by`.
    """

    def __init__(self, executor: Executor, model: ModelClass, decides: str) -> None:
        self._executor = executor
        self._model = model
        self._decides = decides
        self._lost_in_a_row = 0

    def unmet(self, request: PictureRequest) -> tuple[str, ...]:
        """Name the wishes of a request that change nothing, by their field."""
        return self._model.unmet(request)

    def advise(self, request: PictureRequest) -> tuple[str, ...]:
        """Say of a request what will keep it from being rendered."""
        refused = self._model.refused(request)
        return () if refused is None else (refused,)

    async def study(self, story: Iterable[PictureRequest]) -> None:
        """Look at nothing: each picture stands for itself."""

    def edition(self, request: PictureRequest) -> str:
        """Name what decides a picture beside what every key holds: the class, and what it sees."""
        sees = json.dumps(
            [request.characters, request.style_tags, request.extra], sort_keys=True, default=str
        )
        return hashlib.sha256(f"{self._decides}\n{sees}".encode("ascii")).hexdigest()

    async def render(self, request: PictureRequest, path: Path) -> Verdict | None:
        """Have a picture rendered, or return why it is not; ``path`` is there only when whole.

        Raises:
            StorageFailed: The disk did not take it.
        """
        what = f"scene {request.scene_id[:40]!r}"
        refused = self._model.refused(request)
        if refused is not None:
            return not_drawn(f"{what} cannot be rendered: {refused}", may_pass=False)
        if request.shown:
            job = await anyio.to_thread.run_sync(partial(self._job, request))
        else:
            job = self._job(request)
        try:
            await self._executor.run(job, path)
        except JobFailed as error:
            self._lost_in_a_row = 0
            problem = f"{self._model.what} could not render {what}: {error}"
            return not_drawn(problem, may_pass=error.may_pass)
        except WorkUnusable as error:
            of = "" if self._model.what in error.problem else f"{self._model.what}: "
            problem = (
                f"setting {self._model.setting!r}: {of}{error}; no picture can be made before that "
                "is mended"
            )
            return Verdict(kind=VerdictKind.REJECTED, message=problem, stops_run=True)
        except NoWorker as error:
            return self._lost(f"no replica can be started for {what}: {error}")
        except WorkerLost as lost:
            words = f"; its last words: {lost.last_words}" if lost.last_words else ""
            return self._lost(f"the replica of {self._model.what} {lost.how} over {what}{words}")
        self._lost_in_a_row = 0
        return None

    def _lost(self, said: str) -> Verdict:
        """Count one that is lost; where nothing else happens, the run is not to go on with it."""
        self._lost_in_a_row += 1
        most = max(LEAST_LOST_IN_A_ROW, LOST_OF_EACH_SLOT * self._executor.slots)
        ends_run = self._lost_in_a_row >= most
        row = f" ({self._lost_in_a_row} in a row, and not one picture)" if ends_run else ""
        return Verdict(
            kind=VerdictKind.BUSY, message=f"{said}{row}", stops_run=ends_run, most_tries=LOST_TRIES
        )

    def _job(self, request: PictureRequest) -> bytes:
        shown = tuple(self._reference(one, labels=request.labels) for one in request.shown)
        told: dict[str, Any] = {name: getattr(request, name) for name in PLAIN}
        return job_of(ModelRequest(references=shown, **told))

    def _reference(self, shown: Reference, *, labels: bool) -> ModelReference:
        return ModelReference(
            data=pybase64.b64decode(shown.sent.base64()[:]),
            media_type=shown.sent.media_type,
            name=shown.wish.name if labels else None,
            role=shown.wish.role,
            sha256=shown.sha256,
        )


def decided_by(model: ModelClass, edition: str, *, hidden: Callable[[str], str] = str) -> str:
    """Name what decides every picture of a model class, so that another one makes them anew.

    Args:
        model: The class.
        edition: The user's word for what nothing else of the settings says.
        hidden: Takes secrets out of a text: another token is no other picture.
    """
    decides = {
        "model_class": model.model_class,
        "edition": edition,
        "model_args": dict(model.decides),
    }
    return hidden(json.dumps(decides, sort_keys=True))
