"""The behaviours of the fake API by name, for tables: ``NAME[:ARGUMENT]``.

Apart from the behaviours, which tests make with all their arguments: here each has the one argument
that such a table changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

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


MENU: dict[str, tuple[Callable[[str], Behaviour], str]] = {
    "ok": (lambda seconds: does.Ok(delay_s=float(seconds)), "0"),
    "ok-chunked": (lambda _: does.Ok(framing="chunked"), ""),
    "ok-until-closed": (lambda _: does.Ok(framing="close"), ""),
    "ok-address": (lambda _: does.Ok(url="own"), ""),
    "ok-heavy": (lambda _: does.Ok(heavy=True), ""),
    "ok-without-usage": (lambda _: does.Ok(usage=None), ""),
    "limited": (lambda hint: does.Limited(hint=_hint(hint)), "retry-after"),
    "server-error": (lambda status: does.ServerError(int(status)), "500"),
    "page": (lambda status: does.Page(int(status)), "502"),
    "recorded": (RECORDED.__getitem__, "openrouter 524"),
    "raw": (lambda text: does.Raw(text.encode()), "no picture"),
    "bad-base64": (lambda _: does.BadBase64(), ""),
    "cut-png": (lambda _: does.CutPng(), ""),
    "cut-json": (lambda _: does.CutJson(), ""),
    "cut-body": (lambda by: does.CutBody("close" if by == "close" else "reset"), "reset"),
    "reset": (lambda seconds: does.ResetAfterRead(float(seconds)), "0"),
    "gzip": (lambda _: does.Gzip(), ""),
    "bomb": (lambda _: does.Gzip(bomb=True), ""),
    "endless": (lambda _: does.Endless(), ""),
    "drip": (lambda seconds: does.Drip(float(seconds)), "0.2"),
    "hang": (lambda _: does.Hang(), ""),
    "redirect": (does.Redirect, "http://127.0.0.1:9/"),
    "see-other": (lambda url: does.Redirect(url, 303, billed=True), "/v1/elsewhere"),
    "missing": (lambda status: does.Missing(int(status)), "404"),
    "half-picture": (lambda status: does.HalfPicture(int(status)), "206"),
    "early": (lambda status: does.EarlyAnswer(int(status)), "407"),
    "echo-key": (lambda place: does.EchoedKey(_place(place)), "message"),
}
"""What makes a behaviour of its argument, and the usual one."""


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
    if name not in MENU:
        raise ValueError(f"there is no behaviour {name!r}")
    make, usual = MENU[name]
    try:
        return make(argument or usual)
    except (ValueError, LookupError) as error:
        raise ValueError(f"{name} does not take {argument!r}") from error
