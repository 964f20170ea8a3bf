"""What a refusal is about: by the answer where it says so, else by what was asked for."""

from __future__ import annotations

import pytest

from stage3_plugin.domain.reference import Reference, ReferenceWish, SentPicture
from stage3_plugin.domain.verdict import RefusedFor, Verdict, VerdictKind
from stage3_plugin.policy.refusal import MOST_MESSAGE, refused_for
from stage3_plugin.policy.retry import GiveUp, History, decide
from stage3_plugin.settings import Settings
from tests.fakes.recorded import MODERATION
from tests.stage3.providers.replies import (
    openai,
    openrouter,
    recorded,
    reply,
    request,
    verdict_on,
)

SENT = SentPicture(sha256="a" * 64, media_type="image/png", size_bytes=10)
SHOWN = (Reference(wish=ReferenceWish(image="a"), sha256="a" * 64, sent=SENT),)


@pytest.mark.parametrize("name", MODERATION)
def test_every_recorded_refusal_is_about_something(name: str) -> None:
    """None of them is about what came out, and one that names a field is about that."""
    provider = openrouter() if "openrouter" in name else openai()
    about = verdict_on(provider, recorded(MODERATION[name])).about

    prompts = {"openrouter moderation with reasons", "fal content_policy_violation"}
    assert about == ("prompt" if name in prompts else "input")


@pytest.mark.parametrize(
    "about, shows, cause",
    [
        ("input", False, "prompt"),
        ("input", True, "reference"),
        ("prompt", True, "prompt"),
        ("output", True, "output"),
        (None, True, None),
    ],
)
def test_what_went_in_is_a_reference_where_one_was_shown(
    about: RefusedFor | None, *, shows: bool, cause: str | None
) -> None:
    """And it is said that the vendor does not say which; what came out is never one."""
    said = Verdict(kind=VerdictKind.REFUSED, message="no" * 150, about=about)
    verdict = refused_for(said, request(shown=SHOWN if shows else ()))
    step = decide(verdict, History(ran=1, turned_away=0, elapsed_s=0.0), Settings(), chance=0.5)

    assert isinstance(step, GiveUp)
    assert step.failure.cause == cause
    assert ("may be about a reference" in step.failure.message) is (about == "input" and shows)
    assert len(verdict.message) <= MOST_MESSAGE


@pytest.mark.parametrize("shows", [True, False])
def test_an_address_that_takes_no_references_stops_no_other_scene(*, shows: bool) -> None:
    """A server of one's own may know no edits; without references it is the model, for all."""
    answered = verdict_on(openai(), reply({"error": {"message": "Not Found"}}, 404))
    verdict = refused_for(answered, request(shown=SHOWN if shows else ()))

    assert verdict.kind is VerdictKind.REJECTED
    assert verdict.stops_run is not shows
    assert ("takes references" in verdict.message) is shows
