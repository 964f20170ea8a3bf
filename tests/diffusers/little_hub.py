"""A Hub on loopback with one pipeline, as far as its client asks; notes what it is asked for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "acme/tiny"
_ITSELF = {f"/api/models/{NAME}{state}" for state in ("", "/revision/main", f"/revision/{COMMIT}")}


class LittleHub(ThreadingHTTPServer):
    """Serves a folder as the state ``main`` of a repository.

    Attributes:
        asked: Method, path and user agent of every request, in their order.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.asked: list[tuple[str, str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def fetched(self) -> set[str]:
        """Return the files whose bytes were taken."""
        begin = f"/{NAME}/resolve/"
        return {
            path.removeprefix(begin).partition("/")[2]
            for method, path, _ in self.asked
            if method == "GET" and path.startswith(begin)
        }


@contextmanager
def little_hub(folder: Path) -> Generator[LittleHub]:
    """Serve a folder for as long as this lasts."""
    with LittleHub(folder) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _hub(self) -> LittleHub:
        return cast("LittleHub", self.server)

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Say nothing."""

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        self._hub.asked.append((self.command, path, self.headers.get("user-agent", "")))
        files = sorted(
            one.relative_to(self._hub.folder).as_posix()
            for one in self._hub.folder.rglob("*")
            if one.is_file()
        )
        resolve = f"/{NAME}/resolve/"
        if path.startswith(resolve):
            name = path.removeprefix(resolve).partition("/")[2]
            if name in files:
                return self._send((self._hub.folder / name).read_bytes())
        elif path in {
            f"/api/models/{NAME}",
            f"/api/models/{NAME}/revision/main",
            f"/api/models/{NAME}/revision/{COMMIT}",
        }:
            siblings = [{"rfilename": name} for name in files]
            return self._json({"id": NAME, "modelId": NAME, "sha": COMMIT, "siblings": siblings})
        elif path.startswith(f"/api/models/{NAME}/tree/"):
            return self._json([self._entry(name) for name in files])
        return self._send(b"{}", status=404)

    def _entry(self, name: str) -> dict[str, object]:
        content = (self._hub.folder / name).read_bytes()
        return {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}

    def _json(self, document: object) -> None:
        self._send(json.dumps(document).encode(), kind="application/json")

    def _send(self, content: bytes, *, status: int = 200, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{_oid(content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
