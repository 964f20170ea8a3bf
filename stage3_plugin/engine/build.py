"""From settings to an opened stage: what has to be built, and what can be refused before money is.

The only place that knows every part. Imports of the sending half and of the renderers happen
inside, so that a host can look at the plugin, and plan, without loading either. Opening writes
nothing; the ledger is opened by a run.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import anyio
import anyio.to_thread
from pydantic import BaseModel, JsonValue, SecretStr

from host_stub.contract import Scene
from stage3_plugin.domain.addressing import canonical_address
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.events import Warned, coded
from stage3_plugin.domain.job import NewJob, new_token
from stage3_plugin.domain.money import Estimate, Prices
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.reference import Limits
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.engine.asked import request_for
from stage3_plugin.engine.backend import (
    Backend,
    Sender,
    endpoint_of,
    route_of,
    runs_model_class,
    with_model_named,
)
from stage3_plugin.engine.preconditions import paid_twice
from stage3_plugin.engine.showing.casting import Casting
from stage3_plugin.engine.stage import Stage
from stage3_plugin.errors import EnvironmentRefused, SettingsRefused, out_of
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.ledger.commits import GroupCommit
from stage3_plugin.ledger.place import place_of
from stage3_plugin.ledger.session import Accounts, OpenCommit
from stage3_plugin.providers.advice import Wish, advice, refused_quality
from stage3_plugin.providers.base import Provider
from stage3_plugin.providers.hosted import PLAIN, Hosted, need_options
from stage3_plugin.providers.models import (
    beyond_always,
    is_known,
    is_named,
    like_of,
    limits_of,
    models_known_of,
    takes_of,
)
from stage3_plugin.providers.options import options_of
from stage3_plugin.providers.registry import maker_named, provider_at
from stage3_plugin.providers.showing import prompt_in
from stage3_plugin.renderers.base import RendererType, is_renderer
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.runtime.system_errors import from_lack
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures, RunBlocking
from stage3_plugin.storage.spool.folders import SpoolFolders
from stage3_plugin.storage.store import PictureStore
from stage3_plugin.transport.trust import named_trust

if TYPE_CHECKING:
    from stage3_plugin.purchase.asking import KeyAnew, RenewableKey
    from stage3_plugin.purchase.conversation import Conversation
    from stage3_plugin.purchase.maker import Jobs
    from stage3_plugin.storage.references import References
    from stage3_plugin.transport.client import Client

DISK_THREADS = 8
"""Enough for syncs to overlap; more only delay the event loop."""
BUCKET_THREADS = 12
"""Pictures that are on their way to a bucket at once, each in memory; the disk waits for none."""

Result = TypeVar("Result")
Anew: TypeAlias = Callable[[], BaseModel | None]


@asynccontextmanager
async def open_stage(
    settings: Settings,
    project_dir: Path,
    *,
    blocking: RunBlocking | None = None,
    open_commit: OpenCommit = GroupCommit,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    tls: ssl.SSLContext | None = None,
    out_dir: Path | None = None,
    anew: Anew | None = None,
    secret_texts: Sequence[str] = (),
    config: Path | None = None,
) -> AsyncGenerator[Stage]:
    """Open a stage.

    Args:
        settings: Validated settings.
        project_dir: Where a relative ``state_dir`` starts.
        blocking: Runs disk work; by default in a few threads.
        open_commit: Opens what writes to the ledger; by default a thread.
        now: The wall clock, aware.
        tls: The certificates to trust, instead of the usual ones.
        out_dir: The host's folder of results, which may be deleted at any time.
        anew: Reads the settings anew, where a key of theirs may be another one by now.
        secret_texts: What a host took from variables, files and commands into the settings: no
            replica has it in its environment.
        config: The file with the settings, for lines that people type.

    Raises:
        SettingsRefused: The provider needs something the settings do not have, or no run could
            work with them.
        NotStarted: The ledger cannot be read, or could not be made.
    """
    settings = with_model_named(settings)
    state = StateDir(project_dir / settings.state_dir)
    state_dir = state.path
    masked = Masked(settings.secrets())
    disk = blocking or _in_threads(state_dir, DISK_THREADS)
    pictures = Pictures(
        _store_of(settings, state, masked),
        SpoolFolders(state, masked),
        max_pixels=settings.max_pixels,
        blocking=disk,
        storing=disk if settings.store is None else _in_threads(state_dir, BUCKET_THREADS),
    )
    url = None if settings.ledger is None else settings.ledger.get_secret_value()
    accounts = Accounts(
        place=place_of(url, settings.project, state_dir),
        state_dir=state_dir,
        time_zone=settings.time_zone,
        now=now,
        monotonic=time.monotonic,
        open_commit=open_commit,
        config=config,
    )
    async with AsyncExitStack() as stack:
        backends: list[Backend] = []
        for number, of_route in enumerate(settings.routes):
            with _of_fallback(number):
                opened = _made_here(of_route, project_dir, pictures, secret_texts)
                if opened is not None:
                    backends.append(await stack.enter_async_context(opened))
                    continue
                bought = _PaidRoute(
                    settings=of_route,
                    pictures=pictures,
                    now=now,
                    masked=masked,
                    tls=tls,
                    key_anew=None if anew is None else partial(_key_anew, anew, number, masked),
                )
                backends.append(bought.backend())
        _need_paid([one.route for one in backends])
        stage = Stage(
            settings,
            tuple(backends),
            pictures=pictures,
            accounts=accounts,
            project_dir=project_dir,
            open_shelf=partial(_shelf, settings, project_dir, state, pictures),
        )
        stage.check(out_dir)
        await stage.look_at_cast()
        yield stage


def _store_of(settings: Settings, state: StateDir, masked: Masked) -> PictureStore:
    """Return where pictures are kept: in the state folder, and in a bucket if one is set.

    Raises:
        SettingsRefused: The bucket cannot be used so.
    """
    if settings.store is None:
        return PictureStore(state, masked)
    from stage3_plugin.storage.bucket import Bucket  # noqa: PLC0415 - only when it is used

    return PictureStore(state, masked, far=Bucket.at(settings.store))


@contextmanager
def _of_fallback(number: int) -> Generator[None]:
    """Say of which route it is what cannot work."""
    try:
        yield
    except SettingsRefused as refusal:
        if not number or isinstance(refusal, EnvironmentRefused):
            raise
        field = f"fallback.{number - 1}.{refusal.field}"
        raise SettingsRefused(field, refusal.problem, hint=refusal.hint) from refusal


def _need_paid(routes: Sequence[Route]) -> None:
    """Refuse a ladder with pictures that are drawn here: they would stand for those of a provider.

    Raises:
        SettingsRefused: One is.
    """
    for number, route in enumerate(routes if len(routes) > 1 else ()):
        if route.is_here:
            raise SettingsRefused(
                f"fallback.{number - 1}.provider" if number else "provider",
                f"what {route.endpoint.provider!r} draws for nothing would stand for a picture "
                "that is paid for",
                hint="a ladder has only providers that are paid; draw storyboards with settings "
                "of their own",
            )


def _made_here(
    settings: Settings, project_dir: Path, pictures: Pictures, secret_texts: Sequence[str]
) -> AbstractAsyncContextManager[Backend] | None:
    """Return what opens a route whose pictures are drawn or rendered; ``None`` if it buys them."""
    if runs_model_class(settings):
        from stage3_plugin.engine.model_route import open_model  # noqa: PLC0415 - only when it is used

        return open_model(settings, project_dir.absolute(), pictures, secret_texts)
    made_by = maker_named(settings.provider)
    if issubclass(made_by, Hosted):
        return None
    if is_renderer(made_by):
        return _open_local(settings, made_by, pictures)
    problem = f"provider {settings.provider!r} neither buys pictures nor draws them"
    raise SettingsRefused("provider", problem)


@asynccontextmanager
async def _open_local(
    settings: Settings, renderer_type: RendererType, pictures: Pictures
) -> AsyncGenerator[Backend]:
    from stage3_plugin.executors.replicas import Processes, usable_cores  # noqa: PLC0415 - likewise
    from stage3_plugin.purchase.maker import LocalMaker  # noqa: PLC0415 - only when it is used

    workers = min(settings.capacity, usable_cores())
    options = options_of(renderer_type.Options, settings.provider, settings.options)
    async with Processes(renderer_type.work, workers) as executor:
        renderer = renderer_type(executor, caption=settings.caption, options=options)
        route = replace(
            route_of(settings, None, is_here=True),
            edition_of=renderer.edition,
            slots=executor.slots,
            dropped=renderer.unmet,
        )
        sender = Sender(attempt=LocalMaker(renderer, pictures).attempt)
        yield Backend(route=route, sender=lambda: sender, renderer=renderer)


@dataclass(kw_only=True, eq=False)
class _PaidRoute:
    """A route whose pictures are bought: what is known of it, and what sends.

    Attributes:
        settings: Those of the route.
        pictures: Takes what is bought.
        now: The wall clock.
        masked: Covers what is secret.
        tls: The certificates to trust, instead of the usual ones.
        key_anew: Asks for another key, where there may be one.

    Raises:
        SettingsRefused: They cannot work.
    """

    settings: Settings
    pictures: Pictures
    now: Callable[[], datetime]
    masked: Masked
    tls: ssl.SSLContext | None
    key_anew: KeyAnew | None

    def __post_init__(self) -> None:
        settings = self.settings
        _need_like(settings)
        self._endpoint = endpoint_of(settings)
        self._at = cache(self._provider_of)
        self._provider = provider = self._at(self._endpoint)
        for model in _models(settings):
            need_options(settings.provider, _like_of(settings, model) or model, settings.options)
        self._profile = profile = provider.profile
        _need_key(settings, profile)
        self._estimated: tuple[PictureRequest | None, Estimate | None] = (None, None)
        self._route = route_of(settings, profile)
        own = profile.base_url if settings.base_url is None else settings.base_url
        self._is_at_the_vendors = canonical_address(own) == canonical_address(profile.base_url)
        self._trust = self.tls or named_trust()  # what the environment names is refused here
        if settings.trust_env:
            _ = self._client  # so is a proxy that cannot be used

    def backend(self) -> Backend:
        """Return what makes its pictures."""
        profile, batch = self._profile, self._provider.batch
        route = replace(
            self._route,
            list_price=self.estimate,
            warnings=(*self._warnings(), *paid_twice(self.settings, self.estimate)),
            options_of=self._options_of,
            advise=self._advice,
            refuse=self._refusal,
            dropped=self._left_out,
            prompt_sent=self._words_of,
            new_job=self._new_job,
            limits_of=self._limits_of if profile.references else None,
            batch=None if batch is None else batch.terms,
        )
        return Backend(route=route, sender=lambda: self._sending)

    @cached_property
    def _sending(self) -> Sender:
        """Load and make what sends."""
        from stage3_plugin.purchase.asking import RenewableKey  # noqa: PLC0415 - likewise
        from stage3_plugin.purchase.free_checks import FreeChecks  # noqa: PLC0415 - a plan sends nothing

        settings, client = self.settings, self._client
        key, blocking = None, self.pictures.blocking
        if settings.api_key is not None and self.key_anew is not None:
            key = RenewableKey(
                settings.api_key, ask=self.key_anew, use=client.use_key, blocking=blocking
            )
        at = cache(partial(self._conversation, key))

        async def attempt(attempt_id: str, request: PictureRequest, jobs: Jobs) -> AttemptResult:
            return await at(self._route.endpoint_of(request.model)).begin(attempt_id, request, jobs)

        def conversation_for(endpoint: Endpoint) -> Conversation | None:
            with suppress(SettingsRefused):  # its provider is not installed any more
                return at(endpoint)
            return None

        return Sender(
            attempt=attempt,
            conversation_for=conversation_for,
            free_checks=FreeChecks(
                provider=self._provider,
                client=client,
                models=_models(settings),
                has_key=_has_key(settings, self._profile),
                masked=self.masked,
            ),
            key=key,
        )

    @cached_property
    def _client(self) -> Client:
        """Load and make what speaks HTTP."""
        from stage3_plugin.transport.client import Client  # noqa: PLC0415 - likewise

        settings, profile = self.settings, self._profile
        client = Client(
            key_header=profile.key_header,
            key_prefix=profile.key_prefix,
            key=settings.api_key,
            own_urls=self._own_urls(),
            headers=_own_headers(settings),
            timeout_s=settings.timeout_s,
            trust_env=settings.trust_env,
            tls=self._trust,
        )
        client.check(settings.base_url or profile.base_url)
        return client

    def _own_urls(self) -> tuple[str, ...]:
        """Return where the key may go: one's own server alone, or the vendor's hosts."""
        own = self.settings.base_url or self._profile.base_url
        hosts = self._profile.job_hosts if self._is_at_the_vendors else ()
        return (own, *(f"https://{host}" for host in hosts if not host.startswith(".")))

    def _conversation(self, key: RenewableKey | None, endpoint: Endpoint) -> Conversation:
        """Return one with an endpoint of the settings, or with one that they named before."""
        from stage3_plugin.purchase.asking import Asking  # noqa: PLC0415 - a plan sends nothing
        from stage3_plugin.purchase.conversation import Conversation  # noqa: PLC0415 - likewise
        from stage3_plugin.transport.job_hosts import JobHosts  # noqa: PLC0415 - likewise
        from stage3_plugin.transport.picture_hosts import PictureHosts  # noqa: PLC0415 - likewise

        settings, provider = self.settings, self._at(endpoint)
        profile = provider.profile
        others = (*profile.picture_hosts, *settings.picture_hosts)
        address = endpoint.base_url or profile.base_url
        # The key is for the settings' own endpoint, whatever its model.
        is_same_provider = endpoint.provider == self._endpoint.provider
        is_ours = is_same_provider and canonical_address(address) in self._route.addresses
        asking = Asking(
            client=self._client,
            pictures=self.pictures,
            hosts=JobHosts(
                address,
                profile.base_url,
                profile.job_hosts,
                is_ours=is_ours,
                list_all=settings.listing_is_whole,
            ),
            most_bytes=settings.max_reply_bytes,
            masked=self.masked,
            now=self.now,
            key=key,
        )
        flat_usd = _prices_for(settings, endpoint)[1]
        hosts = PictureHosts(address, others)
        return Conversation(provider, asking, hosts, flat_usd=flat_usd, model=endpoint.model)

    # What pictures cost --------------------------------------------------------------------------

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what a request is expected to cost with its model, in its lane."""
        provider = self._at(self._route.endpoint_of(request.model))
        known, expected = self._estimated
        # A plan asks for both lanes.
        asked = request if request.lane == "ordinary" else replace(request, lane="ordinary")
        if expected is None or known != asked:
            expected = provider.estimate(asked)
            self._estimated = asked, expected
        if request.lane == "ordinary" or provider.batch is None:
            return expected
        return expected.at_share(provider.batch.share(request.model or self._endpoint.model))

    def _provider_of(self, endpoint: Endpoint) -> Provider:
        """Return the provider of an endpoint, perhaps of one that the settings named before.

        Raises:
            SettingsRefused: It is not installed any more.
        """
        is_ours = replace(endpoint, model=self._endpoint.model) == self._endpoint
        return _provider(self.settings, endpoint) if is_ours else provider_at(endpoint)

    # What is said of a request -------------------------------------------------------------------

    def _new_job(self, request: PictureRequest) -> NewJob | None:
        """Draw what the job of a request is begun with, where one may come of it."""
        if not self._profile.has_jobs:
            return None
        is_told = not (self._profile.token_is_seed and request.seed is not None)
        return NewJob(
            token=new_token(self._words_of(request)) if is_told else None,
            account=self._client.account,
            endpoint=request.model or self._endpoint.model,
        )

    def _words_of(self, request: PictureRequest) -> str:
        """Return the prompt as it is sent, which a listing repeats; empty if nothing can be."""
        try:
            return prompt_in(self._provider.begin(request).payload)
        except Exception:  # noqa: BLE001 - it is reported where it would be sent
            return ""

    def _limits_of(self, request: PictureRequest) -> Limits:
        """Return what the provider takes of the references of a request, in its lane."""
        model, batch = request.model or self._endpoint.model, self._provider.batch
        known_as = _like_of(self.settings, model) or model
        limits = limits_of(self.settings.provider, known_as, len(request.wishes))
        most_bytes = None if batch is None else batch.terms.most_reference_bytes
        if request.lane == "ordinary" or most_bytes is None:
            return limits
        return replace(limits, most_bytes=min(most_bytes, limits.most_bytes or most_bytes))

    def _left_out(self, request: PictureRequest) -> tuple[str, ...]:
        """Return the wishes of a request that its provider is not sent.

        One that cannot be put together is rejected in its turn, and keeps no other from being made.
        """
        batch = self._provider.batch
        try:
            if request.lane == "batch" and batch is not None:
                sent = [one.sent.sha256 for one in request.shown]
                return batch.line(request, "0", {sha256: sha256 for sha256 in sent}).dropped
            return self._provider.begin(request).dropped
        except Exception:  # noqa: BLE001 - it is reported where it would be sent
            return ()

    def _options_of(self, model: str) -> Mapping[str, JsonValue]:
        """Return what decides a model's pictures: options that are said anyway buy none anew."""
        like = _like_of(self.settings, model)
        taken = takes_of(self.settings.provider, like or model or self._endpoint.model)
        said = beyond_always(taken, self.settings.options)
        return {**said, "like": like} if like else said  # the same words are sent in other forms

    def _warnings(self) -> tuple[Warned, ...]:
        """Say what the settings alone ask of a vendor that it is known not to take, for sheets too.

        Raises:
            SettingsRefused: They ask for a quality that a model does not have.
        """
        if not self._is_at_the_vendors:
            return ()
        settings, casting = self.settings, Casting(self.settings.cast)
        asked = {"quality": request_for(Scene(scene_id="any", prompt=""), settings)}
        for name, sheet in casting.sheets.items():
            asked[f"cast.{name}.quality"] = replace(request_for(sheet, settings), prompt="")
        lines: list[str] = []
        for name, request in asked.items():
            wish = self._wish_of(request)
            problem = refused_quality(wish)
            if problem is not None:
                raise SettingsRefused(name, problem)
            lines += advice(wish, today=self.now().date())
        return tuple(coded("model_limits", line) for line in dict.fromkeys(lines))

    def _advice(self, request: PictureRequest) -> tuple[str, ...]:
        """Say what one picture asks of a vendor that it is known not to take."""
        if not self._is_at_the_vendors:
            return ()
        return advice(self._wish_of(request), today=self.now().date())

    def _refusal(self, request: PictureRequest) -> str | None:
        """Say why a vendor is not asked for a picture, by what it is known not to have."""
        # Settings are refused where they are read.
        if not self._is_at_the_vendors or request.quality == self.settings.quality:
            return None
        problem = refused_quality(self._wish_of(request))
        return None if problem is None else f"{problem}; nothing was sent"

    def _wish_of(self, request: PictureRequest) -> Wish:
        """Return what a picture asks of a vendor."""
        settings, profile = self.settings, self._profile
        return Wish(
            provider=settings.provider,
            vendor=profile.vendor or profile.name,
            api=settings.api,
            model=request.model or self._endpoint.model,
            like=_like_of(settings, request.model),
            quality=request.quality,
            width_px=request.width_px,
            height_px=request.height_px,
            prompt_characters=len(self._words_of(request)),
            in_batch=request.lane == "batch",
        )


