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
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import anyio
import anyio.to_thread
from pydantic import JsonValue, SecretStr

from stage3_plugin.domain.addressing import canonical_address
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.job import NewJob, new_token
from stage3_plugin.domain.money import Estimate, Prices
from stage3_plugin.domain.profile import Profile
from stage3_plugin.domain.reference import Limits
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.route import Route
from stage3_plugin.engine.backend import (
    Backend,
    Sender,
    endpoint_of,
    route_of,
    runs_model_class,
    with_model_named,
)
from stage3_plugin.engine.preconditions import paid_twice
from stage3_plugin.engine.stage import Stage
from stage3_plugin.errors import EnvironmentRefused, SettingsRefused, out_of
from stage3_plugin.files.state_dir import StateDir
from stage3_plugin.ledger.commits import GroupCommit
from stage3_plugin.ledger.place import place_of
from stage3_plugin.ledger.session import Accounts, OpenCommit
from stage3_plugin.providers.advice import Wish, advice, refused_quality
from stage3_plugin.providers.base import BatchLane, Provider
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
from stage3_plugin.storage.base import PictureStore
from stage3_plugin.storage.local import LocalStore
from stage3_plugin.storage.pictures import Pictures, RunBlocking
from stage3_plugin.storage.spool.folders import SpoolFolders
from stage3_plugin.transport.trust import named_trust

if TYPE_CHECKING:
    from stage3_plugin.attempt.conversation import Conversation
    from stage3_plugin.attempt.renewing import KeyAnew, RenewableKey
    from stage3_plugin.storage.references import References
    from stage3_plugin.transport.client import Client

DISK_THREADS = 8
"""Enough for syncs to overlap; more only delay the event loop."""
BUCKET_THREADS = 12
"""Pictures that are on their way to a bucket at once, each in memory; the disk waits for none."""

Result = TypeVar("Result")
Anew: TypeAlias = Callable[[], Settings | None]


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
                key_anew = None if anew is None else partial(_key_anew, anew, number, masked)
                opened = (
                    _open_model(of_route, project_dir, pictures, secret_texts)
                    if runs_model_class(of_route)
                    else _open_route(of_route, pictures, tls, now, masked=masked, key_anew=key_anew)
                )
                backends.append(await stack.enter_async_context(opened))
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
        return LocalStore(state, masked)
    from stage3_plugin.storage.bucket import Bucket  # noqa: PLC0415 - only when it is used
    from stage3_plugin.storage.mirrored import Mirrored  # noqa: PLC0415 - likewise

    return Mirrored(state, Bucket.at(settings.store), masked)


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
        if route.is_free:
            raise SettingsRefused(
                f"fallback.{number - 1}.provider" if number else "provider",
                f"what {route.endpoint.provider!r} draws for nothing would stand for a picture "
                "that is paid for",
                hint="a ladder has only providers that are paid; draw storyboards with settings "
                "of their own",
            )


def _open_model(
    settings: Settings, project_dir: Path, pictures: Pictures, secret_texts: Sequence[str]
) -> AbstractAsyncContextManager[Backend]:
    from stage3_plugin.engine.model_route import open_model  # noqa: PLC0415 - only when it is used

    return open_model(settings, project_dir, pictures, secret_texts)


@asynccontextmanager
async def _open_route(
    settings: Settings,
    pictures: Pictures,
    tls: ssl.SSLContext | None,
    now: Callable[[], datetime],
    *,
    masked: Masked,
    key_anew: KeyAnew | None,
) -> AsyncGenerator[Backend]:
    made_by = maker_named(settings.provider)
    if issubclass(made_by, Hosted):
        yield _paid(settings, pictures, tls, now, masked=masked, key_anew=key_anew)
    elif is_renderer(made_by):
        async with _open_local(settings, made_by, pictures) as drawing:
            yield drawing
    else:
        problem = f"provider {settings.provider!r} neither buys pictures nor draws them"
        raise SettingsRefused("provider", problem)


@asynccontextmanager
async def _open_local(
    settings: Settings, renderer_type: RendererType, pictures: Pictures
) -> AsyncGenerator[Backend]:
    from stage3_plugin.attempt.local import LocalMaker  # noqa: PLC0415 - only when it is used
    from stage3_plugin.executors.processes import Processes, usable_cores  # noqa: PLC0415 - likewise

    workers = min(settings.capacity, usable_cores())
    options = options_of(renderer_type.Options, settings.provider, settings.options)
    async with Processes(renderer_type.work, workers) as executor:
        renderer = renderer_type(executor, caption=settings.caption, options=options)
        route = replace(
            route_of(settings, None, is_here=True),
            edition_of=renderer.edition,
            list_price=_free,
            slots=executor.slots,
            needs_prompt=False,
            is_free=True,
            is_uncapped=True,
            may_be_cut=True,
            dropped=renderer.unmet,
        )
        sender = Sender(maker=LocalMaker(renderer, pictures), conversation_for=_not_here)
        yield Backend(route=route, sender=lambda: sender, renderer=renderer)


