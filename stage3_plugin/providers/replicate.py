"""Replicate: a prediction is begun, asked for until it has ended, and found again by its seed.

Every model has inputs of its own, by names of its own: ``models.toml`` has those of the families
whose schemas are public. The request does not wait for the picture (no ``Prefer: wait``): its
answer names the prediction at once, so that an answer that is lost is lost for as short a time as
can be. The listing shows predictions of every state, with their inputs: where a person has set no
seed, the one that is drawn for the request finds it there, and its absence is proved.

An answer about a prediction repeats what was shown to the model, so that pictures are read from
``output`` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import ClassVar
from urllib.parse import quote

from pydantic import ConfigDict, JsonValue

from stage3_plugin.domain.addressing import address_of
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Asked,
    Gone,
    Lost,
    NotListed,
    Payload,
    Poll,
    Reply,
    Send,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.domain.job import Accepted, seed_of
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.picture import InlinePicture, PictureSource, RemotePicture
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import RefusedFor, Verdict, VerdictKind
from stage3_plugin.providers.base import Looked, Next, Polled
from stage3_plugin.providers.models import Inputs, inputs_of
from stage3_plugin.providers.profiles import profile_named
from stage3_plugin.providers.queue import SINCE, End, Queue, State, since, with_inputs
from stage3_plugin.providers.replies.answers import MOST_PICTURES, begins_as_picture, with_pictures
from stage3_plugin.providers.replies.causes import about_of_sentence
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.free_answers import good, unsure
from stage3_plugin.providers.replies.hints import hint_of, iso_moment_s, moment_s
from stage3_plugin.providers.replies.polling import is_gone, is_job_id
from stage3_plugin.providers.replies.reading import Json, at, cleaned, text_at
from stage3_plugin.providers.replies.taxonomy import meanings
from stage3_plugin.providers.replies.words import sentence
from stage3_plugin.settings import ProviderOptions

_LATE = "it did not begin in time, and was given up at no cost"

# What Replicate says, and where it says so -------------------------------------------------------

STATES: Mapping[str, State] = {
    "starting": "making",
    "processing": "making",
    "succeeded": "made",
    "aborted": End(VerdictKind.BUSY, message=_LATE, may_be_billed=False),
    "failed": End(VerdictKind.NO_PICTURE, message="the prediction failed"),
    "canceled": End(VerdictKind.NO_PICTURE, message="the prediction canceled"),
}
"""Words of a prediction (openapi of Replicate's HTTP API; replicate 1.0.7; its documentation of
prediction statuses). One that is aborted has ended before it ran, by the deadline of
:data:`CANCEL_AFTER`. One that failed or was canceled is billed for the time that it ran; of models
with a price per picture it is not said."""

REFUSED_FOR: tuple[tuple[str, RefusedFor | None], ...] = (
    ("e005", None),  # beside "The input or output was flagged as sensitive"
    ("nsfw", "output"),
)
"""What ``error``, a sentence without a code, has in it of a refusal of a known kind, in lower case
(puter#3719 of 2026-09-02, pollinations#10801 and #11809)."""

CANCEL_AFTER = "10m"
"""How long a prediction may take from its beginning: one that has not begun by then is aborted, at
no cost. One that runs is canceled and billed, and pictures take seconds: so it is not shorter."""
CLOCKS_S = 600.0
"""How far apart two clocks may be that are set."""

PROFILE = profile_named("replicate")


_SAID_BY_ITSELF = "it follows from size, output_format, the scene's references, or the model"


class ReplicateOptions(ProviderOptions):
    """Inputs of a model by its own names: every model has others."""

    model_config = ConfigDict(extra="allow")
    reserved: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "aspect_ratio", "height", "image", "image_input", "image_prompt", "images", "input",
            "input_image", "input_images", "resolution", "sequential_image_generation", "size",
            "version", "width",
        ),
        _SAID_BY_ITSELF,
    )  # fmt: skip


