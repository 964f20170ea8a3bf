"""The page of messages against the code: what is printed is found there, with a next step."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from host_stub.cli import main
from tests.rules.repository import DOCS, PACKAGES, files, modules, page, section, table_rows


@cache
def script() -> ModuleType:
    """Return ``docs/messages.py``, which is a script and lies in no package."""
    spec = importlib.util.spec_from_file_location("docs_messages", DOCS / "messages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def rows() -> tuple[str, ...]:
    """Return the texts of the page, as they are printed, with … for what differs."""
    cells = (row[0] for row in table_rows(page("troubleshooting.md")))
    return tuple(cell.strip("`").strip().replace("\\|", "|") for cell in cells)


def test_the_page_is_up_to_date() -> None:
    """A new text, or a kind of error that no section is for, is seen here."""
    assert script().page() == page("troubleshooting.md"), "run python docs/messages.py"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_text_that_is_raised_is_on_the_page(package: str) -> None:
    """Read here in another way than the script does: whatever text stands in a ``raise``."""
    told = _bare(page("troubleshooting.md"))
    missing = [
        f"{path.name}:{node.lineno}: {text}"
        for _, path in modules(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and not _is_assertion(node)
        for text in _texts_of(node)
        if len(re.findall(r"[^\W\d_]{4,}", text)) > 1 and _bare(text) not in told
    ]

    assert missing == []


def _bare(text: str) -> str:
    """Take away what Markdown needs, and quotes, which are code on the page."""
    return re.sub(r"[\\`']", "", text)


def _is_assertion(node: ast.Raise) -> bool:
    call = node.exc
    return isinstance(call, ast.Call) and "AssertionError" in ast.unparse(call.func)


def _texts_of(node: ast.Raise) -> list[str]:
    """Return the texts in a ``raise``, without spaces around them."""
    parts = (part for part in ast.walk(node) if isinstance(part, ast.Constant))
    texts = [" ".join(part.value.split()) for part in parts if isinstance(part.value, str)]
    return [text for text in texts if not re.fullmatch(r"[\w.-]*", text)]


def test_every_section_says_why_and_what_to_do() -> None:
    """By hand, for whatever the code itself gives no next step for."""
    text = page("troubleshooting.md")
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert len(titles) > 10
    for title in titles:
        cause, what, table = section(text, title).partition("**What to do:**")
        assert len(cause.split()) > 5
        assert what
        assert len(table.partition("\n|")[0].split()) > 3
        assert "\n| `" in table


BAD_CONFIG = {
    "a key that is misspelt": "[run]\nout_dri = 'out'\n",
    "no TOML": "[run\n",
    "a plugin that is not there": "[pipeline]\nimage = 'stage4'\n",
    "a setting that is misspelt": "[plugin.stage3]\ncapacty = 3\n",
    "a secret that is not there": "[plugin.stage3]\nprovider = 'openai'\nmodel = 'gpt-image-2'\n"
    "api_key = { env = 'NO_SUCH_KEY_HERE' }\n",
}
WORDS = {
    "no such command": ["rnu"],
    "no such option": ["check", "--onlin"],
    "a limit of nothing": ["run", "scenes.json", "--limit", "0"],
    "no such file": ["run", "nowhere.json"],
    "no such plugin": ["run", "scenes.json", "--image", "stage4"],
    "no such scene": ["run", "scenes.json", "--scene", "scene_999"],
    "no ledger": ["stage3", "attempts", "--state-dir", "nowhere"],
    "no journal": ["summary", "nowhere.jsonl"],
}


@pytest.mark.parametrize("what", [*BAD_CONFIG, *WORDS])
def test_what_is_printed_is_on_the_page(
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a person would look: the words of the terminal, of which a row has the unchanging ones."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "host.toml").write_text(BAD_CONFIG.get(what, ""), "utf-8")
    (tmp_path / "scenes.json").write_text('[{"scene_id": "a", "prompt": "a boat"}]', "utf-8")

    code = main(WORDS.get(what, ["check"]))
    printed = " ".join(capsys.readouterr().err.split())

    assert code == 2
    assert any(_pattern(row).search(printed) for row in rows()), printed


def _pattern(row: str) -> re.Pattern[str]:
    parts = (re.escape(part) for part in row.split("…"))
    return re.compile(r".{1,200}?".join(parts))


def _needed() -> dict[str, object]:
    """Return the one module that the example imports, read once."""
    path = next(path for path in files(".py") if path.as_posix().endswith("host_stub/errors.py"))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {"host_stub.errors": script()._taken_apart("host_stub.errors", tree)}


def test_a_kind_of_error_without_a_section_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever adds one is told where its cause and next step are written."""
    needed = _needed() | {
        "host_stub.odd": script()._taken_apart(
            "host_stub.odd",
            ast.parse(
                "from host_stub.errors import HostError\n"
                "class LampOut(HostError):\n    pass\n"
                "def light():\n    raise LampOut('the lamp is out')\n"
            ),
        )
    }
    monkeypatch.setattr(script(), "sources", lambda: needed)

    with pytest.raises(SystemExit, match=r"^LampOut: list this kind of error in docs/messages"):
        script().page()
