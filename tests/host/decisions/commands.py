"""The host's commands in a folder with a story, in this process, and what they said."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from host_stub.cli import main

CONFIG = '[pipeline]\nimage = "painter"\n'


@dataclass
class Told:
    """What a command said, with its exit code."""

    code: int
    said: dict[str, Any]


@dataclass
class Studio:
    """A folder with a story, whose pictures cost five cents each."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def story(self, *scenes: dict[str, Any]) -> None:
        (self.folder / "scenes.json").write_text(json.dumps(scenes), encoding="utf-8")

    def change(self, scene_id: str, **fields: str) -> None:
        """Change what the scene file says of a scene."""
        scenes = json.loads((self.folder / "scenes.json").read_text(encoding="utf-8"))
        self.story(*(one | fields if one["scene_id"] == scene_id else one for one in scenes))

    def host(self, command: str, *words: str | Path) -> Told:
        self.capsys.readouterr()
        code = main([command, *map(str, words), "--json"])
        return Told(code, json.loads(self.capsys.readouterr().out))

    def run(self, *words: str | Path) -> Told:
        return self.host("run", "scenes.json", *words)

    def plan(self, *words: str | Path) -> Told:
        return self.host("plan", "scenes.json", *words)

    def lines(self, *words: str | Path) -> str:
        """Return what a command says to a person."""
        self.capsys.readouterr()
        main([*map(str, words)])
        told = self.capsys.readouterr()
        return told.out + told.err

    def decided(self, *decisions: dict[str, Any], name: str = "ana") -> Path:
        path = self.folder / "decisions" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        document = {"format": "stage3-decisions/1", "reviewer": name, "decisions": decisions}
        path.write_text(json.dumps(document), encoding="utf-8")
        return path.relative_to(self.folder)

    def takes(self, scene_id: str) -> list[dict[str, Any]]:
        """Return what ``takes`` lists of a scene."""
        found: list[dict[str, Any]] = self.host("takes", scene_id).said["takes"]
        return found

    def seen(self, scene_id: str) -> list[str]:
        return [one["sha256"] for one in self.takes(scene_id)]

    def shown(self, scene_id: str) -> str:
        """Return the hash of the file that a person finds for a scene."""
        picture = self.folder / "out" / "images" / f"{scene_id}.png"
        return hashlib.sha256(picture.read_bytes()).hexdigest()

    def bought(self) -> int:
        ledger = self.folder / ".painter" / "ledger.jsonl"
        return len(ledger.read_text(encoding="utf-8").splitlines()) if ledger.exists() else 0

    def wishes(self) -> Counter[str]:
        """Count what was bought, by what it was bought for."""
        ledger = self.folder / ".painter" / "ledger.jsonl"
        rows = map(json.loads, ledger.read_text(encoding="utf-8").splitlines())
        return Counter(json.dumps([row["scene"], row["wish"]], sort_keys=True) for row in rows)

    def manifest(self) -> dict[str, Any]:
        text = (self.folder / "out" / "manifest.json").read_text(encoding="utf-8")
        manifest: dict[str, Any] = json.loads(text)
        return manifest

    def files(self) -> dict[str, bytes]:
        """Return every file of the folder with what it holds."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }
