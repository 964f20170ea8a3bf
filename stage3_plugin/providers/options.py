"""What the setting ``options`` says, held to what one who makes pictures takes.

The model is the provider's own, and may be a stranger's. What the money rules own is refused before
it is asked: one request buys one picture, its answer comes as the program awaits it, and what every
request says by itself is not said twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from pydantic import BaseModel, JsonValue, ValidationError

from stage3_plugin.errors import ProviderBroken, SettingsRefused
from stage3_plugin.providers.models import who_has
from stage3_plugin.providers.tables import shipped
from stage3_plugin.settings import ProviderOptions


@cache
def reserved() -> Mapping[str, str]:
    """Return names that no provider's options may have, in whatever letters, and why."""
    rows = shipped("options.toml")["reserved"]
    return {name: row["why"] for row in rows for name in row["names"]}


def options_of(
    model: type[BaseModel], name: str, given: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Return the options as they are sent; those that are not set have no name.

    Args:
        model: What a provider takes; the ``Options`` of its class.
        name: The provider's word in the settings.
        given: What the settings say.

    Raises:
        SettingsRefused: One of them is not known, reserved, or has a value that it cannot have.
        ProviderBroken: Its model of them failed.
    """
    known = list(option_names(model))
    if takes_others(model):
        known.append("what the model has, by its own names")
    names = _reserved(model).items() if given else ()
    why_not = {_letters(option): why for option, why in names}
    for option in given:
        why = why_not.get(_letters(option))
        if why is not None:
            raise _refused(option, f"is no option: {why}", name, known)
    try:
        kept: dict[str, JsonValue] = model.model_validate(dict(given)).model_dump(
            mode="json", by_alias=True, exclude_unset=True
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise _unknown(where, given.get(where), name, known) from None
        raise _refused(where, first["msg"], name, known) from None
    except Exception as error:
        raise ProviderBroken(name, "Options", f"raised {type(error).__name__}") from error
    lost = next((option for option in given if option not in kept), None)
    if lost is not None:  # a model that passes over what it does not know
        raise _unknown(lost, given[lost], name, known)
    return kept


def option_names(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of the options that are known, sorted."""
    fields = model.model_fields.items()
    return tuple(sorted(field.serialization_alias or name for name, field in fields))


def takes_others(model: type[BaseModel]) -> bool:
    """Return whether there may be options beside those, such as single models have."""
    return model.model_config.get("extra") == "allow"


def _reserved(model: type[BaseModel]) -> Mapping[str, str]:
    own: Mapping[str, str] = model.reserved if issubclass(model, ProviderOptions) else {}
    return {**reserved(), **own}


def _letters(option: str) -> str:
    """Return a name without what spellings of it differ in: servers are not all strict."""
    return _NO_LETTER.sub("", option.casefold())


_NO_LETTER = re.compile("[^a-z0-9]")


def _unknown(option: str, value: JsonValue, name: str, known: Sequence[str]) -> SettingsRefused:
    having = who_has(option, value)
    others = f", but of models that begin with {having}" if having else ""
    return _refused(option, f"is not an option of provider {name!r}{others}", name, known)


def _refused(option: str, problem: str, name: str, known: Sequence[str]) -> SettingsRefused:
    hint = f"provider {name!r} takes {', '.join(known) or 'none'}"
    return SettingsRefused(f"options.{option}", problem, hint=hint)
