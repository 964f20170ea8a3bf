"""What several tests of the pictures' way share."""

import pytest

from stage3_plugin.storage.spool import cutting, reading
from tests.stage3.pictures.spooling import SHORT


@pytest.fixture
def short_strings_count_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "RUN_BYTES", SHORT)
    monkeypatch.setattr(reading, "RUN_BYTES", SHORT)
