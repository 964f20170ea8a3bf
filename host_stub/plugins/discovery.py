"""Which plugins are installed, from metadata alone: nothing is imported here.

The standard ``entry_points()`` stops at the first distribution whose metadata is malformed, and a
plugin that the config does not name must harm nothing; so each distribution is read by itself. One
that lies twice on the path (an editable install, a ``lib64`` link) counts once, and two that offer
the same name are a conflict in which neither wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, distributions

from host_stub.errors import PluginConflict, PluginNotFound

GROUP = "host_stub.plugins"
"""The entry-point group of the host's plugins."""


@dataclass(frozen=True, slots=True, order=True)
class FoundPlugin:
    """A plugin as its distribution's metadata announces it.

    Attributes:
        name: What the config calls it.
        target: What is imported when it is needed, as ``module`` or ``module:object``.
        distribution: The distribution that offers it.
        version: Of the distribution.
        entry_point: Imports the target when asked to.
    """

    name: str
    target: str
    distribution: str
    version: str
    entry_point: EntryPoint = field(repr=False, compare=False)

    @property
    def source(self) -> str:
        """Return distribution and version, for example ``stage3-plugin 0.1.0``."""
        return f"{self.distribution} {self.version}".rstrip()


def find_plugins() -> tuple[FoundPlugin, ...]:
    """List the installed plugins, sorted by name; a malformed distribution is passed over."""
    seen: dict[str, tuple[FoundPlugin, ...]] = {}
    for distribution in distributions():
        try:
            found = tuple(_offered_by(distribution))
        except Exception:  # noqa: BLE001, S112  - whatever its metadata does, others must be found
            continue
        if found:
            # The first one on the path is the one an import would meet.
            seen.setdefault(_normalized(found[0].distribution), found)
    return tuple(sorted({plugin for found in seen.values() for plugin in found}))


def pick(name: str, found: Iterable[FoundPlugin]) -> FoundPlugin:
    """Choose the one plugin of this name.

    Raises:
        PluginNotFound: No distribution offers it; the hint has the closest name.
        PluginConflict: More than one distribution, or one of them twice, offers it.
    """
    known = tuple(found)
    matching = [plugin for plugin in known if plugin.name == name]
    if not matching:
        raise PluginNotFound(name, [plugin.name for plugin in known])
    if len(matching) > 1:
        raise PluginConflict(name, [f"{plugin.source} ({plugin.target})" for plugin in matching])
    return matching[0]


def _offered_by(distribution: Distribution) -> Iterator[FoundPlugin]:
    # Most distributions offer nothing here; looking at the text first spares parsing theirs.
    if GROUP not in (distribution.read_text("entry_points.txt") or ""):
        return
    for entry_point in distribution.entry_points:
        if entry_point.group == GROUP:
            yield FoundPlugin(
                name=entry_point.name,
                target=entry_point.value,
                distribution=_metadata(distribution, "Name") or "unknown distribution",
                version=_metadata(distribution, "Version"),
                entry_point=entry_point,
            )


def _metadata(distribution: Distribution, field: str) -> str:
    """Return a field of the metadata, or ``""``; indexing by a missing one is deprecated."""
    values = distribution.metadata.get_all(field)
    return str(values[0]) if values else ""


def _normalized(distribution: str) -> str:
    """Fold a distribution's name as PEP 503 does."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
