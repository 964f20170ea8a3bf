"""Which decisions can be obeyed, and why the others cannot.

Pure. A decision is bound to what its reviewer saw: it is stale when a take that it shows, rejects
or has seen is gone, or when the scene would be made as something else by now than the newest of the
takes that were seen. What came since changes nothing, and a decision that names nothing it has seen
is bound to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from host_stub.contract import MOST_TAKES, Role, Scene
from host_stub.decisions.merge import LONGEST_NAME, Decision, Merged, Note
from host_stub.errors import closest
from host_stub.story.book import SaidPrompt
from host_stub.story.takes import Take, is_current
from host_stub.text.escape import escaped

_MOST_IDS: Final = 10_000
"""Ids that a near one is looked for among, which takes a second or so."""
MOST_GUESSES: Final = 3
"""Unknown scenes that a near one is looked for: a file of another story has nothing but those."""
_WORDS: Final[Mapping[str, str]] = {
    "prompt": "its prompt is another",
    "reference": "a reference is another",
    "sheet": "a sheet or scene that it refers to shows another picture",
    "size": "its size is another",
    "quality": "its quality is another",
    "model": "it would be made by another model",
    "settings": "its settings are others",
}


class Standing(Protocol):
    """How a scene stands; :class:`host_stub.standing.standing.SceneStanding` is one."""

    @property
    def scene_id(self) -> str: ...
    @property
    def role(self) -> Role: ...
    @property
    def scene(self) -> Scene | None: ...
    @property
    def takes(self) -> Sequence[Take]: ...
    @property
    def basis(self) -> str | None: ...
    @property
    def reasons(self) -> Sequence[str]: ...
    @property
    def waits_for(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A decision that can be obeyed, in terms of its scene's takes.

    Attributes:
        decision: The decision.
        basis: What the scene would be made from now.
        show: The take to show.
        reject: Those that are not wanted, as far as that is not noted.
        keep: Those that were rejected, and are not any more.
        prompt: The new prompt; ``None`` if none is said, or it is the scene's already.
        without: What the scene would be made from without that prompt.
        learns: What the prompt makes of the scene's basis is not noted yet.
        takes: The takes of the scene, in case the book does not have them yet.
    """

    decision: Decision
    basis: str | None
    show: Take | None = None
    reject: tuple[Take, ...] = ()
    keep: tuple[Take, ...] = ()
    prompt: str | None = None
    without: str | None = None
    learns: bool = False
    takes: tuple[Take, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is to be done, and what is not.

    Attributes:
        orders: What is obeyed, in the order in which scenes were named.
        refused: Decisions that are not, each with its reason.
    """

    orders: tuple[Order, ...] = ()
    refused: tuple[Note, ...] = ()


class Bench:
    """Judges while the story is gone through: of a long one nothing is kept but what is decided.

    Args:
        merged: One decision for each scene.
        plugin: The name of the plugin that would make them.
        said: The prompts of earlier decisions that are in force, by scene.
    """

    def __init__(
        self,
        merged: Merged,
        *,
        plugin: str,
        said: Mapping[str, SaidPrompt] | None = None,
    ) -> None:
        self._decisions = merged.decisions
        self._plugin = plugin
        self._said = said or {}
        self._found: dict[str, Order | str] = {}
        self._names: list[str] = []
        self._guesses = 0

    def look(self, standing: Standing) -> None:
        """Judge the decision about this scene or sheet, if there is one."""
        if len(self._names) < _MOST_IDS:
            self._names.append(standing.scene_id)
        decision = self._decisions.get(standing.scene_id)
        if decision is not None:
            said = self._said.get(standing.scene_id)
            self._found[standing.scene_id] = judged(
                decision, standing, plugin=self._plugin, said=said
            )

    def close(self) -> Judged:
        """Return what came of it, when all of the story was looked at."""
        orders: list[Order] = []
        refused: list[Note] = []
        for scene_id in self._decisions:
            found = self._found.get(scene_id) or self._unknown(scene_id)
            if isinstance(found, Order):
                orders.append(found)
            else:
                refused.append(Note(scene_id=scene_id, why=found))
        return Judged(orders=tuple(orders), refused=tuple(refused))

    def _unknown(self, scene_id: str) -> str:
        self._guesses += 1
        is_guessed = self._guesses <= MOST_GUESSES
        near = closest(scene_id[:LONGEST_NAME], self._names) if is_guessed else None
        guess = f"; did you mean {escaped(near, limit=LONGEST_NAME)!r}?" if near else ""
        return f"the story has no such scene, and no such sheet{guess}"


def judged(
    decision: Decision,
    standing: Standing,
    *,
    plugin: str,
    said: SaidPrompt | None = None,
) -> Order | str:
    """Return what a decision comes to in its scene, or why it is refused.

    Args:
        decision: The decision.
        standing: How its scene stands.
        plugin: The name of the plugin that would make it.
        said: The prompt of an earlier decision that is in force there.
    """
    if said is not None and said.prompt != decision.prompt:
        said = None
    why = (
        _impossible(decision, standing)
        or _gone(decision, standing)
        or _stale(decision, standing, plugin, said)
        or _not_countable(decision, standing)
    )
    if why is not None:
        return why
    reject: tuple[Take, ...] = ()
    keep: tuple[Take, ...] = ()
    if decision.reject is not None:
        about = {*decision.seen, *decision.reject}
        seen = [one for one in standing.takes if not decision.seen or one.sha256 in about]
        reject = tuple(t for t in seen if t.sha256 in decision.reject and not t.is_rejected)
        keep = tuple(t for t in seen if t.sha256 not in decision.reject and t.is_rejected)
    is_new = (
        decision.prompt is not None
        and standing.scene is not None
        and decision.prompt != standing.scene.prompt
    )
    return Order(
        decision=decision,
        basis=standing.basis,
        show=_meant(decision.show, standing),
        reject=reject,
        keep=keep,
        prompt=decision.prompt if is_new else None,
        without=standing.basis if is_new or said is None else said.basis,
        learns=is_new or (said is not None and said.gave is None),
        takes=tuple(standing.takes),
    )


def _impossible(decision: Decision, standing: Standing) -> str | None:
    if decision.takes is not None and decision.takes > MOST_TAKES:
        return f"more takes are wanted than the {MOST_TAKES} that a scene can have"
    if decision.show is not None and decision.show in (decision.reject or ()):
        return f"it shows and rejects the same take, {decision.show[:12]}"
    if decision.prompt is not None and standing.scene is None:
        return "it is a sheet, whose words are in the config: change them there"
    return None


def _gone(decision: Decision, standing: Standing) -> str | None:
    there = {take.sha256 for take in standing.takes}
    named = (
        ("shows", (decision.show,) if decision.show else ()),
        ("rejects", decision.reject or ()),
        ("has seen", decision.seen),
    )
    for verb, hashes in named:
        for sha256 in hashes:
            if sha256 not in there:
                return f"the take {sha256[:12]} that it {verb} is gone: look, and decide again"
    return None


def _stale(
    decision: Decision, standing: Standing, plugin: str, said: SaidPrompt | None
) -> str | None:
    newest = newest_seen(decision.seen, standing.takes, plugin)
    if newest is None or is_current(newest, standing.basis):
        return None
    if said is not None and newest.basis == said.basis and said.gave in {None, standing.basis}:
        return None  # it has what it asks for: that is why the scene is another
    words = [_WORDS[reason] for reason in standing.reasons if reason in _WORDS]
    since = f" ({', '.join(words)})" if words else ""
    return f"it has changed since take {newest.number} was seen{since}: run, look, and decide again"


def _not_countable(decision: Decision, standing: Standing) -> str | None:
    """Refuse to count takes of what nobody knows yet."""
    if standing.basis is not None or (decision.takes or 1) == 1:
        return None
    names = ", ".join(escaped(one, limit=LONGEST_NAME) for one in standing.waits_for[:3])
    needed = f", {names}," if names else ""
    return f"a picture that it refers to{needed} is to be made first: run, and then decide"


def newest_seen(seen: Sequence[str], takes: Sequence[Take], plugin: str) -> Take | None:
    """Return the take that a decision is bound to: the newest that its reviewer had seen.

    A draft is not made from what the scene would be made from, and what another plugin made beside
    is not either: neither says anything of whether the scene has changed, where there is another.

    Args:
        seen: The takes that were seen, by their bytes.
        takes: The scene's takes, in their order.
        plugin: The name of the plugin that would make it.
    """
    finished = [take for take in takes if take.sha256 in seen and not take.is_draft]
    own = [take for take in finished if take.plugin == plugin or take.is_import]
    return next(reversed(own or finished), None)


def _meant(sha256: str | None, standing: Standing) -> Take | None:
    """Return the take with these bytes; of several the one that the scene would be made as."""
    same = [take for take in standing.takes if take.sha256 == sha256]
    current = [take for take in same if is_current(take, standing.basis)]
    return next(iter(current), None) or next(reversed(same), None)
