"""The command line through its public door: what is said where, and how it ends."""

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from host_stub.__main__ import main as of_module
from host_stub.cli import main
from host_stub.cli.parser import COMMANDS
from stage3_plugin.cli import main as stage3
from tests.host.conftest import Distribute
from tests.said import Say

SECRET = "sk-live-5ecret-0123456789"
STORY = [
    {"scene_id": "one", "prompt": "a lighthouse", "width": 8, "height": 8},
    {"scene_id": "two", "prompt": "灯塔", "width": 8, "height": 8},
    {"scene_id": "three", "prompt": "a whale", "width": 8, "height": 8},
]
HOST_STUB = [sys.executable, "-m", "host_stub"]
STAGE3 = str(Path(sysconfig.get_path("scripts")) / "stage3")
Program: TypeAlias = Callable[[Sequence[str]], int]
PROGRAMS = {"host-stub": [*HOST_STUB, "plugins"], "stage3": [STAGE3, "models"]}
"""Both write by one console; each with a command that needs no file."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("story.json").write_text(json.dumps(STORY), encoding="utf-8")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    return Say(capsys, main)


def run_process(*words: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run(words, check=False, encoding="utf-8", timeout=60, **options)


# run


@pytest.mark.parametrize(
    "options, made",
    [
        (["--limit", "2"], {"one.png", "two.png"}),
        (["--scene", "three"], {"three.png"}),
        (["--scene", "three", "--scene", "one"], {"one.png", "three.png"}),
        (["--scene=two", "--limit=1"], {"two.png"}),
    ],
)
def test_a_part_of_the_story_can_be_made(say: Say, options: list[str], made: set[str]) -> None:
    """--limit takes the first ones, --scene the named ones."""
    said = say("run", "story.json", "--image", "plain", *options)

    assert said.code == 0
    assert {path.name for path in Path("out/images").iterdir()} == made


@pytest.mark.parametrize(
    "run, words, out, journal",
    [
        ("", [], "project/out", "project/out/events.jsonl"),
        ("", ["--out", "there"], "there", "there/events.jsonl"),
        ('out_dir = "a"', [], "project/a", "project/a/events.jsonl"),
        ('out_dir = "a"', ["--out", "there"], "there", "there/events.jsonl"),
        ('out_dir = "a"', ["--set", "run.out_dir=b"], "project/b", "project/b/events.jsonl"),
        ('out_dir = "a"', ["--set", "run.out_dir=b", "--out=c"], "c", "c/events.jsonl"),
        ('journal = "log.jsonl"', [], "project/out", "project/log.jsonl"),
        ('journal = "log.jsonl"', ["--out", "there"], "there", "project/log.jsonl"),
        ('journal = "out/e/log.jsonl"', ["--out", "there"], "there", "there/e/log.jsonl"),
        ('journal = "log.jsonl"', ["--set", "run.journal=false"], "project/out", None),
        ("journal = false", ["--out", "there"], "there", None),
    ],
)
def test_results_and_journal_lie_where_the_command_line_says_else_the_config(
    say: Say, run: str, words: list[str], out: str, journal: str | None
) -> None:
    """``--out`` before ``--set`` before the file, with all of it, and nowhere else."""
    Path("project").mkdir()
    config = f'[run]\n{run}\n[pipeline]\nimage = "plain"\n'
    Path("project/host.toml").write_text(config, encoding="utf-8")
    said = say("run", "story.json", "--config", "project/host.toml", *words)

    def found(name: str) -> set[str]:
        there = (path for path in Path().rglob(name) if ".story" not in path.parts)
        return {path.as_posix() for path in there}

    assert said.code == 0, said.err
    assert found("images") == {f"{out}/images"}
    assert found("manifest.json") == {f"{out}/manifest.json"}
    assert found("*.jsonl") == ({journal} if journal else set())


def test_no_record_that_names_no_run_takes_the_place_of_another(say: Say) -> None:
    """Each of them is kept in ``runs/earlier``."""
    Path("out").mkdir()
    names = ("manifest.json", "events.jsonl")
    for number in range(2):
        for name in names:
            Path("out", name).write_text(f'{{"number": {number}}}', encoding="utf-8")
        assert say("run", "story.json", "--image", "plain").code == 0

    for name in names:
        kept = Path("out/runs/earlier").glob(name.replace(".", "*."))
        told = sorted(path.read_text(encoding="utf-8") for path in kept)
        assert told == ['{"number": 0}', '{"number": 1}']


def test_observers_of_the_config_are_told_and_can_be_left_out(
    say: Say, distribute: Distribute
) -> None:
    """--no-observers tells none, and does not even import them."""
    distribute(
        "bell",
        {"bell": "bell_hooks"},
        {
            "bell_hooks": "from pathlib import Path\n"
            "from host_stub.hookspecs import hookimpl\n"
            "Path('imported').touch()\n"
            "@hookimpl\n"
            "def host_run(run):\n"
            "    Path(f'rang-{run.state}').touch()\n"
        },
    )
    Path("host.toml").write_text(
        '[pipeline]\nimage = "plain"\nobservers = ["bell"]\n', encoding="utf-8"
    )

    assert say("run", "story.json", "--no-observers").code == 0
    assert not Path("imported").exists()
    assert say("run", "story.json").code == 0
    assert Path("rang-started").exists()
    assert Path("rang-finished").exists()


NOISY = """
print("printed while being imported")
import dataclasses
from contextlib import asynccontextmanager
from host_stub import plain_image
from host_stub.hookspecs import hookimpl

