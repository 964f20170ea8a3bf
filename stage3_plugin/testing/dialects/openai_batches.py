"""OpenAI's files and batches, as ``providers/openai_batch.py`` meets them.

Written from its reference and its client's types of 2026, and not from what the product sends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

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
from stage3_plugin.testing.forms import form_of
from stage3_plugin.testing.result_files import ResultFile, ResultLine
from stage3_plugin.testing.wire import Asked, Said

_FILE = re.compile(r"/v1/files/([\w.-]+)(/content)?")
_BATCH = re.compile(r"/v1/batches/([\w.-]+)(/cancel)?")
_ENDPOINTS = ("/v1/images/generations", "/v1/images/edits")
_CREATES = {"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"}
_LINE = {"custom_id", "method", "url", "body"}
_DAY_S = 86_400
_USUAL = 20
_WORDS: Mapping[Standing, str] = {
    "new": "validating",
    "working": "in_progress",
    "ending": "finalizing",
}


def _error(status: int, message: str, *, param: str | None = None, code: str | None = None) -> Said:
    kind = "invalid_request_error"
    return Said(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


class OpenAIBatches(BatchDialect):
    """What OpenAI says of files and batches."""

    name = "openai"
    _statuses: ClassVar[Mapping[str, str]] = {
        "completed": "completed_at",
        "expired": "expired_at",
        "cancelled": "cancelled_at",
        "failed": "failed_at",
    }

    def page_of(self, method: str, path: str) -> BatchPage | None:
        match method, path:
            case "POST", "/v1/files":
                return BatchPage("upload", self.name)
            case "POST", "/v1/batches":
                return BatchPage("create", self.name)
            case "GET", "/v1/batches":
                return BatchPage("batches", self.name)
            case _:
                pass
        file, batch = _FILE.fullmatch(path), _BATCH.fullmatch(path)
        if method == "GET" and file is not None:
            return BatchPage("results" if file[2] else "uploaded", self.name, file[1])
        if batch is not None and method == ("POST" if batch[2] else "GET"):
            return BatchPage("cancel" if batch[2] else "batch", self.name, batch[1])
        return None

    def key_in(self, asked: Asked) -> str | None:
        kind, _, key = asked.headers.get("authorization", "").partition(" ")
        return key if kind == "Bearer" else None

    def upload(self, books: Batches, asked: Asked, body: bytes, at: str) -> Said:
        form = form_of(asked.headers.get("content-type", ""), body)
        file, purpose = form.get("file"), form.get("purpose")
        if file is None or file.file_name is None:
            return _error(400, "'file' is a required property", param="file")
        if purpose is None or purpose.text not in {"batch", "vision", "user_data"}:
            return _error(400, "'purpose' is a required property", param="purpose")
        if len(file.data) > books.most_bytes:
            return _error(413, "The file is too large.", param="file", code="file_too_large")
        stored = books.store(
            file.data,
            of=purpose.text,
            media_type=file.media_type,
            name=file.file_name,
            prefix="file-",
        )
        return self.uploaded(stored, at)

    def uploaded(self, stored: Stored, at: str) -> Said:
        del at
        created = int(stored.created_at.timestamp())
        document = {
            "object": "file",
            "id": stored.id,
            "purpose": stored.of,
            "filename": stored.name,
            "bytes": stored.size_bytes,
            "created_at": created,
            "expires_at": created + 30 * _DAY_S,
            "status": "processed",
            "status_details": None,
        }
        return Said(200, document)

    def wanted(self, asked: Asked) -> tuple[str, str, str]:
        document = asked.document
        metadata = cast("Mapping[str, str]", document.get("metadata") or {})
        label = next(iter(metadata.values()), "")
        return str(document.get("endpoint")), label, str(document.get("input_file_id"))

    def refuses(self, asked: Asked) -> Said | None:
        document = asked.document
        unknown = sorted({*document} - _CREATES)
        if unknown:
            message = f"Unknown parameter: '{unknown[0]}'."
            return _error(400, message, param=unknown[0], code="unknown_parameter")
        if document.get("endpoint") not in _ENDPOINTS:
            return _error(400, "Invalid value: 'endpoint'.", param="endpoint", code="invalid_value")
        if document.get("completion_window") != "24h":
            message = "Invalid value: 'completion_window'."
            return _error(400, message, param="completion_window", code="invalid_value")
        metadata = cast("Mapping[str, str]", document.get("metadata") or {})
        if any(len(name) > 64 or len(text) > 512 for name, text in metadata.items()):
            return _error(400, "Invalid 'metadata'.", param="metadata", code="invalid_value")
        return None

    def line(self, document: Mapping[str, Any], of: str) -> tuple[str, str, Mapping[str, Any]]:
        return str(document["custom_id"]), of, cast("Mapping[str, Any]", document["body"])

    def fault_of(self, document: Mapping[str, Any], of: str) -> tuple[str, str] | None:
        if unknown := sorted({*document} - _LINE):
            return "unknown_parameter", f"A line has no {unknown[0]!r}."
        if document.get("method") != "POST":
            return "invalid_method", "The method of a line must be POST."
        if document.get("url") != of:
            return "mismatched_endpoint", "The URL of a line must be the batch's endpoint."
        if not document["body"].get("model"):
            return "model_required", "A line must name its model."
        return None

    def files_in(self, document: Mapping[str, Any]) -> Sequence[str]:
        images = cast("list[Mapping[str, Any]]", document["body"].get("images", ()))
        return [str(image["file_id"]) for image in images if "file_id" in image]

    def shown(self, batch: Batch, standing: Standing, at: str) -> Mapping[str, Any]:
        del at
        created = int(batch.begun_at.timestamp())
        has_ended = standing in self._statuses
        word = _WORDS.get(standing, standing)
        if has_ended and batch.plan.word is not None:
            word = batch.plan.word
        done = batch.done(standing)
        good = sum(line.plan.is_good for line in done)
        document: dict[str, Any] = {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.of,
            "errors": None,
            "input_file_id": batch.input_file,
            "completion_window": batch.asked.document.get("completion_window"),
            "status": word,
            "output_file_id": None,
            "error_file_id": None,
            "created_at": created,
            "in_progress_at": None if standing == "new" else created,
            "expires_at": created + _DAY_S,
            **dict.fromkeys(("finalizing_at", "cancelling_at", *self._statuses.values())),
            "request_counts": {
                "total": 0 if standing == "new" or batch.faults else len(batch.lines),
                "completed": good,
                "failed": len(done) - good,
            },
            "metadata": batch.asked.document.get("metadata"),
        }
        if not has_ended:
            return document
        document[self._statuses[standing]] = created
        if standing == "failed":
            names = ("code", "message", "line")
            faults = [dict(zip(names, one, strict=True)) | {"param": None} for one in batch.faults]
            return document | {"errors": {"object": "list", "data": faults}}
        for name in ("output", "error"):
            file = self.results(batch, _name(batch, name))
            is_there = file is not None and bool(file.lines)
            document[f"{name}_file_id"] = _name(batch, name) if is_there else batch.plan.no_file
        return document

    def listed(self, batches: Sequence[Batch], asked: Asked) -> Sequence[Batch]:
        after = asked.query.get("after")
        ids = [batch.id for batch in batches]
        start = ids.index(after) + 1 if after in ids else 0
        return batches[start : start + int(asked.query.get("limit", _USUAL))]

    def listing(self, shown: Sequence[Mapping[str, Any]], next_page: str | None) -> Said:
        ids = [one["id"] for one in shown] or [None]
        return Said(
            200,
            {
                "object": "list",
                "data": list(shown),
                "first_id": ids[0],
                "last_id": ids[-1],
                "has_more": next_page is not None,
            },
        )

    def results(self, batch: Batch, name: str) -> ResultFile | None:
        ran = batch.ran
        if name == _name(batch, "output"):
            lines = [_result(line) for line in ran if _has_succeeded(line)]
            lines += [_fault(line.key, "server_error", "It failed.") for line in _again(batch)]
            foreign = (f"nobody-{number}" for number in range(batch.plan.foreign))
            lines += [_fault(key, "server_error", "It failed.") for key in foreign]
            return ResultFile(in_order(batch, lines))
        if name != _name(batch, "error"):
            return None
        lines = [_result(line) for line in ran if not _has_succeeded(line)]
        if batch.plan.ends == "expired" and batch.plan.tells_expired:
            late = "This request could not be executed before the completion window expired."
            never = (line for line in batch.lines if not line.ran)
            lines += [_fault(line.key, "batch_expired", late) for line in never]
        return ResultFile(in_order(batch, lines))

    def unknown(self, name: str) -> Said:
        return _error(404, f"No such object: {name}", param="id")


def _name(batch: Batch, which: str) -> str:
    return f"file-{batch.id}-{which}"


def _has_succeeded(line: BatchLine) -> bool:
    return line.plan.is_good


def _again(batch: Batch) -> Sequence[BatchLine]:
    return batch.ran[: batch.plan.again]


def _result(line: BatchLine) -> ResultLine:
    status, body, picture = body_of(line)
    response = {
        "status_code": status,
        "request_id": f"req_{line.asked.number:08d}",
        "body": body,
    }
    name = f"batch_req_{line.asked.number:08d}"
    document = {"id": name, "custom_id": line.key, "response": response, "error": None}
    return ResultLine(document, picture)


def _fault(key: str, code: str, message: str) -> ResultLine:
    error = {"code": code, "message": message}
    return ResultLine({"id": "batch_req_0", "custom_id": key, "response": None, "error": error})
