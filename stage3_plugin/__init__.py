"""Stage3: scenes in, pictures out, and the money accounted for.

The names below are what callers of the original service import; a host loads
``stage3_plugin.hooks`` instead. They are imported when first asked for, so that a host can list
this plugin without loading an HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stage3_plugin.errors import Stage3Error
    from stage3_plugin.service import (
        ScenesFailed,
        Stage2Output,
        Stage3ImageGenerationService,
        Stage3Output,
    )

__all__ = [
    "ScenesFailed",
    "Stage2Output",
    "Stage3Error",
    "Stage3ImageGenerationService",
    "Stage3Output",
]

_HOMES = {
    "ScenesFailed": "service",
    "Stage2Output": "service",
    "Stage3Error": "errors",
    "Stage3ImageGenerationService": "service",
    "Stage3Output": "service",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
