"""Decisions through the commands: what a plan says of them, and what a run does."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest

from host_stub.story.book import Book
from tests.host.decisions.commands import CONFIG, Studio
from tests.host.takes import sha

STORY: list[dict[str, Any]] = [
    {"scene_id": "mira", "prompt": "an old woman"},
    {"scene_id": "s1", "prompt": "a pier"},
    {"scene_id": "s2", "prompt": "a lamp", "references": ["scene:mira"]},
    {"scene_id": "s3", "prompt": "a boat"},
]


@pytest.fixture
def studio(painters: Path, capsys: pytest.CaptureFixture[str]) -> Studio:
    """Return a story of a sheet and three scenes, all made."""
    (painters / "host.toml").write_text(CONFIG, encoding="utf-8")
    studio = Studio(painters, capsys)
    studio.story(*STORY)
    assert studio.run().code == 0
    return studio


def test_a_plan_prices_what_the_run_then_buys(studio: Studio) -> None:
    """To the cent, and the plan changes nothing; read again, there is nothing to buy."""
    file = studio.decided(
        {"scene": "s1", "seen": studio.seen("s1"), "takes": 3},
        {"scene": "s3", "seen": studio.seen("s3"), "prompt": "a boat at night", "takes": 2},
    )
    before = studio.files()

    planned = studio.plan("--decisions", file)
    untouched = studio.files()
    ran = studio.run("--decisions", file)
    again = studio.run("--decisions", file)
    after = studio.plan("--decisions", file)
    said = studio.lines("plan", "scenes.json", "--decisions", file)
    more = studio.run("--decisions", studio.decided({"scene": "s1", "takes": 4}))

    assert untouched == before
    assert (planned.code, planned.said["make"]) == (0, 4)
    assert planned.said["cost_high_usd"] == planned.said["decisions_cost_usd"] == "0.20"
    assert (ran.code, ran.said["cost_usd"]) == (0, "0.20")
    assert (again.code, again.said["cost_usd"]) == (0, "0")
    assert after.said["decisions_cost_usd"] == "0.00"
    assert "decisions about 2 scenes, nothing new in them" in said
    assert (more.said["cost_usd"], studio.bought()) == ("0.05", 9)


def test_a_pick_is_shown_and_a_rejected_take_stays(studio: Studio) -> None:
    """The file beside the story is the picked take, with nothing bought."""
    studio.run("--takes", "2")
    first, second = studio.seen("s1")
    wish = {"scene": "s1", "seen": [first, second], "show": second, "reject": [first], "note": "x"}

    file = studio.decided(wish)
    ran = studio.run("--decisions", file)

    assert (ran.code, ran.said["cost_usd"]) == (0, "0")
    assert "nothing new in them" in studio.lines("plan", "scenes.json", "--decisions", file)
    assert studio.shown("s1") == second
    assert [one["rejected"] for one in studio.takes("s1")] == [True, False]
    assert [one["state"] for one in studio.takes("s1")] == ["current", "current"]


def test_takes_that_came_since_stay_as_another_said(studio: Studio) -> None:
    """A file says nothing of what its reviewer has not seen."""
    first = studio.seen("s1")
    ana = studio.decided({"scene": "s1", "seen": first, "reject": []})
    studio.run("--takes", "2")
    both = studio.seen("s1")
    ben = studio.decided({"scene": "s1", "seen": both, "reject": both[1:]}, name="ben")

    codes = [studio.run("--decisions", file).code for file in (ben, ana)]

    assert codes == [0, 0]
    assert [one["rejected"] for one in studio.takes("s1")] == [False, True]


def test_what_a_decision_does_not_reject_is_as_the_page_says(studio: Studio) -> None:
    """What it has in ``seen``, or without that all takes, is wanted again; the rest is left."""
    studio.run("--takes", "3")
    takes = studio.seen("s1")
    rejected = [True, False, True]
    before = studio.decided(
        {"scene": "s1", "reject": [one for one, no in zip(takes, rejected, strict=True) if no]}
    )
    some: list[list[str] | None] = [None, [], takes[:1], takes[1:]]
    for seen, reject in itertools.product(some, some):
        wish = {"scene": "s1", "seen": seen, "reject": reject}
        codes = {
            studio.run("--decisions", file).code
            for file in (before, studio.decided(wish, name="ben"))
        }

        said = {*takes} if not seen else {*seen, *(reject or ())}
        wanted = [
            one in reject if reject is not None and one in said else no
            for one, no in zip(takes, rejected, strict=True)
        ]
        assert codes == {0}
        assert [one["rejected"] for one in studio.takes("s1")] == wanted, wish


def test_what_is_stale_is_refused_by_name_and_the_rest_is_done(studio: Studio) -> None:
    """A scene that was edited since, in the plan as in the run; nothing is bought for it."""
    seen = {name: studio.seen(name) for name in ("s1", "s3")}
    file = studio.decided(
        {"scene": "s1", "seen": seen["s1"], "takes": 3},
        {"scene": "s3", "seen": seen["s3"], "takes": 2},
    )
    studio.change("s1", prompt="a quay")

    planned = studio.plan("--decisions", file)
    ran = studio.run("--decisions", file)

    (refused,) = planned.said["decisions_refused"]
    assert planned.code == ran.code == 1
    assert ran.said["decisions_refused"] == studio.manifest()["decisions_refused"] == [refused]
    assert refused["scene"] == "s1"
    assert "its prompt is another" in refused["why"]
    assert (planned.said["make"], planned.said["decisions_cost_usd"]) == (2, "0.05")
    assert ran.said["cost_usd"] == planned.said["cost_high_usd"] == "0.10"
    assert [len(studio.seen(name)) for name in ("s1", "s3")] == [2, 2]


def test_unknown_scenes_and_too_many_takes_are_refused(studio: Studio) -> None:
    """Each by its name; what can be done is."""
    file = studio.decided(
        {"scene": "s11", "takes": 2}, {"scene": "s1", "takes": 21}, {"scene": "s3", "takes": 2}
    )

    ran = studio.run("--decisions", file)

    assert ran.code == 1
    assert [one["scene"] for one in ran.said["decisions_refused"]] == ["s11", "s1"]
    assert "did you mean 's1'" in ran.said["decisions_refused"][0]["why"]
    assert ran.said["cost_usd"] == "0.05"


def test_a_pick_of_what_the_scene_is_no_more_is_said_not_to_last(studio: Studio) -> None:
    """A person may show anything; the next run goes back to what the scene is now."""
    old = studio.seen("s1")
    studio.change("s1", prompt="a quay")
    file = studio.decided({"scene": "s1", "show": old[0]})

    lines = studio.lines("plan", "scenes.json", "--decisions", file)
    ran = studio.run("--decisions", file)

    (warning,) = ran.said["decisions_warnings"]
    assert warning["scene"] == "s1"
    assert warning["why"].startswith("take 1 was made from something else, so it is shown only")
    assert f"  not for long: s1: {warning['why']}\n" in lines
    assert studio.shown("s1") == studio.seen("s1")[1]


def test_a_note_is_kept_by_its_reviewer(studio: Studio) -> None:
    """One of another stays beside it; an empty one takes the own one away."""
    said = [("no hat", "ana"), ("darker", "ben"), ("no hat", "ana"), ("", "ben"), ("", "ben")]
    news: list[str] = []
    for note, who in said:
        file = studio.decided({"scene": "s1", "note": note}, name=who)
        lines = studio.lines("run", "scenes.json", "--decisions", file)
        news.append(lines.partition("decisions about 1 scene")[2].partition("\n")[0])

    one, none = ": 1 note [decisions]", ", nothing new in them [decisions]"
    assert news == [one, one, none, one, none]
    assert studio.host("takes", "s1").said["notes"] == ["no hat"]


def test_a_take_that_only_the_plugin_knows_can_be_shown(studio: Studio) -> None:
    """The book was lost, and the take is of what the scene was before: it is written down first."""
    (old,) = studio.seen("s1")
    studio.change("s1", prompt="a quay")
    studio.run()
    for lost in (".story", "out"):
        shutil.rmtree(studio.folder / lost)

    file = studio.decided({"scene": "s1", "show": old})
    planned = studio.plan("--decisions", file)
    ran = studio.run("--decisions", file)

    (warned,) = planned.said["decisions_warnings"]
    assert (planned.code, planned.said["make"], warned["scene"]) == (0, 0, "s1")
    assert (ran.code, ran.said["cost_usd"]) == (0, "0")
    assert old in studio.seen("s1")


def test_what_breaks_off_leaves_all_of_it_or_nothing(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand decisions are one transaction: what a page showed as one is one."""
    studio.run("--takes", "2")
    wishes = [
        {"scene": one, "show": studio.seen(one)[1], "note": "good", "reject": studio.seen(one)[:1]}
        for one in ("s1", "s3")
    ]
    point = Book.point

    def full(book: Book, scene_id: str, *rest: Any, **said: Any) -> None:
        if scene_id == "s3":
            raise OSError(28, "No space left on device")
        point(book, scene_id, *rest, **said)

    with monkeypatch.context() as patch:
        patch.setattr(Book, "point", full)  # the disk is full at the second one
        failed = studio.run("--decisions", studio.decided(*wishes))
    told = studio.host("takes", "s1").said

    assert failed.code != 0
    assert (told["shown_take"], told["notes"]) == (1, [])
    assert [one["rejected"] for one in told["takes"]] == [False, False]


