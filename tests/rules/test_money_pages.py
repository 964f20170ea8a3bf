"""What the pages say about money against the code: states, caps, what makes a picture the same."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.keys import scene_keys
from stage3_plugin.domain.purchase import CapName
from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import PictureRequest, Wish
from stage3_plugin.domain.route import Route
from stage3_plugin.domain.states import COUNTED, LEGAL, LIVE, State
from stage3_plugin.settings import Settings
from tests.rules.repository import DOCS, code, page, section, table_rows

# The states of a purchase ------------------------------------------------------------------------


def test_the_picture_of_a_purchase_is_up_to_date() -> None:
    """It is drawn by a script from the states, which finds nothing to change."""
    script = [sys.executable, str(DOCS / "drawing.py"), "--check"]

    result = subprocess.run(script, capture_output=True, check=False, encoding="utf-8")

    assert (result.stderr, result.returncode) == ("", 0)


def test_a_picture_that_is_out_of_date_is_found(tmp_path: Path) -> None:
    """The check above would see a way that is missing, and the script would draw it."""
    (tmp_path / "images").mkdir()
    script, picture = tmp_path / "drawing.py", tmp_path / "images" / "life-of-a-purchase.svg"
    drawn = (DOCS / "images" / picture.name).read_text(encoding="utf-8")
    script.write_text((DOCS / "drawing.py").read_text(encoding="utf-8"), encoding="utf-8")
    picture.write_text(drawn.replace('data-to="WROTE_OFF"', 'data-to="VOID"'), encoding="utf-8")

    checked = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True)
    written = subprocess.run([sys.executable, script], check=False, capture_output=True)

    assert (checked.returncode, b"life-of-a-purchase.svg" in checked.stderr) == (1, True)
    assert written.returncode == 0
    assert picture.read_text(encoding="utf-8") == drawn


def test_every_state_is_documented() -> None:
    """What each counts, blocks and may become is what the ledger goes by."""
    rows = table_rows(section(page("costs-and-retries.md"), "The life of a purchase"))
    told = {
        State(code(row[0])): (
            row[2] == "yes",
            row[3] == "yes",
            {*map(State, re.findall(r"`(\w+)`", row[4]))},
        )
        for row in rows
    }

    assert told == {state: (state in COUNTED, state in LIVE, set(LEGAL[state])) for state in State}
    assert all(len(row[1]) > 10 for row in rows)


# What is promised about money --------------------------------------------------------------------


def test_every_cap_is_documented_with_when_it_begins_anew() -> None:
    """Those of the settings, and the one of the command line."""
    rows = table_rows(section(page("costs-and-retries.md"), "What a run may spend"))
    caps = {"budget_usd", "daily_usd", "total_usd"}

    assert {code(row[0]).split()[0] for row in rows} == caps | {"--max-cost"}
    assert caps == set(get_args(CapName))
    assert caps <= set(Settings.model_fields)
    assert [row for row in rows if not row[2]] == []


def test_what_makes_a_picture_the_same_is_documented() -> None:
    """The page names what the key of a scene is made of: change one of these, and it is bought."""
    tables = section(page("costs-and-retries.md"), "What makes a picture the same")
    named = {row[0] for row in table_rows(tables.partition("| You |")[0])}
    request = PictureRequest(
        scene_id="scene_001", prompt="Dawn.", width_px=1024, height_px=1024, shown=(_shown("a"),)
    )
    changed: dict[str, dict[str, Any]] = {
        "`scene_id`": {"scene_id": "scene_002"},
        "the prompt": {"prompt": "Dusk."},
        "the negative prompt": {"negative_prompt": "blurry"},
        "the style tags": {"style_tags": ("ink",)},
        "size": {"width_px": 512},
        "quality": {"quality": "high"},
        "output format": {"output_format": "webp"},
        "background": {"background": "opaque"},
        "seed": {"seed": 7},
        "references": {"shown": (_shown("b"),)},
        "their names and roles": {"shown": (_shown("a", name="Mira"),)},
        "the model": {"model": "another"},
        "whether it is a draft": {"is_draft": True},
    }
    asked: dict[str, dict[str, Any]] = {
        "the provider": {"provider": "another"},
        "the endpoint": {"base_url": "http://localhost:4000/v1"},
    }
    fixed = {"provider", "references", "wishes", "labels", "is_sheet"}
    fixed |= {"characters", "extra", "token", "if_refused", "wanted", "takes"}
    fixed |= {"lane"}
    sends: frozenset[Wish] = frozenset(get_args(Wish))
    endpoint = Endpoint(provider="openai")
    scope = Route(endpoint=endpoint, public_url="https://api.openai.com/v1", sends=sends)
    key = scene_keys(request, scope).scene_key

    assert named == set(changed) | set(asked) | {"what only the provider has"}
    assert scene_keys(request, replace(scope, options={"moderation": "low"})).scene_key != key
    assert all(
        scene_keys(replace(request, **change), scope).scene_key != key
        for change in changed.values()
    )
    assert all(
        scene_keys(request, replace(scope, endpoint=replace(endpoint, **change))).scene_key != key
        for change in asked.values()
    )
    assert {name for change in changed.values() for name in change} | fixed | {"height_px"} == {
        field.name for field in fields(PictureRequest)
    }


def _shown(digit: str, name: str | None = None) -> Reference:
    """Return a picture that is shown to the model."""
    sent = SentPicture(sha256=digit * 64, media_type="image/png", size_bytes=1)
    return Reference(wish=ReferenceWish(image="a.png", name=name), sha256=sent.sha256, sent=sent)


def test_the_exit_codes_of_money_are_those_of_the_command_line() -> None:
    """Both pages know the same numbers."""
    rows = table_rows(
        section(page("costs-and-retries.md"), "Exit codes, by what they mean for money")
    )
    listed = [number for row in rows for number in row[0].split(", ")]

    assert listed == [row[0] for row in table_rows(section(page("command-line.md"), "Exit codes"))]
