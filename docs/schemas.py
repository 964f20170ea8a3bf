"""Writes the schemas of what the commands of ``stage3`` say as JSON, from the reports' models.

Run it after a change of a report: ``python docs/schemas.py``. A test holds the files to it.
"""
# ruff: noqa: INP001  - a script beside the pages, not a module of a package

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from stage3_plugin import maintenance
from stage3_plugin.maintenance.report import Part, PurchaseKeys, Report
from stage3_plugin.maintenance.state_folder import StateFolder

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "stage3_plugin" / "maintenance" / "schemas"
ACTION = ROOT / "host_stub" / "cli" / "schemas" / "stage3-error.json"
"""It has what all documents have."""
MONEY = {
    "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
    "description": "US dollars, as a decimal string",
}


class _Schemas(GenerateJsonSchema):
    """Makes schemas of what a model is written as; which keys may be absent its class says."""

    def ser_schema(self, schema: Any) -> JsonSchemaValue | None:
        """Look behind what puts the keys of a purchase among the others."""
        return None if schema["type"] == "function-wrap" else super().ser_schema(schema)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Return the schema of a model, flat as it is written."""
        made, cls = super().model_schema(schema), schema["cls"]
        keys: dict[str, Any] = made.get("properties", {})
        said = {name: text for one in reversed(cls.__mro__) for name, text in _said_of(one)}
        keys = {
            name: value | ({"description": said[name]} if name in said else {})
            for name, value in keys.items()
        }
        optional = cls.optional if issubclass(cls, Part) else frozenset[str]()
        return {
            "type": "object",
            "properties": keys,
            "required": [name for name in keys if name not in optional],
        }

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """Return the schema of a value of the ledger's; all of its keys are always written."""
        made = super().dataclass_schema(schema)
        return made | {"required": list(made["properties"])}

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        """Return the schema of a state folder: where its ledger is."""
        assert schema["cls"] is StateFolder
        return {"type": "string"}


def _said_of(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the fields of a class, and what its docstring says of them."""
    _, _, block = (cls.__doc__ or "").partition("Attributes:\n")
    lines = textwrap.dedent(block)
    for name, text in re.findall(r"^(\w+): (.*(?:\n {4}.*)*)", lines, re.MULTILINE):
        yield name, " ".join(text.split())


def _plain(value: Any, purchase: Mapping[str, Any]) -> Any:
    """Say what is written: purchases' keys, and no titles and defaults, which are pydantic's."""
    if isinstance(value, list):
        return [_plain(one, purchase) for one in cast("Sequence[Any]", value)]
    if not isinstance(value, dict):
        return value
    known = cast("dict[str, Any]", value)
    if known.get("title") == PurchaseKeys.__name__:
        return purchase
    kept = {key: one for key, one in known.items() if key not in {"title", "default"}}
    if isinstance(kept.get("description"), str):
        kept["description"] = kept["description"].partition("\n\n")[0]
    keys = kept.pop("properties", None)
    kept = {key: _plain(one, purchase) for key, one in kept.items()}
    if keys is not None:
        keys = dict(_key(key, _plain(one, purchase)) for key, one in keys.items())
        kept["required"] = [_key(key, {})[0] for key in kept.get("required", keys)]
        if keys.pop("purchase", None) is not None:
            keys = purchase["properties"] | keys
            kept["required"] = list(dict.fromkeys([*purchase["required"], *kept["required"]]))
            kept["required"].remove("purchase")
        kept["properties"] = keys
    return kept


def _key(name: str, value: Mapping[str, Any]) -> tuple[str, Any]:
    """Return a key as it is written, with what stands there: amounts are written in dollars."""
    if not name.endswith("_microusd"):
        return name, value
    told = {**MONEY, **value, "type": ["string", "null"] if "anyOf" in value else "string"}
    return name.replace("_microusd", "_usd"), {
        key: one for key, one in told.items() if key != "anyOf"
    }


def reports() -> Iterator[type[Report]]:
    """Yield the classes of all reports."""
    for module in iter_modules(maintenance.__path__):
        import_module(f"{maintenance.__name__}.{module.name}")
    yield from sorted(Report.__subclasses__(), key=lambda one: one.format)


def _made(model: type[BaseModel], purchase: Mapping[str, Any]) -> Any:
    made = model.model_json_schema(mode="serialization", schema_generator=_Schemas)
    return _plain({key: one for key, one in made.items() if key != "title"}, purchase)


def _schema(found: list[type[Report]]) -> dict[str, Any]:
    """Return the schema of a document; some have more than one form, whose keys stand together."""
    bought = _made(PurchaseKeys, {})
    purchase = {key: bought[key] for key in ("type", "properties", "required")}
    made = [_made(one, purchase) for one in found]
    common = json.loads(ACTION.read_text(encoding="utf-8"))
    keys: dict[str, Any] = {"format": {"const": found[0].format}}
    parts: dict[str, Any] = bought["$defs"] if "/JobKeys" in json.dumps(made) else {}
    for one in made:
        parts = parts | one.get("$defs", {})
        for name, value in one["properties"].items():
            known = keys.setdefault(name, value)
            if known != value:
                keys[name] = {"anyOf": [*known.get("anyOf", [known]), value]}
    always = [name for name in keys if all(name in [*one["required"], "format"] for one in made)]
    return {
        "$schema": common["$schema"],
        "title": (found[0].__doc__ or "").split(".\n")[0].strip().rstrip("."),
        "type": "object",
        "properties": keys | {"next_actions": common["properties"]["next_actions"]},
        "required": [*always, "next_actions"],
        "$defs": {"action": common["$defs"]["action"], **parts},
    }


def schemas() -> Mapping[Path, str]:
    """Return the text of each file."""
    forms: dict[str, list[type[Report]]] = {}
    for one in reports():
        forms.setdefault(one.format, []).append(one)
    return {
        FOLDER / f"{name.partition('/')[0]}.json": json.dumps(_schema(found), indent=2) + "\n"
        for name, found in forms.items()
    }


if __name__ == "__main__":
    for path, text in schemas().items():
        path.write_text(text, encoding="utf-8")
