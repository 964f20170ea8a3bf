"""What an opened stage offers beside its methods, read from whatever it has, safe for a terminal.

Warnings, providers and what it finds out online, for free, are a plugin's own affair. It need not
offer any, and what is no list of warnings or providers is passed over, since it must not keep
``check`` from its answer. Nonsense about what was asked online is reported: a person has asked for
just this, and silence would look like a good answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeGuard, cast

from host_stub.contract import OnlineCheck, Provider
from host_stub.errors import ContractViolation
from host_stub.plugins.selection import SelectedPlugin
from host_stub.text.addresses import in_text
from host_stub.text.escape import escaped

MOST_WARNINGS: Final = 50
LONGEST_WARNING: Final = 10_000
"""Characters. The next step stands at a warning's end, so only one far too long is cut."""
MOST_PROVIDERS: Final = 100
MOST_CHECKS: Final = 100
_LONGEST_NAME: Final = 200
_LONGEST: Final = 1000
_ASKED: Final = frozenset({"key", "model", "account", "store"})
_VERDICTS: Final = frozenset({"good", "bad", "unknown"})


def warnings_of(stage: object) -> tuple[str, ...]:
    """Return what opening a stage found that a person should know."""
    return each_once(_several(stage, "warnings"))


def each_once(found: Iterable[Any]) -> tuple[str, ...]:
    """Return each line once, in order, safe for a terminal."""
    texts = (line for line in found if isinstance(line, str))
    lines = (escaped(in_text(line), limit=LONGEST_WARNING) for line in texts)
    return tuple(dict.fromkeys(lines))[:MOST_WARNINGS]


def providers_of(stage: object) -> tuple[Provider, ...]:
    """Return who can make a stage's pictures."""
    known = [one for one in _several(stage, "providers") if isinstance(one, Provider)]
    return tuple(
        Provider(
            name=escaped(str(one.name), limit=_LONGEST_NAME),
            source=escaped(str(one.source), limit=_LONGEST_NAME),
            in_use=one.in_use is True,
            problem=None if one.problem is None else escaped(str(one.problem), limit=_LONGEST_NAME),
        )
        for one in known[:MOST_PROVIDERS]
    )


def in_a_line(providers: Iterable[Provider], *, own: str) -> str:
    """Write providers in one line; where one comes from is said unless it is the plugin's own."""
    return ", ".join(_in_words(one, own) for one in providers)


def _in_words(one: Provider, own: str) -> str:
    about = [one.source] if one.source not in {"", own} else []
    about += ["in use"] if one.in_use else []
    about += [] if one.problem is None else [one.problem]
    return f"{one.name} ({', '.join(about)})" if about else one.name


def _several(stage: object, name: str) -> Iterable[Any]:
    found: Any = getattr(stage, name, ())
    return cast("Iterable[Any]", found) if isinstance(found, tuple | list) else ()


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
