"""The home rule: what a dead run had sent is judged where its answer would lie, and nowhere else.

Two state folders buy by one ledger. What one of them left in work is busy for the other, with its
home's name; it is waited for while a driver of that home is connected, and not for ever if none is.
"""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import anyio
import pytest

from stage3_plugin.cli import main
from stage3_plugin.engine.build import open_stage
from stage3_plugin.errors import LedgerFailed
from stage3_plugin.ledger import place
from stage3_plugin.ledger.home import (
    HOME_NAME,
    home_of,
    known_home,
    new_run_id,
)
from tests.doors import HOLD, bills, painter
from tests.fakes.image_api import ImageApi
from tests.places import wait
from tests.stage3.buying import scenes
from tests.stage3.homes import Shared, shared
from tests.stage3.running import Ran, asking, run_stage
from tests.stage3.test_recovery import Dead, answer_with_picture

__all__ = ["shared"]


# The word ----------------------------------------------------------------------------------------


def test_a_state_folder_has_one_word_that_it_keeps(tmp_path: Path) -> None:
    """It is drawn once, private, and another folder has another."""
    state_dir = tmp_path / "state"
    before = known_home(state_dir)
    word = home_of(state_dir)

    assert before is None
    assert home_of(state_dir) == known_home(state_dir) == word
    assert home_of(tmp_path / "other") != word
    assert [one.name for one in state_dir.iterdir()] == [HOME_NAME]
    assert (state_dir / HOME_NAME).stat().st_mode & 0o777 == 0o600


def _say_home(state_dir: Path, said: multiprocessing.Queue[str]) -> None:
    said.put(home_of(state_dir))


def test_processes_that_begin_at_once_agree_on_the_word(tmp_path: Path) -> None:
    """Whoever draws first; a word that one of them used and that was lost would strand its rows."""
    context = multiprocessing.get_context("fork")
    said: multiprocessing.Queue[str] = context.Queue()
    drawing = [context.Process(target=_say_home, args=(tmp_path, said)) for _ in range(8)]
    for one in drawing:
        one.start()
    words = {said.get(timeout=30) for _ in drawing}
    for one in drawing:
        one.join()

    assert words == {known_home(tmp_path)}


@pytest.mark.parametrize("content", ["", "short", "a" * 13, "UPPERCASE123", "\0" * 12, "ä" * 12])
def test_what_is_no_word_is_refused_by_name(tmp_path: Path, content: str) -> None:
    """A run under another word would leave all that this folder has sent to nobody."""
    (tmp_path / HOME_NAME).write_text(content, encoding="utf-8")
    with pytest.raises(LedgerFailed) as caught:
        home_of(tmp_path)

    assert str(tmp_path / HOME_NAME) in str(caught.value)
    assert "run_id" in str(caught.value.hint)


# The rule ----------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_the_answers_in_a_dead_drivers_spool_are_never_written_off_by_another(
    shared: Shared, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other makes the rest; the dead one's home, back again, takes in its own for nothing.

    However long ago it was sent: no request lasts so long, and its answer lies there all the same.
    """
    wait(monkeypatch, "purchase.recovery", MARGIN_S=-1000.0)
    image_api.always(bills(0.05))
    there, home = shared.machine("a")
    here, _ = shared.machine("b")
    dead = Dead(there, painter(image_api))
    dead.run_id = new_run_id(home)
    dead.ledger_path = shared.path
    attempt_id = dead.leaves()
    dead.has_received(attempt_id, answer_with_picture())
    other = await run_stage(painter(image_api), scenes(3), here)
    busy = other.outcomes["s01"].failure
    states = shared.states()
    async with open_stage(painter(image_api), here) as stage:
        plan = await stage.plan(asking(scenes(3)))
    back = await run_stage(painter(image_api), scenes(3), there)
    again = await run_stage(painter(image_api), scenes(3), here)

    assert busy is not None
    assert busy.code == "busy"
    assert home in busy.message
    assert f"recover --of-home {home}" in busy.message
    assert states == ["SENDING", "PAID", "PAID"]
    assert (plan.busy, plan.reused) == (1, 2)
    assert any(f"1 request was sent by home {home}" in one for one in plan.warnings)
    assert shared.states() == ["PAID", "PAID", "PAID"]
    assert [back.code(one.scene_id) for one in scenes(1).scenes] == ["made"]
    assert again.code("s01") == "storage"  # without a bucket its picture is on the other disk
    lost = again.outcomes["s01"].failure
    assert lost is not None
    assert f"lies on the machine of home {home}" in lost.message
    assert image_api.received() == 2


@pytest.mark.anyio
async def test_a_driver_that_dies_while_it_is_waited_for_is_waited_for_no_longer(
    shared: Shared, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scene ends busy, with the next step; all others are made long before."""
    wait(monkeypatch, "engine.pending", BUSY_WAIT_S=0.01)
    wait(monkeypatch, "purchase.recovery", CONNECTED_S=0.0)
    image_api.always(bills(0.05))
    dead, home, attempt_id = dead_in(shared, image_api)
    here, _ = shared.machine("b")
    shared.connected.add(home)
    ran, waited_for = Ran(), set[str]()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:

            async def driver() -> None:
                await run_stage(dead.settings, scenes(3), here, into=ran)

            tasks.start_soon(driver)
            while not ran.named("scene.awaited") or len(ran.outcomes) < 2:
                await anyio.sleep(0.01)
            waited_for |= set(ran.outcomes)
            shared.connected.discard(home)
    busy = ran.outcomes["s01"].failure

    assert waited_for == {"s02", "s03"}
    assert busy is not None
    assert (busy.code, busy.retryable) == ("busy", True)
    assert f"request {attempt_id[:8]} was sent by home {home}" in busy.message
    assert f"recover --of-home {home}" in busy.message
    assert shared.states() == ["SENDING", "PAID", "PAID"]


