"""Stories that were written elsewhere become scene files; what goes lost on the way is said."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from host_stub.cli import main
from host_stub.contract import Scene
from host_stub.errors import StoryNotRead
from host_stub.scenes.importing.reading import (
    cast_tables,
    problems_of,
    read_bytes,
    read_story,
    references_from,
    scene_file,
)
from host_stub.scenes.importing.story import MOST_BYTES, MOST_SCENES, NotAStory, Read
from stage3_plugin.settings import Settings


def read(text: str | bytes, suffix: str = ".md") -> Read:
    data = text if isinstance(text, bytes) else text.encode()
    found = read_bytes(data, suffix=suffix)

    assert problems_of(found) == []
    return found


def script(*beats: Mapping[str, Any], **more: Any) -> Read:
    document = {"$mulmocast": {"version": "1.1"}, "beats": beats, **more}
    return read(json.dumps(document), ".json")


def plan(*scenes: Mapping[str, Any], **more: Any) -> Read:
    times = {"type": "generated", "start_seconds": 0, "end_seconds": 4}
    document = {"version": "1.0", "scenes": [{**times, **scene} for scene in scenes], **more}
    return read(json.dumps(document), ".json")


def prompts(found: Read) -> dict[str, str]:
    return {entry["scene_id"]: entry["prompt"] for entry in found.entries}


# Markdown


def test_a_heading_is_a_scene() -> None:
    """Its words are the prompt, a paragraph as one line and without the marks of Markdown."""
    found = read(
        "# The harbour\n\n## Dawn\nMira, in a **yellow** raincoat, unties\nthe [boat](x.html).\n\n"
        "> The _sea_ is calm.\n\n## Noon, at sea!\n- a whale\n- `two` gulls\n"
    )

    assert prompts(found) == {
        "dawn": "Mira, in a yellow raincoat, unties the boat.\n\nThe sea is calm.",
        "noon-at-sea": "a whale two gulls",
    }
    assert found.notes == ()


def test_the_innermost_headings_are_the_scenes() -> None:
    """What stands under a chapter's own heading is not drawn, and that is said."""
    found = read(
        "# Act 1\nIn which Mira leaves.\n## Dawn\na\n## Noon\nb\n\nAct 2\n=====\n## Dawn\nc\n"
    )

    assert prompts(found) == {"dawn": "a", "noon": "b", "dawn-2": "c"}
    assert found.notes == ("not scenes, since other headings are beneath them: 'Act 1'",)


def test_a_heading_without_words_is_its_own_prompt() -> None:
    """So a list of headings is a story too."""
    found = read("## Mira waves\n## 日本の朝 ##\n")

    assert prompts(found) == {"mira-waves": "Mira waves", "日本の朝": "日本の朝"}
    assert "the heading is the prompt: 'Mira waves', '日本の朝'" in found.notes[0]


def test_fields_are_said_on_lines_under_headings_and_in_front_matter() -> None:
    """The nearest counts: a scene's own before its chapter's before the front matter's."""
    found = read(
        "---\ntitle: Harbour\nstyle: [watercolour, 'soft light']\nsize: 640x360\n---\n"
        "# Act\n## Style\nink\n## Dawn\n- **Characters:** mira, tom\n* Seed: 7\nA boat.\n"
        "Note: why?\n"
        "### Negative prompt\ntext\n### Notes\nNot drawn.\n"
        "## Noon\nStyle: oil\nPrompt: A whale.\nShe smiles.\n"
    )

    dawn, noon = found.entries
    assert dawn == {
        "scene_id": "dawn",
        "prompt": "A boat.",
        "style_tags": ["ink"],
        "size": "640x360",
        "characters": ["mira", "tom"],
        "seed": 7,
        "negative_prompt": "text",
        "note": "why?",
        "notes": "Not drawn.",
    }
    assert (noon["prompt"], noon["style_tags"], noon["text"]) == (
        "A whale.",
        ["oil"],
        "She smiles.",
    )
    assert "not taken over: 'title' of the front matter" in found.notes


