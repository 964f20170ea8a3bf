"""What a host and an image plugin exchange, and the number that versions it.

Everything that crosses the line between the two is named here and nowhere else: an image plugin
imports this module (and :mod:`host_stub.hookspecs`) and needs nothing more from the host; commands
of its own are described with :mod:`host_stub.commands`. Models
that a plugin produces forbid unknown fields, so that a misspelt one is found; a minor version may
add optional fields and methods, a major version may take something away.

Rules behind the shapes, each of them checked by the host:

* one outcome for every scene of the request; a scene's failure is a value, never an exception;
* ``run`` raises only when the stage as a whole cannot go on;
* ``cost.usd is None`` means unknown, zero means free, and an unknown cost is never given as zero;
* a wish that the backend cannot honour is listed in ``dropped``;
* only the plugin retries, the host never runs a scene again;
* picture files appear whole, and ``sha256`` is of the bytes on disk;
* on cancellation every started scene ends with ``code="cancelled"`` and the exception goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

if TYPE_CHECKING:  # for annotations alone: structlog loads rich, and shapes need no event loop
    import anyio
    from structlog.typing import FilteringBoundLogger

CONTRACT = (1, 0)
"""Major and minor. A plugin fits if its major is the same and its minor is not larger."""

MOST_TAKES = 20
"""Takes that can be wanted of a scene."""

FailureCode: TypeAlias = Literal[
    "refused",  # the provider's policy says no
    "rejected",  # the request is wrong and would be wrong again
    "rate_limited",  # too many requests until the scene's deadline
    "unavailable",  # busy or unreachable after all attempts
    "no_picture",  # an answer without a picture
    "unreadable",  # an answer, or a picture, that cannot be read
    "credentials",  # the key is wrong
    "out_of_money",  # the account is empty or over its limit
    "budget",  # a cap of the user's own is reached
    "unknown",  # sent, and no answer came: it may have been billed
    "pending",  # bought or accepted, and not here yet; the same command later takes it in
    "busy",  # another run has this scene in flight
    "not_tried",  # never started, because the run was stopped before
    "storage",  # the disk did not take the picture
    "cancelled",
]
Cause: TypeAlias = Literal["prompt", "reference", "output", "rights"]
"""What a refusal is about."""
CostBasis: TypeAlias = Literal["reported", "tokens", "flat", "gateway", "held", "free", "unknown"]
"""How a cost is known - reported by the provider, priced from its token counts, a flat price per
picture, reported by a gateway in between, the amount held for it, free of charge, or not at all."""

Usd: TypeAlias = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class _Shape(BaseModel):
    """Frozen, strict about names, and silent about values in its errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SceneReference(_Shape):
    """What a scene says of one of its references, beside the picture.

    Attributes:
        image: As in ``Scene.references``: a file, or ``scene:ID`` for another scene's picture.
        name: Who or what is on it, such as ``Mira``.
        role: What it is for, such as ``character``, ``style`` or ``place``.
    """

    image: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)] | None = None
    role: Annotated[str, Field(min_length=1)] | None = None


def _has_words(prompt: str) -> str:
    if not prompt.strip():
        raise ValueError("expected words, found none")
    return prompt


Words: TypeAlias = Annotated[str, AfterValidator(_has_words)]
Takes: TypeAlias = Annotated[int, Field(ge=1, le=MOST_TAKES)]
Sha256: TypeAlias = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Role: TypeAlias = Literal["scene", "sheet"]
Lane: TypeAlias = Literal["ordinary", "batch"]
"""How a picture is bought: at once, or as one of many in a batch, later and for less. It
changes nothing of the picture: what came by one lane is not bought again by the other."""