@asynccontextmanager
async def _open(settings, services):
    print("printed while being opened")
    async with plain_image.host_image_plugin().open(settings, services) as stage:
        yield stage

@hookimpl
def host_image_plugin():
    return dataclasses.replace(plain_image.host_image_plugin(), open=_open)
"""


def test_a_plugin_that_prints_does_not_spoil_the_json(say: Say, distribute: Distribute) -> None:
    """Stdout belongs to the one object, whoever prints."""
    distribute("noisy", {"noisy": "noisy_hooks"}, {"noisy_hooks": NOISY})

    said = say("run", "story.json", "--image", "noisy", "--json")

    assert said.code == 0
    assert said.json["total_images"] == 3
    assert "printed while being imported" in said.err
    assert "printed while being opened" in said.err


# init


def test_a_new_project_runs_at_once(say: Say) -> None:
    """What init writes can be checked and run as it is, and the next step is told."""
    said = say("init", "my project")

    assert said.code == 0
    assert "next: cd 'my project' && host-stub run scenes.json" in said.out
    os.chdir("my project")
    assert say("check").code == 0
    assert say("run", "scenes.json", "--image", "plain").code == 0
    assert len(list(Path("out/images").iterdir())) == 3


def test_init_says_as_json_what_it_wrote(say: Say) -> None:
    """Programs get the paths."""
    assert say("init", "--json").json["written"] == ["host.toml", "scenes.json", ".gitignore"]


@pytest.mark.parametrize("present", ["host.toml", "scenes.json"])
def test_init_never_overwrites(say: Say, present: str) -> None:
    """If one of the files is there, neither is written, not even through a dead link."""
    Path(present).symlink_to("nowhere")

    said = say("init")

    assert said.code == 2
    assert f"error: {present} is already there and is not overwritten" in said.err
    assert "hint: name another folder" in said.err
    assert not Path("nowhere").exists()
    assert not Path("host.toml").is_file()
    assert not Path("scenes.json").is_file()


def test_init_in_a_place_that_is_no_folder_is_told(say: Say) -> None:
    """A file in the way is named."""
    Path("file").touch()

    said = say("init", "file")

    assert said.code == 2
    assert "error: cannot write file: it is a file, not a folder" in said.err


def test_init_makes_the_scenes_of_a_story(say: Say) -> None:
    """What was read is said, nothing is overwritten, and a config that is there stays."""
    Path("story.md").write_text("Hello\n## Dawn\nA boat.\n## Noon\nA whale.\n", encoding="utf-8")

    said = say("init", "--from", "story.md")
    again = say("init", "--from", "story.md")
    other = say("init", "new", "--from", "story.md", "--scenes", "other.json", "--json")

    assert said.code == 0
    assert said.out.splitlines() == [
        "read story.md: Markdown, 2 scenes",
        "  not a scene: the text before the first heading",
        *("wrote scenes.json", "wrote host.toml", "wrote .gitignore"),
        "next: host-stub run scenes.json",
    ]
    assert again.code == 2
    assert "error: scenes.json is already there and is not overwritten" in again.err
    assert "hint: name another one with --scenes FILE" in again.err
    assert other.json["next"] == "cd new && host-stub run ../other.json"
    assert (other.json["kind"], other.json["scenes"]) == ("Markdown", 2)
    (action,) = other.json["next_actions"]
    assert action["command"][1:] == ["run", "--config", "new/host.toml", "--json", "other.json"]
    assert say(*action["command"][1:], "--image", "plain").code == 0
    assert say("run", "scenes.json", "--image", "plain").code == 0
    assert sorted(path.name for path in Path("out/images").iterdir()) == ["dawn.png", "noon.png"]


def test_init_leaves_a_config_alone_and_says_what_belongs_into_it(say: Say) -> None:
    """The config may name somebody who is paid, so a plan is the next step."""
    Path("host.toml").write_text("", encoding="utf-8")
    script = {
        "beats": [{"imagePrompt": "A cat"}],
        "imageParams": {"images": {"cat": {"type": "imagePrompt", "prompt": "Black"}}},
    }
    Path("script.json").write_text(json.dumps(script), encoding="utf-8")

    said = say("init", "--from", "script.json")

    assert said.code == 0
    assert Path("host.toml").read_text(encoding="utf-8") == ""
    assert "for the cast, put this into host.toml:" in said.out
    assert '[plugin.stage3.cast.cat]\nname = "cat"\nprompt = "Black"\n' in said.out
    assert "next: host-stub plan scenes.json" in said.out


@pytest.mark.parametrize(
    "words, message",
    [
        (["--from", "none.md"], "error: story file none.md: there is no such file"),
        (["--from", "."], "error: story file .: expected a file"),
        (["--scenes", "a.json"], "error: '--scenes' of 'init' goes with '--from FILE'"),
    ],
)
def test_init_refuses_a_story_that_is_none(say: Say, words: list[str], message: str) -> None:
    """Nothing is written then."""
    said = say("init", *words)

    assert said.code == 2
    assert message in said.err
    assert "hint: " in said.err
    assert not Path("scenes.json").exists()
    assert not Path("host.toml").exists()


# plugins


def test_listing_shows_who_is_there_and_what_the_config_makes_of_it(say: Say) -> None:
    """Name, distribution, version, entry point, configured, selected."""
    version = importlib.metadata.version("stage3-plugin")
    Path("host.toml").write_text(
        '[pipeline]\nimage = "plain"\nobservers = ["gone"]\n[plugin.stage3]\n', encoding="utf-8"
    )

    said = say("plugins", "--json")
    rows = {row["name"]: row for row in said.json["plugins"]}

    assert said.code == 0
    assert rows["plain"] == {
        "name": "plain",
        "distribution": "stage3-plugin",
        "version": version,
        "entry_point": "host_stub.plain_image",
        "configured": False,
        "selected": ["image"],
        "status": "installed",
    }
    assert rows["stage3"]["configured"] is True
    assert rows["stage3"]["selected"] == []
    assert rows["gone"]["status"] == "not installed"
    assert rows["gone"]["selected"] == ["observer"]
    table = say("plugins").out.splitlines()
    assert " ".join(table[0].split()) == "NAME FROM ENTRY POINT CONFIGURED SELECTED STATUS"
    assert any("host_stub.plain_image" in line and "image" in line for line in table)


def test_listing_survives_a_broken_config(say: Say) -> None:
    """One needs the list most when something is wrong."""
    Path("host.toml").write_text("[runn]\n", encoding="utf-8")

    said = say("plugins")

    assert said.code == 0
    assert "plain" in said.out
    assert "warning: config host.toml: [runn]: unknown table; did you mean 'run'?" in said.err
    assert say("plugins", "--json").json["config_error"].startswith("config host.toml: ")


def test_listing_with_load_tells_what_came_of_each(say: Say, distribute: Distribute) -> None:
    """A broken one has its error and hint, the others their contract and abilities."""
    distribute("bad", {"bad": "bad_hooks"}, {"bad_hooks": "import not_there_at_all"})
    newer = NOISY.replace("open=_open", "contract=(1, 7)")
    distribute("new", {"new": "new_hooks"}, {"new_hooks": newer})

    said = say("plugins", "--load")
    rows = {row["name"]: row for row in say("plugins", "--load", "--json").json["plugins"]}

    assert said.code == 0
    assert "cannot be imported: 'bad_hooks' raised ModuleNotFoundError" in said.out
    assert rows["bad"]["status"] == "broken"
    assert "reinstall" in rows["bad"]["hint"]
    assert rows["new"]["status"] == "incompatible"
    assert rows["plain"]["status"] == "ready"
    assert rows["plain"]["contract"] == [1, 0]
    assert rows["plain"]["capabilities"]["offline"] is True


HEAVY = ("anyio", "httpx", "PIL", "pluggy", "pydantic", "rich", "structlog", "stage3_plugin")


def test_listing_imports_no_plugin_and_nothing_heavy() -> None:
    """The command that must always work is also the fastest."""
    code = (
        "import sys\n"
        "from host_stub.cli import main\n"
        "assert main(['plugins', '--json']) == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )

    assert done.stderr.strip() == "[]"


# check and schema


def test_check_shows_the_resolved_config_with_secrets_masked(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is used and never shown, in text or as JSON."""
    monkeypatch.setenv("STORY_KEY", SECRET)
    Path("host.toml").write_text(
        '[plugin.stage3]\nprovider = "openai"\nmodel = "m"\napi_key = { env = "STORY_KEY" }\n',
        encoding="utf-8",
    )

    text, as_json = say("check"), say("check", "--json")

    assert text.code == as_json.code == 0
    assert 'api_key = "****"' in text.out
    assert "contract 1.0" in text.out
    assert as_json.json["settings"]["api_key"] == "****"
    assert as_json.json["settings"]["provider"] == "openai"
    assert as_json.json["run"]["out_dir"] == str(Path.cwd() / "out")
    assert as_json.json["plugin"]["contract"] == [1, 0]
    assert SECRET not in text.out + text.err + as_json.out + as_json.err


