"""Sentences, English and Chinese, and what is decided from them."""

import pytest

from stage3_plugin.previz.cast import study
from stage3_plugin.previz.plate import Plate
from stage3_plugin.previz.reading import Angle, Shot, read
from tests.stage3.previz.drawing import reading_of


@pytest.mark.parametrize(
    "prompt,place,indoor",
    [
        ("a quiet laboratory", "lab", True),
        ("a woman in a white lab coat in a forest", "forest", False),
        ("INT. CASTLE - NIGHT", "hall", True),
        ("inside a cave", "cave", False),
        ("in front of the house, a library behind", "house", False),
        ("a city street", "street", False),
        ("a window", "room", True),
        ("a bird's-eye view of a harbour", "harbour", False),
        ("a pier at dawn", "harbour", False),
        ("a sandy beach beside the harbour", "beach", False),
        ("at the foot of the old stone tower", "tower", False),
        ("a castle with four towers", "castle", False),
        ("the warm kitchen of the lighthouse", "kitchen", True),
        ("the open sea, a lighthouse far off", "sea", False),
        ("Mira waves from the window of a library", "library", True),
        ("渔村的码头", "harbour", False),
        ("古老高塔脚下", "tower", False),
        ("", "stage", False),
        ("a red bicycle", "stage", False),
        ("Night. Tom writes a letter", "stage", False),
        ("a dragon under the moon", "field", False),
        ("a girl in the rain", "field", False),
        ("EXT. DAY", "field", False),
        ("a girl beside her doll's house", "stage", False),
        ("grandmother's cottage", "house", False),
        ("mountains behind a small temple", "pagoda", False),
        ("安静的实验室", "lab", True),
        ("穿实验室外套的人在竹林里", "forest", False),
        ("灯塔书房，阳光从窗户射进来", "library", True),
        ("上海的街头", "street", False),
        ("室内，城堡", "hall", True),
        ("深海中的珊瑚", "underwater", False),
        ("宇宙飞船的驾驶舱", "space", False),
    ],
)
def test_words_decide_the_place(prompt: str, place: str, indoor: bool) -> None:  # noqa: FBT001 - a table
    """The earliest telling place wins; clothes and figures of speech are no places."""
    setting = reading_of(prompt).setting

    assert (setting.place, setting.indoor) == (place, indoor)


@pytest.mark.parametrize(
    "prompt,time,weather",
    [
        ("a moonlit field", "night", "clear"),
        ("a field at sunrise, snowfall", "dawn", "snow"),
        ("a sunny day in the rain", "overcast", "rain"),
        ("a misty field", "overcast", "fog"),
        ("a field", "neutral", "clear"),
        ("a kitchen", "day", "clear"),
        ("a field at dusk. Avoid: storm, night", "sunset", "clear"),
        ("深夜的草原，暴风雨", "night", "storm"),
        ("黄昏的草原", "sunset", "clear"),
        ("清晨，薄雾", "dawn", "fog"),
        ("正午，阴天", "overcast", "overcast"),
    ],
)
def test_words_decide_time_and_weather(prompt: str, time: str, weather: str) -> None:
    """Bad weather takes the sun away, and a wish to avoid something is obeyed."""
    setting = reading_of(prompt).setting

    assert (setting.time, setting.weather) == (time, weather)


