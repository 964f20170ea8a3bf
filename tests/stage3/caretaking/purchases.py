"""Makes ledgers with purchases in every state, through the ledger's own door."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import Accepted, NewJob
from stage3_plugin.domain.purchase import Held, Limits, NewPurchase, Purchase, Settlement
from stage3_plugin.domain.states import State
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.owners import Owners
from stage3_plugin.ledger.place import LEDGER_NAME
from stage3_plugin.storage.inspect import inspect_file
from stage3_plugin.storage.spool.writing import SpooledAnswer
from tests.fakes.pngs import make_png
from tests.stage3.stored import Stored

DAY = date(2026, 11, 3)
START = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
HOLD_MICROUSD = 42_000
_OF_AN_ENDPOINT = {"provider", "api", "base_url", "model"}


@dataclass
class Project:
    """A state folder with a ledger that grows by one purchase a minute."""

    state_dir: Path
    now: datetime = START
    runs: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.store = Stored(self.state_dir)
        self.owners = Owners(self.state_dir)
        self.path = self.state_dir / LEDGER_NAME

    def open(self) -> Ledger:
        """Open the ledger; it is made at the first time."""
        return Ledger.open(self.path)

    def begin(self, scene_id: str, **more: Any) -> str:
        """Hold money for a scene and arm the request; give the purchase's id."""
        given: dict[str, Any] = {
            "attempt_id": uuid.uuid4().hex,
            "scene_key": hashlib.sha256(scene_id.encode("utf-8", "surrogatepass")).hexdigest(),
            "scene_id": scene_id,
            "run_id": "dead",
            "endpoint": replace(
                Endpoint(provider="openrouter", model="openai/gpt-5-image-mini"),
                **{name: more.pop(name) for name in _OF_AN_ENDPOINT & set(more)},
            ),
            "size": "64x64",
            "quality": "medium",
            "is_local": False,
            "hold_microusd": HOLD_MICROUSD,
            "content_key": "c" * 64,
            "subject_key": uuid.uuid4().hex,
        }
        new = NewPurchase(**(given | more))
        self.now += timedelta(minutes=1)
        with self.open() as ledger, ledger.transaction():
            held = ledger.hold(new, Limits(), day=DAY, now=self.now)
        assert isinstance(held, Held)
        return new.attempt_id

    def end(self, attempt_id: str, state: State, **more: Any) -> Purchase:
        """Settle a purchase."""
        with self.open() as ledger, ledger.transaction():
            return ledger.settle(attempt_id, Settlement(state=state, **more), now=self.now)[0]

    def unknown(self, scene_id: str, **more: Any) -> str:
        """Make a purchase that was sent and never answered."""
        why = more.pop("why", "sent, but the connection was lost; it may have been billed")
        attempt_id = self.begin(scene_id, **more)
        self.end(attempt_id, State.UNKNOWN, why=why)
        return attempt_id

    def accepted(self, scene_id: str, **more: Any) -> str:
        """Make a purchase whose job is at its provider, which keeps it for an hour."""
        job = NewJob(token=uuid.uuid4().hex, account="a", endpoint="m")
        attempt_id = self.begin(scene_id, job=job, **more)
        accepted = Accepted(job_id=f"j-{scene_id}", poll_url="https://q.test/j", keeps_s=3600)
        with self.open() as ledger, ledger.transaction():
            assert ledger.accept(attempt_id, accepted, now=self.now) is not None
        return attempt_id

    def batch(
        self, *scene_ids: str, state: State = State.SENDING, token: str | None = None, **more: Any
    ) -> list[str]:
        """Make the lines of a batch, sent at once, and bring them all to a state together."""
        token = token or uuid.uuid4().hex
        job = NewJob(token=token, account="a", endpoint="images", lane="batch", input_file="f-1")
        asked = {"provider": "openai", "model": "gpt-image-2", "hold_microusd": 20_000} | more
        ids = [
            self.begin(scene_id, job=job, line=number, **asked)
            for number, scene_id in enumerate(scene_ids)
        ]
        if state is State.ACCEPTED:
            accepted = Accepted(
                job_id=f"batch_{token[:8]}", poll_url="https://q.test/b", keeps_s=86_400
            )
            with self.open() as ledger, ledger.transaction():
                assert ledger.accept(ids[0], accepted, now=self.now) is not None
        elif state is not State.SENDING:
            for one in ids:
                self.end(one, state, why="sent, and not answered; it may have been billed")
        return ids

    def paid(self, scene_id: str, *, prompt: str | None = None, **more: Any) -> str:
        """Make a purchase whose picture is kept."""
        attempt_id = self.begin(scene_id, **more)
        part = self.store.spool.new_folder(attempt_id) / "part-0"
        part.write_bytes(make_png(prompt or scene_id, 64, 64))
        inspected = inspect_file(part, max_pixels=64 * 64)
        self.store.save(part, inspected)
        self.store.spool.remove(attempt_id)
        self.end(
            attempt_id,
            State.PAID,
            picture=inspected.picture,
            cost_microusd=31_000,
            basis="reported",
        )
        return attempt_id

    def receive(self, attempt_id: str, *, complete: bool) -> Path:
        """Put an answer, or a part of one, where a purchase's answer is received."""
        folder = self.store.spool.new_folder(attempt_id)
        spool = SpooledAnswer(folder)
        spool.opened(200, {"content-type": "application/json"})
        spool.feed(b'{"data": []}' if complete else b'{"data": [')
        spool.finish("whole" if complete else "cut")
        return folder

    def purchase(self, attempt_id: str) -> Purchase:
        """Read a purchase as it stands."""
        with self.open() as ledger:
            found = ledger.purchase(attempt_id)
        assert found is not None
        return found

    def object_of(self, attempt_id: str) -> Path:
        """Return the file of a purchase's picture."""
        picture = self.purchase(attempt_id).picture
        assert picture is not None
        return self.store.objects.where(picture.sha256)

    def problems(self) -> list[str]:
        """Let the ledger check itself."""
        with self.open() as ledger:
            return ledger.problems()

    def tree(self) -> dict[str, bytes]:
        """Return every file of the state folder but those SQLite keeps while it is open."""
        return {
            path.relative_to(self.state_dir).as_posix(): path.read_bytes()
            for path in self.state_dir.rglob("*")
            if path.is_file() and not path.name.endswith(("-wal", "-shm"))
        }
