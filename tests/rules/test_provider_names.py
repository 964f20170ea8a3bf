"""Nothing that runs any provider knows one by its name, or a new one would be more than a file."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator

from tests.rules.repository import ROOT, imports_of, modules

ROOMS = ("engine", "settings", "purchase", "policy", "transport", "storage", "ledger")
"""Where no name is written; in ``domain/keys``, recorded forms of keys hold none either."""
_FOR_PEOPLE = {"description", "examples"}
"""What a setting's page says, which may well name who needs it."""


def offered() -> dict[str, str]:
    """Return the names that our own distribution offers, with what stands for each."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return dict(project["entry-points"]["stage3.providers"])


def literals(source: str) -> Iterator[tuple[str, int]]:
    """Yield the string literals of a source with their lines; no docstrings, nor a field's page."""
    tree = ast.parse(source)
    skipped = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring of anything, attributes included
            skipped.add(id(node.value))
        elif isinstance(node, ast.keyword) and node.arg in _FOR_PEOPLE:
            skipped.update(id(inner) for inner in ast.walk(node.value))
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if isinstance(node, ast.Constant) and is_text and id(node) not in skipped:
            yield str(node.value), node.lineno


def named(source: str) -> list[int]:
    """Return the lines of a source in which a provider's name stands."""
    pattern = re.compile(rf"\b({'|'.join(offered())})\b")
    return [line for text, line in literals(source) if pattern.search(text)]


def test_the_rule_finds_a_name() -> None:
    """Also within a text, and not in what only people read."""
    source = (
        '"""About openai."""\nif provider == "openai":\n    raise ValueError("not with previz")\n'
        'x = Field(description="as `openai` has it", examples=["openai"])\ny = "openaire"\n'
    )

    assert named(source) == [2, 3]


def test_no_providers_name_is_written_where_all_are_run() -> None:
    """What is particular to one is asked of its class or its profile, which a word finds."""
    ours = [
        (module, path)
        for module, path in modules("stage3_plugin")
        if module.partition(".")[2].partition(".")[0] in ROOMS
    ]
    found = [
        f"{module}:{line}"
        for module, path in ours
        for line in named(path.read_text(encoding="utf-8"))
    ]
    imports = [
        f"{module}:{line} imports {name}"
        for module, path in ours
        for name, line in imports_of(module, path)
        if any(name.startswith(target.partition(":")[0]) for target in offered().values())
    ]

    assert ours
    assert found == imports == []