def test_what_is_said_to_people_names_each_refused_one_and_each_conflict(studio: Studio) -> None:
    """And says in one line what was new; a long list is cut, the JSON has all of it."""
    gone = [{"scene": f"x{number}", "takes": 2} for number in range(25)]
    studio.decided({"scene": "s1", "takes": 2})
    studio.decided({"scene": "s1", "takes": 3}, {"scene": "s2", "takes": 21}, *gone, name="ben")

    said = studio.lines("plan", "scenes.json", "--decisions", "decisions")
    planned = studio.plan("--decisions", "decisions").said

    lines = said[said.index("decisions about") :].splitlines()
    assert lines[0] == ("decisions about 27 scenes; 26 refused: 1 scene with a new number of takes")
    assert lines[1].startswith("  refused: s2: more takes are wanted than the 20")
    assert lines[21] == "  and 6 more; --json has all of them"
    assert lines[22].startswith("  decided twice: s1: decisions[0] of ben (decisions/ben.json)")
    assert len(planned["decisions_refused"]) == 26
    assert [one["scene"] for one in planned["decisions_conflicts"]] == ["s1"]


HOSTILE: list[tuple[str, str, str]] = [
    ("[" * 200_000, "line 1", "nested too deeply"),
    (
        '{"format": "stage3-decisions/1", "decisions": [{"scene": "s1", "takes": NaN}]}',
        "line 1",
        "finite",
    ),
]


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_file_that_is_none_spends_nothing(studio: Studio, command: str) -> None:
    """Not even for the decisions of a good file beside it; exit code 2, with file, field, step."""
    good = studio.decided({"scene": "s1", "takes": 3})
    bad = good.with_name("bad.json")
    for text, where, what in HOSTILE:
        bad.write_text(text, encoding="utf-8")
        before = studio.files()

        told = studio.host(command, "scenes.json", "--decisions", good, "--decisions", bad)

        error = told.said["error"]
        assert (told.code, error["code"], error["path"]) == (2, "decisions", str(bad))
        assert where in error["message"]
        assert what in error["message"]
        assert error["hint"]
        assert studio.files() == before


