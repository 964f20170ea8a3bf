"""The plan of a run through the command line: what it tells, as text and as JSON, and what not."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from host_stub.cli import main
from tests.host.conftest import Distribute
from tests.rules.repository import blocks, page, section

STORY = [{"scene_id": f"s{number}", "prompt": "a pier"} for number in range(9)]

SCRIPTED = """
import json
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from pydantic import BaseModel, SecretStr
from host_stub.contract import (
    Capabilities, Cost, Failure, ImagePlugin, SceneOutcome, StageError, StagePlan, StageSummary
)
from host_stub.hookspecs import hookimpl

SCRIPT = json.loads((Path(__file__).parent / "script.json").read_text(encoding="utf-8"))

class Settings(BaseModel):
    api_key: SecretStr | None = None
    price_usd: float | None = None
    prices: dict[str, float] | None = None

class Bare(BaseModel):
    pass

class Stage:
    warnings = SCRIPT.get("opens_with", tuple(SCRIPT.get("warnings", ())))

    async def plan(self, request):
        if SCRIPT.get("records"):
            story = None if request.story is None else [s.scene_id for s in request.story]
            record("plan", request, story)
        if "raises" in SCRIPT:
            raise StageError(SCRIPT["raises"], hint="set a price")
        if "crashes" in SCRIPT:
            raise ValueError(SCRIPT["crashes"])
        if SCRIPT.get("plan") is None:
            return {"make": 1}
        return StagePlan(**SCRIPT["plan"])

    async def run(self, request, context):
        story = None if request.story is None else [s.scene_id for s in request.story]
        record("run", request, story)
        failure = Failure(code="not_tried", message="no", retryable=True)
        for scene in request.scenes:
            context.deliver(SceneOutcome(
                scene_id=scene.scene_id, failure=failure, cost=Cost(usd=Decimal(0), basis="free")))
        return StageSummary()

def record(what, request, story):
    told = {
        "scenes": [scene.scene_id for scene in request.scenes],
        "story": story,
        "out_dir": str(request.out_dir),
        "deadline_s": request.deadline_s,
        "max_cost_usd": None if request.max_cost_usd is None else str(request.max_cost_usd),
        "run_id": bool(request.run_id),
        "scenes_dir": None if request.scenes_dir is None else str(request.scenes_dir),
    }
    (Path(__file__).parent / f"{what}.json").write_text(json.dumps(told), encoding="utf-8")

@asynccontextmanager
async def open_stage(settings, services):
    if "refuses" in SCRIPT:
        raise StageError(SCRIPT["refuses"])
    yield Stage()
    if "sticks" in SCRIPT:
        raise OSError(SCRIPT["sticks"])

@hookimpl
def host_image_plugin():
    return ImagePlugin(
        name="scripted", contract=(1, 0), settings=Bare if SCRIPT.get("bare") else Settings,
        capabilities=Capabilities(**{"plans": True, **SCRIPT.get("can", {})}), open=open_stage)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a story in it, where commands run."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "story.json").write_text(json.dumps(STORY), encoding="utf-8")
    return folder


class Planner:
    """Runs commands with a plugin that does what a script says."""

    def __init__(
        self,
        distribute: Distribute,
        capsys: pytest.CaptureFixture[str],
        *,
        source: str = SCRIPTED,
    ) -> None:
        self._source = source
        self._distribute = distribute
        self._capsys = capsys
        self._site = Path()
        self.out = ""
        self.err = ""

    def script(self, plan: dict[str, Any] | None = None, **others: Any) -> None:
        """Install the plugin with what it is to answer."""
        modules = {"scripted_hooks": self._source}
        self._site = self._distribute("scripted", {"scripted": "scripted_hooks"}, modules)
        script = json.dumps({"plan": plan, **others})
        (self._site / "script.json").write_text(script, encoding="utf-8")

    def __call__(self, command: str, *words: str) -> int:
        """Run a command on the story; keep what it says."""
        story = [] if command == "check" else ["story.json"]
        code = main([command, *story, "--image", "scripted", *words])
        self.out, self.err = self._capsys.readouterr()
        return code

    def recorded(self, what: str) -> dict[str, Any]:
        """Read which request the plugin was given."""
        told: dict[str, Any] = json.loads((self._site / f"{what}.json").read_bytes())
        return told


@pytest.fixture
def planner(distribute: Distribute, capsys: pytest.CaptureFixture[str]) -> Planner:
    return Planner(distribute, capsys)


FULL: dict[str, Any] = {
    "make": 3,
    "reused": 2,
    "pending": 0,
    "held": 1,
    "busy": 1,
    "refused": 2,
    "unsendable": 0,
    "cost_low_usd": "0.12",
    "cost_high_usd": "0.165",
    "expected_s": 42.4,
    "day_spent_usd": {"openrouter": "0.4", "openai": "1.2"},
}


