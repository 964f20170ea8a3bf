"""What can be read as decisions, and what is said of a file that is none."""

from __future__ import annotations

import json
import os
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.decisions.file import MOST_BYTES, MOST_DECISIONS, MOST_FILES, read_decisions
from host_stub.decisions.merge import Decision
from host_stub.errors import DecisionsError
from tests.rules.repository import DOCS

A, B = "a" * 64, "b" * 64


def written(folder: Path, *decisions: Any, name: str = "ana.json", **said: Any) -> Path:
    path = folder / name
    document = {"format": "stage3-decisions/1", "decisions": list(decisions), **said}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def refusal(*paths: Path) -> DecisionsError:
    with pytest.raises(DecisionsError) as caught:
        list(read_decisions(paths))
    return caught.value


def test_every_field_is_read(tmp_path: Path) -> None:
    """Hashes may have their kind in front, and lists may name one twice."""
    path = written(
        tmp_path,
        {
            "scene": "s1",
            "seen": [f"sha256:{A}", B, A.upper()],
            "show": f"sha256:{B}",
            "reject": [A],
            "takes": 3,
            "prompt": "a pier at night",
            "note": "no hat",
            "at": "2026-11-25T16:02:11+02:00",
        },
        story="sha256:aa",
        reviewer="ana",
    )

    (made,) = read_decisions([path])

    assert (made.scene_id, made.seen, made.show, made.reject) == ("s1", (A, B), B, (A,))
    assert (made.takes, made.prompt, made.note) == (3, "a pier at night", "no hat")
    assert made.at == datetime(2026, 11, 25, 14, 2, 11, tzinfo=UTC)
    assert str(made.origin) == f"ana ({path})"


def test_what_is_null_is_not_said(tmp_path: Path) -> None:
    """A page may write every field; an empty list of rejected takes says something."""
    path = written(
        tmp_path,
        {"scene": "s1", "seen": None, "show": None, "reject": None, "takes": None, "note": None},
        {"scene": "s2", "reject": [], "prompt": None, "at": None},
        reviewer=None,
        story=None,
    )

    said_nothing, rejected_none = read_decisions([path])

    assert said_nothing.wish == (None, None, None, None, None)
    assert rejected_none.reject == ()
    assert rejected_none.origin.reviewer is None


def test_the_example_of_the_documentation_is_read() -> None:
    """The page that tells of the format shows a file that holds."""
    first, second, third = read_decisions([DOCS / "examples" / "decisions.json"])

    assert first.show in first.seen
    assert (second.takes, second.note) == (3, "no hat")
    assert third.prompt is not None


def test_a_folder_is_read_by_the_names_of_its_files(tmp_path: Path) -> None:
    """Other files in it, and hidden ones, are none of its decisions."""
    written(tmp_path, {"scene": "s2"}, name="b.json")
    written(tmp_path, {"scene": "s1"}, name="a.JSON")
    (tmp_path / "notes.txt").write_text("no decision", encoding="utf-8")
    (tmp_path / ".half.json").write_text("{", encoding="utf-8")

    assert [one.scene_id for one in read_decisions([tmp_path])] == ["s1", "s2"]


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "no scene": ({}, "decisions[1].scene: missing"),
    "a scene that is a number": ({"scene": 3}, "decisions[1].scene: expected a string"),
    "a long scene": ({"scene": "s" * 2000}, "decisions[1].scene: expected at most 1,024"),
    "seen holds a name": (
        {"scene": "s", "seen": [A, "take 2"]},
        "decisions[1].seen[1]: expected a sha256 of 64 hex digits, found another string",
    ),
    "too much was seen": (
        {"scene": "s", "seen": [A] * 1001},
        "decisions[1].seen: expected at most 1,000 takes, found 1,001",
    ),
    "show is a number": ({"scene": "s", "show": 2}, "decisions[1].show: expected a sha256"),
    "no takes": ({"scene": "s", "takes": 0}, "decisions[1].takes: expected a whole number of at"),
    "a prompt of much": (
        {"scene": "s", "prompt": "p" * 200_001},
        "decisions[1].prompt: expected at most 200,000 characters",
    ),
    "a long note": ({"scene": "s", "note": "n" * 20_001}, "decisions[1].note: expected at most"),
    "a time without a zone": (
        {"scene": "s", "at": "2026-11-25T14:02:11"},
        "decisions[1].at: expected a time with its zone",
    ),
    "a misspelt field": (
        {"scene": "s", "rejects": [A]},
        "decisions[1].rejects: is not known; did you mean 'reject'?",
    ),
    "a field with markup": (
        {"scene": "s", "<img src=x onerror=alert(1)>\x1b[2J": 1},
        "decisions[1].<img src=x onerror=alert(1)>\\x1b[2J: is not known",
    ),
}


