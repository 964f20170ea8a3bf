"""The cast of the config, applied to scenes: who is in one, and what they look like.

Pure. A Stage 2 file names its characters by ids that mean nothing to an image model; the cast binds
each to a picture, or to the prompt of a sheet, which is a scene of its own that is made first. So
an unchanged scene file gets the same faces in all its scenes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property

from host_stub.contract import Scene
from host_stub.text.file_names import stem_of
from stage3_plugin.domain.reference import OF_A_SCENE, ReferenceWish, wishes_of
from stage3_plugin.domain.request import check_scene_id
from stage3_plugin.errors import SceneIdRefused, SettingsRefused
from stage3_plugin.settings import CastMember


class Casting:
    """Says of scenes which pictures they show the model.

    Args:
        members: The cast, by the ids that scenes name.
    """

    def __init__(self, members: Mapping[str, CastMember]) -> None:
        self._members = members
        self._always = tuple(cast_id for cast_id, one in members.items() if one.always)
        self._wishes = {cast_id: _wish(cast_id, one) for cast_id, one in members.items()}

    def __bool__(self) -> bool:
        """Return whether there is a cast at all."""
        return bool(self._members)

    def wishes_of(self, scene: Scene) -> tuple[ReferenceWish, ...]:
        """Name a scene's references: its own, its characters', and those of every scene.

        Each picture is named once. One that the scene names without saying who it is has the name
        and the role that the cast gives it.
        """
        if not self._members:
            return wishes_of(scene)
        found: dict[str, ReferenceWish] = {}
        for wish in (*wishes_of(scene), *self._of_cast(scene)):
            known = found.setdefault(_picture_of(wish), wish)
            if known is not wish:
                found[_picture_of(wish)] = known.named_by(wish)
        return tuple(found.values())

    def _of_cast(self, scene: Scene) -> Iterator[ReferenceWish]:
        """Yield what the cast has a scene show, but for the scene's own picture.

        Who is to look as in one scene is in that scene, too.
        """
        for cast_id in (*scene.characters, *self._always):
            wish = self._wishes.get(cast_id)
            if wish is not None and wish.scene_id != scene.scene_id:
                yield wish

    def strangers(self, characters: Iterable[str]) -> tuple[str, ...]:
        """Return the characters that the cast does not name; they are left out."""
        return tuple(one for one in characters if one not in self._members)

    def closest(self, character: str) -> str | None:
        """Return the id of the cast that is meant by a misspelt one; numbers are not misspelt."""
        written = character.casefold()
        known = {
            cast_id.casefold(): cast_id
            for cast_id in self._members
            if _digits(cast_id) == _digits(character)
        }
        return next((known[one] for one in get_close_matches(written, known, 1, 0.75)), None)

    @cached_property
    def of_files(self) -> Mapping[str, ReferenceWish]:
        """Return the references that are files, by their cast ids."""
        return {one: wish for one, wish in self._wishes.items() if wish.scene_id is None}

    @cached_property
    def sheets(self) -> Mapping[str, Scene]:
        """Return the scenes of the sheets, by their cast ids. A sheet is shown no pictures."""
        return {
            cast_id: Scene(
                scene_id=cast_id, prompt=one.prompt, model=one.model, quality=one.quality
            )
            for cast_id, one in self._members.items()
            if one.prompt is not None
        }

    def check(self) -> None:
        """Refuse an id that no sheet can have.

        Raises:
            SettingsRefused: It is empty, too long, or holds what no file name can.
        """
        for cast_id in (one for one, member in self._members.items() if member.prompt is not None):
            try:
                check_scene_id(cast_id)
            except SceneIdRefused as refusal:
                raise SettingsRefused(f"cast.{cast_id[:40]}", str(refusal)) from refusal

    @cached_property
    def _sheet_files(self) -> Mapping[str, str]:
        return {stem_of(cast_id, "sheet"): cast_id for cast_id in self.sheets}

    def need_own_ids(self, scene_ids: Iterable[str]) -> None:
        """Refuse a scene that has a sheet's id, or its file.

        Raises:
            SettingsRefused: One does; both would be known by the same name.
        """
        for scene_id in scene_ids if self.sheets else ():
            if scene_id in self.sheets:
                raise SettingsRefused(
                    f"cast.{scene_id}",
                    f"a scene of the file has the id {scene_id!r}, too",
                    hint="give the sheet another id, in the cast and in characters_in_scene",
                )
            # Only a plain id is its own file name; another has a digest of itself behind it.
            cast_id = self._sheet_files.get(scene_id)
            if cast_id is not None and stem_of(scene_id) == scene_id:
                raise SettingsRefused(
                    f"cast.{cast_id}",
                    f"its sheet's file would have the name of scene {scene_id!r}",
                    hint="give the sheet, or the scene, another id",
                )


def _digits(name: str) -> str:
    return "".join(filter(str.isdigit, name))


def _wish(cast_id: str, member: CastMember) -> ReferenceWish:
    image = f"{OF_A_SCENE}{cast_id}" if member.image is None else member.image
    return ReferenceWish(image=image, name=member.name, role=member.role, by="cast")


def _picture_of(wish: ReferenceWish) -> str:
    """Return what two names of one picture have in common, as far as names say."""
    return wish.image if wish.scene_id is not None else f"{wish.by}:{wish.image}"
