"""The batch services of the fake: what they do, what they can be made to do, what they bill."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from stage3_plugin.testing.batch_plans import Batched, CutFile, Line, Order
from stage3_plugin.testing.batches import BatchKind
from stage3_plugin.testing.behaviours import CutJson, Gate, Page, ResetAfterRead
from stage3_plugin.testing.bill import by_the_table
from stage3_plugin.testing.image_api import KEY, ImageApi
from stage3_plugin.testing.pngs import make_png
from stage3_plugin.testing.queues import Loss
from stage3_plugin.testing.wire import Framing
from tests.fakes.plain import PlainDialect
from tests.fakes.requests import Refusing

SIZE = "1024x1024"
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Client:
    """The standard library's client, which knows nothing of ours, in the words of one vendor."""

    name = ""
    model = ""

    def __init__(self, api: ImageApi, key: str = KEY) -> None:
        self.api, self.key = api, key

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.api.root_url).netloc, timeout=10)
        try:
            connection.request(method, path, body, {**self.keyed(), **(headers or {})})
            answer = connection.getresponse()
            told = {name.lower(): text for name, text in answer.getheaders()}
            return Answer(answer.status, told, answer.read())
        finally:
            connection.close()

    def keyed(self) -> dict[str, str]:
        raise NotImplementedError

    def hand_over(self, data: bytes) -> str:
        raise NotImplementedError

    def line(self, scene: str, number: int) -> Document:
        raise NotImplementedError

    def create(self, file: str, label: str = "stage3-token", **more: Any) -> Answer:
        raise NotImplementedError

    def look(self, name: str) -> Document:
        raise NotImplementedError

    def state(self, batch: Document) -> str:
        raise NotImplementedError

    def files(self, batch: Document) -> Sequence[str]:
        raise NotImplementedError

    def names(self) -> Sequence[str]:
        raise NotImplementedError

    def read(self, file: str) -> Answer:
        raise NotImplementedError

    def picture(self, line: Document) -> bytes:
        raise NotImplementedError

    def begin(self, *scenes: str, label: str = "stage3-token") -> str:
        lines = [json.dumps(self.line(scene, number)) for number, scene in enumerate(scenes)]
        file = self.hand_over("\n".join([*lines, ""]).encode())
        answer = self.create(file, label)
        assert answer.status == 200, answer.body
        return str(answer.document.get("id") or answer.document["name"])

    def to_the_end(self, name: str) -> Document:
        for _ in range(20):
            shown = self.look(name)
            if self.state(shown) not in {"validating", "in_progress", "finalizing"}:
                return shown
        raise AssertionError("it never ended")

    def results(self, batch: Document) -> dict[str, Document]:
        lines = [
            json.loads(line)
            for file in self.files(batch)
            for line in self.read(file).body.splitlines()
        ]
        return {line.get("custom_id") or line["key"]: line for line in lines}


