"""What a dead run had received or stored is used as it is, whatever its server says later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stage3_plugin.domain.states import State
from tests.fakes.behaviours import EmptyData, Missing, Ok
from tests.fakes.image_api import ImageApi
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
