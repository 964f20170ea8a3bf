"""Every code that is shown is explained, and nothing else is."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from typing import Any, TypeVar, get_args

import pytest

from host_stub.cli.explain_command import KINDS, explanations
from host_stub.contract import FailureCode
from host_stub.errors import HostError
from stage3_plugin.cli import _code_of  # pyright: ignore[reportPrivateUsage]  # how they are named
from stage3_plugin.errors import Stage3Error
from tests.rules.repository import PACKAGES, ROOT, modules, page, section, table_rows

_Error = TypeVar("_Error", bound=Exception)

EXIT_CODES = {"0", "1", "2", "3", "4", "5", "129", "130", "143"}
BASES = {"Refused"}
"""Nobody raises these themselves."""
INSIDE = {
    "DiedIdle", "FetchRefused", "IllegalTransition", "JobFailed", "JobRefused", "PictureRefused",
    "SpoolRefused", "WorkerLost",
}  # fmt: skip
"""What becomes a scene's failure, or would be a mistake of the program: no command ends with it."""


def below(kind: type[_Error]) -> Iterator[type[_Error]]:
    """Return the classes of ours that derive from one, whatever tests derive."""
    for one in kind.__subclasses__():
        if one.__module__.partition(".")[0] in {"host_stub", "stage3_plugin"}:
            yield one
        yield from below(one)


def codes_of_errors() -> set[str]:
    """Return those that a command can end with."""
    for package in PACKAGES:
        for module, path in modules(package):
            text = path.read_text(encoding="utf-8")
            needs_an_extra = "import psycopg" in text or ".postgres" in module
            if ("Refused(" in text or "Error)" in text) and not needs_an_extra:
                import_module(module)
    ours = [one for one in below(Stage3Error) if one.__name__ not in INSIDE | BASES]
    named = {_code_of(one.__new__(one)) for one in ours}
    hosts = {one.code for one in below(HostError)}
    return {"host", "surprise"} | named | hosts


def codes_of_warnings(package: str) -> set[str]:
    """Return those that a package's warnings end with, but for those that an error has."""
    return {
        node.args[0].value
        for _, path in modules(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "coded"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def test_each_code_is_explained_and_nothing_else() -> None:
    """Failures, errors, warnings and exit codes."""
    explained = {kind: {one.code for one in explanations() if one.kind == kind} for kind in KINDS}

    assert explained["failure"] == set(get_args(FailureCode))
    assert explained["error"] == codes_of_errors()
    assert explained["warning"] == set[str]().union(*map(codes_of_warnings, PACKAGES))
    assert explained["exit"] == EXIT_CODES


@pytest.mark.parametrize("package", ["host_stub", "stage3_plugin"])
def test_an_explanation_is_short_and_whole(package: str) -> None:
    """A sentence or two of each: what happened, what it cost, what to do."""
    text = (ROOT / package / "explanations.toml").read_text(encoding="utf-8")
    tables: dict[str, dict[str, Any]] = tomllib.loads(text)
    wrong = [
        (kind, code)
        for kind, codes in tables.items()
        for code, said in codes.items()
        if list(said) != ["title", "happened", "cost", "next"]
        or not all(one.endswith(".") for one in list(said.values())[1:])
        or len(" ".join(said.values()).split()) > 90
    ]

    assert wrong == []


def test_the_codes_of_the_page_on_the_contract_are_those_that_are_explained() -> None:
    """The table there says when a run stops; both have one list."""
    rows = table_rows(section(page("contract.md"), "Failure codes"))

    assert [row[0].strip("`") for row in rows] == list(get_args(FailureCode))


def test_each_message_of_the_troubleshooting_page_is_one_of_the_program() -> None:
    """Its words between what differs are in the sources, or it is a failure's code."""
    texts = {
        node.value
        for package in PACKAGES
        for _, path in modules(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    codes = set(get_args(FailureCode))
    headings = re.findall(r"^### `(.+)`$", page("troubleshooting.md"), re.MULTILINE)
    missing = [
        heading
        for heading in headings
        for part in filter(None, (one.strip(" ':,") for one in heading.split("…")))
        if part not in codes and not any(part in text for text in texts)
    ]

    assert len(headings) == 20
    assert missing == []
