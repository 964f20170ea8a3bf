"""The cast, applied to scenes: what they show, in which order, and which ids are refused."""

import pytest

from stage3_plugin.engine.showing.casting import Casting
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.settings import CastMember

CAST = {
    "char_001": CastMember(image="refs/mira.png", name="Mira", role="character"),
    "char_002": CastMember(prompt="Tomas, an old keeper", name="Tomas", model="m", quality="high"),
    "board": CastMember(image="refs/board.png", role="style", always=True),
}


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
