"""Commands that a plugin brings, through the command line: what they say, and how they end."""

from pathlib import Path

import pytest

from host_stub.cli import main
from host_stub.plugins.loading import HOOKS
from tests.host.conftest import Distribute
from tests.said import Say

BELL = """
from host_stub.commands import CommandError, CommandResult, PluginCommand
from host_stub.hookspecs import hookimpl


def add_arguments(parser):
    parser.add_argument("--times", type=int, default=1)


def ring(options, progress):
    progress("ringing")
    if options.times == 0:
        raise CommandError("no bell rings 0 times", hint="ring it once", code="too_few")
    if options.times == 13:
        raise ZeroDivisionError("surely not")
    print("a bell that prints")
    text = "ding\\x1b[2J\\n" * options.times
    return CommandResult(text=text.strip(), data={"ding": options.times}, exit_code=1)


@hookimpl
def host_commands():
    return [
        PluginCommand(name="ring", summary="Ring it.", run=ring, add_arguments=add_arguments),
        PluginCommand(name="look", summary="Look at it.", run=lambda options, progress: LOOK),
    ]


LOOK = CommandResult(text="round", data={})
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    return Say(capsys, main)


@pytest.fixture
def _bell(distribute: Distribute) -> None:
    distribute("bell", {"bell": "bell_hooks"}, {"bell_hooks": BELL})


@pytest.mark.usefixtures("_bell")
def test_a_command_is_spoken_for(say: Say) -> None:
    """Its text is escaped, its exit code is the program's, and no config is needed."""
    said = say("bell", "ring", "--times", "2")

    assert said.code == 1
    assert said.out == "a bell that prints\nding\\x1b[2J\nding\\x1b[2J\n"
    assert said.err == ""


@pytest.mark.usefixtures("_bell")
def test_a_command_has_one_json_object(say: Say) -> None:
    """What it prints itself does not spoil stdout."""
    said = say("bell", "ring", "--json")

    assert (said.code, said.json) == (1, {"ding": 1, "next_actions": []})
    assert said.err == "a bell that prints\n"


@pytest.mark.usefixtures("_bell")
@pytest.mark.parametrize(
    "words, error, message, hint",
    [
        (["ring", "--times=0"], "too_few", "no bell rings 0 times", "ring it once"),
        (["ring", "--times=13"], "surprise", "should not have happened: ZeroDivision", "--debug"),
        (["ring", "--times=x"], "command_refused", "argument --times", "host-stub bell ring"),
        (["ring", "--key=s3cret"], "command_refused", "unrecognized arguments: --key", "--help"),
        (["rang"], "command_refused", "unknown command", "did you mean 'ring'?"),
        ([], "command_refused", "required: COMMAND", "'host-stub bell --help'"),
    ],
)
def test_a_command_that_fails_says_the_next_step(
    words: list[str], error: str, message: str, hint: str, say: Say
) -> None:
    """As each of the host's own does, as JSON too; a value that may be a key is not shown."""
    said = say("bell", *words, *(["--json"] if words else []))

    assert said.code == 2
    assert message in said.err
    assert hint in said.err
    assert "s3cret" not in said.out + said.err
    if words:
        assert said.json["error"]["code"] == error


@pytest.mark.usefixtures("_bell")
def test_the_commands_of_a_plugin_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """With whose they are."""
    with pytest.raises(SystemExit) as ended:
        main(["bell", "--help"])

    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "plugin 'bell' (bell 1.0)" in said
    assert "Ring it." in said
    assert "Look at it." in said


RAISED = "plugin 'bad' (bad 0.3) cannot be imported: 'bad_hooks' raised"
HOOK = "from host_stub.commands import *\nfrom host_stub.hookspecs import hookimpl\n"


@pytest.mark.usefixtures("_bell")
@pytest.mark.parametrize(
    "source, error, message",
    [
        ("import gone", "plugin_load", f"{RAISED} ModuleNotFoundError: No module named 'gone'"),
        ("raise SystemExit(7)", "plugin_load", f"{RAISED} SystemExit: 7"),
        ("raise ValueError('one\\ntwo')", "plugin_load", f"{RAISED} ValueError: one"),
        ("def broken(:", "plugin_load", f"{RAISED} SyntaxError: invalid syntax"),
        ("", "usage", "brings no commands of its own"),
        (HOOK + "@hookimpl\ndef host_commands(): 1 / 0", "contract_violation", "raised ZeroDiv"),
        (HOOK + "@hookimpl\ndef host_commands(): pass", "contract_violation", "host_commands"),
        (HOOK + "@hookimpl\ndef host_commands(): return ['x']", "contract_violation", "str among"),
        (
            HOOK + "@hookimpl\ndef host_commands():\n"
            "    return [PluginCommand(name='x', summary='', run=print)] * 2",
            "contract_violation",
            "two commands 'x'",
        ),
        (
            HOOK + "@hookimpl\ndef host_commands():\n"
            "    return [PluginCommand(name='a b', summary='', run=print)]",
            "contract_violation",
            "not a word",
        ),
        (
            HOOK + "async def run(options, progress): ...\n@hookimpl\ndef host_commands():\n"
            "    return [PluginCommand(name='x', summary='', run=run)]",
            "contract_violation",
            "is asynchronous",
        ),
        (
            HOOK + "@hookimpl\ndef host_commands():\n"
            "    return [PluginCommand(name='x', summary='', run=lambda *_: None)]",
            "contract_violation",
            "returned NoneType",
        ),
        (
            HOOK + "def run(*_): return CommandResult(text='', data={}, exit_code=256)\n"
            "@hookimpl\ndef host_commands():\n"
            "    return [PluginCommand(name='x', summary='', run=run)]",
            "contract_violation",
            "none of 0 to 125",
        ),
        (
            HOOK + "def run(*_): return CommandResult(text='', data={'x': {1}})\n"
            "@hookimpl\ndef host_commands():\n"
            "    return [PluginCommand(name='x', summary='', run=run)]",
            "contract_violation",
            "JSON does not have",
        ),
    ],
)
def test_a_broken_plugin_harms_itself_alone(
    source: str,
    error: str,
    message: str,
    distribute: Distribute,
    say: Say,
) -> None:
    """Its command ends with an error and the next step; other plugins' commands are as before."""
    distribute("bad", {"bad": "bad_hooks"}, {"bad_hooks": source}, version="0.3")

    said = say("bad", "x", "--json")
    told = said.json["error"]

    assert (said.code, told["code"]) == (2, error)
    assert message in told["message"]
    assert "two" not in told["message"].partition("ValueError")[2]
    assert told["hint"]
    look = say("bell", "look")
    assert (look.code, look.out) == (0, "round\n")
    assert say("plugins").code == 0


def test_the_hook_is_shown_by_the_list(say: Say) -> None:
    """``plugins --load`` says who brings commands."""
    assert "host_commands" in HOOKS
    rows = {row["name"]: row for row in say("plugins", "--load", "--json").json["plugins"]}

    assert "host_commands" in rows["stage3"]["hooks"]
    assert "host_commands" not in rows["plain"]["hooks"]
