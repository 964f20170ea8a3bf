"""What the page is told and shown: whatever is in the story, whole, once, and never as markup."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from host_stub.cli import main
from host_stub.contract import Cost, Scene
from host_stub.review.gathering import failures_of
from host_stub.review.runs import SILENT_S, is_running
from host_stub.review.shrinking import SIDE_PX, shrink
from host_stub.review.told import (
    DATA,
    FIRST_SCENES,
    PULSE,
    REST,
    Told,
    own_files,
    row_of,
    write_page,
    write_told,
)
from host_stub.standing.standing import SceneStanding
from host_stub.story.keeper import Story
from host_stub.story.takes import Take
from tests.host.conftest import Distribute

PAINTER = {"painter": "tests.host.painter"}
WORDS = st.text(min_size=1).filter(lambda text: bool(text.strip()))


def take_of(number: int, scene_id: str = "one", **changes: Any) -> Take:
    values: dict[str, Any] = {
        "scene_id": scene_id,
        "number": number,
        "sha256": sha256(f"{scene_id} {number}".encode("utf-8", "surrogatepass")).hexdigest(),
        "media_type": "image/png",
        "width": 48,
        "height": 32,
        "plugin": "painter",
        "basis": "now",
        "model": "oil",
        "cost": Cost(usd=Decimal("0.05"), basis="flat"),
        "made_at": datetime(2026, 11, 26, tzinfo=UTC),
    }
    return Take(**(values | changes))


def standing_of(*takes: Take, scene_id: str = "one", prompt: str = "a pier") -> SceneStanding:
    return SceneStanding(
        scene_id=scene_id,
        scene=Scene(scene_id=scene_id, prompt=prompt),
        state="current" if takes else "missing",
        takes=takes,
        shown=takes[0] if takes else None,
        basis="now",
        cost_usd=Decimal("0.05"),
    )


def usual_path_of(take: Take) -> str | None:
    return f"takes/{take.scene_id}/{take.sha256[:12]}.png"


def yes(_sha256: str) -> bool:
    return True


def no(_sha256: str) -> bool:
    return False


def row(standing: SceneStanding, **told: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "number": 1,
        "path_of": usual_path_of,
        "has_thumb": yes,
    }
    return row_of(standing, **(known | told))


def told_by(*rows: dict[str, Any], **facts: Any) -> Told:
    return Told(story_id="id", name="a story", scenes=list(rows), **facts)


def read(data: bytes) -> dict[str, Any]:
    """Read a script as the page has it after running it."""
    text = re.fullmatch(r"window\.stage3\w+=JSON\.parse\('(.*)'\);\n", data.decode("ascii"))
    assert text is not None
    found: dict[str, Any] = json.loads(re.sub(r"\\(['\\])", r"\1", text[1]))
    return found


def takes_as_the_page_has_them(told: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """Put together again what is said once, as ``Scene.takes`` of the page does."""
    return [
        [
            told["usual"] | {"path": f"../takes/{scene['scene']}/{take['sha256'][:12]}.png"} | take
            for take in scene["takes"]
        ]
        for scene in told["scenes"]
    ]


@given(st.text(), WORDS, st.text(), st.text())
def test_nothing_that_is_told_can_be_markup(
    scene_id: str, prompt: str, note: str, url: str
) -> None:
    """It is what was said all the same, to the last character."""
    take = take_of(1, scene_id or "x", row={"image_url": url})
    standing = standing_of(take, scene_id=scene_id or "x", prompt=prompt)
    data = told_by(row(standing, notes=[(note, note)])).scripts()[DATA]
    (scene,) = read(data)["scenes"]

    assert re.search(rb"[^\x0a\x20-\x7e]|[<>&]", data) is None
    assert (scene["scene"], scene["prompt"]) == (scene_id or "x", prompt)
    assert scene["notes"] == [{"reviewer": note, "note": note}]


def test_unknown_money_is_not_nothing() -> None:
    """A take whose price is unknown has none, and is not added up."""
    takes = (take_of(1), take_of(2, cost=Cost(usd=None, basis="unknown")))
    told = read(told_by(row(replace(standing_of(*takes), cost_usd=None))).scripts()[DATA])
    (listed,) = takes_as_the_page_has_them(told)

    assert [take["cost_usd"] for take in listed] == ["0.05", None]
    assert told["spent_usd"] == "0.05"
    assert "cost_usd" not in told["scenes"][0]


def test_the_page_is_its_own_files_to_the_byte(tmp_path: Path) -> None:
    """No page is made; it is copied, and told."""
    index = write_page(tmp_path, told_by(row(standing_of(take_of(1)))))

    assert index == tmp_path / "review/index.html"
    for name, content in own_files().items():
        assert (tmp_path / "review" / name).read_bytes() == content
    assert {"index.html", "look.css", "desk.js"} <= set(own_files())


def test_what_is_the_same_is_not_written_again(tmp_path: Path) -> None:
    """A page that is open on a share reads nothing for nothing."""
    told = told_by(row(standing_of(take_of(1))))
    write_page(tmp_path, told)
    stamps = {path: path.stat().st_ino for path in (tmp_path / "review").iterdir()}
    write_page(tmp_path, told)

    assert {path: path.stat().st_ino for path in (tmp_path / "review").iterdir()} == stamps


def test_the_pulse_says_which_data_is_there(tmp_path: Path) -> None:
    """Another story, or the end of a run, is another revision."""
    revisions: list[str] = []
    for told in (
        told_by(is_running=True),
        told_by(),
        told_by(row(standing_of())),
        told_by(row(standing_of(take_of(1)))),
    ):
        write_page(tmp_path, told)
        data = read((tmp_path / "review/data.js").read_bytes())
        pulse = read((tmp_path / "review/pulse.js").read_bytes())
        assert pulse == {"revision": data["revision"], "running": told.is_running}
        revisions.append(data["revision"])

    assert len(set(revisions)) == 4


@pytest.mark.parametrize(
    "forbidden",
    [
        r"\b(inner|outer)HTML\b",
        r"insertAdjacentHTML|document\.write|\bDOMParser\b|createContextualFragment|srcdoc",
        r"\beval\b|\bnew Function\b|set(Timeout|Interval)\(\s*[\"'`]",
        r"https?://|//[a-z0-9-]+\.[a-z]",
        r"\bfetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|\bimport\(",
        r"@import|url\(",
        r"\bstyle=|\son[a-z]+=|javascript:",
    ],
)
def test_the_page_has_no_way_to_run_or_to_ask(forbidden: str) -> None:
    """No text becomes markup or code, and nothing is asked of anybody."""
    for name, content in own_files().items():
        assert re.search(forbidden, content.decode("utf-8")) is None, name


def test_the_policy_of_the_page_forbids_all_but_its_files() -> None:
    """Firefox takes ``'self'`` of a file for nothing, hence ``file:`` beside it."""
    html = own_files()["index.html"].decode("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)

    assert policy is not None
    assert policy[1].split("; ") == [
        "default-src 'none'",
        "script-src 'self' file:",
        "style-src 'self' file:",
        "img-src 'self' file:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert re.search(r"<script(?! src=)", html) is None
    assert "<style" not in html


def png(folder: Path, size: tuple[int, int] = (960, 640), mode: str = "RGB") -> tuple[str, Path]:
    path = folder / f"{size[0]}x{size[1]}-{mode}.png"
    Image.new(mode, size).save(path)
    return sha256(path.read_bytes()).hexdigest(), path


@pytest.mark.parametrize(
    "size, mode, small",
    [
        ((960, 640), "RGB", (SIDE_PX, 213)),
        ((640, 960), "RGBA", (213, SIDE_PX)),
        ((20, 10), "L", (20, 10)),
        ((800, 8), "P", (SIDE_PX, 3)),
        ((640, 640), "I;16", (SIDE_PX, SIDE_PX)),
    ],
)
def test_a_picture_is_made_small_in_its_own_shape(
    size: tuple[int, int], mode: str, small: tuple[int, int], tmp_path: Path
) -> None:
    """And never larger than it is."""
    digest, path = png(tmp_path, size, mode)
    target = tmp_path / "x.webp"

    assert shrink(path, target, digest) is None
    with Image.open(target) as picture:
        assert (picture.format, picture.size) == ("WEBP", small)


def test_what_cannot_be_made_small_says_why(tmp_path: Path) -> None:
    """Nothing is left half done, and nothing is raised."""
    digest, path = png(tmp_path)
    broken = tmp_path / "broken.png"
    broken.write_bytes(path.read_bytes()[:200])
    cut = sha256(broken.read_bytes()).hexdigest()
    target = tmp_path / "t" / "x.webp"
    reasons = [
        shrink(path, target, cut),
        shrink(broken, target, cut),
        shrink(tmp_path, target, digest),
        shrink(tmp_path / "none.png", target, digest),
        shrink(path, target, digest),
    ]

    assert all(reasons)
    assert reasons[0] == "it is another picture than it was"
    assert "cannot be written" in str(reasons[-1])
    assert not target.parent.exists()


def test_a_picture_of_too_many_pixels_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of a few bytes can ask for all memory."""
    monkeypatch.setattr("host_stub.review.shrinking._MOST_PIXELS", 100)
    digest, path = png(tmp_path)

    assert "960x640 pixels are too many" in str(shrink(path, tmp_path / "x.webp", digest))


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'{"failures": 3}', b'{"failures": [3]}', b'{"failures": [{"code": "x"}]}'],
)
def test_a_manifest_that_is_none_tells_of_no_failures(content: bytes, tmp_path: Path) -> None:
    """The page says less, and is there."""
    path = tmp_path / "manifest.json"

    assert failures_of(path) == {}
    path.write_bytes(content)
    assert failures_of(path) == {}


