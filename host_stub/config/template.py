"""What a new project starts from: a commented ``host.toml``, a small story, a ``.gitignore``.

The first two are complete: ``host-stub run scenes.json`` beside them makes pictures offline and for
free, and the comments say which lines to change for a real image API. Nothing is ever overwritten.

For somebody who runs without a config storyboards are drawn. Who has a key in the environment then
is shown the very table that buys real pictures; the key itself is never read here, and stays out of
the file. Which models are named is an example, as in the config that ``init`` writes; a test holds
it against what the plugin knows.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from host_stub.config.file import HostConfig
from host_stub.errors import FileAlreadyThere, ResultsNotWritten

CONFIG: Final = """\
# What host-stub reads from the folder it is run in, or from --config FILE.
# Relative paths start at this file's folder. Any line can be overridden for one run:
#   host-stub run scenes.json --set plugin.stage3.capacity=2

[run]
out_dir = "out"                 # pictures, manifest.json and events.jsonl
# max_in_flight = 8             # a ceiling over every plugin's own capacity
# journal = "out/events.jsonl"  # or false for none

[pipeline]
image = "stage3"                # who makes the pictures; 'host-stub plugins' lists them
observers = []                  # plugins that are told about events, in this order

[plugin.stage3]
provider = "previz"             # draws storyboards offline, for free
size = "1280x720"               # 16:9, as a video is; for scenes that do not name their own
# caption = true                # previz: slate and caption; false gives a clean plate

# For real pictures, put these two lines in place of the first one above ...
# provider = "openrouter"
# model = "openai/gpt-image-2.5-flare"
# ... and keep the key out of this file: export OPENROUTER_API_KEY=...
# api_key = { env = "OPENROUTER_API_KEY" }

# Any server that speaks the OpenAI Images API:
# provider = "openai"
# base_url = "http://localhost:8080/v1"
# model = "the-model"

# price_usd = "0.05"            # the most a picture can cost, if its model has no known price
# budget_usd = "2.50"           # a run spends no more than this
# daily_usd = "20"              # nor all runs of a day together
# capacity = 8                  # at most so many scenes at once; 1 is serial
# max_attempts = 4              # for failures that pass; what may have been billed is not repeated
# quality = "medium"
# lane = "batch"                # half the price with openai and gemini, within a day or two
# output_format = "png"

# The same face in every scene: what the ids in characters_in_scene look like. A sheet is made
# first, for the price of a picture; image = "mira.png" instead of prompt shows one that is there.
# [plugin.stage3.cast.mira]
# name = "Mira"
# prompt = "Mira, a girl in a yellow raincoat: face and figure, front and side, on white"

