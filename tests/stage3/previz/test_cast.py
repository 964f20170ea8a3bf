"""One name, one look and one colour for each character, over a whole story."""

import tracemalloc
from collections.abc import Iterator

import pytest

from stage3_plugin.previz.cast import Naming, study
from stage3_plugin.previz.plate import Plate
from stage3_plugin.previz.reading import read

STORY = [
    Plate("1", "Wang Miao, an old man with glasses in a suit, walks.", ("char_001",)),
    Plate("2", "Xiao Li in a red dress meets Wang Miao, shocked.", ("char_001", "char_002")),
    Plate("3", "Ye Wenjie, Wang Miao and Xiao Li sit.", ("char_002", "char_003", "char_001")),
]


def test_names_are_found_by_who_appears_where() -> None:
    """The order of the list of characters does not matter, nor does that of the names."""
    cast = study(STORY)

    assert {who: member.name for who, member in cast.members.items()} == {
        "char_001": "Wang Miao",
        "char_002": "Xiao Li",
        "char_003": "Ye Wenjie",
    }


def test_a_look_is_kept_in_scenes_that_do_not_describe_it() -> None:
    """Clothes stay; what somebody feels and does is each scene's own."""
    cast = study(STORY)

    first, second, third = (
        next(person for person in read(plate, cast).people if person.character == "char_001").look
        for plate in STORY
    )
    assert [look.outfit for look in (first, second, third)] == ["suit"] * 3
    assert all(look.glasses and look.age == "old" for look in (first, second, third))
    assert [look.emotion for look in (first, second, third)] == ["calm", "shock", "calm"]
    assert [look.pose for look in (first, second, third)] == ["walk", "stand", "sit"]


def test_a_chinese_name_as_identifier_is_found_in_the_prompts() -> None:
    """An all-Chinese story keeps its looks without any capital letters."""
    story = [
        Plate("1", "林晓岚，棕发扎成马尾、穿黄色风衣的年轻女子，走来。", ("林晓岚",)),
        Plate("2", "陈守诚微笑。林晓岚很震惊。", ("林晓岚", "陈守诚")),
    ]
    cast = study(story)

    look = read(story[1], cast).people[0].look
    assert (look.hair, look.outfit, look.emotion) == ("ponytail", "coat", "shock")


class LongStory:
    """Scenes that are made anew each time they are asked for, as a file is read anew."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __iter__(self) -> Iterator[Plate]:
        for number in range(self.length):
            who = number % 3
            name = ("Ada Lund", "Ben Holt", "Cy Marsh")[who]
            yield Plate(f"s{number}", f"{name} walks past number {number}.", (f"c{who}",))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_scenes() -> None:
    """State is kept per character and per name, never per scene."""
    study(LongStory(10))  # words and patterns are loaded once
    tracemalloc.start()
    try:
        study(LongStory(500))
        _, short_peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        cast = study(LongStory(5_000))
        _, long_peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [member.name for member in cast.members.values()] == ["Ada Lund", "Ben Holt", "Cy Marsh"]
    assert long_peak < short_peak + 50_000


def test_a_place_is_nobodys_name_for_long() -> None:
    """A name that also stands where a character is not is not that character's."""
    naming = Naming()
    naming.see(Plate("1", "Port Isaac: Ann Lee waits.", ("a",)))
    naming.see(Plate("2", "Port Isaac: Bob Ray waits.", ("b",)))

    named = naming.solve()
    assert {who: member.name for who, member in named.members.items()} == {
        "a": "Ann Lee",
        "b": "Bob Ray",
    }
