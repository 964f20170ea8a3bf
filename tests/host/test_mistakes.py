"""Common mistakes, and what is said: ``mistakes.txt`` has each, as a terminal shows it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from host_stub.cli import main as host_stub
from stage3_plugin.cli import main as stage3

TRANSCRIPT = Path(__file__).with_name("mistakes.txt")
FILES = {
    "comma.toml": '[plugin.stage3]\nprovider = "previz"\nbudget_usd = 2,50\n',
    "field.json": '[{"scene_id": "a", "promt": "x"}]',
    "key.toml": '[plugin.stage3]\nprovider = "openrouter"\nmodel = "openai/gpt-image-2"\n'
    'api_key = { env = "A_KEY_THAT_IS_NOT_SET" }\n',
    "no_format.json": "{}",
    "no_model.toml": '[plugin.stage3]\nprovider = "openai"\n',
    "no_prompt.json": '[{"scene_id": "a"}]',
    "plugin.toml": '[pipeline]\nimage = "stag3"\n',
    "provider.toml": '[plugin.stage3]\nprovider = "opneai"\nmodel = "x"\n',
    "size.toml": '[plugin.stage3]\nprovider = "previz"\nsize = "1024"\n',
    "story.txt": "a story",
    "trailing.json": '[{"scene_id": "a", "prompt": "x"},]',
    "twice.json": '[{"scene_id": "a", "prompt": "x"}, {"scene_id": "a", "prompt": "y"}]',
    "typo.toml": '[plugin.stage3]\nprovder = "previz"\n',
    "url.toml": '[plugin.stage3]\nprovider = "openai"\nmodel = "gpt-image-2"\napi_key = "sk-x"\n'
    'base_url = "127.0.0.1:1/v1"\n',
}


def shown() -> list[tuple[str, str]]:
    """Return each command of the transcript, and what is below it."""
    parts = re.split(r"^\$ (.*)\n", TRANSCRIPT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return list(zip(parts[1::2], (text.strip() for text in parts[2::2]), strict=True))


@pytest.mark.parametrize("line, expected", shown(), ids=[line for line, _ in shown()])
def test_a_mistake_is_answered_as_the_transcript_shows(
    line: str,
    expected: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line what is wrong, a line what to do; nothing is sent, and no picture is made."""
    monkeypatch.chdir(tmp_path)
    assert host_stub(["init", "."]) == 0
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    capsys.readouterr()
    program, *words = shlex.split(line)

    code = {"host-stub": host_stub, "stage3": stage3}[program](words)
    said = capsys.readouterr()

    assert said.out == ""
    text = said.err.replace(str(tmp_path), "FOLDER").strip()
    assert re.sub(r"(is not valid TOML): .*(?= \[config\])", r"\1: …", text) == expected
    assert code == 2
    assert not (tmp_path / "out" / "images").exists()


def test_thirty_mistakes_are_tried() -> None:
    """Each once."""
    lines = [line for line, _ in shown()]

    assert len(set(lines)) == len(lines) >= 30
