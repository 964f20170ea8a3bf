"""A program that stays for what is being made, or leaves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from stage3_plugin import Stop, Waited, make_pictures, open_stage, wait_for_pictures
from stage3_plugin.domain.states import State
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.queues import Queued
from tests.doors import states
from tests.fakes.plain import Plain, PlainDialect
from tests.library.calling import code, painter, scenes
from tests.places import offer, wait
from tests.projects import wait_until

ENDLESS = 10_000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    wait(monkeypatch, "policy.polling", FIRST_WAIT_S=0.01, LONGEST_WAIT_S=0.01, GONE_WAIT_S=0.01)
    offer(monkeypatch, "plain", Plain)


@pytest.fixture
def queue_api() -> Iterator[ImageApi]:
    with ImageApi(dialect=PlainDialect()) as api:
        yield api


class Shop:
    """A program whose last call left pictures being made."""

    def __init__(self, api: ImageApi, folder: Path) -> None:
        self.api = api
        self.folder = folder
        self.settings = painter(api, provider="plain", model="m", drain_s=0.05)

    def make(self, stop: Stop | None = None) -> list[str]:
        """Make two scenes; return how they ended."""
        made = make_pictures(
            scenes(2),
            self.settings,
            project_dir=self.folder,
            out_dir=self.folder / "pictures",
            check=False,
            stop=stop,
        )
        return [code(one) for one in made]

    def leave(self) -> list[str]:
        """Stop as soon as each of them was looked at, and so accepted."""
        stop = Stop()

        def watch() -> None:
            wait_until(lambda: len({one.path for one in self.api.polls()}) == 2)
            stop.set()

        watching = threading.Thread(target=watch)
        watching.start()
        ended = self.make(stop)
        watching.join()
        return ended

    def is_done(self) -> None:
        """Let the provider be done at the next look."""
        for job in self.api.queue.jobs:
            job.plan = Queued(polls=0)


@pytest.fixture
def shop(queue_api: ImageApi, tmp_path: Path) -> Shop:
    queue_api.queue.plan = Queued(polls=ENDLESS)
    shop = Shop(queue_api, tmp_path)
    assert shop.leave() == ["pending", "pending"]
    return shop


def test_a_script_stays_and_then_has_its_pictures(shop: Shop) -> None:
    """They are paid for once, and reused by the call that follows."""
    shop.is_done()
    waited = wait_for_pictures(shop.settings, project_dir=shop.folder)

    assert waited == Waited(taken_in=2, cost_usd=Decimal("0.06"))
    assert waited.is_over
    assert shop.make() == ["reused", "reused"]
    assert shop.api.received() == shop.api.billed() == 2


def test_another_thread_can_make_it_leave(shop: Shop) -> None:
    """At once, and nothing is changed by it."""
    stop, looks = Stop(), len(shop.api.polls())

    def set_it() -> None:
        wait_until(lambda: len(shop.api.polls()) > looks + 2)
        stop.set()

    thread = threading.Thread(target=set_it)
    thread.start()
    waited = wait_for_pictures(shop.settings, project_dir=shop.folder, stop=stop)
    thread.join()

    assert waited.left == 2
    assert states(shop.folder) == [State.ACCEPTED, State.ACCEPTED]


@pytest.mark.anyio
async def test_a_program_with_a_loop_hears_how_it_goes(shop_in_a_loop: Shop) -> None:
    """What a callback raises comes out of the call, once it has left."""
    shop, heard = shop_in_a_loop, list[Waited]()

    def note(waited: Waited) -> None:
        heard.append(waited)
        shop.is_done()
        if waited.is_over:
            raise LookupError("mine")

    with anyio.fail_after(60):
        async with open_stage(shop.settings, project_dir=shop.folder) as stage:
            with pytest.raises(LookupError, match="mine"):
                await stage.wait(on_progress=note)

    assert heard[0].left > 0
    assert (heard[-1].taken_in, heard[-1].left) == (2, 0)


@pytest.fixture
async def shop_in_a_loop(queue_api: ImageApi, tmp_path: Path) -> Shop:
    queue_api.queue.plan = Queued(polls=ENDLESS)
    shop = Shop(queue_api, tmp_path)
    await anyio.to_thread.run_sync(shop.leave)
    return shop