# A home that is given up -------------------------------------------------------------------------


class Desk:
    """Runs ``stage3 recover`` on a machine, as a person does."""

    def __init__(self, shared: Shared, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._shared = shared
        self._folder = folder
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str]:
        where = self._folder / "host.toml"
        where.write_text(
            '[plugin.stage3]\nledger = "postgresql://stage3@localhost/media"\n', "utf-8"
        )
        code = main(["recover", "--config", str(where), *words])
        said = self._capsys.readouterr()
        return code, said.out + said.err


@pytest.fixture
def desk(
    shared: Shared, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Desk:
    """Return the second machine's, where the ledger is the shared one."""
    monkeypatch.setattr(place, "place_of", shared.place_of)
    folder, _ = shared.machine("b")
    return Desk(shared, folder, capsys)


def dead_in(shared: Shared, api: ImageApi, **leaves: Any) -> tuple[Dead, str, str]:
    """Return a dead run of the first machine, its home, and a request that it has left."""
    there, home = shared.machine("a")
    dead = Dead(there, painter(api))
    dead.run_id = new_run_id(home)
    dead.ledger_path = shared.path
    return dead, home, dead.leaves(**leaves)


@pytest.mark.anyio
@pytest.mark.parametrize("comes_back", ["with its answer", "with nothing"])
async def test_a_home_that_is_given_up_has_its_requests_unknown(
    shared: Shared, image_api: ImageApi, desk: Desk, comes_back: str
) -> None:
    """First it is shown what is at stake; then a person has said so, and nothing is sent again.

    A machine that comes back all the same still takes in what lies on its disk.
    """
    image_api.always(bills(0.05))
    dead, home, attempt_id = dead_in(shared, image_api)
    if comes_back == "with its answer":
        dead.has_received(attempt_id, answer_with_picture())
    shown, at_stake = desk("--of-home", home)
    before = shared.states()
    done, given_up = desk("--of-home", home, "--yes")
    (row,) = shared.purchases()
    here, _ = shared.machine("b")
    settings = painter(image_api, on_unknown="resend")
    other = await run_stage(settings, scenes(1), here)
    back = await run_stage(dead.settings, scenes(1), dead.folder)

    assert (shown, before) == (0, ["SENDING"]), at_stake
    assert "1 request" in at_stake
    assert "$0.05 held" in at_stake
    assert "--yes" in at_stake
    assert done == 0, given_up
    assert (str(row.state), row.decided_by, row.counted_microusd) == ("UNKNOWN", "user", HOLD)
    assert home in row.why
    assert other.code("s01") == "unknown"  # no setting overrides a person
    assert image_api.received() == 0
    found = comes_back == "with its answer"
    assert back.code("s01") == ("made" if found else "unknown")
    assert shared.states() == ["PAID" if found else "UNKNOWN"]


def test_what_costs_nothing_is_void_when_its_home_is_given_up(
    shared: Shared, image_api: ImageApi, desk: Desk
) -> None:
    """A renderer of ours may simply run again: there is nothing to decide."""
    _, home, _ = dead_in(shared, image_api, is_local=True, hold_microusd=0)
    code, said = desk("--of-home", home, "--yes", "--json")

    assert code == 0
    assert json.loads(said)["attempts"][0]["becomes"] == "VOID"
    assert shared.states() == ["VOID"]


def test_a_word_that_is_no_home_with_work_is_refused_with_those_that_are(
    shared: Shared, image_api: ImageApi, desk: Desk
) -> None:
    """And this machine's own, whose next run looks after it."""
    _, home, _ = dead_in(shared, image_api)
    _, own = shared.machine("b")
    typo = home[:-1] + ("a" if home[-1] != "a" else "b")
    words = [typo, "nobody", own]
    said = {word: desk("--of-home", word, "--yes") for word in words}

    assert {code for code, _ in said.values()} == {2}
    assert f"did you mean {home}?" in said[typo][1]
    assert home in said["nobody"][1]
    assert "run the story again here" in said[own][1]
    assert shared.states() == ["SENDING"]


def test_a_person_decides_about_what_another_home_sent_only_once_that_is_given_up(
    shared: Shared,
    image_api: ImageApi,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its answer may lie there; ``attempts`` names the home, and what to do."""
    _, home, attempt_id = dead_in(shared, image_api)
    here, _ = shared.machine("b")
    desk("--of-home", "nobody")  # which writes the config
    monkeypatch.chdir(here)
    codes = [main(["attempts"])]
    listed = capsys.readouterr().out
    codes.append(main(["resolve", attempt_id[:8], "--not-billed"]))
    refused = capsys.readouterr().err
    states = shared.states()
    codes += [main(["recover", "--of-home", home, "--yes"])]
    codes += [main(["resolve", attempt_id[:8], "--not-billed"])]

    assert codes == [0, 2, 0, 0], capsys.readouterr()
    assert f"of home {home}" in listed
    assert f"stage3 recover --of-home {home}" in listed
    assert f"stage3 recover --of-home {home}" in refused
    assert states == ["SENDING"]
    assert shared.states() == ["REFUSED"]


def test_a_ledger_that_is_a_file_has_no_home_to_give_up(
    tmp_path: Path, image_api: ImageApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """All it has is of its own state folder."""
    dead = Dead(tmp_path, painter(image_api))
    dead.leaves()
    state_dir = str(tmp_path / ".stage3")
    code = main(["recover", "--of-home", "abc123def456", "--yes", "--state-dir", state_dir])

    assert code == 2
    assert "run the story again" in capsys.readouterr().err
