"""Pictures that an earlier version bought without what their scenes ask for now.

It sent no references, and knew no model or quality of a scene's own. What it bought stays the
scene's picture, so that an upgrade buys nothing by itself; but the person should know of it, and
how to have such a picture made anew. What was made without style tags that a scene has does not
stay, whether a version did not send them or they are new: that is said before it is paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from stage3_plugin.domain.keys import Ignored, Keys
from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.states import State

_ORDER: tuple[Ignored, ...] = ("references", "model", "quality", "style_tags")
_WITHOUT: Mapping[Ignored, str] = {
    "references": "references",
    "model": "the scene's own model",
    "quality": "the scene's own quality",
    "style_tags": "style tags",
}


@dataclass
class Earlier:
    """Counts scenes with such pictures, by what these were made without."""

    _scenes: dict[tuple[Ignored, ...], tuple[int, str]] = field(
        default_factory=dict[tuple[Ignored, ...], tuple[int, str]]
    )

    def add(self, request: PictureRequest, ignored: AbstractSet[Ignored]) -> None:
        """Count a scene whose picture is there, unless it was made with all that is asked for."""
        if ignored:
            named = tuple(sorted(ignored, key=_ORDER.index))
            count, first = self._scenes.get(named, (0, request.scene_id))
            self._scenes[named] = (count + 1, first)

    def add_untagged(
        self,
        request: PictureRequest,
        keys_of: Callable[[PictureRequest], Keys],
        found: Callable[[Keys], Purchase | None],
    ) -> None:
        """Count a scene that will be made, if it has a picture, and all without its style tags."""
        keys, bare = keys_of(request), keys_of(replace(request, style_tags=()))
        there = found(bare) if bare.present != keys.present and found(keys) is None else None
        if there is not None and there.state is State.PAID:
            self.add(request, frozenset({"style_tags"}))

    def warnings(self) -> tuple[str, ...]:
        """Return a line for each kind."""
        return tuple(_line(named, count, first) for named, (count, first) in self._scenes.items())


def _line(named: tuple[Ignored, ...], count: int, first: str) -> str:
    *others, last = (_WITHOUT[one] for one in named)
    without = f"{', '.join(others)} and {last}" if others else last
    is_one = count == 1
    whose = f"scene {first!r}" if is_one else f"{count:,} scenes (the first is {first!r})"
    pictures = f"the picture{'' if is_one else 's'} of {whose} {'was' if is_one else 'were'}"
    if "style_tags" in named:
        return (
            f"{pictures} made without {without}, which are sent now, and would be bought anew with "
            'them: style_tags = "drop" sends none, and keeps what is there'
        )
    return (
        f"{pictures} bought by an earlier version, without {without}; "
        f"{'it counts' if is_one else 'they count'} as current and nothing is paid again: to have "
        "one made anew, change its scene's prompt"
    )
