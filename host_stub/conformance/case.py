"""What a plugin's author brings so that all of the kit can be tried: settings, and a backend.

A case is found by the plugin's name in the entry-point group ``host_stub.conformance``, or in a
file (``--case FILE``, which defines ``case``). Every name in it has a default, so the least case is
``Case()``: it says that running the plugin with its default settings is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from host_stub.conformance.behaviours import Behaviour


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as a backend saw it.

    Attributes:
        scene_id: The scene it was for; empty if that cannot be told.
        begun_s: When it came, by ``time.monotonic()``.
        ended_s: When its answer was out, or its connection gone; ``None`` while it is in work.
        at_once: Requests that were in work at that moment, this one included.
        answer: What was answered, in a few words, such as ``429, wait 0.5 s``.
        billed_usd: What was charged for it.
    """

    scene_id: str
    begun_s: float
    ended_s: float | None = None
    at_once: int = 1
    answer: str = ""
    billed_usd: Decimal = Decimal(0)


class Backend(Protocol):
    """A stand-in for the service that a plugin asks, which can be told to misbehave.

    It knows a scene by its prompt: each prompt the kit sends holds the scene's id, between colons,
    and no other scene's. Its methods are called from the kit's thread while it serves in another.
    """

    @property
    def settings(self) -> Mapping[str, Any]:
        """What leads the plugin here, such as an address and a key; laid over the case's own."""
        ...

    @property
    def secrets(self) -> Sequence[str]:
        """The secrets among these settings, which must be seen nowhere."""
        ...

    def behave(self, scene_id: str, *script: Behaviour) -> None:
        """Answer the next requests for a scene so, one each; all further ones with ``Ok()``."""
        ...

    def calls(self, scene_id: str | None = None) -> Sequence[Call]:
        """Return the requests for a scene, or all there were, in the order in which they came."""
        ...

    def billed(self) -> Decimal:
        """Return what was charged for all of them."""
        ...


@runtime_checkable
class HasConnections(Protocol):
    """A backend that counts its connections, which is up to it."""

    def connections(self) -> int | None:
        """Return how many are open now; ``None`` where there is no such thing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is needed to run a plugin harmlessly.

    Attributes:
        settings: The plugin's config table, without what leads to the backend.
        backend: Starts the backend; it is stopped on leaving. ``None`` for a plugin without one.
        cannot: Names of behaviours that this service does not have, each with the reason.
        wrong_settings: Tables that the plugin has to refuse, by what is wrong with each; each is
            laid over ``settings``.
        sizes: Two sizes or more that can be asked for, ``WIDTHxHEIGHT``; without them those of the
            plugin's capabilities, or small ones.
        keeps: Names in the project's folder that the plugin may write, such as ``.cards``.
        patience_s: Seconds after which a run of a few scenes counts as hung.
        price_usd: What one picture costs at most, if it costs something and that is known.
        at_once: How many requests the plugin has in work at once, where it may; 1 for one that
            makes its pictures one by one.
        least_wait_s: The shortest wait that the backend can ask for with ``RateLimited``.
        impatient: Laid over the settings where a request is never answered: a timeout of a second
            or two. Those of the backend are generous instead, so that no slow machine breaks a
            rule.
    """

    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    backend: Callable[[], AbstractContextManager[Backend]] | None = None
    cannot: Mapping[str, str] = field(default_factory=dict[str, str])
    wrong_settings: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict[str, Mapping[str, Any]]
    )
    sizes: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    patience_s: float = 30.0
    price_usd: Decimal | None = None
    at_once: int = 2
    least_wait_s: float = 1.0
    impatient: Mapping[str, Any] = field(default_factory=dict[str, Any])
