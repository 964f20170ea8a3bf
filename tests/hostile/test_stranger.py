"""The mistakes of somebody's first hour: each is said before anything is spent or made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.text.spelling import letters_apart, misspelt

HOST_STUB = [sys.executable, "-m", "host_stub"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def asked(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HOST_STUB, *words],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def story(**fields: object) -> str:
    return json.dumps([{"scene_id": "one", "prompt": "p", "width": 8, "height": 8, **fields}])


@pytest.mark.parametrize(
    "field, meant",
    [
        ("nagative_prompt", "negative_prompt"),
        ("negativeprompt", "negative_prompt"),
        ("Negative-Promt", "negative_prompt"),
        ("sise", "size"),
        ("sede", "seed"),
        ("refrences", "references"),
        ("referencess", "references"),
        ("image_promt", "image_prompt"),
        ("charactres", "characters"),
        ("wdith", "width"),
        ("styletags", "style_tags"),
        ("modle", "model"),
        ("qualtiy", "quality"),
    ],
)
def test_a_misspelt_scene_field_is_refused_by_name(field: str, meant: str) -> None:
    """The wish in it would be paid for and not be made."""
    Path("story.json").write_text(story(**{field: "x"}), encoding="utf-8")

    done = asked("run", "story.json", "--image", "plain")

    assert done.returncode == 2
    assert f"{field}: is not known; did you mean {meant!r}?" in done.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "field", ["mood", "time", "title", "notes", "camera", "voice_over", "id", "node", "code"]
)
def test_a_field_of_somebody_elses_is_kept_as_it_is(field: str) -> None:
    """Other stages write what they need into the same file."""
    Path("story.json").write_text(story(**{field: "x"}), encoding="utf-8")

    assert asked("plan", "story.json", "--image", "plain").returncode == 0


@given(st.text("abcde", max_size=6), st.text("abcde", max_size=6))
def test_letters_apart_is_a_distance(one: str, other: str) -> None:
    """Symmetric, zero for the same word only, and one for each single change."""
    assert letters_apart(one, other) == letters_apart(other, one)
    assert (letters_apart(one, other) == 0) == (one == other)
    assert letters_apart(one, f"{one}x") == 1
    if len(other) > 1 and other[0] != other[1]:
        assert letters_apart(other, other[1] + other[0] + other[2:]) == 1


@given(st.text(min_size=65, max_size=5000))
def test_a_long_name_misspells_nothing(name: str) -> None:
    assert misspelt(name[:64], frozenset({"negative_prompt", "size"})) is None


@pytest.mark.parametrize("table", ["stag3", "satge3", "stage"])
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_misspelt_table_does_not_run_the_defaults(table: str, command: str) -> None:
    """The free renderer instead of the paid one, or other prices, and exit code 0."""
    Path("host.toml").write_text(f'[plugin.{table}]\nprovider = "openai"\n', encoding="utf-8")
    Path("story.json").write_text(story(), encoding="utf-8")

    done = asked(command, *(["story.json"] if command == "run" else []))

    assert done.returncode == 2
    assert f"[plugin.{table}]: no plugin of this name; did you mean 'stage3'?" in done.stderr
    assert not Path("out").exists()


def test_the_program_alone_says_what_may_come_next() -> None:
    done = asked()

    assert done.returncode == 0
    assert "  host-stub --help\n" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("lines", [False, True])
def test_scenes_may_come_from_standard_input(*, lines: bool) -> None:
    """A document, or JSON Lines; a run goes through them more than once."""
    scenes = [{"scene_id": f"s{n}", "prompt": "p", "width": 8, "height": 8} for n in range(3)]
    text = "\n".join(map(json.dumps, scenes)) if lines else json.dumps(scenes)

    done = asked("run", "-", "--image", "plain", stdin=text)

    assert done.returncode == 0, done.stderr
    made = json.loads(Path("out/manifest.json").read_bytes())["images"]
    assert [row["scene_id"] for row in made] == ["s0", "s1", "s2"]


def test_a_new_project_keeps_results_and_money_out_of_a_repository() -> None:
    assert asked("init").returncode == 0

    ignored = Path(".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"out/", ".stage3/"} <= set(ignored)


def test_a_gitignore_that_is_there_is_left_alone() -> None:
    Path(".gitignore").write_text("mine\n", encoding="utf-8")

    assert asked("init").returncode == 0
    assert Path(".gitignore").read_text(encoding="utf-8") == "mine\n"


PLUGIN = """
from contextlib import asynccontextmanager
import anyio
from pydantic import BaseModel
from host_stub.contract import Capabilities, ImagePlugin
from host_stub.hookspecs import hookimpl

class Settings(BaseModel):
    pass

class Stage:
    async def run(self, request, context):
        async def fail(what):
            raise ValueError(f"no {what}")
        async with anyio.create_task_group() as tasks:
            for what in ("bread", "butter", "salt", "time"):
                tasks.start_soon(fail, what)

@asynccontextmanager
async def opened(settings, services):
    yield Stage()

@hookimpl
def host_image_plugin():
    return ImagePlugin(
        name="clumsy", contract=(1, 0), settings=Settings, capabilities=Capabilities(), open=opened
    )
"""


@pytest.fixture
def clumsy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a plugin whose tasks all fail."""
    site = tmp_path / "site"
    info = site / "clumsy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: clumsy\nVersion: 1.0\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(
        "[host_stub.plugins]\nclumsy = clumsy_plugin\n", encoding="utf-8"
    )
    (site / "clumsy_plugin.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(site))


@pytest.mark.usefixtures("clumsy")
def test_a_task_group_is_told_by_what_it_holds() -> None:
    """A count of exceptions in a TaskGroup names none of them."""
    Path("story.json").write_text(story(), encoding="utf-8")

    done = asked("run", "story.json", "--image", "clumsy")

    assert done.returncode in {2, 3}
    assert "ValueError: no bread; ValueError: no butter; ValueError: no salt; and 1 more" in (
        done.stderr
    )


@pytest.mark.usefixtures("clumsy")
def test_debug_shows_where_a_plugin_failed() -> None:
    """The hint says to use it."""
    Path("story.json").write_text(story(), encoding="utf-8")

    quiet = asked("run", "story.json", "--image", "clumsy")
    done = asked("run", "story.json", "--image", "clumsy", "--debug")

    assert "Traceback" not in quiet.stderr
    assert "--debug" in quiet.stderr
    assert 'raise ValueError(f"no {what}")' in done.stderr
