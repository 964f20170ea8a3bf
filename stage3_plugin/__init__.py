"""Stage3: scenes in, pictures out, and the money accounted for.

The names below are for programs that call the stage themselves, and for callers of the original
service; a host loads ``stage3_plugin.hooks`` instead. They are imported when first asked for, so
that a host can list this plugin without loading an HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stage3_plugin.errors import NotStarted, SettingsRefused, Stage3Error
    from stage3_plugin.library.blocking import make_pictures, plan_pictures, wait_for_pictures
    from stage3_plugin.library.original import (
        ScenesFailed,
        Stage3ImageGenerationService,
        Stage3Output,
    )
    from stage3_plugin.library.result import (
        BudgetReached,
        Pictures,
        PicturesMissing,
        Progress,
        Summary,
        Waited,
    )
    from stage3_plugin.library.room import StageUnusable
    from stage3_plugin.library.run import PictureRun
    from stage3_plugin.library.scenes import ScenesRefused, Stage2Output
    from stage3_plugin.library.stage import PictureStage, open_stage
    from stage3_plugin.library.stopping import Stop
    from stage3_plugin.settings import Settings

__all__ = [
    "BudgetReached",
    "NotStarted",
    "PictureRun",
    "PictureStage",
    "Pictures",
    "PicturesMissing",
    "Progress",
    "ScenesFailed",
    "ScenesRefused",
    "Settings",
    "SettingsRefused",
    "Stage2Output",
    "Stage3Error",
    "Stage3ImageGenerationService",
    "Stage3Output",
    "StageUnusable",
    "Stop",
    "Summary",
    "Waited",
    "make_pictures",
    "open_stage",
    "plan_pictures",
    "wait_for_pictures",
]

_HOMES = {
    "errors": ("NotStarted", "SettingsRefused", "Stage3Error"),
    "library.blocking": ("make_pictures", "plan_pictures", "wait_for_pictures"),
    "library.original": (
        "ScenesFailed",
        "Stage3ImageGenerationService",
        "Stage3Output",
    ),
    "library.result": (
        "BudgetReached",
        "Pictures",
        "PicturesMissing",
        "Progress",
        "Summary",
        "Waited",
    ),
    "library.run": ("PictureRun",),
    "library.room": ("StageUnusable",),
    "library.scenes": ("ScenesRefused", "Stage2Output"),
    "library.stage": ("PictureStage", "open_stage"),
    "library.stopping": ("Stop",),
    "settings": ("Settings",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