class Replicate(Queue):
    """The provider ``replicate``; the arguments are those of ``Hosted``.

    Its ``base_url`` ends before the version of the API. A model is ``OWNER/NAME``, or a version of
    one, ``OWNER/NAME:HASH`` or ``HASH``.
    """

    Options = ReplicateOptions
    _poll, _cancel, _listed = ("urls", "get"), ("urls", "cancel"), ("results",)
    _states = STATES
    _no_model = "has no such model"

    @staticmethod
    def profile_of(endpoint: Endpoint, /) -> Profile:
        """Return what is known beforehand of one of its endpoints, by the inputs of its model."""
        if not endpoint.model:
            return PROFILE  # what some of its models have
        return with_inputs(PROFILE, _inputs(endpoint.known_as))

    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""
        model, form = self.model_of(request), self.form_of(request)
        inputs = _inputs(self.known_as(model))
        assert form is not None  # the shipped table has a row for every model of it
        sides = (request.width_px, request.height_px)
        size: dict[str, Payload] = {"aspect_ratio": form.ratio}
        if inputs.makes(*sides):
            form = None
            size = {"aspect_ratio": "custom", **dict(zip(("width", "height"), sides, strict=True))}
        elif inputs.tier:
            size[inputs.tier] = inputs.tiers[form.tier]
        given, dropped = self.wishes(request, inputs, form, size, most_seed=MOST_SEED)
        payload: dict[str, Payload] = {"input": given}
        path = _path_of(model)
        if path is None:
            payload["version"], path = model, "predictions"
        url = f"{self.base_url}/v1/{path}"
        headers = {"cancel-after": CANCEL_AFTER}
        return Send(url=url, payload=payload, headers=headers, dropped=dropped)

    def said_of(self, model: str) -> dict[str, JsonValue]:
        """Return what is always said to a model; to a version it is what its model is told."""
        return super().said_of(_named(model))

    def next(self, reply: Reply) -> Next:
        """Return what follows from a complete answer: the prediction has begun, or it has not.

        A picture in the answer itself is taken as it is; all else is asked for.
        """
        step = super().next(reply)
        if not isinstance(step, Accepted):
            return step
        made = self._of_prediction(reply, step)
        return made if isinstance(made, Verdict) and made.kind is VerdictKind.PICTURES else step

    def _in_known_words(self, reply: Reply) -> Reply:
        """Leave out of an answer what it repeats of the request: the pictures that were shown."""
        document = reply.document
        if not isinstance(document, dict) or "input" not in document:
            return reply
        made = set(_texts_of(document.get("output")))
        return replace(
            reply,
            document={name: value for name, value in document.items() if name != "input"},
            parts={name: part for name, part in reply.parts.items() if name in made},
        )

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:  # noqa: ARG002 - it has one address
        """Return what follows from an answer about a prediction."""
        if is_gone(reply):
            return Gone(message=f"Replicate does not know the prediction {job.job_id} any more")
        is_about_it = text_at(reply.document, "id") == job.job_id
        if not (200 <= reply.status < 300 and is_about_it):
            return self._unsaid(reply)
        return self._of_prediction(reply, job)

    def look_for(self, lost: Lost) -> str:
        """Return where the listing begins: everything since a day before the money was held."""
        return f"{self.base_url}/v1/predictions?created_after={quote(since(lost))}"

    def _next_url(self, reply: Reply) -> str | None:
        following = at(reply.document, "next")
        return address_of(following, base_url=self.base_url) if isinstance(following, str) else None

    def _problem_of(self, reply: Reply, lost: Lost) -> Unsaid | None:  # noqa: ARG002 - it is of the page
        has_end = isinstance(reply.document, dict) and "next" in reply.document
        is_last = has_end and at(reply.document, "next") is None
        if is_last or self._next_url(reply) is not None:
            return None
        return Unsaid(message="a page of the listing does not say where the next one is")

    def _is_of(self, item: Json, endpoint: str) -> bool:
        return _is_of(item, endpoint)

    def _not_among(self, items: list[JsonValue], reply: Reply, lost: Lost) -> Looked:
        since_s = lost.opened_at.timestamp() - self._apart_s(reply)
        if any(_may_be(item, lost, since_s) for item in items):
            model = lost.endpoint or "some model"
            return Unsaid(message=f"a prediction of {model} is listed that may be it")
        return NotListed(next_url=self._next_url(reply))

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what the picture is expected to cost; a version costs what its model does."""
        return super().estimate(replace(request, model=_named(self.model_of(request))))

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        """Return what can be asked for free: the account's page, and one for each model."""
        account = Ask(url=f"{self.base_url}/v1/account", about=("key",), judge=self._of_account)
        return (account, *map(self._about_model, models), _NO_ACCOUNT)

    def _about_model(self, model: str) -> Ask | Finding:
        path = _path_of(_named(model))
        if path is None:
            told = "a version by its hash alone has no page of its own"
            return unsure("model", told, model=model)
        page = f"{self.base_url}/v1/{path.removesuffix('/predictions')}"
        return Ask(url=page, about=("model",), model=model, judge=self._of_model)

    def _of_account(self, ask: Ask, reply: Reply, _today: date) -> tuple[Finding, ...]:
        if reply.status != 200 or not text_at(reply.document, "username"):
            return self._trouble(ask, reply)
        return (good("key", f"{self.who} accepts it"),)

    def _on_page(self, model: str, reply: Reply, today: date) -> tuple[Finding, ...]:
        return (self._has(model, today),) if text_at(reply.document, "name") else ()

    # Predictions ---------------------------------------------------------------------------------

    def _accepted(self, document: Json) -> Accepted | None:
        return super()._accepted(document) if is_job_id(text_at(document, "id")) else None

    def _of_prediction(self, reply: Reply, job: Accepted) -> Polled:
        prediction = reply.document
        word, output = text_at(prediction, "status"), at(prediction, "output")
        state = self._states.get(word)
        found = self.sources_of(reply, dict.fromkeys(_texts_of(output)))
        sources = tuple(filter(_is_picture, found))
        # A picture in the answer itself is whole whatever the word; one at an address may be a
        # draft until it has ended. So it may be under a word that nobody knows, unless it says when
        # it ended: its pictures are deleted an hour later.
        is_over = state not in {"making", None} or at(prediction, "completed_at")
        held = tuple(one for one in sources if not isinstance(one, RemotePicture))
        if state == "making" or not (held or is_over):
            sources = held
        if sources:
            return with_pictures(self._with_details(reply, job), sources[:MOST_PICTURES])
        if state == "making":
            return Poll(url=job.poll_url, after_s=self._asked_to_wait_s(reply))
        if isinstance(state, End):
            return self._ended(reply, job, state)
        known = replace(self.ended(reply, job, VerdictKind.NO_PICTURE), provider_code=word)
        if state is None:
            shown = cleaned(word, most=80)
            return Unclear(message=f"Replicate calls it {shown!r}, a word that is not known")
        if at(prediction, "data_removed") is True:
            return Gone(message="its picture was made, and has been deleted an hour later")
        if output == []:
            told = "made, and withheld as unsafe: its list of pictures is empty"
            return replace(known, kind=VerdictKind.REFUSED, about="output", message=told)
        if output is None:
            return replace(known, message="it succeeded without a picture")
        return Unclear(message="it succeeded, with an output in a format that is not known")

    def _with_details(self, reply: Reply, job: Accepted) -> Verdict:
        facts = {name: text_at(reply.document, name) for name in ("model", "version")}
        seed = figure_of(at(reply.document, "input", "seed"), most=2**63)
        facts["seed"] = "" if seed is None else str(seed)
        details = {name: cleaned(fact) for name, fact in facts.items() if fact}
        return replace(self.ended(reply, job, VerdictKind.PICTURES), details=details)

    def _ended(self, reply: Reply, job: Accepted, end: End) -> Verdict:
        """Judge one that ended without a picture: by a policy, if its sentence says so."""
        error = text_at(reply.document, "error")
        verdict = replace(
            super()._ended(reply, job, end),
            message=cleaned(error) or end.message,
            provider_code=text_at(reply.document, "status"),
        )
        said = sentence(error).lower()
        known = next((one for one in REFUSED_FOR if one[0] in said), None)
        is_flagged = known is not None or any(one in said for one in meanings().about.flagged)
        if end.kind is not VerdictKind.NO_PICTURE or not is_flagged:
            return verdict
        about = about_of_sentence(sentence(error)) if known is None else known[1]
        return replace(verdict, kind=VerdictKind.REFUSED, about=about)

    def _asked_to_wait_s(self, reply: Reply) -> float | None:
        """Return what ``Retry-After`` says; the reset of a window that has room left is no hint."""
        named = {name: reply.headers.get(name, "") for name in ("retry-after", "date")}
        return hint_of(named, None, now_s=self.clock()) or None

    def _apart_s(self, reply: Reply) -> float:
        """Return how far a moment of ours and one of Replicate's may be apart."""
        there_s = moment_s(reply.headers.get("date", ""))
        if there_s is None:
            return SINCE.total_seconds()
        return CLOCKS_S + abs(there_s - self.clock())


