"""Real distributions for the host to find: folders with metadata on the path, nothing mocked."""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest


class Distribute(Protocol):
    """Puts a distribution on the path; returns the folder it lies in."""

    def __call__(
        self,
        name: str,
        plugins: Mapping[str, str],
        modules: Mapping[str, str] | None = None,
        *,
        version: str = "1.0",
        folder: str | None = None,
    ) -> Path: ...


@pytest.fixture
def put_on_path(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Return a function that makes a folder the first one imports look in."""

    def put(folder: Path) -> None:
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
        importlib.invalidate_caches()

    return put


@pytest.fixture
def distribute(tmp_path: Path, put_on_path: Callable[[Path], None]) -> Iterator[Distribute]:
    """Return a function that installs a distribution as pip would leave it."""
    before = set(sys.modules)

    def install(
        name: str,
        plugins: Mapping[str, str],
        modules: Mapping[str, str] | None = None,
        *,
        version: str = "1.0",
        folder: str | None = None,
    ) -> Path:
        site = tmp_path / (folder or f"site-{name}-{version}")
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
        )
        lines = [f"{key} = {value}" for key, value in plugins.items()]
        (info / "entry_points.txt").write_text(
            "\n".join(["[host_stub.plugins]", *lines]) + "\n", encoding="utf-8"
        )
        for module, source in (modules or {}).items():
            (site / f"{module}.py").write_text(source, encoding="utf-8")
        put_on_path(site)
        return site

    yield install
    for module in set(sys.modules) - before:
        file = getattr(sys.modules[module], "__file__", None)
        if file is not None and Path(file).is_relative_to(tmp_path):
            del sys.modules[module]


@pytest.fixture
def painters(distribute: Distribute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new folder, where commands run and find the plugin ``painter``."""
    distribute("painter", {"painter": "tests.host.painter"})
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
