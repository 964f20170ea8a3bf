"""The table of steps against the product: what it names is there, and the product names no more."""

from __future__ import annotations

import re

import pytest

import stage3_plugin.purchase
from tests.killing.failpoints import WITH_A_QUEUE
from tests.killing.steps import Step, place_of


@pytest.mark.parametrize("step", Step, ids=lambda step: step.name)
def test_every_step_is_there(step: Step) -> None:
    """A step that was renamed is found here, and not by a process that nothing killed."""
    assert callable(place_of(step).held)


def durable_points() -> list[str]:
    """Read the callables of the product's own list, in its order."""
    text = stage3_plugin.purchase.__doc__ or ""
    return [f"stage3_plugin.{name}" for name in re.findall(r"``([\w.]+:[\w.]+)``", text)]


def test_the_products_durable_points_are_tried_in_its_order() -> None:
    """What it says a crash leaves is what the tests die for."""
    tried = list(dict.fromkeys(point.target for point in WITH_A_QUEUE))
    listed = durable_points()

    assert len(listed) >= 8
    assert listed == [target for target in tried if target in listed]
