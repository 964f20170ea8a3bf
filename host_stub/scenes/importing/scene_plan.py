"""An OpenMontage scene plan: what each scene of a video shows, and how the camera sees it.

As its schema has it (version 1.0). A scene that says which assets it needs has a picture for each
that is to be generated; one that says nothing of assets has the picture that it describes. The
words for the camera stand in front of the description, as that pipeline's own prompts have them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from host_stub.errors import Problem
from host_stub.scenes.importing.story import (
    Entry,
    Names,
    NotAStory,
    Origin,
    Read,
    list_at,
    listed,
    numbered,
    object_at,
    refuse_too_many,
    text_of,
    words_of,
)

_KEPT: Final = ("type", "start_seconds", "end_seconds", "script_section_id", "narrative_role")
_TAKEN: Final = frozenset(
    {
        *("id", "description", "framing", "shot_language", "character_actions"),
        *("texture_keywords", "required_assets", "sequence_index", *_KEPT),
    }
)
_SHOTS: Final[Mapping[str, str]] = {
    "over_shoulder": "over-the-shoulder shot",
    "close_up": "close-up",
    "extreme_close_up": "extreme close-up",
    "insert": "insert shot",
}
_CAMERA: Final[Mapping[str, str]] = {
    "lighting_key": "light",
    "depth_of_field": "depth of field",
    "color_temperature": "colours",
}
_CORRECT: Final = "correct the plan; OpenMontage's schema scene_plan says what it may hold"


def is_scene_plan(document: Mapping[str, Any]) -> bool:
    """Return whether a JSON object is a scene plan."""
    scenes = document.get("scenes")
    if not isinstance(scenes, list):
        return False
    return any(
        isinstance(one, dict) and "description" in one for one in cast("list[object]", scenes)
    )


def read_scene_plan(document: Mapping[str, Any]) -> Read:
    """Read a plan.

    Raises:
        NotAStory: A scene of it cannot be read, or none has a picture to be made.
    """
    scenes = cast("list[object]", document["scenes"])
    refuse_too_many(len(scenes))
    names = Names()
    entries: list[Entry] = []
    origins: list[Origin] = []
    without: list[str] = []
    left = [name for name in document if name not in {"version", "scenes"}]
    for index, said in _in_order(scenes):
        where = f"scenes[{index}]"
        name = text_of(said.get("id")) or numbered(index + 1)
        pictures = list(_pictures(said, where))
        if not pictures:
            without.append(name)
        for picture in pictures:
            entries.append(_entry(names.new(name), picture, said, where))
            origins.append(Origin(where=where, names={"prompt": "description"}))
        left += [f"scenes[].{one}" for one in said if one not in _TAKEN]
    if not entries:
        raise NotAStory(
            Problem("scenes", "no scene has a picture to be made"),
            hint='give a scene a required asset whose source is "generate"',
        )
    refuse_too_many(len(entries))
    notes: list[str] = []
    if without:
        notes.append(f"no scenes, since nothing is to be generated for them: {listed(without)}")
    if left:
        notes.append(f"not taken over: {listed(left)}")
    return Read(
        kind="an OpenMontage scene plan",
        entries=tuple(entries),
        origins=tuple(origins),
        notes=tuple(notes),
    )


def _in_order(scenes: list[object]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the scenes with their places, by ``sequence_index`` where all of them have one."""
    read = [
        (index, object_at(f"scenes[{index}]", one, hint=_CORRECT))
        for index, one in enumerate(scenes)
    ]
    if all(type(said.get("sequence_index")) is int for _, said in read):
        read.sort(key=lambda one: cast("int", one[1]["sequence_index"]))
    yield from read


def _pictures(said: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what each picture of a scene shows."""
    description = text_of(said.get("description"))
    place = f"{where}.required_assets"
    assets = list_at(place, said.get("required_assets"), hint=_CORRECT)
    if not assets:
        if not description:
            raise NotAStory(
                Problem(f"{where}.description", "expected what the scene shows"), hint=_CORRECT
            )
        yield description
        return
    for number, one in enumerate(assets):
        asset = object_at(f"{place}[{number}]", one, hint=_CORRECT)
        is_picture = not {"video", "audio", "music", "narration"} & set(
            text_of(asset.get("type")).casefold().replace("-", "_").split("_")
        )
        if asset.get("source") == "generate" and is_picture:
            yield text_of(asset.get("description")) or description


def _entry(scene_id: str, picture: str, said: Mapping[str, Any], where: str) -> Entry:
    camera = ", ".join(_camera(said, where))
    begins = f"{camera[:1].upper()}{camera[1:]}. " if camera else ""
    entry: Entry = {"scene_id": scene_id, "prompt": f"{begins}{picture}"}
    tags = list(words_of(said.get("texture_keywords")))
    if tags:
        entry["style_tags"] = tags
    characters = list(_characters(said, where))
    if characters:
        entry["characters"] = characters
    return entry | {one: said[one] for one in _KEPT if said.get(one) is not None}


def _camera(said: Mapping[str, Any], where: str) -> Iterator[str]:
    language = object_at(f"{where}.shot_language", said.get("shot_language"), hint=_CORRECT)
    size = text_of(language.get("shot_size"))
    if size:
        yield _SHOTS.get(size, f"{size.replace('_', '-')} shot")
    if framing := text_of(said.get("framing")):
        yield framing.rstrip(".")
    if type(lens := language.get("lens_mm")) is int:
        yield f"{lens} mm lens"
    for name, what in _CAMERA.items():
        if word := text_of(language.get(name)).replace("_", " "):
            yield f"{word} {what}"


def _characters(said: Mapping[str, Any], where: str) -> Iterator[str]:
    place = f"{where}.character_actions"
    seen: set[str] = set()
    for number, one in enumerate(list_at(place, said.get("character_actions"), hint=_CORRECT)):
        action = object_at(f"{place}[{number}]", one, hint=_CORRECT)
        name = text_of(action.get("character_id"))
        if name and name not in seen:
            seen.add(name)
            yield name
