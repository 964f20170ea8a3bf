"""Nothing on the disk or on a terminal holds a key, wherever and however a provider quotes it."""

from __future__ import annotations

import base64
import gzip
import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from subprocess import CompletedProcess
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.picture import InlinePicture, SpooledPart
from stage3_plugin.providers.replies.answers import pictures_in
from stage3_plugin.runtime.masking import LONG_ENOUGH, MASK, Masked
from stage3_plugin.storage.spool.loose_base64 import inline_bytes
from stage3_plugin.storage.spool.reading import load_reply
from stage3_plugin.storage.spool.writing import SpooledAnswer
from tests.fakes.behaviours import Behaviour, Hang, Ok
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.wire import Exchange
from tests.heavy import further
from tests.hostile.spellings import found_in, in_base64, percent_encoded, spellings_of
from tests.projects import Project

SECRET = "Zq/7+plain.Words~of_no-kNown:shape&9"
ALL = tuple(dict.fromkeys(spellings_of(SECRET)))
PERCENT, IN_64 = next(percent_encoded(SECRET)), next(in_base64(SECRET)).rstrip("=")
TOLD = " | ".join(ALL)
LONG = base64.b64encode(Random(3).randbytes(60_000)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """Quote the key: in the status line and the headers, and in what a function makes of a body.

    Attributes:
        make: Gives the body, from the picture and the host to fetch pictures from.
        status: Of the answer.
        media_type: Of the body.
        headers: Beside those with the key.
        lacks: So many bytes of the body are announced and never come.
    """

    make: Callable[[bytes, str], bytes]
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    lacks: int = 0

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        host = exchange.base_url.removesuffix("/v1")
        body = self.make(Ok(heavy=True, size_px=(160, 120)).made(exchange), host)
        lines = [
            f"HTTP/1.1 {self.status} No {SECRET}",
            f"Content-Type: {self.media_type}; key={SECRET}",
            f"Content-Length: {len(body) + self.lacks}",
            f"X-Request-Id: {SECRET}",
            f"{'X-' + IN_64}: named like it",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            *(f"X-Echo-{number}: key {told}" for number, told in enumerate(ALL)),
        ]
        exchange.status = self.status
        await exchange.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        if self.lacks:
            exchange.close()


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _error(status: int, **more: object) -> Echo:
    error = {"message": f"Wrong key {TOLD}", "code": SECRET, "type": PERCENT, "param": IN_64}
    return Echo(
        make=lambda _picture, _host: _json({"error": error | more, "detail": TOLD}), status=status
    )


def _picture(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def _beside(picture: bytes, _host: str) -> bytes:
    told = {f"{spelling} as a name": spelling for spelling in ALL}
    one = {"b64_json": _picture(picture), "revised_prompt": TOLD}
    return _json({"data": [one], "id": SECRET, "quality": SECRET, "model": IN_64, "told": told})


ECHOES: dict[str, Behaviour] = {
    "an error": _error(400),
    "a wrong key": _error(401),
    "a limit of money": _error(402),
    "a server's error": _error(500),
    "a success that is an error": _error(200),
    "beside a picture": Echo(make=_beside),
    "a success without a picture": Echo(
        make=lambda _picture, _host: _json({"data": [], "id": SECRET, "t": ALL})
    ),
    "a page": Echo(
        make=lambda _picture, _host: f"<html><p>{TOLD}</p></html>".encode(),
        status=502,
        media_type="text/html",
    ),
    "a page with 200": Echo(make=lambda _picture, _host: TOLD.encode(), media_type="text/plain"),
    "words that are called a picture": Echo(
        make=lambda _picture, _host: TOLD.encode(), media_type="image/png"
    ),
    "in an address": Echo(
        make=lambda _, host: _json({"data": [{"url": f"{host}/pictures/1.png?key={SECRET}"}]})
    ),
    "in an address, percent-encoded": Echo(
        make=lambda _, host: _json({"data": [{"url": f"{host}/pictures/1.png?{PERCENT}#{IN_64}"}]})
    ),
    "in an address of nobody": Echo(
        make=lambda _picture, _host: _json({"data": [{"url": f"https://{IN_64}.example/{SECRET}"}]})
    ),
    "a redirect": Echo(
        make=lambda _picture, _host: b"",
        status=307,
        headers={"Location": f"/v1/{SECRET}?{PERCENT}"},
    ),
    "a long text": Echo(
        make=lambda _picture, _host: _json(
            {"error": {"message": "words, " * 9000 + TOLD + " words" * 9000}}
        )
    ),
    "a text that begins as base64": Echo(
        make=lambda _picture, _host: _json(
            {"error": {"message": LONG[:50_000] + SECRET + "! " + TOLD}}
        )
    ),
    "in base64 that is long": Echo(
        make=lambda _picture, _host: _json(
            {"log": base64.b64encode(b"log " * 9000 + TOLD.encode()).decode()}
        )
    ),
    "in too many values": Echo(
        make=lambda _picture, _host: b'{"a": [' + b"[]," * 50_000 + _json(ALL) + b"]}"
    ),
    "in five megabytes": Echo(make=lambda _picture, _host: _json([["a word " * 1000] * 750, ALL])),
    "in damaged gzip": Echo(
        make=lambda _picture, _host: gzip.compress(TOLD.encode(), 0)[:-9] + b"\xff" * 20,
        headers={"Content-Encoding": "gzip"},
    ),
    "behind a picture": Echo(
        make=lambda picture, _: _json({"data": [{"b64_json": _picture(picture + TOLD.encode())}]})
    ),
    "in a media type": Echo(
        make=lambda picture, _: _json(
            {"data": [{"b64_json": f"data:image/{IN_64};base64,{_picture(picture)}"}]}
        )
    ),
    "cut within it": Echo(
        make=lambda _picture, _host: b'{"error": "' + SECRET[:-3].encode(), lacks=50
    ),
}
"""By scene."""

MORE_PLACES = {
    "a limit of money",
    "a server's error",
    "a success that is an error",
    "a page with 200",
    "words that are called a picture",
    "in an address, percent-encoded",
    "in an address of nobody",
    "a long text",
    "in base64 that is long",
    "in too many values",
    "in damaged gzip",
}
"""Each is much like another place."""

MADE = {"places": 4, "more places": 1}
"""Pictures: three with the key beside them, and two that were fetched with it in their address."""


def group_of(echo: str) -> str:
    return "more places" if echo in MORE_PLACES else "places"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    story = [
        {"scene_id": f"e{number:02}", "image_prompt": f"e{number:02}: a harbour at dusk"}
        for number in range(len(ECHOES))
    ]
    (project.folder / "scenes.json").write_text(json.dumps(story), encoding="utf-8")
    return project


def everything_below(folder: Path) -> dict[str, bytes]:
    """Read every file, the ledger and its log included."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("group", ["places", *further(["more places"])])
def test_a_key_that_is_quoted_everywhere_is_nowhere(
    project: Project, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    """In every place of an answer and every spelling; what is made of the answers is looked at."""
    monkeypatch.setattr("tests.projects.KEY", SECRET)
    with ImageApi(key=SECRET) as api:
        for number, echo in enumerate(ECHOES.values()):
            api.script(echo, scene=f"e{number:02}", times=3)
        project.config(api, provider="openai", model="gpt-image-2", max_attempts=1)
        said: list[CompletedProcess[str]] = []
        for number, name in enumerate(ECHOES):  # one by one: a wrong key stops a run
            if group_of(name) != group:
                continue
            said.append(project.run("run", "scenes.json", "--scene", f"e{number:02}"))
            assert said[-1].returncode in {0, 1, 3, 4, 5}, said[-1].stderr
            (project.folder / "out").rename(project.folder / f"out-{number}")
    said += [project.stage3("attempts"), project.stage3("attempts", "--json")]
    said += [project.stage3("verify")]

    files = everything_below(project.folder)
    shown = {f"{one.args}": (one.stdout + one.stderr).encode() for one in said}
    assert {
        name: ways for name, data in (files | shown).items() if (ways := found_in(data, SECRET))
    } == {}
    assert any(MASK.encode() in text for text in shown.values())
    assert not any(SECRET[:-3].encode() in data for data in files.values())
    assert any(name.startswith(".stage3/spool") for name in files)
    takes = (Path(name) for name in files if "/takes/" in name)  # each run puts back all of them
    assert len({(take.parent.name, take.name) for take in takes}) == MADE[group]


def test_what_is_searched_for_is_found() -> None:
    """The search above finds every spelling, or it would prove nothing."""
    for spelling in ALL:
        assert found_in(b"behind it " + spelling.encode() + b" before it", SECRET), spelling


def _whole_in(folder: Path, told: bytes) -> bool:
    return any(told in data for data in everything_below(folder / ".stage3").values())


@dataclass(frozen=True, slots=True)
class Half:
    """Send the beginning of a long answer that quotes the key, and no more."""

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        head = "HTTP/1.1 500 Bad\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n"
        told = json.dumps({"error": [f"Wrong key {TOLD}", "words " * 9000]})[:-3]
        await exchange.send(head.encode() + told.encode())
        await Hang().answer(exchange)


def test_what_a_killed_run_received_is_covered_by_the_next(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies there as it came, for its owner alone, until somebody looks at it."""
    monkeypatch.setattr("tests.projects.KEY", SECRET)
    with ImageApi(key=SECRET) as api:
        api.script(Half(), scene="e00")
        project.config(api, provider="openai", model="gpt-image-2", max_attempts=1)
        running = project.start("run", "scenes.json", "--scene", "e00")
        until = time.monotonic() + 30
        while not _whole_in(project.folder, SECRET.encode()) and time.monotonic() < until:
            time.sleep(0.02)
        running.kill()
        running.communicate()
        left = [path for path in (project.folder / ".stage3/spool").rglob("*") if path.is_file()]
        assert {path.stat().st_mode & 0o777 for path in left} == {0o600}
        said = project.run("run", "scenes.json", "--scene", "e01")

    assert said.returncode in {0, 5}, said.stderr
    files = everything_below(project.folder)
    assert {name: found for name, data in files.items() if (found := found_in(data, SECRET))} == {}
    assert _whole_in(project.folder, b"words words")


# The search itself -------------------------------------------------------------------------------

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=LONG_ENOUGH, max_size=60)
AROUND = st.binary(max_size=40) | st.text(max_size=20).map(lambda text: text.encode("utf-8"))
VENDORS = st.sampled_from(
    [
        SECRET,
        "sk-proj-aB3-_xYz09QwErTyUiOpLkJhGf",
        "0123456789abcdef" * 2,
        "abcdEFGH",
        "4c0f0d2e-11aa-4b3c-9d8e-abcdefabcdef:9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "AIzaSy" + "q7_x" * 39,
        "of~every?>sign?>~of?~base64",
    ]
)


@given(KEYS | VENDORS, st.data(), AROUND, AROUND)
def test_every_key_is_covered_in_every_spelling(
    key: str, data: st.DataObject, before: bytes, behind: bytes
) -> None:
    """Whatever it is made of, and whatever stands around it; every length stays."""
    spelling = data.draw(st.sampled_from(list(spellings_of(key)))).encode()
    told = before + spelling + behind

    covered = Masked([key]).covered(told)

    assert found_in(covered, key) == []
    assert len(covered) == len(told)


@given(KEYS | VENDORS, st.data())
def test_nothing_but_the_key_is_covered(key: str, data: st.DataObject) -> None:
    """Every letter around it stays, in bytes and in words; there it is seen that a key stood."""
    spelling = data.draw(st.sampled_from([key, *percent_encoded(key), json.dumps(key)[1:-1]]))
    around = "\U0010ffff" if "\U0010ffff" not in key else ""

    sign = b"1" if key.isascii() and key.isdigit() else b"*"
    cover = sign * len(spelling.encode())
    covered = Masked([key]).covered(f"{around}{spelling}{around}".encode())
    assert covered == around.encode() + cover + around.encode()
    assert Masked([key]).text(f"{around}{spelling}{around}") == f"{around}{MASK}{around}"


@given(KEYS | VENDORS)
def test_no_end_of_a_key_stays_in_base64(key: str) -> None:
    """But for the letters that are made of its neighbours as well."""
    for spelling in in_base64(key):
        covered = Masked([key]).covered(spelling.encode())

        assert len(covered.replace(b"*", b"")) <= len("eHhz") + len("5eg==") + 1


@given(VENDORS, st.data(), st.integers(0, 3), st.integers(0, 40_000))
def test_a_file_is_covered_as_its_bytes_are(
    tmp_path_factory: pytest.TempPathFactory, key: str, data: st.DataObject, more: int, at: int
) -> None:
    """Wherever in it a key stands, and however often."""
    spelling = data.draw(st.sampled_from(list(spellings_of(key)))).encode()
    told = b"words " * (at // 6) + spelling + (b" and again " + spelling) * more
    path = tmp_path_factory.mktemp("file") / "skeleton"
    path.write_bytes(told)

    Masked([key]).cover_file(path)

    assert path.read_bytes() == Masked([key]).covered(told)
    assert found_in(path.read_bytes(), key) == []


def test_a_key_is_found_where_a_large_file_is_read_in_two_pieces(tmp_path: Path) -> None:
    """No border of what is read at once hides it."""
    path = tmp_path / "results"
    near = (16 << 10) + 12 * len(SECRET)
    for at in (*range((1 << 20) - len(SECRET), 1 << 20, 3), (16 << 10) - 5, near - 20):
        path.write_bytes(b" " * at + SECRET.encode())

        Masked([SECRET]).cover_file(path)

        assert path.read_bytes() == b" " * at + b"*" * len(SECRET)


@given(
    KEYS | VENDORS | st.integers(10**7).map(str),
    st.dictionaries(st.text(max_size=9), st.text(max_size=9) | st.integers(), max_size=3),
)
def test_a_document_stays_one_wherever_a_key_stood(key: str, other: dict[str, object]) -> None:
    """In a text, as a name, in a list, and where it is a number."""
    number = int(key) if key.isascii() and key.isdigit() and key[0] != "0" else 7
    document = other | {key: [key, f"x {key} y", number], "last": key}

    covered = json.loads(Masked([key]).covered(_json(document)))

    assert len(covered) == len(document)
    assert found_in(json.dumps(covered).encode(), key) == []
    assert any(type(value) is list and type(value[-1]) is int for value in covered.values())


def test_a_picture_keeps_every_byte(tmp_path: Path) -> None:
    """Even where a pattern turns up in it by chance: it would be another picture, or none."""
    picture = make_png("a harbour", 160, 120, heavy=True)
    text = base64.b64encode(picture)
    secrets = [text[5000:5020].decode(), picture[900:950].hex(), "sk-test-0123456789"]
    spool = SpooledAnswer(tmp_path / "a", masked=Masked(secrets))
    spool.opened(200, {})
    spool.feed(b'{"data": [{"b64_json": "' + text + b'"}]}')
    spool.finish("whole")

    [part] = load_reply(tmp_path / "a", Masked(secrets)).parts.values()
    assert part.path.read_bytes() == picture


# Pictures that hold a secret ---------------------------------------------------------------------

NAMED = "OpenAI API"
"""A header's value, which is a secret to us, and stands in the picture's metadata."""


def _naming(picture: bytes, told: str = NAMED) -> bytes:
    """Put words into a PNG, at each place that makes other base64 of them."""
    words = b"tEXtSoftware\0" + b"".join(b"%b;%b" % (b"x" * n, told.encode()) for n in range(6))
    crc = zlib.crc32(words).to_bytes(4)
    return picture[:33] + (len(words) - 4).to_bytes(4) + words + crc + picture[33:]


SMALL = _naming(make_png("a small harbour", 16, 12))
MEDIUM = _naming(make_png("a harbour", 56, 40, heavy=True))
LARGE = _naming(make_png("a harbour", 160, 120, heavy=True))


def _in_lines(text: str) -> str:
    return "\n".join(text[start : start + 76] for start in range(0, len(text), 76))


def _bodies(picture: bytes) -> dict[str, bytes]:
    """Return answers with a picture, each in another way that is read."""
    text = _picture(picture)
    written = {
        "base64": text,
        "for addresses": text.replace("+", "-").replace("/", "_"),
        "in lines": _in_lines(text),
        "behind blanks": f"   {text}",
        "behind lines": f"\n\n{text}",
        "a data URL": f"data:image/png;base64,{text}",
        "a data URL of base64, percent-encoded": f"data:image/png;base64,{quote(text, safe='')}",
        "a data URL, percent-encoded": f"data:image/png,{quote_from_bytes(picture)}",
        "a data URL in quotes": f'"data:image/png;base64,{text}"',
        "base64 with an odd sign": f"{text[:60]}\u2026{text[60:]}",
    }
    images = {name: _json({"data": [{"b64_json": said}]}) for name, said in written.items()}
    chat = {"content": f"Here it is: ![it](data:image/png;base64,{text}) as asked"}
    plain = images["base64"]
    return images | {
        "escaped slashes": plain.replace(b"/", rb"\/"),
        "escaped signs": plain.replace(b"/", rb"\u002f").replace(b"+", rb"\u002B"),
        "escapes alone": b'{"data": [{"b64_json": "%b"}]}'
        % b"".join(rb"\u%04x" % code for code in text.encode()),
        "a chat": _json({"choices": [{"message": chat}]}),
        "a list": _json(
            {
                "choices": [
                    {
                        "message": {
                            "content": [{"image_url": {"url": f"data:image/png;base64,{text}"}}]
                        }
                    }
                ]
            }
        ),
        "many before it": _json({"more": [text] * 70, "data": [{"b64_json": text}]}),
    }


@pytest.mark.parametrize("picture", [SMALL, MEDIUM, LARGE], ids=["small", "medium", "large"])
@pytest.mark.parametrize("name", _bodies(SMALL))
def test_a_picture_that_holds_a_secret_is_read_back(
    tmp_path: Path, name: str, picture: bytes
) -> None:
    """Bit for bit, as what an answer's reader takes for it."""
    masked = Masked([NAMED])
    body = _bodies(picture)[name]
    spool = SpooledAnswer(tmp_path / "a", masked=masked)
    spool.opened(200, {})
    for start in range(0, len(body), 1000):
        spool.feed(body[start : start + 1000])
    spool.finish("whole")
    reply = load_reply(tmp_path / "a", masked)

    sources = pictures_in(reply, base_url="https://api.example/v1").sources
    assert sources
    parts = {part.index: part.path for part in reply.parts.values()}
    for source in sources:
        if isinstance(source, SpooledPart):
            assert parts[source.index].read_bytes() == picture
        else:
            assert isinstance(source, InlinePicture)
            assert inline_bytes(source.base64) == picture


@pytest.mark.parametrize("opening", ["", "RIFF", "in gzip"])
def test_raw_pictures_are_left_alone(opening: str) -> None:
    """A kept body holds what was paid for, as it came."""
    data = SMALL
    if opening == "RIFF":
        data = b"RIFF\x40\x00\x00\x00WEBPVP8L" + NAMED.encode()
    elif opening:
        data = gzip.compress(SMALL, 0)

    assert Masked([NAMED]).covered(data) == data


def test_secrets_around_a_picture_are_covered() -> None:
    """Before it, behind it, in its media type, and in the words of a string that begins as one."""
    text = _picture(SMALL)
    secret = "sk-test-0123456789"
    document = {
        secret: [secret, f"data:image/{secret};base64,{text}", secret],
        "b64_json": f"{text} is what {secret} made",
        "text": f"![{secret}](data:image/png;base64,{text}) {secret}",
        "path": f"/9j/{secret}",
        "data": f"data:image/png,{secret}",
        "last": base64.b64encode(secret.encode()).decode(),
    }
    covered = Masked([secret, NAMED]).covered(_json(document))

    assert found_in(covered, secret) == []
    assert covered.count(text.encode()) == 3


@dataclass(frozen=True, slots=True)
class Says:
    """Sell a body as it is."""

    body: bytes
    media_type: str = "application/json"

    async def answer(self, exchange: Exchange) -> None:
        exchange.is_billed = True
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {self.media_type}\r\n"
        head += f"Content-Length: {len(self.body)}\r\n\r\n"
        await exchange.send(head.encode() + self.body)


def test_what_was_paid_arrives_though_it_holds_the_key(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bought once, delivered bit for bit."""
    key = "OpenAI-API-key"
    monkeypatch.setattr("tests.projects.KEY", key)
    picture = _naming(make_png("a harbour", 56, 40, heavy=True), key)
    answers = [Says(body) for name, body in _bodies(picture).items() if name != "many before it"]
    answers.append(Says(picture, "image/png"))
    scenes = [f"e{number:02}" for number in range(len(answers))]
    with ImageApi(key=key) as api:
        for scene, says in zip(scenes, answers, strict=True):
            api.script(says, scene=scene, times=3)
        project.config(api, provider="openai", model="gpt-image-2", max_attempts=1)
        chosen = [word for scene in scenes for word in ("--scene", scene)]
        ran = project.run("run", "scenes.json", *chosen)

    assert ran.returncode == 0, ran.stderr
    made = sorted((project.folder / "out" / "images").glob("*.png"))
    assert [path.read_bytes() == picture for path in made] == [True] * len(answers)


def test_a_short_secret_is_taken_out_of_words_alone() -> None:
    """Where it stands by itself; in bytes such a pattern turns up by chance."""
    short = "x1y2z3w"
    masked = Masked([short, "abc"])

    assert len(short) < LONG_ENOUGH
    assert masked.text(f"key {short}, not a{short}") == f"key {MASK}, not a{short}"
    assert masked.covered(short.encode()) == short.encode()
    assert masked.text("abc") == "abc"


def test_the_beginning_of_a_secret_is_covered() -> None:
    """An answer that was cut, or a provider that shows half of a key."""
    for length in range(12, len(SECRET)):
        assert SECRET[:length] not in Masked([SECRET]).text(f"cut {SECRET[:length]}")


@pytest.mark.parametrize(
    "text",
    [
        b"\\" * 200_000,
        b"%25" * 70_000,
        SECRET[:11].encode() * 20_000,
        b"iVBORw0KGg " * 20_000,
        b"iVBORw0KGg" + b"words of a picture" * 10_000,
        (b"iVBORw0KGg" + b"x" * 250 + b".") * 800,
    ],
)
def test_the_worst_text_takes_as_long_as_any(text: bytes) -> None:
    """Twice the text takes no more than twice the steps, told by the processor's time."""
    masked = Masked([SECRET])
    masked.covered(SECRET.encode())
    took: list[float] = []
    for data in (text + SECRET.encode(), text * 4 + SECRET.encode()):
        started = time.process_time()
        masked.covered(data)
        took.append(time.process_time() - started)

    assert took[1] < 12 * max(took[0], 0.01)
