"""Decisions about a story that is paid for, obeyed by runs that are killed on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from subprocess import Popen

import pytest

from stage3_plugin.domain.states import State
from tests.fakes.behaviours import Ok
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.wire import Asked
from tests.host.decisions.commands import Studio
from tests.projects import Project, ended, wait_until

pytestmark = pytest.mark.slow

LIVE = {State.PAID, State.UNKNOWN, State.SENDING}


@pytest.fixture
def api() -> Iterator[ImageApi]:
    pictures = count()

    def answer(asked: Asked) -> Ok:
        picture = make_png(f"{asked.prompt}, picture {next(pictures)}", 64, 64)
        return Ok(usage=None, delay_s=0.05, picture=picture)

    with ImageApi() as api:
        api.otherwise = answer
        yield api


def wait_for_a_request(process: Popen[str], api: ImageApi, *, answered: bool) -> None:
    """Wait until one more has come, and is answered; a run that sends none ends by itself."""
    before = api.received()
    wait_until(lambda: api.received() > before or process.poll() is not None)
    if answered:
        wait_until(lambda: api.in_flight == 0 or process.poll() is not None)


@pytest.mark.heavy  # a process for each moment; a law tries the rest in one
def test_what_is_killed_anywhere_is_taken_up_and_paid_for_once(
    api: ImageApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wanted state: three takes are three, whoever is killed on the way, and how often."""
    project = Project(tmp_path)
    project.scenes(4)
    project.config(api, capacity=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    studio = Studio(tmp_path, capsys)
    assert studio.run().code == studio.run("--scene", "s04", "--takes", "2").code == 0
    picked = studio.seen("s04")[1]
    file = studio.decided(
        {"scene": "s01", "seen": studio.seen("s01"), "takes": 3},
        {"scene": "s02", "seen": studio.seen("s02"), "prompt": "s02: a storm", "takes": 2},
        {"scene": "s04", "seen": studio.seen("s04"), "show": picked},
    )
    planned = studio.plan("--decisions", file).said

    for answered in (False, True, False):
        process = project.start("run", "scenes.json", "--decisions", str(file))
        wait_for_a_request(process, api, answered=answered)
        process.kill()
        ended(process)
    last = studio.run("--decisions", file)
    received = api.received()
    again = studio.run("--decisions", file)

    live = Counter(one.scene_id for one in project.purchases() if one.state in LIVE)
    assert planned["make"] == 4
    assert Decimal(planned["decisions_cost_usd"]) == Decimal("0.20")
    assert live == {"s01": 3, "s02": 3, "s03": 1, "s04": 2}
    assert last.code in {0, 4}, last.said  # what was in flight at a kill may be unknown
    assert (again.code, api.received()) == (last.code, received)
    assert studio.shown("s04") == picked != studio.seen("s04")[0]
