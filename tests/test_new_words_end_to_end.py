"""A vendor invents a word for a state: no picture is given up for it, and none is bought twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from host_stub.cli import main
from stage3_plugin.domain.states import State
from stage3_plugin.testing.batch_plans import Batched
from stage3_plugin.testing.bill import by_the_table
from stage3_plugin.testing.image_api import ImageApi
from stage3_plugin.testing.queues import Queued
from tests.fakes.image_api import KEY
from tests.fakes.new_words import (
    BATCHES,
    QUEUES,
    WORD,
    Invention,
    Place,
    inventing,
    inventing_batches,
)
from tests.fakes.plain import Plain
from tests.places import hurry, offer, wait
from tests.projects import Project

MODELS = {
    "plain": "m",
    "fal": "fal-ai/flux-2/turbo",
    "bfl": "flux-2-pro",
    "replicate": "black-forest-labs/flux-2-pro",
    "openai": "gpt-image-2",
    "gemini": "gemini-3.1-flash-image",
}
EVERYWHERE: list[tuple[str, Place]] = [
    *((provider, place) for provider, (_, _, places) in QUEUES.items() for place in places),
    *((provider, place) for provider, (_, places) in BATCHES.items() for place in places),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a thousandth of the usual time: two minutes are 0.12 s."""
    hurry(monkeypatch, 1000, "policy.polling")
    wait(monkeypatch, "engine.run", RECOVERY_LINGERS_S=0.1)
    wait(monkeypatch, "engine.pending", BATCH_LOOKS_S=(0.0, 0.01))
    offer(monkeypatch, "plain", Plain)


@contextmanager
def vendor(provider: str, invention: Invention) -> Generator[ImageApi]:
    """Run the server of a vendor that has jobs ended at the first look, behind the new word."""
    if provider in QUEUES:
        dialect, field, _ = QUEUES[provider]
        with ImageApi(dialect=inventing(dialect, invention, field=field)) as api:
            api.queue.plan = Queued(polls=0)
            yield api
        return
    with ImageApi(batches=[inventing_batches(BATCHES[provider][0], invention)]) as api:
        api.bill = by_the_table
        api.batches.plan = Batched(polls=0)
        yield api


def project_of(api: ImageApi, provider: str, folder: Path, *, scenes: int) -> Project:
    project = Project(folder)
    project.scenes(scenes)
    more: dict[str, Any] = {"provider": provider, "model": MODELS[provider], "size": "1024x1024"}
    if provider == "gemini":
        more["base_url"] = api.root_url
    if provider in BATCHES:
        more |= {"lane": "batch", "quality": "medium"}
    project.config(api, **more)
    return project


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Return what runs the host's command: its code, and what people see beside the result."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "300")

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main([*words])
        said = capsys.readouterr()
        return code, said.err + said.out

    return run


def warnings_in(said: str) -> list[str]:
    return [line for line in said.splitlines() if "is not known here" in line]


def bills(api: ImageApi, provider: str) -> int:
    """Count what the vendor's books say was bought and billed; both have to be the same."""
    if provider in QUEUES:
        billed = [job for job in api.queue.jobs if job.usd]
        assert len(billed) == len(api.queue.jobs)
        return len(billed)
    return sum(bool(line.usd) for batch in api.batches.all for line in batch.lines)


@pytest.mark.parametrize("provider, place", EVERYWHERE, ids=str)
def test_a_word_that_nobody_knows_costs_no_picture(
    provider: str,
    place: Place,
    tmp_path: Path,
    told: Callable[..., tuple[int, str]],
) -> None:
    """The run ends with 5 and one warning; when the word is over the next takes the pictures in.

    A word that stands in the answer of a submit stands wherever the job is asked for, too.
    """
    places = {"submit": ("submit", "status")}.get(place, (place,))
    invention = Invention(frozenset(places))  # type: ignore[arg-type]  # places by their names
    with vendor(provider, invention) as api:
        project = project_of(api, provider, tmp_path, scenes=2)
        over, said = told("run", "scenes.json")
        later, said_later = told("run", "scenes.json")
        waiting = [one.state for one in project.purchases()]
        codes = project.codes()
        invention.stop()
        had, _ = told("run", "scenes.json")
        pictures = [one.state for one in project.purchases()]
        billed = bills(api, provider)

    for heard in (said, said_later):
        (warning,) = warnings_in(heard)
        assert WORD in warning
        assert provider in warning
    assert (over, later) == (5, 5)
    assert waiting == [State.ACCEPTED] * 2
    assert set(codes.values()) == {"pending"}
    assert had == 0
    assert pictures == [State.PAID] * 2
    assert billed == 2


@pytest.mark.parametrize("provider", [*QUEUES])
def test_a_word_that_passes_within_two_minutes_is_waited_for(
    provider: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: Callable[..., tuple[int, str]],
) -> None:
    """By the run that has bought it, with its warning and no failure."""
    wait(monkeypatch, "policy.polling", FIRST_WAIT_S=0.02)
    invention = Invention(frozenset({"status"}))
    with vendor(provider, invention) as api:
        asked = list[str]()

        def heard(page: Any, met: str) -> None:
            asked.append(met)
            if asked.count("status") > 2:
                invention.stop()

        api.trouble = heard
        project_of(api, provider, tmp_path, scenes=1)
        code, said = told("run", "scenes.json")
        billed = bills(api, provider)

    assert code == 0
    assert len(warnings_in(said)) == 1
    assert billed == 1


def test_a_warning_is_an_event_and_said_once_of_many_pictures(
    tmp_path: Path, told: Callable[..., tuple[int, str]]
) -> None:
    """As `stage.warned` in the journal, whatever the number of jobs that are called so."""
    invention = Invention(frozenset({"status"}))
    with vendor("fal", invention) as api:
        project_of(api, "fal", tmp_path, scenes=4)
        code, said = told("run", "scenes.json")

    journals = [*tmp_path.rglob("*.jsonl")]
    events = [
        json.loads(line)
        for path in journals
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    warned = [one for one in events if one.get("event") == "stage.warned"]
    assert code == 5
    assert len(warnings_in(said)) == 1
    assert len([one for one in warned if WORD in one["message"]]) == 1
