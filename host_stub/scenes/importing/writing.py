"""How an imported story is written down: a scene file, and tables of a config for its cast."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from host_stub.scenes.importing.story import Read

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
"""A key that TOML takes without quotation marks."""


def scene_file(read: Read) -> str:
    """Return the scenes as the text of a scene file, which a person may go on editing."""
    return json.dumps({"prompts": list(read.entries)}, ensure_ascii=False, indent=2) + "\n"


def references_from(read: Read, *, source: Path, folder: Path) -> dict[str, Mapping[str, str]]:
    """Return the cast with the files of its pictures as they are named from another folder.

    Args:
        read: A story; its files are relative to it.
        source: The story's file.
        folder: The folder of the config.
    """
    cast: dict[str, Mapping[str, str]] = {}
    for name, member in read.cast.items():
        image = member.get("image")
        cast[name] = member if image is None else {**member, "image": _moved(image, source, folder)}
    return cast


def _moved(image: str, source: Path, folder: Path) -> str:
    if source.parent.resolve() == folder.resolve() or Path(image).is_absolute():
        return image
    return Path(os.path.relpath(source.parent / image, folder)).as_posix()


def cast_tables(cast: Mapping[str, Mapping[str, str]], *, plugin: str) -> str:
    """Return a table of a plugin's settings for each member; nothing without any."""
    return "".join(
        f"\n[plugin.{plugin}.cast.{name if _BARE.fullmatch(name) else _quoted(name)}]\n"
        + "".join(f"{key} = {_quoted(value)}\n" for key, value in member.items())
        for name, member in cast.items()
    )


def _quoted(text: str) -> str:
    """Write a text as TOML has it; JSON's escapes are TOML's, but for one that JSON leaves out."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
