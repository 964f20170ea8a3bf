"""Looking at a story sends nothing, so it needs no key; what sends says first which is not set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from host_stub.cli import main
from stage3_plugin.cli import main as stage3
from tests.fakes.image_api import KEY, ImageApi
from tests.projects import Project

CONFIG = """
[plugin.stage3]
provider = "openai"
model = "gpt-image-2"
size = "1024x1024"
api_key = { env = "A_KEY_THAT_IS_NOT_SET" }
headers = { x-team = { env = "A_TEAM_THAT_IS_NOT_SET" } }
[[plugin.stage3.fallback]]
provider = "openrouter"
model = "openai/gpt-image-2"
api_key = { file = "no-such-file" }
"""
LACKS = [
    f"[plugin.stage3] {setting}: environment variable {variable} is not set; a run needs it"
    " [secret_missing]"
    for setting, variable in {
        "api_key": "A_KEY_THAT_IS_NOT_SET",
        "headers.x-team": "A_TEAM_THAT_IS_NOT_SET",
    }.items()
]
UNSET = "[plugin.stage3] api_key: environment variable A_KEY_THAT_IS_NOT_SET is not set"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Begin a project whose keys are not set, and go there."""
    (tmp_path / "host.toml").write_text(CONFIG, encoding="utf-8")
    story = [{"scene_id": "a", "prompt": "a pier at dusk"}]
    (tmp_path / "scenes.json").write_text(json.dumps(story), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_a_price_can_be_known_before_there_is_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """The plan ends with 0, has its price, and says which secrets a run would miss."""
    ended = main(["plan", "scenes.json"])
    said = capsys.readouterr().out
    as_json = main(["plan", "scenes.json", "--json"])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)

    assert (ended, as_json) == (0, 0)
    assert [f"warning: {line}" in said for line in LACKS] == [True, True]
    assert told["warnings"][:2] == LACKS
    assert "fallback.0.api_key: file" in told["warnings"][2]
    assert told["make"] == 1
    assert told["cost_high_usd"] is not None


@pytest.mark.usefixtures("folder")
def test_everything_that_only_looks_works_without_a_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the first draft to another take of it, each as a command."""
    commands = [
        ["status"],
        ["run", "scenes.json", "--draft"],
        ["status"],
        ["takes", "a"],
        ["show", "a", "1"],
        ["show", "a", "--undo"],
        ["reroll", "a"],
        ["review", "--no-wait"],
        ["sheet"],
        ["plan", "scenes.json", "--draft"],
    ]
    ended = {" ".join(words): (main(words), capsys.readouterr()) for words in commands}

    assert {name: code for name, (code, _) in ended.items() if code} == {}
    assert "is not set" not in "".join(said.out + said.err for _, said in ended.values())


@pytest.mark.parametrize(
    "words",
    [["run", "scenes.json"], ["check"], ["check", "--online"], ["run", "scenes.json", "--json"]],
    ids=" ".join,
)
def test_what_sends_says_first_which_key_is_not_set(
    folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With 2 and before anything is made."""
    ended = main(words)
    said = capsys.readouterr()

    assert ended == 2
    assert UNSET in said.err
    assert {one.name for one in folder.iterdir()} == {"host.toml", "scenes.json"}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", ["ask", "wait"])
def test_what_asks_with_the_key_says_so_too(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Providers are asked by the config's key, which is not there."""
    ended = stage3([command])

    assert ended == 2
    assert UNSET in capsys.readouterr().err


def test_a_provider_that_needs_a_key_and_is_given_none_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A config that names no key at all cannot come to be right by a variable."""
    config = '[plugin.stage3]\nprovider = "openai"\nmodel = "gpt-image-2"\n'
    (folder / "host.toml").write_text(config, encoding="utf-8")

    assert main(["plan", "scenes.json"]) == 2
    assert "needs a key and none is set" in capsys.readouterr().err


@pytest.mark.parametrize("setting", ["ledger", "base_url"])
def test_a_secret_that_looking_needs_is_missed_at_once(
    folder: Path, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the ledger is decides what there is to see; and an address is read as text."""
    line = f'{setting} = {{ env = "WHERE_IS_NOT_SET" }}\n[[plugin.stage3.fallback]]'
    config = CONFIG.replace("[[plugin.stage3.fallback]]", line)
    (folder / "host.toml").write_text(config, encoding="utf-8")

    assert main(["plan", "scenes.json"]) == 2
    said = capsys.readouterr().err
    assert f"[plugin.stage3] {setting}: environment variable WHERE_IS_NOT_SET is not set" in said


def test_what_else_is_wrong_is_said_without_a_key(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A header that no request may have, and a key that is said twice."""
    headers = '{ authorization = { env = "A_TEAM_THAT_IS_NOT_SET" } }'
    config = CONFIG.replace('{ x-team = { env = "A_TEAM_THAT_IS_NOT_SET" } }', headers)
    (folder / "host.toml").write_text(config, encoding="utf-8")

    assert main(["plan", "scenes.json"]) == 2
    assert "say the same; set one of them" in capsys.readouterr().err


@pytest.mark.parametrize("secret", ["A_KEY_THAT_IS_NOT_SET", "A_TEAM_THAT_IS_NOT_SET"])
def test_a_key_that_is_set_is_judged_by_every_look(
    folder: Path, secret: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What could never be sent is refused by a plan as it is by a run, and never shown."""
    monkeypatch.setenv(secret, "no ASCII: ä, hunter2")

    assert main(["plan", "scenes.json"]) == 2
    said = capsys.readouterr().err
    assert "printable ASCII" in said
    assert "hunter2" not in said
    assert folder.exists()


def test_a_file_that_holds_a_key_is_looked_for_where_the_config_lies(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the command is started, where another project's may lie under the same name."""
    project = Project(tmp_path / "project")
    project.scenes(1)
    project.config(image_api)
    config = project.folder / "host.toml"
    told = config.read_text(encoding="utf-8")
    config.write_text(told.replace('env = "LOOPBACK_KEY"', 'file = "openai.key"'), encoding="utf-8")
    for folder, key in ((project.folder, KEY), (tmp_path, "sk-of-another-0123456789")):
        (folder / "openai.key").write_text(key, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert main(["run", "project/scenes.json", "--config", "project/host.toml"]) == 0
    assert image_api.billed() == 1


def test_a_folder_that_is_typed_begins_where_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the config's own begins where the config lies."""
    project = Project(tmp_path / "project")
    project.scenes(1)
    (project.folder / "host.toml").write_text('[pipeline]\nimage = "plain"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = ["run", "project/scenes.json", "--config", "project/host.toml"]

    assert main(words) == 0, capsys.readouterr().err
    assert len(list((project.folder / "out" / "images").iterdir())) == 1
    assert main([*words, "--out", "boards"]) == 0
    assert len(list((tmp_path / "boards" / "images").iterdir())) == 1
    assert not (project.folder / "boards").exists()