def _paid(
    settings: Settings,
    pictures: Pictures,
    tls: ssl.SSLContext | None,
    now: Callable[[], datetime],
    *,
    masked: Masked,
    key_anew: KeyAnew | None,
) -> Backend:
    _need_like(settings)
    provider = _provider(settings, endpoint_of(settings))
    for model in _models(settings):
        need_options(settings.provider, _like_of(settings, model) or model, settings.options)
    profile = provider.profile
    _need_key(settings, profile)
    providers = _Providers(settings, provider)
    trust = tls or named_trust()  # what the environment names is refused here

    @cache
    def sender() -> Sender:
        """Load and make what sends."""
        from stage3_plugin.attempt.free_checks import FreeChecks  # noqa: PLC0415 - a plan sends nothing
        from stage3_plugin.attempt.paid import PaidMaker  # noqa: PLC0415 - likewise
        from stage3_plugin.attempt.renewing import RenewableKey  # noqa: PLC0415 - likewise
        from stage3_plugin.transport.client import Client  # noqa: PLC0415 - likewise

        client = Client(
            key_header=profile.key_header,
            key_prefix=profile.key_prefix,
            key=settings.api_key,
            own_urls=_own_urls(settings, profile),
            headers=_own_headers(settings),
            timeout_s=settings.timeout_s,
            trust_env=settings.trust_env,
            tls=trust,
        )
        client.check(settings.base_url or profile.base_url)
        key, blocking = None, pictures.blocking
        if settings.api_key is not None and key_anew is not None:
            key = RenewableKey(
                settings.api_key, ask=key_anew, use=client.use_key, blocking=blocking
            )
        conversations = _Conversations(
            settings=settings,
            providers=providers,
            client=client,
            pictures=pictures,
            masked=masked,
            now=now,
            key=key,
            by_endpoint={},
        )
        maker = PaidMaker(conversations.of_request, pictures)
        return Sender(
            maker=maker,
            maker_with=maker.showing if profile.references else None,
            conversation_for=conversations.of,
            free_checks=FreeChecks(
                provider=provider,
                client=client,
                models=_models(settings),
                has_key=_has_key(settings, profile),
                masked=masked,
            ),
            key=key,
            account=lambda: client.account,
        )

    if settings.trust_env:
        sender()  # so is a proxy that cannot be used
    return Backend(
        route=replace(
            route_of(settings, profile),
            list_price=providers.estimate,
            warnings=(
                *_warnings(settings, profile, now()),
                *paid_twice(settings, providers.estimate),
            ),
            options_of=partial(_options_of, settings),
            advise=partial(_advice, settings, provider, now),
            refuse=partial(_refusal, settings, provider),
            dropped=partial(_left_out, provider),
            prompt_sent=partial(_words_of, provider),
            new_job=partial(_new_job, settings, provider, sender),
            limits_of=partial(_limits_of, settings, provider.batch) if profile.references else None,
            batch=None if provider.batch is None else provider.batch.terms,
        ),
        sender=sender,
    )


def _key_anew(anew: Anew, number: int, masked: Masked) -> SecretStr | None:
    """Return the key of a route as settings that are read anew have it; blocks."""
    settings = anew()
    if settings is None or number >= len(settings.routes):
        return None
    masked.add(settings.secrets())
    return settings.routes[number].api_key


def _new_job(
    settings: Settings, provider: Provider, sender: Callable[[], Sender], request: PictureRequest
) -> NewJob | None:
    """Draw what the job of a request is begun with, where one may come of it."""
    profile = provider.profile
    if not profile.has_jobs:
        return None
    is_told = not (profile.token_is_seed and request.seed is not None)
    return NewJob(
        token=new_token(_words_of(provider, request)) if is_told else None,
        account=sender().account(),
        endpoint=request.model or settings.model or "",
    )


def _words_of(provider: Provider, request: PictureRequest) -> str:
    """Return the prompt as it is sent, which a listing repeats; empty if nothing can be sent."""
    try:
        return prompt_in(provider.begin(request).payload)
    except Exception:  # noqa: BLE001 - it is reported where it would be sent
        return ""


def _shelf(
    settings: Settings, project_dir: Path, state: StateDir, pictures: Pictures, scenes_dir: Path
) -> References:
    """Return what holds the references of one run or plan."""
    from stage3_plugin.executors.processes import Processes  # noqa: PLC0415 - only when it is used
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