class OpenAI(Client):
    name = "openai"
    model = "gpt-image-2.5-flare"

    def keyed(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def hand_over(self, data: bytes, purpose: str = "batch") -> str:
        head = 'Content-Disposition: form-data; name="{}"'
        parts = [
            b"--x\r\n" + head.format("purpose").encode() + b"\r\n\r\n" + purpose.encode() + b"\r\n",
            b"--x\r\n" + head.format("file").encode() + b'; filename="a.jsonl"\r\n',
            b"Content-Type: application/jsonl\r\n\r\n" + data + b"\r\n--x--\r\n",
        ]
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = self.ask("POST", "/v1/files", b"".join(parts), kind)
        assert answer.status == 200, answer.body
        assert answer.document["bytes"] == len(data)
        return str(answer.document["id"])

    def line(self, scene: str, number: int) -> Document:
        body = {"model": self.model, "prompt": scene, "size": SIZE, "quality": "low"}
        path = "/v1/images/generations"
        return {"custom_id": f"token-{number}", "method": "POST", "url": path, "body": body}

    def create(self, file: str, label: str = "stage3-token", **more: Any) -> Answer:
        document = {
            "input_file_id": file,
            "endpoint": "/v1/images/generations",
            "completion_window": "24h",
            "metadata": {"stage3": label},
            **more,
        }
        return self.ask("POST", "/v1/batches", json.dumps(document).encode())

    def look(self, name: str) -> Document:
        return self.ask("GET", f"/v1/batches/{name}").document

    def state(self, batch: Document) -> str:
        return str(batch["status"])

    def files(self, batch: Document) -> Sequence[str]:
        return [one for one in (batch["output_file_id"], batch["error_file_id"]) if one]

    def names(self) -> Sequence[str]:
        found: list[str] = []
        after = ""
        while True:
            page = self.ask("GET", f"/v1/batches?limit=2{after}").document
            found += [one["id"] for one in page["data"]]
            if not page["has_more"]:
                return found
            after = f"&after={page['last_id']}"

    def read(self, file: str) -> Answer:
        return self.ask("GET", f"/v1/files/{file}/content")

    def picture(self, line: Document) -> bytes:
        return base64.b64decode(line["response"]["body"]["data"][0]["b64_json"])


class Gemini(Client):
    name = "gemini"
    model = "gemini-nano-banana-2.1"
    _words: ClassVar = {"PENDING": "validating", "RUNNING": "in_progress", "SUCCEEDED": "completed"}

    def keyed(self) -> dict[str, str]:
        return {"x-goog-api-key": self.key}

    def hand_over(self, data: bytes) -> str:
        promised = {
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(len(data)),
            "X-Goog-Upload-Header-Content-Type": "application/jsonl",
        }
        begun = self.ask("POST", "/upload/v1beta/files", b'{"file":{"displayName":"a"}}', promised)
        assert begun.status == 200, begun.body
        url = urlsplit(begun.headers["x-goog-upload-url"])
        handed = {"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload, finalize"}
        answer = self.ask("POST", f"{url.path}?{url.query}", data, handed)
        assert answer.document["file"]["sizeBytes"] == str(len(data))
        return str(answer.document["file"]["name"])

    def line(self, scene: str, number: int) -> Document:
        config = {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "1:1"}}
        contents = [{"role": "user", "parts": [{"text": scene}]}]
        request = {"contents": contents, "generationConfig": config}
        return {"key": f"token-{number}", "request": request}

    def create(self, file: str, label: str = "stage3-token", **more: Any) -> Answer:
        batch = {"displayName": label, "inputConfig": {"fileName": file}, **more}
        path = f"/v1beta/models/{self.model}:batchGenerateContent"
        return self.ask("POST", path, json.dumps({"batch": batch}).encode())

    def look(self, name: str) -> Document:
        return self.ask("GET", f"/v1beta/{name}").document

    def state(self, batch: Document) -> str:
        state = str(batch["metadata"]["state"]).removeprefix("BATCH_STATE_")
        if state == "SUCCEEDED" and "response" not in batch:
            return "finalizing"
        return self._words.get(state, state.lower())

    def files(self, batch: Document) -> Sequence[str]:
        file = batch.get("response", {}).get("responsesFile")
        return [file] if file else []

    def names(self) -> Sequence[str]:
        found: list[str] = []
        token = ""
        while True:
            page = self.ask("GET", f"/v1beta/batches?pageSize=2{token}").document
            found += [one["name"] for one in page.get("operations", ())]
            if "nextPageToken" not in page:
                return found
            token = f"&pageToken={page['nextPageToken']}"

    def read(self, file: str) -> Answer:
        return self.ask("GET", f"/download/v1beta/{file}:download?alt=media")

    def picture(self, line: Document) -> bytes:
        parts = line["response"]["candidates"][0]["content"]["parts"]
        return base64.b64decode(parts[-1]["inlineData"]["data"])


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with ImageApi() as api:
        api.bill = by_the_table
        api.refuses = Refusing()
        yield api


