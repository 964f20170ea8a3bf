"""Settings as a program has them: a config, a dictionary, or settings; refused with a next step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stage3_plugin import SettingsRefused, make_pictures, plan_pictures
from stage3_plugin.library.log import log_without
from stage3_plugin.library.opening import opening_of
from tests.fakes.image_api import KEY, ImageApi
from tests.library.calling import scenes
from tests.projects import Project
from tests.rules.test_imports import HEAVY, loaded_by


def refused(settings: Any, folder: Path) -> SettingsRefused:
    """Return why a call is refused; nothing is begun by it."""
    before = sorted(folder.iterdir())
    with pytest.raises(SettingsRefused) as caught:
        make_pictures(scenes(1), settings, project_dir=folder, out_dir=folder / "pictures")
    assert sorted(folder.iterdir()) == before
    return caught.value


def test_a_key_that_is_missing_says_which_variable_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether none is named, or one that is not set; the value is never shown."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    without = refused({"provider": "openai", "model": "gpt-image-2"}, tmp_path)
    unset = refused(
        {"provider": "openai", "model": "gpt-image-2", "api_key": {"env": "OPENAI_API_KEY"}},
        tmp_path,
    )

    assert without.field == unset.field == "api_key"
    assert "OPENAI_API_KEY" in str(without.hint)
    assert "OPENAI_API_KEY is not set" in str(unset)
    assert "export OPENAI_API_KEY" in str(unset.hint)


def test_a_plan_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent for it; it says what a run would miss, of a dictionary and of a config."""
    monkeypatch.delenv("A_KEY_THAT_IS_NOT_SET", raising=False)
    table = {"provider": "openai", "model": "gpt-image-2", "size": "1024x1024"}
    settings = {**table, "api_key": {"env": "A_KEY_THAT_IS_NOT_SET"}}
    config = tmp_path / "host.toml"
    lines = [f'{name} = "{value}"' for name, value in table.items()]
    lines += ['api_key = { env = "A_KEY_THAT_IS_NOT_SET" }']
    config.write_text("\n".join(["[plugin.stage3]", *lines]), encoding="utf-8")
    plans = [plan_pictures(scenes(1), one, project_dir=tmp_path) for one in (settings, config)]

    lack = (
        "api_key: environment variable A_KEY_THAT_IS_NOT_SET is not set; a run needs it"
        " [secret_missing]"
    )
    assert [plan.warnings[0] for plan in plans] == [lack] * 2
    assert all(plan.cost_high_usd for plan in plans)


def test_a_setting_that_is_wrong_is_named_and_so_are_the_others(tmp_path: Path) -> None:
    """By the names that a config has, without what stands before them there."""
    error = refused({"provider": "previz", "size": "big", "capacty": 3}, tmp_path)

    assert error.field in {"size", "capacty"}
    assert "WIDTHxHEIGHT" in str(error)
    assert "did you mean 'capacity'" in str(error)
    assert "plugin.stage3" not in str(error)


def test_a_key_is_in_no_error(tmp_path: Path) -> None:
    """Also where it stands in the wrong place."""
    error = refused({"provider": "openai", "api_key": f"{KEY} {KEY}", "model": KEY * 40}, tmp_path)

    assert KEY not in f"{error} {error.hint} {error.__cause__}"


def test_a_config_is_the_commands_own(
    image_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ceiling, its folder and its secrets hold; another plugin's is refused."""
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    project = Project(tmp_path)
    project.config(image_api, capacity=3)
    config = tmp_path / "host.toml"
    with config.open("a", encoding="utf-8") as file:
        file.write("\n[run]\nmax_in_flight = 2\n")
    opening = opening_of(config, None)
    with config.open("a", encoding="utf-8") as file:
        file.write('[pipeline]\nimage = "plain"\n')
    other, missing = refused(str(config), tmp_path), tmp_path / "host.tml"

    assert opening.settings.api_key is not None
    assert opening.settings.api_key.get_secret_value() == KEY
    assert (opening.project_dir, opening.config, opening.most_in_flight) == (tmp_path, config, 2)
    assert KEY not in repr(opening)
    assert "'plain'" in str(other)
    assert f"{missing}: there is no such file" in str(refused(missing, tmp_path))


def test_where_the_command_shows_picks_is_not_the_librarys(tmp_path: Path) -> None:
    """A library knows no picks, and would put its own pictures in their place."""
    config = tmp_path / "host.toml"
    config.write_text('[plugin.stage3]\nprovider = "previz"\n', encoding="utf-8")
    with pytest.raises(SettingsRefused, match="out_dir"):
        plan_pictures(scenes(1), config, out_dir=tmp_path / "out" / "images")

    assert plan_pictures(scenes(1), config, out_dir=tmp_path / "out" / "mine").make == 1


def test_naming_the_library_loads_no_client() -> None:
    """Nor an imaging library: that is for whoever opens a stage."""
    loaded = loaded_by("from stage3_plugin import make_pictures, open_stage, Stop, BudgetReached")

    assert "stage3_plugin.library.stage" in loaded
    assert loaded & (HEAVY - {"rich"}) == set()  # which structlog looks for


def test_no_key_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever says it, and however it is spelt; what else is said stays."""
    log = log_without([KEY])
    log.warning("scene.failed", scene_id="s01", message=f"wrong key {KEY}, {KEY[::-1]}")

    assert KEY not in caplog.text
    assert KEY[::-1] not in caplog.text
    assert "scene_id='s01'" in caplog.text
