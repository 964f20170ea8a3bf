"""Everything the page does, it does by keyboard; what is decided there is what a run is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from host_stub.decisions.file import read_decisions
from host_stub.decisions.merge import merge
from tests.browser.conftest import Watch
from tests.browser.reviewing import Reviewer
from tests.browser.stories import BASIS, every_kind, sha256_of, story_of, written
from tests.host.decisions.stories import judge


@pytest.fixture
def ana(watch: Watch, tmp_path: Path) -> Reviewer:
    """Return somebody before a story of every kind of scene."""
    return Reviewer(watch(written(tmp_path, every_kind())))


def test_the_first_scene_has_the_focus_at_what_it_shows(ana: Reviewer) -> None:
    """Nothing has to be clicked before the keys do what they say."""
    assert ana.here == ("mira", "take 1 · ● shown")


def test_scenes_and_takes_are_reached_by_the_keys_that_the_page_names(ana: Reviewer) -> None:
    """J and K, the arrows, digits, Home and End."""
    ana.press("j", "ArrowRight")
    assert (ana.scene, ana.take) == ("scene_001", "take 2")

    ana.press("3")
    assert ana.take == "take 3"
    ana.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert ana.take == "take 2"
    ana.press("End")
    assert ana.scene == "scene_040"
    ana.press("ArrowUp", "k")
    assert ana.scene == "scene_038"
    ana.press("Home", "k")
    assert ana.scene == "mira"


def test_a_pick_moves_on_and_is_taken_back(ana: Reviewer) -> None:
    """The scene says what was picked; after U it is as before."""
    ana.press("j", "2", "p")
    assert ana.scene == "scene_002"
    ana.press("k")
    assert ana.here == ("scene_001", "take 2 · ✓ picked")

    ana.press("u")
    assert ana.text("#count").startswith("0 of 41")
    ana.press("Shift+U")
    assert ana.text("#count").startswith("1 of 41")


def test_what_is_decided_is_saved_as_a_wanted_state(ana: Reviewer, tmp_path: Path) -> None:
    """Each decision with what was seen of its scene; nothing of the others."""
    ana.press("j", "2", "p")  # scene_001
    ana.press("j", "x")  # scene_003 has no picture: nothing to reject
    ana.press("Home", "j", "ArrowRight", "x")  # scene_001, take 3
    ana.press("1", "r", "r", "Shift+R")
    ana.press("n")
    ana.write("no hat")
    ana.press("Control+Enter")
    found = ana.decisions(tmp_path)

    assert list(found) == ["scene_001"]
    assert found["scene_001"].pop("at").endswith("Z")
    seen = [f"sha256:{sha256_of('scene_001', number)}" for number in (1, 2, 3)]
    assert found["scene_001"] == {
        "scene": "scene_001",
        "seen": seen,
        "show": seen[1],
        "reject": [seen[2]],
        "takes": 4,
        "note": "no hat",
    }


def test_what_the_page_saves_is_what_a_run_reads(ana: Reviewer, tmp_path: Path) -> None:
    """None of it is refused, and each take is the one that was picked."""
    scenes = every_kind()
    ana.press("p", "2", "p", "j")  # the sheet, scene_001; at scene_003
    ana.press("r", "j", "j", "j", "j")  # a first take of what has none; at scene_007
    ana.press("e")
    ana.page.keyboard.press("Control+A")
    ana.write("the lamp is lit")
    ana.press("Control+Enter")
    ana.press("j", "x", "r")
    decisions = list(read_decisions([ana.saved(tmp_path)]))
    judged = judge(merge(decisions), scenes, plugin="stage3")

    assert judged.refused == ()
    by_scene = {one.decision.scene_id: one for one in judged.orders}
    assert {one.origin.reviewer for one in decisions} == {"ana"}
    assert by_scene["mira"].show is not None
    assert by_scene["mira"].show.number == 1
    assert by_scene["scene_001"].show is not None
    assert by_scene["scene_001"].show.number == 2
    assert by_scene["scene_007"].prompt == "the lamp is lit"
    assert by_scene["scene_008"].decision.takes is not None
    assert all(one.basis == BASIS for one in judged.orders)


def test_new_words_stand_in_the_row_at_once(ana: Reviewer) -> None:
    """So that one need not open them again to see what was said; undo brings the old ones back."""
    ana.press("j")
    prompt = f"article:has(h2:text('{ana.scene}')) .prompt"
    before = ana.text(prompt)
    ana.press("e")
    ana.page.keyboard.press("Control+A")
    ana.write("the lamp is lit")
    ana.press("Control+Enter")
    assert ana.text(prompt) == "the lamp is lit"

    ana.press("u")
    assert ana.text(prompt) == before


def test_saving_asks_for_a_name_first_and_says_what_comes_next(ana: Reviewer) -> None:
    """Typing at once is the name; both commands are named with the file that it makes."""
    ana.press("j", "2", "p", "s")
    ana.write("Lena")
    assert ana.page.locator("#reviewer").input_value() == "Lena"
    said = ana.text("#saving")
    assert "--decisions decisions-lena.json" in said
    assert "host-stub plan" in said
    assert "host-stub run" in said

    ana.press("Escape", "s")
    assert ana.page.evaluate("() => document.activeElement.type") == "submit"


def test_the_price_of_the_decisions_is_before_ones_eyes(ana: Reviewer) -> None:
    """Each further take adds its price, and taking it back takes that away."""
    ana.press("j")
    assert "Decisions add nothing" in ana.text("#money")

    ana.press("r", "r")
    assert "2 pictures, at most $0.084" in ana.text("#money")
    ana.press("u", "u")
    assert "Decisions add nothing" in ana.text("#money")


def test_two_takes_are_compared_side_by_side_and_flipped(ana: Reviewer) -> None:
    """With what is shown; the same keys decide there, and Esc leads back."""
    ana.press("j", "2", "c")
    viewer = ana.page.locator("#viewer")
    assert viewer.get_attribute("data-mode") == "side"
    assert viewer.locator("figure:visible").count() == 2

    ana.press("Space")
    assert viewer.get_attribute("data-mode") == "flip"
    ana.press("p")
    assert "scene_002" in ana.text("#viewer h2")
    ana.press("Escape")
    assert viewer.count() == 0
    assert ana.scene == "scene_002"


def test_a_filter_leaves_what_it_names_and_a_search_finds_words(ana: Reviewer) -> None:
    """F goes through those that have something; / looks in ids, prompts and notes."""
    ana.press("Shift+F")
    while "Missing" not in ana.text("#filters [aria-pressed=true]"):
        ana.press("Shift+F")
    assert ana.scenes == ["scene_003", "scene_005"]

    while not ana.text("#filters [aria-pressed=true]").startswith("All"):
        ana.press("f")
    ana.press("/")
    ana.write("picture 17")
    ana.wait_until(lambda: ana.scenes == ["scene_017"])
    ana.press("Escape")
    assert len(ana.scenes) > 3


def test_drafts_stand_beside_finals_until_they_are_hidden(ana: Reviewer) -> None:
    """They are marked, and D hides them."""
    for _ in range(7):
        ana.press("j")
    ana.press("1")
    assert "draft" in ana.here[1].split(" · ")

    ana.press("d", "Home")
    for _ in range(7):
        ana.press("j")
    assert "draft" not in ana.text(f"article:has(h2:text('{ana.scene}'))")


def test_the_question_mark_names_every_key(ana: Reviewer) -> None:
    """It opens over the page, and closes to where one was."""
    ana.press("j", "?")
    lines = ana.page.locator("#keys li").all()
    named = " ".join(line.get_attribute("data-key") or "" for line in lines).split()
    assert set(named) >= {
        *"JKPXRNEUCDFSOT/?",
        "Enter",
        "Space",
        "Esc",
        "Home,",
        "End",
        "←",
        "→",
        "1",
    }
    ana.press("Escape")

    assert ana.page.locator("#keys").count() == 0
    assert ana.scene == "scene_001"


def test_decisions_are_still_there_when_the_page_is_opened_anew(
    ana: Reviewer, tmp_path: Path
) -> None:
    """The browser keeps them until they are taken back."""
    ana.press("j", "3", "p")
    before = ana.decisions(tmp_path)
    ana.page.reload()

    assert ana.decisions(tmp_path) == before


def test_a_page_that_is_open_takes_over_what_a_run_makes(watch: Watch, tmp_path: Path) -> None:
    """It stays where one is, and keeps what one decided."""
    ben = Reviewer(watch(written(tmp_path, story_of(5, takes=1), is_running=True)))
    ben.press("j", "p", "j")
    written(tmp_path, story_of(5, takes=2))
    ben.wait_until(lambda: ben.page.locator("article:visible .take").count() >= 8)

    assert ben.scene == "scene_004"
    assert ben.decisions(tmp_path)["scene_002"]["show"].endswith(sha256_of("scene_002", 1))


def test_without_a_pointer_or_storage_the_page_says_what_it_lacks(
    watch: Watch, tmp_path: Path
) -> None:
    """Decisions can be saved all the same."""
    watched = watch(written(tmp_path, story_of(3)))
    watched.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw 1 }})"
    )
    cleo = Reviewer(watched)
    cleo.press("p")

    assert "keeps nothing" in cleo.text("#said")
    assert list(cleo.decisions(tmp_path)) == ["scene_001"]
