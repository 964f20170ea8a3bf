"""A mulmoscript: the beats of a video, each with the words for its picture.

As MulmoCast has it (schemas 1.0 and 1.1): a beat's ``imagePrompt`` and the script's style make the
prompt, and ``imageParams.images`` are those who are shown in several beats. A beat that shows a
picture, a film or a slide of its own has none to be made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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

_KEPT: Final = ("text", "speaker", "duration")
"""What stays with a scene for whoever reads its file: it is not sent."""
_TAKEN: Final = frozenset({"id", "description", "image", "imagePrompt", "imageNames", *_KEPT})
_OF_SCRIPT: Final = frozenset({"$mulmocast", "beats", "canvasSize", "imageParams", "title"})
_OF_IMAGES: Final = frozenset({"style", "images"})
_CORRECT: Final = "correct the script; MulmoCast's own documents say what it may hold"


def is_mulmoscript(document: Mapping[str, Any]) -> bool:
    """Return whether a JSON object is a mulmoscript."""
    return "$mulmocast" in document or isinstance(document.get("beats"), list)


def read_mulmoscript(document: Mapping[str, Any]) -> Read:
    """Read a script.

    Raises:
        NotAStory: It has no beats, or none with a picture to be made.
    """
    beats = list_at("beats", document.get("beats"), hint=_CORRECT)
    refuse_too_many(len(beats))
    params = object_at("imageParams", document.get("imageParams"), hint=_CORRECT)
    script = _Script(
        style=text_of(params.get("style")),
        cast=_Cast(params),
        size=_size(document.get("canvasSize")),
    )
    for index, beat in enumerate(beats):
        script.add(index, object_at(f"beats[{index}]", beat, hint=_CORRECT))
    left = [name for name in document if name not in _OF_SCRIPT]
    left += [f"imageParams.{name}" for name in params if name not in _OF_IMAGES]
    return script.read(left)


class _Cast:
    """Those who are shown in several beats."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.members: dict[str, dict[str, str]] = {}
        self.absent: list[str] = []
        images = object_at("imageParams.images", params.get("images"), hint=_CORRECT)
        for name, image in images.items():
            where = f"imageParams.images.{name[:60]}"
            said = object_at(where, image, hint=_CORRECT)
            source = object_at(f"{where}.source", said.get("source"), hint=_CORRECT)
            if said.get("type") == "imagePrompt" and text_of(said.get("prompt")):
                self.members[name] = {"name": name, "prompt": text_of(said.get("prompt"))}
            elif said.get("type") == "image" and text_of(source.get("path")):
                self.members[name] = {"name": name, "image": text_of(source.get("path"))}
            else:
                self.absent.append(name)


class _Script:
    def __init__(self, *, style: str, cast: _Cast, size: str | None) -> None:
        self._style = style
        self._cast = cast
        self._size = size
        self._names = Names()
        self._entries: list[Entry] = []
        self._origins: list[Origin] = []
        self._own: list[str] = []
        self._hidden: list[str] = []
        self._from_text: list[str] = []
        self._empty: list[str] = []
        self._left: list[str] = []

    def add(self, index: int, beat: Mapping[str, Any]) -> None:
        """Make a scene of a beat, unless it shows something of its own."""
        name = text_of(beat.get("id")) or numbered(index + 1)
        prompt = text_of(beat.get("imagePrompt"))
        if beat.get("hidden") is True:
            self._hidden.append(name)
            return
        if not prompt and any(beat.get(one) for one in ("image", "moviePrompt", "htmlPrompt")):
            self._own.append(name)
            return
        if not prompt:
            prompt = text_of(beat.get("text"))
            (self._from_text if prompt else self._empty).append(name)
            if not prompt:
                return
        scene_id = self._names.new(name)
        entry: Entry = {"scene_id": scene_id, "prompt": f"{prompt}\n{self._style}".strip()}
        if self._size is not None:
            entry["size"] = self._size
        characters = self._characters(beat)
        if characters:
            entry["characters"] = characters
        entry |= {one: beat[one] for one in _KEPT if beat.get(one) not in (None, "")}
        self._entries.append(entry)
        self._origins.append(Origin(where=f"beats[{index}]", names={"prompt": "imagePrompt"}))
        self._left += [f"beats[].{one}" for one in beat if one not in _TAKEN]

    def _characters(self, beat: Mapping[str, Any]) -> list[str]:
        if "imageNames" not in beat:  # then MulmoCast shows all of them
            return list(self._cast.members)
        named = list(words_of(beat["imageNames"]))
        return [name for name in named if name in self._cast.members]

    def read(self, left: list[str]) -> Read:
        """Return what came of all beats."""
        if not self._entries:
            raise NotAStory(
                Problem("beats", "no beat has a picture to be made"),
                hint='give the beats that shall have one an "imagePrompt"',
            )
        return Read(
            kind="a mulmoscript",
            entries=tuple(self._entries),
            origins=tuple(self._origins),
            cast=self._cast.members,
            notes=tuple(self._notes([*left, *self._left])),
        )

    def _notes(self, left: list[str]) -> list[str]:
        notes: list[str] = []
        if self._style:
            notes.append("the script's style stands at the end of every prompt")
        if self._own:
            notes.append(f"no scenes, since they show something of their own: {listed(self._own)}")
        if self._hidden:
            notes.append(f"no scenes, since they are hidden: {listed(self._hidden)}")
        if self._empty:
            notes.append(f"no scenes, since they have no words: {listed(self._empty)}")
        if self._from_text:
            notes.append(
                "without an imagePrompt, so that what is spoken is the prompt: "
                f"{listed(self._from_text)}"
            )
        if self._cast.absent:
            notes.append(
                "not taken over, since they are neither words nor a file here: pictures of "
                f"{listed(self._cast.absent)}; save each as a file and name it in the cast"
            )
        if left:
            notes.append(f"not taken over: {listed(left)}; the config says who makes the pictures")
        return notes


def _size(canvas: object) -> str | None:
    said = object_at("canvasSize", canvas, hint=_CORRECT)
    width, height = said.get("width"), said.get("height")
    if type(width) is int and type(height) is int:
        return f"{width}x{height}"
    return None
