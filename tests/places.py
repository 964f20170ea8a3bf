"""Where tests through doors reach into the product all the same: waits, and the command's loop.

Nobody waits a minute in a test, and no option shortens these waits or chooses the loop. The one
table of such places beside that of :mod:`tests.killing.steps`; a house built anew fills in both.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from host_stub.contract import ImagePlugin, Services

WAITS: Mapping[str, tuple[str, ...]] = {
    "policy.polling": ("FIRST_WAIT_S", "LONGEST_WAIT_S", "GONE_WAIT_S"),
    "policy.refetch": ("FIRST_WAIT_S", "LONGEST_WAIT_S"),
    "policy.retry": ("OVERLOADED_WAIT_S",),
    "policy.waiting": ("FIRST_WAIT_S", "LONGEST_WAIT_S", "LEAST_WAIT_S"),
    "engine.run": ("RECOVERY_LINGERS_S",),
    "engine.pending": ("PATIENCE_S", "BUSY_WAIT_S", "BATCH_LOOKS_S"),
    "engine.reporter": ("OFTEN_S",),
    "purchase.conversation": ("_FIRST_WAIT_S", "_LONGEST_WAIT_S"),
    "purchase.known": ("AGAIN_S",),
    "purchase.lost": ("APART_S", "AGAIN_S", "PATIENCE_S"),
    "purchase.recovery": ("MARGIN_S", "CONNECTED_S", "SOON_S"),
}
"""Waits that are ours to choose, by their module in ``stage3_plugin``."""
PATIENCE = {
    ("engine.pending", "PATIENCE_S"),
    ("engine.pending", "BUSY_WAIT_S"),
    ("engine.reporter", "OFTEN_S"),
    ("purchase.recovery", "MARGIN_S"),
    ("purchase.recovery", "CONNECTED_S"),
}
"""Of these, what a hurry does not shorten."""

PRELOADED = (
    "anyio._backends._asyncio",
    "anyio._backends._trio",
    "stage3_plugin.engine.build",
    "stage3_plugin.transport.client",
    "stage3_plugin.providers.openai_images",
)
"""Imported only when needed, and then by every process that is killed anew."""

ON_TRIO = """
import functools, sys
from host_stub.cli import main
from host_stub.run import pipeline
pipeline.run_pipeline = functools.partial(pipeline.run_pipeline, backend="trio")
sys.exit(main())
"""
"""The host's command on the other event loop, which has no option of the command line."""


def wait(
    monkeypatch: pytest.MonkeyPatch, module: str, **seconds: float | tuple[float, ...]
) -> None:
    """Have waits of a module take so long: ``wait(monkeypatch, "engine.run", LINGERS_S=0.1)``."""
    for name, value in seconds.items():
        assert name in WAITS[module], f"{name} is no wait of {module} that is known here"
        monkeypatch.setattr(_module(module), name, value)


def hurry(monkeypatch: pytest.MonkeyPatch, times: float, *modules: str) -> None:
    """Have all waits of modules take so many times less."""
    for module in modules:
        for name in WAITS[module]:
            monkeypatch.setattr(_module(module), name, _shorter(_held(module, name), times))


def shorten(times: float) -> None:
    """Have all waits take so many times less in this process; patience stays."""
    for module, names in WAITS.items():
        for name in names:
            if (module, name) not in PATIENCE:
                setattr(_module(module), name, _shorter(_held(module, name), times))


def change_the_terms(*, settle_s: float | None, most_lines: int | None) -> None:
    """Let vendors' batches be smaller in this process, or their listings be sure sooner."""
    lanes = ("providers.openai_batch", "OpenAIBatch"), ("providers.gemini_batch", "GeminiBatch")
    for lane in (getattr(_module(module), name) for module, name in lanes):
        terms = lane.terms
        if settle_s is not None:
            terms = replace(terms, listing=replace(terms.listing, settle_s=settle_s))
        if most_lines is not None:
            terms = replace(terms, most_lines=most_lines)
        lane.terms = terms


def offer(monkeypatch: pytest.MonkeyPatch, word: str, provider: type) -> None:
    """Have a provider of a third party, as if its distribution were installed."""
    loaded: dict[str, type] = getattr(_module("runtime.offers").PROVIDERS, "_loaded")  # noqa: B009
    monkeypatch.setitem(loaded, word, provider)


def vendor_at(monkeypatch: pytest.MonkeyPatch, provider: str, url: str) -> None:
    """Let an address be the vendor's own, public one."""
    module = _module(f"providers.{'openai_images' if provider == 'openai' else provider}")
    monkeypatch.setattr(module, "PROFILE", replace(module.PROFILE, base_url=url))


def host_clock(monkeypatch: pytest.MonkeyPatch, clock: type[datetime]) -> None:
    """Have the host read its wall clock from this."""
    monkeypatch.setattr("host_stub.plugins.selection.datetime", clock)


def run_plugin(
    description: ImagePlugin, settings: Any, services: Services, *, backend: str, **options: Any
) -> Any:
    """Have the host run a plugin that no distribution brings; return its report."""
    from host_stub.plugins.selection import SelectedPlugin
    from host_stub.run.pipeline import RunOptions, run_pipeline

    plugin = SelectedPlugin(
        name=description.name,
        source="test 1",
        description=description,
        settings=settings,
        services=services,
    )
    return run_pipeline(plugin, RunOptions(**options), backend=backend)


def _held(module: str, name: str) -> Any:
    return getattr(_module(module), name)


def _shorter(held: Any, times: float) -> Any:
    return [one / times for one in held] if hasattr(held, "__iter__") else held / times


def _module(name: str) -> Any:
    return importlib.import_module(f"stage3_plugin.{name}")
