"""From the word in ``executor.kind`` to what runs a model class, or to a refusal that says why not.

Ours are found like all others, by the entry-point group ``stage3.executors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import cast

from pydantic import BaseModel, JsonValue, ValidationError

from stage3_plugin.errors import ExtraMissing, SettingsRefused
from stage3_plugin.executors.base import ExecutorType
from stage3_plugin.runtime.offers import Broken, NotOffered, Offers

EXECUTORS = Offers("stage3.executors")
"""What runs a model class, by its word in the settings."""
USUAL = "processes"
"""The kind where none is named."""


def executor_of(setting: Mapping[str, JsonValue]) -> tuple[ExecutorType, BaseModel]:
    """Return who runs a model class, and what the settings say to it; starts nothing.

    Args:
        setting: The table ``executor``.

    Raises:
        SettingsRefused: There is no such kind, it cannot be used, or does not take what is said.
        ExtraMissing: It needs what is not installed.
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
    except Broken as broken:
        if isinstance(broken.error, ExtraMissing):
            raise broken.error from None
        words = f"{type(broken.error).__name__}: {' '.join(str(broken.error).split())}"
        raise _unusable(kind, words) from broken.error
    except NotOffered as missing:
        raise _refused(missing) from None
    if not (callable(found) and hasattr(found, "Options")):
        raise _unusable(kind, "it is no class of executors")
    return cast("ExecutorType", found)


def _refused(missing: NotOffered) -> SettingsRefused:
    if missing.offers:
        them = " and ".join(f"{offer.source} ({offer.target})" for offer in missing.offers)
        words = f"more than one distribution offers the executor {missing.name!r}: {them}"
        return SettingsRefused("executor.kind", words, hint="uninstall all but one of them")
    near = get_close_matches(missing.name, EXECUTORS.names, n=1)
    hint = f"use one of {', '.join(EXECUTORS.names)}, or install the distribution that brings it"
    return SettingsRefused(
        "executor.kind",
        f"there is no executor {missing.name!r}",
        hint=f"did you mean {near[0]!r}? {hint}" if near else hint,
    )


def _unusable(kind: str, problem: str) -> SettingsRefused:
    offer = EXECUTORS.named(kind)
    return SettingsRefused(
        "executor.kind",
        f"executor {kind!r} of {offer.source} ({offer.target}) cannot be used: {problem}",
        hint="install it again with what it needs, or tell its author",
    )