@pytest.mark.parametrize(
    "prompt,shot,angle",
    [
        ("extreme close-up of an eye", Shot.EXTREME_CLOSE_UP, Angle.EYE_LEVEL),
        ("medium close-up, low angle", Shot.MEDIUM_CLOSE_UP, Angle.LOW),
        ("close-up", Shot.CLOSE_UP, Angle.EYE_LEVEL),
        ("establishing shot from above", Shot.EXTREME_WIDE, Angle.HIGH),
        ("medium-wide shot, dutch angle", Shot.MEDIUM_WIDE, Angle.DUTCH),
        ("over-the-shoulder medium shot", Shot.MEDIUM, Angle.OVER_SHOULDER),
        ("a man", Shot.MEDIUM, Angle.EYE_LEVEL),
        ("a meadow", Shot.WIDE, Angle.EYE_LEVEL),
        ("大特写，仰视", Shot.EXTREME_CLOSE_UP, Angle.LOW),
        ("特写", Shot.CLOSE_UP, Angle.EYE_LEVEL),
        ("近景，俯拍", Shot.MEDIUM_CLOSE_UP, Angle.HIGH),
        ("中全景", Shot.MEDIUM_WIDE, Angle.EYE_LEVEL),
        ("远景，航拍", Shot.WIDE, Angle.TOP_DOWN),
    ],
)
def test_words_decide_shot_and_angle(prompt: str, shot: Shot, angle: Angle) -> None:
    """Without a word for it, people are seen from the waist up and places from afar."""
    reading = reading_of(prompt)

    assert (reading.shot, reading.angle) == (shot, angle)


@pytest.mark.parametrize(
    "prompt,count",
    [
        ("a meadow", 0),
        ("an empty street, nobody", 0),
        ("a man", 1),
        ("a man and a woman", 2),
        ("two friends", 2),
        ("Ann Lee meets Bob Ray", 2),
        ("三名士兵", 3),
        ("男子与女子", 2),
        ("空无一人的街道", 0),
        ("两人面对面", 2),
    ],
)
def test_words_count_the_people_nobody_listed(prompt: str, count: int) -> None:
    """A scene without a list of characters has the people its prompt speaks of."""
    assert len(reading_of(prompt).people) == count


def test_six_people_are_in_focus_and_more_are_a_crowd() -> None:
    """Further characters than a frame bears stand in the distance."""
    six = reading_of("a square", *"abcdef")
    seven = reading_of("a square", *"abcdefg")

    assert (len(six.people), six.crowd) == (6, False)
    assert (len(seven.people), seven.crowd) == (6, True)


@pytest.mark.parametrize(
    "prompt,look",
    [
        (
            "an old woman with silver hair and glasses in a red dress, smiling, walks",
            ("old", True, "#e4e6ea", True, "dress", "#c8323c", "happy", "walk"),
        ),
        (
            "a young man with short, slightly messy hair in a suit, angry",
            ("young", False, None, False, "suit", None, "angry", "stand"),
        ),
        (
            "白发老奶奶，戴眼镜，穿红色连衣裙，微笑，坐着",
            ("old", True, "#e4e6ea", True, "dress", "#c8323c", "happy", "sit"),
        ),
        (
            "穿黑色风衣的青年男子，愤怒",
            ("young", False, None, False, "coat", "#26262e", "angry", "stand"),
        ),
        (
            "a girl in a yellow raincoat, waving",
            ("child", True, None, False, "raincoat", "#e3b53b", "calm", "wave"),
        ),
        (
            "an old fisherman in a navy coat unties a rope",
            ("old", False, None, False, "coat", "#22335c", "calm", "lean"),
        ),
        (
            "小男孩，穿绿色毛衣，挥手",
            ("child", False, None, False, "sweater", "#3b8f57", "calm", "wave"),
        ),
        (
            "穿深蓝色大衣的老渔夫",
            ("old", None, None, False, "coat", "#22335c", "calm", "stand"),
        ),
    ],
)
def test_words_decide_a_look(prompt: str, look: tuple[object, ...]) -> None:
    """Age, sex, hair, glasses, clothes and their colour, feeling and pose come from words."""
    drawn = reading_of(prompt).people[0].look

    female = drawn.female if look[1] is not None else None
    told = (drawn.age, female, drawn.hair_colour if look[2] else None, drawn.glasses)
    worn = (drawn.outfit, drawn.garment, drawn.emotion, drawn.pose)
    assert told + worn == look


def test_messy_short_hair_is_messy_in_both_languages() -> None:
    """The same words in Chinese and English give the same hair."""
    english = reading_of("a man with short, slightly messy hair").people[0].look
    chinese = reading_of("男子，短发略显凌乱").people[0].look

    assert (english.hair, chinese.hair) == ("messy", "messy")


