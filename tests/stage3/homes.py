"""One ledger for several state folders, as on several machines: without a server, in one process.

The file lies beside the folders, and its place says that it is none of this machine's. Which homes
are connected is what a test says.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from stage3_plugin.domain.purchase import Purchase
from stage3_plugin.engine import build
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.home import home_of
from stage3_plugin.ledger.place import FilePlace, LedgerPlace


class SharedPlace(FilePlace):
    """A file that stands for a server's ledger."""

    is_file = False


class Shared:
    """A ledger that drivers of several homes buy by.

    Attributes:
        connected: The homes that a driver is connected of.
    """

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.connected: set[str] = set()
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(build, "place_of", self.place_of)
        monkeypatch.setattr(Ledger, "home_is_connected", self._is_connected)

    def _is_connected(self, home: str) -> bool:
        return home in self.connected

    def place_of(self, *_: object) -> LedgerPlace:
        """Return its place, whatever the settings say."""
        self.path.parent.mkdir(exist_ok=True)
        return SharedPlace(self.path)

    def machine(self, name: str) -> tuple[Path, str]:
        """Return the folder of a project on a machine, and its home."""
        folder = self.path.parent.parent / name
        return folder, home_of(folder / ".stage3")

    def purchases(self) -> list[Purchase]:
        """Return every row, oldest first."""
        with Ledger.open(self.path) as ledger:
            assert ledger.problems() == []
            return list(ledger.purchases())[::-1]

    def states(self) -> list[str]:
        """Return every row's state, oldest first."""
        return [str(one.state) for one in self.purchases()]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shared:
    """Return one ledger for the folders of a test."""
    return Shared(tmp_path / "server" / "ledger.db", monkeypatch)
