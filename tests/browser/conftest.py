"""Opens pages in a real browser, from files, and sees that they ask nobody for anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.browser import chromium
from tests.browser.watched import Watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Watch: TypeAlias = Callable[..., Watched]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium; where there is none, say what is missing.

    For a module alone: its driver has an event loop, beside which no other test could have one.
    """
    why = chromium.missing()
    if why is not None:
        if chromium.is_required():
            pytest.fail(f"BROWSER_TESTS=required, and {why}")
        pytest.skip(why)
    with chromium.started() as started:
        yield started


@pytest.fixture
def watch(browser: Browser) -> Iterator[Watch]:
    """Make pages of a folder under watch; at the end none has asked elsewhere or complained."""
    pages: list[Watched] = []

    def make(folder: Path, *, width: int = 1280, height: int = 800, **context: Any) -> Watched:
        opened = browser.new_context(viewport={"width": width, "height": height}, **context)
        page = Watched(opened.new_page(), folder)
        pages.append(page)
        return page

    yield make
    seen = [(page.trespasses, page.problems) for page in pages]
    for page in pages:
        page.page.context.close()
    assert seen == [([], [])] * len(pages)
