"""What ``host-stub plugins`` lists: installed plugins, their origin, and their use in the config.

Built from metadata and the config alone, so that a broken plugin cannot break the command that
finds it. With ``--load`` each row is completed by what became of loading that plugin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from host_stub.config.file import HostConfig
from host_stub.errors import Problem, closest
from host_stub.plugins.offers import Offer
from host_stub.text.columns import in_columns
from host_stub.text.spelling import misspelt

if TYPE_CHECKING:
    from host_stub.plugins.selection import Surveyed  # would import pydantic

HEAD = ("NAME", "FROM", "ENTRY POINT", "CONFIGURED", "SELECTED", "STATUS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One plugin of the list.

    Attributes:
        name: Its name in the config.
        found: What is installed under this name; ``None`` for one that only the config knows.
        configured: Whether the config has a table for it; ``None`` if the config is broken.
        selected: What the config uses it as, ``image`` or ``observer``; ``None`` likewise.
        status: ``installed``, ``conflict``, ``not installed``; after loading ``ready``, ``broken``
            or ``incompatible``.
        surveyed: What became of loading it, if it was loaded.
    """

    name: str
    found: Offer | None
    configured: bool | None
    selected: tuple[str, ...] | None
    status: str
    surveyed: Surveyed | None = None

    def after(self, surveyed: Surveyed) -> Listed:
        """Complete the row with what became of loading; a conflict stays one."""
        status = self.status if self.status == "conflict" else surveyed.status
        return replace(self, status=status, surveyed=surveyed)

    def as_json(self) -> dict[str, Any]:
        """Return the row as plain JSON values."""
        found = self.found
        row: dict[str, Any] = {
            "name": self.name,
            "distribution": None if found is None else found.distribution,
            "version": None if found is None else found.version,
            "entry_point": None if found is None else found.target,
            "configured": self.configured,
            "selected": None if self.selected is None else list(self.selected),
            "status": self.status,
        }
        if self.surveyed is not None:
            description, error = self.surveyed.description, self.surveyed.error
            row |= {
                "hooks": list(self.surveyed.hooks),
                "contract": None if description is None else list(description.contract),
                "capabilities": None
                if description is None
                else description.capabilities.model_dump(mode="json"),
                "error": None if error is None else str(error),
                "hint": None if error is None else error.hint,
            }
        return row

    def as_cells(self) -> tuple[str, ...]:
        """Return the row for people, in the order of :data:`HEAD`."""
        return (
            self.name,
            "-" if self.found is None else self.found.source,
            "-" if self.found is None else self.found.target,
            "?" if self.configured is None else "yes" if self.configured else "no",
            "?" if self.selected is None else ", ".join(self.selected) or "-",
            self.status,
        )


def list_plugins(found: Sequence[Offer], config: HostConfig | None) -> list[Listed]:
    """Make the list.

    Args:
        found: What is installed.
        config: What the user wants; ``None`` if it cannot be read.
    """
    times = Counter(plugin.name for plugin in found)
    rows = [
        _listed(plugin.name, plugin, config, "installed" if times[plugin.name] == 1 else "conflict")
        for plugin in found
    ]
    if config is not None:
        used = dict.fromkeys((config.image, *config.observers))
        rows += [_listed(name, None, config, "not installed") for name in used if name not in times]
    return rows


def tables_without_plugin(found: Sequence[Offer], config: HostConfig) -> Iterator[Problem]:
    """Find the ``[plugin.X]`` tables of plugins that are not installed, perhaps misspelt.

    One that the config also uses is left out: selecting it fails with an error of its own.
    """
    installed = {plugin.name for plugin in found}
    for name in config.configured:
        if name not in {*installed, config.image, *config.observers}:
            near = closest(name, installed)
            hint = f"did you mean {near!r}?" if near else "'host-stub plugins' lists those that are"
            yield Problem(f"[plugin.{name}]", f"no plugin of this name is installed; {hint}")


def misspelt_tables(found: Sequence[Offer], config: HostConfig) -> Iterator[Problem]:
    """Find the tables that can only be meant for a plugin in use, which has none.

    Going on would run that plugin with its defaults: another provider, other prices.
    """
    installed = {plugin.name for plugin in found}
    unset = frozenset({config.image, *config.observers}) - frozenset(config.configured)
    for name in frozenset(config.configured) - installed - {config.image, *config.observers}:
        near = misspelt(name, unset & installed)
        if near is not None:
            yield Problem(f"[plugin.{name}]", f"no plugin of this name; did you mean {near!r}?")


def _listed(name: str, found: Offer | None, config: HostConfig | None, status: str) -> Listed:
    configured: bool | None = None
    selected: tuple[str, ...] | None = None
    if config is not None:
        configured = name in config.configured
        roles = {"image": name == config.image, "observer": name in config.observers}
        selected = tuple(role for role, plays in roles.items() if plays)
    return Listed(name=name, found=found, configured=configured, selected=selected, status=status)


def as_table(rows: Sequence[Listed]) -> str:
    """Lay the rows out in columns, each with its trouble underneath."""
    head, *body = in_columns([HEAD, *(row.as_cells() for row in rows)])
    lines = [head]
    for row, line in zip(rows, body, strict=True):
        lines.append(line)
        error = None if row.surveyed is None else row.surveyed.error
        if error is not None:
            lines += [f"    {error}", f"    hint: {error.hint}"]
    return "\n".join(lines)