def _provider(settings: Settings, endpoint: Endpoint) -> Provider:
    """Return the provider of the settings, for one of their models or a scene's."""
    prices, flat_usd = _prices_for(settings, endpoint)
    return provider_at(
        replace(endpoint, like=_like_of(settings, endpoint.model)),
        prices=prices,
        flat_usd=flat_usd,
        negative_prompt=settings.negative_prompt,
        style_tags=settings.style_tags,
        options=settings.options,
    )


def _prices_for(settings: Settings, endpoint: Endpoint) -> tuple[Prices | None, Decimal | None]:
    """Return the settings' prices as far as they are those of an endpoint.

    They are of the model in them: another one that the shipped table prices has its own.
    """
    if endpoint.model != (settings.model or ""):
        listed = provider_at(endpoint)
        if listed.prices is not None or listed.estimate(PLAIN).high_microusd is not None:
            return None, None
    prices = settings.prices
    return None if prices is None else Prices(**prices.model_dump()), settings.price_usd


def _like_of(settings: Settings, model: str) -> str:
    """Return by whose name the rows of a model are found; empty where that is its own."""
    own = settings.model or ""
    return like_of(settings.provider, model or own, own=own, like=settings.like)


def _need_like(settings: Settings) -> None:
    """Refuse a `like` that nothing is known of, or of a model that is known by its own name."""
    if settings.like is None:
        return
    if is_named(settings.provider, settings.model or ""):
        problem = f"the table knows {settings.model!r} itself"
        raise SettingsRefused("like", problem, hint="take `like` out")
    if not is_known(settings.provider, settings.like):
        known = ", ".join(models_known_of(settings.provider))
        raise SettingsRefused(
            "like",
            f"the table knows no model {settings.like!r} of provider {settings.provider!r}",
            hint=f"name one of {known}" if known else "leave it out: none of them is known",
        )


