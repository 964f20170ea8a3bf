"""The cast, applied to scenes: what they show, in which order, and which ids are refused."""

from dataclasses import replace

import pytest

from host_stub.contract import Scene, SceneReference
from stage3_plugin.domain.reference import ReferenceWish
from stage3_plugin.engine.requests import request_for, sheets_of
from stage3_plugin.engine.showing.casting import Casting
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.settings import CastMember, Settings

CAST = {
    "char_001": CastMember(image="refs/mira.png", name="Mira", role="character"),
    "char_002": CastMember(prompt="Tomas, an old keeper", name="Tomas", model="m", quality="high"),
    "board": CastMember(image="refs/board.png", role="style", always=True),
}
MIRA = ReferenceWish(image="refs/mira.png", name="Mira", role="character", by="cast")
TOMAS = ReferenceWish(image="scene:char_002", name="Tomas", by="cast")
BOARD = ReferenceWish(image="refs/board.png", role="style", by="cast")
SCENE = Scene(scene_id="s1", prompt="a pier")


def test_a_scene_shows_its_own_then_its_characters_then_what_goes_with_every_scene() -> None:
    """Its characters in the order of the scene file, not in that of the cast."""
    own = ReferenceWish(image="pier.jpg")
    scene = SCENE.model_copy(
        update={"references": (own.image,), "characters": ("char_002", "char_001")}
    )

    assert Casting(CAST).wishes_of(scene) == (own, TOMAS, MIRA, BOARD)
    assert Casting(CAST).wishes_of(SCENE) == (BOARD,)


def test_without_a_cast_a_scene_shows_its_own() -> None:
    """Also those that it names twice are its own affair."""
    scene = SCENE.model_copy(
        update={"references": ("pier.jpg", "pier.jpg"), "characters": ("char_001",)}
    )

    assert Casting({}).wishes_of(scene) == (ReferenceWish(image="pier.jpg"),) * 2
    assert not Casting({})


def test_no_picture_is_shown_twice() -> None:
    """A character that is named twice, and a sheet that the scene names itself: its place stays."""
    own = ReferenceWish(image="scene:char_002", role="keeper")
    said = SceneReference(image=own.image, role=own.role)
    scene = Scene(
        scene_id="s1",
        prompt="a pier",
        references=(own.image,),
        reference_details=(said,),
        characters=("char_001", "char_002", "char_001", "board"),
    )

    named = replace(own, name="Tomas")
    assert Casting(CAST).wishes_of(scene) == (named, MIRA, BOARD)


def test_a_file_of_the_scene_is_not_one_of_the_cast_by_its_name_alone() -> None:
    """They start at different folders; that they are one is seen by their bytes."""
    own = ReferenceWish(image="refs/board.png")

    assert Casting(CAST).wishes_of(SCENE.model_copy(update={"references": (own.image,)})) == (
        own,
        BOARD,
    )


def test_characters_that_the_cast_does_not_name_are_strangers() -> None:
    """They are told and left out."""
    assert Casting(CAST).strangers(("char_001", "char_009", "dog")) == ("char_009", "dog")


def test_a_sheet_is_a_scene_that_shows_nothing() -> None:
    """Of the cast's own model and quality, and the settings' size."""
    settings = Settings(provider="openai", model="gpt-image-2", cast=CAST, seed=7)
    sheets = sheets_of(Casting(CAST), settings)

    assert list(sheets) == ["char_002"]
    sheet = sheets["char_002"]
    assert sheet == replace(
        request_for(Scene(scene_id="char_002", prompt="Tomas, an old keeper"), settings),
        model="m",
        quality="high",
        is_sheet=True,
    )
    assert sheet.wishes == ()


@pytest.mark.parametrize(
    "scene_id, words",
    [("char_002", "a scene of the file has the id"), ("cast-char_002", "the name of scene")],
)
def test_an_id_that_is_also_a_scenes_is_refused(scene_id: str, words: str) -> None:
    """So is a scene whose file would be the sheet's; a picture's cast id may be a scene's."""
    casting = Casting(CAST)
    casting.need_own_ids(["s1", "char_001", "board", "cast-char_001", "CAST-char_002"])

    with pytest.raises(SettingsRefused, match=words) as refusal:
        casting.need_own_ids(["s1", scene_id])
    assert refusal.value.field == "cast.char_002"


@pytest.mark.parametrize("cast_id", ["", "x" * 1025, "a\0b"])
def test_an_id_that_no_sheet_can_have_is_refused(cast_id: str) -> None:
    """Before any scene is looked at; for a picture it needs no name of a file."""
    Casting({cast_id: CastMember(image="a.png")}).check()
    with pytest.raises(SettingsRefused):
        Casting({cast_id: CastMember(prompt="a face")}).check()