@pytest.fixture(params=[OpenAI, Gemini], ids=["openai", "gemini"])
def client(api: ImageApi, request: pytest.FixtureRequest) -> Client:
    made: Client = request.param(api)
    return made


def tag(scene: str) -> bytes:
    """Return what is in the picture of a scene, and in no other."""
    return hashlib.sha256(scene.encode()).hexdigest().encode()


def test_a_batch_is_made_and_costs_half(api: ImageApi, client: Client) -> None:
    """Its pictures are those asked for, each is billed once, and looking again costs nothing."""
    scenes = ["one: a lighthouse", "two: a harbour", "three: a storm"]
    name = client.begin(*scenes)
    states = [client.state(client.look(name)) for _ in range(2)]
    batch = client.to_the_end(name)
    found = client.results(batch)
    whole = by_the_table(
        {"model": client.model, **api.batches.lines[0].asked.document}, "one: a lighthouse"
    )

    assert states == ["validating", "completed"]
    assert sorted(found) == ["token-0", "token-1", "token-2"]
    for number, scene in enumerate(scenes):
        assert tag(scene) in client.picture(found[f"token-{number}"])
    assert whole is not None
    assert [line.prompt for line in api.batches.lines] == scenes
    assert 0 <= api.batches.lines[0].usd - whole.usd / 2 < Decimal("0.000001")  # type: ignore[operator] # known
    assert (api.batches.received(), api.batches.billed(), api.batches.billed("two")) == (3, 3, 1)
    assert (api.received(), api.billed()) == (0, 0)
    assert client.results(client.look(name)) == found


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_heavy_pictures_are_sent_in_any_framing(
    api: ImageApi, client: Client, framing: Framing
) -> None:
    """What is promised of a file's length is true, without any picture having been kept."""
    api.batches.line = Line(heavy=True, size_px=(512, 512))
    api.batches.script(Batched(framing=framing))
    batch = client.to_the_end(client.begin("one", "two"))
    answer = client.read(client.files(batch)[0])
    found = client.results(batch)

    assert len(answer.body) > 2 * 512 * 512 * 3
    if framing == "length":
        assert answer.headers["content-length"] == str(len(answer.body))
    assert client.picture(found["token-0"]) == make_png("one", 512, 512, heavy=True)


@pytest.mark.parametrize("order", ["asked", "reversed", "shuffled"])
def test_results_come_in_any_order(api: ImageApi, client: Client, order: Order) -> None:
    """As the plan has it; the usual one is not that in which they were asked for."""
    api.batches.script(Batched(order=order))
    batch = client.to_the_end(client.begin(*"abcdefgh"))
    keys = list(client.results(batch))
    asked = [f"token-{number}" for number in range(8)]

    assert (keys == asked) is (order == "asked")
    assert (keys == asked[::-1]) is (order == "reversed")
    assert sorted(keys) == asked


def test_lines_end_each_in_their_way(api: ImageApi, client: Client) -> None:
    """A refusal and a fault cost nothing; a success without a picture does."""
    api.batches.script_line(Line(ends="refused"), scene="bad")
    api.batches.script_line(Line(ends="failed"), scene="worse")
    api.batches.script_line(Line(ends="empty"), scene="nothing")
    scenes = ["good", "bad", "worse", "nothing"]
    batch = client.to_the_end(client.begin(*scenes))
    found = client.results(batch)
    says = [json.dumps(found[f"token-{number}"]) for number in range(4)]

    assert tag("good") in client.picture(found["token-0"])
    assert "moderation_blocked" in says[1] or "PROHIBITED_CONTENT" in says[1]
    assert "had an error" in says[2]
    assert [api.batches.billed(scene) for scene in scenes] == [1, 0, 0, 1]
    assert len(client.files(batch)) == (2 if client.name == "openai" else 1)


