"""The page for those who see little, or nothing, or only paper; light, dark, large and small."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from tests.browser.conftest import Watch
from tests.browser.reviewing import Reviewer
from tests.browser.stories import every_kind, story_of, written

Scheme = Literal["light", "dark"]
STEPS: dict[str, tuple[str, ...]] = {
    "the board": (),
    "decided": ("j", "2", "p", "j", "x", "r"),
    "a row of twenty": ("End", "Home", *("j" * 9)),
    "keys": ("?",),
    "a note": ("j", "n"),
    "other words": ("j", "e"),
    "large": ("j", "Enter"),
    "side by side": ("j", "2", "c"),
    "flipped": ("j", "2", "c", "Space"),
    "saving": ("j", "p", "s"),
    "a search that finds nothing": ("/", *"zzz", "Enter"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_axe_finds_nothing(
    steps: tuple[str, ...], width: int, scheme: Scheme, watch: Watch, tmp_path: Path
) -> None:
    """Wherever one is, in light and dark, on a desk and on a phone."""
    out = written(tmp_path, every_kind(), notes={"scene_001": "no hat"})
    ana = Reviewer(watch(out, width=width, color_scheme=scheme, reduced_motion="reduce"))
    ana.press(*steps)
    ana.page.wait_for_timeout(300)

    assert ana.watched.findings() == []


def test_a_picture_has_words_of_its_scene_its_take_and_its_prompt(
    watch: Watch, tmp_path: Path
) -> None:
    """Not the file's name."""
    ana = Reviewer(watch(written(tmp_path, story_of(3))))
    words = [one.get_attribute("alt") for one in ana.page.locator("article:visible img").all()]

    assert words[:3] == [
        f"scene_001, take {number}: a harbour at dusk, picture 1" for number in (1, 2, 3)
    ]


def test_help_on_a_phone_begins_with_its_first_words(watch: Watch, tmp_path: Path) -> None:
    """Although the button that has the focus is below the fold."""
    ana = Reviewer(watch(written(tmp_path, every_kind()), width=390))
    ana.press("?")
    ana.page.wait_for_timeout(100)
    ends = ana.page.evaluate(
        "() => { const keys = document.querySelector('#keys');"
        " return [keys.scrollTop, keys.scrollHeight - keys.clientHeight]; }"
    )

    assert ends[0] == 0
    assert ends[1] > 0


def test_each_row_has_one_place_for_the_tab_key(watch: Watch, tmp_path: Path) -> None:
    """Roving, as in every list: within the row the arrows move it, and Tab leaves the row."""
    ana = Reviewer(watch(written(tmp_path, every_kind())))
    ana.press("j", "j", "2")
    rows = ana.page.locator("article:visible").all()

    assert {row.locator(".take[tabindex='0']").count() for row in rows} == {1}
    assert ana.page.evaluate("() => document.activeElement.tabIndex") == 0
    ana.press("Tab")
    assert ana.scene != "scene_002"


def test_every_target_is_large_enough_for_a_finger(watch: Watch, tmp_path: Path) -> None:
    """At least 24 by 24 pixels, on a phone too."""
    ana = Reviewer(watch(written(tmp_path, every_kind()), width=390))
    boxes = [one.bounding_box() for one in ana.page.locator("button:visible, .take:visible").all()]

    assert boxes
    assert all(box and box["width"] >= 24 and box["height"] >= 24 for box in boxes)


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(width: int, watch: Watch, tmp_path: Path) -> None:
    """Rows scroll by themselves; the page does not."""
    ana = Reviewer(watch(written(tmp_path, every_kind()), width=width))
    wide: int = ana.page.evaluate("() => document.documentElement.scrollWidth")

    assert wide <= width


def test_the_theme_is_the_systems_until_a_person_says_another(watch: Watch, tmp_path: Path) -> None:
    """T turns it, and it is kept."""
    ana = Reviewer(watch(written(tmp_path, story_of(3)), color_scheme="dark"))

    def ground() -> int:
        colour: str = ana.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        return int(colour.partition("(")[2].partition(",")[0])

    assert ground() < 80
    ana.press("t")
    assert ground() > 200
    ana.page.reload()
    assert ground() > 200


def test_printed_it_is_a_storyboard(watch: Watch, tmp_path: Path) -> None:
    """Each scene's picture, number and words, in order; nothing of the desk; then all as before."""
    ana = Reviewer(watch(written(tmp_path, every_kind(12))))
    ana.page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    ana.page.emulate_media(media="print")
    panels = ana.page.locator("#storyboard figure")

    assert panels.count() == 13
    assert "2 · scene_002" in panels.nth(2).inner_text()
    assert "the lamp room in a storm" in panels.nth(2).inner_text()
    assert panels.nth(1).locator("img").get_attribute("alt")
    assert not ana.page.locator("#top, #deck, #board").locator("visible=true").count()
    assert ana.page.pdf().startswith(b"%PDF")
    ana.page.emulate_media(media="screen")
    ana.page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
    assert ana.page.locator("#storyboard").count() == 0


def test_what_has_no_small_picture_yet_is_in_the_making(watch: Watch, tmp_path: Path) -> None:
    """The take itself is shown meanwhile, and its words are there in any case."""
    out = written(tmp_path, story_of(1))
    for small in (out / "review" / "thumbs").iterdir():
        small.unlink()
    ana = Reviewer(watch(out))
    ana.wait_until(
        lambda: "takes/" in (ana.page.locator(".take img").first.get_attribute("src") or "")
    )
    missing = [url for url in ana.watched.requests if url.endswith(".webp")]
    ana.watched.problems.clear()

    assert len(missing) == 3
