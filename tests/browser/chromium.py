"""Which browser the tests of the page use, and why there may be none.

It is the distribution's Chromium, driven by Playwright; nothing is downloaded. Where one of the two
is missing, the tests say so and are skipped, or fail where `BROWSER_TESTS=required` promises both.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("playwright", "axe_playwright_python")
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
"""The browser's own requests would be in the way where there is no internet."""


def found() -> str | None:
    """Return where Chromium is; ``CHROMIUM`` names one that the search path does not have."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


def missing() -> str | None:
    """Return what keeps the tests from a browser, or ``None``."""
    lacking = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)} (`tox -e proof` brings it)"
    if found() is None:
        return "no Chromium here (`apt install chromium`, or CHROMIUM=path)"
    return None


def is_required() -> bool:
    """Return whether a browser that is missing is a failure."""
    return os.environ.get("BROWSER_TESTS") == "required"


@contextmanager
def started() -> Generator[Browser]:
    """Run the browser without a screen."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found(),
            chromium_sandbox=False,  # it cannot make one as root, and the pages are ours
            args=list(QUIET),
        )
        yield browser
        browser.close()