@pytest.mark.parametrize("key", ["x", "max", "number"])
def test_a_short_key_masks_no_letters_of_a_message(say: Say, key: str) -> None:
    """A key of a few letters stands in every word; longer ones are taken out where they stand."""
    Path("host.toml").write_text(
        f'[plugin.stage3]\nprovider = "openai"\nmodel = "m"\napi_key = "{key}"\n'
        'max_attempts = "six"\n',
        encoding="utf-8",
    )
    said = say("check")

    told = "plugin.stage3.max_attempts: should be a whole number, without quotes, such as "
    told = told.replace("number", "****") if key == "number" else told
    assert said.code == 2
    assert f"{told}max_attempts = 4" in said.err


def test_check_shows_a_cast_as_a_config_has_it(say: Say) -> None:
    """A member a line, without what is not set, and with the keys in quotes that need them."""
    cast: dict[str, dict[str, str | bool]] = {
        "char_001": {"image": "refs/mira.png", "name": "Mira"},
        "日本 x": {"prompt": 'a "sheet"', "always": True},
    }
    members = "".join(
        f"[plugin.stage3.cast.{json.dumps(name, ensure_ascii=False)}]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in member.items())
        for name, member in cast.items()
    )
    Path("host.toml").write_text(
        f'[pipeline]\nimage = "stage3"\n[plugin.stage3]\nprovider = "previz"\n{members}', "utf-8"
    )

    done = say("check")
    shown = tomllib.loads(done.out)["plugin"]["stage3"]

    assert done.code == 0
    assert shown["cast"]["char_001"] == cast["char_001"] | {"always": False}
    assert shown["cast"]["日本 x"] == cast["日本 x"]
    assert shown["headers"] == {}


