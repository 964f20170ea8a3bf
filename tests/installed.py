"""Distributions of other people, installed for real by pip, and a process that runs there."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests import documents


def build_wheel(
    folder: Path,
    release: str,
    *,
    modules: Mapping[str, str],
    entry_points: Mapping[str, Mapping[str, str]],
) -> Path:
    """Build a wheel as its specification has it: files, metadata, and a record of them all.

    Args:
        folder: Where it goes.
        release: Name and version of the distribution, such as ``striped-pictures 2.1``.
        modules: Their sources, by name.
        entry_points: What it offers, by group and name.
    """
    name, version = release.split()
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    groups = [
        "\n".join([f"[{group}]", *(f"{word} = {target}" for word, target in offers.items())])
        for group, offers in entry_points.items()
    ]
    files = {f"{module}.py": source for module, source in modules.items()} | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        "Requires-Dist: stage3-plugin\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": "\n".join(groups) + "\n",
    }
    record = [f"{path},{_digest(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def _digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Environment:
    """A fresh virtual environment that sees our distribution and its dependencies."""

    def __init__(self, folder: Path) -> None:
        has_pip = importlib.util.find_spec("pip") is not None
        venv.EnvBuilder(with_pip=not has_pip, symlinks=os.name != "nt").create(folder)
        scheme = sysconfig.get_paths("venv", {"base": str(folder), "platbase": str(folder)})
        self.python = Path(scheme["scripts"]) / ("python.exe" if os.name == "nt" else "python")
        self._pip = [sys.executable if has_pip else str(self.python), "-m", "pip"]
        if has_pip:
            self._pip += ["--python", str(self.python)]
        # addsitedir and not a bare path, so that an editable installation is followed too.
        ours = "; ".join(f"site.addsitedir({path!r})" for path in site.getsitepackages())
        self.packages = Path(scheme["purelib"])
        """Where its own packages lie: what is here is found before ours."""
        (self.packages / "beside.pth").write_text(f"import site; {ours}\n", encoding="utf-8")

    def pip(self, *words: str) -> None:
        command = [*self._pip, *words, "--quiet", "--disable-pip-version-check"]
        subprocess.run(command, check=True, timeout=120, capture_output=True)

    def install(self, *wheels: Path) -> None:
        self.pip("install", "--no-index", "--no-deps", *map(str, wheels))

    def host_stub(
        self, folder: Path, *words: str, code: int = 0, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.python), "-m", "host_stub", *words],
            cwd=folder,
            env={**os.environ, **(environ or {})},
            check=False,
            timeout=120,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )

        assert done.returncode == code, done.stderr
        documents.check_text(done.stdout)
        return done
