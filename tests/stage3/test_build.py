"""What a stage refuses when it is opened, before there is a story: what no run could work with."""

from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.engine.build import open_stage
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.settings import Settings
from tests.doors import settings_for
from tests.fakes.behaviours import ResetAfterRead
from tests.fakes.image_api import ImageApi
from tests.stage3.running import run_stage, story

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "more, setting",
    [
        ({"time_zone": "Mars"}, "time_zone"),
        ({"budget_usd": "1", "model": "the-model"}, "price_usd"),
        ({"daily_usd": "1", "model": "the-model"}, "price_usd"),
        ({"total_usd": "1", "model": "the-model"}, "price_usd"),
    ],
)
async def test_settings_that_no_run_could_keep_are_refused(
    more: dict[str, Any], setting: str, image_api: ImageApi, tmp_path: Path
) -> None:
    """With the setting that has to be changed, and nothing is made."""
    with pytest.raises(SettingsRefused) as refused:
        async with open_stage(settings_for(image_api, **more), tmp_path):
            pass

    assert refused.value.field == setting
    assert refused.value.hint
    assert list(tmp_path.iterdir()) == []


async def test_a_provider_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    """With the one that was meant, and nothing is made."""
    with pytest.raises(SettingsRefused, match="there is no provider 'opnerouter'") as refused:
        async with open_stage(Settings(provider="opnerouter", model="m"), tmp_path):
            pass

    assert refused.value.field == "provider"
    assert "did you mean 'openrouter'?" in str(refused.value.hint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "state_dir, option",
    [(".stage3", ""), ("ledger", " --state-dir ledger"), ("a b", " --state-dir 'a b'")],
)
async def test_the_next_step_names_the_ledger_it_is_about(
    state_dir: str,
    option: str,
    image_api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the folder the command runs in, so that it can be copied as it stands."""
    monkeypatch.chdir(tmp_path)
    image_api.script(ResetAfterRead(), scene="a")
    settings = settings_for(image_api, state_dir=state_dir)
    first = await run_stage(settings, story("a"), tmp_path)
    second = await run_stage(settings, story("a"), tmp_path)
    told = [ran.outcomes["a"].failure for ran in (first, second)]

    assert all(failure and f"'stage3 attempts{option}'" in failure.message for failure in told)
    assert told[1] is not None
    assert f"{option}'" in told[1].message.partition("'stage3 resolve ")[2]