def test_a_field_may_stand_above_its_words() -> None:
    """Where nothing is behind the colon, the paragraph below is what is said; emphasis is none."""
    found = read(
        "## One\n*Visual:*\n\nA boat\nat dawn.\n\n**Narration**: Once.\nMore.\n"
        "## Two\nA whale: huge.\nStyle:\n"
    )

    one, two = found.entries
    assert (one["prompt"], one["narration"], one["text"]) == ("A boat at dawn.", "Once.", "More.")
    assert two == {"scene_id": "two", "prompt": "A whale: huge."}


def test_an_empty_wish_takes_no_words_of_its_scene() -> None:
    """What is directly below it is what it says; what is further below is the scene's own."""
    one, two = read("## One\nStyle:\n\nA boat.\n## Two\nStyle:\nink\n\nA whale.\n").entries

    assert one == {"scene_id": "one", "prompt": "A boat."}
    assert two == {"scene_id": "two", "prompt": "A whale.", "style_tags": ["ink"]}


def test_blocks_are_words_prompts_or_left_out() -> None:
    """A heading within a block is none; an unnamed block is words, another one is no picture."""
    found = read(
        "## One\n```\n## A boat\n```\n## Two\nwhy\n~~~prompt\nA whale,\nleaping.\n~~~\n"
        "## Three\nA gull.\n```json\n{}\n```\n<!--\n## Four\n-->\n![old](a.png)\n"
    )

    assert prompts(found) == {"one": "## A boat", "two": "A whale,\nleaping.", "three": "A gull."}
    assert found.entries[1]["text"] == "why"
    assert "not taken over: blocks of code ('json')" in found.notes
    assert "not taken over: 1 picture in the text" in found.notes[-1]


def test_who_is_who_is_no_scene() -> None:
    """What a story says about its people is not a picture of it."""
    found = read("# Story\n## Characters\n### Mira\nA girl.\n## Dawn\nA boat.\n")

    assert prompts(found) == {"dawn": "A boat."}
    assert found.notes == ("not scenes, by their names: 'Mira', 'characters'",)


def test_words_without_a_heading_are_no_story() -> None:
    """It says what to write."""
    with pytest.raises(NotAStory, match="expected a heading for each scene") as caught:
        read("Once upon a time.\n")

    assert caught.value.hint.startswith("write a heading a scene")
    with pytest.raises(NotAStory, match="line 2: a fenced block is opened here and never closed"):
        read("## A\n```\nb\n")


# CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_table_is_read_as_spreadsheets_write_it(delimiter: str, mark: bytes, ends: str) -> None:
    """Any of four delimiters, a byte order mark, lines within quotation marks."""
    rows = [
        ["id", "Image Prompt", "style tags", "Note"],
        ["a", f'"Dawn{delimiter} a{ends}boat ""Ida"""', '"oil; soft"', "mine"],
        ["b", "Noon", "", ""],
        ["", "", "", ""],
    ]
    text = ends.join(delimiter.join(row) for row in rows)

    found = read(mark + text.encode(), ".csv")

    assert found.entries == (
        {
            "scene_id": "a",
            "prompt": f'Dawn{delimiter} a\nboat "Ida"',
            "style_tags": ["oil", "soft"],
            "Note": "mine",
        },
        {"scene_id": "b", "prompt": "Noon"},
    )
    assert found.notes == ("kept with the scenes, and not sent to anybody: column 'Note'",)


