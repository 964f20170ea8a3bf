import json
import os
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_stub.contract import Scene, SceneReference
from host_stub.errors import SceneFileError, UsageError
from host_stub.scenes import fields, json_lines
from host_stub.scenes.file import read_scenes
from host_stub.text.spelling import misspelt

Write = Callable[[Path, list[dict[str, Any]]], Path]


def _as_stage_2(folder: Path, entries: list[dict[str, Any]]) -> Path:
    path = folder / "prompts.json"
    path.write_text(
        json.dumps({"title": "a story", "prompts": entries}, indent=2), encoding="utf-8"
    )
    return path


def _as_list(folder: Path, entries: list[dict[str, Any]]) -> Path:
    path = folder / "list.json"
    path.write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
    return path


def _as_lines(folder: Path, entries: list[dict[str, Any]]) -> Path:
    path = folder / "scenes.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


def _as_lines_under_another_name(folder: Path, entries: list[dict[str, Any]]) -> Path:
    path = folder / "scenes.txt"
    lines = "\r\n\r\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    path.write_text("\ufeff" + lines, encoding="utf-8", newline="")
    return path


FORMS = [_as_stage_2, _as_list, _as_lines, _as_lines_under_another_name]


@pytest.fixture(params=FORMS, ids=lambda form: form.__name__)
def write(request: pytest.FixtureRequest) -> Write:
    form: Write = request.param
    return form


def _written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _refusal(path: Path) -> SceneFileError:
    with pytest.raises(SceneFileError) as caught:
        read_scenes(path)
    return caught.value


ENTRY = {"scene_id": "scene_001", "image_prompt": "a lighthouse"}


class TestForms:
    def test_a_single_scene_on_one_line_is_json_lines(self, tmp_path: Path) -> None:
        """One object that is a scene needs no list around it."""
        scenes = read_scenes(_written(tmp_path / "one.json", json.dumps(ENTRY)))

        assert [scene.scene_id for scene in scenes] == ["scene_001"]

    def test_a_null_counts_as_absent(self, tmp_path: Path) -> None:
        """Programs write null for what they do not have."""
        entry = {**ENTRY, "negative_prompt": None, "style_tags": None, "seed": None}

        (scene,) = read_scenes(_as_list(tmp_path, [entry]))

        assert scene == Scene(scene_id="scene_001", prompt="a lighthouse")


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_MADE = "reference_details"
_NAMES = frozenset(Scene.model_fields) | {"size", "image_prompt", "characters_in_scene"}
_SAID = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda text: text.strip() != "" and text.splitlines() == [text]
)
_REFERENCES = st.lists(
    st.builds(
        SceneReference,
        image=_SAID.filter(lambda text: "\0" not in text and text != "scene:"),
        name=st.none() | _SAID,
        role=st.none() | _SAID,
    ),
    max_size=3,
)


def _is_of_no_field(name: str) -> bool:
    """Return whether a name is kept as it is: a field's, even misspelt or in capitals, is not.

    A misspelt ``lane`` is kept where it does not hold one.
    """
    return name not in _NAMES and misspelt(name, _NAMES - {"extra", _MADE, "lane"}) is None


@st.composite
def _scenes(draw: st.DrawFn) -> Scene:
    sides = draw(st.none() | st.tuples(st.integers(1, 16384), st.integers(1, 16384)))
    extra = draw(st.dictionaries(_TEXT.filter(_is_of_no_field), _JSON, max_size=3))
    references = draw(_REFERENCES)
    is_plain = all(one.name is None and one.role is None for one in references)
    return Scene(
        scene_id=draw(_IDS),
        prompt=draw(_TEXT),
        negative_prompt=draw(st.none() | _TEXT),
        width=sides[0] if sides else None,
        height=sides[1] if sides else None,
        seed=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        references=tuple(one.image for one in references),
        reference_details=() if is_plain else tuple(references),
        model=draw(st.none() | _SAID),
        quality=draw(st.none() | _SAID),
        lane=draw(st.sampled_from((None, "ordinary", "batch"))),
        if_refused=tuple(draw(st.lists(_SAID, max_size=3))),
        characters=tuple(draw(st.lists(_TEXT, max_size=3))),
        style_tags=tuple(draw(st.lists(_TEXT, max_size=3))),
        extra=extra,
    )