# The reference plugin: flat colours. Swap with image = "plain" above, or --image plain.
[plugin.plain]
# colour = "#446688"            # without it each prompt has a colour of its own
size = "1280x720"
"""

STORY: Final = """\
{
  "prompts": [
    {
      "scene_id": "scene_001",
      "image_prompt": "Medium-wide shot, dawn over a quiet harbour. Mira, a girl in a yellow raincoat, unties a small blue boat at the pier.",
      "negative_prompt": "text, watermark",
      "style_tags": ["watercolour", "soft light"],
      "characters_in_scene": ["mira"]
    },
    {
      "scene_id": "scene_002",
      "image_prompt": "Open sea at noon. Mira and Old Tom, a white-bearded fisherman, watch a whale surface beside the boat.",
      "style_tags": ["watercolour"],
      "characters_in_scene": ["mira", "old_tom"]
    },
    {
      "scene_id": "scene_003",
      "image_prompt": "Medium-wide shot, night in the harbour. Lanterns on the pier; Mira waves from the blue boat, laughing, and Old Tom plays a concertina.",
      "style_tags": ["watercolour", "warm light"],
      "characters_in_scene": ["mira", "old_tom"]
    }
  ]
}
"""  # noqa: E501  - prompts are one line each

IGNORED: Final = """\
# Pictures and journals can be made again; the ledger and what was paid for belong in a backup,
# and not in a repository: it changes with every run, and holds signed addresses.
out/
.stage3/
"""

CONFIG_NAME: Final = "host.toml"
SCENES_NAME: Final = "scenes.json"
FILES: Final = ((CONFIG_NAME, CONFIG), (SCENES_NAME, STORY))
ANOTHER_SCENE_FILE: Final = "name another one with --scenes FILE, or move that one away"
IGNORE_FILE: Final = ".gitignore"
"""Written too, but left alone where there is one: a project may be begun in a repository."""


def write_project(folder: Path) -> tuple[Path, ...]:
    """Write the files of a new project; return their paths.

    Raises:
        FileAlreadyThere: One of them exists; then none is written.
        ResultsNotWritten: The disk did not take one.
    """
    return _write(folder, [(folder / name, content) for name, content in FILES])


def write_story(
    folder: Path, scenes: tuple[Path, str], *, cast: str = ""
) -> tuple[tuple[Path, ...], bool]:
    """Write a scene file, and the rest of a project where it is not there.

    Args:
        folder: The project's.
        scenes: The scene file and its content.
        cast: Tables that a new config has at its end.

    Returns:
        The paths of what was written, and whether the config is among them.

    Raises:
        FileAlreadyThere: The scene file exists; then nothing is written.
        ResultsNotWritten: The disk did not take a file.
    """
    config = folder / CONFIG_NAME
    is_new = not os.path.lexists(config)
    files = [scenes, *([(config, f"{CONFIG}{cast}")] if is_new else [])]
    return _write(folder, files, hint=ANOTHER_SCENE_FILE), is_new


def _write(
    folder: Path, files: list[tuple[Path, str]], *, hint: str | None = None
) -> tuple[Path, ...]:
    """Write all of them or none, and a ``.gitignore`` where there is none."""
    written: list[Path] = []
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files:
            # "x" refuses whatever is there, a dead link too, without a look that could be late.
            with path.open("x", encoding="utf-8", newline="\n") as handle:
                written.append(path)
                handle.write(content)
    except FileExistsError as error:
        _take_back(written)
        if path == folder:
            raise ResultsNotWritten(path, error) from error
        raise FileAlreadyThere(path, hint=hint) from error
    except OSError as error:
        _take_back(written)
        raise ResultsNotWritten(path, error) from error
    with suppress(OSError), (folder / IGNORE_FILE).open("x", encoding="utf-8") as handle:
        handle.write(IGNORED)
        return (*written, folder / IGNORE_FILE)
    return tuple(written)


def _take_back(written: list[Path]) -> None:
    """Remove what this call has written, so that it can be made again."""
    for path in written:
        with suppress(OSError):
            path.unlink()


PROVIDERS: Final[Mapping[str, tuple[str, str]]] = {
    "OPENROUTER_API_KEY": ("openrouter", "openai/gpt-image-2.5-flare"),
    "OPENAI_API_KEY": ("openai", "gpt-image-2.5-flare"),
    "GEMINI_API_KEY": ("gemini", "gemini-3.1-flash-image"),
    "FAL_KEY": ("fal", "fal-ai/flux/schnell"),
    "REPLICATE_API_TOKEN": ("replicate", "black-forest-labs/flux-schnell"),
    "BFL_API_KEY": ("bfl", "flux-2-pro"),
    "XAI_API_KEY": ("xai", "grok-imagine-image"),
}
"""The variable a provider's key is usually in, the provider, and a model of it to begin with."""


def is_without_choice(config: HostConfig) -> bool:
    """Return whether nobody chose who makes the pictures: no config does, and no option."""
    if config.path is not None or config.image != "stage3" or config.is_guest:
        return False
    return config.settings_of("stage3", only=["provider"]).values.get("provider") == "previz"


def first_lines(variables: Collection[str], scenes: str) -> tuple[str, ...]:
    """Say how a model makes the pictures instead, by the keys that are set.

    Args:
        variables: The names of the variables that are set.
        scenes: The scene file, as it would be typed.
    """
    there = [name for name in PROVIDERS if name in variables]
    if not there:
        how = "'host-stub init' writes a host.toml that says how a model makes pictures"
        return (f"these are storyboards, drawn here for nothing and without a key; {how}",)
    variable, *others = there
    provider, model = PROVIDERS[variable]
    also = f" (so {'is' if len(others) == 1 else 'are'} {', '.join(others)})" if others else ""
    put = "for pictures of a model, write this into host.toml"
    return (
        f"these are storyboards, drawn here for nothing. {variable} is set{also}: {put}",
        "",
        "  [plugin.stage3]",
        f'  provider = "{provider}"',
        f'  model = "{model}"',
        f'  api_key = {{ env = "{variable}" }}',
        '  budget_usd = "2.50"   # a run spends no more than this',
        "",
        f"then 'host-stub plan {scenes}' says what they cost, and spends nothing",
    )
