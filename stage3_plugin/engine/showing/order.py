"""Scenes as those they refer to come to an end: a scene waits for these and for no others.

It waits here, outside dispatch, so that it holds no capacity and is not looked at again before its
last reference is there. Scenes behind it in the file go before it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator

from stage3_plugin.domain.events import SceneWaiting
from stage3_plugin.engine.dispatch import Peekable
from stage3_plugin.engine.scene_state import SceneState
from stage3_plugin.engine.showing.references import SceneReferences
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.clock import clock

MOST_HELD_BACK = 1024
"""Scenes held back before no further ones are looked at, so that none of a long story are read far
ahead; as long as one of those that they wait for is under way."""


class InOrder(Peekable[SceneState]):
    """The scenes of a run, each when what it refers to has ended.

    Args:
        scenes: In the order of the story.
        needs: What each has to wait for; it says when a take that is shown has ended.

    Attributes:
        released: Called when some need wait no longer.
    """

    def __init__(self, scenes: Iterator[SceneState], needs: SceneReferences) -> None:
        super().__init__(scenes)
        self._needs = needs
        self.released: Callable[[], None] = lambda: None
        self._held: dict[int, SceneState] = {}
        """Those that wait, by their numbers, in the order in which they came."""
        self._held_by = defaultdict[str, list[int]](list)
        """The number of each, by one that it waits for."""
        self._came = 0
        self._free = deque[SceneState]()
        self._under_way = set[str]()
        self._is_over = False
        self._now = clock()
        needs.on_end = self._ended

    @property
    def holds_back(self) -> bool:
        """Return whether scenes wait for others."""
        return bool(self._held)

    def __bool__(self) -> bool:
        """Return whether one may start.

        Raises:
            Exception: Whatever the scenes raised.
        """
        while not self._next:
            if self._free:
                self._next.append(self._free.popleft())
            elif len(self._held) >= MOST_HELD_BACK and self._under_way:
                return False
            else:
                scene = next(self._items, None)
                if scene is None:
                    return False
                self._take(scene)
        return True

    def _take(self, scene: SceneState) -> None:
        needs = () if self._is_over else self._needs.needs(scene.request)
        if needs:
            self._came += 1
            self._held[self._came] = scene
            self._held_by[needs[0]].append(self._came)
            scene_id = scene.request.scene_id
            trace.event(SceneWaiting(scene_id=scene_id, take=scene.take, waits_for=needs))
        else:
            self._next.append(scene)

    def __next__(self) -> SceneState:
        """Return the next one that may start."""
        if not self:
            raise StopIteration
        scene = self._next.pop()
        if scene.request.scene_id in self._needs.scenes:
            self._under_way.add(scene.request.scene_id)
        return scene

    def _ended(self, scene_id: str) -> None:
        """Release what has waited for a scene last, since its picture is there or never comes."""
        self._under_way.discard(scene_id)
        if self._needs.scenes[scene_id].is_awaited:
            return
        released: list[SceneState] = []
        for number in sorted(self._held_by.pop(scene_id, ())):
            needs = self._needs.needs(self._held[number].request)
            if needs:
                self._held_by[needs[0]].append(number)
            else:
                released.append(self._held.pop(number))
        if released:
            for scene in released:
                scene.queued_at = self._now()  # from now on it waits for capacity
            self._free.extend(released)
            self.released()

    def hold_nothing_back(self) -> None:
        """Let every scene through, since none will be made any more."""
        self._is_over = True
        self._free.extend(self._held.values())
        self._held.clear()
        self._held_by.clear()
