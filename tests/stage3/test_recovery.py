"""What a run does first about requests that runs before it have died over, row by row.

The rows are made as a killed run leaves them: its lock is free, its answers lie in the spool as far
as they came. That real kills leave just such rows is proved elsewhere.
"""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stage3_plugin.domain.purchase import Held, Limits, NewPurchase, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.engine.asked import request_for
from stage3_plugin.engine.backend import endpoint_of
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.home import home_of, new_run_id
from stage3_plugin.purchase.conversation import Conversation
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.storage.spool.writing import SpooledAnswer
from tests.doors import HOLD, bills, painter
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.shapes import OPENAI_USAGE
from tests.stage3.buying import (
    counted,
    keys_of,
    leave_list,
    leave_lock,
    ledger_path,
    only,
    scenes,
    states,
)
from tests.stage3.running import Ran, Story, run_stage
from tests.stage3.stored import Stored

pytestmark = pytest.mark.anyio

STORY = scenes(1)


class Dead:
    """A run that was killed, and the rows it has left."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self.run_id = new_run_id(home_of(folder / ".stage3"))
        self.ledger_path = ledger_path(folder)
        self.store = Stored(folder / ".stage3")
        self.unsent: list[str] = []

    def leaves(self, *, sent: bool = True, story: Story = STORY, **more: Any) -> str:
        """Leave a row of the story's first scene, and return its identifier."""
        request = request_for(story.scenes[0], self.settings)
        keys = keys_of(request, self.settings)
        given: dict[str, Any] = {
            "attempt_id": uuid.uuid4().hex,
            "scene_key": keys.scene_key,
            "scene_id": request.scene_id,
            "run_id": self.run_id,
            "endpoint": endpoint_of(self.settings),
            "size": request.size,
            "quality": request.quality,
            "is_local": False,
            "hold_microusd": HOLD,
            "content_key": keys.content_key,
            "subject_key": uuid.uuid4().hex,
        }
        now = datetime.now(UTC)
        new = NewPurchase(**(given | more))
        with Ledger.open(self.ledger_path) as ledger, ledger.transaction():
            held = ledger.hold(new, Limits(), day=now.date(), now=now)
        assert isinstance(held, Held)
        leave_lock(self.folder / ".stage3", new.run_id)
        if not sent:
            self.unsent.append(new.attempt_id)
            leave_list(self.folder / ".stage3", new.run_id, *self.unsent)
        return new.attempt_id

    def has_received(
        self, attempt_id: str, document: object, *, status: int = 200, complete: bool = True
    ) -> None:
        """Leave an answer, or what had come of one."""
        body = json.dumps(document).encode()
        spool = SpooledAnswer(self.store.spool.new_folder(attempt_id))
        spool.opened(status, {"content-type": "application/json"})
        spool.feed(body if complete else body[: len(body) // 2])
        spool.finish("whole" if complete else "cut")


PICTURE = make_png("s01", 128, 128, heavy=True)
"""Large enough for a file of its own beside its answer."""


def answer_with_picture(**more: Any) -> dict[str, Any]:
    """Return a provider's answer with a picture."""
    encoded = base64.b64encode(PICTURE).decode()
    return {"data": [{"b64_json": encoded}], "usage": {"cost": 0.03}, **more}


@pytest.fixture
def dead(image_api: ImageApi, tmp_path: Path) -> Dead:
    """Return a dead run with the settings of the next one."""
    image_api.always(bills(0.05))
    return Dead(tmp_path, painter(image_api))


async def rerun(dead: Dead, **more: Any) -> Ran:
    return await run_stage(dead.settings, STORY, dead.folder, **more)


def told(ran: Ran) -> dict[str, int]:
    """Return what the run told of its recovery."""
    (event,) = ran.named("ledger.recovered")
    return {name: event[name] for name in ("adopted", "unknown", "void")}


async def test_what_was_held_and_never_sent_is_let_go(dead: Dead, image_api: ImageApi) -> None:
    """The money is free again, and the scene is made."""
    dead.leaves(sent=False)
    ran = await rerun(dead)

    assert told(ran) == {"adopted": 0, "unknown": 0, "void": 1}
    assert states(dead.folder) == [State.VOID, State.PAID]
    assert counted(dead.folder) == HOLD
    assert image_api.received() == 1


@pytest.mark.parametrize("came", ["nothing", "an empty folder", "half an answer"])
async def test_what_was_sent_without_a_whole_answer_is_unknown(
    dead: Dead, image_api: ImageApi, came: str
) -> None:
    """It may have been billed: it stays counted, is told, and is not sent again."""
    attempt_id = dead.leaves()
    if came == "an empty folder":
        dead.store.spool.new_folder(attempt_id)
    elif came == "half an answer":
        dead.has_received(attempt_id, answer_with_picture(), complete=False)
    ran = await rerun(dead)
    again = await rerun(dead)
    failure = ran.outcomes["s01"].failure

    assert told(ran) == {"adopted": 0, "unknown": 1, "void": 0}
    assert again.named("ledger.recovered") == []
    assert states(dead.folder) == [State.UNKNOWN]
    assert counted(dead.folder) == HOLD
    assert image_api.received() == 0
    assert failure is not None
    assert failure.code == "unknown"
    assert attempt_id[:8] in failure.message


async def test_what_is_decided_while_a_run_recovers_it_stays_so(
    dead: Dead, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run and a person were quicker than the commit of this one."""
    dead.leaves()
    secure = Pictures.secure

    async def after_a_decision(pictures: Pictures, name: str) -> None:
        now = datetime.now(UTC)
        with Ledger.open(dead.ledger_path) as ledger, ledger.transaction():
            ledger.settle(name, Settlement(state=State.UNKNOWN), now=now)
            lost = Settlement(state=State.WROTE_OFF, decided_by="user")
            ledger.settle(name, lost, now=now)
        await secure(pictures, name)

    monkeypatch.setattr(Pictures, "secure", after_a_decision)
    ran = await rerun(dead)

    assert ran.named("ledger.left_open") == []
    assert states(dead.folder) == [State.WROTE_OFF, State.PAID]
    assert image_api.received() == 1


async def test_a_refusal_is_taken_in_too(dead: Dead, image_api: ImageApi) -> None:
    """It was not billed, so its money is free again, and the scene may be tried."""
    refusal = {"error": {"code": 403, "message": "policy"}}
    dead.has_received(dead.leaves(), refusal, status=403)
    ran = await rerun(dead)

    assert told(ran)["unknown"] == 0
    assert states(dead.folder) == [State.REFUSED, State.PAID]
    assert image_api.received() == 1


async def test_an_answer_without_a_good_picture_is_unknown(dead: Dead, image_api: ImageApi) -> None:
    """What is wrong with it may have come to it since: it is kept, and not bought again."""
    attempt_id = dead.leaves()
    dead.has_received(attempt_id, {"data": [{"b64_json": "AAAA" * 9999}], "usage": {"cost": 0.03}})
    ran = await rerun(dead)

    assert ran.code("s01") == "unknown"
    assert states(dead.folder) == [State.UNKNOWN]
    assert counted(dead.folder) == HOLD
    assert dead.store.spool.received() == [attempt_id]
    assert image_api.received() == 0


async def test_an_answer_whose_files_were_changed_is_unknown(
    dead: Dead, image_api: ImageApi
) -> None:
    """What lies there is not what was written; that it was complete is known."""
    attempt_id = dead.leaves()
    dead.has_received(attempt_id, answer_with_picture())
    (dead.store.spool.folder_of(attempt_id) / "part-0").unlink()
    ran = await rerun(dead)

    assert ran.code("s01") == "unknown"
    assert states(dead.folder) == [State.UNKNOWN]
    assert counted(dead.folder) == HOLD
    assert image_api.received() == 0


async def test_an_answer_of_another_provider_is_read_as_it_was_meant(
    dead: Dead, image_api: ImageApi
) -> None:
    """The settings have changed since; the answer is still that of the provider it came from."""
    before = painter(image_api, provider="openai", model="painter")
    other = Dead(dead.folder, before)
    other.has_received(other.leaves(), answer_with_picture(usage=dict(OPENAI_USAGE)))
    changed = await rerun(dead)
    back = await run_stage(before, STORY, dead.folder)

    assert told(changed)["adopted"] == 1
    assert not changed.outcomes["s01"].reused
    assert back.outcomes["s01"].reused
    assert image_api.received() == 1


async def test_a_purchase_that_breaks_recovery_keeps_nobody_from_anything(
    dead: Dead, image_api: ImageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither another purchase, nor the run; it stays as it is, and is not bought again."""
    story = scenes(3)
    odd, other = (dead.leaves(story=Story([one])) for one in story.scenes[:2])
    for attempt_id in (odd, other):
        dead.has_received(attempt_id, answer_with_picture())
    resume = Conversation.resume

    async def breaking(self: Conversation, name: str, *args: Any, **more: Any) -> Any:
        if name == odd:
            raise RuntimeError("nobody thought of this")
        return await resume(self, name, *args, **more)

    monkeypatch.setattr(Conversation, "resume", breaking)
    ran = await run_stage(dead.settings, story, dead.folder)

    assert [ran.code(scene.scene_id) for scene in story.scenes] == ["pending", "made", "made"]
    assert states(dead.folder) == [State.SENDING, State.PAID, State.PAID]
    assert image_api.received() == 1


async def test_what_a_settled_purchase_left_in_the_spool_is_removed(dead: Dead) -> None:
    """A run that was killed after settling had no time for it."""
    await rerun(dead)
    attempt_id = only(dead.folder).new.attempt_id
    dead.has_received(attempt_id, answer_with_picture())
    await rerun(dead)

    assert dead.store.spool.received() == []
