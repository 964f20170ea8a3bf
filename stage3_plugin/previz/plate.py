"""What the renderer knows of a scene, and nothing else of the request it came from.

Apart from everything that draws, because the main process makes plates for the cast pass and for
the workers without ever importing Pillow or resvg.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sheet:
    """What an earlier stage wrote down about a character."""

    character: str
    name: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Plate:
    """One frame of the storyboard to be.

    Attributes:
        scene_id: The scene's name; the slate shows its number.
        prompt: As it was written.
        characters: Who is in it. Empty means that the prompt's own words decide.
        sheets: What the scene's source says about characters; for the cast pass alone.
    """

    scene_id: str
    prompt: str
    characters: tuple[str, ...] = ()
    sheets: tuple[Sheet, ...] = ()
