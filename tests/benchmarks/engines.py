"""Which engines there are to be measured; what is lacking is told in words, and is no failure.

The lane that sees that all benchmarks run has no PostgreSQL and no Ray, and everybody's machine may
be like that.
"""

from __future__ import annotations

from importlib.util import find_spec

from tests.engines.postgres_server import binaries

lacking: list[str] = []
"""What the benchmark that runs now could not measure."""


def has_postgres() -> bool:
    """Return whether a PostgreSQL server can be started and asked; if not, note it."""
    return _noted("PostgreSQL", "psycopg", is_there=binaries() is not None)


def has_ray() -> bool:
    """Return whether a Ray cluster can be started; if not, note it."""
    return _noted("Ray", "ray", is_there=True)


def _noted(name: str, module: str, *, is_there: bool) -> bool:
    missing = [] if find_spec(module) is not None else [f"the package {module}"]
    missing += [] if is_there else ["its programs"]
    if missing:
        lacking.append(f"{name}: this system has not {' and '.join(missing)}")
    return not missing
