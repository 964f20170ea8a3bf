"""What runs in a replica of ``provider = "local"``: a model class, imported and made there.

And what it is sent for that, which the driver writes: how the class is made, and each picture, in
JSON with bytes behind it. JSON and not pickle: it says nothing but data, and people can read it.

The class is the user's: whatever it raises is put into words here, and what it returns is looked at
before it goes anywhere. Nothing heavy is imported but what the class itself imports.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from io import BytesIO
from typing import Any, cast

from stage3_plugin.domain.model import ModelReference, ModelRequest
from stage3_plugin.errors import JobFailed, WorkUnusable
from stage3_plugin.executors.messages import message, next_message
from stage3_plugin.runtime.system_errors import in_one_line

WORK = "stage3_plugin.renderers.replica:made_of"
"""The target of a :class:`~stage3_plugin.executors.base.Work` that makes a model class."""

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
    return json.dumps([model_class, dict(model_args)]).encode("ascii")


def job_of(request: ModelRequest) -> bytes:
    """Write a request down, the bytes of its references behind it."""
    head: dict[str, Any] = {name: getattr(request, name) for name in PLAIN}
    head["references"] = [
        {name: getattr(one, name) for name in _OF_A_REFERENCE} for one in request.references
    ]
    return message(head, [one.data for one in request.references])


def request_from(job: bytes) -> ModelRequest:
    """Read what :func:`job_of` wrote."""
    asked = next_message(BytesIO(job))
    assert asked is not None, "it is as long as it says"
    head, parts = asked
    values: dict[str, Any] = {
        name: tuple(head[name]) if name in _LISTS else head[name] for name in PLAIN
    }
    pairs = zip(head["references"], parts, strict=True)
    return ModelRequest(
        references=tuple(ModelReference(data=data, **one) for one, data in pairs), **values
    )


def made_of(setup: bytes) -> ModelWorker:
    """Import a model class and make it.

    Args:
        setup: From :func:`setup_of`.

    Raises:
        WorkUnusable: It cannot be imported, is no class, cannot be made, or renders nothing.
    """
    model_class, model_args = json.loads(setup)
    return ModelWorker(_made(_imported(model_class), model_class, model_args), model_class)


def _imported(model_class: str) -> Callable[..., object]:
    module, _, name = model_class.partition(":")
    try:
        found: object = importlib.import_module(module)
    except Exception as error:
        raise WorkUnusable(f"{model_class} cannot be imported: {in_one_line(error)}") from error
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise WorkUnusable(f"{model_class} is not there: the module {module} has no {name}")
    if not isinstance(found, type):
        raise WorkUnusable(f"{model_class} is {type(found).__name__}, and no class")
    return cast("Callable[..., object]", found)


def _made(of: Callable[..., object], model_class: str, model_args: dict[str, Any]) -> object:
    try:
        return of(**model_args)
    except JobFailed as error:  # words of our own
        raise WorkUnusable(str(error)) from error
    except Exception as error:
        with_args = f"model_args {', '.join(model_args)}" if model_args else "no model_args"
        problem = f"{model_class} cannot be made with {with_args}: {in_one_line(error)}"
        raise WorkUnusable(problem) from error


class ModelWorker:
    """Renders with what a model class has made; a :class:`~stage3_plugin.executors.base.Worker`."""

    def __init__(self, model: object, model_class: str) -> None:
        self._render: Any = getattr(model, "render", None)
        self._render_many: Any = getattr(model, "render_many", None)
        if not (callable(self._render) or callable(self._render_many)):
            raise WorkUnusable(f"{model_class} has no method render(request)")
        at_once: object = getattr(model, "at_once", 1)
        if not isinstance(at_once, int) or isinstance(at_once, bool) or at_once < 1:
            raise WorkUnusable(f"{model_class}.at_once is {at_once!r}, and no number of 1 or more")
        self.at_once = at_once if callable(self._render_many) else 1

    def do(self, jobs: list[bytes]) -> list[bytes | JobFailed]:
        """Render pictures, together where the class can and there are several."""
        requests = [request_from(job) for job in jobs]
        if callable(self._render_many) and (len(requests) > 1 or not callable(self._render)):
            return self._together(requests)
        return [self._alone(request) for request in requests]

    def _alone(self, request: ModelRequest) -> bytes | JobFailed:
        try:
            return _picture(self._render(request), "render")
        except Exception as error:  # noqa: BLE001 - the class is the user's
            return _problem(error)

    def _together(self, requests: list[ModelRequest]) -> list[bytes | JobFailed]:
        found: object = self._render_many(requests)  # what it raises, the host puts into words
        if not isinstance(found, list | tuple):
            raise TypeError(f"render_many returned {type(found).__name__}, and no list of pictures")
        pictures = cast("Sequence[object]", found)
        if len(pictures) != len(requests):
            raise TypeError(
                f"render_many returned {len(pictures)} pictures for {len(requests)} requests"
            )
        return [_picture(one, "render_many") for one in pictures]


def _picture(found: object, method: str) -> bytes | JobFailed:
    if isinstance(found, bytes):
        return found
    if isinstance(found, bytearray):
        return bytes(found)
    if isinstance(found, Exception):
        return _problem(found)
    kind = "nothing" if found is None else type(found).__name__
    return JobFailed(f"{method} returned {kind}, and not the bytes of a picture", may_pass=False)


def _problem(error: Exception) -> JobFailed:
    if isinstance(error, JobFailed):  # words of our own
        return error
    return JobFailed(in_one_line(error))
