"""No text of a scene, a note, a provider or a decision runs as code, or reaches anybody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host_stub.contract import Scene
from host_stub.standing.standing import SceneStanding
from tests.browser.conftest import Watch
from tests.browser.reviewing import Reviewer
from tests.browser.stories import sha256_of, standing, take, written

AWAY = "http://127.0.0.1:9/"
PAYLOADS = (
    "<script>window.ran=1</script>",
    "</script><script>window.ran=1</script>",
    "<img src=x onerror=window.ran=1>",
    f"<img src={AWAY}>",
    "<svg onload=window.ran=1>",
    "<svg><script>window.ran=1</script></svg>",
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "<iframe src=javascript:parent.ran=1></iframe>",
    "<a href=javascript:window.ran=1 autofocus onfocus=window.ran=1>x</a>",
    "<body onload=window.ran=1>",
    "<details open ontoggle=window.ran=1>",
    "<input autofocus onfocus=window.ran=1>",
    "<style>@import '" + AWAY + "'</style>",
    "<link rel=stylesheet href=" + AWAY + ">",
    "<meta http-equiv=refresh content='0;url=" + AWAY + "'>",
    "<base href=" + AWAY + ">",
    "<form action=" + AWAY + "><button autofocus>x",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=window.ran=1>",
    "<noscript><p title='</noscript><img src=x onerror=window.ran=1>'>",
    "<!--<img src='--><img src=x onerror=window.ran=1>'>",
    "<![CDATA[<img src=x onerror=window.ran=1>]]>",
    '"><img src=x onerror=window.ran=1>',
    "' onmouseover=window.ran=1 x='",
    "`-window.ran=1-`",
    "'-(window.ran=1)-'",
    "\\'-(window.ran=1)//",
    "\u2028window.ran=1\u2029",
    '"};window.ran=1;//',
    "*/window.ran=1/*",
    "${window.ran=1}",
    "{{constructor.constructor('window.ran=1')()}}",
    "javascript:window.ran=1",
    "data:text/html,<script>opener.ran=1</script>",
    "&lt;img src=x onerror=window.ran=1&gt;",
    "%3Cimg src=x onerror=window.ran=1%3E",
    "\\u003cimg src=x onerror=window.ran=1\\u003e",
    "__proto__",
    "constructor",
    "toString",
    "../../../../etc/passwd",
    "\u202eexe.gnp\u202c",
    "\x1b[31mred\x07",
    "\ufeff\u200b",
    "\ud83d\ude00" * 20,
    "line\nline\r\nline",
)


MARKUP = "script:not([src]), style, iframe, svg, math, form, base, a, details, link:not([href])"
"""Elements that the page itself has none of."""


def _without_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page on which each payload is an id, a prompt, a note, an address and a name."""
    scenes: list[SceneStanding] = []
    notes: dict[str, str] = {}
    for position, raw in enumerate(PAYLOADS):
        payload = _without_surrogates(raw)
        own = [
            take(
                payload,
                number,
                sha256=sha256_of(position, number),
                provider=payload,
                model=payload,
                plugin=payload,
                row={"image_url": f"{AWAY}{payload}?token=secret", "generation_params": {}},
            )
            for number in (1, 2)
        ]
        scene = Scene(scene_id=payload, prompt=payload)
        scenes.append(
            standing(payload, position, own, scene=scene, problem=payload, reasons=(payload,))
        )
        notes[payload] = payload
    folder = tmp_path_factory.mktemp("hostile")
    return written(folder, scenes, name=PAYLOADS[1], notes=notes, whole_pictures=False)


def test_no_payload_runs_or_asks_anybody(out: Path, watch: Watch) -> None:
    """Wherever a text of others is shown: rows, the large view, dialogs, the file, on paper."""
    ana = Reviewer(watch(out))
    ana.page.evaluate("() => { window.ran = 0 }")
    for position in range(len(PAYLOADS)):
        ana.press("Enter", "c", "Escape", "n", "Escape", "e", "Escape")
        ana.press("2", "x", "r", "j")
        row = ana.page.evaluate("() => document.activeElement.closest('article')?.ariaPosInSet")
        assert int(row) == min(position + 2, len(PAYLOADS))
    ana.press("s", "Escape", "?", "Escape", "f", "f")
    ana.page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    ana.page.wait_for_timeout(100)
    ana.page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")

    assert ana.page.evaluate("() => window.ran") == 0
    assert ana.page.locator(MARKUP).count() == 0
    assert _without_pictures(ana) == []


def _without_pictures(ana: Reviewer) -> list[str]:
    """Drop what is only a take that is not there in this story, and return what else was said."""
    left = [one for one in ana.watched.problems if "ERR_FILE_NOT_FOUND" not in one]
    ana.watched.problems.clear()
    return left


def test_texts_stand_on_the_page_as_they_were_written(out: Path, watch: Watch) -> None:
    """Not mended, not shortened to something else: text is text."""
    ana = Reviewer(watch(out))
    shown = ana.page.locator("article:visible .prompt").all_text_contents()

    assert set(shown) <= {_without_surrogates(one) for one in PAYLOADS}
    assert PAYLOADS[0] in shown


def test_a_hostile_file_of_decisions_runs_nothing(out: Path, watch: Watch, tmp_path: Path) -> None:
    """What it says is taken over as text, or left out."""
    decisions = [
        {"scene": _without_surrogates(one), "note": _without_surrogates(one), "prompt": "a" + one}
        for one in PAYLOADS[:30]
    ]
    strange: list[object] = [
        None,
        7,
        [],
        {"scene": {"toString": 1}, "show": []},
        {"scene": "__proto__", "at": {}},
    ]
    path = tmp_path / "<img src=x onerror=window.ran=1>.json"
    path.write_text(
        json.dumps({"format": "stage3-decisions/1", "decisions": [*decisions, *strange]}),
        encoding="utf-8",
    )
    ana = Reviewer(watch(out))
    ana.page.evaluate("() => { window.ran = 0 }")
    ana.give(path)
    ana.wait_until(lambda: "30 taken over" in ana.text("#said"))
    ana.press(*("j" * 30))
    again = ana.decisions(tmp_path)

    assert len(again) == 30
    assert ana.page.evaluate("() => window.ran") == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"null", b'{"format":"stage3-decisions/2","decisions":[]}', b"\xff\xfe\x00"],
)
def test_a_file_that_is_no_decisions_is_named_and_changes_nothing(
    content: bytes, out: Path, watch: Watch, tmp_path: Path
) -> None:
    """With what it lacks, in words."""
    path = tmp_path / "other.json"
    path.write_bytes(content)
    ana = Reviewer(watch(out))
    ana.give(path)
    ana.wait_until(lambda: "other.json cannot be used" in ana.text("#said"))

    assert ana.decisions(tmp_path) == {}


def test_data_of_another_version_is_refused_in_words(watch: Watch, tmp_path: Path) -> None:
    """A page that does not understand its story says which command makes it anew."""
    out = written(tmp_path, [standing("s1", 0, [take("s1", 1)])])
    (out / "review" / "data.js").write_text('window.stage3Review={"format":"other/9"};', "utf-8")
    ana = Reviewer(watch(out))

    assert "host-stub review" in ana.text("#broken")
