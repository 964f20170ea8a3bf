"""What can go wrong with the stage as a whole; a scene's own failure is a value, not an error.

::

    Stage3Error                  .hint
    ├── SettingsRefused          the settings cannot work together; nothing was tried
    │   ├── EnvironmentRefused   .variable: nor can they with what the environment says
    │   ├── ExtraMissing         .extra: a setting needs an extra that is not installed
    │   └── LedgerSealed         .path .where: the ledger is on a server by now
    ├── NotStarted               .cause: the ledger cannot be opened; nothing was tried
    ├── SceneIdRefused           .scene_id .reason
    ├── StorageFailed            .path .cause: the disk did not take a file, or give it
    │   ├── ResourceLacking      descriptors, threads or memory are lacking
    │   ├── PictureLost          a picture that was stored is gone
    │   ├── BucketFailed         .address .problem: the bucket of `store` did not do it
    │   └── LedgerFailed         .problem: the database did not do what it was asked
    │       ├── LedgerInDoubt    a commit may have been made, and may not
    │       ├── LedgerMoved      it is not any more where it was opened
    │       ├── LedgerForked     it was open when this process was forked
    │       └── LedgerOutdated   its folder holds more than it knows of
    ├── IllegalTransition        .attempt_id .old .new: a purchase cannot go that way
    ├── LookupRefused            .attempt_id: it names no purchase, or several
    ├── CorrectionRefused        .attempt_id .state: there is no paid cost to be corrected
    ├── PictureRefused           .reason: bytes that are not an acceptable picture
    ├── ReferenceRefused         .image .reason: it cannot be shown to a model
    ├── SpoolRefused             .reason: an answer over its caps, or broken in itself
    ├── FetchRefused             .reason .status: a picture's address did not give it
    ├── JobFailed                .may_pass: a worker says why it could not do its job
    ├── WorkerLost               .how .last_words: a worker is gone over its job
    └── NoWorker                 no worker can be started
        └── WorkUnusable         .last_words: a worker cannot make what does the work

What the library raises stands with it: ``ScenesRefused``, ``StageUnusable``, ``PicturesMissing``,
``BudgetReached``, and the original service's ``ScenesFailed``. Messages never show a value that
could be a secret.
"""

from __future__ import annotations

from errno import ECONNRESET, EIO, ENOENT, EPERM, ESTALE
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from stage3_plugin.runtime.extras import how_to_install, lacking
from stage3_plugin.runtime.system_errors import THREADS_HINT, ThreadLacking, hint_for

if TYPE_CHECKING:
    pass


class Stage3Error(Exception):
    """The root of the tree.

    Attributes:
        hint: What to do next, or ``None``.
    """

    hint: str | None = None


class SettingsRefused(Stage3Error):
    """Settings that are each valid but cannot work together or lack something."""

    def __init__(self, field: str, problem: str, *, hint: str | None = None) -> None:
        self.field = field
        self.problem = problem
        self.hint = hint
        self.message = f"setting {field!r}: {problem}"
        super().__init__(f"{self.message} ({hint})" if hint else self.message)


class LedgerSealed(SettingsRefused):
    """A ledger's file whose purchases are on a server by now, or on their way there.

    Attributes:
        path: The file.
        where: Where they went, as people are shown it.
        token: By which what they became is known.
        is_finished: All of them are there.
    """

    def __init__(self, path: Path, where: str, token: str, *, is_finished: bool) -> None:
        self.path = path
        self.where = where
        self.token = token
        self.is_finished = is_finished
        if is_finished:
            problem = f"the ledger {path} was moved to {where}"
            hint = (
                "set `ledger` in the config to where it went, and name that config with --config "
                "FILE; the file is kept, and no program buys by it"
            )
        else:
            problem = f"the ledger {path} is being moved to {where}, and that has not ended"
            hint = (
                "run 'stage3 move-ledger' with the same config again: it ends what was begun; or "
                "'stage3 move-ledger --back', which leaves all as it was"
            )
        super().__init__("ledger", problem, hint=hint)