def test_check_finds_bad_settings_before_anything_runs(say: Say) -> None:
    """Unknown settings come with the closest name, as for the host's own."""
    said = say("check", "--set", "plugin.stage3.capcity=8", "--set", f"plugin.stage3.size={SECRET}")

    assert said.code == 2
    assert "plugin.stage3.capcity: unknown setting; did you mean 'capacity'?" in said.err
    assert "hint: 'host-stub schema stage3' lists its settings" in said.err
    assert SECRET not in said.err


def test_check_opens_and_closes_the_stage_and_runs_nothing(
    say: Say, distribute: Distribute
) -> None:
    """The last line, or the JSON, says that it opens; no results are written."""
    opening = NOISY.replace("        yield stage", "        yield stage\n    print('closed again')")
    distribute("noisy", {"noisy": "noisy_hooks"}, {"noisy_hooks": opening})

    text, as_json = say("check", "--image", "noisy"), say("check", "--image", "noisy", "--json")

    assert text.code == as_json.code == 0
    assert text.out.splitlines()[-1] == "# ok: the stage opens; nothing was sent"
    assert text.out.index("printed while being opened") < text.out.index("closed again")
    assert "closed again" in as_json.err
    assert as_json.json["opens"] is True
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "offered, told",
    [
        (
            r"(Provider(name='\x1b[2Jred', source='paints 1'), 7, BLUE)",
            r"# providers: \x1b[2Jred (paints 1), blue (in use, dry)",
        ),
        ("'red'", None),
        ("None", None),
    ],
)
def test_check_lists_who_can_make_the_pictures_if_a_stage_says_so(
    say: Say, distribute: Distribute, offered: str, told: str | None
) -> None:
    """Safe for a terminal; what is no list of providers is passed over."""
    offering = NOISY.replace(
        "        yield stage",
        "        from host_stub.contract import Provider\n"
        "        BLUE = Provider(name='blue', source='', in_use=True, problem='dry')\n"
        f"        stage.providers = {offered}\n        yield stage",
    )
    distribute("noisy", {"noisy": "noisy_hooks"}, {"noisy_hooks": offering})

    text, as_json = say("check", "--image", "noisy"), say("check", "--image", "noisy", "--json")
    names = [one["name"] for one in as_json.json["plugin"]["providers"]]
    lines = [line for line in text.out.splitlines() if line.startswith("# providers")]

    assert text.code == as_json.code == 0
    assert lines == ([] if told is None else [told])
    assert names == ([] if told is None else [r"\x1b[2Jred", "blue"])


