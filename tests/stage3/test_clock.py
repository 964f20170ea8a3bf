"""The loop's clock, looked up once."""

import anyio
import pytest

from stage3_plugin.runtime.clock import clock


@pytest.mark.anyio
async def test_it_is_the_clock_of_the_running_loop() -> None:
    """A moment of it can be compared with every deadline of anyio."""
    now = clock()
    before = anyio.current_time()
    moment = now()

    assert before <= moment <= anyio.current_time()


def test_without_a_loop_there_is_no_clock() -> None:
    """Whoever asks too early hears of it, instead of getting another loop's clock later."""
    with pytest.raises(anyio.NoEventLoopError):
        clock()