class EnvironmentRefused(SettingsRefused):
    """A variable of the environment that the settings rely on says what cannot be used.

    Attributes:
        variable: Which one.
    """

    def __init__(self, variable: str, problem: str, *, hint: str | None = None) -> None:
        super().__init__(variable, problem, hint=hint)
        self.variable = variable
        self.message = f"environment variable {variable} {problem}"
        self.args = (f"{self.message} ({hint})" if hint else self.message,)


class ExtraMissing(SettingsRefused):
    """A setting needs an extra that is not installed.

    Attributes:
        extra: Its name, as in ``pip install '.[ray]'``.
    """

    def __init__(self, extra: str, package: str, *, setting: str) -> None:
        self.extra = extra
        problem = f"it needs the extra {extra!r}, whose package {package} is not installed"
        super().__init__(setting, problem, hint=how_to_install(extra))


def need(extra: str, *, setting: str) -> None:
    """See that an extra is installed, before anything of it is imported.

    Args:
        extra: One of :data:`~stage3_plugin.runtime.extras.EXTRAS`.
        setting: Which setting asks for it.

    Raises:
        ExtraMissing: It is not, or not all of it.
    """
    package = lacking(extra)
    if package is not None:
        raise ExtraMissing(extra, package, setting=setting)


class SceneIdRefused(Stage3Error, ValueError):
    """A scene identifier that cannot be carried by files, rows and reports."""

    def __init__(self, scene_id: str, reason: str) -> None:
        self.scene_id = scene_id
        self.reason = reason
        self.hint = "give the scene a short name of letters, digits, '-' and '_'"
        super().__init__(f"scene id {scene_id[:40]!r} {reason}")


class StorageFailed(Stage3Error):
    """The disk did not take a file, or does not give it now; what is there stays as it is.

    Attributes:
        path: Which file, or the folder around it.
        cause: What the system said.
        reading: It was to be read, not written.
    """

    def __init__(self, path: Path, cause: OSError, *, reading: bool = False) -> None:
        self.path = path
        self.cause = cause
        self.reading = reading
        self.hint = hint_for(cause)
        verb = "read" if reading else "write"
        super().__init__(f"cannot {verb} {path}: {cause.strerror or type(cause).__name__}")


class ResourceLacking(StorageFailed):
    """The system does not let this process have what it needs; no file is at fault."""

    def __init__(self, path: Path, cause: OSError, problem: str, *, hint: str) -> None:
        super().__init__(path, cause)
        self.hint = hint
        self.args = (problem,)


def out_of(path: Path | str, lack: OSError) -> ResourceLacking:
    """Put into words that the system has no more memory or threads for this process.

    Args:
        path: What was to be read or written.
        lack: From :func:`~stage3_plugin.runtime.system_errors.from_lack`.
    """
    if isinstance(lack, ThreadLacking):
        return ResourceLacking(Path(path), lack, f"{lack.strerror} for {path}", hint=THREADS_HINT)
    return ResourceLacking(Path(path), lack, f"no memory is left for {path}", hint=hint_for(lack))


