"""How names are bound to references, in the words that are sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.request import MOST_NAME, PictureRequest, labelled, labels_of, one_line


def showing(*named: tuple[str | None, str | None], labels: bool = True) -> PictureRequest:
    """Return a request that shows a picture for each name and role."""
    sent = SentPicture(sha256="0" * 64, media_type="image/png", size_bytes=1)
    shown = tuple(
        Reference(
            wish=ReferenceWish(image="refs/one.png", name=name, role=role),
            sha256="0" * 64,
            sent=sent,
        )
        for name, role in named
    )
    return PictureRequest(
        scene_id="s1", prompt="a pier", width_px=64, height_px=64, shown=shown, labels=labels
    )


@pytest.mark.parametrize(
    "named, said",
    [
        ([], None),
        ([(None, None)], None),
        ([("  ", "\n")], None),
        ([("Mira", None)], "Reference image 1 is Mira."),
        ([("Mira", "face")], "Reference image 1 is Mira. Use it for: face."),
        ([(None, "style")], "Use reference image 1 for: style."),
        (
            [("Mira", None), (None, None), ("the harbour", None)],
            "Reference image 1 is Mira. Reference image 3 is the harbour.",
        ),
    ],
)
def test_each_reference_is_bound_by_its_number(
    named: list[tuple[str | None, str | None]], said: str | None
) -> None:
    """One without a name keeps its place in the count."""
    assert labels_of(showing(*named)) == said


def test_nothing_is_bound_where_that_is_switched_off() -> None:
    request = showing(("Mira", "face"), labels=False)

    assert labels_of(request) is None
    assert [label for _, label in labelled(request)] == [""]


@given(st.text(st.characters(exclude_categories=[])))
def test_a_name_stays_on_one_short_line(name: str) -> None:
    """Whatever it holds: it is part of a sentence, and of a request."""
    line = one_line(name)

    assert len(line) <= MOST_NAME
    assert len(line.splitlines()) <= 1
    assert line == line.strip()
    json.dumps(line, ensure_ascii=False).encode()
    assert one_line(line) == line


def test_letters_that_are_joined_stay_joined() -> None:
    """Names in Persian and Hindi are written with joiners, which are no letters."""
    assert one_line("می\u200cخواهم") == "می\u200cخواهم"