class Scene(_Shape):
    """One picture to make.

    Attributes:
        scene_id: The scene's name in its file, unique there.
        prompt: What the picture shows; sent to the provider as written, before whatever else is
            said in words.
        negative_prompt: What it must not show.
        width: Pixels; absent means the plugin's own ``size`` setting, for both.
        height: Pixels.
        seed: A wish for repeatability.
        references: Pictures the new one should resemble: files, relative to
            ``ImageRequest.scenes_dir``, or ``scene:ID`` for another scene's picture.
        reference_details: What the file says of them; as many, in the same order, or none.
        model: The model to make it with, instead of the settings'.
        quality: The quality to make it in, instead of the settings'.
        if_refused: Prompts to be tried in this order where the one before is refused.
        takes: How many pictures of it are wanted. Those that are there count, so that a
            request that is made twice is fulfilled once; each has an outcome of its own.
        lane: How to buy it, instead of the request's.
        characters: Identifiers of the characters in the scene.
        style_tags: Words about style; a plugin sends them to the model, or lists
            them in ``SceneOutcome.dropped``.
        extra: Whatever else the scene file said, untouched.
    """

    scene_id: Annotated[str, Field(min_length=1)]
    prompt: str
    negative_prompt: str | None = None
    width: Annotated[int, Field(ge=1, le=16384)] | None = None
    height: Annotated[int, Field(ge=1, le=16384)] | None = None
    seed: int | None = None
    references: tuple[str, ...] = ()
    reference_details: tuple[SceneReference, ...] = ()
    model: Annotated[str, Field(min_length=1)] | None = None
    quality: Annotated[str, Field(min_length=1)] | None = None
    if_refused: Annotated[tuple[Words, ...], Field(max_length=20)] = ()
    takes: Takes = 1
    lane: Lane | None = None
    characters: tuple[str, ...] = ()
    style_tags: tuple[str, ...] = ()
    extra: dict[str, Any] = {}

    @model_validator(mode="after")
    def _both_sides_or_none(self) -> Self:
        if (self.width is None) != (self.height is None):
            raise ValueError("give both width and height, or neither")
        return self


class SceneSource(Protocol):
    """Scenes with a known number that can be gone through as often as needed.

    Each pass reads its file anew, so that 100,000 scenes never sit in memory.
    """

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Scene]: ...


class WantedTakes(_Shape):
    """How many takes are wanted of a scene or a sheet, as long as it has this basis.

    Attributes:
        basis: What it was said for; see ``SceneOutcome.basis``. It says nothing of another one.
        takes: So many pictures, those that are there included.
    """

    basis: str
    takes: Takes


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPicture:
    """The picture of a scene or a sheet that the host shows, for scenes that refer to it.

    Attributes:
        sha256: Of its bytes.
        basis: What it was made from, or stood for when a person brought it; see
            ``SceneOutcome.basis``. ``None`` if that is not known.
        path: Where its bytes are, if the plugin did not make it.
    """

    sha256: str
    basis: str | None = None
    path: Path | None = None


