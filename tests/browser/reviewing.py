"""A person at the page: presses keys, reads what stands there, takes the file away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host_stub.review.told import NAME
from tests.browser.watched import Watched

if TYPE_CHECKING:
    from playwright.sync_api import FileChooser, Page

_DOWNLOADS_ONLY = "delete window.showSaveFilePicker"


class Reviewer:
    """Somebody who has only a keyboard."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.page: Page = watched.page
        self._choosers: list[FileChooser] = []
        self.page.add_init_script(_DOWNLOADS_ONLY)
        # From the start: once somebody presses the key it may be too late.
        self.page.on("filechooser", self._choose)
        watched.open(f"{NAME}/index.html")
        # The first rows are there at once, and those of a long story a moment later.
        self.wait_until(lambda: self.page.locator("#board[aria-busy]").count() == 0)

    def press(self, *keys: str) -> None:
        """Press keys as a person does, who sees a window close before the next one."""
        for key in keys:
            self.page.keyboard.press(key)
            if key == "Escape":
                self.wait_until(lambda: self.page.locator("dialog").count() == 0)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Let the page go on until something is so; it may run nothing that is given as text."""
        until = time.monotonic() + 10
        while not is_so():
            assert time.monotonic() < until
            self.page.wait_for_timeout(20)

    def write(self, words: str) -> None:
        self.page.keyboard.type(words)

    @property
    def here(self) -> tuple[str, str]:
        """Return what the keyboard's focus is on: the scene's heading, and the take's words."""
        found: list[str] = self.page.evaluate(
            """() => {
              const at = document.activeElement;
              const row = at.closest("article");
              return [row?.querySelector("h2").textContent ?? "", at.textContent];
            }"""
        )
        return found[0].split(" · ")[-1], found[1]

    @property
    def scene(self) -> str:
        return self.here[0]

    @property
    def take(self) -> str:
        return self.here[1].split(" · ")[0]

    @property
    def scenes(self) -> list[str]:
        """Return the scenes whose rows are in the window, in their order."""
        names: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll("#board article:not([hidden])")]
              .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
              .map((row) => row.querySelector("h2").textContent.split(" · ").at(-1))"""
        )
        return names

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def _choose(self, chooser: FileChooser) -> None:
        self._choosers.append(chooser)

    def give(self, path: Path) -> None:
        """Open a file of decisions, by keyboard."""
        self._choosers.clear()
        self.press("o")
        self.wait_until(lambda: bool(self._choosers))
        self._choosers[0].set_files(path)

    def saved(self, folder: Path, *, reviewer: str = "ana") -> Path:
        """Save the decisions, by keyboard, and return the file."""
        self.press("s")
        self.page.locator("#reviewer").fill(reviewer)
        with self.page.expect_download() as download:
            self.page.locator("#reviewer").press("Enter")
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        self.press("Escape")
        return path

    def decisions(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Return the decisions of the saved file by scene."""
        read = json.loads(self.saved(folder).read_bytes())
        return {one["scene"]: one for one in read["decisions"]}
