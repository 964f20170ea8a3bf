"""Drivers on two machines, with one PostgreSQL ledger and one bucket, as whole commands.

Each machine has a network and a state folder of its own. What is bought is counted by the image
API, on the side that knows.
"""

from __future__ import annotations

from collections import Counter

from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.storage.spool.folders import SpoolFolders
from tests.doors import bills
from tests.engines.drivers.machines import Machine, Town
from tests.engines.postgres_server import PostgresServer
from tests.fakes.behaviours import Gate
from tests.projects import wait_until


def test_two_that_run_at_once_buy_each_scene_once(town: Town) -> None:
    """What one has in work the other waits for: both end with all pictures, and well."""
    town.api.otherwise = lambda asked: bills(0.05, delay_s=0.02 * (1 + asked.number % 5))
    town.story(60, capacity=6)
    drivers = [
        machine.start("run", "scenes.json", *words)
        for machine, words in zip(town.machines, ([], ["--shard", "2/2"]), strict=True)
    ]
    codes = [driver.ended() for driver in drivers]
    billed = Counter(entry.asked.prompt[:4] for entry in town.api.entries if entry.is_billed)

    assert codes == [0, 0], [machine.said() for machine in town.machines]
    assert set(billed.values()) == {1}
    assert len(billed) == 60
    assert town.states() == ["PAID"] * 60
    for machine in town.machines:
        assert set(machine.codes().values()) == {"made"}
        assert [image["scene_id"] for image in machine.manifest()["images"]] == sorted(billed)


def test_a_driver_that_was_killed_with_answers_on_its_disk_takes_them_in_itself(
    town: Town,
) -> None:
    """The other leaves them, names their home and makes the rest; nothing is unknown."""
    town.story(24, capacity=8)
    one, two = town.machines
    gate = Gate()
    town.api.script(bills(0.05, gate=gate), times=8)
    first = one.start("run", "scenes.json")
    wait_until(lambda: town.api.in_flight == 8)
    with town.nothing_is_committed():
        gate.open()
        wait_until(lambda: len(whole_answers(one)) == 8)
        first.kill()
        code = first.ended()
    left = [found.new.scene_id for found in town.purchases()]
    before = town.states()
    second = two.run("run", "scenes.json")
    busy = {scene for scene, code in two.codes().items() if code == "busy"}
    why = {two.failure(scene) for scene in busy}
    states = Counter(town.states())
    back = one.run("run", "scenes.json")
    again = two.run("run", "scenes.json")

    assert (code, before) == (-9, ["SENDING"] * 8)
    assert (second, busy) == (1, set(left)), two.said()
    assert all(one.home in text and f"recover --of-home {one.home}" in text for text in why)
    assert states == {"SENDING": 8, "PAID": 16}
    assert (back, again) == (0, 0), one.said() + two.said()
    assert Counter(town.states()) == {"PAID": 24}
    assert town.api.received() == town.api.billed() == 24
    assert set(two.codes().values()) == {"made"}


def test_a_home_is_given_up_only_when_no_driver_of_it_is_connected(
    town: Town, postgres: PostgresServer
) -> None:
    """One that sleeps is; once its session is gone a person may, and it settles when it wakes.

    Nothing of it is sent again, neither before nor after that.
    """
    town.story(12, capacity=4)
    one, two = town.machines
    gate = Gate()
    town.api.script(bills(0.05, gate=gate), times=4)
    first = one.start("run", "scenes.json")
    wait_until(lambda: town.api.in_flight == 4)
    first.freeze()
    refused = two.stage3("recover", "--of-home", one.home, "--yes")
    before = town.states()
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{postgres.shared_database}' AND pid <> pg_backend_pid()"
    )
    wait_until(lambda: not town.is_connected(one.home))
    shown = two.stage3("recover", "--of-home", one.home)
    done = two.stage3("recover", "--of-home", one.home, "--yes")
    given_up = town.states()
    second = two.run("run", "scenes.json")
    unknown = [scene for scene, code in two.codes().items() if code == "unknown"]
    gate.open()
    first.thaw()
    first.ended()
    back = one.run("run", "scenes.json")

    assert refused[0] == 2
    assert "is connected to the ledger" in refused[1]
    assert before == ["SENDING"] * 4
    assert shown[0] == 0
    assert "4 requests" in shown[1]
    assert "$0.2 held" in shown[1].replace("0.20", "0.2")
    assert done[0] == 0, done[1]
    assert given_up == ["UNKNOWN"] * 4
    assert (second, len(unknown)) == (4, 4), two.said()
    assert back == 0, one.said()
    assert town.states() == ["PAID"] * 12
    assert town.api.received() == town.api.billed() == 12


def whole_answers(machine: Machine) -> set[str]:
    """Return the attempts whose answer lies whole in a machine's spool."""
    spool = SpoolFolders(StateDir(machine.folder / ".stage3"))
    return {one for one in spool.received() if spool.has_whole_answer(one)}
