"""Every name inside the product that these tests hold on to: the one table to change with it.

A process is killed before or after a call of one of these, or has it replaced by a wrong one. A
name that was changed in the product alone is found by ``test_steps.py``, without a kill. Which of
them are durable, and what a crash after each leaves, is said by :mod:`stage3_plugin.purchase`.
"""

from __future__ import annotations

import importlib
import inspect
from enum import StrEnum, unique
from typing import Any, NamedTuple


@unique
class Step(StrEnum):
    """A callable, as ``module:attribute`` or ``module:Class.attribute``, where it is looked up."""

    # Opening, once for each run.
    LEDGER = "stage3_plugin.ledger.sqlite:prepare"
    SCHEMA = "stage3_plugin.ledger.making:_fill"
    OWNER = "stage3_plugin.ledger.owners:Owners._locked"

    # Of the ledger: each change of a row ends with a commit.
    HOLD = "stage3_plugin.ledger.book:Ledger.hold"
    SETTLE = "stage3_plugin.ledger.book:Ledger.settle"
    STATEMENT = "stage3_plugin.ledger.database:Database.run"
    COMMIT = "stage3_plugin.ledger.commits:GroupCommit.__call__"
    HELD = "stage3_plugin.purchase.run_ledger:RunLedger.hold"
    SETTLED = "stage3_plugin.purchase.run_ledger:RunLedger.settle"

    # Of a request and its answer.
    NEW_FOLDER = "stage3_plugin.storage.pictures:Pictures.new_folder"
    POST = "stage3_plugin.transport.client:Client.post"
    REQUEST = "stage3_plugin.transport.client:_OneShotBody.__anext__"
    LEAVES = "stage3_plugin.ledger.owners:Claim.note_sent"
    HEAD = "stage3_plugin.storage.spool.writing:SpooledAnswer.opened"
    PIECE = "stage3_plugin.storage.spool.writing:SpooledAnswer.feed"
    BODY = "stage3_plugin.storage.spool.writing:SpooledAnswer._write"
    FINISH = "stage3_plugin.storage.spool.writing:SpooledAnswer.finish"
    LINE = "stage3_plugin.files.new_file:NewFile.write"

    # Of a job, where the complete answer is only its acceptance.
    ACCEPT = "stage3_plugin.ledger.book:Ledger.accept"
    READ = "stage3_plugin.transport.client:Client.read"
    LAST = "stage3_plugin.storage.spool.polls:keep"

    # Of a batch: what is uploaded, the one paid request, and what came of its lines.
    NOTED = "stage3_plugin.storage.spool.batch_files:note_owner"
    WRITTEN = "stage3_plugin.purchase.conversation:Batching.write"
    UPLOADED = "stage3_plugin.purchase.conversation:Batching.upload"
    LATE = "stage3_plugin.engine.following:Following.is_late"
    CREATE = "stage3_plugin.purchase.drive:Drive._send"
    SETTLE_LINES = "stage3_plugin.purchase.endings:Endings.settle_job"
    POLL = "stage3_plugin.purchase.drive:Drive.ask"
    RESULTS = "stage3_plugin.purchase.result_files:ResultFiles.here"
    KEPT = "stage3_plugin.storage.spool.batch_files:keep"
    CLAIM = "stage3_plugin.purchase.result_files:ResultFiles.claim"
    RESUMED = "stage3_plugin.purchase.conversation:Batching.resume_line"

    # Of a complete answer.
    INGEST = "stage3_plugin.purchase.drive:Drive.after_the_answer"
    READING = "stage3_plugin.purchase.drive:load_reply"
    FETCH = "stage3_plugin.transport.client:Client.fetch"
    FETCHED_PIECE = "stage3_plugin.purchase.ingest:FileSink.feed"
    INSPECTION = "stage3_plugin.storage.pictures:inspect_file"
    LINK = "stage3_plugin.storage.store:_link_or_copy"
    SYNC = "stage3_plugin.storage.store:sync_file"
    RENAME = "pathlib:Path.replace"
    SYNC_FOLDER = "stage3_plugin.storage.store:sync_folder"
    FSYNC = "os:fsync"
    STORED = "stage3_plugin.storage.store:PictureStore.save"
    KEEP = "stage3_plugin.storage.pictures:Pictures.save"

    # Of a picture that is paid.
    PUBLISH = "stage3_plugin.storage.placing:PlacedPictures.place"
    PUBLISHED = "stage3_plugin.storage.pictures:Pictures.put"
    COPY = "stage3_plugin.files.folder:Folder.rename"
    TIDY = "stage3_plugin.storage.spool.folders:SpoolFolders.remove"
    UNLINK = "os:unlink"
    OUTCOME = "stage3_plugin.engine.reporter:Reporter.made"

    # Of the next run, which looks after a dead one.
    LIVES = "stage3_plugin.ledger.owners:Owners.lives"
    RECOVER = "stage3_plugin.purchase.recovery:Recovery._recover"
    JUDGED = "stage3_plugin.purchase.recovery:after_its_owner"
    ADOPT = "stage3_plugin.purchase.recovery:Recovery._adopt"
    CLEAR = "stage3_plugin.purchase.recovery:Recovery._tidy"


class Place(NamedTuple):
    """Where a callable is kept."""

    owner: Any
    name: str

    @property
    def held(self) -> Any:
        """What is there now."""
        return getattr(self.owner, self.name)

    def put(self, changed: Any) -> None:
        """Put something else there."""
        setattr(self.owner, self.name, changed)


def place_of(target: str) -> Place:
    """Find where a step is kept.

    Raises:
        AttributeError: There is no such callable any more; the table needs to learn its new name.
    """
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *holders, name = path.split(".")
    for holder in holders:
        owner = getattr(owner, holder)
    inspect.getattr_static(owner, name)  # a name that is only made up on demand does not count
    return Place(owner, name)
