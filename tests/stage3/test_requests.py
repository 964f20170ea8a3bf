"""Names and keys: any id, one file; the same picture, one purchase."""

import re
import unicodedata
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_stub.text.file_names import file_stem
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.keys import scene_keys
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import PictureRequest, Wish, check_scene_id
from stage3_plugin.domain.route import Route
from stage3_plugin.errors import SceneIdRefused
from tests.laws import tried

REQUEST = PictureRequest(scene_id="scene_001", prompt="a lighthouse", width_px=1024, height_px=1024)

RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?")
"""Names Windows keeps for devices, with any extension."""

HOSTILE = [
    "../../etc/x",
    "/abs",
    "a/b",
    "..",
    ".",
    "...",
    "CON",
    "con",
    "nul",
    "COM1",
    "com¹",
    "LPT9",
    "aux.png",
    "x.",
    "x ",
    " x",
    "a:b",
    "C:\\x",
    "a\\b",
    '*?<>|"',
    "-rf",
    "~",
    "$HOME",
    "%PATH%",
    "a\nb",
    "\t",
    "\x7f",
    "😀" * 250,
    "Scene",
    "scene",
    "SCENE",
    "e\u0301",
    "\u00e9",
    "É",
    "ﬁ",
    "fi",
    "ß",
    "ss",
    "ẞ",
    "İ",
    "i",
    "ı",
    "场景一",
    "场景二",
    "المشهد",
    "\u202etxt",
    "a\u200bb",
    "ab",
    "scene-0123456789abcdef",
    ".hidden",
    "a.png",
    "scene_001",
    "Scene_001",
    "scene-001",
    "scene 001",
    "é" * 512,
    "a" * 64,
    "a" * 65,
    "A" * 64,
    "a" * 1024,
]

CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
IDS = (
    st.sampled_from(HOSTILE)
    | st.text(CHARACTERS, min_size=1, max_size=80)
    | st.text(st.sampled_from("aA1-_. /\\é\u0301K\u212a"), min_size=1, max_size=6)
    | st.from_regex(r"[a-z0-9-]{1,8}-[0-9a-f]{16}", fullmatch=True)
    | st.sampled_from(HOSTILE).map(file_stem)
).filter(lambda scene_id: len(scene_id.encode()) <= 1024)


def is_shown(character: str) -> bool:
    """Return whether a character may stand in a file name: what people see, on every system."""
    return character in "-_" or unicodedata.category(character)[0] in "LNM"