def test_several_reviewers_are_merged_and_the_one_left_out_is_named(studio: Studio) -> None:
    """From a folder: the later decision of a scene counts."""
    seen = studio.seen("s1")
    studio.decided({"scene": "s1", "seen": seen, "takes": 3, "at": "2026-11-26T10:00:00Z"})
    studio.decided(
        {"scene": "s1", "seen": seen, "takes": 2, "at": "2026-11-26T11:00:00Z"}, name="ben"
    )

    ran = studio.run("--decisions", "decisions")

    (conflict,) = ran.said["decisions_conflicts"]
    assert (ran.code, ran.said["cost_usd"]) == (0, "0.05")
    assert conflict["scene"] == "s1"
    assert "of ben (decisions/ben.json), of 2026-11-26T11:00:00Z, counts" in conflict["why"]
    assert "of ana (decisions/ana.json)" in conflict["why"]


def test_another_sheet_is_priced_with_the_scenes_that_show_it(studio: Studio) -> None:
    """Its pick costs nothing, and makes its scenes anew: the plan says so before."""
    studio.host("reroll", "mira")
    studio.run()
    seen = studio.seen("mira")
    file = studio.decided({"scene": "mira", "seen": seen, "show": seen[1]})

    planned = studio.plan("--decisions", file)
    ran = studio.run("--decisions", file)

    assert (planned.said["make"], planned.said["decisions_cost_usd"]) == (1, "0.05")
    assert planned.said["stale_reasons"] == {"sheet": 1}
    assert (ran.code, ran.said["cost_usd"], len(studio.seen("s2"))) == (0, "0.05", 2)


