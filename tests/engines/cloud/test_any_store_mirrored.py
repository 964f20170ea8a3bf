"""What every store of pictures does, a mirrored one does too."""

from __future__ import annotations

from pathlib import Path

import pytest
from obstore.store import MemoryStore

from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.storage.bucket import Bucket
from stage3_plugin.storage.store import PictureStore
from tests.stage3.pictures import test_any_store as laws

images = laws.images
globals().update({name: one for name, one in vars(laws).items() if name.startswith("test_")})


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    return PictureStore(StateDir(tmp_path / ".stage3"), far=Bucket("memory://", MemoryStore()))