def test_rows_without_a_name_are_named_by_their_place() -> None:
    """And a person is warned of what a row in between would cost."""
    found = read("prompt,takes\na,2\n\nb,\n", ".csv")

    assert [entry["scene_id"] for entry in found.entries] == ["scene_001", "scene_002"]
    assert found.entries[0]["takes"] == 2
    assert "give them ids before pictures are paid for" in found.notes[0]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("id,text\na,b\n", "line 1: expected a header with a column prompt"),
        ("prompt,image_prompt\na,b\n", "line 1: column 'image_prompt' says the same as"),
        ("id,prompt\na,b\nc,d,e\n", "line 3: expected 2 cells, found 3"),
        ('id,prompt\na,"b\nc,d\n', "line 2: a quotation mark is opened here and never closed"),
        ('id,prompt\na,"b"c\n', "line 2: expected a delimiter or the end of the line"),
        (f"id,prompt\na,{'x' * 131_073}\n", "line 2: expected at most 131,072 characters"),
        ("id,prompt\n", "holds no scenes"),
    ],
)
def test_a_broken_table_is_refused_where_it_is_broken(text: str, problem: str) -> None:
    """Nothing is guessed: a row that slipped would be paid for."""
    with pytest.raises(NotAStory) as caught:
        read(text, ".csv")

    assert problem in str(caught.value)
    assert caught.value.hint


def test_what_a_run_would_refuse_is_said_by_the_words_of_the_table() -> None:
    """The line and the column of the file, and not those of the scene file that is not written."""
    found = read_bytes(b"id,image prompt,size\na,x,wide\na,y,\nc,,\n", suffix=".csv")

    assert [str(problem) for problem in problems_of(found)] == [
        "line 2: size: expected a string like '1024x768', found 'wide'",
        "line 4: image prompt: missing; expected a string under prompt or image_prompt",
    ]
    twice = read_bytes(b"id,prompt\na,x\na,y\n", suffix=".csv")
    assert [str(problem) for problem in problems_of(twice)] == [
        "line 3: id: the same id as in line 2; expected one of its own"
    ]


# mulmoscript


def test_the_beats_of_a_mulmoscript_are_scenes() -> None:
    """With the script's style, its canvas and those who are shown, as MulmoCast sends them."""
    found = script(
        {"text": "Hello", "imagePrompt": "A wave", "imageNames": ["witch", "nobody"]},
        {"id": "cat_1", "imagePrompt": "A leap", "duration": 3},
        {"text": "Only spoken"},
        canvasSize={"width": 1280, "height": 720},
        imageParams={
            "style": "Ink",
            "provider": "google",
            "images": {
                "witch": {"type": "imagePrompt", "prompt": "A witch"},
                "cat": {"type": "image", "source": {"kind": "path", "path": "refs/cat.png"}},
                "owl": {"type": "image", "source": {"kind": "url", "url": "https://x.test/o.png"}},
            },
        },
    )

    assert found.entries[0] == {
        "scene_id": "scene_001",
        "prompt": "A wave\nInk",
        "size": "1280x720",
        "characters": ["witch"],
        "text": "Hello",
    }
    assert found.entries[1]["scene_id"] == "cat_1"
    assert found.entries[1]["characters"] == ["witch", "cat"]
    assert found.entries[2]["prompt"] == "Only spoken\nInk"
    assert found.cast == {
        "witch": {"name": "witch", "prompt": "A witch"},
        "cat": {"name": "cat", "image": "refs/cat.png"},
    }
    assert any("what is spoken is the prompt: 'scene_003'" in note for note in found.notes)
    assert any("pictures of 'owl'" in note for note in found.notes)
    assert any("not taken over: 'imageParams.provider'" in note for note in found.notes)


def test_beats_that_show_something_of_their_own_are_said_and_left_out() -> None:
    """A slide, a film, a hidden beat: none of them is paid for."""
    found = script(
        {"id": "slide", "image": {"type": "textSlide"}},
        {"id": "film", "moviePrompt": "A storm"},
        {"id": "gone", "hidden": True, "imagePrompt": "x"},
        {"id": "mute"},
        {"id": "seen", "imagePrompt": "A boat", "speechOptions": {}},
    )

    assert prompts(found) == {"seen": "A boat"}
    assert found.notes == (
        "no scenes, since they show something of their own: 'slide', 'film'",
        "no scenes, since they are hidden: 'gone'",
        "no scenes, since they have no words: 'mute'",
        "not taken over: 'beats[].speechOptions'; the config says who makes the pictures",
    )


