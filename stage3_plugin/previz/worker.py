"""Draws in a worker process: an order's bytes in, a picture out."""

from __future__ import annotations

from stage3_plugin.previz.board import Board
from stage3_plugin.previz.order import order_from
from stage3_plugin.previz.render import render


def draw(job: bytes) -> bytes:
    """Draw what :func:`~stage3_plugin.previz.order.job_of` wrote."""
    order = order_from(job)
    size = (order.width_px, order.height_px)
    return render(
        order.plate,
        size,
        order.cast,
        seed=order.seed,
        caption=order.caption,
        board=Board(order.tone, order.guides),
        output_format=order.output_format,
    )
