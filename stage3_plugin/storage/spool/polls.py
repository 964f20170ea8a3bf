"""The answers of a job's, beside that of its submit: each a folder of its own in the attempt's.

::

    spool/<attempt>/
        poll-…        an answer that is coming in, or was worth nothing and is being removed
        done-status   the last answer, at the address that says how far the job is
        done-result   the same, at that of its result; done-record, in the provider's records
        unclear-…     the newest answer that nobody here understands
        older-…       a last answer whose address gave no picture, and that was asked for anew

An answer that ends the job is given its name whole and synced, before anything is settled from it;
who reads it next, in whatever process, needs no provider. Two processes that ask for one job at
once write into folders of their own, and the first one's last answer stays. Everything blocks;
call it in a thread.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from stage3_plugin.domain.exchange import Asked
from stage3_plugin.files.on_disk import on_disk
from stage3_plugin.files.private_folders import sync_folder
from stage3_plugin.storage.spool.folders import sync_all
from stage3_plugin.storage.spool.receipt import age_s, is_complete

OLD_S = 60.0

Kept: TypeAlias = Literal["done", "unclear"]


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer of a job's that lies on the disk whole.

    Attributes:
        folder: Where.
        of: What was asked for.
        age_s: For how long it has lain there.
    """

    folder: Path
    of: Asked
    age_s: float = 0.0

    @property
    def is_old(self) -> bool:
        """Return whether a newer answer may say more, such as another address of its picture."""
        return self.age_s > OLD_S


def new_one(attempt: Path) -> Path:
    """Return the folder for one more answer; it is made when the answer comes."""
    return attempt / f"poll-{secrets.token_hex(8)}"


def whole_of(attempt: Path, of: Asked, *, how: Kept = "done") -> Path:
    """Return the name that a whole answer is given."""
    return attempt / f"{how}-{of}"


def keep(answer: Path, of: Asked, *, how: Kept) -> None:
    """Give a whole answer the name under which it is found again, safe from a power cut.

    Raises:
        StorageFailed: The disk did not take it.
    """
    whole = whole_of(answer.parent, of, how=how)
    with on_disk(whole):
        if how == "unclear":
            shutil.rmtree(whole, ignore_errors=True)
        sync_all(answer)
        _rename(answer, whole)
        sync_folder(answer.parent)


def _rename(answer: Path, whole: Path) -> None:
    """Rename a folder, unless another process has been before us just now."""
    if is_complete(whole) and KeptAnswer(whole, "status", age_s(whole)).is_old:
        whole.rename(whole.with_name(f"older-{secrets.token_hex(8)}"))
    try:
        answer.rename(whole)
    except OSError:
        if not whole.is_dir():
            raise


def kept(attempt: Path) -> list[KeptAnswer]:
    """Return the answers that were kept, those that ended the job first.

    Raises:
        StorageFailed: The system does not say.
    """
    named = [
        (whole_of(attempt, of, how=how), of)
        for how in get_args(Kept)
        for of in reversed(get_args(Asked))
    ]
    return [KeptAnswer(folder, of, age_s(folder)) for folder, of in named if is_complete(folder)]


def remove(answer: Path) -> None:
    """Remove an answer that is worth nothing; one that resists goes with the attempt's folder."""
    shutil.rmtree(answer, ignore_errors=True)
