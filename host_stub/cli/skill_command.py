"""``host-stub skill``: the instructions by which a coding agent works with these commands."""

# ruff: noqa: PLC0415  - what a command needs is imported when it is called

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path
from typing import Final

from host_stub.text.console import Console

NAME: Final = "stage3"
"""What the skill is called; the folder that it lies in has to be called the same."""


def add_skill(parser: argparse.ArgumentParser) -> None:
    """Add what ``skill`` takes."""
    parser.add_argument(
        "--install",
        type=Path,
        metavar="DIR",
        help=f"write it to DIR/{NAME}/SKILL.md, where an agent looks for skills",
    )


def skill(options: Namespace, console: Console) -> int:
    """Print the instructions, or put them where an agent finds them; overwrites nothing."""
    text = instructions()
    installed = None if options.install is None else _install(options.install, text)
    if console.json_only:
        path = None if installed is None else str(installed)
        console.result({"format": "stage3-skill/1", "name": NAME, "path": path, "text": text})
    elif installed is None:
        console.say(text.rstrip("\n"))
    else:
        console.say(f"wrote {installed}")
    return 0


def instructions() -> str:
    """Return the text of the skill."""
    from importlib.resources import files

    return files("host_stub").joinpath("skill", "SKILL.md").read_text(encoding="utf-8")


def _install(folder: Path, text: str) -> Path:
    from host_stub.errors import FileAlreadyThere, ResultsNotWritten

    path = folder / NAME / "SKILL.md"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
            return path
        raise FileAlreadyThere(path, hint="remove it, and install it anew") from error
    except OSError as error:
        raise ResultsNotWritten(path, error) from error
    return path