def test_a_run_is_going_on_until_its_journal_says_that_it_is_over(tmp_path: Path) -> None:
    """Or until it has said nothing for long."""
    path = tmp_path / "events.jsonl"
    seen = [is_running(tmp_path)]
    path.write_text('{"event": "host.run_started"}\n', encoding="utf-8")
    now = path.stat().st_mtime
    seen += [is_running(tmp_path, now=now), is_running(tmp_path, now=now + SILENT_S)]
    path.write_text('{"event": "host.run_sta', encoding="utf-8")
    seen.append(is_running(tmp_path))
    path.write_text('{"event": "x"}\n{"event": "host.run_finished"}\n', encoding="utf-8")
    seen.append(is_running(tmp_path))

    assert seen == [False, True, False, True, False]


def test_review_writes_the_page_of_the_out_folder(
    distribute: Distribute,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the config, the scene file and what the plugin still has; nothing is made or spent."""
    distribute("painter", PAINTER)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "host.toml").write_text('[pipeline]\nimage = "painter"\n', encoding="utf-8")
    story = [{"scene_id": "one", "prompt": "a <b>pier</b>"}, {"scene_id": "two", "prompt": "fog"}]
    (tmp_path / "story.json").write_text(json.dumps(story), encoding="utf-8")
    before = {path.name for path in tmp_path.iterdir()}
    code = main(["review", "--scenes", "story.json", "--json"])
    said = json.loads(capsys.readouterr().out)

    assert code == 0
    assert said == {
        "format": "stage3-review-page/1",
        "path": "out/review/index.html",
        "scenes": 2,
        "thumbs_missing": [],
        "next_actions": said["next_actions"],
    }
    told = read((tmp_path / "out/review/data.js").read_bytes())
    assert [scene["scene"] for scene in told["scenes"]] == ["one", "two"]
    assert [scene["state"] for scene in told["scenes"]] == ["missing", "missing"]
    assert told["story"]["name"] == "story"
    assert {path.name for path in tmp_path.iterdir()} == {*before, "out"}


@pytest.fixture
def project(distribute: Distribute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a project whose two scenes have a take each, at their places."""
    distribute("painter", PAINTER)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "host.toml").write_text('[pipeline]\nimage = "painter"\n', encoding="utf-8")
    story = [{"scene_id": "one", "prompt": "a pier"}, {"scene_id": "two", "prompt": "fog"}]
    (tmp_path / "story.json").write_text(json.dumps(story), encoding="utf-8")
    with Story.opened(tmp_path, tmp_path / "out", write=True) as kept:
        for number, scene_id in enumerate(("one", "two")):
            _, picture = png(tmp_path, (60 + number, 40))
            kept.import_file(scene_id, picture, basis=None)
    return tmp_path