def test_twice_and_nobodys(api: ImageApi, client: Client) -> None:
    """A line may be there again, as an error, and lines of nobody's; nothing of it is billed."""
    api.batches.script(Batched(again=1, foreign=2))
    batch = client.to_the_end(client.begin("one", "two"))
    lines = client.read(client.files(batch)[0]).body.splitlines()
    keys = sorted(str(json.loads(one).get("custom_id") or json.loads(one)["key"]) for one in lines)

    assert keys == ["nobody-0", "nobody-1", "token-0", "token-0", "token-1"]
    assert api.batches.billed() == 2


def test_what_expired_is_delivered_where_the_vendor_does_that(
    api: ImageApi, client: Client
) -> None:
    """OpenAI has what was done, and bills it; Gemini has and bills nothing."""
    api.batches.script(Batched(ends="expired", done=2))
    batch = client.to_the_end(client.begin("one", "two", "three"))
    found = client.results(batch)

    assert client.state(batch) == "expired"
    if client.name == "gemini":
        assert (found, api.batches.ran(), api.batches.billed()) == ({}, 0, 0)
        return
    assert found["token-2"]["error"]["code"] == "batch_expired"
    assert tag("two") in client.picture(found["token-1"])
    assert (api.batches.ran(), api.batches.billed()) == (2, 2)
    assert api.batches.lines[2].usd == 0


def test_an_expired_batch_may_say_nothing_of_what_never_ran(api: ImageApi) -> None:
    """Then only what was done is in its files."""
    client = OpenAI(api)
    api.batches.script(Batched(ends="expired", done=1, tells_expired=False))
    batch = client.to_the_end(client.begin("one", "two"))

    assert list(client.results(batch)) == ["token-0"]
    assert batch["error_file_id"] == ""


@pytest.mark.parametrize("nothing", ["", None])
def test_the_lack_of_a_file_is_said_in_two_ways(api: ImageApi, nothing: Any) -> None:
    """Nothing, or an empty name."""
    client = OpenAI(api)
    api.batches.script(Batched(no_file=nothing))
    batch = client.to_the_end(client.begin("one"))

    assert batch["error_file_id"] == nothing
    assert (batch["error_file_id"] is None) is (nothing is None)


def test_a_batch_that_failed_ran_nothing(api: ImageApi, client: Client) -> None:
    """It says why, and there is no file."""
    api.batches.script(Batched(ends="failed", why="token_limit_exceeded"))
    batch = client.to_the_end(client.begin("one"))

    assert client.state(batch) == "failed"
    assert "token_limit_exceeded" in json.dumps(batch)
    assert not client.files(batch)
    assert (api.batches.ran(), api.batches.billed(), int(api.batches.billed_usd)) == (0, 0, 0)


def test_progress_is_counted(api: ImageApi, client: Client) -> None:
    """By looks, until it is done; a gate can keep it from that."""
    gate = Gate()
    api.batches.script(Batched(polls=3, until=gate))
    name = client.begin("one", "two", "three", "four")

    def done() -> int:
        shown = client.look(name)
        counts = shown.get("request_counts") or shown["metadata"]["batchStats"]
        return int(counts.get("completed", counts.get("successfulRequestCount", 0)))

    assert [done() for _ in range(3)] == [0, 1, 2]
    assert [done() for _ in range(3)] == [3, 3, 3]
    assert client.state(client.look(name)) == "in_progress"
    gate.open()
    assert client.state(client.look(name)) == "completed"


def test_files_may_lag_behind_the_end(api: ImageApi, client: Client) -> None:
    """Looks come before them, and they cannot be read before they are named."""
    api.batches.script(Batched(polls=0, lag=2))
    name = client.begin("one")
    seen = [client.files(client.look(name)) for _ in range(3)]

    assert [len(files) for files in seen] == [0, 0, 1]
    assert client.read(seen[2][0]).status == 200


def test_what_is_forgotten_is_not_there(api: ImageApi, client: Client) -> None:
    """After so many looks the vendor says that there is no such batch."""
    api.batches.script(Batched(polls=9, kept=1))
    name = client.begin("one")

    assert "error" not in client.look(name)
    assert "error" in client.look(name)


