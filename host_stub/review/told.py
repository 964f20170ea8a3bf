"""What the page is told of a story, as scripts, since a page that is a file can read nothing else.

Everything in it may have been written by somebody hostile: an id, a prompt, a note, a
provider's address. It is JSON in ASCII, in which neither a tag nor a line's end can be spelled, and
the page puts it nowhere but into text.

It lies in the page's folder, beside the page's own files, which never differ.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from host_stub.events.journal import write_whole
from host_stub.standing.standing import SceneStanding
from host_stub.story.takes import Take, is_current
from host_stub.text.addresses import without_query
from host_stub.text.format import exact

FORMAT: Final = "stage3-review/1"
DATA: Final = "data.js"
REST: Final = "rest.js"
PULSE: Final = "pulse.js"
FIRST_SCENES: Final = 60
"""More than any window shows at once."""
_MARKUP: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""What HTML reads in a script; JSON has these characters in texts alone. ASCII has no U+2028."""
_QUOTED: Final = str.maketrans({"\\": "\\\\", "'": "\\'"})
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")
_COMMON: Final = (
    "no_thumb",
    "width",
    "height",
    "state",
    "plugin",
    "provider",
    "model",
    "cost_usd",
    "draft",
    "imported",
    "rejected",
    "made_at",
    "url",
)
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The story's scenes for the page, and what is to be known of all of them.

    Attributes:
        story_id: Names the story for as long as it lies where it lies: decisions in a browser are
            kept under it.
        name: For people.
        scenes: Rows of :func:`row_of`.
        is_running: A run is at work on it.
        command: What prices a file of decisions, but for the file.
    """

    story_id: str
    name: str
    scenes: list[dict[str, Any]]
    is_running: bool = False
    command: str = "host-stub plan SCENES"

    def scripts(self) -> dict[str, bytes]:
        """Return the scripts by their names, in the order in which they have to be written.

        ``data.js`` has the first scenes, so that the first rows are there at once, however many
        there are; ``rest.js`` the others; ``pulse.js`` says in a line which those two are.
        """
        common, scenes = _without_the_usual(self.scenes)
        head: dict[str, Any] = {
            "format": FORMAT,
            "story": {"id": self.story_id, "name": self.name},
            "running": self.is_running,
            "command": self.command,
            "spent_usd": _sum(row.get("spent_usd") for row in self.scenes),
            "of": len(scenes),
            "usual": common,
        }
        revision = hashlib.sha256(_encode([head, scenes]).encode("ascii")).hexdigest()[:16]
        which = {"revision": revision}
        return {
            REST: script("stage3Rest", {**which, "scenes": scenes[FIRST_SCENES:]}),
            DATA: script("stage3Review", {**which, **head, "scenes": scenes[:FIRST_SCENES]}),
            PULSE: script("stage3Pulse", {**which, "running": self.is_running}),
        }


def script(name: str, value: object) -> bytes:
    """Return a classic script that leaves a value behind under a name of the window.

    It is JSON in a text, which browsers read in two thirds of the time that a literal takes.
    """
    text = _encode(value).translate(_MARKUP)
    return f"window.{name}=JSON.parse('{text.translate(_QUOTED)}');\n".encode("ascii")


def row_of(
    standing: SceneStanding,
    *,
    number: int,
    path_of: Callable[[Take], str | None],
    has_thumb: Callable[[str], bool],
    pick: int | None = None,
    notes: Sequence[tuple[str, str]] = (),
    problem: str | None = None,
) -> dict[str, Any]:
    """Return a scene or a sheet as the page is told of it; what goes without saying is left out.

    Args:
        standing: How it stands.
        number: Which one it is, from 1, among the scenes or among the sheets.
        path_of: Where a take's picture is, relative to the out folder; ``None`` if it is nowhere.
        has_thumb: Whether there is a small picture of these bytes.
        pick: The number of the take that a person picked.
        notes: What was noted about it: by whom, and the words.
        problem: Why it failed or would not be made.
    """
    scene = standing.scene
    row = {
        "scene": standing.scene_id,
        "role": None if standing.role == "scene" else standing.role,
        "number": number,
        "state": standing.state,
        "reasons": list(standing.reasons),
        "wrong_aspect": standing.wrong_aspect,
        "prompt": scene.prompt if scene is not None else _words_of(standing),
        "notes": [{"reviewer": reviewer, "note": note} for reviewer, note in notes],
        "problem": problem or standing.problem,
        "shown": None if standing.shown is None else standing.shown.number,
        "picked": pick is not None and standing.shown is not None and standing.shown.number == pick,
        "made": standing.made,
        "own_takes": 1 if scene is None else scene.takes,
        "to_make": standing.to_make if standing.state not in {"held", "pending"} else 0,
        "cost_usd": exact(standing.cost_usd),
        "spent_usd": _sum(exact(take.cost.usd) for take in standing.takes),
        "takes": [
            _take(take, standing.basis, path_of(take), has_thumb=has_thumb(take.sha256))
            for take in standing.takes
        ],
    }
    return {"takes": [], **_said(row)}


def _take(take: Take, basis: str | None, path: str | None, *, has_thumb: bool) -> dict[str, Any]:
    url = take.row.get("image_url")
    return {
        "take": take.number,
        "sha256": take.sha256,
        "path": None if path is None else f"../{quote(path)}",
        "no_thumb": not has_thumb,
        "width": take.width,
        "height": take.height,
        "state": "current" if is_current(take, basis) else "stale",
        "plugin": take.plugin,
        "provider": take.provider,
        "model": take.model,
        "cost_usd": exact(take.cost.usd),
        "draft": take.is_draft,
        "imported": take.is_import,
        "rejected": take.is_rejected,
        "made_at": take.made_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "url": without_query(url) if isinstance(url, str) else None,
    }


def _without_the_usual(
    scenes: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Say once what most takes have in common: ten thousand scenes are read in half a second."""
    takes = [take for scene in scenes for take in scene["takes"]]
    usual = {
        name: Counter(take[name] for take in takes).most_common(1)[0][0]
        for name in (_COMMON if takes else ())
    }
    rest = [
        {**scene, "takes": [_unusual(take, scene, usual) for take in scene["takes"]]}
        for scene in scenes
    ]
    return usual, rest


