"""What is said to people about money: what waits, what is held, what to do next."""

from __future__ import annotations

from collections.abc import Collection

from stage3_plugin.domain.money import usd_text


def told_of_the_wait(
    holds: Collection[int], drain_s: float, *, is_local: bool, attempts: str
) -> str:
    """Say what an interrupted run still waits for, for how long, and what leaving at once costs.

    Args:
        holds: What is held for each request in flight, in micro-USD.
        drain_s: So long they are waited for.
        is_local: They are being drawn here, for nothing.
        attempts: The command that shows what nobody knows the end of.
    """
    count = len(holds)
    if is_local:
        drawn = "1 picture is" if count == 1 else f"{count:,} pictures are"
        return (
            f"{drawn} being drawn, and waited for, {drain_s:g} s at most; a second Ctrl-C leaves "
            "at once, and the next run draws what was not finished, for nothing"
        )
    is_one, held = count == 1, sum(holds)
    requests = "1 paid request is" if is_one else f"{count:,} paid requests are"
    money = f" ({usd_text(held)} USD held)" if held else ""
    return (
        f"{requests} in flight{money}: the run waits for {'it' if is_one else 'them'}, {drain_s:g} "
        "s at most (drain_s), which costs nothing more. A second Ctrl-C leaves at once: what is "
        "not here by then may be billed without a picture, stays counted, and is for you to "
        f"decide, see `{attempts}`"
    )