def test_a_man_and_a_woman_are_each_described_by_their_own_words() -> None:
    """Strangers are told apart, and the slate has no name for them."""
    man, woman = reading_of("a man in a red coat and a woman in a blue dress").people

    assert (man.look.female, man.look.outfit, man.look.garment) == (False, "coat", "#c8323c")
    assert (woman.look.female, woman.look.outfit, woman.look.garment) == (True, "dress", "#2f6fb8")
    assert (man.name, woman.name) == ("", "")


def test_several_who_are_described_together_share_the_description() -> None:
    """What a prompt says of a group is true of each, also which sex they are."""
    first, second = reading_of("two women in lab coats, laughing").people
    third, _ = reading_of("两位男士，坐着").people

    assert [person.look.female for person in (first, second, third)] == [True, True, False]
    assert first.look.outfit == second.look.outfit == "labcoat"
    assert first.look.emotion == second.look.emotion == "happy"
    assert first.look.hair != "short"


def test_what_two_do_together_both_do() -> None:
    """The verb after the second name counts for the first one too."""
    people = reading_of(
        "Ann Lee in blue and Bob Ray in green run home", "Ann Lee", "Bob Ray"
    ).people

    assert [person.look.pose for person in people] == ["run", "run"]


def test_a_name_on_the_slate_is_safe_text() -> None:
    """A control character in an identifier is neither drawn nor boxed."""
    (person,) = reading_of("a man", "Ann\u202eLee\x1f").people

    assert person.name == "Ann Lee"


def test_strangers_beside_each_other_have_different_colours() -> None:
    """Without a cast, colours come by lot, but never twice in one frame."""
    people = reading_of("a square", "char_001", "char_013", "x", "y", "z").people

    assert len({person.colour for person in people}) == 5


@pytest.mark.parametrize(
    "prompt,icons",
    [
        ("a cup of tea and a key", ["teacup-without-handle", "key"]),
        ("a blade of grass", []),
        ("a bird's-eye view", []),
        ("茶杯和钥匙", ["teacup-without-handle", "key"]),
        ("剪刀", []),
    ],
)
def test_words_bring_things(prompt: str, icons: list[str]) -> None:
    """Things come in the order of the prompt; figures of speech bring none."""
    assert [prop.icon for prop in reading_of(prompt).props] == icons


def test_moods_and_the_air() -> None:
    """Light, mood and what floats in the air are read too."""
    reading = reading_of(
        "dim candlelight, tense and sad, floating numbers, fireflies, a bamboo grove"
    )

    assert reading.setting.dim
    assert {"tense", "sad"} <= reading.moods
    assert (reading.numbers, reading.dust, reading.bamboo) == (True, True, True)


@pytest.mark.parametrize(
    "prompt, ages",
    [
        ("A girl of ten beside the grandfather clock", ["child"]),
        ("The grandmother's old cottage at dusk", []),
        ("A pirate ship, a child seat and a soldier statue", []),
        ("A doll's house on the lawn", []),
        ("Close-up of the old man's weathered face", ["old"]),
        ("The king’s daughter", ["adult"]),
        ("A grandfather and a girl", ["old", "child"]),
    ],
)
def test_a_word_for_a_person_counts_where_it_speaks_of_one(prompt: str, ages: list[str]) -> None:
    """What somebody owns, and a thing that is called after people, are not people."""
    people = reading_of(prompt).people

    assert len(people) == len(ages)
    assert [one.look.age for one in people if one.look.age in {"old", "child"}] == [
        age for age in ages if age != "adult"
    ]


def test_a_clock_makes_nobody_old_in_any_scene() -> None:
    """The cast, too, is described by what is said of the person and not of the thing."""
    story = [
        Plate("1", "Mira, a girl of ten, winds the grandfather clock in the hall", ("mira",)),
        Plate("2", "Mira runs across the meadow", ("mira",)),
    ]
    cast = study(story)

    assert [read(plate, cast).people[0].look.age for plate in story] == ["child", "child"]
