"""What a setting puts at stake: the money that may be paid twice, as a sum and in words.

Apart from the stage, since it is the settings alone that decide it, and ``check`` says it before
there is a scene.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from host_stub.contract import Scene
from stage3_plugin.domain.money import Estimate, usd_text
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.requests import request_for
from stage3_plugin.settings import Settings

EstimateOf: TypeAlias = Callable[[PictureRequest], Estimate]


def paid_twice(settings: Settings, estimate: EstimateOf) -> tuple[str, ...]:
    """Say what ``on_unknown = "resend"`` may pay twice with a route; nothing where it is free.

    The sum is what is in flight at one moment, since that is what one fault can take the answers
    of: a connection, a killed run, a power cut. A slot is sent again once and never more by itself,
    so that a story's own sum is bounded by its pictures, and by the caps that both payments are
    counted under.

    Args:
        settings: Those of the route.
        estimate: What its pictures are expected to cost.
    """
    if settings.on_unknown != "resend":
        return ()
    one = estimate(request_for(Scene(scene_id="any", prompt="any"), settings)).high_microusd
    if one == 0:
        return ()
    if one is None:
        price = "and what one costs is not known: set `price_usd`, which says it, also that it is 0"
    else:
        together = usd_text(one * settings.capacity)
        price = (
            f"${usd_text(one)} for a picture, so up to ${together} where one fault takes the "
            f"answers of all {settings.capacity} that `capacity` lets be in flight; for each "
            "picture once at most, and within your caps. On a server that bills nothing, say so: "
            "price_usd = 0"
        )
    said = f'`on_unknown = "resend"` sends a request of {settings.provider!r} whose answer is lost '
    return (f"{said}once more, and both may be billed: {price}",)