@pytest.mark.parametrize(
    "part, makes",
    [(("--scene", "s1"), 1), (("--limit", "2"), 1), (("--only", "missing,stale"), 0)],
)
def test_a_part_of_a_story_obeys_decisions_about_all_of_it(
    studio: Studio, part: tuple[str, ...], makes: int
) -> None:
    """What costs nothing is done; what is to be bought waits for a run that is about it."""
    studio.run("--takes", "2")
    seen = studio.seen("s3")
    file = studio.decided(
        {"scene": "s1", "takes": 3}, {"scene": "s3", "seen": seen, "show": seen[1], "takes": 3}
    )

    planned = studio.plan(*part, "--decisions", file)
    ran = studio.run(*part, "--decisions", file)
    bought = studio.bought()
    rest = studio.run()

    told = planned.said["make"], planned.said["decisions_refused"]
    assert (planned.code, *told) == (0, makes, [])
    assert (ran.code, ran.said["decisions_refused"], bought) == (0, [], 8 + makes)
    assert studio.shown("s3") == seen[1]
    assert (rest.code, studio.bought(), len(studio.seen("s3"))) == (0, 10, 3)


def test_a_prompt_holds_for_every_later_command(studio: Studio) -> None:
    """Until the scene file says something else than it did."""
    studio.run("--decisions", studio.decided({"scene": "s1", "prompt": "a pier at night"}))
    plain = studio.plan()
    status = studio.host("status").said["story"]
    studio.change("s1", prompt="a quay")
    edited = studio.plan()

    assert (plain.said["make"], status["current"]) == (0, 4)
    assert edited.said["make"] == 1


def test_decisions_are_about_the_storys_own_pictures(studio: Studio) -> None:
    """Drafts and another plugin's pictures beside the story have nothing to do with them."""
    file = studio.decided({"scene": "s1", "takes": 2})

    drafts = studio.run("--draft", "--decisions", file)
    plain = studio.run("--image", "plain", "--decisions", file)

    assert drafts.code == plain.code == 2
    assert drafts.said["error"]["hint"] == "leave --decisions out, or --draft and --image"
    assert studio.bought() == 4


def test_a_plugin_that_surveys_nothing_makes_another_take_for_another_prompt(
    studio: Studio,
) -> None:
    """What it knows nothing of is the host's: which take is shown, and what it was made from."""
    config = CONFIG.replace("painter", "plain")
    (studio.folder / "host.toml").write_text(config, encoding="utf-8")
    studio.run("--out", "flat")
    seen = [one["sha256"] for one in studio.host("takes", "s1", "--out", "flat").said["takes"]]
    file = studio.decided(
        {"scene": "s1", "seen": seen, "prompt": "a pier at night", "note": "darker"}
    )

    ran = studio.run("--out", "flat", "--decisions", file)
    again = studio.run("--out", "flat", "--decisions", file)
    takes = studio.host("takes", "s1", "--out", "flat").said

    assert (ran.code, again.code) == (0, 0)
    assert [one["sha256"] for one in takes["takes"]][:1] == seen
    assert (len(takes["takes"]), takes["shown"]) == (2, takes["takes"][1]["sha256"])


def test_a_person_hears_the_price_before_the_first_request(studio: Studio) -> None:
    """And which decisions are refused, and why."""
    file = studio.decided({"scene": "s1", "takes": 3}, {"scene": "gone", "show": sha(1)})

    planned = studio.lines("plan", "scenes.json", "--decisions", file)
    ran = studio.lines("run", "scenes.json", "--decisions", file)

    assert "decisions about 2 scenes; 1 refused" in planned
    assert "refused: gone: the story has no such scene" in planned
    assert "of that for the decisions: at most $0.10" in planned
    assert "refused: gone: the story has no such scene" in ran
    price, first, last = (
        ran.index(words)
        for words in (
            "with what is decided this run makes 2 pictures; at most $0.10",
            "s1 take 2 done",
            "1 decision was refused: decisions_refused in the manifest says which",
        )
    )
    assert price < first < last
