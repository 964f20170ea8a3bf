"""Who runs without a config is shown the lines of one, and never a key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host_stub.cli import main
from host_stub.config.file import load_config
from host_stub.config.template import PROVIDERS, first_lines, is_without_choice
from stage3_plugin.providers.models import models_known_of
from stage3_plugin.settings import Settings

KEY = "a-key-that-nobody-may-see"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in PROVIDERS:
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("variable", PROVIDERS)
def test_the_lines_are_settings_that_can_be_planned(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they stand, with a model whose price is known and the variable its provider says."""
    monkeypatch.setenv(variable, KEY)
    lines = first_lines([variable, "HOME"], "scenes.json")
    Path("host.toml").write_text("\n".join(lines[2:-2]), encoding="utf-8")

    values = load_config().settings_of("stage3").values
    settings = Settings.model_validate(values)

    provider, model = PROVIDERS[variable]
    assert (settings.provider, settings.model) == (provider, model)
    assert model in models_known_of(provider)
    assert lines[-1].startswith("then 'host-stub plan scenes.json'")


def test_the_variables_are_those_of_the_providers(capsys: pytest.CaptureFixture[str]) -> None:
    """A provider that is added is suggested, too."""
    assert main(["stage3", "providers", "--json"]) == 0

    listed = json.loads(capsys.readouterr().out)["providers"]
    ours = [one for one in listed if one["key_variable"] and one["source"].startswith("stage3-")]
    assert {one["key_variable"]: one["name"] for one in ours} == {
        variable: provider for variable, (provider, _) in PROVIDERS.items()
    }


def test_without_a_key_it_says_that_none_is_needed() -> None:
    """In one line."""
    (line,) = first_lines(["HOME"], "s.json")

    assert "without a key; 'host-stub init' writes a host.toml" in line


def test_it_is_said_once_behind_a_run_without_a_config(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And not where somebody has chosen: by a config, by another plugin, by a setting."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    story = [{"scene_id": "one", "prompt": "A boat.", "size": "32x32"}]
    Path("scenes.json").write_text(json.dumps(story), encoding="utf-8")

    assert main(["run", "scenes.json"]) == 0
    said = capsys.readouterr()
    assert main(["run", "scenes.json", "--image", "plain", "--out", "plain"]) == 0
    plain = capsys.readouterr()

    assert said.out.count("OPENAI_API_KEY is set") == 1
    assert said.out.rstrip().endswith("says what they cost, and spends nothing")
    assert KEY not in said.out + said.err
    assert "OPENAI_API_KEY" not in plain.out + plain.err
    assert is_without_choice(load_config())
    assert not is_without_choice(load_config(None, ["plugin.stage3.provider=openai"]))
    Path("host.toml").write_text("", encoding="utf-8")
    assert not is_without_choice(load_config())
