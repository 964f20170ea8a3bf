"""Names, owners, links and limits around a story: it runs, or says why not before it pays."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.fakes.image_api import KEY, ImageApi
from tests.hostile.test_unreadable import LINUX, shut, without_powers
from tests.projects import Project

POSIX = pytest.mark.skipif(
    os.name != "posix", reason="names are bytes, and descriptors are limited"
)
IN_ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def typed(
    project: Project,
    *words: str,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
    module: str = "host_stub",
) -> subprocess.CompletedProcess[str]:
    """Type a command in a project of any name, which need not be a text."""
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=project.folder,
        env={**os.environ, "LOOPBACK_KEY": KEY, "COLUMNS": "300", **(environment or {})},
        preexec_fn=before,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
        timeout=60,
    )


def told(project: Project, *words: str) -> str:
    """Return what a command says to a program, once it was done."""
    done = typed(project, *words, "--json")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def project(image_api: ImageApi, tmp_path: Path) -> Project:
    """Return a project of two scenes, nothing of which is made yet."""
    project = Project(tmp_path / "project")
    project.scenes(2)
    project.config(image_api)
    return project


# Names -------------------------------------------------------------------------------------------


@POSIX
def test_a_project_in_a_folder_whose_name_is_no_text_runs(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """The names of folders are bytes, and an old disk has them in Latin-1."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this disk wants texts")
    project = Project(folder)
    project.scenes(2)
    project.config(image_api)
    first = typed(project, "run", "scenes.json")
    again = typed(project, "run", "scenes.json")
    verified = typed(project, "verify", module="stage3_plugin")

    assert first.returncode == again.returncode == verified.returncode == 0, first.stderr
    assert len(list((folder / "out" / "images").iterdir())) == 2
    assert image_api.billed() == 2


def of_a_scene(project: Project) -> None:
    """A scene is named by letters that the locale lacks."""
    story = [{"scene_id": "s01", "image_prompt": "a"}, {"scene_id": "灯台", "image_prompt": "b"}]
    (project.folder / "scenes.json").write_text(json.dumps(story), encoding="utf-8")


def of_a_sheet(project: Project) -> None:
    """So is a sheet, which nobody but the plugin knows of."""
    story = [{"scene_id": "s01", "image_prompt": "a", "characters_in_scene": ["灯台"]}]
    (project.folder / "scenes.json").write_text(json.dumps(story), encoding="utf-8")
    with (project.folder / "host.toml").open("a", encoding="utf-8") as config:
        config.write('\n[plugin.stage3.cast."灯台"]\nprompt = "four views"\n')


def of_the_results(project: Project) -> None:
    """The config names a folder so."""
    with (project.folder / "host.toml").open("a", encoding="utf-8") as config:
        config.write('\n[run]\nout_dir = "灯台"\n')


@LINUX
@pytest.mark.parametrize("name", [of_a_scene, of_a_sheet, of_the_results])
def test_a_name_that_the_locale_cannot_write_is_refused_before_it_is_paid_for(
    project: Project, image_api: ImageApi, name: Callable[[Project], None]
) -> None:
    """And in a locale that can, the same project runs."""
    ask = [sys.executable, "-c", "import sys; print(sys.getfilesystemencoding())"]
    spoken = subprocess.run(ask, env=IN_ASCII, capture_output=True, encoding="ascii", check=True)
    if spoken.stdout.strip() == "utf-8":
        pytest.skip("this Python names files in UTF-8 wherever it is")
    name(project)
    refused = typed(project, "run", "scenes.json", environment=IN_ASCII)
    asked = image_api.received()
    done = typed(project, "run", "scenes.json", environment={"LC_ALL": "C.UTF-8"})

    assert refused.returncode == 2
    assert "this locale's encoding has no file name" in refused.stderr
    assert "\\u706f\\u53f0" in refused.stderr
    assert "run it in a locale of UTF-8 (LC_ALL=C.UTF-8), or with PYTHONUTF8=1" in refused.stderr
    assert asked == 0
    assert done.returncode == 0, done.stderr


@LINUX
def test_the_library_refuses_such_a_name_as_well(tmp_path: Path) -> None:
    """As scenes that cannot be run, by the place in the list."""
    program = (
        "from stage3_plugin import ScenesRefused, make_pictures\n"
        "try:\n"
        "    scene = {'scene_id': '\\u706f', 'image_prompt': 'x'}\n"
        "    make_pictures([scene], {'provider': 'previz'})\n"
        "except ScenesRefused as error:\n"
        "    print(error)\n"
    )
    environment = {**os.environ, **IN_ASCII}
    ask = [sys.executable, "-c", program]
    done = subprocess.run(
        ask, cwd=tmp_path, env=environment, capture_output=True, encoding="ascii", check=False
    )

    if "scenes[0]" not in done.stdout and not done.returncode:
        pytest.skip("this Python names files in UTF-8 wherever it is")
    assert "scenes[0].scene_id: this locale's encoding has no such file name" in done.stdout
    assert done.stderr == ""


