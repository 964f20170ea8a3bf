"""What a plugin leaves as it was: the process, its outputs, other people's files.

These look at the whole process, so each has one to itself, in which nothing came before.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

import structlog

from host_stub.conformance.lab import Lab
from host_stub.conformance.requirement import tries
from host_stub.conformance.surroundings import changed, digest_of, look, printed_bytes, tree_of
from host_stub.conformance.verdict import Broken

_MOST_SHOWN: Final = 200


def _work(lab: Lab) -> int:
    """Do what a host does with a plugin: plan if it can, and run."""
    scenes = lab.scenes(3)
    if lab.plugin.capabilities.plans:
        lab.run([])
        lab.plan(scenes)
    return len(lab.well(lab.run(scenes)).outcomes)


@tries("manners.no-print", alone=True)
def no_print(lab: Lab) -> str:
    """Look at the outputs of the process, which are files here."""
    ended = _work(lab)
    printed = printed_bytes() - lab.printed_before
    if printed:
        said = os.pread(1, _MOST_SHOWN, lab.printed_before).decode(errors="replace")
        raise Broken(f"{printed} bytes were printed: {said!r}")
    return f"{ended} outcomes, and nothing was printed"


@tries("manners.no-global-logging", alone=True)
def no_global_logging(lab: Lab) -> str:
    """Look at what logging and structlog are configured with."""
    _work(lab)
    root = logging.getLogger()
    if structlog.is_configured():
        raise Broken("structlog is configured")
    if root.handlers:
        raise Broken(f"the root logger has {len(root.handlers)} handlers")
    if root.level != logging.WARNING or root.manager.disable:
        raise Broken("the root logger has another level")
    return "logging and structlog are as Python leaves them"


@tries("manners.process-as-before", alone=True)
def process_as_before(lab: Lab) -> str:
    """Compare what belongs to all of the process with what it was before the import."""
    _work(lab)
    after = look()
    other = [name for name, value in lab.before.items() if after[name] != value]
    if other:
        raise Broken(f"another: {', '.join(other)}")
    return f"{len(after)} things are as they were"


@tries("manners.writes-only-in-out-dir", alone=True)
def writes_only_in_out_dir(lab: Lab) -> str:
    """Look at home, at the current folder, and at the project's, before and after a run."""
    room = Path(os.environ["HOME"]).parent
    mine = [room / "temporary", lab.out]
    kept = [lab.project / name for name in lab.case.keeps]
    before = tree_of(room, without=[*mine, *kept])
    _work(lab)
    found = changed(before, tree_of(room, without=[*mine, *kept]))
    if found:
        raise Broken("; ".join(found[:5]))
    return "nothing was written elsewhere"


@tries("manners.keeps-others")
def keeps_others(lab: Lab) -> str:
    """Put files of somebody else's into the folder of results, and look for them after a run."""
    others = [
        lab.out / "notes.txt",
        lab.out / "images" / "holiday.jpg",
        lab.out / "images" / "a.part",
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"somebody's {path.name}", encoding="utf-8")
    before = {path: digest_of(path) for path in others}
    lab.well(lab.run(lab.scenes(2)))
    lost = [path.name for path, digest in before.items() if digest_of(path) != digest]
    if lost:
        raise Broken(f"gone or changed: {', '.join(lost)}")
    return f"{len(others)} files of somebody else's are as they were"
