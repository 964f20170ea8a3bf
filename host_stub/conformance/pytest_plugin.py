"""The kit as pytest collects it: ``pytest --pyargs host_stub.conformance --image NAME``.

pytest imports this in every environment that the kit is installed in, so it imports nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the kit is told; the names are those of ``host-stub conform``."""
    group = parser.getgroup("conformance", "the conformance kit of host_stub")
    group.addoption("--image", metavar="NAME", help="the image plugin to try")
    group.addoption("--case", metavar="FILE", help="a Python file with its case")
    group.addoption("--known", metavar="FILE", help="a TOML file of its known deviations")
