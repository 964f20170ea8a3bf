"""What ``stage3 providers`` shows beside providers: what a model class can be run by.

Each is imported by itself, as providers are; what it needs may be lacking, and is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from stage3_plugin.errors import SettingsRefused, need
from stage3_plugin.executors.registry import EXECUTORS, executor_named
from stage3_plugin.runtime.extras import EXTRAS
from stage3_plugin.runtime.offers import Offers


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledExecutor:
    """One kind of executors.

    Attributes:
        name: Its word in ``executor.kind``.
        source: Who brings it.
        problem: Why it cannot be used, if it cannot.
        hint: What to do about that.
        options: What the table ``executor`` may hold beside its kind.
    """

    name: str
    source: str
    problem: str | None = None
    hint: str | None = None
    options: tuple[str, ...] = ()


def installed_executors(offers: Offers = EXECUTORS) -> tuple[InstalledExecutor, ...]:
    """Return all that are installed, sorted by name."""
    return tuple(_looked_at(name, offers) for name in offers.names)


def _looked_at(name: str, offers: Offers) -> InstalledExecutor:
    source = " and ".join(one.source for one in offers.all if one.name == name)
    try:
        options = tuple(sorted(executor_named(name, offers).Options.model_fields))
        if name in EXTRAS:  # an extra of ours has the name of the kind that needs it
            need(name, setting="executor.kind")
    except SettingsRefused as refused:
        problem, hint = refused.problem, refused.hint
    except Exception as error:  # noqa: BLE001 - whatever a stranger's class does, others are shown
        problem, hint = f"{type(error).__name__}: {error}", "tell its author"
    else:
        return InstalledExecutor(name=name, source=source, options=options)
    return InstalledExecutor(name=name, source=source, problem=problem, hint=hint)


def as_json(executors: Sequence[InstalledExecutor]) -> list[dict[str, object]]:
    """Return them as plain JSON values."""
    return [asdict(one) for one in executors]


def as_text(executors: Sequence[InstalledExecutor]) -> str:
    """Say of each what it takes, or why it cannot be used."""
    lines: list[str] = []
    for one in executors:
        who = f"executor {one.name} ({one.source})"
        if one.problem is None:
            lines += [f"{who}: runs a model class", f"  takes: {', '.join(one.options)}"]
        else:
            lines += [f"{who}: cannot be used: {one.problem}", f"  hint: {one.hint}"]
    return "\n".join(lines)
