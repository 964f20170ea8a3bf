"""What a replica is sent: how its model class is made, and one picture; JSON, and bytes behind it.

Both ends import this module, which loads nothing heavy. JSON and not pickle: it says nothing but
data, and people can read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, cast

from stage3_plugin.domain.model import ModelReference, ModelRequest

PLAIN = tuple(one.name for one in fields(ModelRequest) if one.name != "references")
"""What a model class is told in plain values, by the names that a request has for it."""
_LISTS = frozenset({"characters", "style_tags"})
_OF_A_REFERENCE = tuple(one.name for one in fields(ModelReference) if one.name != "data")


def setup_of(model_class: str, model_args: Mapping[str, Any]) -> bytes:
    """Write down how a model class is made.

    Args:
        model_class: ``module:Class``.
        model_args: What it is called with, by name: JSON values.
    """
    return json.dumps({"model_class": model_class, "model_args": dict(model_args)}).encode("ascii")


def setup_from(setup: bytes) -> tuple[str, dict[str, Any]]:
    """Read what :func:`setup_of` wrote."""
    document: Mapping[str, Any] = json.loads(setup)
    return document["model_class"], dict(document["model_args"])


def job_of(request: ModelRequest) -> bytes:
    """Write a request down: a line of JSON, and the bytes of its references behind it."""
    head: dict[str, Any] = {name: getattr(request, name) for name in PLAIN}
    head["references"] = [
        {name: getattr(one, name) for name in _OF_A_REFERENCE} | {"bytes": len(one.data)}
        for one in request.references
    ]
    line = json.dumps(head, default=_plain).encode("ascii")
    return b"".join([line, b"\n", *(one.data for one in request.references)])


def request_from(job: bytes) -> ModelRequest:
    """Read what :func:`job_of` wrote."""
    end = job.index(b"\n")
    head: Mapping[str, Any] = json.loads(job[:end])
    values: dict[str, Any] = {
        name: tuple(head[name]) if name in _LISTS else head[name] for name in PLAIN
    }
    shown: list[ModelReference] = []
    start = end + 1
    for one in cast("Sequence[Mapping[str, Any]]", head["references"]):
        data = job[start : start + one["bytes"]]
        start += len(data)
        shown.append(ModelReference(data=data, **{name: one[name] for name in _OF_A_REFERENCE}))
    return ModelRequest(references=tuple(shown), **values)


def _plain(value: object) -> object:
    """Return what JSON has for a value of a scene that it does not know by itself."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    if isinstance(value, tuple | set | frozenset):
        return list(cast("Sequence[object]", value))
    return str(value)
