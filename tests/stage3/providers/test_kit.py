"""Every provider of ours obeys the laws that others are held to, and each law can be broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from stage3_plugin.domain.batch import BatchLine, BatchMaking, BatchPolled
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Asked, Fetch, Found, Lost, Poll, Reply, Send, Unclear
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.base import Looked, Next, Polled
from stage3_plugin.providers.openai_batch import OpenAIBatch
from stage3_plugin.providers.openai_images import OpenAIImages
from stage3_plugin.providers.registry import hosted_named, listed
from stage3_plugin.testing.dialects import dialect_of
from stage3_plugin.testing.laws import LAWS, Law, answers, batches, queues, requests
from stage3_plugin.testing.recordings import Heard, recorded_in
from stage3_plugin.testing.subject import Subject
from tests.fakes.plain import Plain, PlainDialect

RECORDED = Path(__file__).parent / "recorded"
MODELS = {
    "openai": "gpt-image-2",
    "openrouter": "google/gemini-3-pro-image",
    "openrouter chat": "google/gemini-3-pro-image",
    "gemini": "gemini-nano-banana-2.1",
    "fal": "fal-ai/flux-2/turbo",
    "bfl": "flux-2-pro",
    "replicate": "black-forest-labs/flux-2-pro",
    "xai": "grok-imagine-image-2.0",
}
"""A model for each of ours, and for a further way of asking one."""
OURS = [word for word in MODELS if hosted_named(word.partition(" ")[0]) is not None]


def subject(word: str) -> Subject:
    name, _, api = word.partition(" ")
    provider = hosted_named(name)
    assert provider is not None
    return Subject.of(
        provider,
        model=MODELS[word],
        api=api or "images",
        heard=recorded_in(RECORDED / name),
        dialect=dialect_of(name),
    )


SUBJECTS = {word: subject(word) for word in OURS}


OF_BATCHES = [law for law in LAWS if law.__module__ == batches.__name__]
LONG = {answers.an_answer_that_is_cut_proves_nothing, answers.hostile_values_harm_nothing}


@pytest.mark.parametrize(
    "law", [pytest.param(law, marks=[pytest.mark.slow] * (law in LONG)) for law in LAWS],
    ids=[law.__name__ for law in LAWS],
)  # fmt: skip
@pytest.mark.parametrize("word", OURS)
def test_ours_obey_every_law(word: str, law: Law) -> None:
    """Whatever its vendor says; what has a queue is tried with one."""
    subject = SUBJECTS[word]
    tried, profile = law(subject), subject.at().profile
    left_out: dict[Law, bool] = {
        requests.free_checks_stay_with_the_api: True,
        requests.a_token_is_sent_where_it_will_be_listed: profile.listing is None,
        queues.a_lost_answer_is_found_by_its_token: profile.listing is None,
        queues.an_unknown_state_ends_nothing_and_is_shown: profile.keeps_s is None,
        queues.a_look_that_fails_changes_nothing: profile.keeps_s is None,
        queues.an_answer_about_another_job_changes_nothing: profile.keeps_s is None,
        queues.a_queue_that_lies_is_not_believed: profile.keeps_s is None,
        **dict.fromkeys(OF_BATCHES, subject.at().batch is None),
    }

    assert tried > 0 or left_out.get(law, subject.dialect is None)


def test_all_of_ours_are_tried() -> None:
    """A provider that is added is held to the laws as well."""
    bought = {one.name for one in listed() if hosted_named(one.name) is not None}

    assert bought == {word.partition(" ")[0] for word in OURS}


PLAIN = Subject.of(Plain, model="m", dialect=PlainDialect)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_plain_one_obeys_every_law(law: Law) -> None:
    """Those that ask for recordings have none here."""
    assert law(PLAIN) > 0 or law in {
        answers.recorded_answers_mean_what_they_meant,
        requests.free_checks_stay_with_the_api,
        *OF_BATCHES,
    }


class AnotherEachTime(Plain):
    numbers = count()

    def begin(self, request: PictureRequest) -> Send:
        send = super().begin(request)
        return replace(send, payload={**send.payload, "nonce": next(self.numbers)})


class WithTheKey(Plain):
    def begin(self, request: PictureRequest) -> Send:
        headers = {"X-Auth": os.environ.get("PLAIN_API_KEY", "") or "none"}
        return replace(super().begin(request), headers=headers)


class AtTheVendors(Plain):
    def begin(self, request: PictureRequest) -> Send:
        return replace(super().begin(request), url="https://plain.example/v1/jobs")


class WithoutItsToken(Plain):
    def begin(self, request: PictureRequest) -> Send:
        return super().begin(replace(request, token=None))


def nothing(_ask: Ask, _reply: Reply, _today: date) -> tuple[Finding, ...]:
    return ()


class ChecksElsewhere(Plain):
    def checks(self, models: tuple[str, ...]) -> tuple[Ask, ...]:
        del models
        return (Ask(url="https://plain.example/v1/key", about=("key",), judge=nothing),)


class SeesTheEnd(Plain):
    """Takes what it cannot read for the end of a job."""

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        if reply.document is None and reply.status == 200:
            return Verdict(kind=VerdictKind.NO_PICTURE, may_be_billed=True)
        return super().polled(reply, job, of)


class BelievesStatuses(Plain):
    def next(self, reply: Reply) -> Next:
        if reply.status == 422:
            return Verdict(kind=VerdictKind.REFUSED, message="refused")
        return super().next(reply)


class TakesServersForFree(Plain):
    def next(self, reply: Reply) -> Next:
        if reply.status >= 500:
            return Verdict(kind=VerdictKind.BUSY, message="try again")
        return super().next(reply)


class Trusting(Plain):
    def next(self, reply: Reply) -> Next:
        if reply.status == 202:
            cast("Any", reply.document)["id"].removeprefix("job-")
        return super().next(reply)


class Repeats(Plain):
    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        step = super().polled(reply, job, of)
        return Unclear(message=str(reply.document)) if isinstance(step, Unclear) else step


class KeepsPolling(Plain):
    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        step = super().polled(reply, job, of)
        return Poll(url=job.poll_url) if isinstance(step, Unclear) and reply.document else step


class SaysNoCost(Plain):
    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        step = super().polled(reply, job, of)
        if not isinstance(step, Fetch):
            return step
        return replace(step, verdict=replace(step.verdict, reported_usd=None))


class GivesUp(Plain):
    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        if reply.status == 429:
            return Verdict(kind=VerdictKind.RATE_LIMITED, message="too many")
        return super().polled(reply, job, of)


class TakesAnybodysPicture(Plain):
    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        named = reply.document.get("id") if isinstance(reply.document, dict) else None
        return super().polled(reply, replace(job, job_id=str(named or job.job_id)), of)


class TakesForgottenForRefused(Plain):
    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        if reply.status == 404 and isinstance(reply.document, dict):
            return Unclear(message="not there")
        return super().polled(reply, job, of)


class TakesAnyJob(Plain):
    def looked(self, reply: Reply, lost: Lost) -> Looked:
        step = super().looked(reply, lost)
        first = next(iter(cast("Any", reply.document)["jobs"]), None) if reply.status == 200 else 0
        accepted = self.next(Reply(status=202, headers={}, document=first)) if first else None
        return Found(accepted=accepted) if isinstance(accepted, Accepted) else step


class HidesTheKey(Plain):
    def next(self, reply: Reply) -> Next:
        if reply.status == 401:
            return Verdict(kind=VerdictKind.REJECTED, message="bad")
        return super().next(reply)


class Lane(OpenAIBatch):
    """A lane that is right; each below is wrong in one thing."""

    def __init__(self, base_url: str) -> None:
        endpoint = Endpoint(provider="openai", base_url=base_url, model="m")
        maker = OpenAIImages(endpoint, clock=lambda: 0.0)
        super().__init__(maker)


class NamesNoLine(Lane):
    def line(self, request: PictureRequest, key: str, files: Mapping[str, str]) -> BatchLine:
        del key
        return super().line(request, "picture", files)


class CreatesAtTheVendors(Lane):
    def create(self, input_file: str, label: str, kind: str) -> Send:
        return replace(super().create(input_file, label, kind), url="https://plain.example/batches")


class CreatesWithoutItsLabel(Lane):
    def create(self, input_file: str, label: str, kind: str) -> Send:
        del label
        return super().create(input_file, "a batch", kind)


class WaitsForTomorrow(Lane):
    def polled(self, reply: Reply, job: Accepted) -> BatchPolled:
        step = super().polled(reply, job)
        return BatchMaking(message="waiting") if isinstance(step, Unclear) else step


def with_lane(lane: type[Lane]) -> type[Plain]:
    """Return a provider that is right, with a lane that is not."""

    class Laned(Plain):
        @property
        def batch(self) -> Lane:
            return lane(self.base_url)

    return Laned


A_BATCH = next(
    heard for heard in recorded_in(RECORDED / "openai") if heard.to == "batch" and heard.means
)
RECORDINGS = sum(heard.means is not None for heard in recorded_in(RECORDED / "openai"))
WRONG = Heard(name="a recording", to="submit", status=200, body=b"{}", means={"step": "Accepted"})
BREAKING: list[tuple[Law, type[Plain], str]] = [
    (requests.begin_has_no_side_effects_and_sends_no_key, AnotherEachTime, "the same"),
    (requests.begin_has_no_side_effects_and_sends_no_key, WithTheKey, "the key is in it"),
    (requests.begin_has_no_side_effects_and_sends_no_key, AtTheVendors, "still asks https://plain"),
    (requests.a_token_is_sent_where_it_will_be_listed, WithoutItsToken, "nothing of"),
    (requests.free_checks_stay_with_the_api, ChecksElsewhere, "not at base_url"),
    (answers.recorded_answers_mean_what_they_meant, Plain, "a recording: .*and not 'Accepted'"),
    (answers.an_answer_that_is_cut_proves_nothing, SeesTheEnd, "cut after 0 bytes"),
    (answers.no_status_alone_brings_a_picture_or_a_refusal, BelievesStatuses, "a refusal is seen"),
    (answers.no_status_alone_brings_a_picture_or_a_refusal, TakesServersForFree, "to be free"),
    (answers.hostile_values_harm_nothing, Trusting, "next of the provider 'plain' raised"),
    (answers.keys_are_not_repeated, Repeats, "the key that it repeats is shown"),
    (
        queues.an_unknown_state_ends_nothing_and_is_shown,
        KeepsPolling,
        "of tomorrow: it is Poll",
    ),
    (queues.a_job_is_made_fetched_and_billed_once, SaysNoCost, "this one has none"),
    (queues.a_look_that_fails_changes_nothing, GivesUp, "limited, asked for the status"),
    (
        queues.an_answer_about_another_job_changes_nothing,
        TakesAnybodysPicture,
        "queued of status, about another job: it is Poll",
    ),
    (queues.a_queue_that_lies_is_not_believed, TakesForgottenForRefused, "forgotten is Unclear"),
    (queues.a_lost_answer_is_found_by_its_token, TakesAnyJob, "."),
    (queues.a_bad_key_is_reported_as_such, HidesTheKey, "bad key: it is rejected"),
    (
        batches.a_line_is_pure_and_json_without_the_key,
        with_lane(NamesNoLine),
        "what it is called is not in it",
    ),
    (
        batches.a_batch_is_asked_for_where_the_settings_say,
        with_lane(CreatesAtTheVendors),
        "Send: it goes to https://plain",
    ),
    (
        batches.a_create_says_which_batch_it_is,
        with_lane(CreatesWithoutItsLabel),
        "the label of a batch is not in its create",
    ),
    (
        batches.an_unknown_state_of_a_batch_is_shown,
        with_lane(WaitsForTomorrow),
        "in words of tomorrow: it is BatchMaking",
    ),
]


@pytest.mark.parametrize(
    "law, broken, words", BREAKING, ids=lambda one: getattr(one, "__name__", "")
)
def test_each_law_can_be_broken(law: Law, broken: type[Plain], words: str) -> None:
    """By a provider that is right but for that, and the sentence says where."""
    heard = (A_BATCH,) if law in OF_BATCHES else (WRONG,)
    trial = Subject.of(broken, model="m", heard=heard, dialect=PlainDialect)
    with pytest.raises(AssertionError, match=words):
        law(trial)


def test_no_law_is_untried() -> None:
    """Each has something that breaks it."""
    assert {law for law, _, _ in BREAKING} == set(LAWS)


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    """With its file."""
    (tmp_path / "odd.json").write_text('{"replies": [{"status": 200}]}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.json is no recording: KeyError: 'body'"):
        list(recorded_in(tmp_path))


@pytest.mark.slow
def test_an_author_runs_it_by_hand() -> None:
    """A line for each law; one that is broken is the exit code, and so is a word that is none."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stage3_plugin.testing", *words],
            capture_output=True, text=True, check=False, encoding="utf-8",
        )  # fmt: skip

    good = run("openai", "--model", "gpt-image-2", "--recorded", str(RECORDED / "openai"))
    unknown, free, unheard = run("opneai"), run("previz"), run("openai", "--serve")

    assert good.returncode == 0, good.stdout
    assert len(good.stdout.splitlines()) == len(LAWS)
    assert f"ok      recorded answers mean what they meant: {RECORDINGS} tried" in good.stdout
    assert (unknown.returncode, free.returncode) == (2, 2)
    assert "did you mean 'openai'?" in unknown.stderr
    assert "buys nothing" in free.stderr
    assert unheard.returncode == 2
    assert "how the vendor of 'openai' speaks is not known" in unheard.stderr


def test_recordings_of_ours_are_json_with_sources() -> None:
    """Whoever reads one knows where it is from."""
    for path in RECORDED.rglob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["source"], path
