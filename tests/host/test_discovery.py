"""Discovery: metadata only, nothing imported, no distribution can spoil it for the others."""

from collections.abc import Callable
from pathlib import Path

import pytest

from host_stub.errors import PluginConflict
from host_stub.plugins.loading import pick
from host_stub.plugins.offers import offers_of
from tests.host.conftest import Distribute


def names() -> list[str]:
    return [plugin.name for plugin in offers_of()]


@pytest.mark.parametrize(
    "broken",
    [
        "[host_stub.plugins]\nno equals sign here\n",
        "[host_stub.plugins]\n= x\n\x00",
        "[host_stub.plugins\nodd = x",
    ],
)
def test_a_distribution_with_broken_metadata_harms_nobody(
    distribute: Distribute, broken: str
) -> None:
    """Other plugins are still found."""
    site = distribute("broken", {"broken": "x"})
    (site / "broken-1.0.dist-info" / "entry_points.txt").write_text(broken, encoding="utf-8")
    distribute("sound", {"sound": "y"})

    assert "sound" in names()


def test_metadata_that_is_not_text_harms_nobody(distribute: Distribute) -> None:
    """Bytes that are no UTF-8 are somebody else's trouble."""
    site = distribute("binary", {"binary": "x"})
    (site / "binary-1.0.dist-info" / "entry_points.txt").write_bytes(b"[host_stub.plugins]\n\xff")
    distribute("sound", {"sound": "y"})

    assert "sound" in names()


def test_one_distribution_reached_by_two_ways_counts_once(
    distribute: Distribute, tmp_path: Path, put_on_path: Callable[[Path], None]
) -> None:
    """A lib64 link to lib makes no conflict."""
    site = distribute("twice", {"twice": "x"}, folder="lib")
    link = tmp_path / "lib64"
    link.symlink_to(site)
    put_on_path(link)

    assert names().count("twice") == 1
    assert pick("twice", offers_of()).target == "x"


def test_one_distribution_offering_a_name_twice_conflicts(distribute: Distribute) -> None:
    """Two entry points of one name in one file are no better than in two."""
    site = distribute("double", {"double": "x"})
    (site / "double-1.0.dist-info" / "entry_points.txt").write_text(
        "[host_stub.plugins]\ndouble = x\ndouble = y\n", encoding="utf-8"
    )

    with pytest.raises(PluginConflict) as caught:
        pick("double", offers_of())

    assert caught.value.sources == ("double 1.0 (x)", "double 1.0 (y)")
