"""The floors of the two packages: a room imports only what lies below it.

A room is what stands at the top of a package: a folder, or a module. The table is the whole rule.
Imports that are made late, or for annotations alone, count as all others do. Of the host,
every floor of the plugin may import ``host_stub.contract``, whose shapes are the stage's own, and
``host_stub.sqlite``, ``host_stub.plugins.offers``, ``host_stub.text.columns`` and
``host_stub.text.file_names``, which open files, find what is installed, lay tables out, and say
what a scene's files are called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pytest

from tests.rules.repository import PACKAGES, ROOT, modules, our_imports

FLOORS: Mapping[str, tuple[frozenset[str], ...]] = {
    "stage3_plugin": (
        frozenset({"runtime", "previz"}),  # previz knows nothing of the rest
        frozenset({"errors", "settings"}),
        frozenset({"domain", "executors", "files"}),  # a job is opaque: executors know no request
        frozenset({"ledger", "policy", "providers", "renderers", "storage", "transport"}),
        frozenset({"purchase"}),
        frozenset({"engine", "maintenance"}),
        frozenset({"testing"}),  # beside the house: for authors of providers, and for rehearsals
        frozenset({"cli", "library"}),
        frozenset({"__init__", "__main__", "hooks"}),
    ),
    "host_stub": (
        frozenset({"__init__", "commands", "contract", "errors", "sqlite"}),
        frozenset({"hookspecs", "text"}),
        frozenset({"config"}),
        frozenset({"events", "plain_image", "plugins", "scenes", "story", "telemetry"}),
        frozenset({"decisions", "standing"}),
        frozenset({"stage"}),
        frozenset({"run"}),
        frozenset({"conformance", "review"}),  # the kit comes along: the command alone uses it
        frozenset({"cli"}),
        frozenset({"__main__"}),
    ),
}
"""From the ground up. Rooms of one floor are neighbours, and do not know one another."""

BESIDE = frozenset({"testing"})
"""Rooms that come along and that only a rehearsal imports; the product is counted without them."""

MOST_MODULES, MOST_ROOMS, MOST_FLOORS = 9, 22, 10


def room_of(module: str) -> str:
    """Return the room of a module; a package's own module is a room called ``__init__``."""
    return [*module.split("."), "__init__"][1]


def arrows(package: str) -> Iterator[tuple[str, str, int]]:
    """Yield who imports whom, and in which line."""
    known = {module for module, _ in modules(package)}
    for module, path in modules(package):
        for imported, line in our_imports(module, path, known):
            yield module, imported, line


def unlawful(
    found: Iterable[tuple[str, str, int]], floors: tuple[frozenset[str], ...]
) -> list[str]:
    """Say which imports break the rule, and where each room lies."""
    floor_of = {room: floor for floor, rooms in enumerate(floors) for room in rooms}
    return [
        f"{module}:{line} imports {imported}, and {there} (floor {floor_of[there]}) "
        f"is not below {here} (floor {floor_of[here]})"
        for module, imported, line in found
        if (here := room_of(module)) != (there := room_of(imported))
        and floor_of[there] >= floor_of[here]
    ]


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the ways of imports that come back to where they began, one for each circle."""
    done: set[str] = set()
    found: list[list[str]] = []

    def walk(module: str, way: list[str]) -> None:
        if module in way:
            found.append([*way[way.index(module) :], module])
        elif module not in done:
            for other in sorted(edges.get(module, ())):
                walk(other, [*way, module])
            done.add(module)

    for module in edges:
        walk(module, [])
    return found


def test_the_rule_sees_what_breaks_it() -> None:
    """An import that goes up is named, and one of a neighbour; a circle is told by its way."""
    floors = (frozenset({"low"}), frozenset({"left", "right"}))
    found = [("p.left.a", "p.low.b", 1), ("p.low.b", "p.left.a", 2), ("p.left.a", "p.right", 3)]

    assert unlawful(found, floors) == [
        "p.low.b:2 imports p.left.a, and left (floor 1) is not below low (floor 0)",
        "p.left.a:3 imports p.right, and right (floor 1) is not below left (floor 1)",
    ]
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c", "b"]]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_its_floor(package: str) -> None:
    """The table has each room once, and none that is not there."""
    listed = [room for rooms in FLOORS[package] for room in rooms]

    assert sorted(listed) == sorted({room_of(module) for module, _ in modules(package)})


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_imports_only_what_is_below_it(package: str) -> None:
    """So each can be read with nothing in mind but what lies under it."""
    assert unlawful(arrows(package), FLOORS[package]) == []


def test_the_transport_knows_no_files() -> None:
    """What arrives flows into a sink that it is handed: where that leads, its maker knows."""
    known = {room_of(to) for who, to, _ in arrows("stage3_plugin") if room_of(who) == "transport"}

    assert known == {"transport", "domain", "errors", "runtime"}


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_but_a_rehearsal_imports_what_is_for_tests(package: str) -> None:
    """No rule of the product can hang on the loopback server; ``stage3 rehearse`` serves it."""
    known = {module for one in PACKAGES for module, _ in modules(one)}
    found = {
        module
        for module, path in modules(package)
        if room_of(module) not in BESIDE
        for imported, _ in our_imports(module, path, known)
        if imported.startswith("stage3_plugin.") and room_of(imported) in BESIDE
    }

    assert found == ({"stage3_plugin.cli"} if package == "stage3_plugin" else set())


@pytest.mark.parametrize("package", PACKAGES)
def test_no_imports_go_in_a_circle(package: str) -> None:
    """Not within a room either: there is always a module to begin reading with."""
    edges: dict[str, set[str]] = {module: set() for module, _ in modules(package)}
    for module, imported, _ in arrows(package):
        edges[module].add(imported)

    assert circles(edges) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_house_can_be_taken_in_at_a_glance(package: str) -> None:
    """A newcomer sees few modules at the top, few rooms, and few floors."""
    at_the_top = list((ROOT / package).glob("*.py"))

    assert len(at_the_top) <= MOST_MODULES
    floors = [rooms - BESIDE for rooms in FLOORS[package] if rooms - BESIDE]
    assert len({room for rooms in floors for room in rooms}) <= MOST_ROOMS
    assert len(floors) <= MOST_FLOORS