def _own_headers(settings: Settings) -> dict[str, SecretStr]:
    """Return the headers of every paid request, beside the key.

    A gateway that sends one request several times is billed for each, unseen. LiteLLM can be asked
    not to, and others do not know the header.
    """
    asked = {} if settings.base_url is None else {"x-litellm-num-retries": SecretStr("0")}
    return asked | settings.headers


def _need_key(settings: Settings, profile: Profile) -> None:
    """Refuse to start without a key where one is needed; a server of one's own may want none."""
    if not _has_key(settings, profile) and profile.needs_key and settings.base_url is None:
        variable = profile.key_variable
        raise SettingsRefused(
            "api_key",
            f"provider {profile.name!r} needs a key and none is set",
            hint=f"set the environment variable {variable} and add to the provider's table: "
            f'api_key = {{ env = "{variable}" }}; without a key, leave `provider` out: storyboards '
            "are drawn for nothing",
        )


def _has_key(settings: Settings, profile: Profile) -> bool:
    return settings.api_key is not None or profile.key_header in settings.headers


def _models(settings: Settings) -> tuple[str, ...]:
    """Return every model that the settings name, each once, the usual one first."""
    named = (settings.model, *(member.model for member in settings.cast.values()))
    return tuple(dict.fromkeys(model for model in named if model))


