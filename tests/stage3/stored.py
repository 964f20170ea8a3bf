"""What lies in a state folder, for tests that look there or put something there themselves."""

from __future__ import annotations

from pathlib import Path

from stage3_plugin.domain.picture import EXTENSIONS
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.storage.inspect import InspectedFile
from stage3_plugin.storage.pictures import Pictures, RunBlocking
from stage3_plugin.storage.placing import PlacedPictures
from stage3_plugin.storage.spool.folders import SpoolFolders
from stage3_plugin.storage.store import PictureStore


class Stored:
    """A state folder's pictures, its received answers, and the pictures placed from it."""

    def __init__(self, path: Path) -> None:
        state_dir = StateDir(path)
        self.state_dir = state_dir.path
        self.objects = PictureStore(state_dir)
        self.spool = SpoolFolders(state_dir)
        self.placed = PlacedPictures(self.objects)

    def save(self, part: Path, inspected: InspectedFile) -> Path:
        """Store a picture, and return where it lies."""
        self.objects.save(part, inspected)
        return self.objects.where(inspected.picture.sha256)

    def pictures(self, *, max_pixels: int, blocking: RunBlocking) -> Pictures:
        """Return the face that a run has of it."""
        return Pictures(self.objects, self.spool, max_pixels=max_pixels, blocking=blocking)

    def publish(self, kept: Path, folder: Path, stem: str, media_type: str) -> Path:
        """Have a copy of what :meth:`save` returned placed."""
        path = folder / f"{stem}.{EXTENSIONS[media_type]}"
        others = {f"{stem}.{one}" for one in EXTENSIONS.values()} - {path.name}
        self.placed.place(kept.name, path, folder.parent, instead_of=others)
        return path