NO_STORIES: list[tuple[object, str]] = [
    ({"beats": []}, "beats: no beat has a picture to be made"),
    ({"$mulmocast": {}, "beats": "x"}, "beats: expected a list, found a string"),
    ({"beats": [1]}, "beats[0]: expected an object, found a number"),
    ({"beats": [{}], "imageParams": 1}, "imageParams: expected an object, found a number"),
    ({"scenes": [{"description": ""}]}, "scenes[0].description: expected what the scene shows"),
    (
        {"scenes": [{"description": "a", "required_assets": 1}]},
        "scenes[0].required_assets: expected a list, found a number",
    ),
    (
        {"scenes": [{"description": "a", "required_assets": [{"source": "record"}]}]},
        "scenes: no scene has a picture to be made",
    ),
    ({"beats": [{"imagePrompt": "a", "text": "\ud800"}]}, "holds half of a surrogate pair"),
    ({"prompts": []}, "is a scene file already"),
    ([], "is a scene file already"),
    ({"a": 1}, "is JSON, and none of the kinds"),
    (7, "is JSON, and none of the kinds"),
]


@pytest.mark.parametrize("document, problem", NO_STORIES)
def test_a_document_that_is_no_story_is_refused_at_its_place(
    document: object, problem: str
) -> None:
    """What is expected, and never what was there."""
    with pytest.raises(NotAStory) as caught:
        read_bytes(json.dumps(document).encode(), suffix=".json")

    assert problem in str(caught.value)
    assert caught.value.hint


# OpenMontage


def test_the_scenes_of_a_plan_are_seen_as_its_camera_sees_them() -> None:
    """The words of the shot stand in front; what moves or is said stays with the scene or out."""
    found = plan(
        {
            "id": "s2",
            "description": "A whale.",
            "sequence_index": 2,
            "movement": "static",
        },
        {
            "id": "s1",
            "description": "Mira on the pier.",
            "sequence_index": 1,
            "framing": "low angle.",
            "shot_language": {
                "shot_size": "medium_wide",
                "lens_mm": 35,
                "lighting_key": "golden_hour",
                "depth_of_field": "shallow",
                "color_temperature": "warm",
                "camera_movement": "static",
            },
            "texture_keywords": ["grain"],
            "character_actions": [{"character_id": "mira"}, {"character_id": "mira"}],
        },
    )

    assert found.entries[0] == {
        "scene_id": "s1",
        "prompt": (
            "Medium-wide shot, low angle, 35 mm lens, golden hour light, shallow depth of field, "
            "warm colours. Mira on the pier."
        ),
        "style_tags": ["grain"],
        "characters": ["mira"],
        "type": "generated",
        "start_seconds": 0,
        "end_seconds": 4,
    }
    assert found.entries[1]["prompt"] == "A whale."
    assert found.notes == ("not taken over: 'scenes[].movement'",)


def test_only_what_is_to_be_generated_is_a_picture() -> None:
    """A scene with two has two; one that is filmed, or given, has none."""
    found = plan(
        {
            "id": "two",
            "description": "d",
            "required_assets": [
                {"type": "image", "description": "left", "source": "generate"},
                {"type": "image", "description": "right", "source": "generate"},
                {"type": "narration_audio", "description": "voice", "source": "generate"},
            ],
        },
        {
            "id": "filmed",
            "description": "d",
            "required_assets": [{"type": "video", "description": "x", "source": "record"}],
        },
    )

    assert prompts(found) == {"two": "left", "two-2": "right"}
    assert found.notes == ("no scenes, since nothing is to be generated for them: 'filmed'",)


# files


def test_a_kind_shows_in_the_content_where_no_name_says_it() -> None:
    """A name without a suffix is no obstacle."""
    assert read("## A\nb\n", "").kind == "Markdown"
    assert read("prompt;id\na;1\n", ".txt").kind == "a table"
    assert read('{"beats": [{"imagePrompt": "a"}]}', "").kind == "a mulmoscript"
    with pytest.raises(NotAStory, match="is none of the kinds"):
        read("a line\n", ".txt")