class PlaceFor(Protocol):
    """Says where a picture goes: the same picture always to the same place."""

    def __call__(self, scene_id: str, *, role: Role, sha256: str, media_type: str) -> Path:
        """Return the path, below ``ImageRequest.out_dir``; its folder may have to be made."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """What the host asks a stage for.

    Attributes:
        run_id: Names this run in events, the manifest and the ledger.
        scenes: The scenes to make, in order.
        out_dir: The folder of this run's results; pictures go to ``images/`` below it.
        story: All scenes of the file, where only some of them are asked for; a plugin that keeps
            characters alike looks at all of them.
        deadline_s: Seconds the whole run may take.
        max_cost_usd: A cap for this run, beside the plugin's own.
        max_in_flight: A ceiling on scenes in work at once, for ``plan``; a run has its context's.
        scenes_dir: The folder that file references of scenes start at: the scene file's own, or the
            current one for scenes from a stream.
        wanted: Returns what is wanted of a scene or a sheet beyond ``Scene.takes`` (of a sheet, one
            is wanted): what is said for the basis that it has, if that is more.
        shown: Returns the picture that the host shows of a scene or a sheet, if it shows one.
            A scene that refers to another is shown that picture, as long as it is of the basis that
            the other has now; else the one that comes first.
        place: Where each picture goes; without it, ``images/<name>.<extension>``.
        draft: Its pictures are drafts: they never count as a scene's takes.
        lane: How to buy what a scene says no lane of, instead of the settings'. A plugin that
            cannot says so by a :class:`StageError`, before anything is sent.
    """

    run_id: str
    scenes: SceneSource
    out_dir: Path
    story: SceneSource | None = None
    deadline_s: float | None = None
    max_cost_usd: Decimal | None = None
    max_in_flight: int | None = None
    scenes_dir: Path | None = None
    wanted: Callable[[str], Sequence[WantedTakes]] | None = None
    shown: Callable[[str], ShownPicture | None] | None = None
    place: PlaceFor | None = None
    draft: bool = False
    lane: Lane | None = None


class Failure(_Shape):
    """Why a scene has no picture.

    Attributes:
        code: One of a closed set, so that programs can act on it.
        message: One line for people.
        retryable: Whether running the scene again later may help.
        provider_status: The HTTP status that came, where one came.
        cause: What a refusal was about, where the answer says so.
    """

    code: FailureCode
    message: str
    retryable: bool = False
    provider_status: int | None = None
    cause: Cause | None = None


class Cost(_Shape):
    """What a scene cost, failed attempts included; ``usd is None`` if that is not known."""

    usd: Usd | None
    basis: CostBasis

    @model_validator(mode="after")
    def _unknown_has_no_figure(self) -> Self:
        if (self.usd is None) != (self.basis == "unknown"):
            raise ValueError("usd is None exactly when basis is 'unknown'")
        if self.basis == "free" and self.usd != 0:
            raise ValueError("what is free costs 0")
        return self


class SceneStep(_Shape):
    """One of the ways in which a scene was tried, where there was more than one.

    Attributes:
        provider: Who was asked.
        model: For which model.
        prompt: With which words: 0 are the scene's own, 1 the first of ``if_refused``, and so on.
        attempts: Requests sent.
        cost: Of all of them.
        failure: What they came to; ``None`` for the one that made the picture.
    """

    provider: str
    model: str | None = None
    prompt: Annotated[int, Field(ge=0)] = 0
    attempts: Annotated[int, Field(ge=0)] = 0
    cost: Cost
    failure: Failure | None = None


class SceneOutcome(_Shape):
    """How one scene ended: with a picture (``image``) or with a ``failure``.

    Attributes:
        scene_id: The scene's name.
        image: Where the picture lies, below ``ImageRequest.out_dir``.
        image_url: The provider's address of it, if it gave one.
        sha256: Of the bytes on disk, in lower-case hex.
        media_type: As the bytes have it, for example ``image/png``.
        width: The picture's real width in pixels, which may differ from the one asked for.
        height: Likewise.
        generation_params: What the picture was made with: model, size, quality, prompt and so on.
        failure: Why there is no picture.
        attempts: Requests sent for this scene in this run.
        duration_s: From first start to end, waiting between attempts included.
        cost: Of all attempts together.
        dropped: Wishes the backend could not honour, such as ``seed``.
        reused: Found from an earlier run; nothing was bought.
        bought_for: What a picture that is reused had cost when it was bought.
        request_id: What the provider calls its last exchange, to look it up in its records.
        role: ``sheet`` for a picture that the plugin's settings ask for so that scenes can show it
            to the model. Its id is none of the request's, and is announced by ``stage.started``
            under ``sheets``; it counts in every total.
        steps: The ways in which it was tried in this run, in order, where that was more than one or
            another than the first; their costs add up to ``cost``.
        take: Which of the wanted takes it is, from 1: one outcome for each of them.
        purchase: The plugin's own name of what was bought, or made: two pictures are one take
            exactly if they have the same.
        basis: A digest of what it was made from: prompt, references' bytes, size, quality, model
           . Two pictures of a scene with one basis are takes of one wish.
        made_at: When its picture was made, where an earlier run did that.
        store_url: The address of the picture in a store that other machines reach, such as
            ``s3://bucket/name``; it opens nothing by itself: no credentials, no signature.
    """

    scene_id: str
    image: Path | None = None
    image_url: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    generation_params: dict[str, Any] = {}
    failure: Failure | None = None
    attempts: Annotated[int, Field(ge=0)] = 0
    duration_s: Annotated[float, Field(ge=0)] = 0.0
    cost: Cost
    dropped: tuple[str, ...] = ()
    reused: bool = False
    bought_for: Cost | None = None
    request_id: str | None = None
    role: Role = "scene"
    steps: tuple[SceneStep, ...] = ()
    take: Takes = 1
    purchase: str | None = None
    basis: str | None = None
    made_at: datetime | None = None
    store_url: str | None = None

    @model_validator(mode="after")
    def _picture_or_failure(self) -> Self:
        if (self.image is None) == (self.failure is None):
            raise ValueError("an outcome has either an image or a failure")
        if self.image is not None and None in (self.sha256, self.width, self.height):
            raise ValueError("an outcome with an image names its sha256, width and height")
        return self


class PlanWave(_Shape):
    """Scenes that can be made at once, since all that they refer to is there by then.

    Attributes:
        scenes: How many would be bought or rendered.
        cost_high_usd: The most they can cost; ``None`` if a price is not known.
    """

    scenes: Annotated[int, Field(ge=0)]
    cost_high_usd: Usd | None


class PlannedReference(_Shape):
    """A picture that would be sent along.

    Attributes:
        image: As the scene or the settings say it: a file, or ``scene:ID``.
        name: Who or what is on it.
        role: What it is for.
        sha256: Of its bytes; ``None`` while it is not made.
        is_copy: A smaller copy would be sent.
    """

    image: str
    name: str | None = None
    role: str | None = None
    sha256: str | None = None
    is_copy: bool = False


PlannedState: TypeAlias = Literal[
    "make", "reused", "pending", "held", "busy", "refused", "unsendable"
]
"""What would become of a scene, by the counts of a :class:`StagePlan`."""


class ScenePlan(_Shape):
    """What is to be said of one scene before it is made, where there is something.

    Attributes:
        scene_id: Its id, or that of a sheet.
        role: Which of the two.
        model: Who would be asked.
        references: What would be sent along, in order.
        labels: The words that bind names to references, as they are sent.
        dropped: Wishes that would not be sent.
        waits_for: Scenes and sheets whose pictures it needs first.
        problem: Why it would not be made.
        state: What would become of it, by the name of the count in ``StagePlan`` that it is in.
        cost_high_usd: The most it can cost, if it would be made and its price is known.
        prompt_sent: The prompt as it would be sent, byte for byte; of what is tried first.
    """

    scene_id: str
    role: Role = "scene"
    model: str | None = None
    references: tuple[PlannedReference, ...] = ()
    labels: str | None = None
    dropped: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    problem: str | None = None
    state: PlannedState | None = None
    cost_high_usd: Usd | None = None
    prompt_sent: str | None = None


class PlannedRoute(_Shape):
    """A place where pictures would be made.

    Attributes:
        provider: Its word in the settings.
        model: The model that is asked where a scene names none.
        options: What is asked of this provider that others do not have, by its own names.
    """

    provider: str
    model: str | None = None
    options: dict[str, JsonValue] = {}


class PlannedStep(_Shape):
    """One of the ways in which scenes may be tried, where there is more than one.

    Attributes:
        provider: Who would be asked.
        model: For which model; ``None`` where scenes name different ones.
        prompt: With which words: 0 are the scenes' own, 1 the first of ``if_refused``, and so on.
        scenes: How many of ``make`` may come to it.
        cost_high_usd: The most that all of these can cost there; ``None`` if a price is not known.
        dropped: Wishes that any of them would go without there.
    """

    provider: str
    model: str | None = None
    prompt: Annotated[int, Field(ge=0)] = 0
    scenes: Annotated[int, Field(ge=0)] = 0
    cost_high_usd: Usd | None = None
    dropped: tuple[str, ...] = ()


class PlannedLane(_Shape):
    """What pictures cost and take in one lane, whichever they would go by.

    Attributes:
        scenes: How many of ``make`` would go by it.
        cost_low_usd: The least that all of ``make`` can cost in it; ``None`` if a price is not
            known.
        cost_high_usd: The most; likewise.
        expected_s: Seconds that all of ``make`` would take in it, from observed durations; ``None``
            before there are any.
        within_s: Seconds after which it has ended, by the provider's own word; ``None`` where that
            gives none.
        cannot: What cannot be had in it, a line each.
    """

    scenes: Annotated[int, Field(ge=0)] = 0
    cost_low_usd: Usd | None
    cost_high_usd: Usd | None
    expected_s: Annotated[float, Field(ge=0)] | None = None
    within_s: Annotated[float, Field(ge=0)] | None = None
    cannot: tuple[str, ...] = ()


class PlannedLanes(_Shape):
    """Both lanes, side by side.

    Attributes:
        ordinary: At once.
        batch: Later and for less; ``None`` where the plugin's provider has no such lane.
    """

    ordinary: PlannedLane
    batch: PlannedLane | None = None


class StagePlan(_Shape):
    """What a run would do and cost, known before anything is spent.

    Attributes:
        make: Scenes that would be bought or rendered.
        reused: Scenes whose pictures are already there.
        pending: Scenes that are bought, or accepted, and whose pictures are not here yet: the run
            asks for them again, for nothing.
        held: Scenes whose outcome is unknown and that wait for a decision.
        busy: Scenes in flight in another run.
        refused: Scenes a cap would leave out.
        unsendable: Scenes that would be rejected before anything is sent.
        cost_low_usd: The least the run can cost; ``None`` if no price is known.
        cost_high_usd: The most, as long as no request has to be paid for twice.
        expected_s: Seconds, from observed durations; ``None`` before there are any.
        day_spent_usd: Spent today by provider.
        warnings: What a person should know before spending, a line each.
        sheets: How many of ``make`` are sheets.
        stale: How many of ``make`` have a picture that was made with other references.
        waves: What can be made at once, in order; empty where no scene waits for another.
        scenes: Sheets, and scenes with references or with a problem, in the run's order.
        routes: Where pictures would be made, in the order in which they are tried.
        steps: The ways in which scenes may be tried, in order; empty where there is one.
        cost_worst_usd: What the worst way costs: every scene goes through all of ``steps``, and
            each is billed, a refusal as well. ``None`` where there is one way, or a price is not
            known.
        lanes: What ``make`` costs and takes by either lane; ``None`` where nobody is paid.
    """

    make: int
    reused: int = 0
    pending: int = 0
    held: int = 0
    busy: int = 0
    refused: int = 0
    unsendable: int = 0
    cost_low_usd: Usd | None
    cost_high_usd: Usd | None
    expected_s: float | None = None
    day_spent_usd: dict[str, Usd] = {}
    warnings: tuple[str, ...] = ()
    sheets: int = 0
    stale: int = 0
    waves: tuple[PlanWave, ...] = ()
    scenes: tuple[ScenePlan, ...] = ()
    routes: tuple[PlannedRoute, ...] = ()
    steps: tuple[PlannedStep, ...] = ()
    cost_worst_usd: Usd | None = None
    lanes: PlannedLanes | None = None


StaleReason: TypeAlias = Literal[
    "prompt",  # other words, negative ones included
    "reference",  # another file, or another one's name or role
    "sheet",  # another picture of a sheet or a scene that it refers to
    "size",
    "quality",
    "model",  # made by whom the settings, or the scene, do not name any more
    "settings",  # something else: a format, a seed, an option; or not known in detail
]
"""What is another since a picture was made."""


class KnownTake(_Shape):
    """A picture of a scene or a sheet that a plugin has paid for, or drawn, and still has.

    Attributes:
        sha256: Of its bytes.
        media_type: As its bytes have it.
        width: In pixels.
        height: Likewise.
        purchase: As in ``SceneOutcome``.
        basis: As in ``SceneOutcome``; of a current one, that of its scene. ``None`` if it is not
            known.
        current: It is what would be made now, so that it need not be made.
        stale: Else, what is another.
        draft: It was made as a draft.
        made_at: When.
        cost: Of the request that brought it.
        provider: Who made it.
        model: With which model.
        image_url: The provider's address of it, if it gave one.
        store_url: As in ``SceneOutcome``.
        request_id: What the provider calls the exchange.
        generation_params: What it was made with, if known.
    """

    sha256: Sha256
    media_type: str
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    purchase: str
    basis: str | None = None
    current: bool = False
    stale: tuple[StaleReason, ...] = ()
    draft: bool = False
    made_at: datetime | None = None
    cost: Cost
    provider: str | None = None
    model: str | None = None
    image_url: str | None = None
    store_url: str | None = None
    request_id: str | None = None
    generation_params: dict[str, Any] = {}


class SceneSurvey(_Shape):
    """What there is of a scene or a sheet, and how that compares with what would be made now.

    Attributes:
        scene_id: Its id.
        role: Which of the two.
        basis: What would be made now is made from this; ``None`` as long as a picture that it
            refers to is to be made first.
        waits_for: Scenes and sheets whose pictures it would need first.
        size: The size that would be asked for, ``WIDTHxHEIGHT``.
        model: Who would be asked.
        takes: All pictures that there are of it, those that came first first.
        held: It waits for a decision: it may have been paid for.
        pending: It is bought or accepted, and not here yet.
        problem: Why it would not be made, if so.
        cost_usd: The most that one more picture of it can cost; ``None`` if that is not known.
        lost: How many requests for what would be made now were paid for, or are taken as paid for,
            and brought no picture: so that nobody pays for one again without having seen that.
    """

    scene_id: str
    role: Role = "scene"
    basis: str | None = None
    waits_for: tuple[str, ...] = ()
    size: str | None = None
    model: str | None = None
    takes: tuple[KnownTake, ...] = ()
    held: bool = False
    pending: bool = False
    problem: str | None = None
    cost_usd: Usd | None = None
    lost: Annotated[int, Field(ge=0)] = 0


class StageSummary(_Shape):
    """How a run of the stage ended as a whole.

    Attributes:
        stopped: Why no new scenes were started, or ``None`` if every scene was tried.
        message: One line for people with the next step, if ``stopped``.
    """

    stopped: FailureCode | None = None
    message: str | None = None


class Capabilities(_Shape):
    """What a plugin can do, so that a host need not guess.

    Attributes:
        sizes: Sizes it makes as ``WIDTHxHEIGHT``; empty means any.
        seed: Honours a scene's seed.
        references: Honours reference pictures.
        negative_prompt: Honours a negative prompt.
        reports_cost: Outcomes carry what they cost.
        retries: Tries a failed scene again by itself.
        resumes: Finds pictures of an earlier run and does not buy them again.
        plans: ``plan`` reports the cost before anything is spent.
        offline: Needs no network.
    """

    sizes: tuple[str, ...] = ()
    seed: bool = False
    references: bool = False
    negative_prompt: bool = False
    reports_cost: bool = False
    retries: bool = False
    resumes: bool = False
    plans: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a plugin may use of the host's, given at opening.

    Attributes:
        project_dir: The folder of the config; relative paths in settings start here.
        now: The wall clock, aware, in UTC.
        out_dir: Where results go, if that is known by then: nothing that has to outlive
            them belongs there.
        settings_anew: Reads the plugin's settings once more, where a command gives one of their
            secrets: it may give another one by now. It blocks for as long as that
            takes; ``None`` comes of it where they cannot be had. The new secrets are kept out of
            all that the host shows and writes before it returns.
        config: The file that the settings were read from, for lines that people type.
        secrets: The texts in the plugin's settings that came from variables, files and commands,
            whatever fields they stand in: what a plugin starts is not to have them in
            its environment.
    """

    project_dir: Path
    now: Callable[[], datetime]
    out_dir: Path | None = None
    settings_anew: Callable[[], BaseModel | None] | None = None
    config: Path | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """What a stage may use of the host's during one run.

    Attributes:
        log: The host's private event pipeline, bound to run and plugin. Never configure structlog.
        max_in_flight: A ceiling on scenes in work at once, not a wish.
        stopping: Set on the first signal: start nothing new, end what is paid for.
        deliver: Takes each scene's outcome as it ends, exactly once per scene.
    """

    log: FilteringBoundLogger
    max_in_flight: int
    stopping: anyio.Event
    deliver: Callable[[SceneOutcome], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One of those who can make a plugin's pictures, where its settings name one.

    Attributes:
        name: Its word in the settings.
        source: The distribution that brings it, with its version.
        in_use: The settings name it.
        problem: Why it cannot be used, if that is known without importing it.
    """

    name: str
    source: str
    in_use: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineCheck:
    """What a provider was asked for free, and said, of the key, a model or the account.

    Attributes:
        asked: Which of them.
        verdict: ``bad`` if no picture would be made, ``unknown`` if nobody says so for free.
        message: One line for people.
        hint: The next step.
        name: Which one, where there may be several: a model's name, or whose key or account.
        is_warning: It is to be known, and no error although it may be bad.
    """

    asked: Literal["key", "model", "account", "store"]
    verdict: Literal["good", "bad", "unknown"]
    message: str
    hint: str | None = None
    name: str | None = None
    is_warning: bool = False


class ImageStage(Protocol):
    """An opened image plugin.

    It may have ``warnings``, a tuple of lines: what opening found that a person should
    know although the stage works, such as a setting that the provider's page does not have.
    ``check`` and ``plan`` show them, and a run begins with them, each as ``stage.warned``. It may
    have ``providers``, a tuple of :class:`Provider`, which ``check`` lists. And it may
    have ``async def check_online(self) -> tuple[OnlineCheck, ...]``, for ``check
    --online``: it asks the provider what costs nothing, and neither spends nor writes; it returns
    nothing if there is nobody to ask.

    A plugin that keeps what it made may have two methods more, both or none::

        async def survey(self, request, tell: Callable[[SceneSurvey], None]) -> None
        async def fetch(self, sha256: str, into: Path) -> bool

    ``survey`` tells what there is of every scene of ``request.scenes`` and of every sheet that they
    need, each once, sheets first; it spends and writes nothing. ``fetch`` puts the picture with
    these bytes whole at ``into``, where nothing is, and returns whether it has it.
    """

    async def plan(self, request: ImageRequest) -> StagePlan:
        """Return what ``run`` would do and cost; spend and write nothing."""
        ...

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        """Make the pictures and deliver one outcome per scene.

        Raises:
            StageError: The stage as a whole cannot go on. Finished scenes stay delivered.
        """
        ...


class StageError(Exception):
    """Raised by a plugin whose stage as a whole cannot start or go on.

    Attributes:
        message: One line for people.
        hint: The next step.
        starting: Nothing was tried yet; the host reports it as a failure to start.
    """

    def __init__(self, message: str, *, hint: str | None = None, starting: bool = False) -> None:
        self.message = message
        self.hint = hint
        self.starting = starting
        super().__init__(message)


OpenStage: TypeAlias = Callable[[Any, Services], AbstractAsyncContextManager[ImageStage]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlugin:
    """The description an image plugin's hook returns; making one must be cheap.

    Attributes:
        name: The plugin's own name, for messages.
        contract: The contract it was written for, as a literal, for example ``(1, 0)``.
        settings: The model its config table is validated with, by the host, before ``open``.
        capabilities: What it can do.
        open: Takes validated settings and services; entering the result opens the stage. A run
            calls it before it writes anything: it may raise :class:`StageError` by itself.
        draft_settings: Returns settings with which ``open`` gives a stage whose pictures are free,
            for drafts; it takes those that were validated.
    """

    name: str
    contract: tuple[int, int]
    settings: type[BaseModel]
    capabilities: Capabilities
    open: OpenStage
    draft_settings: Callable[[Any], BaseModel] | None = None


def _to_nobody(_line: str) -> None:
    """Show a line to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What observers receive before a stage opens and after it closes.

    Attributes:
        run_id: The run's name.
        state: ``started`` or ``finished``.
        plugin: The image plugin's name in the config.
        scenes: How many scenes the run has.
        out_dir: Where results go.
        settings: The observer's own, if it takes some.
        story: The scenes that are asked for, read from the disk by each that goes through them
           .
        exit_code: What the run exits with, once it is over; ``None`` before, and where it ended
            before anything was tried.
        warn: Shows a line to the person who runs it.
    """

    run_id: str
    state: Literal["started", "finished"]
    plugin: str
    scenes: int
    out_dir: Path
    settings: BaseModel | None = field(default=None, repr=False)
    story: Iterable[Scene] = field(default=(), repr=False)
    exit_code: int | None = None
    warn: Callable[[str], None] = field(default=_to_nobody, repr=False)


Event: TypeAlias = Mapping[str, Any]
"""A validated event as observers get it, flat, with ``event`` naming what happened."""
