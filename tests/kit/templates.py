"""What the templates make: copied, built, installed by pip, and tried as its own CI tries it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.installed import Environment
from tests.rules.repository import ROOT

TEMPLATES = ROOT / "docs" / "templates"
LIMIT_S = 600

_LACKING = [name for name in ("copier", "hatchling", "mypy", "ruff") if find_spec(name) is None]
needs_tools = pytest.mark.skipif(
    bool(_LACKING) and os.environ.get("TOX_ENV_NAME") != "kit",
    reason=f"needs {', '.join(_LACKING)}: tox -e proof has them",
)
"""What is made is built and looked at by these; the lane that is for it may lack none."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file that is one mapping."""
    import yaml  # copier brings it

    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def copy(template: str, into: Path, **answers: str) -> subprocess.CompletedProcess[str]:
    """Make a distribution, as the page says: nothing is trusted, and nothing is asked."""
    given = [word for name, answer in answers.items() for word in ("--data", f"{name}={answer}")]
    return subprocess.run(
        [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults", *given,
         str(TEMPLATES / template), str(into)],
        capture_output=True, check=False, encoding="utf-8", timeout=LIMIT_S,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """A distribution that was made from a template.

    Attributes:
        folder: Its checkout.
        site: Where it is installed, with nothing else.
    """

    folder: Path
    site: Path

    @classmethod
    def of(cls, template: str, where: Path, **answers: str) -> Made:
        """Make it."""
        made = copy(template, where / "checkout", **answers)

        assert made.returncode == 0, made.stderr
        return cls(where / "checkout", where / "site")

    def build(self) -> tuple[Path, Path]:
        """Build its sdist and its wheel with its own backend."""
        self.do(f'"{sys.executable}" -m hatchling build -d dist')
        (sdist,) = (self.folder / "dist").glob("*.tar.gz")
        (wheel,) = (self.folder / "dist").glob("*.whl")
        return sdist, wheel

    def install(self) -> None:
        """Build it, and install the wheel by pip, beside what is installed here."""
        _, wheel = self.build()
        pip = Environment(self.site.with_name("pip"))
        pip.pip("install", "--no-index", "--no-deps", "--target", str(self.site), str(wheel))

    def do(self, command: str) -> str:
        """Run a line of its CI in its checkout; return what it says."""
        scripts = str(Path(sys.executable).parent)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=kept
            | {
                "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")]),
                "PYTHONPATH": str(self.site),
                "PYTHONWARNDEFAULTENCODING": "",  # mypy's own affair
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            encoding="utf-8",
            timeout=LIMIT_S,
        )

        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def workflow(self, name: str) -> dict[str, Any]:
        """Read one of its workflows."""
        return read_yaml(self.folder / ".github" / "workflows" / f"{name}.yml")

    def steps(self) -> list[str]:
        """Return the command lines of its CI, but for that which installs it."""
        steps = self.workflow("ci")["jobs"]["check"]["steps"]
        lines = [step["run"] for step in steps if "run" in step]

        assert lines[0] == "python -m pip install . --group dev"
        return lines[1:]
