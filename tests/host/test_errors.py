"""The host's errors: each makes its own sentence, says what to do next, and pickles."""

import errno
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_stub import errors
from host_stub.errors import HostError, Problem, closest, in_one_line

CONFIG = Path("host.toml")
STAGE3 = "stage3-plugin 0.1.0"
FULL = OSError(errno.ENOSPC, "No space left on device")

EXAMPLES: list[tuple[HostError, str, str]] = [
    (
        errors.ResultsNotWritten(Path("out"), FULL),
        "cannot write out: No space left on device",
        (
            "free space on the disk, check the folder's permissions, or choose another folder with "
            "--out"
        ),
    ),
    (
        errors.ResultsNotWritten(Path("out"), FileExistsError(17, "File exists", "out")),
        "cannot write out: it is a file, not a folder",
        "move that file away, or name another folder",
    ),
    (
        errors.ResultsNotWritten(Path("a/b"), FileExistsError(17, "File exists", "a")),
        "cannot write a/b: a is a file, not a folder",
        "move that file away, or name another folder",
    ),
    (
        errors.ResultsNotWritten(Path("a/b"), NotADirectoryError(20, "Not a directory", "a/b")),
        "cannot write a/b: a part of its path is a file, not a folder",
        "move that file away, or name another folder",
    ),
    (
        errors.ResultsNotWritten(Path("e.jsonl"), IsADirectoryError(21, "it is a folder")),
        "cannot write e.jsonl: it is a folder",
        "move that folder away, or choose another one for the results with --out",
    ),
    (
        errors.ResultsNotWritten(Path("e.jsonl"), BlockingIOError(11, "another run writes here")),
        "cannot write e.jsonl: another run writes here",
        "wait until the other run has ended, or choose another folder with --out",
    ),
]
"""How a path is in the way; what commands say of others, they are asked themselves."""

OTHERS: list[HostError] = [
    errors.ConfigError(CONFIG, [Problem("run.outdir", "is not known")], hint="correct it"),
    errors.SecretUnavailable(CONFIG, "plugin.stage3", "api_key", "KEY is not set", hint="export"),
    errors.NoSuchTake("scene_001", 7, [1, 2, 3]),
    errors.PluginConflict("stage3", ["b 2 (b.hooks)", "a 1 (a.hooks)"]),
    errors.PluginLoadError("stage3", STAGE3, "a.hooks", ImportError("httpx"), hint="reinstall"),
    errors.PluginIncompatible("stage3", STAGE3, (1, 2), (1, 0)),
    errors.PluginSettingsError("stage3", STAGE3, [Problem("plugin.stage3.size", "is required")]),
    errors.ContractViolation("stage3", "hooks.sync", "host_run is asynchronous", source=STAGE3),
    errors.StageFailed("stage3", "no key", source=STAGE3, hint="set one", starting=True),
]
ALL = [*(error for error, _, _ in EXAMPLES), *OTHERS]


def family(kind: type[HostError] = HostError) -> Iterator[type[HostError]]:
    """Walk the tree."""
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


@pytest.mark.parametrize("error, message, hint", EXAMPLES, ids=lambda value: type(value).__name__)
def test_an_error_makes_its_own_sentence_and_says_what_to_do(
    error: HostError, message: str, hint: str
) -> None:
    """Message and hint are made from the error's data."""
    assert str(error) == message
    assert error.hint == hint


def test_every_kind_has_a_code_of_its_own() -> None:
    """Programs can tell the kinds apart."""
    own = [kind for kind in family() if kind.__module__ == "host_stub.errors"]

    assert len({kind.code for kind in own}) == len(own)


@pytest.mark.parametrize("error", ALL, ids=repr)
def test_an_error_survives_pickling(error: HostError) -> None:
    """An error can cross a process boundary with all its data."""
    copy: HostError = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert copy.exit_code == error.exit_code


@pytest.mark.parametrize("error", ALL, ids=repr)
def test_an_errors_details_are_plain_json(error: HostError) -> None:
    """What --json prints of an error can be printed."""
    assert json.loads(json.dumps(error.details())) == error.details()


@pytest.mark.parametrize(
    "name, expected",
    [
        ("capcity", "capacity"),
        ("max-in-flight", "max_in_flight"),
        ("MAX_IN_FLIGHT", "max_in_flight"),
        ("zzz", None),
        ("", None),
    ],
)
def test_the_closest_name_forgives_slips_but_not_strangers(name: str, expected: str | None) -> None:
    """Typing errors, case and dashes find their name; nonsense finds none."""
    assert closest(name, ["capacity", "max_in_flight", "out_dir"]) == expected


def test_a_number_without_its_zeros_is_the_same_number() -> None:
    """scene_1 is a slip of scene_001, not of scene_031, which has as many letters in common."""
    scenes = [f"scene_{number:03}" for number in range(41)]

    assert closest("scene_1", scenes) == "scene_001"
    assert closest("scene_01", scenes) == "scene_001"
    assert closest("Scene-0", scenes) == "scene_000"
    assert closest("scene_10", scenes) == "scene_010"


def test_somebody_elses_exception_becomes_one_line() -> None:
    """Only the type and the first line of a message are told."""
    assert in_one_line(ValueError("first\nsecond")) == "ValueError: first"
    assert in_one_line(KeyError()) == "KeyError"


@pytest.mark.parametrize(
    "raised, what, limit",
    [
        (RuntimeError("can't start new thread"), "thread", "ulimit -u"),
        (OSError(errno.EMFILE, "Too many open files"), "file", "ulimit -n 256"),
        (MemoryError(), "memory", "ulimit -v"),
    ],
)
def test_what_the_system_lacks_is_said_with_its_limit(
    raised: Exception, what: str, limit: str
) -> None:
    lack = errors.SystemLacks.behind(raised)

    assert lack is not None
    assert what in str(lack)
    assert limit in (lack.hint or "")
    assert lack.__cause__ is raised
    assert errors.SystemLacks.behind(OSError(errno.ENOENT, "")) is None
