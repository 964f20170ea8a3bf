"""The ready model class: a pipeline of diffusers, made once in a replica, that renders pictures.

The only module that imports torch and diffusers, and it does so when the class is made. Weights are
read from safetensors alone, nothing that lies beside them is run, and nothing is fetched but where
``download`` says so. What goes wrong is said in words that name the setting.
"""

from __future__ import annotations

import importlib
import inspect
import io
import os
import re
import secrets
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from stage3_plugin.domain.model import ModelRequest
from stage3_plugin.domain.request import worded
from stage3_plugin.errors import JobFailed
from stage3_plugin.renderers.diffusion.folder import INDEX, is_name, libraries_of, problem_with
from stage3_plugin.renderers.diffusion.options import DiffusionOptions

QUIET = {
    "DIFFUSERS_DISABLE_REMOTE_CODE": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Set before a library is imported: it tells nobody anything, and runs no code beside weights."""
_LIBRARIES = frozenset({"diffusers", "transformers"})
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)
_JPEG_QUALITY = 95


Image: TypeAlias = Any
"""A picture of Pillow's."""
Pipeline: TypeAlias = Any
"""A pipeline of diffusers."""


class Diffusion:
    """Renders with a pipeline of diffusers.

    Derive from it where a pipeline wants more than its options say: see :meth:`prepare`.

    Args:
        options: The fields of :class:`~stage3_plugin.renderers.diffusion.options.DiffusionOptions`;
            ``weights`` is a folder, or a name of the Hub.

    Raises:
        JobFailed: The weights are not there or may not be loaded, or an option does not suit them
            or this machine.
    """

    def __init__(self, **options: object) -> None:
        self.options = DiffusionOptions.model_validate(options)
        self.at_once = self.options.at_once
        _be_quiet(may_fetch=self.options.download)
        self._torch: Any = importlib.import_module("torch")
        self._diffusers: Any = importlib.import_module("diffusers")
        importlib.import_module("diffusers.utils.logging").disable_progress_bar()
        self.device = self._device()
        self._dtype = self._its_dtype()
        folder = self._folder()
        hint = "copy or fetch the folder again, or use other weights"
        with self._in_words(f"the weights in {folder} cannot be loaded", hint):
            pipe = self._load(folder)
            self._schedule(pipe)
            self._pipe = self.prepare(pipe)
        self._from_picture: Pipeline | None = None
        self._takes = frozenset(inspect.signature(type(self._pipe).__call__).parameters)
        if self.options.guidance is not None and "guidance_scale" not in self._takes:
            raise self._refused("guidance", f"{_called(self._pipe)} takes none", "leave it out")

    def prepare(self, pipe: Pipeline) -> Pipeline:
        """Make a loaded pipeline ready to render: bring it to the device.

        Override it to do something else: ``pipe.enable_model_cpu_offload()`` where a card is too
        small, or ``pipe.load_lora_weights(…)`` first.
        """
        return pipe.to(self.device)

    def render(self, request: ModelRequest) -> bytes:
        """Return one picture, as PNG, JPEG or WebP.

        Raises:
            JobFailed: It cannot be rendered; the words say what to change.
        """
        return self._rendered([request])[0]

    def render_many(self, requests: Sequence[ModelRequest]) -> list[bytes | Exception]:
        """Return a picture for each request, in their order, or what was wrong with it.

        Those that one call can make are made in one.
        """
        groups: dict[tuple[object, ...], list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(_kind_of(request, number), []).append(number)
        made: dict[int, bytes | Exception] = {}
        for numbers in groups.values():
            try:
                pictures: Iterable[bytes | Exception] = self._rendered(
                    [requests[number] for number in numbers]
                )
            except JobFailed as failed:
                pictures = [failed] if len(numbers) == 1 else self._alone(requests, numbers)
            made |= zip(numbers, pictures, strict=True)
        return [made[number] for number in range(len(requests))]

    # Loading -------------------------------------------------------------------------------------

    def _device(self) -> str:
        torch, wanted = self._torch, self.options.device
        there = {
            "cuda": torch.cuda.is_available,
            "mps": torch.backends.mps.is_available,
            "xpu": lambda: hasattr(torch, "xpu") and torch.xpu.is_available(),
            "cpu": lambda: True,
        }
        if wanted == "auto":
            return next(kind for kind in ("cuda", "mps", "cpu") if there[kind]())
        if not there[wanted.partition(":")[0]]():
            raise self._refused(
                "device",
                f"torch {torch.__version__} sees no {wanted!r} on this machine",
                'install the torch that is built for it, or say device = "auto"',
            )
        return wanted

    def _its_dtype(self) -> Any:
        torch, wanted = self._torch, self.options.dtype
        if wanted == "auto":
            wanted = "float32" if self.device == "cpu" else "float16"
            if self.device.startswith("cuda") and torch.cuda.is_bf16_supported():
                wanted = "bfloat16"
        return getattr(torch, wanted)

    def _folder(self) -> Path:
        weights, options = self.options.weights or "", self.options
        folder = Path(weights)
        if not folder.exists() and is_name(weights):
            folder = self._fetched(weights)
        problem = problem_with(folder, options.variant)
        if problem is not None:
            raise JobFailed(f"{problem.what} ({problem.hint})", may_pass=False)
        pipelines = self._diffusers.pipelines
        for library in libraries_of(folder):
            if library not in _LIBRARIES and not hasattr(pipelines, library):
                raise JobFailed(
                    f"the weights in {folder} name classes of {library!r}, and only those of "
                    "diffusers and transformers are loaded (use other weights, or write a model "
                    "class of your own)",
                    may_pass=False,
                )
        return folder

    def _fetched(self, name: str) -> Path:
        """Return the folder of a name: in the cache of the Hub's client, or fetched into it."""
        options = self.options
        hub: Any = importlib.import_module("huggingface_hub")
        may_fetch = options.download and not hub.constants.HF_HUB_OFFLINE
        if not may_fetch and not hub.try_to_load_from_cache(name, INDEX, revision=options.revision):
            hint = "unset HF_HUB_OFFLINE" if options.download else "say download = true"
            raise self._refused(
                "weights",
                f"{name!r} is neither a folder nor in this machine's cache of the Hugging Face Hub",
                f"{hint} to have it fetched, or name the folder of a pipeline",
            )
        where = "fetched from" if may_fetch else "taken from this machine's cache of"
        hint = "see its page there; or name the folder of a pipeline, fetched by other means"
        with self._in_words(f"{name!r} cannot be {where} the Hugging Face Hub", hint):
            return Path(
                self._diffusers.DiffusionPipeline.download(
                    name,
                    revision=options.revision,
                    variant=options.variant,
                    use_safetensors=True,
                    trust_remote_code=False,
                    local_files_only=not may_fetch,
                )
            )

    def _load(self, folder: Path) -> Pipeline:
        pipe: Pipeline = self._diffusers.AutoPipelineForText2Image.from_pretrained(
            str(folder),
            **{self._word_for_dtype(): self._dtype},
            variant=self.options.variant,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def _word_for_dtype(self) -> str:
        """Return what this diffusers calls it; the newer ones warn of the older word."""
        major, minor = map(int, self._diffusers.__version__.split(".")[:2])
        return "dtype" if (major, minor) >= (0, 42) else "torch_dtype"

    def _schedule(self, pipe: Pipeline) -> None:
        wanted = self.options.scheduler
        if wanted is None:
            return
        known = {one.__name__: one for one in pipe.scheduler.compatibles}
        if wanted not in known:
            raise self._refused(
                "scheduler",
                f"{wanted} does not suit {_called(pipe)}",
                f"these do: {', '.join(sorted(known))}",
            )
        pipe.scheduler = known[wanted].from_config(pipe.scheduler.config)

    # Rendering -----------------------------------------------------------------------------------

    def _alone(
        self, requests: Sequence[ModelRequest], numbers: Sequence[int]
    ) -> Iterator[bytes | Exception]:
        """Render pictures one by one that together came to nothing."""
        for number in numbers:
            try:
                yield self.render(requests[number])
            except JobFailed as failed:
                yield failed

    def _rendered(self, requests: Sequence[ModelRequest]) -> list[bytes]:
        """Render pictures of one kind in one call."""
        first = requests[0]
        pipe, words = (self._with_picture if first.references else self._from_words)(first)
        words |= self._wishes(requests)
        size = f"{first.width_px}x{first.height_px}"
        count = f"{len(requests)} pictures of" if len(requests) > 1 else "a picture of"
        with self._in_words(f"{count} {size} cannot be rendered"):
            found = pipe(**words)
        flags: Sequence[bool] = getattr(found, "nsfw_content_detected", None) or ()
        if any(flags):
            raise JobFailed(
                "the safety checker in the weights' folder found the picture unsafe and blackened "
                "it (change the prompt or the seed)"
            )
        return [self._bytes_of(*pair) for pair in zip(found.images, requests, strict=True)]

    def _from_words(self, request: ModelRequest) -> tuple[Pipeline, dict[str, object]]:
        return self._pipe, {"width": request.width_px, "height": request.height_px}

    def _with_picture(self, request: ModelRequest) -> tuple[Pipeline, dict[str, object]]:
        """Return the sibling that begins with a picture, and the first reference in the size."""
        pillow: Any = importlib.import_module("PIL.Image")
        ops: Any = importlib.import_module("PIL.ImageOps")
        if self._from_picture is None:
            self._from_picture = self._sibling()
        with pillow.open(io.BytesIO(request.references[0].data)) as opened:
            upright = ops.exif_transpose(opened).convert("RGB")
        size = (request.width_px, request.height_px)
        words: dict[str, object] = {"image": ops.fit(upright, size, pillow.Resampling.LANCZOS)}
        takes = inspect.signature(type(self._from_picture).__call__).parameters
        if {"width", "height"} <= takes.keys():  # newer ones ask for the size as well
            words |= {"width": size[0], "height": size[1]}
        if self.options.strength is not None:
            words["strength"] = self.options.strength
        return self._from_picture, words

    def _sibling(self) -> Pipeline:
        try:
            pipe = self._diffusers.AutoPipelineForImage2Image.from_pipe(self._pipe)
        except ValueError as error:
            raise JobFailed(
                f"diffusers has no image-to-image pipeline for {_called(self._pipe)}, and the "
                "scene shows a reference (take its references out, or use other weights)",
                may_pass=False,
            ) from error
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def _wishes(self, requests: Sequence[ModelRequest]) -> dict[str, object]:
        """Return what is asked for beside size and picture."""
        torch, options = self._torch, self.options
        negative = [request.negative_prompt or "" for request in requests]
        has_field = "negative_prompt" in self._takes
        prompts = [
            worded(request.prompt, request.style_tags, None if has_field else avoid)
            for request, avoid in zip(requests, negative, strict=True)
        ]
        # On the processor, so that a seed is the same noise whatever card renders.
        generators = [torch.Generator("cpu").manual_seed(_seed_of(request)) for request in requests]
        words: dict[str, object] = {"prompt": prompts, "generator": generators}
        if has_field and any(negative):
            words["negative_prompt"] = negative
        if options.steps is not None:
            words["num_inference_steps"] = options.steps
        if options.guidance is not None:
            words["guidance_scale"] = options.guidance
        return words

    def _bytes_of(self, image: Image, request: ModelRequest) -> bytes:
        wanted = (request.width_px, request.height_px)
        if image.size != wanted:
            raise JobFailed(
                f"{_called(self._pipe)} made {image.size[0]}x{image.size[1]} where "
                f"{wanted[0]}x{wanted[1]} was asked for (set a size that it can make, such as "
                "what it made)",
                may_pass=False,
            )
        if not any(_lightest(image)):
            raise JobFailed(
                "the picture is black throughout, which numbers that overflow look like (say "
                'dtype = "float32", or "bfloat16", in model_args; or the weights are damaged)'
            )
        buffer = io.BytesIO()
        if request.output_format == "png":
            image.save(buffer, "PNG")
        else:
            image.save(buffer, request.output_format.upper(), quality=_JPEG_QUALITY)
        return buffer.getvalue()

    # Words ---------------------------------------------------------------------------------------

    @contextmanager
    def _in_words(self, what: str, hint: str | None = None) -> Generator[None]:
        """Say what was to be done, and what to do now, with whatever torch or diffusers raise."""
        try:
            yield
        except JobFailed:
            raise
        except Exception as error:
            if _is_for_want_of_memory(error):
                self._free_memory()
                raise JobFailed(
                    f"{what}: {self.device} is out of memory ({_line(error)}; use a smaller size, "
                    'at_once = 1 or dtype = "bfloat16" in model_args, or fewer replicas on one '
                    "card)"
                ) from error
            words = f"{what}: {_line(error)}"
            raise JobFailed(f"{words} ({hint})" if hint else words, may_pass=False) from error

    def _free_memory(self) -> None:
        if self.device.startswith("cuda"):
            self._torch.cuda.empty_cache()

    def _refused(self, option: str, problem: str, hint: str) -> JobFailed:
        return JobFailed(f"model_args.{option}: {problem} ({hint})", may_pass=False)


def _be_quiet(*, may_fetch: bool) -> None:
    """Let no library tell anybody of this, fetch anything unasked, or run code beside weights."""
    os.environ.update(QUIET)
    if not may_fetch:
        os.environ["HF_HUB_OFFLINE"] = "1"


def _kind_of(request: ModelRequest, number: int) -> tuple[object, ...]:
    """Return what is the same for pictures that one call can make."""
    alone = number if request.references else None
    return request.width_px, request.height_px, bool(request.negative_prompt), alone


def _seed_of(request: ModelRequest) -> int:
    return secrets.randbits(32) if request.seed is None else request.seed % 2**64


def _lightest(image: Image) -> Sequence[int]:
    """Return the highest value of each channel."""
    found = image.getextrema()
    return [high for _, high in (found if isinstance(found[0], tuple) else [found])]


def _is_for_want_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None


def _called(pipe: Pipeline) -> str:
    return type(pipe).__name__


def _line(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}"[:600]