class PictureLost(StorageFailed):
    """A picture that was stored is gone, or is not what it was."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, FileNotFoundError(ENOENT, "gone or damaged"))
        self.hint = "'stage3 verify' lists what is lost, and what can be done about it"
        self.args = (f"its file {path} is gone or damaged; see 'stage3 verify'",)


class BucketFailed(StorageFailed):
    """The bucket that `store` names did not take a picture, or does not give it.

    Attributes:
        address: What was to be written or read there; without credentials.
        problem: What kept it, in our words.
    """

    def __init__(
        self,
        address: str,
        problem: str,
        *,
        number: int = EIO,
        hint: str | None = None,
        reading: bool = False,
    ) -> None:
        super().__init__(Path(address), OSError(number, problem), reading=reading)
        self.address = address
        self.problem = problem
        self.hint = hint or "see to it, and run the same command again"
        self.args = (f"cannot {'read' if reading else 'write'} {address}: {problem}",)


class NotStarted(Stage3Error):
    """The run could not start, and nothing was tried."""

    def __init__(self, cause: StorageFailed) -> None:
        self.cause = cause
        self.hint = cause.hint
        super().__init__(f"nothing was sent: {cause}")


class LedgerFailed(StorageFailed):
    """The ledger's database did not do what it was asked; nothing of it is to be taken as done.

    Args:
        place: Its file; or the address of a server, without what is secret.

    Attributes:
        place: The same.
        problem: What it said, in our words.
    """

    def __init__(self, place: Path | str, problem: str, *, number: int = EIO, hint: str) -> None:
        super().__init__(Path(place), OSError(number, problem))
        self.place = place
        self.problem = problem
        self.hint = hint
        self.args = (f"the ledger {place}: {problem}",)


class LedgerInDoubt(LedgerFailed):
    """The connection was lost over a commit: what was written may be there, and may not.

    Nothing is sent on it. What was settled is settled again by whoever has the answer; what was
    held is given back once the ledger answers again.
    """

    def __init__(self, place: Path | str) -> None:
        super().__init__(
            place,
            "the connection was lost over a commit, which may have been made",
            number=ECONNRESET,
            hint="see that the server can be reached, and run again: nothing is paid twice",
        )


class LedgerMoved(LedgerFailed):
    """The files of an opened ledger are not any more where they were; what is written is lost.

    Attributes:
        missing: What is not there, or is another file.
    """

    def __init__(self, place: Path | str, missing: Path) -> None:
        self.missing = missing
        problem = "the ledger was moved or removed while this run was going"
        hint = (
            "nothing more is sent; bring the folder back to where it was, with all that was in "
            "it, and look at it with 'stage3 attempts' and 'stage3 verify' before you run again"
        )
        super().__init__(place, problem, number=ENOENT, hint=hint)
        self.args = (f"{problem} ({missing} is gone, or is another file)",)


def newest_of(*, is_file: bool) -> str:
    """Name the newest copy of a ledger, where it is a file, and where it is on a server."""
    if is_file:
        return "the newest ledger.db together with its ledger.db-wal"
    return (
        "the newest backup of the server's database, or name the project that this state folder "
        "belongs to"
    )


class LedgerOutdated(LedgerFailed):
    """A ledger knows less than its folder holds, so a run would buy again what it has forgotten.

    Attributes:
        more: What it does not know of, in words.
    """

    def __init__(
        self,
        place: Path | str,
        more: str,
        *,
        accept: str,
        is_missing: bool = False,
        is_file: bool = True,
    ) -> None:
        self.more = more
        problem = (
            "is not there, and its folder is not empty"
            if is_missing
            else ("this ledger is older than its folder")
        )
        super().__init__(
            place,
            f"{problem}: no purchase is known for {more}",
            number=ESTALE,
            hint=f"bring back {newest_of(is_file=is_file)}; or go on "
            f"knowingly with '{accept}': what the ledger does not know of is bought again",
        )


class LedgerForked(LedgerFailed):
    """A ledger was open when this process was forked, so it can open none safely."""

    def __init__(self, place: Path | str) -> None:
        super().__init__(
            place,
            "this process was forked while a ledger was open in it: what it wrote would be lost",
            number=EPERM,
            hint="start the process with multiprocessing's method 'spawn', or fork it before the "
            "stage is opened",
        )


class IllegalTransition(Stage3Error):
    """A purchase was to go where its state does not allow: a mistake in the program.

    Attributes:
        attempt_id: Which one.
        old: The state it is in.
        new: Where it was to go.
    """

    def __init__(self, attempt_id: str, old: str, new: str) -> None:
        self.attempt_id = attempt_id
        self.old = old
        self.new = new
        self.hint = "this is a mistake in the program; nothing was changed"
        super().__init__(f"purchase {attempt_id} cannot go from {old} to {new}")


class JobRefused(Stage3Error):
    """A provider gave a request the name of a job that another request has, or a second name.

    Attributes:
        attempt_id: The purchase.
        job_id: The name.
    """

    def __init__(self, attempt_id: str, job_id: str) -> None:
        self.attempt_id = attempt_id
        self.job_id = job_id
        self.hint = "look for this job at the provider; its purchase stays as it is until then"
        super().__init__(
            f"purchase {attempt_id}: the provider says that its job is {job_id[:80]!r}, which "
            "cannot be: another purchase has that job, or this one another job"
        )


class LookupRefused(Stage3Error):
    """An identifier that names no purchase, or more than one.

    Attributes:
        attempt_id: What was looked for.
    """

    def __init__(self, attempt_id: str, problem: str) -> None:
        self.attempt_id = attempt_id
        self.hint = "'stage3 attempts' lists them; give more digits"
        super().__init__(f"purchase {attempt_id[:40]!r}: {problem}")


class CorrectionRefused(Stage3Error):
    """The cost of a purchase cannot be corrected, since it was not paid for.

    Attributes:
        attempt_id: Which one.
        state: The state it is in.
    """

    def __init__(self, attempt_id: str, state: str) -> None:
        self.attempt_id = attempt_id
        self.state = state
        self.hint = "only what was billed, with a picture or without, has a cost to be corrected"
        super().__init__(f"purchase {attempt_id} has no cost to be corrected: it is {state}")


class ReferenceRefused(Stage3Error):
    """A reference that cannot be shown to a model; nothing is sent for a scene that needs it.

    Attributes:
        image: As it is named; an address without what may be a secret.
        reason: Why, in a few words.
    """

    def __init__(self, image: str, reason: str, *, hint: str | None = None) -> None:
        self.image = image
        self.reason = reason
        self.hint = hint
        super().__init__(f"reference {image!r} {reason}")


class PictureRefused(Stage3Error):
    """Bytes that are not an acceptable picture."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class SpoolRefused(Stage3Error):
    """An answer that passes its byte caps or is broken in itself."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


FetchReason: TypeAlias = Literal["address", "host", "missing", "trouble"]


class FetchRefused(Stage3Error):
    """An address a picture must not be fetched from, or one that did not give it.

    Attributes:
        reason: ``address``: nothing could ever be fetched from it; ``host``: it is not allowed,
            which a setting may cure; ``missing``: it says that there is no such picture;
            ``trouble``: it may pass.
        status: The HTTP status that came, if one did.
    """

    def __init__(self, message: str, *, reason: FetchReason, status: int | None = None) -> None:
        self.reason: FetchReason = reason
        self.status = status
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        """Let it be pickled, though it wants names for its arguments."""
        rebuild = partial(FetchRefused, reason=self.reason, status=self.status)
        return rebuild, (str(self),)


class ProviderBroken(Stage3Error):
    """A provider's own code failed, or returned what it must not; its author is to blame.

    Attributes:
        provider: Its word in the settings.
    """

    hint = (
        "nothing is lost by it: use another version of that provider, or tell its author, and run "
        "again"
    )

    def __init__(self, provider: str, call: str, problem: str) -> None:
        self.provider = provider
        super().__init__(f"{call} of the provider {provider!r} {problem}")


class JobFailed(Stage3Error):
    """A worker says why it could not do its job.

    Attributes:
        may_pass: It may be done the next time; else it would be the same again.
    """

    def __init__(self, problem: str, *, may_pass: bool = True) -> None:
        self.may_pass = may_pass
        super().__init__(problem)

    def __reduce__(self) -> tuple[object, ...]:
        """Let it be pickled, though it wants a name for its argument."""
        return partial(JobFailed, may_pass=self.may_pass), (str(self),)


class NoWorker(Stage3Error):
    """No worker can be started, and why."""


class WorkUnusable(NoWorker):
    """A worker was started, and cannot make what does the work; it is the same for every job.

    Attributes:
        problem: What it said, in one line.
        last_words: The last line that it wrote about it, if any.
    """

    def __init__(self, problem: str, last_words: str = "") -> None:
        self.problem = problem
        self.last_words = last_words
        super().__init__(f"{problem}; its last words: {last_words}" if last_words else problem)

    def __reduce__(self) -> tuple[object, ...]:
        """Let it be pickled, though its words are not its arguments."""
        return WorkUnusable, (self.problem, self.last_words)


class WorkerLost(Stage3Error):
    """A worker is gone over its job.

    Attributes:
        how: It "was ended by SIGKILL", say.
        last_words: The last line that it wrote about it, if any.
    """

    def __init__(self, how: str, last_words: str = "") -> None:
        self.how = how
        self.last_words = last_words
        super().__init__(f"the worker {how}" + (f": {last_words}" if last_words else ""))

    def __reduce__(self) -> tuple[object, ...]:
        """Let it be pickled, though its words are not its arguments."""
        return WorkerLost, (self.how, self.last_words)