def _unusual(
    take: Mapping[str, Any], scene: Mapping[str, Any], usual: Mapping[str, Any]
) -> dict[str, Any]:
    rest = {
        name: value for name, value in take.items() if name not in usual or usual[name] != value
    }
    if take["path"] == usual_path(scene["scene"], take["sha256"]):
        del rest["path"]
    return rest


def usual_path(scene_id: str, sha256: str) -> str | None:
    """Return where a picture usually is; ``Scene`` in ``page/story.js`` says the same."""
    return f"../takes/{scene_id}/{sha256[:12]}.png" if _PLAIN.fullmatch(scene_id) else None


def _said(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value not in (None, False, "", [])}


def _words_of(standing: SceneStanding) -> str:
    """Return the words that a sheet was made from: its scene file has none."""
    for take in reversed(standing.takes):
        params: Any = take.row.get("generation_params")
        prompt: object = params.get("prompt") if isinstance(params, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - a row is JSON
        if isinstance(prompt, str):
            return prompt
    return ""


def _sum(prices: Iterable[str | None]) -> str:
    """Add up what is known."""
    return f"{sum((Decimal(price) for price in prices if price is not None), Decimal(0)):f}"


NAME: Final = "review"
THUMBS: Final = "thumbs"


def write_page(out_dir: Path, told: Told) -> Path:
    """Write the page and what it is told, and return its first file.

    The page's own files come first, so that one which is open never meets data that it does not
    understand; ``pulse.js`` comes last, since it says that the others are there.

    Args:
        out_dir: The folder of the results.
        told: What there is.

    Raises:
        OSError: The disk did not take it.
    """
    folder = out_dir / NAME
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in own_files().items():
        _write_if_other(folder / name, content)
    write_told(out_dir, told)
    return folder / "index.html"


def write_told(out_dir: Path, told: Told) -> None:
    """Write what the page is told anew; one that is open takes it over.

    Raises:
        OSError: The disk did not take it.
    """
    for name, content in told.scripts().items():
        _write_if_other(out_dir / NAME / name, content)


def own_files() -> dict[str, bytes]:
    """Return the page's own files by name."""
    page = files("host_stub.review") / "page"
    return {file.name: file.read_bytes() for file in page.iterdir() if file.is_file()}


def _write_if_other(path: Path, content: bytes) -> None:
    if not path.is_file() or path.is_symlink() or path.read_bytes() != content:
        write_whole(path, [content])
