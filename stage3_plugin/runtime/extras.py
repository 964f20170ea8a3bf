"""What an installation can do without: the extras, the packages that each brings, and their lack.

Everything that needs one imports it late, and asks :func:`stage3_plugin.errors.need` before it
does, so that its absence is one line that names the extra, and never a traceback.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "cloud": ("obstore",),
    "diffusers": ("torch", "diffusers", "transformers", "accelerate"),
    "otel": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
    "postgres": ("psycopg",),
    "ray": ("ray",),
    "socks": ("socksio",),
    "trio": ("trio",),
}
"""The packages that are imported of each extra; ``pyproject.toml`` says which versions."""


def lacking(extra: str) -> str | None:
    """Return the first package of an extra that is not installed, or ``None``; imports nothing."""
    return next((package for package in EXTRAS[extra] if not _is_there(package)), None)


def how_to_install(extra: str) -> str:
    """Return how to bring an extra; no index has the distribution.

    Keep in step with :func:`host_stub.text.format.how_to_install`.
    """
    return f"pip install '.[{extra}]', in the folder that Stage3 was installed from"


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # an import hook forbids it; or sys.modules has None for it
        return False