def test_a_batch_is_called_off(api: ImageApi, client: Client) -> None:
    """What was made by then stays billed, and the rest never runs."""
    api.batches.script(Batched(polls=3))
    name = client.begin("one", "two", "three", "four")
    client.look(name)
    client.look(name)
    path = f"/v1/batches/{name}/cancel" if client.name == "openai" else f"/v1beta/{name}:cancel"
    assert client.ask("POST", path).status == 200
    batch = client.to_the_end(name)

    assert client.state(batch) == "cancelled"
    assert sorted(client.results(batch)) == ["token-0"]
    assert (api.batches.ran(), api.batches.billed()) == (1, 1)


@pytest.mark.parametrize("lost", ["begun", "not begun", "cut"])
def test_a_lost_create_is_listed_by_its_label(api: ImageApi, client: Client, lost: Loss) -> None:
    """Where it was begun; nobody but the books and the listing knows."""
    api.batches.script(Batched(lost=lost))
    file = client.hand_over(json.dumps(client.line("one", 0)).encode())
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        client.create(file)

    assert len(client.names()) == len(api.batches.all) == (0 if lost == "not begun" else 1)
    assert [one.label for one in api.batches.all] in ([], ["stage3-token"])
    assert api.batches.billed() == (0 if lost == "not begun" else 1)


def test_a_cut_answer_to_a_create_has_begun_it(api: ImageApi, client: Client) -> None:
    """Half of a JSON document is an answer too, and says nothing."""
    api.batches.meet(CutJson(), at="create")
    file = client.hand_over(json.dumps(client.line("one", 0)).encode())
    answer = client.create(file)

    with pytest.raises(json.JSONDecodeError):
        _ = answer.document
    assert len(api.batches.all) == 1


def test_a_listing_has_pages_and_comes_late(api: ImageApi, client: Client) -> None:
    """Newest first; what is too young is not in it yet."""
    names = [client.begin(f"scene {number}") for number in range(5)]
    api.batches.script(Batched(unlisted=2))
    late = client.begin("late")
    seen = [client.names() for _ in range(3)]

    assert list(seen[0]) == list(seen[1]) == names[::-1]
    assert list(seen[2]) == [late, *names[::-1]]


@pytest.mark.parametrize("kind", ["upload", "create", "batch", "batches", "results"])
def test_any_page_can_be_in_trouble(api: ImageApi, client: Client, kind: BatchKind) -> None:
    """Once, and is itself again after that; a create that met it was not begun."""
    batch = client.to_the_end(client.begin("one"))
    api.batches.meet(Page(502, billed=False), at=kind)
    asks: Mapping[str, Callable[[], object]] = {
        "upload": lambda: client.begin("two"),
        "create": lambda: client.begin("two"),
        "batch": lambda: client.look(str(batch.get("id") or batch["name"]))["object"],
        "batches": client.names,
        "results": lambda: client.results(batch),
    }
    with pytest.raises((AssertionError, json.JSONDecodeError)):
        asks[kind]()
    assert len(api.batches.all) == 1
    assert client.results(batch)
    assert client.names()


def test_an_upload_can_be_cut(api: ImageApi, client: Client) -> None:
    """After some bytes; the next one is good."""
    api.batches.cut_uploads.append(10)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        client.begin("one")
    assert client.begin("one")
    assert len(api.batches.files) == 1


@pytest.mark.parametrize("by", ["reset", "close", "end"])
def test_a_file_can_be_cut_at_a_byte(api: ImageApi, client: Client, by: Any) -> None:
    """So many bytes of it come, whatever was promised."""
    batch = client.to_the_end(client.begin("one", "two"))
    file = client.files(batch)[0]
    whole = client.read(file).body
    for at, kept in ((200, 200), (-10, len(whole) - 10)):
        api.batches.meet(CutFile(at=at, by=by), at="results")
        if by == "end":
            assert client.read(file).body == whole[:kept]
        else:
            with pytest.raises((ConnectionError, http.client.IncompleteRead)):
                client.read(file)
    assert client.read(file).body == whole


