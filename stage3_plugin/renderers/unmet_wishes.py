"""Which wishes of a request the storyboard renderer cannot honour, so that they can be told.

Apart from the renderer, so that they can be named without starting it.
"""

from __future__ import annotations

from stage3_plugin.domain.request import PictureRequest


def unmet_wishes(request: PictureRequest) -> tuple[str, ...]:
    """Name them by their field.

    Frames are drawn from words, always opaque, always PNG, and there is one quality only: neither
    a negative prompt nor a reference picture changes anything.
    """
    wishes = {
        "negative_prompt": bool(request.negative_prompt),
        "references": bool(request.references),
        "output_format": request.output_format != "png",
        "background": request.background == "transparent",
    }
    return tuple(name for name, is_unmet in wishes.items() if is_unmet)
