"""How the vendors with a queue say things: a module for each, by the word of its provider."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from stage3_plugin.testing.queues import Dialect


def dialect_of(provider: str) -> type[Dialect] | None:
    """Return how the vendor of a provider speaks; ``None`` if that is not known here."""
    name = f"{__name__}.{provider}"
    if not provider.isidentifier() or find_spec(name) is None:
        return None
    for one in vars(import_module(name)).values():
        if isinstance(one, type) and issubclass(one, Dialect) and one is not Dialect:
            return one
    return None
