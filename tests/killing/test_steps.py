"""The table of steps against the product: what it names is there, and the product names no more."""

from __future__ import annotations

import re

import pytest

import stage3_plugin.purchase
from tests.killing.failpoints import BATCH_POINTS, WITH_A_QUEUE, Failpoint
from tests.killing.steps import Step, place_of


@pytest.mark.parametrize("step", Step, ids=lambda step: step.name)
def test_every_step_is_there(step: Step) -> None:
    """A step that was renamed is found here, and not by a process that nothing killed."""
    assert callable(place_of(step).held)


BATCHES = "Of a batch"
"""Begins the second list."""


def durable_points(*, of_batches: bool) -> list[str]:
    """Read the callables of one of the product's own lists, in its order."""
    purchases, found, batches = (stage3_plugin.purchase.__doc__ or "").partition(BATCHES)
    assert found
    text = batches if of_batches else purchases
    return [f"stage3_plugin.{name}" for name in re.findall(r"``([\w.]+:[\w.]+)``", text)]


@pytest.mark.parametrize(
    "points, of_batches",
    [(WITH_A_QUEUE, False), (BATCH_POINTS, True)],
    ids=["purchase", "batch"],
)
def test_the_products_durable_points_are_tried_in_its_order(
    points: tuple[Failpoint, ...],
    of_batches: bool,  # noqa: FBT001 - a parameter of this test
) -> None:
    """What it says a crash leaves is what the tests die for."""
    tried = list(dict.fromkeys(point.target for point in points))
    listed = durable_points(of_batches=of_batches)

    assert len(listed) >= 8
    assert listed == [target for target in tried if target in listed]