class TestText:
    def test_what_is_not_known_is_not_called_zero(self, planner: Planner) -> None:
        """The settings that could tell a price are named, the time is unknown."""
        planner.script({"make": 9, "cost_low_usd": None, "cost_high_usd": None})

        assert planner("plan") == 0
        assert planner.out == (
            "plan for 9 scenes with scripted (scripted 1.0):\n"
            "  9 to make\n"
            "cost: unknown\n"
            "expected time: unknown\n"
            "not every price is known: set price_usd or prices under [plugin.scripted]\n"
            "nothing was sent, spent or written\n"
        )

    @pytest.mark.parametrize(
        "low, high, told",
        [
            ("0.5", None, "at least $0.50"),
            (None, "0.5", "at most $0.50"),
            ("0.5", "0.50", "$0.50"),
            ("0", "0", "$0.00"),
            ("0", "0.5", "$0.00 to $0.50"),
        ],
    )
    def test_a_range_of_money_may_be_open_at_one_end(
        self, planner: Planner, low: str | None, high: str | None, told: str
    ) -> None:
        """One figure where both are the same."""
        planner.script({"make": 9, "cost_low_usd": low, "cost_high_usd": high})

        planner("plan")

        assert f"\ncost: {told}\n" in planner.out
        assert ("not every price is known" in planner.out) is (None in (low, high))

    def test_scenes_that_a_plan_forgets_are_counted(self, planner: Planner) -> None:
        """The rows add up to the scenes that were asked for."""
        planner.script({"make": 5, "cost_low_usd": "0", "cost_high_usd": "0"})

        planner("plan")

        assert "  4 the plugin tells nothing about" in planner.out

    def test_a_plugin_without_prices_is_not_told_to_set_one(self, planner: Planner) -> None:
        """No setting is invented."""
        planner.script({"make": 9, "cost_low_usd": None, "cost_high_usd": None}, bare=True)

        planner("plan")

        assert "not every price is known: no setting tells it" in planner.out


PICTURED: dict[str, Any] = {
    "make": 9,
    "sheets": 2,
    "stale": 3,
    "unsendable": 1,
    "reused": 1,
    "cost_low_usd": "0.4",
    "cost_high_usd": "0.44",
    "waves": [
        {"scenes": 2, "cost_high_usd": "0.08"},
        {"scenes": 6, "cost_high_usd": "0.36"},
        {"scenes": 1, "cost_high_usd": None},
    ],
    "scenes": [
        {
            "scene_id": "char_001",
            "role": "sheet",
            "model": "gpt-image-2",
            "state": "make",
            "cost_high_usd": "0.04",
        },
        {
            "scene_id": "s0",
            "state": "make",
            "cost_high_usd": "0.05",
            "model": "gpt-image-2",
            "references": [
                {"image": "refs/harbour.png", "sha256": "0" * 64, "is_copy": True},
                {"image": "scene:char_001", "name": "Mira", "role": "character"},
            ],
            "labels": "Reference image 2 is Mira.",
            "dropped": ["seed"],
            "waits_for": ["char_001"],
        },
        {"scene_id": "s1", "problem": "reference 'refs/bo.png' is not there"},
        {"scene_id": "s2", "references": [{"image": "a.png"}], "dropped": ["references", "seed"]},
        {"scene_id": "s3", "references": [{"image": "a.png"}], "state": "reused"},
    ],
}


