"""The behaviours of the fake API by name, for running it by hand: ``NAME[:ARGUMENT]``.

Apart from the behaviours, which tests make with all their arguments: here each has the one argument
that a person would change.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from stage3_plugin.testing.queues import Loss, Queued
from tests.fakes import behaviours as does
from tests.fakes import recorded
from tests.fakes.behaviours import Behaviour

RECORDED: dict[str, Behaviour] = {
    name: kept if isinstance(kept, does.Json) else kept[0]
    for table in (
        recorded.MODERATION,
        recorded.MONEY,
        recorded.CREDENTIALS,
        recorded.FOR_EVERY_SCENE,
        recorded.FOR_ONE_SCENE,
        recorded.RATE_LIMITS,
        recorded.PASSING,
        recorded.IN_DOUBT,
    )
    for name, kept in table.items()
}
"""Failed answers as providers and gateways gave them."""


@dataclass(frozen=True, slots=True)
class Dish:
    """One entry.

    Attributes:
        make: Takes the argument.
        usual: The argument where none is given; empty if the behaviour takes none.
        argument: What it means.
        does: What it does; empty if the behaviour's own words say it.
    """

    make: Callable[[str], Behaviour]
    usual: str = ""
    argument: str = ""
    does: str = ""


def _picture_that_is_down(times: str) -> Behaviour:
    """Make the picture, and be down for its first visitors."""
    return does.Ok(url="own", visits=(503,) * int(times))


def _picture_that_is_gone(status: str) -> Behaviour:
    """Make the picture, and never have it when it is fetched."""
    return does.Ok(url="own", visits=(int(status),) * 10_000)


def _lost(how: str) -> Behaviour:
    """Lose the answer of a queue."""
    losses: dict[str, Loss] = {"begun": "begun", "not-begun": "not begun", "cut": "cut"}
    return Queued(polls=0, lost=losses[how])


def _recorded(name: str) -> Behaviour:
    """Answer as a provider or a gateway once did."""
    return RECORDED[name]


MENU: dict[str, Dish] = {
    "ok": Dish(
        lambda seconds: does.Ok(delay_s=float(seconds)),
        "0",
        "seconds",
        "Make the picture, after a while.",
    ),
    "ok-chunked": Dish(
        lambda _: does.Ok(framing="chunked"), does="Make the picture; the body comes in chunks."
    ),
    "ok-until-closed": Dish(
        lambda _: does.Ok(framing="close"),
        does="Make the picture; the body ends with the connection.",
    ),
    "ok-address": Dish(
        lambda _: does.Ok(url="own"), does="Make the picture, and answer its address here."
    ),
    "ok-foreign-address": Dish(
        lambda _: does.Ok(url="foreign"),
        does="Make the picture, and answer its address on another host.",
    ),
    "ok-heavy": Dish(lambda _: does.Ok(heavy=True), does="Make a picture of some megabytes."),
    "ok-without-usage": Dish(
        lambda _: does.Ok(usage=None), does="Make the picture, and tell neither tokens nor cost."
    ),
    "picture-down": Dish(
        _picture_that_is_down,
        "3",
        "visits",
        "Make the picture; its address is down for its first visitors.",
    ),
    "picture-gone": Dish(
        _picture_that_is_gone, "404", "status", "Make the picture; its address never has it."
    ),
    "lost": Dish(
        _lost,
        "begun",
        "what became of it: begun, not-begun or cut",
        "At a queue: take the job in, or do not, and lose the answer.",
    ),
    "limited": Dish(
        lambda hint: does.Limited(hint=_hint(hint)),
        "retry-after",
        "where it says so, or none",
        "Turn the request away: 429, with the wait or without.",
    ),
    "server-error": Dish(lambda status: does.ServerError(int(status)), "500", "status"),
    "page": Dish(lambda status: does.Page(int(status)), "502", "status"),
    "recorded": Dish(
        _recorded,
        "openrouter 524",
        "name, see --list-recorded",
        "Answer what a provider or a gateway once did.",
    ),
    "raw": Dish(
        lambda text: does.Raw(text.encode()), "no picture", "bytes", "Answer these bytes, with 200."
    ),
    "empty": Dish(lambda _: does.EmptyData()),
    "text": Dish(does.TextOnly, "I cannot draw that.", "words"),
    "bad-base64": Dish(lambda _: does.BadBase64()),
    "cut-png": Dish(lambda _: does.CutPng()),
    "cut-json": Dish(lambda _: does.CutJson()),
    "cut-body": Dish(
        lambda by: does.CutBody("close" if by == "close" else "reset"), "reset", "how"
    ),
    "reset": Dish(lambda seconds: does.ResetAfterRead(float(seconds)), "0", "seconds"),
    "gzip": Dish(lambda _: does.Gzip(), does="Make the picture, and compress the answer, unasked."),
    "bomb": Dish(
        lambda _: does.Gzip(bomb=True), does="Answer a few kilobytes that inflate to 300 MB."
    ),
    "endless": Dish(lambda _: does.Endless()),
    "drip": Dish(lambda seconds: does.Drip(float(seconds)), "0.2", "seconds between two bytes"),
    "hang": Dish(lambda _: does.Hang()),
    "redirect": Dish(does.Redirect, "http://127.0.0.1:9/", "address"),
    "see-other": Dish(
        lambda url: does.Redirect(url, 303, billed=True),
        "/v1/elsewhere",
        "address",
        "Make the picture, and send the client elsewhere for it: 303.",
    ),
    "missing": Dish(
        lambda status: does.Missing(int(status)), "404", "status", "Answer this status and nothing."
    ),
    "half-picture": Dish(
        lambda status: does.HalfPicture(int(status)),
        "206",
        "status",
        "Answer half of a picture, as if that were all.",
    ),
    "early": Dish(lambda status: does.EarlyAnswer(int(status)), "407", "status"),
    "echo-key": Dish(lambda place: does.EchoedKey(_place(place)), "message", "where"),
}


def _hint(text: str) -> does.Hint | None:
    for hint in get_args(does.Hint):
        if hint == text:
            found: does.Hint = hint
            return found
    if text == "none":
        return None
    raise ValueError(text)


def _place(text: str) -> does.Echo:
    for place in get_args(does.Echo):
        if place == text:
            found: does.Echo = place
            return found
    raise ValueError(text)


def named(text: str) -> Behaviour:
    """Return a behaviour by what was written.

    Raises:
        ValueError: There is none of this name, or it does not take this argument.
    """
    name, _, argument = text.partition(":")
    dish = MENU.get(name)
    if dish is None:
        raise ValueError(f"there is no behaviour {name!r}; --list names them")
    try:
        return dish.make(argument or dish.usual)
    except (ValueError, LookupError) as error:
        raise ValueError(f"{name} does not take {argument!r}") from error


def described() -> str:
    """Return a line for every behaviour."""
    lines: list[str] = []
    for name, dish in MENU.items():
        behaviour = dish.make(dish.usual)
        about = dish.does or (inspect.getdoc(type(behaviour)) or "").partition("\n")[0]
        shown = f"{name}[:{dish.usual}]" if dish.usual else name
        lines.append(f"{shown:34} {about}" + (f" ({dish.argument})" if dish.argument else ""))
    return "\n".join(lines)