@pytest.mark.parametrize("command", [["check"], ["run", "story.json"]])
@pytest.mark.parametrize(
    "name, told",
    [("stag3", "did you mean 'stage3'?"), ("zzzzz", "'host-stub plugins' lists those that are")],
)
def test_a_table_for_a_plugin_that_is_not_installed_is_warned_of(
    say: Say, command: list[str], name: str, told: str
) -> None:
    """A slip in a plugin's name would else leave its settings unused in silence."""
    said = say(*command, "--image", "plain", "--set", f"plugin.{name}.capacity=8")

    assert said.code == 0
    assert f"warning: [plugin.{name}]: no plugin of this name is installed; {told}" in said.err


def test_a_schema_is_json_in_any_case(say: Say) -> None:
    """Every setting is described, with or without --json."""
    plain, as_json = say("schema", "plain"), say("schema", "plain", "--json")

    assert plain.code == 0
    assert plain.out == as_json.out
    assert set(plain.json["properties"]) == {"colour", "size"}
    assert all(field["description"] for field in plain.json["properties"].values())


# events


def test_a_journal_is_counted_again(say: Say) -> None:
    """What a run did can be told from its journal alone."""
    say("run", "story.json", "--image", "plain", "--limit", "2")

    text, as_json = say("events", "out/events.jsonl"), say("events", "out/events.jsonl", "--json")
    [run] = as_json.json["runs"]

    assert text.code == 0
    assert "2 made, 0 reused, 0 failed, 0 not started" in text.out
    assert run["plugin"] == "plain"
    assert run["events"]["scene.finished"] == 2
    assert run["cost_usd"] == "0"
    assert run["unknown_costs"] == 0


