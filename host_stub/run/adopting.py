"""Pictures that a killed run of a plugin of contract 1.0 had made, and nobody took in.

Such a plugin keeps no books, and its run did not come to deliver them: what they are of is known by
their names alone, and what they were made from is not known at all. They are takes all the same,
since somebody may have paid for them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from host_stub.contract import Cost
from host_stub.run.incoming import files_in, left_behind
from host_stub.run.placing import put_at
from host_stub.scenes.file import SceneFile
from host_stub.story.files import digest_of
from host_stub.story.keeper import Story
from host_stub.story.pictures import look_at
from host_stub.story.takes import NewTake
from host_stub.text.file_names import file_stem


def adopt_left_behind(story: Story, scenes: SceneFile, out_dir: Path) -> tuple[Path, ...]:
    """Make takes of what killed runs left behind.

    Args:
        story: Takes them in.
        scenes: All scenes of the story.
        out_dir: The folder for results.

    Returns:
        The files that stay where they are, since they are no pictures of a scene.

    Raises:
        OSError: The disk did not let us.
        StoryError: The book did not take them.
    """
    stays: list[Path] = []
    by_stem: dict[str, str] | None = None
    for folder in left_behind(out_dir):
        if by_stem is None:
            by_stem = {file_stem(scene.scene_id): scene.scene_id for scene in scenes}
        for path in list(files_in(folder)):
            scene_id = by_stem.get(path.stem)
            if scene_id is None or not _adopt(story, scene_id, path, out_dir):
                stays.append(path)
    return tuple(stays)


def _adopt(story: Story, scene_id: str, path: Path, out_dir: Path) -> bool:
    """Make a take of one file, which is gone then; return whether it is a picture."""
    with path.open("rb", buffering=0) as file:
        looks = look_at(file)
        file.seek(0)
        digest = digest_of(file)
    if looks is None:
        return False
    if all(take.sha256 != digest for take in story.book.takes_of(scene_id)):
        place = story.place_for(scene_id, role="scene", sha256=digest, media_type=looks.media_type)
        put_at(place, path, out_dir=out_dir, sha256=digest)
        new = NewTake(
            scene_id=scene_id,
            sha256=digest,
            media_type=looks.media_type,
            width=looks.width,
            height=looks.height,
            plugin=None,
            cost=Cost(usd=None, basis="unknown"),
            made_at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        )
        story.take_in([(new, None)], keep_bytes=True)
    path.unlink()
    return True
