"""A provider of a third party: one file in its own distribution, installed for real.

It is the one that ``docs/one-file-provider.md`` shows. Its service is a server of this test, which
answers in a shape that nobody else has, and the pictures are made through the command line of the
host.
"""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.fakes.pngs import make_png
from tests.installed import Environment, build_wheel
from tests.rules.repository import blocks, page

PAINTER, ITS_TESTS = blocks(page("one-file-provider.md"), "python")
KILN, KILN_SAYS, ITS_LAWS = blocks(page("writing-a-provider.md"), "python")
(A_FIRING,) = blocks(page("writing-a-provider.md"), "json")
CARELESS = """
import os
from dataclasses import replace

from painter_pictures import Painter


class Careless(Painter):
    def begin(self, request):
        return replace(super().begin(request), url=os.environ["ELSEWHERE"])
"""
SKETCHER = """
from stage3_plugin.renderers.previz import Previz


class Sketcher(Previz):
    default_size_px = (80, 48)
"""

KEY = "painters-own-key-0123456789"
STORY = [
    {"scene_id": f"scene_{number:03}", "prompt": f"a harbour, take {number}", "seed": number}
    for number in (1, 2, 3)
]


@dataclass
class Gallery:
    """A server that paints, and its books."""

    port: int = 0
    painted: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    visits: list[str] = field(default_factory=list[str])
    heard: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """The headers of every request, names in lower case."""
    places: dict[int, object] = field(default_factory=dict[int, object])
    """Where the picture of a take is said to hang, if not where it does."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def open_gallery() -> Generator[Gallery]:
    gallery = Gallery()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            gallery.heard.append({name.lower(): value for name, value in self.headers.items()})
            gallery.painted.append(asked | {"path": self.path})
            wall = f"{gallery.base_url}/wall/{len(gallery.painted)}.png"
            place = gallery.places.get(asked["seed"], wall)
            answer = json.dumps({"hangs_at": place, "price": "0.030"}).encode()
            self._answer("application/json", answer)

        def do_GET(self) -> None:
            gallery.heard.append({name.lower(): value for name, value in self.headers.items()})
            gallery.visits.append(self.path)
            asked = gallery.painted[int(Path(self.path).stem) - 1]
            self._answer("image/png", make_png(asked["words"], *asked["canvas"]))

        def _answer(self, media_type: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gallery.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield gallery
        server.shutdown()
        thread.join()


@pytest.fixture
def gallery() -> Generator[Gallery]:
    with open_gallery() as opened:
        yield opened


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the page's provider as a distribution, and others of other people beside it."""
    folder = tmp_path_factory.mktemp("third-party")
    environment = Environment(folder / "venv")
    painter = build_wheel(
        folder,
        "painter-pictures 1.4",
        modules={"painter_pictures": PAINTER},
        entry_points={"stage3.providers": {"painter": "painter_pictures:Painter"}},
    )
    careless = build_wheel(
        folder,
        "careless-pictures 2.0",
        modules={"careless_pictures": CARELESS},
        entry_points={"stage3.providers": {"careless": "careless_pictures:Careless"}},
    )
    sketches = build_wheel(
        folder,
        "sketches 0.3",
        modules={"sketches": SKETCHER},
        entry_points={"stage3.providers": {"sketcher": "sketches:Sketcher"}},
    )
    smudge = build_wheel(
        folder,
        "smudge-pictures 0.1",
        modules={"smudge_pictures": "import a_library_that_is_not_there\n"},
        entry_points={"stage3.providers": {"smudge": "smudge_pictures:Smudge"}},
    )
    kiln = build_wheel(
        folder,
        "kiln-pictures 0.1.0",
        modules={"kiln_pictures": KILN, "kiln_says": KILN_SAYS},
        entry_points={"stage3.providers": {"kiln": "kiln_pictures:Kiln"}},
    )
    environment.install(painter, careless, sketches, smudge, kiln)
    return environment


