"""What a plugin's settings accept, refuse, and say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from host_stub.conformance.lab import Lab
from host_stub.conformance.requirement import tries
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.errors import HostError, PluginSettingsError

UNKNOWN: Final = "no_such_setting_of_any_plugin"
WORD: Final = "conform-secret-5f1c9a2b7e"
_SECRET_NAMES: Final = re.compile(r"(?i)(?:^|_)(?:key|token|secret|password|passwd|credential)s?$")
_WRONG: Final[tuple[Any, ...]] = (
    [["a"]],
    {"a": {"b": ["c"]}},
    -1,
    10**40,
    float("nan"),
    "",
    "\x00",
    "\ud800",
    None,
    True,
)
"""Values that few settings expect."""


def _fields(model: type[BaseModel]) -> Iterator[str]:
    """Yield the keys under which a model's settings stand in a table."""
    for name, field in model.model_fields.items():
        yield field.alias or name


@tries("settings.typed", needs="description")
def typed(lab: Lab) -> str:
    """Load it: the loader wants a model."""
    return f"{lab.plugin.settings.__name__} has {len(lab.plugin.settings.model_fields)} settings"


@tries("settings.rejects-unknown", needs="description")
def rejects_unknown(lab: Lab) -> str:
    """Set what no plugin has."""
    try:
        lab.validated(lab.table(**{UNKNOWN: 1}))
    except PluginSettingsError as error:
        if any(UNKNOWN in problem.where for problem in error.problems):
            return f"{UNKNOWN} was refused"
        raise NotShown("its other settings are refused first, and a case would have them") from None
    raise Broken(f"a table with {UNKNOWN} = 1 was accepted")


@tries("settings.refuses-plainly", needs="description")
def refuses_plainly(lab: Lab) -> str:
    """Give every setting values that few settings expect."""
    tried = 0
    for name in _fields(lab.plugin.settings):
        for value in _WRONG:
            tried += 1
            try:
                lab.validated(lab.table(**{name: value}))
            except PluginSettingsError as error:
                for problem in error.problems:
                    if "settings model raised" in problem.what:
                        raise Broken(f"with {name} = {value!r}, {problem.what}") from None
    return f"{tried} values of {len(lab.plugin.settings.model_fields)} settings"


@tries("settings.hides-secrets", needs="description")
def hides_secrets(lab: Lab) -> str:
    """Give every setting a text, and look for it in the refusal, or in what settings show."""
    model, tried = lab.plugin.settings, 0
    for name in _fields(model):
        values: tuple[object, ...] = (WORD, [WORD], {"anything": [WORD]})
        for value in values:
            tried += 1
            where = f"with {name} set to {'a text' if value is WORD else 'a text in a list'}"
            try:
                settings = model.model_validate(lab.table(**{name: value}))
            except ValidationError as error:
                quotes = any(WORD in str(one.get("msg")) for one in error.errors())
                if WORD in str(error) and (quotes is False or _SECRET_NAMES.search(name)):
                    raise Broken(f"{where}, the refusal repeats it") from None
            except Exception:  # noqa: BLE001, S112 - another requirement is about that
                continue
            else:
                if _SECRET_NAMES.search(name) and WORD in repr(settings):
                    raise Broken(f"{where}, the settings' repr shows it: it wants SecretStr")
    return f"{tried} texts were given, and none was repeated"


@tries("settings.documented", needs="description")
def documented(lab: Lab) -> str:
    """Look for a description of each setting."""
    fields = lab.plugin.settings.model_fields
    bare = [name for name, field in fields.items() if not (field.description or "").strip()]
    if bare:
        raise Broken(f"no description: {', '.join(bare)}")
    return f"{len(fields)} settings, each with a description"


@tries("settings.schema", needs="description")
def schema(lab: Lab) -> str:
    """Make the JSON Schema that ``host-stub schema`` prints."""
    try:
        made: dict[str, Any] = lab.plugin.settings.model_json_schema()
        text = json.dumps(made)
    except Exception as error:
        raise Broken(f"making it raised {type(error).__name__}: {error}") from error
    return f"{len(text)} characters of JSON Schema"


@tries("settings.refused")
def refused(lab: Lab) -> str:
    """Give it the tables that the case calls wrong."""
    if not lab.case.wrong_settings:
        raise NotShown("the case names no wrong settings")
    for what, further in lab.case.wrong_settings.items():
        try:
            settings = lab.validated(lab.table(**further))
        except HostError:
            continue
        recorded = lab.run([], settings=settings)
        if recorded.opening is None and recorded.raised is None:
            raise Broken(f"{what}: it was accepted")
    return f"{len(lab.case.wrong_settings)} were refused: {', '.join(lab.case.wrong_settings)}"
