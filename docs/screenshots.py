"""Take the pictures of the page for these pages: ``python docs/screenshots.py out docs/images``.

From what `host-stub run docs/examples/lighthouse.json --takes 3` and `host-stub review` left in
``out``, in the distribution's Chromium: the board by day and a comparison by night on a desk, the
board on a phone, and the first picture of the README: `lighthouse.jpg`, which `contact_sheet.py`
made, and the page beside it.
"""
# ruff: noqa: INP001  - a script beside the pages, not a module of a package

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

BESIDE = "lighthouse-reviewed"
SHOTS: tuple[tuple[str, Literal["light", "dark"], int, int, str], ...] = (
    ("review-board", "light", 1280, 800, "2 p j r Home 2"),
    ("review-compare", "dark", 1280, 800, "j j 2 c"),
    ("review-phone", "dark", 390, 800, "p Home"),
    (BESIDE, "light", 1280, 1092, "2 p j r Home 2"),
)
"""Name, scheme, width and height of the window, and the keys that lead there."""
GAP_PX = 8
PAPER = "#14161c"
QUALITY = 80
BESIDE_PX = 720
"""Width of each half of the README's picture."""


def shots(browser: Browser, page: Path) -> Iterator[tuple[str, Image.Image]]:
    """Open the page as a person does, press the keys, and look."""
    for name, scheme, width, height, keys in SHOTS:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        opened = context.new_page()
        opened.goto(page.resolve().as_uri())
        for key in keys.split():
            opened.keyboard.press(key)
        opened.wait_for_timeout(1000)
        yield name, Image.open(io.BytesIO(opened.screenshot())).convert("RGB")
        context.close()


def side_by_side(board: Image.Image, page: Image.Image) -> Image.Image:
    """Lay the frames of the demo and the page beside each other, in one height."""
    halves = [board.copy(), page.copy()]
    for one in halves:
        one.thumbnail((BESIDE_PX, one.height), Image.Resampling.LANCZOS)
    height = max(one.height for one in halves)
    whole = Image.new("RGB", (2 * BESIDE_PX + 3 * GAP_PX, height + 2 * GAP_PX), PAPER)
    for place, one in enumerate(halves):
        top = GAP_PX + (height - one.height) // 2
        whole.paste(one, (GAP_PX + place * (BESIDE_PX + GAP_PX), top))
    return whole


def main() -> None:
    """Read an out folder with its page, and write four JPEGs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the results, with the page in review/")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=False
        )
        taken = dict(shots(browser, options.out / "review" / "index.html"))
        browser.close()
    with Image.open(options.folder / "lighthouse.jpg") as frames:
        taken[BESIDE] = side_by_side(frames, taken[BESIDE])
    for name, picture in taken.items():
        path = options.folder / f"{name}.jpg"
        picture.save(path, quality=QUALITY, optimize=True, progressive=True)


if __name__ == "__main__":
    main()