def _limits_of(
    settings: Settings, batch: BatchLane | None, request: PictureRequest, count: int
) -> Limits:
    """Return what the provider takes of so many references of a request, in its lane."""
    model = request.model or settings.model or ""
    limits = limits_of(settings.provider, _like_of(settings, model) or model, count)
    if request.lane == "ordinary" or batch is None or batch.terms.most_reference_bytes is None:
        return limits
    bounds = (limits.most_bytes, batch.terms.most_reference_bytes)
    return replace(limits, most_bytes=min(bound for bound in bounds if bound is not None))


def _left_out(provider: Provider, request: PictureRequest) -> tuple[str, ...]:
    """Return the wishes of a request that its provider is not sent.

    One that cannot be put together is rejected in its turn, and keeps no other from being made.
    """
    try:
        if request.lane == "batch" and provider.batch is not None:
            sent = [one.sent.sha256 for one in request.shown]
            return provider.batch.line(request, "0", {sha256: sha256 for sha256 in sent}).dropped
        return provider.begin(request).dropped
    except Exception:  # noqa: BLE001 - it is reported where it would be sent
        return ()


_but_lane = attrgetter(*(one.name for one in fields(PictureRequest) if one.name != "lane"))


class _Providers:
    """That of the settings, for each model, and what its pictures cost."""

    def __init__(self, settings: Settings, own: Provider) -> None:
        self._settings = settings
        self._endpoint = endpoint_of(settings)
        self._by_endpoint = {self._endpoint: own}
        self._estimated: tuple[object, Estimate | None] = (None, None)

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what a request is expected to cost with its model, in its lane."""
        provider = self.at(self.endpoint_of(request))
        known, expected = self._estimated
        asked = _but_lane(request)  # a plan asks for both lanes
        if expected is None or known != asked:
            expected = provider.estimate(request)
            self._estimated = asked, expected
        if request.lane == "ordinary" or provider.batch is None:
            return expected
        return expected.at_share(provider.batch.share(request.model or self._endpoint.model))

    def endpoint_of(self, request: PictureRequest) -> Endpoint:
        """Return where a request is sent."""
        if request.model in {"", self._endpoint.model}:
            return self._endpoint
        return replace(self._endpoint, model=request.model)

    def at(self, endpoint: Endpoint) -> Provider:
        """Return the one of an endpoint, perhaps of one that the settings named before.

        Raises:
            SettingsRefused: It is not installed any more.
        """
        if endpoint not in self._by_endpoint:
            is_ours = replace(endpoint, model=self._endpoint.model) == self._endpoint
            found = _provider(self._settings, endpoint) if is_ours else provider_at(endpoint)
            self._by_endpoint[endpoint] = found
        return self._by_endpoint[endpoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conversations:
    """With the endpoint of the settings, for each model, and with those that they named before."""

    settings: Settings
    providers: _Providers
    client: Client
    pictures: Pictures
    masked: Masked
    now: Callable[[], datetime]
    key: RenewableKey | None
    by_endpoint: dict[Endpoint, Conversation]

    def of_request(self, request: PictureRequest) -> Conversation:
        """Return the conversation for a request, whose model may be its own, and so its price."""
        return self._at(self.providers.endpoint_of(request))

    def of(self, endpoint: Endpoint) -> Conversation | None:
        """Return the conversation with an endpoint; ``None`` if nothing here can speak with it."""
        with suppress(SettingsRefused):  # its provider is not installed any more
            return self._at(endpoint)
        return None

    def _has_key_of(self, endpoint: Endpoint, profile: Profile) -> bool:
        """Return whether the key is for an endpoint: the settings' own, whatever its model."""
        route = route_of(self.settings, profile)
        address = canonical_address(endpoint.base_url or profile.base_url)
        return endpoint.provider == self.settings.provider and address in route.addresses

    def _at(self, endpoint: Endpoint) -> Conversation:
        if endpoint not in self.by_endpoint:
            self.by_endpoint[endpoint] = self._with(self.providers.at(endpoint), endpoint)
        return self.by_endpoint[endpoint]

    def _with(self, provider: Provider, endpoint: Endpoint) -> Conversation:
        from stage3_plugin.attempt.conversation import Conversation  # noqa: PLC0415 - a plan sends nothing
        from stage3_plugin.storage.spool.writing import Caps  # noqa: PLC0415 - likewise
        from stage3_plugin.transport.job_hosts import JobHosts  # noqa: PLC0415 - likewise
        from stage3_plugin.transport.picture_hosts import PictureHosts  # noqa: PLC0415 - likewise

        settings = self.settings
        profile = provider.profile
        others = (*profile.picture_hosts, *settings.picture_hosts)
        most_bytes = settings.max_reply_bytes
        return Conversation(
            provider,
            self.client,
            self.pictures,
            hosts=PictureHosts(endpoint.base_url or profile.base_url, others),
            job_hosts=JobHosts(
                endpoint.base_url or profile.base_url,
                profile.base_url,
                profile.job_hosts,
                is_ours=self._has_key_of(endpoint, profile),
                list_all=settings.listing_is_whole,
            ),
            flat_usd=_prices_for(settings, endpoint)[1],
            caps=Caps(total_bytes=most_bytes, part_bytes=most_bytes),
            masked=self.masked,
            now=self.now,
            key=self.key,
            model=endpoint.model,
        )


