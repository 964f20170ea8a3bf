"""The trace of a run: who listens hears what happens, and harms nothing."""

from __future__ import annotations

import pytest

from stage3_plugin.domain.events import SceneWaiting
from stage3_plugin.runtime import trace
from stage3_plugin.runtime.trace import Event

WAITING = SceneWaiting(scene_id="a", waits_for=("b",))


def test_one_that_raises_is_asked_no_more_and_harms_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is reported is that money is held, or spent: that goes on."""
    heard = list[Event]()

    def broken(happened: Event) -> None:
        heard.append(happened)
        raise OSError("no space left")

    with trace.listening(broken):
        trace.event(WAITING)
        trace.event(WAITING)

    assert heard == [WAITING]
    assert caplog.messages == ["no more events of this run: OSError was raised at scene.waiting"]