class TestScenes:
    def test_a_plan_says_what_is_sent_and_in_which_order(self, planner: Planner) -> None:
        """For each scene and sheet: to whom, what is on it, in what words, and what is not sent."""
        planner.script(PICTURED)

        assert planner("plan") == 0
        assert planner.out == (
            "plan for 9 scenes with scripted (scripted 1.0):\n"
            "  9 to make, 2 of them sheets\n"
            "  3 of them stale: there is a picture, made with other references\n"
            "  1 reused, nothing is paid for those\n"
            "  1 rejected before anything is sent\n"
            "in 3 waves, since some show the pictures of others:\n"
            "  1. 2 pictures, at most $0.08\n"
            "  2. 6 pictures, at most $0.36\n"
            "  3. 1 picture, unknown cost\n"
            "these have a problem:\n"
            "  s1: reference 'refs/bo.png' is not there\n"
            "sheets, which are made first:\n"
            "  char_001, to gpt-image-2: at most $0.04\n"
            "what is sent along:\n"
            "  s0, to gpt-image-2: refs/harbour.png (as a copy), "
            "scene:char_001 as Mira (character); waits for char_001; left out: seed\n"
            "references that are left out:\n"
            "  s2: a.png\n"
            "cost: $0.40 to $0.44\n"
            "expected time: unknown\n"
            "nothing was sent, spent or written\n"
        )

    def test_a_long_story_is_shown_in_its_first_scenes(self, planner: Planner) -> None:
        """Twenty of each kind and how many more; the JSON has all, nothing speaks to a terminal."""
        reference = {"image": "\x1b[2J" + "x" * 500, "name": "n\n" * 300}
        scenes = [
            {"scene_id": f"\x1b[2J{number}" + "y" * 500}
            | ({"problem": "p\n" * 3_000} if number % 2 else {"references": [reference] * 50})
            | {"waits_for": ["z" * 500] * 50, "labels": "l" * 50_000, "model": "m" * 500}
            for number in range(100)
        ]
        waves = [{"scenes": 1, "cost_high_usd": "0"}] * 50
        free = {"cost_low_usd": "0", "cost_high_usd": "0"}
        planner.script({"make": 9, "scenes": scenes, "waves": waves, **free})

        planner("plan")
        lines = planner.out.splitlines()
        planner("plan", "--json")

        assert lines.count("  and 30 more; --json has all of them") == 2
        assert lines.count("  and 30 more") == 1
        assert len(lines) < 120
        assert max(map(len, lines)) < 8_000
        assert "\x1b" not in "".join(lines)
        assert len(json.loads(planner.out)["scene_plans"]) == 100

    def test_the_worst_way_is_said_with_what_each_step_of_it_costs(self, planner: Planner) -> None:
        """For people and for programs; what a step leaves out stands beside it."""
        steps: list[dict[str, Any]] = [
            {"provider": "openai", "model": "gpt-image-2", "scenes": 9, "cost_high_usd": "0.36"},
            {"provider": "fal", "scenes": 9, "cost_high_usd": None, "dropped": ["references"]},
            {"provider": "openai", "prompt": 1, "scenes": 1, "cost_high_usd": "0.04"},
        ]
        costs = {"cost_low_usd": "0", "cost_high_usd": "0.36", "cost_worst_usd": None}
        planner.script({"make": 9, "steps": steps, **costs})

        planner("plan")
        said = planner.out
        planner("plan", "--json")
        told = json.loads(planner.out)

        assert (
            "the worst way, if each of these is billed: unknown\n"
            "  1. openai gpt-image-2: 9 scenes, at most $0.36\n"
            "  2. fal: 9 scenes, unknown; left out: references\n"
            "  3. openai, other words 1: 1 scene, at most $0.04\n"
        ) in said
        assert told["steps"][0] == steps[0] | {"prompt": 0, "dropped": []}
        assert told["cost_worst_usd"] is None

    def test_a_signed_address_is_shown_without_its_query(self, planner: Planner) -> None:
        """It is as good as a key while it lasts."""
        address = "https://refs.example/mira.png?signature=CANARY"
        scene = {"scene_id": "s0", "references": [{"image": address}]}
        broken = {"scene_id": "s1", "problem": f"reference '{address}' is an address"}
        free = {"cost_low_usd": "0", "cost_high_usd": "0"}
        planner.script({"make": 9, "scenes": [scene, broken], **free})

        planner("plan")
        said = planner.out
        planner("plan", "--json")

        assert "https://refs.example/mira.png?" in said
        assert "CANARY" not in said + planner.out


class TestWarnings:
    def test_what_opening_and_planning_found_is_shown(self, planner: Planner) -> None:
        """Each once, before anything is spent; nothing in them speaks to the terminal."""
        plan = FULL | {"warnings": ["40 pictures are paid for at http://old:4000", "hd is gone"]}
        planner.script(plan, warnings=["hd is gone", "\x1b[2J"])

        planner("plan")
        said = planner.out
        planner("plan", "--json")

        told = ["hd is gone", r"\x1b[2J", "40 pictures are paid for at http://old:4000"]
        assert [line for line in said.splitlines() if line.startswith("warning: ")] == [
            f"warning: {line}" for line in told
        ]
        assert json.loads(planner.out)["warnings"] == told

    @pytest.mark.parametrize("odd", ["a text", 7, {"a": 1}, [None, 3]])
    def test_nonsense_in_their_place_keeps_nothing_from_working(
        self, planner: Planner, odd: Any
    ) -> None:
        """They are a courtesy; a plugin that gets them wrong still makes pictures."""
        planner.script(None, opens_with=odd)

        assert planner("check", "--json") == 0
        assert json.loads(planner.out)["warnings"] == []