def _not_here(_endpoint: Endpoint) -> None:
    """Leave paid answers to a run that has a provider: one that draws for free never asks it."""


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


def _own_urls(settings: Settings, profile: Profile) -> tuple[str, ...]:
    """Return where the key may go: one's own server alone, or the vendor's hosts."""
    if not _is_at_the_vendors(settings, profile):
        return (settings.base_url or profile.base_url,)
    others = (f"https://{host}" for host in profile.job_hosts if not host.startswith("."))
    return (settings.base_url or profile.base_url, *others)


def _own_headers(settings: Settings) -> dict[str, SecretStr]:
    """Return the headers of every paid request, beside the key.

    A gateway that sends one request several times is billed for each, unseen. LiteLLM can be asked
    not to, and others do not know the header.
    """
    asked = {} if settings.base_url is None else {"x-litellm-num-retries": SecretStr("0")}
    return asked | settings.headers


def _warnings(settings: Settings, profile: Profile, now: datetime) -> tuple[str, ...]:
    """Say what the settings alone ask of a vendor that it is known not to take, for sheets too.

    Raises:
        SettingsRefused: They ask for a quality that a model does not have.
    """
    if not _is_at_the_vendors(settings, profile):
        return ()
    width_px, height_px = settings.default_size_px
    sheets = [(name, one) for name, one in settings.cast.items() if one.prompt is not None]
    asked = [(f"cast.{name}.quality", one.model, one.quality) for name, one in sheets]
    lines: list[str] = []
    for field, model, quality in [("quality", settings.model, settings.quality), *asked]:
        wish = Wish(
            provider=settings.provider,
            vendor=profile.vendor or profile.name,
            api=settings.api,
            model=model or settings.model or "",
            like=_like_of(settings, model or ""),
            quality=quality or settings.quality,
            width_px=width_px,
            height_px=height_px,
            in_batch=settings.lane == "batch",
        )
        problem = refused_quality(wish)
        if problem is not None:
            raise SettingsRefused(field, problem)
        lines += advice(wish, today=now.date())
    return tuple(dict.fromkeys(lines))


def _options_of(settings: Settings, model: str) -> Mapping[str, JsonValue]:
    """Return what decides a model's pictures: options that are said anyway buy none anew."""
    like = _like_of(settings, model)
    known = like or model or settings.model or ""
    said = beyond_always(takes_of(settings.provider, known), settings.options)
    return {**said, "like": like} if like else said  # the same words are sent in other forms


def _advice(
    settings: Settings, provider: Provider, now: Callable[[], datetime], request: PictureRequest
) -> tuple[str, ...]:
    """Say what one picture asks of a vendor that it is known not to take."""
    wish = _wish_of(settings, provider, request)
    return () if wish is None else advice(wish, today=now().date())


def _refusal(settings: Settings, provider: Provider, request: PictureRequest) -> str | None:
    """Say why a vendor is not asked for a picture, by what it is known not to have."""
    if request.quality == settings.quality:  # the settings are refused where they are read
        return None
    wish = _wish_of(settings, provider, request)
    problem = None if wish is None else refused_quality(wish)
    return None if problem is None else f"{problem}; nothing was sent"


def _wish_of(settings: Settings, provider: Provider, request: PictureRequest) -> Wish | None:
    """Return what a picture asks of a vendor; ``None`` at an address that is not the vendor's."""
    profile = provider.profile
    if not _is_at_the_vendors(settings, profile):
        return None
    return Wish(
        provider=settings.provider,
        vendor=profile.vendor or profile.name,
        api=settings.api,
        model=request.model or settings.model or "",
        like=_like_of(settings, request.model),
        quality=request.quality,
        width_px=request.width_px,
        height_px=request.height_px,
        prompt_characters=len(_words_of(provider, request)),
        in_batch=request.lane == "batch",
    )


def _is_at_the_vendors(settings: Settings, profile: Profile) -> bool:
    """Return whether pictures are bought at the vendor's own address, however that is written."""
    if settings.base_url is None:
        return True
    return canonical_address(settings.base_url) == canonical_address(profile.base_url)


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


def _free(_request: PictureRequest) -> Estimate:
    return Estimate(low_microusd=0, high_microusd=0)


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
