"""``Stage3ImageGenerationService``: the original stage's face, for callers who change one import.

Same names, same models, same files: pictures lie directly in ``output_dir`` as ``scene_001.png``.
Behind it is the stage of this package, with its capacity limit, its retries and its checks. It
speaks to OpenRouter's chat completions, as the original did, and reads the same environment
variables: ``OPENROUTER_API_KEY``, ``OPENROUTER_BASE_URL`` and ``IMAGE_GENERATION_MODEL``. Events go
to the standard library's logger ``stage3_plugin``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, SecretStr, ValidationError

from host_stub.contract import Failure, SceneOutcome
from stage3_plugin.domain.request import check_scene_id
from stage3_plugin.errors import SettingsRefused, Stage3Error
from stage3_plugin.library.opening import Opening
from stage3_plugin.library.result import Progress
from stage3_plugin.library.scenes import Stage2Output
from stage3_plugin.library.stage import opened_by
from stage3_plugin.settings import Settings

Quality: TypeAlias = Literal["standard", "hd", "low", "medium", "high", "xhigh", "max"]
OnProgress: TypeAlias = Callable[[int, int], None]

DEFAULT_CONCURRENCY = 8
_QUALITY = {"standard": "medium", "hd": "high"}
"""The original's words were DALL-E's, whose models are gone; today's models know these."""


class Stage3Output(BaseModel):
    """One picture that was made.

    Attributes:
        scene_id: Whose it is.
        image_path: Where it lies.
        image_url: The provider's address of it, if it gave one.
        width: Real width in pixels.
        height: Real height in pixels.
        generation_params: ``model``, ``size``, ``quality`` and ``prompt``.
    """

    scene_id: str
    image_path: str
    image_url: str | None = None
    width: int
    height: int
    generation_params: dict[str, Any]


class Stage3ImageGenerationService:
    """Makes pictures of Stage 2 outputs.

    Args:
        output_dir: The folder of the pictures; what the stage keeps besides lies in its
            ``.stage3`` folder.
    """

    def __init__(self, output_dir: str | Path = "./output/images") -> None:
        self.output_dir = Path(output_dir)

    async def generate_scene_image(
        self,
        stage2_output: Stage2Output,
        size: str = "1024x1024",
        quality: Quality = "standard",
        model: str | None = None,
    ) -> Stage3Output:
        """Make one picture.

        Raises:
            ScenesFailed: It could not be made.
            SettingsRefused: There is no key or no model.
        """
        outputs = await self.generate_all_images([stage2_output], size, quality, model)
        return outputs[0]

    async def generate_all_images(  # noqa: PLR0917 - the original's signature
        self,
        stage2_outputs: Sequence[Stage2Output],
        size: str = "1024x1024",
        quality: Quality = "standard",
        model: str | None = None,
        concurrent: bool = True,  # noqa: FBT001, FBT002 - the original's signature
        on_progress: OnProgress | None = None,
    ) -> list[Stage3Output]:
        """Make the pictures of many scenes.

        Args:
            stage2_outputs: The scenes.
            size: ``WIDTHxHEIGHT`` in pixels.
            quality: ``standard`` means medium and ``hd`` means high.
            model: The provider's name of the model; by default ``IMAGE_GENERATION_MODEL``.
            concurrent: Whether several scenes may be in flight at once.
            on_progress: Called with the scenes that have ended and their number in all. What it
                raises stops the rest, and is raised once what is in flight has been taken in.

        Returns:
            One output per scene, in input order.

        Raises:
            ScenesFailed: Some scenes failed; every other one was made, and is in ``.results``.
            SettingsRefused: There is no key or no model, or an argument cannot be used.
            ValueError: A ``scene_id`` is there twice, or is one that no file can have
                (:class:`~stage3_plugin.errors.SceneIdRefused`); nothing was sent.
        """
        settings = _settings(
            size=size,
            quality=quality,
            model=model or os.environ.get("IMAGE_GENERATION_MODEL"),
            capacity=DEFAULT_CONCURRENCY if concurrent else 1,
        )
        for output in stage2_outputs:
            check_scene_id(output.scene_id)  # or a picture would be paid for that no file can hold
        twice = [
            one for one, times in Counter(o.scene_id for o in stage2_outputs).items() if times > 1
        ]
        if twice:
            raise ValueError(f"scene_id {twice[0]!r} is there twice; each scene needs its own")

        def report(progress: Progress) -> None:
            if on_progress is not None:
                on_progress(progress.summary.ended, len(stage2_outputs))

        opening = Opening(settings=settings, project_dir=self.output_dir)
        async with opened_by(opening, self.output_dir) as stage:
            pictures = await stage.make(stage2_outputs, on_progress=report, check=False)
        outputs = [_output(outcome, quality) for outcome in pictures.made]
        failures = {one.scene_id: one.failure for one in pictures.failed if one.failure is not None}
        if failures:
            raise ScenesFailed(outputs, failures)
        return outputs


def _settings(*, size: str, quality: Quality, model: str | None, capacity: int) -> Settings:
    """Build settings from the original's arguments and environment variables."""
    if not model:
        raise SettingsRefused(
            "model",
            "no model is named",
            hint="pass model=… or set the environment variable IMAGE_GENERATION_MODEL",
        )
    key = os.environ.get("OPENROUTER_API_KEY")
    try:
        return Settings(
            provider="openrouter",
            api="chat",
            base_url=os.environ.get("OPENROUTER_BASE_URL") or None,
            model=model,
            api_key=None if not key else SecretStr(key),
            size=size,
            quality=_QUALITY.get(quality, quality),
            capacity=capacity,
            style_tags="drop",  # the original sent none
        )
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, problem["loc"])) or "settings"
        raise SettingsRefused(field, problem["msg"]) from None


def _output(outcome: SceneOutcome, quality: Quality) -> Stage3Output:
    """Return what the original returned of a picture."""
    assert outcome.width is not None, "a picture has a size"
    assert outcome.height is not None, "a picture has a size"
    return Stage3Output(
        scene_id=outcome.scene_id,
        image_path=str(outcome.image),
        image_url=outcome.image_url,
        width=outcome.width,
        height=outcome.height,
        generation_params={**outcome.generation_params, "quality": quality},
    )


class ScenesFailed(Stage3Error):
    """Some scenes of :class:`Stage3ImageGenerationService` failed.

    Every other scene was made and kept.

    Attributes:
        results: The outputs of the scenes that were made, in input order.
        failures: Why the others were not, by scene id.
    """

    def __init__(self, results: Sequence[Stage3Output], failures: Mapping[str, Failure]) -> None:
        self.results = list(results)
        self.failures = dict(failures)
        first_id, first = next(iter(self.failures.items()))
        self.hint = "the pictures that were made are in .results; .failures tells the rest"
        super().__init__(
            f"{len(self.failures)} of {len(self.failures) + len(self.results)} scenes failed; "
            f"the first is {first_id!r}: {first.code}: {first.message}"
        )
