"""Things: their colours, in whose hand they are, and what stands for a boat, a beard, a storm."""

import pytest

from stage3_plugin.previz.cast import study
from stage3_plugin.previz.plate import Plate
from stage3_plugin.previz.reading import read
from stage3_plugin.previz.things import Held, Prop
from tests.stage3.previz.drawing import reading_of


def thing(prompt: str, *characters: str) -> Prop:
    """Return the first thing a prompt speaks of."""
    return reading_of(prompt, *characters).props[0]


@pytest.mark.parametrize(
    "prompt,icon,colour",
    [
        ("a small blue boat", "boat", "#2f6fb8"),
        ("a blue wooden boat", "boat", "#2f6fb8"),
        ("a white sailing boat", "sailboat", "#f2f2ee"),
        ("a red balloon", "balloon", "#c8323c"),
        ("a black cat", "cat", "#26262e"),
        ("a girl in blue and a boat", "boat", None),
        ("blue sea, a boat", "boat", None),
        ("green tea", "teacup-without-handle", None),
        ("一只蓝色的小船", "boat", "#2f6fb8"),
        ("红气球", "balloon", "#c8323c"),
        ("一条船", "boat", None),
    ],
)
def test_a_colour_before_a_thing_dyes_it(prompt: str, icon: str, colour: str | None) -> None:
    """Up to one word may stand between the two, but none that begins another thing."""
    found = thing(prompt)

    assert (found.icon, found.colour) == (icon, colour)


@pytest.mark.parametrize(
    "prompt,held",
    [
        ("she walks with a folded map in her hand", Held.HAND),
        ("he holds up a heavy brass key", Held.RAISED),
        ("a man carrying an old lantern", Held.HAND),
        ("a lantern swinging between them", Held.BETWEEN),
        ("lanterns on the pier", Held.PLACED),
        ("a woman with a red book", Held.HAND),
        ("a table with a candle on the shelf", Held.PLACED),
        ("she holds a lantern on the pier", Held.HAND),
        ("a key", Held.UNSAID),
        ("he carries a microscope", Held.UNSAID),
        ("she holds her breath, a key", Held.UNSAID),
        ("手里拿着一张折起来的地图", Held.HAND),
        ("举起一把刚从面粉罐里找到的铜钥匙", Held.RAISED),
        ("一手提着灯笼", Held.HAND),
        ("桌上的钥匙", Held.UNSAID),
    ],
)
def test_words_around_a_thing_tell_whether_it_is_in_a_hand(prompt: str, held: Held) -> None:
    """Only in the same clause, and never what nobody carries."""
    assert thing(prompt).held is held


def test_the_boat_is_known_and_a_boat_is_not() -> None:
    """Who is at sea on the boat does not see it from outside."""
    assert thing("beside the boat").is_known
    assert thing("their old boat").is_known
    assert not thing("a boat far off").is_known


@pytest.mark.parametrize(
    "description,beard,colour",
    [
        ("a white-bearded fisherman", "full", "#e4e6ea"),
        ("a man with a long grey beard", "full", "#e4e6ea"),
        ("a bearded man with black hair", "full", None),
        ("a man with a red beard", "full", "#9c4a2f"),
        ("a man with a moustache", "moustache", None),
        ("a clean-shaven man, once bearded", "", None),
        ("a man", "", None),
        ("白胡子老人", "full", "#e4e6ea"),
        ("留着胡子的男子", "full", None),
        ("没有胡子的男子", "", None),
    ],
)
def test_beards_come_from_words(description: str, beard: str, colour: str | None) -> None:
    """And are worn by men, unless a word before says otherwise."""
    look = reading_of(description).people[0].look

    assert (look.beard, look.beard_colour) == (beard, colour)
    assert not look.female


@pytest.mark.parametrize(
    "character,prompt,age",
    [
        ("Old Tom", "Old Tom, a fisherman, waits.", "old"),
        ("old_tom", "Mira and Old Tom wait.", "old"),
        ("tom", "Here waits old Tom.", "old"),
        ("anna", "Here waits little Anna.", "child"),
        ("Mira", "Mira walks through the Old Town.", "adult"),
        ("Mira", "Mira opens an old book.", "adult"),
        ("老陈", "老陈站着。", "old"),
        ("老师", "老师站着。", "adult"),
    ],
)
def test_a_name_may_tell_an_age(character: str, prompt: str, age: str) -> None:
    """What belongs to the name counts; what else is old in the scene does not."""
    plate = Plate("scene_001", prompt, (character,))

    assert read(plate, study([plate])).people[0].look.age == age
