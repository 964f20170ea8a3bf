"""The exporter that the extra ``otel`` brings, over a socket: what a collector is sent of a run."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import pytest

from tests.engines.conftest import need

EXPORTER = "opentelemetry.exporter"


@dataclass
class Collector:
    """Takes what is posted, by its path."""

    url: str
    taken: list[tuple[str, bytes]]


@pytest.fixture
def collector() -> Iterator[Collector]:
    need("the exporter of the extra otel", is_there=find_spec(EXPORTER) is not None)
    taken: list[tuple[str, bytes]] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                data = gzip.decompress(data)
            taken.append((self.path, data))
            self.send_response(200)
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Taking) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield Collector(f"http://127.0.0.1:{server.server_port}", taken)
        server.shutdown()
        thread.join()


def test_a_collector_is_sent_spans_and_metrics(collector: Collector, tmp_path: Path) -> None:
    """By the usual variable alone; and the command says nothing of it."""
    scenes = [{"scene_id": one, "prompt": "a private harbour"} for one in ("first", "second")]
    (tmp_path / "s.json").write_text(json.dumps(scenes), encoding="utf-8")
    (tmp_path / "host.toml").write_text(
        '[pipeline]\nimage = "plain"\nobservers = ["otel"]\n[plugin.otel]\npatience_s = 60\n',
        encoding="utf-8",
    )
    ran = subprocess.run(
        [sys.executable, "-m", "host_stub", "run", "s.json", "--json"],
        cwd=tmp_path,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url},
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    sent: dict[str, bytes] = {}
    for path, data in collector.taken:
        sent[path] = sent.get(path, b"") + data

    assert (ran.returncode, ran.stderr) == (0, "")
    assert sent.keys() == {"/v1/traces", "/v1/metrics"}
    for text in ("invoke_workflow plain", "generate_content", "first", "second", "host-stub"):
        assert text.encode() in sent["/v1/traces"]
    assert b"gen_ai.client.operation.duration" in sent["/v1/metrics"]
    assert b"harbour" not in sent["/v1/traces"] + sent["/v1/metrics"]
