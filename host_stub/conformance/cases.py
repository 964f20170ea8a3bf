"""Where a plugin's case comes from: the entry-point group, or a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Final, cast

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
    except (Exception, SystemExit) as error:
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
    except (Exception, SystemExit) as error:
        raise CaseRefused(f"{file} raised {type(error).__name__}: {error}") from error
    if not hasattr(module, "case"):
        raise CaseRefused(f"{file} defines no case; write: case = Case(…)")
    return module.case


def _checked(value: object, where: str) -> Case:
    """Return a case, or what a function without arguments returns."""
    if callable(value) and not isinstance(value, Case):
        try:
            value = cast("Callable[[], object]", value)()
        except (Exception, SystemExit) as error:
            raise CaseRefused(f"{where} raised {type(error).__name__}: {error}") from error
    if not isinstance(value, Case):
        raise CaseRefused(f"{where} is {type(value).__name__}, not host_stub.conformance.Case")
    return value
