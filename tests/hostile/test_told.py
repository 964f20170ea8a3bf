"""What a person is told in the first hour is right, said once, and shows the way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.behaviours import Ok, ResetAfterRead
from tests.fakes.image_api import ImageApi
from tests.heavy import some_of
from tests.projects import Project

HOST_STUB = [sys.executable, "-m", "host_stub"]
TABLE = '[plugin.stage3]\nprovider = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "x"\n'


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def asked(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HOST_STUB, *words],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "line, example",
    some_of(
        [
            ("headers = { x-a = 1 }", 'headers = { x-portkey-provider = "openai" }'),
            ('price_usd = "2,50"', 'price_usd = "0.05"'),
            ('budget_usd = "two"', 'budget_usd = "2.50"'),
            ("prices = { output_image = [] }", 'output_image = "40.00"'),
            ('picture_hosts = "a.example"', 'picture_hosts = ["cdn.example.com"]'),
            ('capacity = "8"', "capacity = 8"),
            ("capacity = 0", "capacity = 8"),
            ('timeout_s = "fast"', "timeout_s = 300.0"),
            ("api_key = 5", 'api_key = { env = "OPENAI_API_KEY" }'),
            ("endpoint = 5", 'endpoint = "studio"'),
            ('adaptive = "yes"', "adaptive = true"),
            ("size = 1024", 'size = "1024x1024"'),
        ],
        every=4,
    ),
)
def test_a_wrong_value_is_told_with_a_right_one(line: str, example: str) -> None:
    """In the form of the config, and it fits: nobody has to know pydantic's kinds."""
    Path("host.toml").write_text(TABLE + line + "\n", encoding="utf-8")
    refused = asked("check")
    key = "prices" if line.startswith("prices") else ""
    right = f"{key} = {{ {example} }}" if key else example
    Path("host.toml").write_text(TABLE + right + "\n", encoding="utf-8")
    fits = asked("check")

    assert refused.returncode == 2
    assert f", such as {example} [plugin_settings]\n" in refused.stderr
    assert not [kind for kind in ("tuple", "decimal", "instance") if kind in refused.stderr]
    assert "do not fit" not in fits.stderr


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("text", ["{bad", '[{"scene_id": "a"}]', ""])
def test_what_is_wrong_with_standard_input_is_told_of_standard_input(
    command: str, text: str
) -> None:
    """And not of a file that nobody has named and that is gone by then."""
    refused = asked(command, "-", "--image", "plain", stdin=text)

    assert refused.returncode == 2
    assert refused.stderr.startswith("error: scene file standard input: ")
    assert "/scenes-" not in refused.stderr


def test_a_check_says_that_it_cannot_try_the_key() -> None:
    """A key that is set is not one that is accepted."""
    Path("host.toml").write_text(TABLE + 'api_key = "0123456789abcdef"\n', encoding="utf-8")
    with_key = asked("check")
    Path("host.toml").write_text("", encoding="utf-8")
    without = asked("check")

    assert with_key.returncode == 0, with_key.stderr
    assert "a key is set; '--online' asks the provider, for free" in with_key.stdout
    assert "0123456789abcdef" not in with_key.stdout
    assert without.stdout.endswith("# ok: the stage opens; nothing was sent\n")
    assert "key" not in without.stdout.splitlines()[-2]


def test_two_figures_that_differ_say_why(image_api: ImageApi, tmp_path: Path) -> None:
    """Costs that nobody told of pictures, beside one scene of which money may be spent."""
    image_api.always(Ok(usage=None))
    image_api.script(Ok(usage={"cost": 0.03}), scene="s01")
    image_api.script(ResetAfterRead(), scene="s04")
    project = Project(tmp_path)
    project.scenes(4)
    project.config(image_api)
    config = tmp_path / "host.toml"
    lines = config.read_text(encoding="utf-8").splitlines()
    config.write_text("\n".join(one for one in lines if "price_usd" not in one), encoding="utf-8")

    told = project.run("run", "scenes.json").stdout

    assert "money may be spent for 1 scene whose outcome or cost is unknown" in told
    assert "cost at least $0.03 (unknown for 3 scenes, 2 of them with a picture)" in told


def test_why_a_run_stopped_is_said_once(image_api: ImageApi, tmp_path: Path) -> None:
    """Why a run stopped is said in its last line, whatever number of scenes it holds for."""
    project = Project(tmp_path)
    project.scenes(6)
    project.config(image_api, budget_usd="0.10", capacity=1)

    done = project.run("run", "scenes.json")
    reason = "and the next picture may cost $0.05"

    assert done.returncode == 3
    assert done.stdout.count(reason) == 0
    assert done.stderr.count(reason) == 1
    assert "not_tried: the run had stopped: see the error below (" in done.stdout
    failures = json.loads((tmp_path / "out" / "manifest.json").read_bytes())["failures"]
    assert all(reason in one["message"] for one in failures)
