"""The name of the way frames are drawn, which whatever changes a picture changes; and its words.

Apart from the drawing, because the main process asks whether a picture is still the one that would
be drawn, and never imports what draws.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

DRAWING: Final = "previz-4"
"""Part of every seed and of every key: a change of it redraws every picture, which is free."""

Tone: TypeAlias = Literal["colour", "grey"]
Guides: TypeAlias = Literal["none", "thirds", "safe"]