class TestPage:
    def test_the_plan_of_the_page_is_one_that_is_told(self, planner: Planner) -> None:
        """Its example is what the command prints."""
        planner.script(FULL, can={"resumes": True})
        told = section(page("command-line.md"), "`plan SCENES`")
        [example] = blocks(told, "console")
        command, *lines = example.splitlines()

        planner("plan", *command.split()[-2:])
        printed = planner.out.replace("scripted 1.0", "stage3-plugin 0.1.0")
        printed = printed.replace("scripted", "stage3")

        assert command == "$ host-stub plan scenes.json --max-cost 0.20"
        assert lines == printed.splitlines()


class TestRequest:
    @pytest.mark.parametrize(
        "words",
        [
            [],
            ["--limit", "2", "--max-cost", "0"],
            ["--scene", "s3", "--out", "there", "--max-cost=000000012.345678"],
        ],
    )
    def test_a_plan_is_made_of_what_the_run_is_given(
        self, planner: Planner, words: list[str]
    ) -> None:
        """The same scenes, story, folder and cap."""
        planner.script({"make": 0, "cost_low_usd": "0", "cost_high_usd": "0"}, records=True)

        planned, ran = planner("plan", *words), planner("run", *words)

        assert (planned, ran) == (0, 1)
        assert planner.recorded("plan") == planner.recorded("run")

    @pytest.mark.parametrize("command", ["plan", "run"])
    def test_references_start_at_the_folder_of_the_scene_file(
        self,
        planner: Planner,
        here: Path,
        command: str,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        """Wherever the command runs; those of standard input start where it runs."""
        planner.script(FULL, records=True)
        (tmp_path / "story").mkdir()
        story = (here / "story.json").rename(tmp_path / "story" / "story.json")
        out = ["--image", "scripted", "--out", str(tmp_path / "out")]

        main([command, str(Path("..", "story", "story.json")), *out])
        from_a_file = planner.recorded(command)["scenes_dir"]
        with story.open("rb") as stdin:
            monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stdin))
            main([command, "-", *out])
        from_a_stream = planner.recorded(command)["scenes_dir"]

        assert Path(from_a_file).is_absolute()
        assert Path(from_a_file).samefile(tmp_path / "story")
        assert Path(from_a_stream) == here


class TestNothingIsWritten:
    def test_a_plan_can_be_made_where_results_cannot(self, planner: Planner, here: Path) -> None:
        """A file in the way of the results is the run's business."""
        planner.script(FULL)
        (here / "out").write_text("in the way", encoding="utf-8")

        assert planner("plan") == 0


class TestTrouble:
    def test_a_plugin_that_makes_no_plans_is_named(self, planner: Planner) -> None:
        """Before it is opened, with another way to find out."""
        planner.script(FULL, can={"plans": False}, refuses="opened all the same")

        code = planner("plan")

        assert (code, planner.out) == (2, "")
        assert planner.err == (
            "error: plugin 'scripted' (scripted 1.0) cannot tell what a run would make and cost "
            "[plugin]\n"
            "hint: 'host-stub run' with '--limit 1' makes one scene, and tells what it cost\n"
        )

    @pytest.mark.parametrize(
        "how, code, told, hint",
        [
            ("raises", 2, "could not start: no price", "hint: set a price"),
            ("crashes", 2, "could not start: ValueError: no price", "--debug"),
            ("refuses", 2, "could not start: no price", ""),
            ("sticks", 3, "stopped: OSError: no price", "--debug"),
        ],
    )
    def test_a_stage_that_raises_is_told_as_a_run_tells_it(
        self, planner: Planner, how: str, code: int, told: str, hint: str
    ) -> None:
        """With the plugin's own next step, or the host's."""
        planner.script(FULL, **{how: "no price"})

        assert planner("plan") == code
        assert planner.out == ""
        assert f"plugin 'scripted' (scripted 1.0) {told}" in planner.err
        assert hint in planner.err
        assert planner("plan", "--json") == code
        assert told in json.loads(planner.out)["error"]["message"]

    def test_an_answer_that_is_no_plan_is_a_fault_of_the_plugin(self, planner: Planner) -> None:
        """It is named, and its author is to be told."""
        planner.script(None)

        assert planner("plan") == 2
        assert "breaks plan.told: plan() returned dict, not StagePlan" in planner.err

    def test_a_key_is_in_nothing_that_a_plan_says(
        self, planner: Planner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not in what the plugin raises, nor among its figures."""
        key = "sk-CANARY-0123456789"
        monkeypatch.setenv("THE_KEY", key)
        setting = '--set=plugin.scripted.api_key={env="THE_KEY"}'
        planner.script({**FULL, "day_spent_usd": {key: "1"}})
        planner("plan", setting)
        said = planner.out
        planner("plan", setting, "--json")
        said += planner.out

        assert "[secret] $1.00" in said
        assert "CANARY" not in said
