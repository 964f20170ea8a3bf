"""A quality that the vendor's model does not have is refused before anything is planned or sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host_stub.cli import main
from stage3_plugin.engine import build
from tests.doors import bills
from tests.fakes.image_api import KEY, ImageApi

OPENAI = 'provider = "openai"\nmodel = "gpt-image-2"\napi_key = { env = "NO_KEY_IS_SET" }\n'
LADDER = """[[plugin.stage3.fallback]]
provider = "openrouter"
model = "x-ai/grok-imagine-image-2.0"
api_key = { env = "NO_KEY_IS_SET" }"""
CAST = '[plugin.stage3.cast.mira]\nprompt = "Mira, four views"\nquality = "best"\n'
XAI = 'provider = "xai"\nmodel = "grok-imagine-image-2.0"\napi_key = { env = "NO_KEY_IS_SET" }\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(folder: Path, table: str, **scene: object) -> int:
    """Plan one scene with these settings; return the exit code."""
    (folder / "host.toml").write_text(f"[plugin.stage3]\n{table}", encoding="utf-8")
    story = [{"scene_id": "a", "prompt": "a pier at dusk", "characters": ["mira"], **scene}]
    (folder / "scenes.json").write_text(json.dumps(story), encoding="utf-8")
    return main(["plan", "scenes.json"])


@pytest.mark.parametrize(
    "table, field, choices",
    [
        (f'{OPENAI}quality = "best"\n', "quality", "auto, low, medium, high"),
        (f'{OPENAI}quality = "xhigh"\n', "quality", "auto, low, medium, high"),
        (f"{OPENAI}{CAST}", "cast.mira.quality", "auto, low, medium, high"),
        (f'{OPENAI}quality = "high"\n{LADDER}\n', "fallback.0.quality", "low, medium"),
    ],
    ids=["a word of nobody's", "one of another model's", "of a sheet", "of a fallback"],
)
def test_a_quality_that_a_model_does_not_have_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], table: str, field: str, choices: str
) -> None:
    """With 2, the field, and the words that there are: its price could be any of the row's."""
    ended = planned(folder, table)
    said = capsys.readouterr().err

    assert ended == 2
    assert f"setting '{field}'" in said
    assert f": {choices} [stage_failed]\n" in said


@pytest.mark.parametrize(
    "table",
    [
        f'{OPENAI}quality = "auto"\n',
        OPENAI.replace("-2", "-2.5-flare") + 'quality = "max"\n',
        OPENAI.replace("-2", "-2-of-next-year") + 'quality = "best"\n',
        OPENAI.replace("-2", "-9") + 'quality = "best"\nlike = "gpt-image-2"\n',
        f'{OPENAI}quality = "best"\nbase_url = "https://images.example/v1"\n',
        f'{XAI}quality = "high"\n',
    ],
    ids=["its own", "a newer model's", "not in the table", "like", "another server", "left out"],
)
def test_a_quality_that_may_be_had_is_not(folder: Path, table: str) -> None:
    """A newer model, or another server, may have words that no table has; xAI is sent its last."""
    assert planned(folder, table) == 0


def test_a_scene_that_asks_for_one_is_not_bought(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plan and run say so, whatever the settings have; nobody is asked, and no sheet is bought."""
    monkeypatch.setenv("A_KEY", "sk-of-nobody-at-all")
    table = f"{OPENAI.replace('NO_KEY_IS_SET', 'A_KEY')}{CAST.replace('best', 'low')}"
    ended = planned(folder, table, quality="best")
    said = capsys.readouterr().out
    main(["plan", "scenes.json", "--json"])
    plan = json.loads(capsys.readouterr().out)
    run = main(["run", "scenes.json", "--json"])
    told = json.loads(capsys.readouterr().out)
    manifest = json.loads((folder / "out" / "manifest.json").read_text(encoding="utf-8"))
    (failure,) = manifest["failures"]

    assert (ended, plan["make"], plan["sheets"], plan["unsendable"]) == (0, 0, 0, 1)
    assert (run, told["attempts"]) == (1, 0)
    assert failure["code"] == "rejected"
    for line in (said, failure["message"]):
        assert "quality 'best' is not one that OpenAI lists for 'gpt-image-2'" in line


def test_a_picture_that_was_bought_by_one_stays(
    folder: Path, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it was refused, say: it is found, shown and paid for once."""
    image_api.always(bills(0.05))
    table = f'provider = "openai"\nmodel = "gpt-image-2"\napi_key = "{KEY}"\nprice_usd = "1"\n'
    address = f'base_url = "{image_api.base_url}"\n'
    (folder / "host.toml").write_text(f"[plugin.stage3]\n{table}{address}", encoding="utf-8")
    story = [{"scene_id": "a", "prompt": "a pier at dusk", "quality": "best"}]
    (folder / "scenes.json").write_text(json.dumps(story), encoding="utf-8")
    first = main(["run", "scenes.json"])
    monkeypatch.setattr(build, "canonical_address", _one_address)
    second = main(["run", "scenes.json"])
    planned_again = main(["plan", "scenes.json", "--json"])
    manifest = json.loads((folder / "out" / "manifest.json").read_text(encoding="utf-8"))

    assert (first, second, planned_again, image_api.received()) == (0, 0, 0, 1)
    assert [one["scene_id"] for one in manifest["images"]] == ["a"]
    assert manifest["failures"] == []


def _one_address(_: str) -> str:
    return "the vendor's own"