@pytest.mark.parametrize("entry, expected", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_decision_is_named_by_its_place(
    tmp_path: Path, entry: dict[str, Any], expected: str
) -> None:
    """The error has the file, the decision, the field, and the next step."""
    path = written(tmp_path, {"scene": "s1"}, entry)

    error = refusal(path)

    assert f"decisions {path}: {expected}" in str(error)
    assert error.hint is not None
    assert "nothing was spent" in error.hint
    assert error.path == path


def test_all_problems_of_a_file_are_named_up_to_twenty(tmp_path: Path) -> None:
    """So that a person mends a file once."""
    two = refusal(written(tmp_path, {"takes": 0}, 7))
    many = refusal(written(tmp_path, *[{"scene": "s", "takes": 0}] * 50))

    assert [one.where for one in two.problems] == [
        "decisions[0].scene",
        "decisions[0].takes",
        "decisions[1]",
    ]
    assert len(many.problems) == 20


NO_FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty"),
    "no JSON": (b"show scene 3", "line 1, column 1: expected value"),
    "another encoding": ('{"format"'.encode("utf-16"), "expected UTF-8, found UTF-16"),
    "an endless number": (b'{"format": 1e999}', "expected a finite number"),
    "a key twice": (
        b'{"format": "stage3-decisions/1", "decisions": [{"scene": "a", "scene": "b"}]}',
        "line 1, column 63: the key 'scene' stands twice",
    ),
    "a manifest": (b'{"images": []}', "format: missing; expected 'stage3-decisions/1'"),
    "a newer one": (b'{"format": "stage3-decisions/2"}', "found 'stage3-decisions/2'"),
    "decisions by scene": (
        b'{"format": "stage3-decisions/1", "decisions": {"s1": {}}}',
        "decisions: expected a list, found an object",
    ),
    "a misspelt key": (
        b'{"format": "stage3-decisions/1", "reviewers": "ana", "decisions": []}',
        "reviewers: is not known; did you mean 'reviewer'?",
    ),
}


@pytest.mark.parametrize("content, expected", NO_FILES.values(), ids=NO_FILES)
def test_a_file_that_is_none_is_refused_as_a_whole(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    """By the place of what is wrong, with the next step."""
    path = tmp_path / "ana.json"
    path.write_bytes(content)

    error = refusal(path)

    assert str(error).startswith(f"decisions {path}: ")
    assert expected in str(error)
    assert error.hint


def test_a_newer_file_asks_for_a_newer_program(tmp_path: Path) -> None:
    """A wish that is not known would be passed over."""
    path = tmp_path / "ana.json"
    path.write_text('{"format": "stage3-decisions/2", "decisions": []}', encoding="utf-8")

    assert refusal(path).hint == "upgrade: a newer version wrote it"


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """Neither one of 400 MB nor one of more decisions than a story has scenes."""
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(400_000_000)
    many = tmp_path / "many.json"
    entries = ",".join(["{}"] * (MOST_DECISIONS + 1))
    many.write_text(
        f'{{"format": "stage3-decisions/1", "decisions": [{entries}]}}', encoding="utf-8"
    )

    tracemalloc.start()
    too_large = refusal(huge)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "expected at most 32 MiB" in str(too_large)
    assert peak < 3 * MOST_BYTES
    assert "decisions: expected at most 200,000" in str(refusal(many))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to would hold the run for ever."""
    os.mkfifo(tmp_path / "pipe.json")

    assert "expected a file" in str(refusal(tmp_path / "pipe.json"))
    assert "expected a file" in str(refusal(tmp_path))


def test_what_is_not_there_is_said_with_where_decisions_come_from(tmp_path: Path) -> None:
    """A path that cannot be one is no other case."""
    gone, cannot_be, empty = tmp_path / "gone", Path("a\0b"), tmp_path / "empty"
    empty.mkdir()

    assert "there is no such file or folder" in str(refusal(gone))
    assert "downloads folder" in str(refusal(gone).hint)
    assert "cannot be read" in str(refusal(cannot_be))
    assert "holds no *.json" in str(refusal(empty))


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path) -> None:
    """Every save of a page is a file; somebody has to say which of them still count."""
    for number in range(MOST_FILES + 1):
        (tmp_path / f"{number}.json").touch()

    assert f"expected at most {MOST_FILES:,} files" in str(refusal(tmp_path))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(["scene", "seen", "show", "reject", "takes", "prompt", "note", "at", "x"])
ENTRIES = st.lists(ANY_JSON | st.dictionaries(NAMES, ANY_JSON | st.just([A]) | st.just(A)))
DOCUMENTS = ANY_JSON | st.fixed_dictionaries(
    {"format": st.just("stage3-decisions/1"), "decisions": ENTRIES},
    optional={"story": ANY_JSON, "reviewer": ANY_JSON},
)


@given(DOCUMENTS)
def test_any_json_is_read_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, document: Any
) -> None:
    """Nothing that a file can hold ends in another exception."""
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(document), encoding="utf-8")

    found: list[Decision] = []
    refused: DecisionsError | None = None
    try:
        found += read_decisions([path])
    except DecisionsError as error:
        refused = error

    assert all(one.scene_id for one in found)
    assert refused is None or (refused.hint and refused.problems)
