"""The ready model class as the driver sees it: refused, warned of and explained before it is made.

Nothing heavy is imported here; what can be known from files and settings is said at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.errors import SettingsRefused, need
from stage3_plugin.renderers.diffusion.folder import cache_of_hub, is_cached, is_name, problem_with
from stage3_plugin.renderers.diffusion.options import DECIDES_NOTHING, DiffusionOptions
from stage3_plugin.renderers.model import ModelClass
from stage3_plugin.settings import Settings

MODEL_CLASS = "stage3_plugin.renderers.diffusion.model:Diffusion"
"""Made in a replica, and never here."""

_GRID_PX = 8
"""Pipelines paint on a grid at least so coarse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyModel(ModelClass):
    """The ready model class; its ``weights`` are a whole path, or a name.

    What decides a picture of these is as it is written in the settings.
    """

    model_class: str = MODEL_CLASS
    what: str = "diffusers"

    @staticmethod
    def unmet(request: PictureRequest, /) -> tuple[str, ...]:
        """Name the wishes of a request that change nothing, by their field.

        There is one quality, pictures are opaque, and one reference is the most that is shown.
        """
        wishes = {
            "quality": request.quality != "medium",
            "characters": request.is_without_characters,
            "references": max(len(request.wishes), len(request.references)) > 1,
            "background": request.background == "transparent",
        }
        return tuple(name for name, is_unmet in wishes.items() if is_unmet)

    @staticmethod
    def refused(request: PictureRequest, /) -> str | None:
        """Say why a request can never be rendered; ``None`` if nothing is known against it."""
        return _off_the_grid(request.width_px, request.height_px)


def ready_model(
    settings: Settings, project_dir: Path, environment: Mapping[str, str] = os.environ
) -> ReadyModel:
    """Return the ready model class with these settings, if it can be made; reads small files.

    Args:
        settings: With ``provider = "local"`` and no ``model_class``, but weights.
        project_dir: Where a relative folder starts.
        environment: Of this process, and of its replicas.

    Raises:
        ExtraMissing: Torch or diffusers is not installed.
        SettingsRefused: An option is not known or has a value that it cannot have, or the weights
            cannot be loaded, as far as their files show.
    """
    options = _options(settings.model_args)
    weights = options.weights or settings.model or ""
    width_px, height_px = settings.default_size_px
    off = _off_the_grid(width_px, height_px)
    if off is not None:
        raise SettingsRefused("size", off)
    field = "model_args.weights" if options.weights else "model"
    is_here = settings.executor.get("kind", "processes") == "processes"
    if is_here:
        need("diffusers", setting="provider")
    found = (project_dir / Path(weights).expanduser()).absolute()
    is_folder = found.exists() or not is_name(weights)
    if is_folder and is_here:
        problem = problem_with(found, options.variant)
        if problem is not None:
            raise SettingsRefused(field, problem.what, hint=problem.hint)
    fetches = options.download and not is_folder
    if fetches and _is_offline(environment):
        fetches = False
    if is_here and not is_folder and not fetches:
        _need_cached(weights, field, environment, download=options.download)
    made_with = options.model_dump(mode="json", exclude_defaults=True)
    decides = {name: value for name, value in made_with.items() if name not in DECIDES_NOTHING}
    return ReadyModel(
        model_args=made_with | {"weights": str(found) if is_folder else weights},
        decides=decides | {"weights": weights},
        setting=field,
        at_once=options.at_once,
        warnings=(_fetched(weights, options.revision),) if fetches else (),
    )


def _options(given: Mapping[str, JsonValue]) -> DiffusionOptions:
    try:
        return DiffusionOptions.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        field = f"model_args.{where}" if where else "model_args"
        problem = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            problem = "is not an option of the ready model class"
        known = ", ".join(sorted(DiffusionOptions.model_fields))
        raise SettingsRefused(
            field, problem, hint=f"it takes {known}; a class of your own is named by model_class"
        ) from None


def _is_offline(environment: Mapping[str, str]) -> bool:
    said = environment.get("HF_HUB_OFFLINE") or environment.get("TRANSFORMERS_OFFLINE") or ""
    return said.upper() in {"1", "ON", "YES", "TRUE"}


def _need_cached(name: str, field: str, environment: Mapping[str, str], *, download: bool) -> None:
    cache = cache_of_hub(environment, Path.home())
    if is_cached(name, cache):
        return
    hint = (
        "unset HF_HUB_OFFLINE, which forbids fetching"
        if download
        else "add download = true to model_args to have it fetched from the Hugging Face Hub"
    )
    raise SettingsRefused(
        field,
        f"{name!r} is neither a folder nor in this machine's cache ({cache})",
        hint=f"{hint}, or name the folder of a pipeline",
    )


def _fetched(name: str, revision: str | None) -> Warned:
    state = f"its state {revision!r}" if revision else "whatever it holds by then"
    return coded(
        "weights_download",
        f"weights {name!r}: what this machine's cache lacks of them is fetched from the Hugging "
        f"Face Hub, {state}, because model_args say download = true; safetensors alone, and no "
        "code",
    )


def _off_the_grid(width_px: int, height_px: int) -> str | None:
    if width_px % _GRID_PX == 0 and height_px % _GRID_PX == 0:
        return None
    near = "x".join(
        str(max(1, round(side / _GRID_PX)) * _GRID_PX) for side in (width_px, height_px)
    )
    return (
        f"{width_px}x{height_px} is no size that diffusers paints: width and height are multiples "
        f"of {_GRID_PX}, such as {near}"
    )
