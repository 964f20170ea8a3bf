"""What a run does to pictures that another plugin has put into the same folder for results.

The host knows which plugin's run was the last there, and whether that plugin keeps a ledger; only
the plugins know which files they will replace. So the run warns before the stage opens, and says
what brings the pictures back and what leaves them alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from host_stub.errors import HostError
from host_stub.run.manifest import NAME, tail_of
from host_stub.text.escape import escaped

_PLUGIN_LINE: Final = re.compile(rb'^  "plugin": "([^"\\]*)"', re.MULTILINE)


def earlier_pictures(out_dir: Path, plugin: str) -> tuple[str, ...]:
    """Return what to say of pictures that another plugin's run has left: one line, or none."""
    images = out_dir / "images"
    earlier = _plugin_before(out_dir)
    if earlier is None or earlier == plugin or not _has_files(images):
        return ()
    name = escaped(earlier, limit=80)
    keeps = (
        f"; what {name} bought stays in its books, and its next run puts it back without paying"
        if _keeps_ledger(earlier)
        else ""  # the plugin that replaces them says which of them it keeps
    )
    warning = (
        f"the pictures in {images} are those of another plugin, {name}: of the same scenes they "
        f"may be replaced{keeps}; --out with another folder leaves them all where they are"
    )
    return (warning,)


def _plugin_before(out_dir: Path) -> str | None:
    try:
        found = _PLUGIN_LINE.findall(tail_of(out_dir / NAME))
    except OSError:
        return None
    return found[-1].decode("utf-8", "replace") if found else None


def _has_files(folder: Path) -> bool:
    try:
        return any(path.is_file() for path in folder.iterdir())
    except OSError:
        return False


def _keeps_ledger(plugin: str) -> bool:
    from host_stub.plugins.selection import load_description  # noqa: PLC0415 - only where it is asked

    try:
        return load_description(plugin)[1].capabilities.resumes
    except HostError:
        return False
