"""The file of known deviations: what a plugin does not keep, and why its author lives with it.

::

    [known]
    "result.order-of-nothing" = "the service answers in its own order"

One that is kept after all is reported as a failure, so that the file never says more than is true.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final, cast

from host_stub.errors import UsageError

_HINT: Final = 'write a table [known] with "REQUIREMENT" = "the reason"'
_MOST_BYTES: Final = 1 << 20


def read_known(path: Path) -> dict[str, str]:
    """Read which requirements a plugin is known not to keep, each with the reason.

    Raises:
        UsageError: The file cannot be read, or says something else.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode()
        document: dict[str, Any] = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint=_HINT) from error
    except ValueError as error:  # tomllib's, and that of a file that is no UTF-8
        raise UsageError(f"{path} is no TOML: {error}", hint=_HINT) from error
    except RecursionError as error:
        raise UsageError(f"{path} is nested too deeply", hint=_HINT) from error
    known: object = document.get("known", {})
    if not isinstance(known, dict) or document.keys() - {"known"}:
        raise UsageError(f"{path} has more than a table [known], or another kind of it", hint=_HINT)
    for name, why in cast("dict[str, object]", known).items():
        if not isinstance(why, str) or not why.strip():
            raise UsageError(f"{path}: known.{name}: expected the reason, in quotes", hint=_HINT)
    return cast("dict[str, str]", known)
