"""The name of the way frames are drawn: whatever changes a picture changes it.

Apart from the drawing, because the main process asks whether a picture is still the one that would
be drawn, and never imports what draws.
"""

from __future__ import annotations

from typing import Final

DRAWING: Final = "previz-3"
"""Part of every seed and of every key: a change of it redraws every picture, which is free."""
