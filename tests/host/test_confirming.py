"""What is more, else or dearer than what was confirmed, without a plugin or a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from host_stub.stage.confirming import Foreseen, Wish

WISH = Wish("s1", "scene", "words", "files", "basis", 2, 3, 1, "0.05")
SEEN = Foreseen(
    made_by={"plugin": "p", "source": "p 1", "settings": "s", "routes": "r"},
    make=2,
    cost_usd="0.1",
    wishes=(WISH,),
)


@pytest.mark.parametrize(
    "change, why",
    [
        ({}, None),
        ({"to_make": 1}, None),
        ({"wanted": 2}, None),
        ({"lost": 0}, None),
        ({"cost_usd": "0.0499"}, None),
        ({"cost_usd": "0.050"}, None),
        ({"to_make": 3}, "wants more takes"),
        ({"wanted": 4}, "wants more takes"),
        ({"lost": 2}, "was paid for since, and no picture came"),
        ({"cost_usd": "0.050001"}, "costs more"),
        ({"cost_usd": None}, "costs more"),
        ({"said": "other words"}, "would be made from something else"),
        ({"shows": "another file"}, "would be made from something else"),
        ({"basis": "another"}, "would be made from something else"),
        ({"basis": None}, "would be made from something else"),
        ({"scene_id": "s2"}, "was not to be made"),
        ({"role": "sheet"}, "was not to be made"),
    ],
)
def test_less_is_covered_and_nothing_else(change: dict[str, Any], why: str | None) -> None:
    """A scene that would be made is held against the one that was confirmed."""
    now = replace(SEEN, wishes=(WISH._replace(**change),))
    name = f"{change.get('role', 'scene')} {change.get('scene_id', 's1')}"

    assert now.beyond(SEEN) == ([] if why is None else [f"{name} {why}"])
    assert (now.hash == SEEN.hash) is (now == SEEN)


def test_a_basis_that_comes_to_be_known_is_no_change() -> None:
    """What a scene shows of a sheet is known once that is made; its words and files are held."""
    before = replace(SEEN, wishes=(WISH._replace(basis=None),))

    assert SEEN.beyond(before) == []
    assert replace(SEEN, wishes=(WISH._replace(said="x"),)).beyond(before) != []


@pytest.mark.parametrize("key", SEEN.made_by)
def test_whoever_makes_them_is_held(key: str) -> None:
    """Their settings and routes as well, as long as anything is to be made."""
    other = replace(SEEN, made_by={**SEEN.made_by, key: "another"})

    assert len(other.beyond(SEEN)) == 1
    assert other.hash != SEEN.hash
    assert replace(other, make=0, wishes=()).beyond(SEEN) == []


def test_the_plugins_own_count_and_sum_are_held() -> None:
    """Where it would make what the host does not know of."""
    assert replace(SEEN, make=3).beyond(SEEN) == ["3 pictures would be made, and not 2"]
    assert replace(SEEN, cost_usd="0.11").beyond(SEEN) == ["all together costs more"]
    assert replace(SEEN, make=1, cost_usd="0.05").beyond(SEEN) == []


def test_a_record_is_read_as_it_was_written() -> None:
    """And what is none is refused."""
    again = Foreseen.from_record(SEEN.as_record())

    assert (again, again.hash) == (SEEN, SEEN.hash)
    for broken in ({}, {**SEEN.as_record(), "make": "many"}, {**SEEN.as_record(), "wishes": [[1]]}):
        with pytest.raises(ValueError, match="validation error"):
            Foreseen.from_record(broken)
