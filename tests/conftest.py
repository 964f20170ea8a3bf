"""What every room shares: both event loops, a fake service, how laws are tried, what is slow."""

from __future__ import annotations

import functools
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHARED = [
    f"tests.{path.stem}"
    for path in HERE.iterdir()
    if not path.name.startswith(("test_", "conftest", "_", "."))
]
pytest.register_assert_rewrite(*SHARED)  # what tests share asserts too, and must under python -O

from stage3_plugin.executors.replicas import usable_cores  # noqa: E402 - likewise
from tests import documents, promises, surroundings  # noqa: E402 - likewise
from tests.fakes.image_api import ImageApi  # noqa: E402 - only now are its asserts rewritten
from tests.laws import register_profiles  # noqa: E402 - likewise

SLOW = (
    "benchmarks",
    "browser",
    "diffusers",
    "distributions",
    "engines",
    "hostile",
    "kit",
    "fakes/test_batch_talks.py",
    "host/test_cast.py",
    "host/test_swap.py",
    "host/test_transcript.py",
    "library/test_blocking.py",
    "library/test_open_stage.py",
    "library/test_page.py",
    "library/test_programs.py",
    "stage3/caretaking/test_cli.py",
    "stage3/caretaking/test_full_disk.py",
    "stage3/ledger/test_database_url.py",
    "stage3/ledger/test_eight_processes.py",
    "stage3/previz/test_drawing_backdrops.py",
    "stage3/previz/test_provider.py",
    "stage3/previz/test_render.py",
    "stage3/providers/test_bought_at_queues.py",
    "stage3/providers/test_studio_runs.py",
    "stage3/providers/test_third_party.py",
    "stage3/providers/test_worst_texts.py",
    "stage3/references",
    "stage3/test_batch_runs.py",
    "stage3/test_batch_trouble.py",
    "stage3/test_disk.py",
    "stage3/test_executors.py",
    "stage3/test_jobs.py",
    "stage3/test_ladder_runs.py",
    "stage3/test_local.py",
    "stage3/test_local_models.py",
    "stage3/test_lost.py",
    "stage3/test_other_store.py",
    "stage3/test_two_runs.py",
    "stage3/test_waiting_for_batches.py",
    "test_batches_by_programs.py",
    "test_cast_end_to_end.py",
    "test_check_online.py",
    "test_confirmed_runs.py",
    "test_director_end_to_end.py",
    "test_extras_absent.py",
    "test_half_price.py",
    "test_jobs_end_to_end.py",
    "test_keep_a_face.py",
    "test_ladder_end_to_end.py",
    "test_signals.py",
    "test_skill.py",
    "test_telemetry_killed.py",
    "test_telemetry_money.py",
    "test_your_own_server.py",
)
"""Where tests start processes or take their time. Single ones elsewhere are marked themselves."""
AT_NIGHT = ("diffusers",)
"""What needs gigabytes to be installed, for a part that nobody else touches."""
ONE_IN = 4
"""Of so many cases of a slow test beyond the net one is tried before a merge; at night all are."""

register_profiles()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a lane that somebody waits for be shorter: ``pytest --in-memory --one-loop``."""
    parser.addoption(
        "--in-memory",
        action="store_true",
        help="keep what tests write in memory, if this system has such a place",
    )
    parser.addoption(
        "--one-loop",
        action="store_true",
        help="run every asynchronous test on one event loop, asyncio and trio in turn",
    )
    parser.addoption(
        "--database",
        choices=("sqlite", "postgres"),
        default="sqlite",
        help="which database keeps the ledgers of tests/stage3/ledger",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C, in tests and the processes they start, also where a shell started us with ``&``.

    Such a shell has it ignored, all processes inherit that, and a program rightly leaves it so.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    surroundings.trust_nobody()
    documents.listen()
    if config.getoption("in_memory"):
        surroundings.keep_files_in_memory()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Let ``-n auto`` be two workers for each core where a test waits for no disk.

    What it waits for then are sockets, processes and clocks, and another has the core meanwhile.
    """
    return 2 * usable_cores() if config.getoption("in_memory") else None


@functools.cache
def _is_slow(path: Path) -> bool:
    return any(path.is_relative_to(HERE / name) for name in SLOW)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what the shortest lane leaves out, or the net."""
    asked = config.getoption("markexpr")
    is_left_out = (asked == "not slow" and _is_slow(collection_path)) or (
        asked == "promise"
        and collection_path.suffix == ".py"
        and not _is_in_the_net(collection_path)
    )
    return True if is_left_out else None


@functools.cache
def _is_in_the_net(path: Path) -> bool:
    files = {one.partition("::")[0] for one in promises.marked()}
    return not path.name.startswith("test_") or path.relative_to(HERE).as_posix() in files


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is slow by where it is and what is in the net, and leave out what was not asked.

    What is slow is tried on both event loops at night, and elsewhere on one of them.
    """
    slow = [item for item in items if _is_slow(item.path) or item.get_closest_marker("heavy")]
    for item in slow:
        item.add_marker("slow")
    _, on_the_other_loop = surroundings.one_loop_each(slow)
    for item in on_the_other_loop:
        item.add_marker("heavy")
    cases = Counter[str]()
    for item in items:
        file, _, name = item.nodeid.removeprefix("tests/").partition("::")
        test, is_slow = name.partition("[")[0], item.get_closest_marker("slow") is not None
        if item.get_closest_marker("heavy") is not None:
            continue
        if promises.is_marked(file, test):
            item.add_marker("promise")
        elif is_slow:
            number = cases[f"{file}::{test}"]
            cases[f"{file}::{test}"] += 1
            if number % ONE_IN or file.startswith(AT_NIGHT):
                item.add_marker("heavy")
    if config.getoption("one_loop"):
        items[:], left = surroundings.one_loop_each(items)
        config.hook.pytest_deselected(items=left)


def pytest_collection_finish() -> None:
    """Go on with the tests alone."""
    surroundings.spare_what_was_collected()


@pytest.fixture(autouse=True)
def _documents() -> Iterator[None]:
    """Hold every document that a command writes in a test to its schema."""
    yield
    assert documents.problems() == []


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every async test on both event loops."""
    backend: str = request.param
    return backend


@pytest.fixture
def image_api() -> Iterator[ImageApi]:
    """Run a loopback image API that keeps books; see ``tests/fakes/image_api.py``."""
    with ImageApi() as api:
        yield api


@pytest.fixture(params=["our sockets", "httpcore's sockets"])
def network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every connection with our own sockets, or with httpcore's: `fakes/plain_network.py`."""
    if request.param == "httpcore's sockets":
        from stage3_plugin.transport import connection
        from tests.fakes.plain_network import PlainNetwork

        monkeypatch.setattr(connection, "Sockets", PlainNetwork)
