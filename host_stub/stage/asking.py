"""What a run is asked to do, and what it asks its plugin for in turn.

A run, its plan and every look at the story make their request here, so that what is planned is what
is run. Nothing is decided about the plugin's part: which takes are missing, and what may be bought.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias, get_args

from host_stub.contract import Lane
from host_stub.decisions.prompts import DirectedScenes
from host_stub.errors import PluginError, UsageError
from host_stub.plugins.selection import SelectedPlugin
from host_stub.scenes.asked import AskedScenes, Shard
from host_stub.scenes.file import read_scenes
from host_stub.scenes.index import SceneFile
from host_stub.standing.standing import SceneStanding
from host_stub.story.book import SaidPrompt
from host_stub.story.takes import is_current
from host_stub.text.escape import escaped
from host_stub.text.file_names import expect_names
from host_stub.text.format import coded

if TYPE_CHECKING:  # loads structlog, and with it rich: a plan writes no events
    from host_stub.events.stream import Observer

Only: TypeAlias = Literal["missing", "stale"]
ONLY: Final[tuple[Only, ...]] = get_args(Only)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is asked to do.

    Attributes:
        scenes_path: The scene file.
        scenes_dir: Where the references of its scenes start; the file's own folder if absent.
        scene_ids: Only these scenes; empty means all.
        limit: At most so many scenes, from the first on.
        only: Only scenes that stand so; empty means all.
        decisions: Files and folders with decisions to obey first.
        takes: So many takes of each scene at least.
        lane: How to buy what a scene says no lane of, instead of the settings'.
        shard: Which part of the scenes comes first, where several drivers run the story.
        is_draft: Draw the story as drafts, for nothing.
        is_guest: The plugin is not the one that the config names: what it makes is shown only where
            nothing is.
        max_cost_usd: A cap for this run, handed to the plugin.
        confirm: The hash of a plan: nothing is bought that it has not; see
            :mod:`host_stub.stage.confirming`.
        out_dir: The folder for results; made if it is not there.
        journal: Where events are written, or ``None`` for nowhere.
        max_in_flight: A ceiling on scenes in work at once.
        observers: Called in this order.
        json_only: Say nothing; the caller prints ``RunReport.manifest``, or, if the run has to be
            left by force, the run itself does.
    """

    scenes_path: Path
    scenes_dir: Path | None = None
    scene_ids: tuple[str, ...] = ()
    limit: int | None = None
    only: frozenset[Only] = frozenset()
    decisions: tuple[Path, ...] = ()
    takes: int | None = None
    lane: Lane | None = None
    shard: Shard | None = None
    is_draft: bool = False
    is_guest: bool = False
    max_cost_usd: Decimal | None = None
    confirm: str | None = None
    out_dir: Path
    journal: Path | None
    max_in_flight: int
    observers: Sequence[Observer] = ()
    json_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The scenes of a run.

    Attributes:
        whole: All scenes of the file, as they are to be made.
        scenes: Those of them that are asked for.
    """

    whole: SceneFile
    scenes: SceneFile

    @classmethod
    def of(cls, options: RunOptions, said: Mapping[str, SaidPrompt]) -> Self:
        """Check the scene file, and return its scenes.

        Args:
            options: What is asked for.
            said: The prompts that decisions gave to scenes; what is added to it later holds, too.

        Raises:
            SceneFileError: The scene file cannot be used.
            UsageError: A scene was asked for that is not there.
            UnicodeEncodeError: A scene's files cannot be named here.
        """
        part = read_scenes(options.scenes_path, scene_ids=options.scene_ids, limit=options.limit)
        expect_names((scene.scene_id, "scene") for scene in part)

        def as_asked(scenes: SceneFile) -> SceneFile:
            return AskedScenes(DirectedScenes(scenes, said), least=options.takes)

        scenes = as_asked(part)
        if options.limit is None and not options.scene_ids:
            return cls(whole=scenes, scenes=scenes)
        return cls(whole=as_asked(read_scenes(options.scenes_path)), scenes=scenes)


def is_asked_for(standing: SceneStanding, only: frozenset[Only] = frozenset()) -> bool:
    """Return whether a run asks its plugin for a scene that stands so.

    A scene that is current is asked for as well: the plugin finds what is there. It is left out
    where an import stands for its picture, of which no plugin knows.

    Args:
        standing: How the scene stands.
        only: What the run is narrowed to. What is in doubt or on its way is missing where nothing
            is shown, else stale.
    """
    if only:
        state = standing.state
        if state in {"held", "pending"}:
            state = "missing" if standing.shown is None else "stale"
        return state in only
    due = standing.due
    is_stood_for = due is not None and due.is_import and is_current(due, standing.basis)
    return not (is_stood_for and standing.to_make == 0)


def for_drafts(plugin: SelectedPlugin) -> SelectedPlugin:
    """Return a plugin with the settings that it draws drafts with, for nothing.

    Raises:
        PluginError: It draws none.
    """
    settings = plugin.description.draft_settings
    if settings is None:
        raise PluginError(
            plugin.name,
            plugin.source,
            "draws no drafts",
            hint="leave --draft out, or name a plugin that draws them with --image",
        )
    return replace(
        plugin,
        settings=settings(plugin.settings),
        lacks=(),
        services=replace(plugin.services, settings_anew=None),  # those are not a draft's
    )


def guest_line(plugin: str) -> str:
    """Say what becomes of the pictures of a plugin that the config does not name."""
    return coded(
        "not_in_the_config",
        f"{escaped(plugin, limit=80)} is not the plugin of the config: what it makes are takes, "
        "shown only where a scene shows nothing",
    )


def check_options(options: RunOptions) -> None:
    """Refuse what cannot be asked for at once.

    Raises:
        UsageError: Such options are given.
    """
    if options.is_draft and options.lane is not None:
        raise UsageError("drafts cost nothing, in whichever lane", hint="leave --lane out")
    if options.is_draft and options.only:
        raise UsageError(
            "drafts are drawn of scenes however they stand",
            hint="leave --only out; --scene and --limit choose scenes",
        )
    if options.is_draft and options.confirm is not None:
        raise UsageError(
            "drafts cost nothing, and need not be confirmed", hint="leave --confirm out"
        )
    if options.decisions and (options.is_draft or options.is_guest):
        raise UsageError(
            "decisions are about the story's own pictures, neither drafts nor another plugin's",
            hint="leave --decisions out, or --draft and --image",
        )


def new_run_id(plugin: SelectedPlugin) -> str:
    """Name a run: by its time, so that names sort, and by chance, so that no two are the same."""
    now = plugin.services.now().astimezone(UTC)
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
