"""What a code means: what happened, what it cost, and what to do.

The texts are data of the packages that give the codes. A plugin ships an ``explanations.toml`` in
its top package, which is found without importing it.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from host_stub.errors import UsageError, closest

if TYPE_CHECKING:
    from host_stub.text.console import Console

FILE_NAME: Final = "explanations.toml"
KINDS: Final = {
    "failure": "Why a scene has no picture",
    "error": "Why a command ended",
    "warning": "What a command warns of",
    "exit": "Exit codes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a code means.

    Attributes:
        code: As text and JSON have it.
        kind: A key of :data:`KINDS`.
        title: In some words.
        happened: In a sentence or two.
        cost: What was paid, or is held.
        next: What to do.
    """

    code: str
    kind: str
    title: str
    happened: str
    cost: str
    next: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``explain`` takes."""
    parser.add_argument(
        "code", nargs="?", metavar="CODE", help="such as rate_limited, or an exit code"
    )


def explain(options: argparse.Namespace, console: Console) -> int:
    """Explain a code, or list all of them."""
    known = list(explanations())
    chosen = [one for one in known if options.code in {None, one.code}]
    if not chosen:
        near = closest(str(options.code), [one.code for one in known])
        raise UsageError(
            f"no code is called {options.code!r}",
            hint=f"did you mean {near!r}?" if near else "'host-stub explain' lists all codes",
        )
    if options.code is None:
        for kind, title in KINDS.items():
            console.say(f"{title}:")
            for one in chosen:
                if one.kind == kind:
                    console.say(f"  {one.code:<20} {one.title}")
    else:
        for one in chosen:
            console.say(f"{one.code}: {one.title}\n{one.happened}")
            console.say(f"cost: {one.cost}\nnext: {one.next}")
    if console.json_only:
        console.result({"format": "stage3-explain/1", "codes": list(map(asdict, chosen))})
    return 0


def explanations() -> Iterator[Explanation]:
    """Return what the host and the installed plugins explain; the host's own are first."""
    from host_stub.plugins.offers import offers_of  # noqa: PLC0415  - only here

    tops = [one.target.partition(":")[0].partition(".")[0] for one in offers_of()]
    for package in dict.fromkeys(["host_stub", *tops]):
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            path = Path(folder) / FILE_NAME
            if path.is_file():
                tables = tomllib.loads(path.read_text(encoding="utf-8"))
                for kind, codes in tables.items():
                    for code, texts in codes.items():
                        yield Explanation(code=code, kind=kind, **texts)
