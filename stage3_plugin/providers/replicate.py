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

from pydantic import ConfigDict

from stage3_plugin.domain.addressing import address_of
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import (
    Asked,
    Fetch,
    Found,
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
from stage3_plugin.domain.job import Accepted, is_for, seed_of
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.picture import InlinePicture, PictureSource, RemotePicture
from stage3_plugin.domain.profile import Listing, Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import RefusedFor, Verdict, VerdictKind
from stage3_plugin.providers.base import Looked, Next, Polled
from stage3_plugin.providers.hosted import unsaid_of
from stage3_plugin.providers.models import Form, Inputs, inputs_of
from stage3_plugin.providers.queue import SINCE, Queue, ended, seed_said, since
from stage3_plugin.providers.replies.answers import MOST_PICTURES, begins_as_picture, with_pictures
from stage3_plugin.providers.replies.causes import about_of_sentence
from stage3_plugin.providers.replies.figures import figure_of
from stage3_plugin.providers.replies.free_answers import good, missing, unsure
from stage3_plugin.providers.replies.hints import hint_of, iso_moment_s, moment_s
from stage3_plugin.providers.replies.polling import is_gone, is_job_id
from stage3_plugin.providers.replies.reading import Json, at, cleaned, text_at
from stage3_plugin.providers.replies.taxonomy import meanings
from stage3_plugin.providers.replies.words import sentence
from stage3_plugin.providers.showing import data_url, named_first
from stage3_plugin.settings import ProviderOptions

# What Replicate says, and where it says so -------------------------------------------------------

PENDING = frozenset({"starting", "processing"})
"""Words of a prediction that goes on (openapi of Replicate's HTTP API; replicate 1.0.7)."""
SUCCEEDED = "succeeded"
UNBILLED = frozenset({"aborted"})
"""Ended before it ran, by the deadline of :data:`CANCEL_AFTER`: not billed (Replicate's
documentation of prediction statuses)."""
PERHAPS_BILLED = frozenset({"failed", "canceled"})
"""Billed for the time that they ran; of models with a price per picture it is not said."""

REFUSED_FOR: tuple[tuple[str, RefusedFor | None], ...] = (
    ("e005", None),  # beside "The input or output was flagged as sensitive"
    ("nsfw", "output"),
)
"""What ``error``, a sentence without a code, has in it of a refusal of a known kind, in lower case
(puter#3719 of 2026-09-02, pollinations#10801 and #11809)."""

KEEPS_S = 3600.0
"""Input and output of a prediction are deleted after an hour (Replicate's documentation)."""
CANCEL_AFTER = "10m"
"""How long a prediction may take from its beginning: one that has not begun by then is aborted, at
no cost. One that runs is canceled and billed, and pictures take seconds: so it is not shorter."""
SETTLES_S = 900.0
REACHES_BACK_S = 7 * 86_400.0
"""Only the inputs are said to be deleted; recorded listings had predictions of weeks before
(replicate-python, 2023-11 to 2024-10)."""
CLOCKS_S = 600.0
"""How far apart two clocks may be that are set."""

PROFILE = Profile(
    name="replicate",
    vendor="Replicate",
    base_url="https://api.replicate.com",
    key_variable="REPLICATE_API_TOKEN",
    seed=True,
    references=True,
    picture_hosts=("replicate.delivery", ".replicate.delivery"),
    pictures_last_s=KEEPS_S,
    keeps_s=KEEPS_S,
    has_jobs=True,
    token_is_seed=True,
    listing=Listing(proves_absence=True, settle_s=SETTLES_S, reaches_back_s=REACHES_BACK_S),
)


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
    _keeps_s = KEEPS_S
    _poll, _cancel = ("urls", "get"), ("urls", "cancel")

    @staticmethod
    def profile_of(endpoint: Endpoint, /) -> Profile:
        """Return what is known beforehand of one of its endpoints, by the inputs of its model."""
        if not endpoint.model:
            return PROFILE  # what some of its models have
        inputs = _inputs(endpoint.known_as)
        return replace(
            PROFILE,
            seed=inputs.seed,
            references=inputs.references is not None,
            unsaid=inputs.unsaid,
        )

    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""
        model = self.model_of(request)
        known = self.known_as(model)
        inputs, form = _inputs(known), self.form_of(request)
        assert form is not None  # the shipped table has a row for every model of it
        is_custom = _is_custom(request, inputs)
        shown = request.shown[: _most_shown(inputs)]
        prompt, dropped = self.prompt_of(replace(request, shown=shown))
        if shown and len(shown) < len(request.shown):
            dropped.append("references")
        given: dict[str, Payload] = {
            "prompt": named_first(prompt, replace(request, shown=shown)),
            **(_in_pixels(request) if is_custom else _in_words(form, inputs)),
            **_said(request, inputs),
            **self.said_of(_named(model)),
        }
        if inputs.references is not None and shown:
            urls: list[Payload] = [data_url(one.sent) for one in shown]
            given[inputs.references] = urls[0] if inputs.one else urls
        payload: dict[str, Payload] = {"input": given}
        path = _path_of(model)
        if path is None:
            payload["version"], path = model, "predictions"
        return Send(
            url=f"{self.base_url}/v1/{path}",
            payload=payload,
            headers={"cancel-after": CANCEL_AFTER},
            dropped=(
                *dropped,
                *unsaid_of(
                    request,
                    None if is_custom else form,
                    seed=bool(seed_said(request, inputs, most=MOST_SEED)),
                    formats=tuple(inputs.formats),
                    background=inputs.background,
                ),
            ),
        )

    def next(self, reply: Reply) -> Next:
        """Return what follows from a complete answer: the prediction has begun, or it has not.

        A picture in the answer itself is taken as it is; all else is asked for.
        """
        step = super().next(reply)
        if not isinstance(step, Accepted):
            return step
        made = self._of_prediction(reply, step)
        return made if isinstance(made, Verdict) and made.kind is VerdictKind.PICTURES else step

    def forbidding(self, reply: Reply) -> Verdict | Fetch:
        """Read one as it is: a 403 is of more than the key."""
        return self.judged(reply)

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

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        """Return what a page of the listing shows; a page that cannot be read proves nothing."""
        items, following = at(reply.document, "results"), at(reply.document, "next")
        if not (200 <= reply.status < 300 and isinstance(items, list)):
            return self._unsaid(reply)
        next_url = (
            address_of(following, base_url=self.base_url) if isinstance(following, str) else None
        )
        has_end = isinstance(reply.document, dict) and "next" in reply.document
        if not has_end or (following is not None and next_url is None):
            return Unsaid(message="a page of the listing does not say where the next one is")
        others = [one for one in items if text_at(one, "id") not in lost.taken]
        found = next((one for one in others if _is_found(one, lost)), None)
        if found is not None:
            accepted = self._accepted(found)
            nowhere = Unsaid(message="it is listed, without an address where it is asked for")
            return nowhere if accepted is None else Found(accepted=accepted)
        since_s = lost.opened_at.timestamp() - self._apart_s(reply)
        if any(_may_be(item, lost, since_s) for item in others):
            return Unsaid(
                message=f"a prediction of {lost.endpoint or 'some model'} is listed that may be it"
            )
        return NotListed(next_url=next_url)

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

    def _of_model(self, ask: Ask, reply: Reply, today: date) -> tuple[Finding, ...]:
        model = ask.model or ""
        if reply.status == 404 and self.is_vendors and text_at(reply.document, "detail"):
            return (missing(f"{self.who} has no such model", model),)
        if reply.status != 200 or not text_at(reply.document, "name"):
            return self._trouble(ask, reply)
        return (self._has(model, today),)

    # Predictions ---------------------------------------------------------------------------------

    def _accepted(self, document: Json) -> Accepted | None:
        return super()._accepted(document) if is_job_id(text_at(document, "id")) else None

    def _of_prediction(self, reply: Reply, job: Accepted) -> Polled:
        prediction = reply.document
        word, output = text_at(prediction, "status"), at(prediction, "output")
        known = replace(
            ended(reply, job, VerdictKind.NO_PICTURE),
            may_be_billed=word not in UNBILLED,
            provider_code=cleaned(word, most=80),
        )
        sources = tuple(self._sources(reply, output))
        held = tuple(one for one in sources if not isinstance(one, RemotePicture))
        if word in PENDING:
            # a picture in the answer itself is whole whatever the word; one at an address may be a
            # draft until it has ended
            if held:
                return _with_pictures(known, prediction, held)
            return Poll(url=job.poll_url, after_s=self._asked_to_wait_s(reply))
        # under a word that nobody knows the same holds, unless it says when it ended: its pictures
        # are deleted an hour later
        is_over = word in {SUCCEEDED, *UNBILLED, *PERHAPS_BILLED} or at(prediction, "completed_at")
        if held or (sources and is_over):
            return _with_pictures(known, prediction, sources)
        if word in UNBILLED:
            told = "it did not begin in time, and was given up at no cost"
            return replace(known, kind=VerdictKind.BUSY, message=_told(prediction, told))
        if word in PERHAPS_BILLED:
            return _of_failure(known, prediction, word)
        if word != SUCCEEDED:
            shown = cleaned(word, most=80)
            return Unclear(message=f"Replicate calls it {shown!r}, a word that is not known")
        if at(prediction, "data_removed") is True:
            told = "its picture was made, and has been deleted an hour later"
            return Gone(message=told)
        if output == []:
            told = "made, and withheld as unsafe: its list of pictures is empty"
            return replace(known, kind=VerdictKind.REFUSED, about="output", message=told)
        if output is None:
            return replace(known, message="it succeeded without a picture")
        return Unclear(message="it succeeded, with an output in a shape that is not known")

    def _sources(self, reply: Reply, output: Json) -> Iterator[PictureSource | RemotePicture]:
        """Yield the pictures of an output, which is one or a list, by model."""
        for text in dict.fromkeys(_texts_of(output)):
            source = reply.source(text, base_url=self.base_url)
            if source is not None and (
                not isinstance(source, InlinePicture) or begins_as_picture(text)
            ):
                yield source

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


def _most_shown(inputs: Inputs) -> int | None:
    if inputs.references is None:
        return 0
    return 1 if inputs.one else None


# What is asked for -------------------------------------------------------------------------------


def _is_custom(request: PictureRequest, inputs: Inputs) -> bool:
    if inputs.custom is None:
        return False
    least, most, step = inputs.custom
    return all(
        least <= side <= most and not side % step for side in (request.width_px, request.height_px)
    )


def _in_pixels(request: PictureRequest) -> dict[str, Payload]:
    return {"aspect_ratio": "custom", "width": request.width_px, "height": request.height_px}


def _in_words(form: Form, inputs: Inputs) -> dict[str, Payload]:
    tier: dict[str, Payload] = {inputs.tier: inputs.tiers[form.tier]} if inputs.tier else {}
    return {"aspect_ratio": form.ratio, **tier}


def _said(request: PictureRequest, inputs: Inputs) -> dict[str, Payload]:
    said: dict[str, Payload] = {**seed_said(request, inputs, most=MOST_SEED)}
    if inputs.formats:
        said["output_format"] = inputs.formats.get(request.output_format, "png")
    if inputs.quality:
        said["quality"] = request.quality
    if inputs.background:
        said["background"] = request.background
    return said


# What came of it ---------------------------------------------------------------------------------


def _texts_of(output: Json) -> Iterator[str]:
    for one in output if isinstance(output, list) else [output]:
        if isinstance(one, str) and one.strip():
            yield one


def _with_pictures(
    known: Verdict, prediction: Json, sources: tuple[PictureSource | RemotePicture, ...]
) -> Verdict | Fetch:
    facts = {name: text_at(prediction, name) for name in ("model", "version")}
    seed = figure_of(at(prediction, "input", "seed"), most=2**63)
    facts["seed"] = "" if seed is None else str(seed)
    details = {name: cleaned(fact) for name, fact in facts.items() if fact}
    verdict = replace(
        known, kind=VerdictKind.PICTURES, may_be_billed=True, provider_code=None, details=details
    )
    return with_pictures(verdict, sources[:MOST_PICTURES])


def _of_failure(known: Verdict, prediction: Json, word: str) -> Verdict:
    """Judge a prediction that ended without a picture: by a policy, if its sentence says so."""
    message = _told(prediction, f"the prediction {word}")
    said = sentence(text_at(prediction, "error"))
    known_one = next((one for one in REFUSED_FOR if one[0] in said.lower()), None)
    if known_one is None and not any(words in said.lower() for words in meanings().about.flagged):
        return replace(known, message=message)
    about = about_of_sentence(said) if known_one is None else known_one[1]
    return replace(known, kind=VerdictKind.REFUSED, about=about, message=message)


def _told(prediction: Json, otherwise: str) -> str:
    return cleaned(text_at(prediction, "error")) or otherwise


# What a listing shows ----------------------------------------------------------------------------


def _is_found(item: Json, lost: Lost) -> bool:
    """Return whether a prediction is the lost one: of its model, with its seed and its words."""
    if lost.token is None or not is_for(lost.token, text_at(item, "input", "prompt")):
        return False
    return at(item, "input", "seed") == seed_of(lost.token) and _is_of(item, lost.endpoint)


def _may_be(item: Json, lost: Lost, since_s: float) -> bool:
    """Return whether a prediction that was not found to be the lost one may be it all the same.

    Its input is deleted, or has the seed with other words, or the request carried no seed that we
    have drawn, or its model may take none, so that it would not be repeated; and nothing else shows
    that it is another's: neither its model nor its time.
    """
    if not _is_of(item, lost.endpoint) or _began_before(item, since_s):
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