@pytest.fixture
def project(tmp_path: Path, gallery: Gallery) -> Path:
    """Return a folder with a story, and a config that names the third party's provider."""
    (tmp_path / "story.json").write_text(json.dumps(STORY), encoding="utf-8")
    (tmp_path / "host.toml").write_text(
        '[plugin.stage3]\nprovider = "painter"\nmodel = "oil"\nsize = "96x64"\n'
        f'base_url = "{gallery.base_url}"\napi_key = {{ env = "PAINTER_API_KEY" }}\n',
        encoding="utf-8",
    )
    return tmp_path


WITH_KEY = {"PAINTER_API_KEY": KEY}


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "out" / "manifest.json").read_bytes())
    return manifest


def test_a_third_partys_provider_makes_the_pictures(
    environment: Environment, project: Path, gallery: Gallery
) -> None:
    """Through the command line, for what it reports, and never twice; its key goes to its API."""
    environment.host_stub(project, "run", "story.json", environ=WITH_KEY)
    manifest = manifest_of(project)
    environment.host_stub(project, "run", "story.json", environ=WITH_KEY)
    again = manifest_of(project)

    assert (manifest["cost_usd"], again["cost_usd"]) == ("0.09", "0")
    assert [entry["scene_id"] for entry in manifest["images"]] == [
        scene["scene_id"] for scene in STORY
    ]
    for scene, entry in zip(STORY, manifest["images"], strict=True):
        content = (project / entry["image_path"]).read_bytes()
        assert content == make_png(str(scene["prompt"]), 96, 64)
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert entry["cost_usd"] == "0.03"
    assert sorted(one["seed"] for one in gallery.painted) == [1, 2, 3]
    assert {one["style"] for one in gallery.painted} == {"oil"}
    assert len(gallery.visits) == 3
    keys = [one["x-painter-key"] for one in gallery.heard if "x-painter-key" in one]
    assert keys == [KEY] * 3  # the addresses of pictures get none


@pytest.mark.parametrize("place", ["", "http://[", "not an address", None, {"wall": 1}])
def test_an_answer_without_a_place_is_unknown_and_harms_no_other(
    environment: Environment, project: Path, gallery: Gallery, place: object
) -> None:
    """It may have been billed, so it is kept as it came, and never bought again by itself."""
    gallery.places[2] = place
    for _ in range(2):
        environment.host_stub(project, "run", "story.json", code=4, environ=WITH_KEY)
        manifest = manifest_of(project)

        assert [entry["scene_id"] for entry in manifest["images"]] == ["scene_001", "scene_003"]
        (failed,) = manifest["failures"]
        assert (failed["scene_id"], failed["code"]) == ("scene_002", "unknown")
    assert len(gallery.painted) == 3


def test_the_pages_own_tests_pass(environment: Environment, tmp_path: Path) -> None:
    """They need nothing but what a distribution of its own has."""
    names = re.findall(r"^def (test_\w+)", ITS_TESTS, re.MULTILINE)
    calls = "".join(f"{name}()\n" for name in names)
    (tmp_path / "checks.py").write_text(f"{ITS_TESTS}\n{calls}", encoding="utf-8")

    assert len(names) == 2
    subprocess.run([environment.python, "checks.py"], cwd=tmp_path, check=True, timeout=120)


def test_the_key_does_not_follow_to_where_a_provider_points(
    environment: Environment, project: Path, gallery: Gallery
) -> None:
    """It is the transport's, for the hosts of the profile and of ``base_url`` alone."""
    with open_gallery() as elsewhere:
        environment.host_stub(
            project,
            "run",
            "story.json",
            "--limit=1",
            "--set=plugin.stage3.provider=careless",
            code=5,  # paid, and its picture is not fetched from there either
            environ=WITH_KEY | {"ELSEWHERE": f"{elsewhere.base_url}/paintings"},
        )

    assert gallery.heard == []
    assert len(elsewhere.painted) == 1
    assert KEY not in json.dumps(elsewhere.heard)