def folded(name: str) -> str:
    """Return a name as a file system that minds neither case nor form would compare it."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


@tried(600)
@given(st.sets(IDS, min_size=1, max_size=12))
@example(set(HOSTILE))
@example({"K", "k", "\u212a", "con", "CON", "con-" + "0" * 16})
def test_every_id_has_a_file_of_its_own_on_every_system(ids: set[str]) -> None:
    """Distinct ids never meet, also where case and Unicode forms are not told apart."""
    stems = {scene_id: file_stem(scene_id) for scene_id in ids}

    assert len({folded(stem) for stem in stems.values()}) == len(ids)
    for scene_id, stem in stems.items():
        assert all(is_shown(one) for one in stem)
        assert unicodedata.normalize("NFC", stem) == stem
        assert unicodedata.category(stem[0])[0] in "LN"
        assert stem.isascii() or not scene_id.isascii()
        assert len(f"{stem}-{'0' * 16}.webp".encode()) <= 143
        assert not RESERVED.fullmatch(stem)
        assert file_stem(scene_id) == stem


@pytest.mark.parametrize("scene_id", ["scene_001", "1", "a-b_c", "a" * 64, "console", "com10"])
def test_a_plain_id_is_its_own_file_name(scene_id: str) -> None:
    """What people write is what they find."""
    assert file_stem(scene_id) == scene_id


@pytest.mark.parametrize(
    "scene_id, stem",
    [
        ("Scene 1", "scene-1-"),
        ("场景一", "场景一-"),
        ("../../etc/x", "etc-x-"),
        ("Café été", "café-été-"),
        ("हिन्दी दृश्य", "हिन्दी-दृश्य-"),
        ("المشهد\u200f 2", "المشهد-2-"),
        ("e\u0301\u202e", "é-"),
        ("\u0301\u3164", "scene-"),
        ("日" * 300, "日" * 20 + "-"),
        ("nul", "nul-"),
        ("scene-0123456789abcdef", "scene-0123456789abcdef-"),
        ("a" * 300, "a" * 60 + "-"),
    ],
)
def test_another_id_is_readable_in_its_file_name(scene_id: str, stem: str) -> None:
    """The slug is for people, the hash for uniqueness."""
    assert re.fullmatch(re.escape(stem) + "[0-9a-f]{16}", file_stem(scene_id))


def test_a_name_is_the_same_in_every_version() -> None:
    """A rerun with a later version finds its files: these names are promised."""
    names = {scene_id: file_stem(scene_id) for scene_id in ["Scene 1", "场景一", "日本", "CON"]}

    assert names == {
        "Scene 1": "scene-1-3bc69554fd58dd34",
        "场景一": "场景一-1a01be064c785743",
        "日本": "日本-cf2abf0c5be326cb",
        "CON": "con-a3dbc4b644a9a2c5",
    }


@pytest.mark.parametrize(
    "scene_id, reason",
    [
        ("", "is empty"),
        ("nul\0x", "NUL"),
        ("\ud800", "surrogate"),
        ("a\udfffb", "surrogate"),
        ("a" * 1025, "longer than 1024 bytes"),
        ("é" * 513, "longer than 1024 bytes"),
    ],
)
def test_an_id_that_cannot_be_carried_is_refused(scene_id: str, reason: str) -> None:
    """Before any money is spent, with what to do about it."""
    with pytest.raises(SceneIdRefused, match=reason) as refusal:
        check_scene_id(scene_id)

    assert refusal.value.scene_id == scene_id
    assert refusal.value.hint
    str(refusal.value).encode()


@pytest.mark.parametrize(
    "tags, prompt, sent",
    [
        (["ink", "soft light"], "a pier", "a pier. Style: ink, soft light"),
        (["ink"], "a pier in Ink, drawn", "a pier in Ink, drawn"),
        (["ink"], "A pier.", "A pier. Style: ink"),
        (["ink"], "Who?", "Who? Style: ink"),
        (["ink"], "drinking at the pier", "drinking at the pier. Style: ink"),
        (["Ink", "ink", "INK"], "a pier", "a pier. Style: Ink"),
        (["  soft \n light ", "", " "], "a pier", "a pier. Style: soft light"),
        (["c++", "(oil)", "."], "a pier", "a pier. Style: c++, (oil), ."),
        (["水彩"], "水彩、港の夜明け", "水彩、港の夜明け"),
        ([], "a pier", "a pier"),
    ],
)
def test_style_tags_stand_behind_the_prompt_unless_they_stand_in_it(
    tags: list[str], prompt: str, sent: str
) -> None:
    """Whole words in any case count, each tag is said once, and on one line."""
    request = replace(REQUEST, prompt=prompt, style_tags=tuple(tags))

    assert request.whole_prompt == sent
    assert replace(request, negative_prompt="fog").whole_prompt == f"{sent}. Avoid: fog"


@pytest.mark.parametrize(
    "characters, is_without",
    [([], False), (["Mira"], False), (["old_tom"], False), (["char_001"], True)],
)
def test_a_character_that_the_prompt_names_is_told_of(
    characters: list[str], *, is_without: bool
) -> None:
    """By its id as it is, or by the words of the id; a number says nothing to a model."""
    request = replace(REQUEST, prompt="mira and Old Tom", characters=tuple(characters))

    assert request.is_without_characters == is_without


def test_every_field_of_a_request_is_known_to_decide_or_not() -> None:
    """No two of those that do are the same purchase; a field that is added is on one side."""
    reference = Reference(
        wish=ReferenceWish(image="a.png"),
        sha256="a" * 64,
        sent=SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=1),
    )
    deciding: dict[str, Any] = {
        "scene_id": "scene_002",
        "prompt": "a lighthouse ",
        "negative_prompt": "fog",
        "style_tags": ("oil",),
        "width_px": 1025,
        "height_px": 1025,
        "quality": "high",
        "output_format": "jpeg",
        "background": "opaque",
        "model": "another",
        "seed": 0,
        "shown": (reference,),
        "is_draft": True,
    }
    beside = {"provider", "references", "characters", "extra", "labels", "is_sheet", "wishes"}
    beside |= {"token", "wanted", "if_refused", "takes", "lane"}
    scope = Route(endpoint=Endpoint(provider="openai", model="m"), sends=frozenset(get_args(Wish)))
    requests = [replace(REQUEST, **{name: value}) for name, value in deciding.items()]
    keys = {scene_keys(one, scope).scene_key for one in (REQUEST, *requests)}

    assert len(keys) == len(deciding) + 1
    assert deciding.keys() | beside == set(PictureRequest.__slots__)
