"""Scripts and books of a backend: what a case's service has in common with every other one.

An author's server, or the object that a plugin's client is pointed at, calls ``request`` for each
request for a picture and answers what that yields, in the words of the service it stands for.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal

from host_stub.conformance.behaviours import (
    Behaviour,
    CutShort,
    Empty,
    Garbage,
    Hang,
    NoPicture,
    Ok,
    Reset,
    TooLarge,
)
from host_stub.conformance.case import Call

_NAMED = re.compile(r":([A-Za-z0-9_-]+):")
_BILLED = (Ok, Garbage, Empty, NoPicture, Hang, Reset, CutShort, TooLarge)


def scene_of(prompt: str) -> str:
    """Return whose prompt it is: the kit puts the scene's id in, between colons."""
    named = _NAMED.search(prompt)
    return named[1] if named else ""


def is_billed(met: Behaviour) -> bool:
    """Return whether a service takes money for having done so."""
    return isinstance(met, _BILLED)


@dataclass(slots=True)
class Scripted:
    """Scripts and books; to be called from any thread, and from several.

    Attributes:
        price_usd: What a picture is billed.
    """

    price_usd: Decimal = Decimal(0)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    _scripts: dict[str, deque[Behaviour]] = field(
        default_factory=dict[str, deque[Behaviour]], init=False
    )
    _calls: list[Call] = field(default_factory=list[Call], init=False)
    _at_once: int = field(default=0, init=False)

    def behave(self, scene_id: str, *script: Behaviour) -> None:
        """Line up what the next requests for a scene meet; further ones meet ``Ok()``."""
        with self._lock:
            self._scripts.setdefault(scene_id, deque()).extend(script)

    def calls(self, scene_id: str | None = None) -> list[Call]:
        """Return the requests for a scene, or all there were, in the order in which they came."""
        with self._lock:
            return [one for one in self._calls if scene_id in {None, one.scene_id}]

    def billed(self) -> Decimal:
        """Return what was charged for all of them."""
        return sum((one.billed_usd for one in self.calls()), Decimal(0))

    @contextmanager
    def request(self, prompt: str) -> Generator[Behaviour]:
        """Yield what a request for a picture meets; it is in work until the block is left."""
        with self._lock:
            scene_id = scene_of(prompt)
            script = self._scripts.get(scene_id)
            met = script.popleft() if script else Ok()
            self._at_once += 1
            number = len(self._calls)
            self._calls.append(
                Call(
                    scene_id=scene_id,
                    begun_s=time.monotonic(),
                    at_once=self._at_once,
                    answer=type(met).__name__,
                    billed_usd=self.price_usd if is_billed(met) else Decimal(0),
                )
            )
        try:
            yield met
        finally:
            with self._lock:
                self._at_once -= 1
                self._calls[number] = replace(self._calls[number], ended_s=time.monotonic())
