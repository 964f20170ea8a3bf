"""``{ command = ["…"] }``: run without a shell, bounded in time and output, and never shown."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest

from host_stub.config.file import load_config
from host_stub.config.secrets import MOST_BYTES, NoSecret, secret_of
from host_stub.errors import SecretUnavailable

SECRET = "sk-live-5ecret-0123456789"


def asking(words: object, folder: Path) -> str:
    """Return what a config's command gives for a key, beside further secrets."""
    config = folder / "host.toml"
    config.write_text(f"[plugin.x]\nkey = {{ command = {json.dumps(words)} }}\n", "utf-8")
    table = load_config(config).settings_of("x")
    assert table.secrets == (table.values["key"],)
    assert table.asks_commands
    return str(table.values["key"])


def test_a_command_is_asked_in_the_configs_folder_and_without_a_shell(tmp_path: Path) -> None:
    """Its words are words, whatever they hold; its last line break is no part of the secret."""
    (tmp_path / "key.txt").write_text(f"{SECRET}\r\n", "utf-8")

    assert asking(["cat", "key.txt"], tmp_path) == SECRET
    assert asking(["echo", "$HOME; ~ `id` | cat"], tmp_path) == "$HOME; ~ `id` | cat"
    assert asking(["sh", "-c", "cat; echo 'no input'"], tmp_path) == "no input"
    assert asking(["sh", "-c", "echo loud >&2; echo quiet"], tmp_path) == "quiet"


@pytest.mark.parametrize(
    "words, problem",
    [
        ("cat key.txt", "should name a command by its words"),
        ([], "should name a command by its words"),
        ([""], "should name a command by its words"),
        (["cat", 3], "should name a command by its words"),
        ([f"no-such-{SECRET}"], "its command cannot be run: No such file or directory"),
        (["cat", f"{SECRET}\0"], "the command 'cat' cannot be run: ValueError"),
        (["sh", "-c", f"echo {SECRET}; exit 3"], "the command 'sh' ended with code 3"),
        (["sh", "-c", f"echo {SECRET} >&2; kill -9 $$"], "the command 'sh' ended with code -9"),
        (["true"], "the command 'true' wrote nothing"),
        (["printf", f"\\377{SECRET}"], "the command 'printf' wrote what is not UTF-8 text"),
        (["yes", SECRET], f"the command 'yes' wrote more than {MOST_BYTES} bytes"),
    ],
)
def test_one_that_gives_none_is_told_with_its_place_and_without_a_word_of_it(
    tmp_path: Path, words: object, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither its words nor what it wrote: either may be the secret."""
    with pytest.raises(SecretUnavailable) as caught:
        asking(words, tmp_path)
    shown = "".join(traceback.format_exception(caught.value)) + str(caught.value.hint)

    assert f"[plugin.x] key: {problem}" in str(caught.value)
    assert caught.value.hint is not None
    assert SECRET not in shown
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "script",
    ["exec sleep 60", "exec >&-; exec sleep 60", "sleep 2 & exit 0"],
    ids=["waits", "is done writing", "leaves another behind"],
)
def test_one_that_does_not_end_is_ended(tmp_path: Path, script: str) -> None:
    """Also where it has closed its output, or where what it began keeps that open."""
    with pytest.raises(NoSecret, match=r"did not end within 0\.2 s"):
        secret_of(["sh", "-c", f"echo {SECRET}; {script}"], folder=tmp_path, longest_s=0.2)


def test_a_command_of_a_plugin_that_is_not_used_is_not_run(tmp_path: Path) -> None:
    """Reading a config runs nothing."""
    config = tmp_path / "host.toml"
    config.write_text('[plugin.x]\nkey = { command = ["touch", "ran"] }\n', "utf-8")
    load_config(config).settings_of("y")

    assert not (tmp_path / "ran").exists()
