"""A page under watch: what it asked for, what it complained of, what ran in it unasked."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page

_SEEN = 30
"""As many elements of one finding of axe are told."""


@functools.cache
def _axe() -> str:
    return (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


@dataclass
class Watched:
    """One page and what was seen of it since it was made.

    Attributes:
        page: Playwright's own.
        folder: What it may read lies in here; every other request is a trespass.
        requests: Every address it asked for, those that a policy stopped too.
        problems: Errors that it or the browser wrote to the console, and dialogs.
    """

    page: Page
    folder: Path
    requests: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))
        self.page.on("popup", lambda popup: self.problems.append(f"popup: {popup.url}"))
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("crash", lambda _page: self.problems.append("the page crashed"))
        self.page.on(
            "console",
            lambda message: (
                self.problems.append(f"console: {message.text}")
                if message.type in {"error", "warning"}
                else None
            ),
        )

    def open(self, name: str = "index.html") -> Page:
        """Open a file of the folder, as a person does who clicks on it."""
        self.page.goto((self.folder / name).as_uri())
        return self.page

    @property
    def trespasses(self) -> list[str]:
        """Return the addresses that are no files of the folder."""
        return [url for url in self.requests if not self._is_own(url)]

    def _is_own(self, url: str) -> bool:
        address = urlsplit(url)
        if address.scheme == "blob":  # what it made itself, as a download is
            return True
        path = Path(unquote(address.path)).resolve()
        is_file = address.scheme == "file" and not address.netloc
        return is_file and path.is_relative_to(self.folder.resolve())

    def findings(self, *, without: Sequence[str] = ()) -> list[str]:
        """Return what axe finds in the page as it stands: the rule, and where.

        Args:
            without: Rules that are left out.
        """
        self.page.evaluate(_axe())
        rules = {rule: {"enabled": False} for rule in without}
        options = {"rules": rules, "preload": False}  # a file may not read another
        found: dict[str, Any] = self.page.evaluate("options => axe.run(options)", options)
        return [
            f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes'][:_SEEN]]}"
            for one in found["violations"]
        ]

    def elements(self) -> int:
        """Return how many elements the page has now."""
        count: int = self.page.evaluate("document.getElementsByTagName('*').length")
        return count
