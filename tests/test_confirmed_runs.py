"""A run that is held to the plan that somebody has seen: it buys that, or less, and pays once."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from host_stub.cli import main
from stage3_plugin.domain.states import State
from tests.doors import bills
from tests.fakes.behaviours import CutPng, Gate, Json, Ok, ResetAfterRead
from tests.fakes.image_api import KEY, ImageApi
from tests.fakes.pngs import make_png
from tests.heavy import further
from tests.projects import Project, ended, wait_until

Told = dict[str, Any]


class Here:
    """Runs commands in this process, in the folder of a project whose pictures cost 0.05 USD."""

    def __init__(self, folder: Path, api: ImageApi, capsys: pytest.CaptureFixture[str]) -> None:
        self.project = Project(folder)
        self.api = api
        self._capsys = capsys
        self.settings: Mapping[str, object] = {"capacity": 1}
        self.configure()

    def configure(self, **more: object) -> None:
        """Write the config anew."""
        self.settings = {**self.settings, **more}
        self.project.config(self.api, **self.settings)

    def story(self, *scenes: Mapping[str, object]) -> None:
        """Write the scene file."""
        text = json.dumps([{"prompt": "a harbour", **scene} for scene in scenes])
        (self.project.folder / "scenes.json").write_text(text, encoding="utf-8")

    def __call__(self, *words: str) -> tuple[int, Told]:
        self._capsys.readouterr()
        where = words.index("--") if "--" in words else len(words)
        code = main([*words[:where], "--json", *words[where:]])
        told: Told = json.loads(self._capsys.readouterr().out)
        return code, told

    def plan(self, *words: str) -> Told:
        code, told = self("plan", "scenes.json", *words)
        assert code == 0, told
        return told

    def run(self, confirm: str, *words: str, cap: str = "1") -> tuple[int, Told]:
        return self("run", "scenes.json", "--confirm", confirm, "--max-cost", cap, *words)

    def do(self, action: Mapping[str, Any]) -> tuple[int, Told]:
        """Run a command that a document names."""
        program, *words = action["command"]
        assert program == "host-stub"
        assert words.count("--json") == 1
        return self(*(word for word in words if word != "--json"))


@pytest.fixture
def here(
    tmp_path: Path,
    image_api: ImageApi,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Here:
    image_api.always(bills(0.05))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    made = Here(tmp_path, image_api, capsys)
    made.story(*({"scene_id": f"s{number}", "prompt": f"pier {number}"} for number in range(3)))
    return made


@pytest.mark.parametrize("starts", [5, *further([1_000])])
def test_the_same_command_in_a_loop_pays_once(here: Here, starts: int) -> None:
    """With the hash of the plan that was seen, however often it is started."""
    planned = here.plan()
    codes = [here.run(planned["confirm"], cap=planned["cost_high_usd"])[0] for _ in range(starts)]

    assert codes == [0] * starts
    assert planned["cost_high_usd"] == "0.15"
    assert here.api.billed() == here.api.received() == 3


@pytest.mark.parametrize("count", [2, *further([8])])
def test_many_at_once_pay_once(here: Here, count: int) -> None:
    """Each with results of its own, or the same for all: what one has bought, no other buys."""
    confirm = here.plan()["confirm"]
    words = ["run", "scenes.json", "--confirm", confirm, "--max-cost", "0.15", "--json"]
    at_once = [
        here.project.start(*words, *(("--out", f"out{number}") if number % 2 else ()))
        for number in range(count)
    ]
    done = [one.communicate(timeout=240) for one in at_once]
    last = here.run(confirm)

    assert all("Traceback" not in errors for _, errors in done)
    assert last[0] == 0, last
    assert here.api.billed() == here.api.received() == 3
    assert [one.state for one in here.project.purchases()] == [State.PAID] * 3


def more_scenes(here: Here) -> tuple[str, ...]:
    here.story(*({"scene_id": f"s{number}", "prompt": f"pier {number}"} for number in range(4)))
    return ()


def other_words(here: Here) -> tuple[str, ...]:
    scenes = [{"scene_id": f"s{number}", "prompt": f"pier {number}"} for number in range(3)]
    here.story(*scenes[:2], {**scenes[2], "prompt": "a storm"})
    return ()


def other(**settings: object) -> Callable[[Here], tuple[str, ...]]:
    def change(here: Here) -> tuple[str, ...]:
        here.configure(**settings)
        return ()

    return change


CHANGES: Mapping[str, Callable[[Here], tuple[str, ...]]] = {
    "a scene more": more_scenes,
    "other words": other_words,
    "another model": other(model="a/sculptor"),
    "a higher price": other(price_usd="0.06"),
    "another size": other(size="128x128"),
    "another setting": other(capacity=2),
    "more takes": lambda _: ("--takes", "2"),
    "a setting on the command line": lambda _: ("--set", "plugin.stage3.size=32x32"),
    "another plugin": lambda _: ("--image", "plain"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("begun", ["not begun", *further(["begun"])])
def test_whatever_changes_is_refused_before_anything_is_sent(
    here: Here, change: str, begun: str
) -> None:
    """Also where a run has bought a part of it; the next step is a plan, and a priced retry."""
    confirm = here.plan()["confirm"]
    if begun == "begun":
        refused = Json({"error": {"code": "content_policy", "message": "policy"}}, status=403)
        here.api.script(refused, scene="pier 1")
        assert here.run(confirm)[0] == 1
    received = here.api.received()
    words = CHANGES[change](here)
    code, told = here.run(confirm, *words)

    assert here.api.received() == received
    if change == "another plugin":
        assert code == 2
        return
    assert (code, told["error"]["code"]) == (2, "not_confirmed"), told
    assert told["next_actions"][0]["kind"] == "safe"
    assert here.do(told["next_actions"][0])[1]["confirm"] == told["error"]["confirm"]
    retry = told["retry_with"]
    assert retry["kind"] == "needs_confirmation"
    code, done = here.do(retry)
    assert code == 0, done
    assert Decimal(done["cost_usd"]) <= Decimal(retry["cost_usd"])


def test_a_file_that_is_shown_beside_an_awaited_picture_is_held_to_its_bytes(here: Here) -> None:
    """Though what the scene is made from is not known yet."""
    coat = here.project.folder / "coat.png"
    coat.write_bytes(make_png("a coat", 64, 64))
    shows = {"scene_id": "s1", "prompt": "pier 1", "references": ["scene:s0", "coat.png"]}
    here.story({"scene_id": "s0", "prompt": "pier 0"}, shows)
    confirm = here.plan()["confirm"]
    coat.write_bytes(make_png("another coat", 64, 64))
    code, told = here.run(confirm)

    assert (code, told["error"]["code"]) == (2, "not_confirmed"), told
    assert here.api.received() == 0


def test_what_a_cut_off_run_has_left_is_still_confirmed(here: Here) -> None:
    """Killed with one in flight; what a person decides of that one is held to it, too."""
    confirm = here.plan()["confirm"]
    gate = Gate()
    here.api.script(Ok(gate=gate), scene="pier 1")
    words = ["run", "scenes.json", "--confirm", confirm, "--max-cost", "0.15"]
    process = here.project.start(*words)
    wait_until(lambda: here.api.received() == 2)
    process.send_signal(signal.SIGKILL)
    ended(process)
    gate.open()
    second, _ = here.run(confirm)
    received = here.api.received()
    held = here.project.purchases()[1]
    assert (second, received, held.state) == (4, 3, State.UNKNOWN)
    decided = here.project.stage3("resolve", held.attempt_id, "--not-billed")
    third, _ = here.run(confirm)

    assert decided.returncode == 0, decided.stderr
    assert (third, here.api.received()) == (0, 4)


@pytest.mark.parametrize("decision", ["--billed", "--resend"])
def test_what_was_given_up_is_not_paid_for_a_second_time(here: Here, decision: str) -> None:
    """Sending it again is more than was seen, although it is the same scene at the same price."""
    confirm = here.plan()["confirm"]
    here.api.script(ResetAfterRead(), scene="pier 1")
    first, _ = here.run(confirm)
    lost = next(one for one in here.project.purchases() if one.state is State.UNKNOWN)
    decided = here.project.stage3("resolve", lost.attempt_id, decision)
    received = here.api.received()
    second, told = here.run(confirm)

    assert decided.returncode == 0, decided.stderr
    assert (first, second) == (4, 2)
    assert "scene s1 was paid for since, and no picture came" in told["error"]["why"]
    assert here.api.received() == received
    assert here.do(told["retry_with"])[0] == 0


def test_a_bill_without_a_picture_is_not_paid_again_and_again(here: Here) -> None:
    """However often the command is started: that it would cost once more, somebody has to see."""
    confirm = here.plan()["confirm"]
    here.api.script(CutPng(), CutPng(), scene="pier 1")
    first, _ = here.run(confirm)
    received = here.api.received()
    others = [here.run(confirm) for _ in range(3)]

    assert (first, received) == (1, 3)
    assert [code for code, _ in others] == [2] * 3
    assert here.api.received() == received


def test_a_confirmed_run_needs_a_cap_that_suffices(here: Here) -> None:
    """Without one, or with one that is too low, the retry has the one that suffices."""
    confirm = here.plan()["confirm"]
    none, without = here("run", "scenes.json", "--confirm", confirm)
    low, capped = here.run(confirm, cap="0.12")

    assert (none, low, here.api.received()) == (2, 2, 0)
    assert without["error"]["why"] == ["a confirmed run needs a cap"]
    assert capped["error"]["why"] == ["1 scene does not fit under a cap"]
    assert without["retry_with"]["command"] == capped["retry_with"]["command"]
    assert capped["retry_with"]["cost_usd"] == "0.15"
    assert here.do(capped["retry_with"])[0] == 0
    assert here.api.received() == 3


def test_a_printed_run_buys_what_was_planned_and_no_more(here: Here) -> None:
    """Of the scenes that were chosen, and under a cap of what it says that it costs."""
    assert here.run(here.plan("--scene", "s0")["confirm"], "--scene", "s0")[0] == 0
    here.story({"scene_id": "s0", "prompt": "a storm"}, {"scene_id": "s1", "prompt": "pier 1"})
    planned = here.plan("--only", "missing", "--max-cost", "5")
    (buys,) = [one for one in planned["next_actions"] if one["kind"] != "safe"]
    code, done = here.do(buys)

    assert (code, buys["cost_usd"]) == (0, "0.05"), done
    assert buys["command"][buys["command"].index("--max-cost") + 1] == "0.05"
    assert (here.api.received("storm"), here.api.received()) == (0, 2)


def test_a_plan_that_a_cap_cuts_short_names_the_cap_that_does_not(here: Here) -> None:
    """Nobody can confirm a part of it that only the run would find out."""
    short = here.plan("--max-cost", "0.12")
    code, whole = here.do(short["next_actions"][0])

    assert (short["confirm"], short["unconfirmable"]) == (None, "1 scene does not fit under a cap")
    assert (code, whole["refused"]) == (0, 0)
    assert whole["confirm"] == here.plan()["confirm"]


def test_a_run_that_its_cap_stops_names_the_cap_for_the_rest(here: Here) -> None:
    """At its price; nothing of what is there is bought again."""
    code, told = here("run", "scenes.json", "--max-cost", "0.07")

    assert (code, told["stopped"]) == (3, "budget")
    assert told["retry_with"] == told["next_actions"][0]
    assert told["retry_with"]["cost_usd"] == "0.10"
    assert told["retry_with"]["kind"] == "needs_confirmation"
    assert here.do(told["retry_with"])[0] == 0
    assert here.api.billed() == here.api.received() == 3


def test_decisions_are_confirmed_with_the_rest(here: Here) -> None:
    """And nothing of them is obeyed where the run is refused."""
    decided = {
        "format": "stage3-decisions/1",
        "decisions": [{"scene": "s0", "prompt": "pier 0 at night"}, {"scene": "s1", "takes": 2}],
    }
    Path("decided.json").write_text(json.dumps(decided), encoding="utf-8")
    plain = here.plan()["confirm"]
    planned = here.plan("--decisions", "decided.json")
    refused, _ = here.run(plain, "--decisions", "decided.json")
    unmoved = here.plan()["confirm"]
    code, _ = here.run(planned["confirm"], "--decisions", "decided.json")
    again, _ = here.run(planned["confirm"], "--decisions", "decided.json")

    assert (refused, unmoved, code, again) == (2, plain, 0, 0)
    assert planned["confirm"] != plain
    assert here.api.received() == planned["make"] == 4


def test_a_record_that_was_damaged_is_refused(here: Here) -> None:
    """It is named, with the next step; nothing is sent."""
    here.api.script(CutPng(), scene="pier 1")
    confirm = here.plan()["confirm"]
    here.run(confirm)
    record = next(Path(".story/.confirmed").iterdir())
    received = here.api.received()
    told: list[str] = []
    for content in ('{"format": "stage3-confirmed/1"}', "{", "[]", '{"format": "another/1"}'):
        record.write_text(content, encoding="utf-8")
        code, refusal = here.run(confirm)
        told.append(refusal["error"]["code"])
        assert (code, str(record)) == (2, refusal["error"]["path"]) or "path" in refusal["error"]

    assert told == ["story"] * 4
    assert here.api.received() == received


@pytest.mark.parametrize("word", ["", "abc", "g" * 32, "0" * 33])
def test_what_is_no_hash_is_refused_as_such(here: Here, word: str) -> None:
    """Before anything is opened."""
    code, told = here("run", "scenes.json", f"--confirm={word}", "--max-cost", "1")

    assert (code, told["error"]["code"]) == (2, "usage")


ODD = ["-x", "it's $HOME; `id`", '"日本 語"']


def test_a_printed_command_works_when_pasted(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ids that begin like options, and a config and a folder with names that need quotes."""
    where = Path("it's a folder")
    where.mkdir()
    Path("host.toml").rename(where / "-host file.toml")
    here.story(*({"scene_id": one, "prompt": one} for one in ODD))
    shared = ("--config", str(where / "-host file.toml"), "--out=-out $HOME")
    code, planned = here("plan", "scenes.json", *shared)
    assert code == 0, planned
    code, _ = here.do(planned["next_actions"][0])
    assert code == 0
    seen: list[str] = []
    for scene_id in ODD:
        code, rerolled = here("reroll", *shared, "--", scene_id)
        assert code == 0, rerolled
        assert here.do(rerolled["next_actions"][0])[0] == 0
        assert here.do(rerolled["next_actions"][1])[0] == 0
        code, listed = here("takes", *shared, "--", scene_id)
        assert [take["take"] for take in listed["takes"]] == [1, 2]
        code, shown = here.do(listed["next_actions"][0])
        assert (code, shown["take"]) == (0, 2), shown
        code, back = here.do(shown["next_actions"][0])
        assert (code, back["take"]) == (0, 1), back
        seen.append(shlex.join(shown["next_actions"][0]["command"]))
    line = "; ".join(f"python -m host_stub {one.removeprefix('host-stub ')}" for one in seen[:1])
    pasted = subprocess.run(
        ["sh", "-c", line.replace("python", shlex.quote(_python()), 1)],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )

    assert here.api.received() == 2 * len(ODD)
    assert pasted.returncode in {0, 2}, pasted.stderr  # there is nothing left to take back
    assert json.loads(pasted.stdout)["format"] in {"stage3-show/1", "stage3-error/1"}


def _python() -> str:
    import sys

    return sys.executable
