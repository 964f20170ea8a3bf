"""``stage3 wait``: stays for what is being made at providers, and takes it in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from stage3_plugin.domain.states import State
from stage3_plugin.policy import polling
from stage3_plugin.runtime.offers import PROVIDERS
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.plain import Plain, PlainDialect
from stage3_plugin.testing.queues import Queued
from tests.stage3.buying import counted, states
from tests.stage3.caretaking.commands import Say
from tests.stage3.running import run_stage, settings_for, story

ENDLESS = 10_000
LONG_AGO = datetime.now(UTC) - timedelta(minutes=5)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_WAIT_S", "LONGEST_WAIT_S", "GONE_WAIT_S"):
        monkeypatch.setattr(polling, name, 0.01)
    monkeypatch.setitem(vars(PROVIDERS)["_loaded"], "plain", Plain)


@pytest.fixture
def queue_api() -> Iterator[ImageApi]:
    with ImageApi(dialect=PlainDialect()) as api:
        yield api


Left = Callable[..., None]


@pytest.fixture
def left(queue_api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Left:
    """Leave jobs of a run that has ended, in a project that is the current folder."""

    def leave(*scene_ids: str, plan: Queued | None = None) -> None:
        for scene_id in scene_ids:
            queue_api.script(Queued(polls=ENDLESS), scene=scene_id)
        settings = settings_for(
            queue_api, provider="plain", model="m", price_usd="0.05", deadline_s=0.05
        )
        anyio.run(partial(run_stage, settings, story(*scene_ids), tmp_path))
        for job in queue_api.queue.jobs:
            job.plan = plan or Queued(polls=2)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PLAIN_KEY", KEY)
        (tmp_path / "host.toml").write_text(
            '[pipeline]\nimage = "stage3"\n[plugin.stage3]\nprovider = "plain"\nmodel = "m"\n'
            f'base_url = "{queue_api.base_url}"\napi_key = {{ env = "PLAIN_KEY" }}\n'
            'price_usd = "0.05"\n',
            encoding="utf-8",
        )
        assert set(states(tmp_path)) == {State.ACCEPTED}

    return leave


def test_it_stays_until_all_is_taken_in(
    say: Say, queue_api: ImageApi, left: Left, tmp_path: Path
) -> None:
    """The ledger has the pictures and their cost; which run comes next is said; nothing is sent."""
    left("s01", "s02")
    (tmp_path / "scenes.json").write_text("[]", encoding="utf-8")
    said = say("wait")

    assert said.code == 0
    assert states(tmp_path) == [State.PAID, State.PAID]
    assert queue_api.received() == queue_api.billed() == 2
    assert counted(tmp_path) == 60_000
    assert "2 taken in; $0.06 counted" in said.out
    assert "next: 'host-stub run scenes.json'" in said.out
    assert len(list((tmp_path / ".stage3" / "objects").rglob("*.*"))) >= 0
