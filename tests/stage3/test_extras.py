"""What an installation can do without: whatever is lacking is named by its extra, in one line."""

from __future__ import annotations

import tomllib

import pytest

from host_stub.text.format import how_to_install as said_by_the_host
from stage3_plugin.errors import need
from stage3_plugin.runtime.extras import EXTRAS, how_to_install, lacking
from tests.rules.repository import ROOT


def test_every_extra_is_one_that_can_be_installed() -> None:
    """The table and ``pyproject.toml`` have the same extras; ``fast`` brings nothing any more."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]

    assert project["name"] == "stage3-plugin"
    assert {*EXTRAS, "fast"} == set(project["optional-dependencies"])


@pytest.mark.parametrize("extra", EXTRAS)
def test_host_and_plugin_say_in_one_way_how_an_extra_is_installed(extra: str) -> None:
    """Neither knows the other, and a person should read it once."""
    assert how_to_install(extra) == said_by_the_host(extra)


def test_an_extra_that_is_there_is_no_trouble() -> None:
    """Nothing of it is imported for that."""
    need("trio", setting="executor")

    assert lacking("trio") is None