def _entry(scene: Scene, *, original_names: bool) -> dict[str, Any]:
    entry = {**scene.model_dump(exclude={"extra", _MADE}), **scene.extra}
    if scene.reference_details:
        entry["references"] = [one.model_dump() for one in scene.reference_details]
    if original_names:
        if scene.width is not None:
            entry["size"] = f"{entry.pop('width')}x{entry.pop('height')}"
        entry["image_prompt"] = entry.pop("prompt")
        entry["characters_in_scene"] = entry.pop("characters")
    return entry


class TestRoundTrip:
    @given(
        scenes=st.lists(_scenes(), min_size=1, max_size=6, unique_by=lambda scene: scene.scene_id),
        form=st.sampled_from(FORMS),
        original_names=st.booleans(),
    )
    @example(  # "EGH" is three letters away from "height"; "EGHT", at two, is refused below
        scenes=[Scene(scene_id="s", prompt="", extra={"EGH": None})],
        form=_as_list,
        original_names=False,
    )
    def test_what_was_written_is_read(
        self,
        scenes: list[Scene],
        form: Write,
        original_names: bool,  # noqa: FBT001 - hypothesis passes it by name
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        """Any scenes survive any form, under either set of names."""
        entries = [_entry(scene, original_names=original_names) for scene in scenes]

        source = read_scenes(form(tmp_path_factory.mktemp("scenes"), entries))

        assert list(source) == scenes
        assert len(source) == len(scenes)
        assert [source.positions.find(scene.scene_id) for scene in scenes] == [*range(len(scenes))]

    @given(name=_TEXT.filter(lambda name: name not in _NAMES))
    @example(name="EGHT")
    @example(name="EGH")
    @example(name="Scene-Id")
    @example(name="lanes")
    def test_a_further_name_is_kept_or_refused_as_misspelt(
        self, name: str, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """It is kept unless it is near a field's, whatever its case and whatever it holds."""
        scene = Scene(scene_id="s", prompt="", extra={name: None})
        path = _as_list(tmp_path_factory.mktemp("names"), [_entry(scene, original_names=False)])

        if _is_of_no_field(name):
            assert list(read_scenes(path)) == [scene]
        else:
            with pytest.raises(SceneFileError, match="is not known; did you mean"):
                read_scenes(path)

    @given(content=st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()))
    def test_any_bytes_are_read_or_refused(
        self, content: bytes, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Whatever a file holds, the answer is scenes or an error that says where."""
        folder = tmp_path_factory.mktemp("scenes")
        for name in ("any.json", "any.jsonl"):
            try:
                scenes = read_scenes(_written(folder / name, content))
            except SceneFileError as error:
                told, hint = str(error), error.hint
            else:
                told = hint = "scenes" if len(list(scenes)) == len(scenes) > 0 else ""

            assert told
            assert hint


class TestMemory:
    @pytest.mark.slow
    def test_long_json_lines_do_not_sit_in_memory(self, tmp_path: Path) -> None:
        """Checking and feeding 8,000 lines takes half of what the file weighs at most."""
        path = tmp_path / "long.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for number in range(8_000):
                entry = {"scene_id": f"scene_{number:06}", "prompt": f"{number} " * 150}
                file.write(json.dumps(entry) + "\n")
        tracemalloc.start()
        try:
            scenes = read_scenes(path)
            fed = sum(1 for _ in scenes)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert fed == 8_000
        assert peak < path.stat().st_size / 2


MISTAKES = {
    "syntax": ('{"scene_id": "b" "prompt": "x"}', "line 3, column 18", "expected ',' delimiter"),
    "no object": ("[1]", "line 3", "expected an object with scene_id and prompt, found a list"),
    "no prompt": (
        '{"scene_id": "b", "image_promt": "x"}',
        "line 3: prompt",
        "missing; expected a string under prompt or image_prompt; found 'image_promt' instead",
    ),
    "no id": ('{"prompt": "x"}', "line 3: scene_id", "missing; expected a string under scene_id"),
    "empty id": ('{"scene_id": "", "prompt": "x"}', "line 3: scene_id", "expected at least 1"),
    "NUL in id": (r'{"scene_id": "b\u0000", "prompt": "x"}', "line 3: scene_id", "without NUL"),
    "half a pair in id": (
        r'{"scene_id": "\ud83d", "prompt": "x"}',
        "line 3: scene_id",
        "half of a surrogate pair",
    ),
    "said twice": (
        '{"scene_id": "b", "prompt": "x", "image_prompt": "y"}',
        "line 3: image_prompt",
        "says the same as prompt",
    ),
    "key twice": (
        '{"scene_id": "b", "prompt": "x", "prompt": "y"}',
        "line 3, column 34",
        "the key 'prompt' stands twice",
    ),
    "one side": (
        '{"scene_id": "b", "prompt": "x", "width": 64}',
        "line 3",
        "give both width and height, or neither",
    ),
    "size and width": (
        '{"scene_id": "b", "prompt": "x", "width": 64, "height": 64, "size": "64x64"}',
        "line 3: size",
        "give either size, or width and height",
    ),
    "bad size": (
        '{"scene_id": "b", "prompt": "x", "size": "big"}',
        "line 3: size",
        "expected a string like '1024x768', found 'big'",
    ),
    "huge size": (
        '{"scene_id": "b", "prompt": "x", "size": "99999x64"}',
        "line 3: size",
        "expected less than or equal to 16384",
    ),
    "seed as true": (
        '{"scene_id": "b", "prompt": "x", "seed": true}',
        "line 3: seed",
        "expected a whole number, found true or false",
    ),
    "endless number": (
        '{"scene_id": "b", "prompt": "NaN", "seed": ' + "9" * 5000 + "}",
        "line 3, column 44",
        "expected a finite number of at most 40 digits",
    ),
    "list of numbers": (
        '{"scene_id": "b", "prompt": "x", "characters_in_scene": ["mara", 1]}',
        "line 3: characters_in_scene[1]",
        "expected a string, found a number",
    ),
    "a number as a lane": (
        '{"scene_id": "b", "prompt": "x", "lane": 1}',
        "line 3: lane",
        "expected 'ordinary' or 'batch'",
    ),
    "empty reference": (
        '{"scene_id": "b", "prompt": "x", "references": [""]}',
        "line 3: references[0]",
        "found an empty string",
    ),
    "reference without a picture": (
        '{"scene_id": "b", "prompt": "x", "references": [{"name": "Mira"}]}',
        "line 3: references[0].image",
        'missing; expected a file or "scene:ID"',
    ),
    "misspelt in a reference": (
        '{"scene_id": "b", "prompt": "x", "references": [{"image": "a.png", "nmae": "Mira"}]}',
        "line 3: references[0].nmae",
        "is not known; expected image, name and role; did you mean 'name'?",
    ),
    "reference to the scene of no name": (
        '{"scene_id": "b", "prompt": "x", "references": ["scene:"]}',
        "line 3: references[0]",
        'expected the id of a scene or of the cast behind "scene:"',
    ),
    "name of two lines": (
        r'{"scene_id": "b", "prompt": "x", "references": [{"image": "a", "name": "M\nira"}]}',
        "line 3: references[0].name",
        "expected one line of at most 100 characters",
    ),
    "details by hand": (
        '{"scene_id": "b", "prompt": "x", "reference_details": []}',
        "line 3: reference_details",
        "is made from references",
    ),
    "no words if it is refused": (
        '{"scene_id": "b", "prompt": "x", "if_refused": ["y", " "]}',
        "line 3: if_refused[1]",
        "expected words, found none",
    ),
    "too many prompts if it is refused": (
        json.dumps({"scene_id": "b", "prompt": "x", "if_refused": ["y"] * 21}),
        "line 3: if_refused",
        "at most 20",
    ),
    "too deep": ("[" * 100_000, "line 3, column 1", "nested too deeply"),
}


class TestMistakes:
    @pytest.mark.parametrize("name", MISTAKES)
    def test_a_mistake_on_line_3_is_named_with_line_and_field(
        self, name: str, tmp_path: Path
    ) -> None:
        """The third line is said to be wrong, and how; a good first line does not hide it."""
        line, where, problem = MISTAKES[name]
        error = _refusal(
            _written(tmp_path / "s.jsonl", f'{{"scene_id": "a", "prompt": "x"}}\n\n{line}\n')
        )

        assert error.where == where
        assert problem in error.problem
        assert error.hint
        assert error.exit_code == 2

    @pytest.mark.parametrize("name", ["no prompt", "seed as true", "list of numbers", "no object"])
    def test_a_mistake_in_a_document_is_named_with_its_index(
        self, name: str, tmp_path: Path
    ) -> None:
        """In a JSON document the place is the entry's index under the name of the list."""
        line, where, problem = MISTAKES[name]
        field = where.removeprefix("line 3").removeprefix(": ")
        good = json.dumps(ENTRY)
        stage_2 = _refusal(_written(tmp_path / "s.json", f'{{"prompts": [{good},\n{line}]}}'))
        bare = _refusal(_written(tmp_path / "s.json", f"[{good},\n{line}]"))

        assert stage_2.where == f"prompts[1].{field}".removesuffix(".")
        assert bare.where == f"scene[1].{field}".removesuffix(".")
        assert problem in stage_2.problem
        assert problem in bare.problem

    def test_all_mistakes_are_told_at_once(self, tmp_path: Path) -> None:
        """Nobody should have to run the command once per mistake."""
        lines = [json.dumps({"scene_id": f"s{number}"}) for number in range(1, 6)]

        error = _refusal(_written(tmp_path / "s.jsonl", "\n".join(lines)))

        assert [problem.where for problem in error.further] == [
            f"line {number}: prompt" for number in range(2, 6)
        ]
        assert "line 5: prompt: missing" in str(error)

    def test_no_more_than_20_mistakes_are_told(self, write: Write, tmp_path: Path) -> None:
        """A file that is wrong throughout has one cause."""
        error = _refusal(write(tmp_path, [{"scene_id": str(number)} for number in range(50)]))

        assert len(error.further) == 19

    def test_a_list_that_is_wrong_throughout_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        """A line may hold millions of references, and twenty problems say what is the matter."""
        entry = {**ENTRY, "references": [7] * 200_000}
        path = _as_lines(tmp_path, [entry])
        tracemalloc.start()
        try:
            error = _refusal(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert len(error.further) == 19
        assert peak < 10_000_000

    @pytest.mark.parametrize(
        "suffix, first, second",
        [("jsonl", "line 1", "line 4: scene_id"), ("json", "scene[0]", "scene[2].scene_id")],
    )
    def test_an_id_that_stands_twice_is_refused_with_both_places(
        self, suffix: str, first: str, second: str, tmp_path: Path
    ) -> None:
        """Two scenes of one name would overwrite each other's picture."""
        entries = [json.dumps({"scene_id": name, "prompt": "x"}) for name in ("a", "b", "a")]
        content = "\n".join([*entries[:2], "", entries[2]])
        if suffix == "json":
            content = f"[{','.join(entries)}]"

        error = _refusal(_written(tmp_path / f"s.{suffix}", content))

        assert error.where == second
        assert f"the same id as in {first}" in error.problem

    @pytest.mark.parametrize(
        "content, problem",
        [
            (b"", "is empty"),
            (b"\xef\xbb\xbf \n", "is empty"),
            (b"[]", "holds no scenes"),
            (b'{"prompts": []}', "holds no scenes"),
            (b'{"prompts": {}}', "expected a list of scenes"),
            (b'{"promts": []}', "expected a list of scenes under 'prompts', found 'promts'"),
            (b"3", "expected a list of scenes"),
            (json.dumps([ENTRY]).encode("utf-16"), "expected UTF-8, found UTF-16"),
            (json.dumps([ENTRY]).encode("utf-16-le"), "found a NUL byte"),
            ('[{"prompt": "café"}]'.encode("latin-1"), "found the byte 0xe9"),
        ],
    )
    def test_a_file_without_scenes_says_what_was_expected(
        self, content: bytes, problem: str, tmp_path: Path
    ) -> None:
        """Emptiness, another shape and another encoding are each called by name."""
        error = _refusal(_written(tmp_path / "s.json", content))

        assert problem in error.problem
        assert error.hint

    def test_json_lines_without_scenes_are_refused(self, tmp_path: Path) -> None:
        """A run of nothing is a mistake too."""
        assert _refusal(_written(tmp_path / "s.jsonl", "\n \n")).problem == "holds no scenes"

    def test_a_line_without_end_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A line longer than any scene is not read into memory."""
        monkeypatch.setattr("host_stub.scenes.json_lines.MAX_LINE_BYTES", 1000)
        path = _as_lines(tmp_path, [ENTRY, {"scene_id": "b", "prompt": "x" * 2000}])

        assert _refusal(path).where == "line 2, column 1"

    def test_a_folder_is_no_scene_file(self, tmp_path: Path) -> None:
        """Reading a folder would fail with words nobody understands."""
        assert _refusal(tmp_path).problem == "expected a file"


SIX = [{"scene_id": f"scene_{number}", "prompt": "x"} for number in range(1, 7)]


class TestChoice:
    def test_what_is_not_chosen_is_checked_all_the_same(self, write: Write, tmp_path: Path) -> None:
        """A mistake anywhere stops a run of anything."""
        with pytest.raises(SceneFileError):
            read_scenes(write(tmp_path, [*SIX, {"scene_id": "x"}]), limit=1)

    def test_an_unknown_id_is_refused_with_the_closest(self, write: Write, tmp_path: Path) -> None:
        """A slip of the pen on the command line is corrected by the answer."""
        with pytest.raises(UsageError, match="has no scene 'scene4'") as caught:
            read_scenes(write(tmp_path, SIX), scene_ids=["scene4"])

        assert caught.value.hint == "did you mean 'scene_4'?"


class TestChanges:
    def test_a_file_changed_between_two_passes_is_noticed(self, tmp_path: Path) -> None:
        """What was checked is what is bought."""
        path = _as_lines(tmp_path, SIX)
        scenes = read_scenes(path)
        _as_lines(tmp_path, [*SIX, ENTRY])

        with pytest.raises(SceneFileError, match="was changed while the run was using it"):
            next(iter(scenes))

    def test_a_line_changed_under_a_pass_is_noticed(self, tmp_path: Path) -> None:
        """Also if size and time are the same as before."""
        path = _as_lines(tmp_path, SIX)
        before = path.stat()
        scenes = read_scenes(path)
        path.write_bytes(path.read_bytes().replace(b"scene_3", b"scene_9"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        fed = iter(scenes)

        assert [next(fed).scene_id, next(fed).scene_id] == ["scene_1", "scene_2"]
        with pytest.raises(SceneFileError, match="was changed"):
            next(fed)

    @pytest.mark.parametrize("longest, times", [(json_lines.MOST_PAGE_BYTES, 1), (0, 2)])
    def test_two_who_go_beside_one_another_read_each_line_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest: int, times: int
    ) -> None:
        """A plugin and its host do; but long lines are held by nobody."""
        count = 2 * json_lines.PAGE_SCENES + 3
        story = [{"scene_id": f"s{number}", "prompt": "a pier"} for number in range(count)]
        scenes = read_scenes(_as_lines(tmp_path, story))
        read: list[object] = []

        def scene_from(entry: object) -> object:
            read.append(entry)
            return fields.scene_from(entry)

        monkeypatch.setattr(json_lines, "scene_from", scene_from)
        monkeypatch.setattr(json_lines, "MOST_PAGE_BYTES", longest)
        ahead = iter(scenes)
        pages = iter(lambda: list(islice(ahead, json_lines.PAGE_SCENES)), [])
        beside = zip((one for page in pages for one in page), scenes, strict=True)
        found = [(one.scene_id, other.scene_id) for one, other in beside]

        assert found == [(f"s{number}", f"s{number}") for number in range(count)]
        assert len(read) == times * count

    def test_a_file_that_is_gone_is_noticed(self, tmp_path: Path) -> None:
        """A pass over nothing is an error of its own, not a crash."""
        path = _as_lines(tmp_path, SIX)
        scenes = read_scenes(path)
        path.unlink()

        with pytest.raises(SceneFileError, match="cannot be read any more"):
            next(iter(scenes))


def test_a_name_that_is_nearly_right_is_suggested(tmp_path: Path) -> None:
    """Of the files that lie where it was looked for."""
    (tmp_path / "scenes.json").write_text("[]", encoding="utf-8")

    with pytest.raises(SceneFileError) as near:
        read_scenes(tmp_path / "scene.json")
    with pytest.raises(SceneFileError) as far:
        read_scenes(tmp_path / "nowhere" / "scene.json")

    assert near.value.problem == "there is no such file"
    assert near.value.hint == "did you mean scenes.json?"
    assert far.value.hint == "'host-stub init' writes a small one to begin with"