def test_a_journal_without_events_says_so(say: Say) -> None:
    """An empty answer is not silence."""
    Path("empty.jsonl").touch()

    assert say("events", "empty.jsonl").out == "no events\n"
    assert say("events", "empty.jsonl", "--json").json["runs"] == []


# Mistakes on the command line


@pytest.mark.parametrize(
    "words, message, hint",
    [
        (["rnu"], "unknown command", "did you mean 'run'?"),
        (["zzzzzz"], "unknown command", "host-stub --help"),
        ([""], "unknown command", "host-stub --help"),
        (["run"], "the following arguments are required: SCENES", "'host-stub run --help'"),
        (["run", "a", "--imge=x"], "'host-stub run' has no option --imge", "did you mean --image?"),
        (["run", "a", "--imag=x"], "'host-stub run' has no option --imag", "did you mean --image?"),
        (
            ["--vers"],
            "the first word is a command, and option --vers comes behind",
            "are run, plan, status",
        ),
        (["run", "a", "--zzz"], "'host-stub run' has no option --zzz", "--help"),
        (["run", "a", "b"], "was given more words than it takes", "quote what belongs together"),
        (["run", "a", "--limit", "0"], "argument --limit: should be a whole number of", "--help"),
        (["run", "a", "--limit", "1e3"], "argument --limit: should be a whole number", "--help"),
        *(
            (
                [command, "a", f"--max-cost={amount}"],
                "argument --max-cost: should be an amount in USD such as 2.50: no comma",
                "--help",
            )
            for command in ("run", "plan")
            for amount in ("1e9", "nan", "inf", "-1", "$5", "2,50", "", "٣", "1.2345678", "1\n")
        ),
        (["plan", "a", "--max-cost"], "argument --max-cost: expected one argument", "--help"),
        (["plan", "no.json", "--image", "plain"], "scene file no.json", "host-stub init"),
        (["run", "a", "--limit"], "argument --limit: expected one argument", "--help"),
        (["check", "--set", "x"], "--set needs TABLE.KEY=VALUE in one piece", "for example"),
        (["schema", "plian"], "plugin 'plian' is not installed", "did you mean 'plain'?"),
        (["run", "a", "--config", "no.toml"], "config no.toml: there is no such", "host-stub init"),
        (["events", "no.jsonl"], "journal no.jsonl: cannot be read: No such file", "events.jsonl"),
        (["run", "no.json", "--image", "plain"], "scene file no.json", ""),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(
    say: Say, words: list[str], message: str, hint: str
) -> None:
    """One line says what is wrong, one what to do, and with --json an object says both."""
    said, as_json = say(*words), say(*words, "--json")

    assert said.code == as_json.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert message in said.err
    assert hint in said.err
    assert message in as_json.json["error"]["message"]
    assert as_json.json["error"]["exit_code"] == 2
    assert "Traceback" not in said.err + as_json.err


def test_a_word_that_may_be_a_key_is_not_repeated(say: Say) -> None:
    """A space in the place of ``=`` must not put a secret into a log."""
    told = [
        say("check", "--set", "plugin.stage3.api_key", SECRET),
        say("check", "--set", SECRET),
        say("check", f"--api-key={SECRET}"),
        say("run", "story.json", "--limit", SECRET),
        say(SECRET),
    ]

    assert {said.code for said in told} == {2}
    assert not any(SECRET in said.out + said.err for said in told)


def test_hidden_characters_in_a_name_are_shown_as_escapes(say: Say) -> None:
    """An error message cannot clear the screen or turn the text around."""
    said = say("check", "--image", "evil\x1b[2J\u202e")

    assert "\x1b" not in said.err
    assert "\u202e" not in said.err


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """--help names the options and ends well."""
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])

    assert caught.value.code == 0
    assert f"host-stub {command}" in capsys.readouterr().out


