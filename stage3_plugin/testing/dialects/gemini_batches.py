"""Gemini's files and batches in file mode, as ``providers/gemini_batch.py`` meets them.

Written from its reference and from google-genai's types of 2026, and not from what the product
sends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast
from urllib.parse import unquote

from stage3_plugin.testing.batches import (
    Batch,
    BatchDialect,
    Batches,
    BatchLine,
    BatchPage,
    Standing,
    Stored,
    body_of,
    in_order,
)
from stage3_plugin.testing.result_files import ResultFile, ResultLine
from stage3_plugin.testing.wire import Asked, Said

_CREATE = re.compile(r"/v1beta/models/([^/]+):batchGenerateContent")
_BATCH = re.compile(r"/v1beta/(batches/[\w.-]+?)(:cancel)?")
_FILE = re.compile(r"/v1beta/(files/[\w.-]+)")
_RESULTS = re.compile(r"/download/v1beta/(files/[\w.-]+):download")
_KIND = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch"
_CREATES = {"model", "displayName", "inputConfig", "priority"}
_USUAL = 50


def _error(status: int, message: str, word: str) -> Said:
    return Said(status, {"error": {"code": status, "message": message, "status": word}})


class GeminiBatches(BatchDialect):
    """What Gemini says of files and batches.

    Attributes:
        prefix: What its states begin with; its pages and its client say it otherwise.
    """

    name = "gemini"
    expiry_delivers = False
    prefix: str = "BATCH_STATE_"
    _states: ClassVar[Mapping[Standing, str]] = {
        "new": "PENDING",
        "working": "RUNNING",
        "ending": "SUCCEEDED",
        "completed": "SUCCEEDED",
        "expired": "EXPIRED",
        "cancelled": "CANCELLED",
        "failed": "FAILED",
    }

    def __init__(self) -> None:
        self._begun: dict[str, tuple[str, str]] = {}
        self._used = set[str]()

    def page_of(self, method: str, path: str) -> BatchPage | None:
        if path == "/upload/v1beta/files" and method in {"POST", "PUT"}:
            return BatchPage("upload", self.name)
        if method == "POST" and _CREATE.fullmatch(path):
            return BatchPage("create", self.name)
        if method == "GET" and path == "/v1beta/batches":
            return BatchPage("batches", self.name)
        batch = _BATCH.fullmatch(path)
        if batch is not None and method == ("POST" if batch[2] else "GET"):
            return BatchPage("cancel" if batch[2] else "batch", self.name, _bare(batch[1]))
        if method == "GET" and (file := _RESULTS.fullmatch(path)):
            return BatchPage("results", self.name, file[1])
        if method == "GET" and (file := _FILE.fullmatch(path)):
            return BatchPage("uploaded", self.name, file[1])
        return None

    def key_in(self, asked: Asked) -> str | None:
        if asked.query.get("upload_id") in self._begun and asked.path.startswith("/upload/"):
            return self._begun[asked.query["upload_id"]][0]  # who has the address may use it
        return asked.headers.get("x-goog-api-key")

    def upload(self, books: Batches, asked: Asked, body: bytes, at: str) -> Said:
        command = asked.headers.get("x-goog-upload-command", "")
        if command == "start":
            return self._start(books, asked, at)
        begun = self._begun.get(asked.query.get("upload_id", ""))
        if begun is None or asked.query["upload_id"] in self._used or "upload" not in command:
            return _error(400, "There is no such upload.", "INVALID_ARGUMENT")
        if asked.headers.get("x-goog-upload-offset") != "0" or "finalize" not in command:
            return _error(400, "The offset is not that of the upload.", "INVALID_ARGUMENT")
        _, told = begun
        size_bytes, media_type, name = told.split(" ", 2)
        if int(size_bytes) != len(body):
            return _error(400, "This is not as long as was promised.", "INVALID_ARGUMENT")
        stored = books.store(body, of="file", media_type=media_type, name=name, prefix="files/f")
        self._used.add(asked.query["upload_id"])
        said = {"file": self.uploaded(stored, at).document}
        return Said(200, said, {"X-Goog-Upload-Status": "final"})

    def _start(self, books: Batches, asked: Asked, at: str) -> Said:
        size = asked.headers.get("x-goog-upload-header-content-length", "")
        media_type = asked.headers.get("x-goog-upload-header-content-type", "")
        if asked.headers.get("x-goog-upload-protocol") != "resumable" or not size.isdigit():
            return _error(400, "An upload begins with its length.", "INVALID_ARGUMENT")
        if not media_type or int(size) > books.most_bytes:
            return _error(400, "The upload is too large, or of no type.", "INVALID_ARGUMENT")
        key, number = asked.headers.get("x-goog-api-key", ""), f"upload-{asked.number}"
        file = cast("Mapping[str, Any]", asked.document.get("file") or {})
        told = f"{size} {media_type} {file.get('displayName', '')}"
        self._begun[number] = (key, told)
        url = f"{at}/upload/v1beta/files?upload_id={number}&upload_protocol=resumable"
        return Said(200, {}, {"X-Goog-Upload-URL": url, "X-Goog-Upload-Status": "active"})

    def uploaded(self, stored: Stored, at: str) -> Said:
        document = {
            "name": stored.id,
            "displayName": stored.name,
            "mimeType": stored.media_type,
            "sizeBytes": str(stored.size_bytes),
            "createTime": stored.created_at.isoformat(),
            "uri": f"{at}/v1beta/{stored.id}",
            "state": "ACTIVE",
            "source": "UPLOADED",
        }
        return Said(200, document)

    def wanted(self, asked: Asked) -> tuple[str, str, str]:
        found = _CREATE.fullmatch(asked.path)
        assert found is not None
        batch = cast("Mapping[str, Any]", asked.document.get("batch") or {})
        source = cast("Mapping[str, Any]", batch.get("inputConfig") or {})
        name = str(batch.get("displayName", ""))
        return unquote(found[1]), name, str(source.get("fileName"))

    def refuses(self, asked: Asked) -> Said | None:
        batch = cast("Mapping[str, Any]", asked.document.get("batch") or {})
        unknown = sorted(({*asked.document} - {"batch"}) | ({*batch} - _CREATES))
        if not unknown:
            return None
        message = f"Invalid JSON payload received. Unknown name {unknown[0]!r}"
        return _error(400, message, "INVALID_ARGUMENT")

    def fault_of(self, document: Mapping[str, Any], of: str) -> tuple[str, str] | None:
        del of
        unknown = sorted({*document} - {"key", "request", "metadata"})
        return ("INVALID_ARGUMENT", f"A line has no {unknown[0]!r}.") if unknown else None

    def line(self, document: Mapping[str, Any], of: str) -> tuple[str, str, Mapping[str, Any]]:
        body = cast("Mapping[str, Any]", document["request"])
        return str(document["key"]), f"/v1beta/models/{of}:generateContent", body

    def files_in(self, document: Mapping[str, Any]) -> Sequence[str]:
        contents = cast("list[Mapping[str, Any]]", document["request"].get("contents", ()))
        parts = [part for content in contents for part in content.get("parts", ())]
        uris = [str(part["fileData"].get("fileUri")) for part in parts if "fileData" in part]
        return [uri.partition("/v1beta/")[2] or uri for uri in uris]

    def too_much(self, books: Batches) -> Said | None:
        del books
        return _error(429, "You exceeded your current quota.", "RESOURCE_EXHAUSTED")

    def shown(self, batch: Batch, standing: Standing, at: str) -> Mapping[str, Any]:
        del at
        has_ended = standing == batch.plan.ends or bool(batch.faults and standing == "failed")
        state = self.prefix + self._states[standing]
        if has_ended and batch.plan.word is not None:
            state = batch.plan.word
        name = f"batches/{batch.id}"
        when = batch.begun_at.isoformat()
        metadata: dict[str, Any] = {
            "@type": _KIND,
            "model": f"models/{batch.of}",
            "displayName": batch.label,
            "inputConfig": {"fileName": batch.input_file},
            "createTime": when,
            "updateTime": when,
            "batchStats": self._counts(batch, standing),
            "state": state,
            "name": name,
        }
        document: dict[str, Any] = {"name": name, "metadata": metadata}
        if not has_ended and standing != "ending":
            return document
        document["done"] = True
        metadata["endTime"] = when
        if standing == "failed":
            message = batch.faults[0][1] if batch.faults else batch.plan.why
            return document | {"error": {"code": 3 if batch.faults else 13, "message": message}}
        file = self.results(batch, _file(batch))
        if has_ended and file is not None and file.lines:
            output = {"responsesFile": _file(batch)}
            metadata["output"] = output
            document["response"] = {"@type": f"{_KIND}Output", **output}
        return document

    @staticmethod
    def _counts(batch: Batch, standing: Standing) -> dict[str, str]:
        done = batch.done(standing)
        good = sum(line.plan.is_good for line in done)
        counts = {
            "requestCount": len(batch.lines),
            "successfulRequestCount": good,
            "failedRequestCount": len(done) - good,
            "pendingRequestCount": len(batch.lines) - len(done),
        }
        return {name: str(count) for name, count in counts.items() if count}

    def listed(self, batches: Sequence[Batch], asked: Asked) -> Sequence[Batch]:
        after = asked.query.get("pageToken")
        ids = [batch.id for batch in batches]
        start = ids.index(after) + 1 if after in ids else 0
        return batches[start : start + int(asked.query.get("pageSize", _USUAL))]

    def listing(self, shown: Sequence[Mapping[str, Any]], next_page: str | None) -> Said:
        document: dict[str, Any] = {"operations": list(shown)} if shown else {}
        if next_page is not None:
            document["nextPageToken"] = next_page
        return Said(200, document)

    def results(self, batch: Batch, name: str) -> ResultFile | None:
        if name != _file(batch):
            return None
        lines = [_result(line) for line in batch.ran]
        lines += [_fault(line.key) for line in batch.ran[: batch.plan.again]]
        lines += [_fault(f"nobody-{number}") for number in range(batch.plan.foreign)]
        return ResultFile(in_order(batch, lines))

    def unknown(self, name: str) -> Said:
        return _error(404, f"Requested entity was not found: {name}", "NOT_FOUND")


def _bare(name: str) -> str:
    return name.removeprefix("batches/")


def _file(batch: Batch) -> str:
    return f"files/batch-{batch.id}"


def _result(line: BatchLine) -> ResultLine:
    status, body, picture = body_of(line)
    if status < 400:
        return ResultLine({"key": line.key, "response": body}, picture)
    error = cast("dict[str, Any]", body).get("error", body) if isinstance(body, dict) else body
    return ResultLine({"key": line.key, "error": error})


def _fault(key: str) -> ResultLine:
    return ResultLine({"key": key, "error": {"code": 13, "message": "It failed."}})
