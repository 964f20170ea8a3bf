"""The route of a model class, the user's or the ready one: what is looked at before it is opened.

Nothing of the user's is imported here, and nothing is started before the first picture.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pybase64
from pydantic import JsonValue

from stage3_plugin.attempt.local import LocalMaker
from stage3_plugin.domain.events import warn_of
from stage3_plugin.domain.reference import Limits
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.backend import Backend, Sender, route_of
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.executors.base import Surroundings, Work
from stage3_plugin.renderers.finding import NotFound, found_class
from stage3_plugin.renderers.model import Limitations, ModelRenderer, Named, decided_by
from stage3_plugin.renderers.model_jobs import setup_of
from stage3_plugin.renderers.replica import WORK
from stage3_plugin.runtime.database_url import passwords_in
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures
from stage3_plugin.transport.bodies import Base64Of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """A model class, and what is known of it beforehand.

    Attributes:
        model_class: ``module:Class``.
        model_args: What it is made with.
        decides: What of that decides a picture.
        at_once: How many pictures it renders in one call.
        named: What it is called in what is said.
        warnings: What is to be said of the settings.
        limits: What it leaves out, and what it can never render.
    """

    model_class: str
    model_args: Mapping[str, JsonValue]
    decides: Mapping[str, JsonValue]
    at_once: int
    named: Named
    warnings: tuple[str, ...] = ()
    limits: Limitations = field(default_factory=Limitations)


def _chosen(settings: Settings, project_dir: Path, path: tuple[str, ...]) -> _Chosen:
    """Return the user's model class, or else the one that is ready for a folder of weights."""
    if settings.model_class is not None:
        return _own(settings.model_class, settings.model_args, path)
    from stage3_plugin.renderers.diffusion import ready  # noqa: PLC0415 - only when used

    model = ready.ready_model(settings, project_dir)
    return _Chosen(
        model_class=ready.MODEL_CLASS,
        model_args=model.model_args,
        decides=model.decides,
        at_once=model.at_once,
        named=Named("diffusers", model.field),
        warnings=model.warnings,
        limits=Limitations(unmet=model.unmet, refused=model.refused),
    )


def _own(model_class: str, model_args: Mapping[str, JsonValue], path: tuple[str, ...]) -> _Chosen:
    try:
        found = found_class(model_class, path)
    except NotFound as missing:
        raise SettingsRefused("model_class", str(missing), hint=missing.hint) from None
    return _Chosen(
        model_class=model_class,
        model_args=model_args,
        decides=model_args,
        at_once=_at_once(model_args, found.at_once),
        named=Named(model_class, "model_class"),
    )


@asynccontextmanager
async def open_model(
    settings: Settings, project_dir: Path, pictures: Pictures, secret_texts: Sequence[str]
) -> AsyncGenerator[Backend]:
    """Open what has pictures rendered by a class of the user's; nothing of it is started yet.

    Args:
        settings: Of the route.
        project_dir: The config's folder; modules are looked for there as well, behind all others.
        pictures: Takes what is rendered.
        secret_texts: What came from variables, files and commands.

    Raises:
        SettingsRefused: There is no such class, or no such executor.
    """
    from stage3_plugin.executors.registry import executor_of  # noqa: PLC0415 - only when used

    path = _searched(project_dir)
    chosen = _chosen(settings, project_dir, path)
    passwords = () if settings.ledger is None else passwords_in(os.environ)
    secrets_known = tuple(dict.fromkeys((*settings.secrets(), *secret_texts, *passwords)))
    executor_type, options = executor_of(settings.executor)
    work = Work(
        target=WORK,
        setup=setup_of(chosen.model_class, chosen.model_args),
        path=path,
        at_once=chosen.at_once,
        most_bytes=settings.max_reply_bytes,
    )
    surroundings = Surroundings(
        secrets=secrets_known,
        timeout_s=settings.timeout_s,
        tell=warn_of,
    )
    hidden = Masked(secrets_known).text
    async with executor_type(work, options, surroundings=surroundings) as executor:
        renderer = ModelRenderer(
            executor,
            named=chosen.named,
            decides=decided_by(chosen.model_class, chosen.decides, settings.edition, hidden=hidden),
            limits=chosen.limits,
        )

        def maker_with(base64_of: Base64Of) -> LocalMaker:
            showing = renderer.showing(lambda sent: pybase64.b64decode(base64_of(sent)))
            return LocalMaker(showing, pictures, is_exact=True)

        route = replace(
            route_of(settings, None, is_here=True),
            negative_prompt="field",
            edition_of=renderer.edition,
            slots=executor.slots,
            has_own_capacity=True,
            warnings=chosen.warnings,
            advise=renderer.advise,
            dropped=renderer.unmet,
            limits_of=_all,
        )
        sender = Sender(
            maker=LocalMaker(renderer, pictures, is_exact=True),
            maker_with=maker_with,
        )
        yield Backend(route=route, sender=lambda: sender, renderer=renderer)


def _searched(project_dir: Path) -> tuple[str, ...]:
    """Return where modules are looked for behind all that Python knows."""
    return (str(project_dir.absolute()),)


def _at_once(model_args: Mapping[str, JsonValue], found: int | None) -> int:
    """Return how many pictures a model class renders in one call, as far as that is known."""
    said = model_args.get("at_once")
    return said if type(said) is int and said >= 1 else found or 1


def _all(_request: PictureRequest, _count: int) -> Limits:
    """Show a class every picture as it is: what it takes is its own affair."""
    return Limits()
