"""What watches the page sees a trespass, a complaint and a fault, or it would prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import chromium
from tests.browser.conftest import Watch

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title></head>
<body><main><h1>A page</h1>{}</main></body></html>"""


POLICY = "default-src 'none'"


def page_with(folder: Path, body: str) -> Path:
    (folder / "index.html").write_text(PAGE.format(body), encoding="utf-8")
    return folder


def test_a_page_that_asks_nobody_is_quiet(watch: Watch, tmp_path: Path) -> None:
    """Its own files are no trespass, and axe finds nothing."""
    (tmp_path / "own.css").write_text("h1 { color: #111 }", encoding="utf-8")
    watched = watch(page_with(tmp_path, '<link rel="stylesheet" href="own.css">'))
    watched.open()

    assert len(watched.requests) == 2
    assert watched.findings() == []
    assert watched.elements() == 8


@pytest.mark.parametrize(
    "body",
    [
        '<img alt="" src="http://127.0.0.1:9/pixel.png">',
        '<link rel="stylesheet" href="http://127.0.0.1:9/style.css">',
        '<script>new WebSocket("ws://127.0.0.1:9/")</script>',
        '<script>fetch("http://127.0.0.1:9/").catch(() => 0)</script>',
        '<img alt="" src="../beside.png">',
        '<iframe title="other" src="/etc/hostname"></iframe>',
    ],
)
def test_a_request_elsewhere_is_seen(body: str, watch: Watch, tmp_path: Path) -> None:
    """Whatever makes it, and whether or not anybody answers."""
    (tmp_path / "beside.png").write_bytes(b"")
    (tmp_path / "own").mkdir()
    watched = watch(page_with(tmp_path / "own", body))
    watched.open().wait_for_timeout(100)
    trespasses = [*watched.trespasses]
    watched.page.close()  # the browser may complain of it any time
    watched.requests.clear()
    watched.problems.clear()

    assert len(trespasses) == 1


@pytest.mark.parametrize(
    "body",
    [
        "<script>undefined_name</script>",
        "<script>console.error('oh')</script>",
        "<script>Promise.reject(new Error('oh'))</script>",
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><img alt="" src="own.png">',
    ],
)
def test_a_complaint_is_seen(body: str, watch: Watch, tmp_path: Path) -> None:
    """An error of the page, or the browser's about it."""
    watched = watch(page_with(tmp_path, body))
    watched.open().wait_for_timeout(100)
    problems = [*watched.problems]
    watched.page.close()
    watched.problems.clear()

    assert problems


def test_axe_finds_a_picture_without_words(watch: Watch, tmp_path: Path) -> None:
    """And says which."""
    (tmp_path / "own.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', encoding="utf-8")
    watched = watch(page_with(tmp_path, '<img src="own.svg">'))
    watched.open()

    assert [one.split(":")[0] for one in watched.findings()] == ["image-alt"]
    assert "own.svg" in watched.findings()[0]


def test_a_browser_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the way to get it; where it was promised, that is a failure (`browser`)."""
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("BROWSER_TESTS", "required")

    assert "no Chromium" in (chromium.missing() or "") or "tox -e proof" in (
        chromium.missing() or ""
    )
    assert chromium.is_required()