def told_to(project: Path) -> dict[str, Any]:
    return read((project / "out/review/data.js").read_bytes())


def lacking(told: Mapping[str, Any]) -> list[bool]:
    return [take["no_thumb"] for (take,) in takes_as_the_page_has_them(told)]


def test_review_waits_for_small_pictures(project: Path) -> None:
    """Those of earlier calls are not made again."""
    code = main(["review", "--scenes", "story.json"])
    thumbs = project / "out/review/thumbs"
    first = {path: path.stat().st_ino for path in thumbs.iterdir()}
    again = main(["review", "--scenes", "story.json"])

    assert (code, again) == (0, 0)
    assert lacking(told_to(project)) == [False, False]
    assert len(first) == 2
    assert {path: path.stat().st_ino for path in thumbs.iterdir()} == first


def test_a_picture_that_is_no_more_what_it_was_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is there all the same, and shows the take's own file."""
    (place,) = (project / "out/takes/one").iterdir()
    place.write_bytes(b"somebody's edit")
    code = main(["review", "--scenes", "story.json", "--json"])
    said = capsys.readouterr()

    assert code == 0
    assert [one[:12] for one in json.loads(said.out)["thumbs_missing"]] == [place.stem]
    assert "it is another picture than it was" in said.err
    assert lacking(told_to(project)) == [True, False]


