"""The law of decisions through the commands: read twice they pay once, whatever falls ill between.

Over random stories, several reviewers' decisions, and runs that end in the midst of them: between
two looks at the story, and between two pictures.
"""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.host.decisions.commands import CONFIG, Studio
from tests.host.painter import Painter
from tests.host.takes import sha
from tests.laws import tried

pytestmark = pytest.mark.slow

NAMES = ["mira", "s1", "s2", "s3"]
WISHES = st.fixed_dictionaries(
    {"scene": st.sampled_from([*NAMES, "gone"])},
    optional={
        "seen": st.integers(0, 3),
        "show": st.integers(0, 2),
        "reject": st.sets(st.integers(0, 2)),
        "takes": st.integers(1, 4) | st.just(21),
        "prompt": st.sampled_from(["a pier", "a quay"]),
        "note": st.sampled_from(["", "good"]),
    },
)
REFERS = st.fixed_dictionaries({name: st.booleans() for name in NAMES[1:]})
_FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def as_written(wish: dict[str, Any], takes: dict[str, list[str]]) -> dict[str, Any]:
    """Put hashes where a wish has places; some of them are of no take."""
    there = [*takes.get(wish["scene"], ()), *(sha(f"gone {number}") for number in range(4))]
    said = dict(wish)
    if "seen" in wish:
        said["seen"] = there[: wish["seen"]]
    if "show" in wish:
        said["show"] = there[wish["show"]]
    if "reject" in wish:
        said["reject"] = [there[place] for place in sorted(wish["reject"])]
    return said


def falls_ill(patched: pytest.MonkeyPatch, doing: str, after: int) -> None:
    """Let the stage end in the midst of a run, when it has painted, or was asked, so often."""
    left, does = iter(range(after)), vars(Painter)[doing]

    def ill(*work: Any) -> Any:
        if next(left, None) is None:
            raise RuntimeError("the painter fell ill")
        return does(*work)

    patched.setattr(Painter, doing, ill)


@given(
    REFERS,
    st.integers(1, 2),
    st.lists(WISHES, max_size=3),
    st.lists(st.lists(WISHES, max_size=3), min_size=1, max_size=3),
    st.none() | st.tuples(st.sampled_from(["_paint", "survey"]), st.integers(0, 3)),
)
@settings(tried(25), suppress_health_check=_FIXTURES)
def test_what_is_read_again_after_any_end_is_paid_once(  # noqa: PLR0917 - fixtures come by name
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    painters: Path,
    refers: dict[str, bool],
    takes: int,
    earlier: list[dict[str, Any]],
    reviews: list[list[dict[str, Any]]],
    ill_after: tuple[str, int] | None,
) -> None:
    """A run costs what its plan said; one that ended early is made up for, and then none."""
    with tempfile.TemporaryDirectory(dir=painters) as name, monkeypatch.context() as patched:
        folder = Path(name)
        patched.chdir(folder)
        (folder / "host.toml").write_text(CONFIG, encoding="utf-8")
        studio = Studio(folder, capsys)
        studio.story(
            {"scene_id": "mira", "prompt": "an old woman"},
            *(
                {"scene_id": one, "prompt": one, "references": ["scene:mira"] if r else []}
                for one, r in refers.items()
            ),
        )
        studio.run("--takes", str(takes))
        there = {one: studio.seen(one) for one in NAMES}
        studio.run("--decisions", studio.decided(*(as_written(one, there) for one in earlier)))
        there = {one: studio.seen(one) for one in NAMES}
        for number, wishes in enumerate(reviews):
            studio.decided(*(as_written(wish, there) for wish in wishes), name=f"r{number}")
        (folder / "decisions" / "ana.json").unlink()
        before = studio.wishes()
        planned = studio.plan("--decisions", "decisions")

        if ill_after is not None:
            with monkeypatch.context() as sick:
                falls_ill(sick, *ill_after)
                studio.run("--decisions", "decisions")
        first = studio.run("--decisions", "decisions")
        bought = studio.wishes()
        second = studio.run("--decisions", "decisions")
        third = studio.lines("plan", "scenes.json", "--decisions", "decisions")

        most = max([takes, *(w["takes"] for r in reviews for w in r if w.get("takes", 21) <= 20)])
        assert studio.wishes() == bought
        assert second.said["cost_usd"] == "0"
        assert not any(reviews) or "nothing new in them" in third
        assert all(bought[wish] <= most for wish in bought - before)
        if ill_after is None:
            assert Decimal(first.said["cost_usd"]) == Decimal(planned.said["cost_high_usd"])
            assert first.said["decisions_refused"] == planned.said["decisions_refused"]