# Owners ------------------------------------------------------------------------------------------


@LINUX
@pytest.mark.parametrize("what", [".story", ".story/out", ".story/out/story.db"])
@pytest.mark.parametrize(
    "words",
    [("status",), ("takes", "s01"), ("plan", "scenes.json"), ("review",), ("run", "scenes.json")],
    ids=lambda words: words[0],
)
def test_a_story_of_another_user_is_named_with_what_to_do(
    project: Project, image_api: ImageApi, words: tuple[str, ...], what: str
) -> None:
    """From every command, and nothing is asked for."""
    assert project.run("run", "scenes.json").returncode == 0
    project.scenes(3)
    story = project.folder / what
    if story.is_dir():
        shut(story)
    else:
        story.chmod(0o600 if os.geteuid() == 0 else 0)
        if os.geteuid() == 0:
            os.chown(story, 65534, 65534)
    done = typed(project, *words, before=without_powers)

    assert done.returncode == 2
    assert "should not have happened" not in done.stderr
    assert f"this user may not read and write {story}" in done.stderr
    assert "run as the user that it belongs to" in done.stderr
    assert "chown -R" in done.stderr
    assert image_api.billed() == 2


# Links -------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("words", [("run", "scenes.json"), ("show", "s01", "1")])
def test_a_shown_take_that_is_two_links_comes_back_as_it_was(
    project: Project, image_api: ImageApi, words: tuple[str, ...]
) -> None:
    """As a tool leaves it that keeps each file once; what the links lead to is not touched."""
    assert project.run("run", "scenes.json").returncode == 0
    out, kept = project.folder / "out", project.folder.parent / "kept.png"
    [take] = (out / "takes" / "s01").iterdir()
    shown = out / "images" / "s01.png"
    picture = take.read_bytes()
    shutil.copyfile(take, kept)
    for one in (take, shown):
        one.unlink()
        one.symlink_to(kept)
    done = project.run(*words)
    after = project.run("run", "scenes.json")

    assert after.returncode == 0, after.stderr
    assert done.returncode == 0, done.stderr
    assert not take.is_symlink()
    assert not shown.is_symlink()
    assert take.read_bytes() == shown.read_bytes() == kept.read_bytes() == picture
    assert image_api.billed() == 2


# Limits ------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("files", range(12, 19))
def test_too_few_files_are_said_in_two_lines(project: Project, files: int) -> None:
    """Without a traceback of an event loop that found two of the three that it opens."""
    done = typed(
        project,
        "run",
        "scenes.json",
        before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
    )

    assert done.returncode == 2
    assert "raise the limit of open files" in done.stderr
    assert "Traceback" not in done.stderr
    # Python itself may warn of its own library, where it was told to look for that
    warnings = ("EncodingWarning", "  ")
    said = [line for line in done.stderr.splitlines() if not any(map(line.__contains__, warnings))]
    assert [line.partition(":")[0] for line in said] == ["error", "hint"]


# The ledger --------------------------------------------------------------------------------------


def test_that_paid_takes_are_bought_again_is_said_before_they_are(
    project: Project, image_api: ImageApi
) -> None:
    """``.stage3`` is gone, and the story knows what it paid: plan, status and run say so."""
    assert project.run("run", "scenes.json", "--takes", "3").returncode == 0
    before = project.run("plan", "scenes.json")
    state = project.folder / ".stage3"
    state.rename(project.folder / "away")
    planned = project.run("plan", "scenes.json")
    document = json.loads(told(project, "plan", "scenes.json"))
    status = project.run("status")
    (project.folder / "away").rename(state)
    back = project.run("plan", "scenes.json")
    shutil.rmtree(state)
    done = project.run("run", "scenes.json")

    said = "was paid for, and the plugin knows none of them"
    for one in (planned.stdout, status.stdout, done.stderr):
        assert "this story has 6 takes that $" in one
        assert said in one
        assert "its state folder (.stage3) is gone, or another one. Put it back first" in one
    assert any(said in one for one in document["warnings"])
    assert said not in before.stdout + back.stdout
    assert image_api.billed() == 8
