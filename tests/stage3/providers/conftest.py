"""Distributions beside ours, as pip lays them down."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stage3_plugin.runtime.offers import Offers

GROUP = "stage3.providers"
Installing = Callable[..., Offers]


@pytest.fixture
def installing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installing:
    """Return what lays distributions beside ours, as pip does, and reads the group anew."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()

    def install(
        distribution: str,
        entry_points: str,
        *,
        module: str = "",
        source: str = "",
        metadata: str | None = None,
    ) -> Offers:
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        told = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        (info / "METADATA").write_text(told if metadata is None else metadata, encoding="utf-8")
        (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
        if module:
            (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
            monkeypatch.delitem(sys.modules, module, raising=False)
        return Offers(GROUP)

    return install
