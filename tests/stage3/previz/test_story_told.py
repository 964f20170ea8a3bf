"""What is said of everybody, of hands and feet, of light and ground is what the frame shows."""

import re

import pytest

from stage3_plugin.previz.backdrop.sky import sky
from stage3_plugin.previz.compose import compose
from stage3_plugin.previz.things import Held
from tests.stage3.previz.drawing import SIZE, blank, reading_of, staged


@pytest.mark.parametrize(
    "prompt,emotions",
    [
        ("Ann Lee stands between Bob Ray and Cy Fox, all three smiling. A calm sea", "happy " * 3),
        ("Ann Lee in blue, angry, meets Bob Ray and Cy Fox; everyone laughs", "angry happy happy"),
        (
            "Ann Lee walks to Bob Ray and Cy Fox in the rain. Determined faces, tense",
            "serious " * 3,
        ),
        ("Ann Lee faces Bob Ray and smiles at Cy Fox", "calm happy calm"),
    ],
)
def test_what_all_feel_is_on_every_face(prompt: str, emotions: str) -> None:
    """A clause about all counts for each, except for whom the prompt says otherwise."""
    people = reading_of(prompt, "Ann Lee", "Bob Ray", "Cy Fox").people

    assert [person.look.emotion for person in people] == emotions.split()


@pytest.mark.parametrize(
    "prompt,label",
    [
        ("a wide green meadow under the mountains", "MEADOW"),
        ("a quiet park", "PARK"),
        ("a river in the rain", "RIVER"),
        ("a lake", "LAKE"),
        ("the wilderness", "OPEN GROUND"),
        ("雨后的草地", "MEADOW"),
        ("a kitchen", "KITCHEN"),
    ],
)
def test_the_slate_uses_the_prompts_own_word_for_a_place(prompt: str, label: str) -> None:
    """A place that is drawn like others of its kind keeps its name."""
    assert reading_of(prompt).setting.label == label


def test_an_evening_has_no_sun() -> None:
    """The sun is gone, outside and in the window, and lamps are on; a sunset has one."""
    assert reading_of("a kitchen in the evening, candlelight").setting.time == "evening"
    assert reading_of("a field in the evening sun").setting.time == "sunset"
    glows = {
        time: sky(blank(SIZE, time=time), 200, time, "clear").markup.count("url(#")
        for time in ("evening", "sunset")
    }
    assert glows["evening"] < glows["sunset"]


@pytest.mark.parametrize("said", ["waits at their feet", "sits beside them", "趴在他们脚边"])
def test_a_dog_at_their_feet_is_between_them(said: str) -> None:
    """It is drawn with the people and before them, not somewhere on the ground."""
    people = ("Ann Lee", "Bob Ray")
    near, far = (
        f"Wide shot, Ann Lee and Bob Ray, a dog {said}",
        "Wide shot, Ann Lee, Bob Ray, a dog",
    )

    assert [prop.held for prop in reading_of(near, *people).props] == [Held.FEET]
    assert [prop.held for prop in reading_of(far, *people).props] == [Held.UNSAID]
    with_dog, without = (
        compose(reading_of(prompt, *people), SIZE, seed=0, caption=False).foreground or ""
        for prompt in (near, far)
    )
    assert with_dog.count("<path") > without.count("<path")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("weather", ["clear", "overcast"])
def test_no_cloud_is_behind_the_slate(seed: int, weather: str) -> None:
    """It would shine through, and the words on it could not be read."""
    markup = sky(blank((1280, 720), seed=seed), 380, "day", weather).markup
    bars = re.findall(r'<rect x="[-.\d]+" y="([-.\d]+)"[^>]* rx="', markup)

    assert bars
    assert min(map(float, bars)) >= 720 * (0.058 + 0.044)


@pytest.mark.parametrize("shot", ["Medium wide shot", "Wide shot", "Low-angle wide shot"])
def test_shoes_are_above_the_caption(shot: str) -> None:
    """People who are seen whole are seen down to the soles."""
    staging, _, frame = staged(
        f"{shot} of Ann Lee and Bob Ray in a meadow", "Ann Lee", "Bob Ray", caption=True
    )

    assert len(staging.feet()) == 2
    for feet in staging.feet():
        assert feet.y + 0.13 * feet.head_px < frame.height_px - frame.caption_px