def test_the_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    """--version says what is installed."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert caught.value.code == 0
    assert importlib.metadata.version("stage3-plugin") in capsys.readouterr().out


PATCHED: list[tuple[Program, list[str], str, str]] = [
    (main, ["events", "x"], "host_stub.events.journal_summary.summarize_journal", "host"),
    (stage3, ["models"], "stage3_plugin.maintenance.models.known_models", "surprise"),
]


@pytest.mark.parametrize("program, words, within, code", PATCHED, ids=PROGRAMS)
def test_what_nobody_foresaw_is_told_in_one_line(
    *,
    program: Program,
    words: list[str],
    within: str,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A fault of our own asks for a report and shows nothing of its data, unless it is asked to.

    An interrupt is none, and has the code that shells give it.
    """
    say = Say(capsys, program)
    error: BaseException = RuntimeError(SECRET)

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(within, broken)
    said, loud = say(*words, "--json"), say(*words, "--debug")
    error = KeyboardInterrupt()
    interrupted = say(*words)

    assert said.code == 2
    assert "error: this should not have happened: RuntimeError" in said.err
    assert said.json["error"]["code"] == code
    assert "--debug" in said.json["error"]["hint"]
    assert SECRET not in said.err + said.out
    assert "RuntimeError" in loud.err.partition("Traceback")[2]
    assert (interrupted.code, interrupted.err) == (130, "error: interrupted\n")


# Processes


def test_the_module_is_the_script() -> None:
    """``python -m host_stub`` and ``host-stub`` are the same."""
    [script] = importlib.metadata.entry_points(group="console_scripts", name="host-stub")
    done = run_process(*HOST_STUB, "plugins")

    assert script.load() is of_module
    assert done.returncode == 0
    assert "host_stub.plain_image" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_ctrl_c_before_the_run_leaves_without_a_traceback(
    distribute: Distribute, json_option: list[str]
) -> None:
    """An interrupt while a plugin is being imported ends in one line and 130."""
    source = (
        "import sys, threading\nprint('importing', file=sys.stderr, flush=True)\n"
        "threading.Event().wait(60)\n"
    )
    site = distribute("slow", {"slow": "slow_hooks"}, {"slow_hooks": source})
    process = subprocess.Popen(
        [*HOST_STUB, "run", "story.json", "--image", "slow", *json_option],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    with process:
        assert process.stderr is not None
        assert process.stderr.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert err == "error: interrupted\n"
    assert bool(out) == bool(json_option)
    if json_option:
        assert json.loads(out)["error"]["code"] == "interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_reader_who_goes_away_is_no_error(program: str) -> None:
    """``… | head -1`` shows no traceback and no complaint."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = run_process(*PROGRAMS[program], stdout=write)
    finally:
        os.close(write)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("program", PROGRAMS)
def test_output_that_is_lost_is_no_success(program: str) -> None:
    """A full disk under stdout is told, once, and nobody takes half a listing for a whole one."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = run_process(*PROGRAMS[program], stdout=full)

    assert done.returncode == 2
    assert done.stderr == "error: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize(
    "words", [[*HOST_STUB, "run", "灯塔.json", "--image", "plain"], [STAGE3, "models", "灯塔"]]
)
def test_a_terminal_without_chinese_shows_escapes(words: list[str]) -> None:
    """An encoding that lacks a letter does not end the command."""
    done = run_process(*words, env={**os.environ, "PYTHONIOENCODING": "ascii"})

    assert done.returncode == 2
    assert "\\u706f\\u5854" in done.stderr
    assert "Traceback" not in done.stderr