@pytest.mark.slow
def test_the_process_that_makes_them_later_is_left_behind(project: Path) -> None:
    """The command ends at once; the pictures come."""
    code = main(["review", "--scenes", "story.json", "--no-wait"])
    ends = time.monotonic() + 60
    while lacking(told_to(project)) != [False, False] and time.monotonic() < ends:
        time.sleep(0.05)

    assert code == 0
    assert lacking(told_to(project)) == [False, False]


def test_the_page_follows_a_run_until_it_is_over(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A take that comes while somebody looks is told of, and so is the run's end."""
    journal = project / "out/events.jsonl"
    journal.write_text('{"event": "host.run_started"}\n', encoding="utf-8")
    seen: list[tuple[bool, int]] = []
    events = ["scene.made", "host.run_finished"]

    def a_moment_later(_s: float) -> None:
        told = told_to(project)
        seen.append((told["running"], len(told["scenes"][0]["takes"])))
        with Story.opened(project, project / "out", write=True) as kept:
            _, picture = png(project, (80 + len(seen), 40))
            kept.import_file("one", picture, basis=None)
        with journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": events.pop(0)}) + "\n")

    monkeypatch.setattr("host_stub.cli.review_command.time.sleep", a_moment_later)
    code = main(["review", "--scenes", "story.json"])
    told = told_to(project)

    assert code == 0
    assert seen == [(True, 1), (True, 2)]
    assert (told["running"], len(told["scenes"][0]["takes"])) == (False, 3)
    assert all(not take["no_thumb"] for take in takes_as_the_page_has_them(told)[0])


def test_what_the_book_has_of_a_scene_is_told(project: Path) -> None:
    """The pick, notes with their authors, what was rejected, why the last run failed."""
    with Story.opened(project, project / "out", write=True) as kept:
        kept.book.note("two", "no <hat>", "ana")
        kept.book.reject("two", [1])
    failure = {"scene_id": "two", "code": "refused", "message": "policy"}
    (project / "out/manifest.json").write_text(json.dumps({"failures": [failure]}), "utf-8")
    main(["review", "--scenes", "story.json"])
    one, two = told_to(project)["scenes"]

    assert (one["picked"], one["shown"]) == (True, 1)
    assert two["notes"] == [{"reviewer": "ana", "note": "no <hat>"}]
    assert two["problem"] == "refused: policy"
    assert takes_as_the_page_has_them(told_to(project))[1][0]["rejected"] is True


def test_a_folder_that_takes_nothing_ends_in_a_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the next step."""
    (project / "out/review").write_text("a file", encoding="utf-8")
    code = main(["review", "--scenes", "story.json"])

    assert code == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("count", [0, 1, FIRST_SCENES, FIRST_SCENES + 1, 2 * FIRST_SCENES])
def test_the_first_scenes_are_told_first(count: int) -> None:
    """A page of ten thousand scenes shows its first rows before it has read the others."""
    rows = [row(standing_of(take_of(1, f"s{at}"), scene_id=f"s{at}")) for at in range(count)]
    scripts = told_by(*rows).scripts()
    data, rest, pulse = (read(scripts[name]) for name in (DATA, REST, PULSE))
    told = data | {"scenes": data["scenes"] + rest["scenes"]}

    assert list(scripts) == [REST, DATA, PULSE]
    assert data["revision"] == rest["revision"] == pulse["revision"]
    assert (data["of"], len(data["scenes"])) == (count, min(count, FIRST_SCENES))
    assert takes_as_the_page_has_them(told) == [one["takes"] for one in rows]


def test_data_of_a_killed_writer_is_mended(tmp_path: Path) -> None:
    """Whatever it had written: the pulse says that all of it is there, and comes last."""
    former, told = told_by(), told_by(row(standing_of()))
    write_page(tmp_path, former)
    folder = tmp_path / "review"
    for name, content in list(told.scripts().items())[:2]:
        (folder / name).write_bytes(content)
    write_told(tmp_path, former)
    again = {name: (folder / name).read_bytes() for name in former.scripts()}
    write_told(tmp_path, told)

    assert again == former.scripts()
    assert {name: (folder / name).read_bytes() for name in told.scripts()} == told.scripts()
