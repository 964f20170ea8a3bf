"""What a dead run had received or stored is used as it is, whatever its server says later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stage3_plugin.domain.states import State
from tests.fakes.behaviours import BadBase64, Behaviour, CutPng, EmptyData, Missing, Ok
from tests.fakes.image_api import ImageApi
from tests.heavy import first_of
from tests.killing.chains import Chain, story
from tests.killing.checks import left_in
from tests.killing.processes import Servers


@pytest.fixture
def service() -> Iterator[ImageApi]:
    """Run a service of its own, whose pictures lie at addresses."""
    with ImageApi() as api:
        api.always(Ok(usage=None, url="own"))
        yield api


def chain_of(name: str, servers: Servers, api: ImageApi, folder: Path) -> Chain:
    return Chain(
        servers=servers, api=api, folder=folder / name, scenes=story(name, 2), cap=9, capacity=1
    )


def fetched(api: ImageApi) -> int:
    """Count the visits of pictures' addresses."""
    return sum(one.path.startswith("/pictures/") for one in api.visits())


@pytest.mark.parametrize("point", ["keep.after", "settle commit.before"])
def test_a_stored_picture_survives_whatever_its_address_says_later(
    point: str, servers: Servers, service: ImageApi, projects: Path
) -> None:
    """It was stored and not yet called paid; the next run finds it there, and asks nobody."""
    chain = chain_of(f"kept-{point[:4]}", servers, service, projects)
    chain.die_at(point)
    stored = {path: path.read_bytes() for path in (chain.folder / "state").glob("objects/*/*")}
    asked = fetched(service)
    service.visit_always(Missing())
    service.always(Ok(usage=None))

    left = chain.to_the_end()

    assert stored
    assert {path: path.read_bytes() for path in stored} == stored
    assert fetched(service) == asked
    assert [one.state for one in left.purchases.values()] == [State.PAID] * 2


def test_what_a_recovery_finds_billed_for_nothing_is_not_bought_by_it(
    servers: Servers, service: ImageApi, projects: Path
) -> None:
    """A person has to be able to see it before it is paid for once more."""
    chain = chain_of("billed", servers, service, projects)
    service.script(EmptyData())
    chain.die_at("end.after")
    first, *_ = chain.scenes

    ended = chain.run()["outcomes"]

    assert ended is not None
    assert service.received(first) == 1
    assert ended[first] == "no_picture"
    assert len(left_in(chain.folder).of(State.PAID_BAD)) == 1


HARM: dict[str, Callable[[Path], object]] = {
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "empty": lambda file: file.write_bytes(b""),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "gone": Path.unlink,
}
"""What a power cut may leave of a file."""
LEFT: dict[str, tuple[Behaviour, str]] = {
    **{f"on the disk, {harm}": (Ok(usage=None, heavy=True), harm) for harm in HARM},
    "as it came, half a picture": (CutPng(), ""),
    "as it came, no base64": (BadBase64(), ""),
    "as it came, no picture": (Ok(usage=None, picture=b"a picture" * 9999), ""),
}


@pytest.mark.parametrize(
    "left_as", first_of(LEFT, "on the disk, zeros", "on the disk, gone", "as it came, no base64")
)
def test_a_whole_answer_whose_picture_is_damaged_is_unknown_and_not_bought_again(
    left_as: str, servers: Servers, service: ImageApi, projects: Path
) -> None:
    """The time between may be to blame: a person decides, and no run sends it before."""
    chain = chain_of("damaged", servers, service, projects)
    answer, harm = LEFT[left_as]
    service.script(answer)
    died = chain.die_at("end.after")
    first, other = chain.scenes
    if harm:
        (whole,) = died.whole
        files = chain.folder.glob(f"state/spool/{whole}/*")
        HARM[harm](max(files, key=lambda file: file.stat().st_size))

    ended = [chain.run()["outcomes"] for _ in range(2)]

    left = left_in(chain.folder)
    assert [outcomes and outcomes[first] for outcomes in ended] == ["unknown", "unknown"]
    assert sorted((one.scene_id, one.state) for one in left.purchases.values()) == [
        (first, State.UNKNOWN),
        (other, State.PAID),
    ]
    assert service.received() == 2
    assert left.problems == ()