def test_what_is_no_line_fails_the_batch(api: ImageApi, client: Client) -> None:
    """Before anything ran, and says which line it is."""
    two = [client.line("one", 0), client.line("two", 0)]
    odd = [{**client.line("one", 0), "more": 1}]
    for lines in (two, odd, [{"key": "x"}], []):
        file = client.hand_over("\n".join(map(json.dumps, lines)).encode())
        answer = client.create(file)
        name = str(answer.document.get("id") or answer.document["name"])
        assert client.state(client.to_the_end(name)) == "failed"
    assert api.batches.ran() == 0


def test_what_the_vendor_would_not_take_is_an_error_of_its_line(
    api: ImageApi, client: Client
) -> None:
    """The line's own: the others are made."""
    bad = json.loads(json.dumps(client.line("two", 1)))
    bad.get("body", bad.get("request"))["colour"] = "red"
    text = "\n".join(map(json.dumps, [client.line("one", 0), bad]))
    answer = client.create(client.hand_over(text.encode()))
    name = str(answer.document.get("id") or answer.document["name"])
    found = client.results(client.to_the_end(name))

    assert client.picture(found["token-0"])
    assert "colour" in json.dumps(found["token-1"])
    assert api.batches.billed() == 1


def test_a_create_of_what_there_is_not_is_refused(api: ImageApi, client: Client) -> None:
    """No file, and no field that nobody knows."""
    file = client.hand_over(json.dumps(client.line("one", 0)).encode())

    assert client.create("file-none").status == 404
    assert client.create(file, colour="red").status == 400
    assert api.batches.all == []


def test_a_full_queue_takes_no_more(api: ImageApi, client: Client) -> None:
    """OpenAI lets such a batch fail; Gemini refuses its create."""
    api.batches.most_queued_lines = 2
    api.batches.plan = Batched(polls=5)
    client.begin("one", "two")
    file = client.hand_over(json.dumps(client.line("three", 0)).encode())
    answer = client.create(file)

    if client.name == "gemini":
        assert answer.status == 429
    else:
        batch = client.to_the_end(answer.document["id"])
        assert "token_limit_exceeded" in json.dumps(batch)
    assert api.batches.billed() == 2


def test_who_has_no_key_gets_nothing(api: ImageApi, client: Client) -> None:
    """At no page."""
    stranger = type(client)(api, "wrong")
    name = client.begin("one")
    file = client.files(client.to_the_end(name))[0]

    assert stranger.create("file-1").status in {400, 401}
    assert stranger.read(file).status in {400, 401}
    assert "error" in stranger.look(name)
    with pytest.raises(AssertionError):
        stranger.begin("two")
    assert len(api.batches.all) == 1


def test_lines_show_only_files_that_there_are(api: ImageApi) -> None:
    """A name that nobody was told is a fault, at both vendors."""
    for client, shown in (
        (OpenAI(api), {"images": [{"file_id": "file-none"}]}),
        (
            Gemini(api),
            {"contents": [{"parts": [{"fileData": {"fileUri": "files/none", "mimeType": "x"}}]}]},
        ),
    ):
        line = json.loads(json.dumps(client.line("one", 0)))
        line.get("body", line.get("request")).update(shown)
        answer = client.create(client.hand_over(json.dumps(line).encode()))
        name = str(answer.document.get("id") or answer.document["name"])
        assert client.state(client.to_the_end(name)) == "failed"


def test_a_vendor_with_a_queue_has_none_of_this(api: ImageApi) -> None:
    """Its pages are its own."""
    del api

    with ImageApi(dialect=PlainDialect()) as other:
        assert other.batches.page_of("POST", "/v1/files") is None


def test_an_answer_that_never_comes_is_no_create(api: ImageApi, client: Client) -> None:
    """A reset after reading begins nothing: what is to be begun is said by a plan."""
    api.batches.meet(ResetAfterRead(billed=False), at="create")
    with pytest.raises(ConnectionError):
        client.begin("one")
    assert api.batches.all == []