MOST_SEED = 2**31 - 1
_NO_ACCOUNT = unsure("account", "no free page says whether it has credit")


def _inputs(model: str) -> Inputs:
    return inputs_of("replicate", _named(model))


def _named(model: str) -> str:
    """Return a model's name without a version; a version alone stays one."""
    return model.partition(":")[0]


def _path_of(model: str) -> str | None:
    """Return where a model's predictions begin; ``None`` for a version: that is in the body."""
    owner, _, name = model.partition("/")
    if not (owner and name) or ":" in model or "/" in name:
        return None
    return f"models/{quote(owner, safe='')}/{quote(name, safe='')}/predictions"


# What came of it ---------------------------------------------------------------------------------


def _texts_of(output: Json) -> Iterator[str]:
    for one in output if isinstance(output, list) else [output]:
        if isinstance(one, str) and one.strip():
            yield one


def _is_picture(source: PictureSource | RemotePicture) -> bool:
    return not isinstance(source, InlinePicture) or begins_as_picture(source.base64)


# What a listing shows ----------------------------------------------------------------------------


def _may_be(item: Json, lost: Lost, since_s: float) -> bool:
    """Return whether a prediction that was not found to be the lost one may be it all the same.

    Its input is deleted, or has the seed with other words, or the request carried no seed that we
    have drawn, or its model may take none, so that it would not be repeated; and nothing else shows
    that it is another's: neither its model nor its time.
    """
    is_anothers = text_at(item, "id") in lost.taken or not _is_of(item, lost.endpoint)
    if is_anothers or _began_before(item, since_s):
        return False
    given, inputs = at(item, "input"), _inputs(lost.endpoint)
    if lost.token is None or not inputs.seed or not isinstance(given, dict):
        return True
    is_with_its_seed = given.get("seed") == seed_of(lost.token)
    return is_with_its_seed or not given or (inputs.is_a_guess and "seed" not in given)


def _is_of(item: Json, model: str) -> bool:
    """Return whether a prediction is of a model; one that does not say of which may be."""
    name, _, version = model.partition(":")
    if "/" not in name:
        name, version = "", name
    says = (text_at(item, "model"), text_at(item, "version"))
    wants = (name, version)
    return all(
        not said or not wanted or said == wanted for said, wanted in zip(says, wants, strict=True)
    )


def _began_before(item: Json, since_s: float) -> bool:
    began_s = iso_moment_s(text_at(item, "created_at"))
    return began_s is not None and began_s < since_s