def test_a_third_partys_renderer_is_found_in_the_same_way(
    environment: Environment, project: Path, gallery: Gallery
) -> None:
    """It draws on this machine, for nothing, in a size of its own where none is set."""
    (project / "host.toml").write_text('[plugin.stage3]\nprovider = "sketcher"\n', "utf-8")
    environment.host_stub(project, "run", "story.json", "--limit=1")
    manifest = manifest_of(project)
    (image,) = manifest["images"]

    assert (image["width"], image["height"]) == (80, 48)
    assert manifest["cost_usd"] == "0"
    assert gallery.heard == []


@pytest.fixture
def kiln_project(tmp_path: Path) -> Path:
    """Return the folder of who has followed the page about a provider with a queue."""
    (tmp_path / "recorded").mkdir()
    (tmp_path / "recorded" / "a_firing.json").write_text(A_FIRING, encoding="utf-8")
    (tmp_path / "test_kiln.py").write_text(ITS_LAWS, encoding="utf-8")
    (tmp_path / "story.json").write_text(json.dumps(STORY), encoding="utf-8")
    return tmp_path


KILN_WORDS = ("kiln", "--model", "celadon", "--dialect", "kiln_says:KilnSays")


def test_the_page_about_queues_obeys_every_law(
    environment: Environment, kiln_project: Path
) -> None:
    """By its command, as the page prints it, and by its test file."""
    tried = subprocess.run(
        [environment.python, "-m", "stage3_plugin.testing", *KILN_WORDS, "--recorded", "recorded"],
        cwd=kiln_project, capture_output=True, encoding="utf-8", check=False, timeout=120,
    )  # fmt: skip
    tested = subprocess.run(
        [environment.python, "-m", "pytest", "-qp", "no:cacheprovider", "-k", "lies or recorded"],
        cwd=kiln_project, capture_output=True, encoding="utf-8", check=False, timeout=120,
    )  # fmt: skip

    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "ok      a queue that lies is not believed: 5 tried" in tried.stdout
    assert "--      a lost answer is found by its token: 0 tried" in tried.stdout
    assert "ok      recorded answers mean what they meant: 4 tried" in tried.stdout
    assert tested.returncode == 0, tested.stdout


def test_the_page_about_queues_makes_pictures(environment: Environment, kiln_project: Path) -> None:
    """From the server that it stays to be, and bills what the run says that it cost."""
    with subprocess.Popen(
        [environment.python, "-m", "stage3_plugin.testing", *KILN_WORDS, "--serve"],
        stdout=subprocess.PIPE, encoding="utf-8",
    ) as server:  # fmt: skip
        assert server.stdout is not None
        try:
            table = "".join(takewhile(str.strip, server.stdout))
            (kiln_project / "host.toml").write_text(table, encoding="utf-8")
            environment.host_stub(kiln_project, "run", "story.json")
            server.send_signal(signal.SIGINT)
            told = server.stdout.read()
        finally:
            server.kill()
    manifest = manifest_of(kiln_project)

    assert [entry["cost_usd"] for entry in manifest["images"]] == ["0.03"] * 3
    *_, books = told.splitlines()
    assert books == "requests 3, pictures 3, would have been billed $0.09"


def test_a_broken_one_is_refused_by_its_distribution_and_harms_no_other(
    environment: Environment, project: Path, gallery: Gallery
) -> None:
    """With the next step, before anything is made; whoever names another one never hears of it."""
    broken = environment.host_stub(
        project,
        "run",
        "story.json",
        "--set=plugin.stage3.provider=smudge",
        code=2,
        environ=WITH_KEY,
    )
    meant = environment.host_stub(
        project, "check", "--set=plugin.stage3.provider=paniter", code=2, environ=WITH_KEY
    )

    assert "provider 'smudge' of smudge-pictures 0.1 (smudge_pictures:Smudge)" in broken.stderr
    assert "No module named 'a_library_that_is_not_there'" in broken.stderr
    assert "pip install --force-reinstall 'smudge-pictures'" in broken.stderr
    assert "did you mean 'painter'?" in meant.stderr
    assert gallery.painted == []
    assert not (project / ".stage3").exists()
