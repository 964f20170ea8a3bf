"""What an assert may be: ``python -O`` leaves it out, so it must neither do nor guard a thing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.rules.repository import PACKAGES, modules


def is_narrowing(test: ast.expr) -> bool:
    """Return whether an assert says only that a name is not None, for those who check types."""
    busy = ast.Call | ast.NamedExpr | ast.Await
    return (
        isinstance(test, ast.Compare)
        and len(test.ops) == 1
        and isinstance(test.ops[0], ast.IsNot)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value is None
        and not any(isinstance(node, busy) for node in ast.walk(test))
    )


def found_in(path: Path) -> list[str]:
    """Return the asserts of a module that do more."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and not is_narrowing(node.test)
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_assert_does_work_or_guards_anything(package: str) -> None:
    """What has to hold raises an error of its own name; what has to be done is a statement."""
    assert [place for _, path in modules(package) for place in found_in(path)] == []


@pytest.mark.parametrize(
    "source",
    [
        "assert execute(x).rowcount == 3",
        "assert take() is not None",
        "assert (y := x) is not None",
        "assert x is None",
        "assert a != b",
        "assert isinstance(x, int)",
        "assert x",
    ],
)
def test_an_assert_that_does_or_guards_something_is_found(tmp_path: Path, source: str) -> None:
    """Calls, assignments, and everything else but a name that is not None."""
    path = tmp_path / "module.py"
    path.write_text(f"assert known.thing is not None\n{source}\n", encoding="utf-8")

    assert [place.partition(": ")[0] for place in found_in(path)] == ["module.py:2"]
