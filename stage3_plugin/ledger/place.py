"""Where a project's ledger is, and how it is opened there: a file below its state folder.

Apart from the ledger, which works on whatever was opened, and from those who open it (a run's
reader and its writer, a plan, a command), which need not know what it is that they open.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.errors import SettingsRefused, need
from stage3_plugin.ledger import names
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.sqlite import is_file
from stage3_plugin.runtime.database_url import DatabaseUrl

if TYPE_CHECKING:
    from stage3_plugin.ledger.postgres.place import PostgresPlace

LEDGER_NAME: Final = "ledger.db"


class FilePlace:
    """A file of this machine."""

    is_file = True

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def shown(self) -> str:
        """Return its path."""
        return str(self.path)

    def exists(self) -> bool:
        """Return whether the file is there."""
        return is_file(self.path)

    def open(self) -> Ledger:
        """Open it to write; it is made if there is none."""
        return Ledger.open(self.path)

    def open_to_read(self) -> Ledger | None:
        """Open it so that nothing can be written; ``None`` if there is none."""
        return Ledger.open_to_read(self.path)

    def check_use(self) -> None:
        """Check that no program uses it by another name."""
        names.check(self.path)

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """Say that it has another name too."""
        warning = names.warning(self.path)
        return () if warning is None else (coded("ledger_two_names", warning),)


LedgerPlace: TypeAlias = "FilePlace | PostgresPlace"
"""Where a project's ledger is, or would be."""


def place_of(ledger: str | None, project: str, state_dir: Path) -> LedgerPlace:
    """Return where a project's ledger is.

    Args:
        ledger: The setting, with what is secret in it; ``None`` for a file.
        project: The setting: what a server calls it.
        state_dir: Below which a file lies.

    Raises:
        SettingsRefused: It names no place that we know.
        ExtraMissing: What it needs is not installed.
    """
    if ledger is None:
        return FilePlace(state_dir / LEDGER_NAME)
    need("postgres", setting="ledger")
    try:
        url = DatabaseUrl.parse(ledger)
    except ValueError as error:
        raise SettingsRefused("ledger", str(error)) from None
    from stage3_plugin.ledger.postgres.place import PostgresPlace  # noqa: PLC0415 - an extra

    return PostgresPlace(url, project, file=state_dir / LEDGER_NAME)
