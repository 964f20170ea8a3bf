"""Where a plugin's case comes from: the entry-point group, or a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from math import isfinite
from pathlib import Path
from typing import Any, Final, cast

from host_stub.conformance.case import Case

GROUP: Final = "host_stub.conformance"
"""The entry-point group of cases; a case has the name of its plugin."""
FILE_MODULE: Final = "conformance_case"
"""What the module of a case from a file is called."""


class CaseRefused(Exception):
    """A case that cannot be used; the message says why."""


def installed_case(name: str) -> EntryPoint | None:
    """Return the entry point of a plugin's case, if a distribution brings one; imports nothing."""
    return next(iter(entry_points(group=GROUP, name=name)), None)


def load_case(name: str, file: Path | None) -> Case | None:
    """Load the case of a plugin: from a file, or what is installed; ``None`` if there is none.

    Raises:
        CaseRefused: It cannot be loaded, or is none.
    """
    if file is not None:
        return _checked(_from_file(file), f"{file}: case")
    found = installed_case(name)
    if found is None:
        return None
    try:
        value: object = found.load()
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        raise CaseRefused(f"case {found.value} raised {type(error).__name__}: {error}") from error
    return _checked(value, found.value)


def _from_file(file: Path) -> object:
    spec = spec_from_file_location(FILE_MODULE, file)
    if spec is None or spec.loader is None:
        raise CaseRefused(f"{file} is no Python file")
    module = module_from_spec(spec)
    sys.modules[FILE_MODULE] = module
    sys.path.insert(0, str(file.resolve().parent))  # it may import what lies beside it
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        raise CaseRefused(f"{file} raised {type(error).__name__}: {error}") from error
    if not hasattr(module, "case"):
        raise CaseRefused(f"{file} defines no case; write: case = Case(…)")
    return module.case


def _checked(value: object, where: str) -> Case:
    """Return a case, or what a function without arguments returns."""
    if callable(value) and not isinstance(value, Case):
        try:
            value = cast("Callable[[], object]", value)()
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            raise CaseRefused(f"{where} raised {type(error).__name__}: {error}") from error
    if not isinstance(value, Case):
        raise CaseRefused(f"{where} is {type(value).__name__}, not host_stub.conformance.Case")
    for name, (expected, is_right) in _FIELDS.items():
        if not is_right(getattr(value, name)):
            raise CaseRefused(f"{where}: {name}: expected {expected}")
    return value


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) for name in cast("Mapping[object, object]", value)
    )


def _are_texts(value: object) -> bool:
    return isinstance(value, tuple | list) and all(
        isinstance(one, str) for one in cast("tuple[Any, ...]", value)
    )


def _is_seconds(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and isfinite(value)
        and value > 0
    )


def _is_price(value: object) -> bool:
    return value is None or (isinstance(value, Decimal) and value.is_finite() and value >= 0)


_SIZE: Final = re.compile("[1-9][0-9]{0,5}x[1-9][0-9]{0,5}")
_FIELDS: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "settings": ("a table", _is_table),
    "backend": ("what starts the backend, or None", lambda one: one is None or callable(one)),
    "cannot": (
        "a table of reasons",
        lambda one: _is_table(one) and _are_texts(list(one.values())),
    ),
    "wrong_settings": (
        "a table of tables",
        lambda one: _is_table(one) and all(map(_is_table, one.values())),
    ),
    "sizes": (
        "a tuple of texts such as '64x48'",
        lambda one: _are_texts(one) and all(map(_SIZE.fullmatch, one)),
    ),
    "keeps": ("a tuple of names", _are_texts),
    "patience_s": ("seconds above 0, as int or float", _is_seconds),
    "price_usd": ("a Decimal of 0 or more, or None", _is_price),
    "at_once": ("a whole number from 1", lambda one: type(one) is int and one >= 1),
    "least_wait_s": ("seconds above 0, as int or float", _is_seconds),
    "impatient": ("a table", _is_table),
}
"""What each part of a case has to be; checked here, so that none of it is blamed on a plugin."""
