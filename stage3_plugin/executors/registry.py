"""From the word in ``executor.kind`` to what runs a model class, or to a refusal that says why not.

Ours are found like all others, by the entry-point group ``stage3.executors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import BaseModel, JsonValue, ValidationError

from stage3_plugin.errors import SettingsRefused
from stage3_plugin.executors.base import ExecutorType
from stage3_plugin.runtime.offers import NotOffered, Offers

EXECUTORS = Offers("stage3.executors", "executor")
"""What runs a model class, by its word in the settings."""
USUAL = "processes"
"""The kind where none is named."""


def executor_of(setting: Mapping[str, JsonValue]) -> tuple[ExecutorType, BaseModel]:
    """Return who runs a model class, and what the settings say to it; starts nothing.

    Args:
        setting: The table ``executor``.

    Raises:
        SettingsRefused: There is no such kind, it cannot be used, or does not take what is said.
    """
    kind = setting.get("kind", USUAL)
    if not isinstance(kind, str):
        raise SettingsRefused("executor.kind", "should be text, in quotes")
    found = _executor_named(kind)
    options = {name: value for name, value in setting.items() if name != "kind"}
    try:
        return found, found.Options.model_validate(options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(["executor", *map(str, first["loc"])])
        takes = ", ".join(sorted(found.Options.model_fields)) or "nothing"
        words = first["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
        if first["type"] == "extra_forbidden":
            words = f"is nothing that an executor of the kind {kind!r} takes"
        raise SettingsRefused(where, words, hint=f"{kind!r} takes {takes}") from None


def _executor_named(kind: str) -> ExecutorType:
    try:
        found = EXECUTORS.load(kind)
        if callable(found) and hasattr(found, "Options"):
            return cast("ExecutorType", found)
        problem = "it is no class of executors"
        raise EXECUTORS.unusable(kind, problem)
    except NotOffered as missing:
        hint = missing.hint
        raise SettingsRefused("executor.kind", str(missing), hint=hint) from missing.__cause__