@pytest.mark.parametrize(
    "data, problem",
    [
        (b"", "is empty"),
        (b"\xff\xfeA\0", "line 1, column 1: expected UTF-8, found UTF-16"),
        (b"## A\n\xe9", "line 2, column 1: expected UTF-8, found the byte 0xe9"),
        (b"## A\n\0", "line 2, column 1: expected UTF-8 text, found a NUL byte"),
        (b"#" * (MOST_BYTES + 1), "expected at most 8 MiB"),
        (b"## a\n" * (MOST_SCENES + 1), "expected at most 20,000 scenes"),
        (b"prompt\n" + b"a\n" * (MOST_SCENES + 1), "expected at most 20,000 scenes"),
    ],
)
def test_what_is_no_text_or_too_much_is_refused(data: bytes, problem: str) -> None:
    """With the place, as far as there is one, and the next step."""
    with pytest.raises(NotAStory) as caught:
        read_bytes(data)

    assert str(caught.value).startswith(problem)
    assert caught.value.hint


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With what is wrong with each scene, up to twenty."""
    with pytest.raises(StoryNotRead, match=r"story file .*none\.md: there is no such file"):
        read_story(tmp_path / "none.md")
    with pytest.raises(StoryNotRead, match="expected a file"):
        read_story(tmp_path)
    table = tmp_path / "a.csv"
    table.write_text("prompt,size\n" + "a,wide\n" * 30, encoding="utf-8")
    with pytest.raises(StoryNotRead, match="20 problems") as caught:
        read_story(table)
    assert len(caught.value.problems) == 20


def test_the_cast_is_written_as_settings(tmp_path: Path) -> None:
    """Names of any kind are TOML's keys, and a picture is named from the config's folder."""
    found = script(
        {"imagePrompt": "a"},
        imageParams={
            "images": {
                'the "cat"\x7f': {"type": "image", "source": {"path": "cat.png"}},
                "witch": {"type": "imagePrompt", "prompt": "A\nwitch"},
            }
        },
    )
    folder = tmp_path / "project"
    cast = references_from(found, source=tmp_path / "script.json", folder=folder)

    tables = tomllib.loads(cast_tables(cast, plugin="stage3"))["plugin"]["stage3"]

    settings = Settings.model_validate({"provider": "previz", **tables})
    assert settings.cast['the "cat"\x7f'].image == "../cat.png"
    assert settings.cast["witch"].prompt == "A\nwitch"
    assert json.loads(scene_file(found))["prompts"] == list(found.entries)
    assert Scene.model_validate(found.entries[0]).prompt == "a"
    assert cast_tables({}, plugin="stage3") == ""


STORIES = {
    "story.md": "# Sea\n## Dawn\nMedium-wide shot. Mira unties a boat.\nSize: 160x96\n",
    "story.csv": "id;image prompt;size\ndawn;Mira unties a boat.;160x96\n",
    "script.json": '{"canvasSize": {"width": 160, "height": 96}, '
    '"beats": [{"id": "dawn", "imagePrompt": "Mira unties a boat."}]}',
    "plan.json": '{"scenes": [{"id": "dawn", "description": "Mira unties a boat."}]}',
}


@pytest.mark.parametrize(
    "name",
    ["story.md", *(pytest.param(name, marks=pytest.mark.heavy) for name in list(STORIES)[1:])],
)
def test_what_is_made_of_a_story_can_be_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each kind becomes a project that is drawn as it is, for nothing."""
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(STORIES[name], encoding="utf-8")

    assert main(["init", "--from", name]) == 0
    words = capsys.readouterr().out.splitlines()[-1].removeprefix("next: host-stub ").split()
    assert main([*words, "--set", "plugin.stage3.size=160x96", "--json"]) == 0

    drawn = json.loads(capsys.readouterr().out)
    assert (drawn["total_images"], drawn["cost_usd"]) == (1, "0")
    assert [path.name for path in Path("out/images").iterdir()] == ["dawn.png"]
