"""What a host and a plugin exchange, written down a line for each name, so that it can be frozen.

Run as a program it writes that of the ``host_stub`` that it finds: ``python frozen.py``.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from host_stub import commands, contract, hookspecs
from host_stub.events import schema


def described() -> Iterator[str]:
    """Yield a line for each name that is exchanged, sorted."""
    lines: set[str] = set()
    for module in (contract, commands):
        for name, shape in vars(module).items():
            if getattr(shape, "__module__", None) == module.__name__ and not name.startswith("_"):
                lines |= set(_of_shape(name, shape))
    for name in ("FailureCode", "CostBasis", "StaleReason", "PlannedState", "Role", "Lane"):
        closed = getattr(contract, name, None)
        lines |= {f"{name}: {value}" for value in typing.get_args(closed)}
    for name, hook in vars(hookspecs).items():
        if name.startswith("host_") and inspect.isfunction(hook):
            lines |= {f"hook {name}({', '.join(inspect.signature(hook).parameters)})"}
    for event in typing.get_args(typing.get_args(schema.StageEvent)[0]):
        (name,) = typing.get_args(event.model_fields["event"].annotation)
        for field, info in event.model_fields.items():
            lines.add(f"event {name}: {field}{'' if info.is_required() else '?'}")
    yield from sorted(lines)


def _of_shape(name: str, shape: Any) -> Iterator[str]:
    if not inspect.isclass(shape):
        return
    if issubclass(shape, BaseModel):
        for field, info in shape.model_fields.items():
            yield f"{name}.{field}{_mark(not info.is_required())}: {_written(shape, field)}"
    elif is_dataclass(shape):
        for one in fields(shape):
            is_given = one.default is MISSING and one.default_factory is MISSING
            yield f"{name}.{one.name}{_mark(not is_given)}: {_written(shape, one.name)}"
    else:
        for method, function in vars(shape).items():
            if not method.startswith("_") and inspect.isfunction(function):
                yield f"{name}.{method}({', '.join(inspect.signature(function).parameters)})"


def _mark(is_optional: bool) -> str:  # noqa: FBT001 - the one thing it is told
    return "?" if is_optional else ""


def _written(shape: type, field: str) -> str:
    """Return a field's type as its class has it in the source, whatever the Python."""
    return next(
        str(own[field]) for one in shape.__mro__ if field in (own := inspect.get_annotations(one))
    )


if __name__ == "__main__":
    print("\n".join(described()))
