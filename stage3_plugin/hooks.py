"""The plugin as a host sees it; beside it only ``cli`` and ``library`` know more than the contract.

It describes the plugin, opens the stage with the settings the host has validated, and puts its
errors into the contract's. Another host needs only another file like this one. Importing it is
cheap: no HTTP client, no imaging library and no renderer is loaded before the stage is opened.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from host_stub import contract
from host_stub.commands import PluginCommand
from host_stub.hookspecs import hookimpl
from stage3_plugin import cli
from stage3_plugin.errors import NotStarted, SettingsRefused, Stage3Error, StorageFailed
from stage3_plugin.settings import Settings, draft_settings

if TYPE_CHECKING:
    from pathlib import Path

    from stage3_plugin.engine.stage import Stage


_CAPABILITIES = contract.Capabilities(
    seed=True,
    negative_prompt=True,
    reports_cost=True,
    retries=True,
    resumes=True,
    plans=True,
)


@hookimpl
def host_image_plugin() -> contract.ImagePlugin:
    """Describe the plugin; what the chosen provider can do less is listed in ``dropped``."""
    return contract.ImagePlugin(
        name="stage3",
        contract=(1, 0),
        settings=Settings,
        capabilities=_CAPABILITIES,
        open=_open,
        draft_settings=draft_settings,
    )


@hookimpl
def host_commands() -> list[PluginCommand]:
    """Describe what looks after a ledger; the short program ``stage3`` has the same commands."""
    return cli.commands()


def _open(
    settings: Settings, services: contract.Services
) -> AbstractAsyncContextManager[contract.ImageStage]:
    """Return what opens the stage; a ledger that a snapshot left is refused at once."""
    from stage3_plugin.ledger.place import LEDGER_NAME  # noqa: PLC0415 - keeps this import light
    from stage3_plugin.ledger.refusal import refuse_a_snapshots  # noqa: PLC0415 - likewise

    with _as_stage_error():
        refuse_a_snapshots(services.project_dir / settings.state_dir / LEDGER_NAME)
    return _opened(settings, services)


@asynccontextmanager
async def _opened(
    settings: Settings, services: contract.Services
) -> AsyncGenerator[contract.ImageStage]:
    from stage3_plugin.engine.build import open_stage  # noqa: PLC0415 - keeps this import light

    with _as_stage_error():
        opened = open_stage(
            settings,
            services.project_dir,
            now=services.now,
            out_dir=services.out_dir,
            anew=services.settings_anew,
            secret_texts=services.secrets,
            config=services.config,
        )
        async with opened as stage:
            yield _HostedStage(stage, _capabilities_of(stage, settings), services)


def _capabilities_of(stage: Stage, settings: Settings) -> contract.Capabilities:
    """Say what is honoured with these settings; the description speaks for every provider."""
    route = stage.routes[0]
    profile = route.profile
    if profile is None and route.limits_of is not None:  # a model class is told all
        return _CAPABILITIES.model_copy(update={"references": True})
    if profile is None:  # a storyboard is the same whatever it must not show
        return _CAPABILITIES.model_copy(update={"negative_prompt": False})
    says_what_not = profile.negative_prompt or settings.negative_prompt != "drop"
    honoured = {
        "seed": profile.seed,
        "negative_prompt": says_what_not,
        "references": profile.references,
    }
    return _CAPABILITIES.model_copy(update=honoured)


class _HostedStage:
    """The stage behind the contract."""

    def __init__(
        self, stage: Stage, capabilities: contract.Capabilities, services: contract.Services
    ) -> None:
        self._stage = stage
        self._services = services
        self.capabilities = capabilities
        self.warnings = stage.warnings

    @property
    def providers(self) -> tuple[contract.Provider, ...]:
        """Return who is installed; read from metadata only when it is asked for."""
        from stage3_plugin.providers.registry import listed  # noqa: PLC0415 - see above

        used = {route.endpoint.provider for route in self._stage.routes}
        return tuple(listed(used=used))

    async def check_online(self) -> tuple[contract.OnlineCheck, ...]:
        """Ask whoever is paid what costs nothing; storyboards are drawn here, and ask nobody."""
        today = self._services.now().date()
        with _as_stage_error():
            backends = self._stage.backends
            found = [
                (finding, one.route.endpoint.provider if len(backends) > 1 else None)
                for one in backends
                if (checks := one.sender().free_checks) is not None
                for finding in await checks.ask(today)
            ]
        store = await self._check_store()
        return store + tuple(
            contract.OnlineCheck(
                asked=finding.about,
                verdict=finding.verdict,
                message=finding.message,
                hint=finding.hint,
                name=finding.model or whose,
                is_warning=finding.is_warning,
            )
            for finding, whose in found
        )

    async def _check_store(self) -> tuple[contract.OnlineCheck, ...]:
        """Try the bucket of ``store``, if one is set."""
        pictures = self._stage.pictures
        address = pictures.store.address
        if address is None:
            return ()
        try:
            await pictures.storing(pictures.store.check)
        except StorageFailed as failure:
            message, hint = str(failure), failure.hint
            return (contract.OnlineCheck(asked="store", verdict="bad", message=message, hint=hint),)
        message = f"{address} takes pictures, and gives them back"
        return (contract.OnlineCheck(asked="store", verdict="good", message=message),)

    async def plan(self, request: contract.ImageRequest) -> contract.StagePlan:
        with _as_stage_error():
            return await self._stage.plan(request)

    async def run(
        self, request: contract.ImageRequest, context: contract.StageContext
    ) -> contract.StageSummary:
        with _as_stage_error():
            return await self._stage.run(request, context)

    async def survey(
        self, request: contract.ImageRequest, tell: Callable[[contract.SceneSurvey], None]
    ) -> None:
        """Tell what there is of every scene; see :class:`~host_stub.contract.ImageStage`."""
        with _as_stage_error():
            await self._stage.survey(request, tell)

    async def fetch(self, sha256: str, into: Path) -> bool:
        """Put a picture whole at ``into``; see :class:`~host_stub.contract.ImageStage`."""
        with _as_stage_error():
            return await self._stage.pictures.fetch(sha256, into)


@contextmanager
def _as_stage_error() -> Generator[None]:
    """Put what keeps the stage as a whole from its work into the contract's words."""
    try:
        yield
    except SettingsRefused as refusal:
        raise contract.StageError(refusal.message, hint=refusal.hint, starting=True) from refusal
    except NotStarted as error:
        raise contract.StageError(str(error), hint=error.hint, starting=True) from error
    except Stage3Error as error:
        raise contract.StageError(str(error), hint=error.hint) from error
