"""What a story asks of a provider that it is known not to take, gathered as its requests go by.

Apart from the stage, since a story may have thousands of scenes and a plan a few lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from stage3_plugin.domain.request import PictureRequest

MOST_ADVICE = 20
"""Lines of a plan about what a provider will not take; a story may have thousands of scenes."""


class Advice:
    """Requests that are looked at for what their maker is known not to take, as they go by.

    Attributes:
        lines: One for each kind of trouble, with the first scene that has it; none for what the
            settings alone have led to, which was said before.
    """

    def __init__(
        self,
        requests: Iterable[PictureRequest],
        advise: Callable[[PictureRequest], Iterable[str]],
        *,
        said_before: tuple[str, ...],
    ) -> None:
        self._requests = requests
        self._advise = advise
        self._said_before = said_before
        self._first: dict[str, str] = {}

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(f"scene {scene_id!r}: {line}" for line, scene_id in self._first.items())

    def __iter__(self) -> Iterator[PictureRequest]:
        for request in self._requests:
            for line in self._advise(request):
                if line not in self._said_before and len(self._first) < MOST_ADVICE:
                    self._first.setdefault(line, request.scene_id)
            yield request
