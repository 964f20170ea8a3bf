"""What a stage found when it opened that a person should know, read from whatever it offers.

A plugin need not offer any, and one that offers nonsense must not keep ``check`` from its
answer: what is not a list of lines is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from host_stub.text.addresses import in_text
from host_stub.text.escape import escaped

MOST_WARNINGS: Final = 50
LONGEST: Final = 10_000
"""Characters. The next step stands at a warning's end, so only one far too long is cut."""


def warnings_of(stage: object) -> tuple[str, ...]:
    """Return the warnings of an opened stage."""
    found: Any = getattr(stage, "warnings", ())
    return each_once(cast("Iterable[Any]", found)) if isinstance(found, tuple | list) else ()


def each_once(found: Iterable[Any]) -> tuple[str, ...]:
    """Return each line once, in order, safe for a terminal."""
    lines = (escaped(in_text(line), limit=LONGEST) for line in found if isinstance(line, str))
    return tuple(dict.fromkeys(lines))[:MOST_WARNINGS]
