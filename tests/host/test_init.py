"""What ``init`` writes: complete as it is, and right in what its comments promise."""

import re
import tomllib
from pathlib import Path

import pytest

from host_stub import plain_image
from host_stub.config import template
from host_stub.config.file import load_config
from host_stub.config.template import CONFIG, STORY, write_project
from host_stub.errors import ResultsNotWritten
from stage3_plugin.settings import CastMember, Settings


def uncommented(*keys: str) -> str:
    """Return the config with the commented lines of some keys, or tables, switched on."""
    text = CONFIG
    for key in keys:
        begins = re.escape(key) if key.startswith("[") else f"{key} = "
        text, count = re.subn(rf"(?m)^# ({begins})", r"\1", text, count=1)

        assert count == 1, key
    return text


def test_the_written_config_is_what_holds_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing a config changes nothing until a line of it is changed.

    It writes the size that previz has without one; a paid provider's own default is another.
    """
    monkeypatch.chdir(tmp_path)
    without = load_config()

    write_project(tmp_path)
    written = load_config()

    assert written.image == without.image
    assert written.observers == without.observers
    assert written.out_dir == without.out_dir
    assert written.journal == without.journal
    told = Settings.model_validate(written.settings_of("stage3").values)
    default = Settings.model_validate(without.settings_of("stage3").values)
    assert told.default_size_px == default.default_size_px == (1280, 720)
    assert told.model_copy(update={"size": default.size}) == default


def test_every_commented_setting_is_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Switching a comment on never ends in an unknown key or a wrong value."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "a-key-for-the-test")
    file = tmp_path / "host.toml"
    stage3 = uncommented(
        "max_in_flight",
        "journal",
        "caption",
        "api_key",
        "base_url",
        "capacity",
        "max_attempts",
        "quality",
        "output_format",
        "[plugin.stage3.cast.mira]",
        "name",
        "prompt",
        "colour",
    )
    file.write_text(stage3, encoding="utf-8")

    config = load_config(file)
    settings = Settings.model_validate(config.settings_of("stage3").values)
    plain_image.Settings.model_validate(config.settings_of("plain").values)

    assert settings.api_key is not None
    assert settings.base_url is not None
    assert {name for name in settings.cast if name in STORY} == {"mira"}
    keys_in_comments = set(re.findall(r"(?m)^# (\w+) = ", CONFIG))
    known = {*Settings.model_fields, *CastMember.model_fields}
    assert keys_in_comments <= {*known, "max_in_flight", "journal", "colour"}


def test_two_lines_turn_it_into_a_real_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines that the comments tell to swap are the only ones that have to be."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "a-key-for-the-test")
    text = uncommented("provider", "model", "api_key")
    text = re.sub(r'(?m)^provider = "previz".*\n', "", text)
    (tmp_path / "host.toml").write_text(text, encoding="utf-8")

    values = load_config(tmp_path / "host.toml").settings_of("stage3").values
    settings = Settings.model_validate(values)

    assert (settings.provider, settings.model) == ("openrouter", "openai/gpt-image-2.5-flare")


def test_the_files_hold_no_secret_and_lines_of_a_terminals_width() -> None:
    """The config is read on a terminal, and is TOML as it stands."""
    assert max(map(len, CONFIG.splitlines())) <= 100
    assert tomllib.loads(CONFIG)["pipeline"]["image"] == "stage3"
    assert "sk-" not in CONFIG


def test_a_disk_that_takes_only_one_file_keeps_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a project is worse than none: the next try would be refused."""
    monkeypatch.setattr(template, "FILES", (("host.toml", CONFIG), ("no/such/folder.json", STORY)))

    with pytest.raises(ResultsNotWritten, match="No such file or directory"):
        write_project(tmp_path)

    assert list(tmp_path.iterdir()) == []