def _key_anew(anew: Anew, number: int, masked: Masked) -> SecretStr | None:
    """Return the key of a route as settings that are read anew have it; blocks."""
    settings = anew()
    if not isinstance(settings, Settings) or number >= len(settings.routes):
        return None
    masked.add(settings.secrets())
    return settings.routes[number].api_key


def _shelf(
    settings: Settings, project_dir: Path, state: StateDir, pictures: Pictures, scenes_dir: Path
) -> References:
    """Return what holds the references of one run or plan."""
    from stage3_plugin.executors.replicas import Processes  # noqa: PLC0415 - only when it is used
    from stage3_plugin.storage import copies  # noqa: PLC0415 - likewise
    from stage3_plugin.storage.references import References  # noqa: PLC0415 - likewise

    return References(
        scenes_dir=scenes_dir,
        project_dir=project_dir,
        roots=settings.reference_roots,
        store=pictures.store,
        state=state,
        copying=Processes(copies.WORK, copies.SLOTS),
        blocking=pictures.storing,
    )


def _in_threads(state_dir: Path, at_once: int) -> RunBlocking:
    """Run disk work in threads; where none can be started, what is on the disk stays there."""
    limiter = anyio.CapacityLimiter(at_once)

    async def run(work: Callable[[], Result], /) -> Result:
        try:
            return await anyio.to_thread.run_sync(work, limiter=limiter)
        except RuntimeError as error:
            lack = from_lack(error)
            if lack is None:
                raise
            raise out_of(state_dir, lack) from error

    return run
