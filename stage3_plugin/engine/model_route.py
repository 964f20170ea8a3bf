"""The route of a model class, the user's or the ready one: what is looked at before it is opened.

Nothing of the user's is imported here, and nothing is started before the first picture.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from stage3_plugin.domain.events import coded, warn_of
from stage3_plugin.domain.reference import Limits
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.backend import Backend, Sender, route_of
from stage3_plugin.executors.base import Surroundings, Work
from stage3_plugin.purchase.maker import LocalMaker
from stage3_plugin.renderers.finding import find_class
from stage3_plugin.renderers.model import ModelClass, ModelRenderer, decided_by
from stage3_plugin.renderers.replica import WORK, setup_of
from stage3_plugin.runtime.database_url import passwords_in
from stage3_plugin.runtime.masking import Masked
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures


def _chosen(settings: Settings, project_dir: Path, path: tuple[str, ...]) -> ModelClass:
    """Return the user's model class, or else the one that is ready for a folder of weights."""
    if settings.model_class is None:
        from stage3_plugin.renderers.diffusion import ready  # noqa: PLC0415 - only when used

        return ready.ready_model(settings, project_dir)
    found = find_class(settings.model_class, path)
    said = settings.model_args.get("at_once")
    return ModelClass(
        model_class=settings.model_class,
        model_args=settings.model_args,
        decides=settings.model_args,
        what=settings.model_class,
        setting="model_class",
        at_once=said if type(said) is int and said >= 1 else found or 1,
    )


@asynccontextmanager
async def open_model(
    settings: Settings, project_dir: Path, pictures: Pictures, secret_texts: Sequence[str]
) -> AsyncGenerator[Backend]:
    """Open what has pictures rendered by a class of the user's; nothing of it is started yet.

    Args:
        settings: Of the route.
        project_dir: The config's folder, absolute; modules are looked for there as well, behind all
            others.
        pictures: Takes what is rendered.
        secret_texts: What came from variables, files and commands.

    Raises:
        SettingsRefused: There is no such class, or no such executor.
    """
    from stage3_plugin.executors.registry import executor_of  # noqa: PLC0415 - only when used

    path = (str(project_dir),)
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
        tell=lambda line: warn_of(coded("replicas", line)),
    )
    hidden = Masked(secrets_known).text
    async with executor_type(work, options, surroundings=surroundings) as executor:
        decides = decided_by(chosen, settings.edition, hidden=hidden)
        renderer = ModelRenderer(executor, chosen, decides)

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
        sender = Sender(attempt=LocalMaker(renderer, pictures, is_exact=True).attempt)
        yield Backend(route=route, sender=lambda: sender, renderer=renderer)


def _all(_request: PictureRequest) -> Limits:
    """Show a class every picture as it is: what it takes is its own affair."""
    return Limits()
