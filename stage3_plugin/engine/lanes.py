"""Which lane pictures are bought by: the scene's own, else the run's, else the settings'.

A provider without a batch lane is found before anything is sent. What is drawn here comes at once
and for nothing, so that no lane means anything: that is said, and hinders nothing, since the same
story is drawn first and bought later.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from host_stub.contract import Lane
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.settings import Settings

_LONGEST_ID: Final = 80


class Lanes:
    """The lanes of one run, plan or look.

    Args:
        settings: What the user wants.
        route: The first one; those behind it have no other lane than the ordinary one.
        lane: What holds instead of the settings' lane where a scene says none.
        buys: What is asked for is bought, or planned; a mere look refuses no scene's lane.
    """

    def __init__(
        self, settings: Settings, route: Route, lane: Lane | None, *, buys: bool = True
    ) -> None:
        self._buys = buys
        self._route = route
        self.lane: Lane = lane or settings.lane
        self._is_unused = route.is_here and self.lane == "batch"

    @property
    def needs_look(self) -> bool:
        """Return whether a scene's own lane may be one that there is not."""
        return self._buys and self._route.batch is None and not self._route.is_here

    def warnings_but(self, said: Collection[str]) -> tuple[str, ...]:
        """Say that a batch was asked for where nobody is paid; as far as scenes were seen."""
        if not self._is_unused:
            return ()
        unused = f"a lane is set, and {self._provider!r} has no use for it"
        line = f"{unused}: its pictures come at once, and for nothing"
        return () if line in said else (line,)

    def check(self) -> None:
        """Refuse a lane that the provider does not have.

        Raises:
            SettingsRefused: It has no batch lane, and one is asked for.
        """
        if self.lane == "batch" and self.needs_look:
            raise SettingsRefused(
                "lane",
                f"provider {self._provider!r} has no batch lane",
                hint=f"leave the lane out, or name a provider that has one: {_who_has_one()}",
            )

    def need(self, request: PictureRequest) -> None:
        """Refuse a scene's own lane, if the provider does not have it.

        Raises:
            SettingsRefused: It has no batch lane, and this scene asks for one.
        """
        if request.lane == "batch" and self.needs_look:
            scene_id = request.scene_id[:_LONGEST_ID]
            raise SettingsRefused(
                "lane",
                f"scene {scene_id!r} is to be bought in a batch, and provider {self._provider!r} "
                "has no batch lane",
                hint="take the lane out of the scene file, or name a provider that has one: "
                f"{_who_has_one()}",
            )

    def of(self, request: PictureRequest) -> PictureRequest:
        """Return a request in its lane: the ordinary one where there is no other."""
        if request.lane == "ordinary" or self._route.batch is not None:
            return request
        if self._route.is_here:
            self._is_unused = True
        return request if self.needs_look else replace(request, lane="ordinary")

    @property
    def _provider(self) -> str:
        return self._route.endpoint.provider


def _who_has_one() -> str:
    from stage3_plugin.providers.registry import in_batches  # noqa: PLC0415 - imports them all

    return ", ".join(in_batches())
