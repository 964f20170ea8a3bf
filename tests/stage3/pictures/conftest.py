"""What several tests of the pictures' way share."""

import pytest

from stage3_plugin.storage.spool import splitter, writing
from tests.stage3.pictures.spooling import SHORT


@pytest.fixture
def short_strings_count_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "LONG_STRING_BYTES", SHORT)
    monkeypatch.setattr(splitter, "_JOINED_BYTES", 40)
    monkeypatch.setattr(writing, "_IN_LINE_BYTES", SHORT * 2)
    monkeypatch.setattr(writing, "_SKELETON_BUFFER_BYTES", SHORT * 3)
