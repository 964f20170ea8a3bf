"""What a stage finds out online, for free, of the key, the models and the account.

A plugin need not be able to. One that answers nonsense is reported, other than with warnings: a
person has asked for just this, and silence would look like a good answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeGuard, cast

from host_stub.contract import OnlineCheck
from host_stub.errors import ContractViolation
from host_stub.plugins.selection import SelectedPlugin
from host_stub.text.addresses import in_text
from host_stub.text.escape import escaped

MOST_CHECKS: Final = 100
_LONGEST: Final = 1000
_ASKED: Final = frozenset({"key", "model", "account", "store"})
_VERDICTS: Final = frozenset({"good", "bad", "unknown"})


async def online_checks_of(stage: object, plugin: SelectedPlugin) -> tuple[OnlineCheck, ...] | None:
    """Have an opened stage ask online; ``None`` if it cannot.

    Raises:
        ContractViolation: What it returned is no list of checks.
    """
    ask: Any = getattr(stage, "check_online", None)
    if ask is None:
        return None
    found: object = await ask()
    if isinstance(found, tuple):
        answers = cast("tuple[object, ...]", found)[:MOST_CHECKS]
        checks = [_plain(one) for one in answers if _is_check(one)]
        if len(checks) == len(answers):
            return tuple(checks)
    problem = "check_online() returned something else than a tuple of OnlineCheck"
    raise ContractViolation(plugin.name, "check.told", problem, source=plugin.source)


def _is_check(one: object) -> TypeGuard[OnlineCheck]:
    return isinstance(one, OnlineCheck) and one.asked in _ASKED and one.verdict in _VERDICTS


def _plain(one: OnlineCheck) -> OnlineCheck:
    """Return a check whose words are safe for a terminal."""
    return OnlineCheck(
        asked=one.asked,
        verdict=one.verdict,
        message=_line(one.message),
        hint=None if one.hint is None else _line(one.hint),
        name=None if one.name is None else _line(one.name),
        is_warning=bool(one.is_warning),
    )


def _line(text: object) -> str:
    return escaped(in_text(str(text)), limit=_LONGEST)


def subject_of(check: OnlineCheck) -> str:
    """Return what a check is about, as people call it."""
    return check.asked if check.name is None else f"{check.asked} {check.name}"


def is_error(check: OnlineCheck) -> bool:
    """Return whether a check keeps pictures from being made as they were reckoned."""
    return check.verdict == "bad" and not check.is_warning


def as_lines(checks: tuple[OnlineCheck, ...] | None) -> Iterator[str]:
    """Write what was found out; what to do about it stands under it."""
    if not checks:
        why = "there is nobody to ask" if checks is not None else "this plugin cannot ask anybody"
        yield f"online: {why}"
        return
    yield "online, for free:"
    for check in checks:
        yield f"  {subject_of(check)}: {check.verdict}, {check.message}"
        if check.hint is not None and not is_error(check):  # which has its own
            yield f"    next: {check.hint}"
