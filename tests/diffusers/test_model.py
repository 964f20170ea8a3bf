"""The ready model class with a real pipeline, asked as a replica asks it."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image, ImageChops

from stage3_plugin.domain.model import ModelReference, ModelRequest
from stage3_plugin.errors import JobFailed, WorkUnusable
from stage3_plugin.executors.base import Work
from stage3_plugin.executors.replica import Replica
from stage3_plugin.renderers.diffusion import model as diffusion
from stage3_plugin.renderers.diffusion.ready import MODEL_CLASS
from stage3_plugin.renderers.replica import WORK, job_of, setup_of

PLAIN = "diffusion_pytorch_model.safetensors"


def replica(weights: Path | str, model_class: str = MODEL_CLASS, **more: Any) -> Replica:
    """Make the class as a replica does; two steps are enough for pictures of nothing."""
    args = {"weights": str(weights), "steps": 2, "device": "cpu", **more}
    return Replica(Work(target=WORK, setup=setup_of(model_class, args)))


def asked(**more: Any) -> ModelRequest:
    """Return a request for a picture of 64x64."""
    usual: dict[str, Any] = {"scene_id": "s01", "prompt": "a harbour at dusk", "seed": 7}
    usual |= {"width_px": 64, "height_px": 64}
    return ModelRequest(**(usual | more))


def made(of: Replica, *requests: ModelRequest) -> list[bytes]:
    """Have pictures rendered in one call, each of the size that was asked for."""
    found = of.do([job_of(one) for one in requests])
    pictures = [one for one in found if isinstance(one, bytes)]
    assert pictures == found
    for data, request in zip(pictures, requests, strict=True):
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (request.width_px, request.height_px)
            assert image.format == request.output_format.upper()
    return pictures


def problem(of: Replica, request: ModelRequest) -> JobFailed:
    (found,) = of.do([job_of(request)])
    assert isinstance(found, JobFailed)
    return found


def unusable(weights: Path | str, model_class: str = MODEL_CLASS, **more: Any) -> str:
    with pytest.raises(WorkUnusable) as caught:
        replica(weights, model_class, **more)
    return str(caught.value)


def hash_of(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()


@pytest.fixture(scope="module")
def one(weights: Path) -> Replica:
    return replica(weights)


@pytest.fixture
def copy(weights: Path, tmp_path: Path) -> Path:
    """Return a folder of weights that a test may spoil."""
    return Path(shutil.copytree(weights, tmp_path / "copy"))


# Pictures ----------------------------------------------------------------------------------------


def test_the_same_seed_is_the_same_bytes(one: Replica, weights: Path) -> None:
    """In one replica, again in it, and in another; another seed is another picture."""
    first, *others = [made(of, asked())[0] for of in (one, one, replica(weights))]

    assert others == [first, first]
    assert made(one, asked(seed=8)) != [first]


def test_without_a_seed_every_picture_is_another(one: Replica) -> None:
    assert made(one, asked(seed=None)) != made(one, asked(seed=None))


@pytest.mark.parametrize("seed", [0, -1, 2**64 - 1, 2**70])
def test_whatever_number_is_a_seed(one: Replica, seed: int) -> None:
    assert made(one, asked(seed=seed)) == made(one, asked(seed=seed))


@pytest.mark.parametrize(
    "more", [{"prompt": "a mill"}, {"negative_prompt": "fog"}, {"width_px": 128}, {"prompt": ""}]
)
def test_what_is_asked_for_decides_the_picture(one: Replica, more: dict[str, Any]) -> None:
    assert made(one, asked(**more)) != made(one, asked())


@pytest.mark.parametrize(
    "option",
    [{"steps": 3}, {"guidance": 1.5}, {"scheduler": "DDIMScheduler"}, {"dtype": "bfloat16"}],
)
def test_an_option_decides_the_picture(one: Replica, weights: Path, option: dict[str, Any]) -> None:
    assert made(replica(weights, **option), asked()) != made(one, asked())


@pytest.mark.parametrize("output_format", ["jpeg", "webp"])
def test_the_format_that_is_asked_for_comes(one: Replica, output_format: str) -> None:
    made(one, asked(output_format=output_format))


def test_a_size_that_the_pipeline_does_not_paint(one: Replica) -> None:
    """A driver has refused it before; whoever asks a replica hears the pipeline itself."""
    found = problem(one, asked(width_px=60))

    assert "a picture of 60x64 cannot be rendered" in str(found)
    assert "divisible by 8" in str(found)
    assert not found.may_pass


def test_several_in_one_call(one: Replica, weights: Path) -> None:
    """Of what kinds they are does not matter, and each is its own, as if it were alone.

    Sums of several pictures are rounded otherwise, so that a value may be another by a little.
    """
    calls: list[int] = []
    requests = [
        asked(),
        asked(seed=8),
        asked(width_px=128),
        asked(seed=9, negative_prompt="fog"),
        asked(seed=10),
        asked(references=(reference(made(one, asked())[0]),)),
    ]
    many = replica(weights, at_once=6)
    _count_calls(many, calls)

    together = made(many, *requests)

    assert many.at_once == 6
    assert sorted(calls) == [1, 1, 3]  # and the sibling's own
    for data, request in zip(together, requests, strict=True):
        assert _difference(data, made(one, request)[0]) <= 2


def test_one_of_several_that_fails_fails_alone(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest are made one by one."""
    many = replica(weights, at_once=3)
    whole: Any = vars(diffusion.Diffusion)["_bytes_of"]

    def of_all_but_the_third(of: diffusion.Diffusion, image: Any, request: ModelRequest) -> Any:
        if request.seed == 3:
            raise JobFailed("it is not to be")
        return whole(of, image, request)

    monkeypatch.setattr(diffusion.Diffusion, "_bytes_of", of_all_but_the_third)

    first, second, third = many.do([job_of(asked(seed=seed)) for seed in (1, 2, 3)])

    assert isinstance(first, bytes)
    assert isinstance(second, bytes)
    assert isinstance(third, JobFailed)
    assert str(third) == "it is not to be"


def _count_calls(of: Replica, calls: list[int]) -> None:
    """Note of how many pictures each call of the pipeline is."""
    pipe = cast("Any", of)._worker._render.__self__._pipe
    whole = pipe.encode_prompt

    def noting(prompt: Any, *rest: Any, **words: Any) -> Any:
        calls.append(len(prompt))
        return whole(prompt, *rest, **words)

    pipe.encode_prompt = noting


def _difference(one: bytes, other: bytes) -> int:
    """Return by how much two pictures differ where they differ most."""
    with Image.open(io.BytesIO(one)) as first, Image.open(io.BytesIO(other)) as second:
        bands: Any = ImageChops.difference(first, second).getextrema()
    return max(int(high) for _, high in bands)


def test_a_picture_that_the_safety_checker_blackened_is_none(weights: Path) -> None:
    """It is the weights' own, here one that finds everything unsafe."""
    transformers: Any = pytest.importorskip("transformers")
    safety: Any = importlib.import_module("diffusers.pipelines.stable_diffusion.safety_checker")
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    small |= {"num_attention_heads": 2, "projection_dim": 8}
    vision = {**small, "image_size": 32, "patch_size": 16}
    checker = safety.StableDiffusionSafetyChecker(
        transformers.CLIPConfig(text_config=small, vision_config=vision, projection_dim=8)
    )
    checker.concept_embeds_weights.data.fill_(-2.0)
    size = {"height": 32, "width": 32}
    of = replica(weights, at_once=2)
    pipe = cast("Any", of)._worker._render.__self__._pipe
    pipe.register_modules(
        safety_checker=checker,
        feature_extractor=transformers.CLIPImageProcessor(size=size, crop_size=size),
    )

    alone = problem(of, asked())
    together = of.do([job_of(asked()), job_of(asked(seed=8))])

    assert "the safety checker in the weights' folder found the picture unsafe" in str(alone)
    assert together == [alone, alone]


# References --------------------------------------------------------------------------------------


def reference(data: bytes, media_type: str = "image/png") -> ModelReference:
    return ModelReference(data=data, media_type=media_type)


def plain(colour: str, size: tuple[int, int] = (50, 90)) -> ModelReference:
    buffer = io.BytesIO()
    Image.new("RGBA", size, colour).save(buffer, "PNG")
    return reference(buffer.getvalue())


def test_a_reference_is_what_the_picture_begins_with(one: Replica) -> None:
    """Whatever its size: the picture has the size that is asked for. The first one is taken."""
    red, blue = plain("red"), plain("blue")
    from_red = made(one, asked(references=(red,), width_px=96))

    assert made(one, asked(references=(red,), width_px=96)) == from_red
    assert made(one, asked(references=(red, blue), width_px=96)) == from_red
    assert made(one, asked(references=(blue,), width_px=96)) != from_red
    assert made(one, asked(width_px=96)) != from_red


def test_strength_is_how_much_is_painted_over(weights: Path) -> None:
    """With one step of ten, red stays red."""
    little, much = (replica(weights, steps=10, strength=of) for of in (0.1, 1.0))
    request = asked(references=(plain("red"),))

    assert made(little, request) != made(much, request)


def test_a_reference_that_is_no_picture(one: Replica) -> None:
    assert "cannot identify image file" in str(problem(one, asked(references=(reference(b"?"),))))


def test_a_pipeline_without_image_to_image(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diffusers: Any = pytest.importorskip("diffusers")
    of = replica(weights)
    monkeypatch.setattr(diffusers.AutoPipelineForImage2Image, "from_pipe", _no_sibling)

    found = problem(of, asked(references=(plain("red"),)))

    assert "no image-to-image pipeline for StableDiffusionPipeline" in str(found)
    assert not found.may_pass


def _no_sibling(_pipe: object) -> None:
    raise ValueError("AutoPipeline can't find a pipeline linked to it")


# Options that do not suit ------------------------------------------------------------------------


def test_a_scheduler_that_does_not_suit(weights: Path) -> None:
    said = unusable(weights, scheduler="FooScheduler")

    assert "model_args.scheduler: FooScheduler does not suit StableDiffusionPipeline" in said
    assert "EulerDiscreteScheduler" in said


def test_a_device_that_is_not_there(weights: Path) -> None:
    torch: Any = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has one")

    assert "model_args.device: torch" in unusable(weights, device="cuda:1")


def test_an_option_that_is_not_known(weights: Path) -> None:
    """A driver has refused it before."""
    assert "Extra inputs are not permitted" in unusable(weights, step=2)


# Weights -----------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    said = unusable(tmp_path / "none")

    assert f"the weights folder {tmp_path / 'none'} is not there" in said
    assert "OWNER/NAME" in said


@pytest.mark.parametrize("spoil", ["cut", "header", "empty", "gone"])
@pytest.mark.parametrize("component", ["unet/diffusion_pytorch_model", "text_encoder/model"])
def test_damaged_weights(copy: Path, component: str, spoil: str) -> None:
    path = copy / f"{component}.safetensors"
    content = path.read_bytes()
    if spoil == "gone":
        path.unlink()
    else:
        spoilt = {"cut": content[:-1000], "header": b"\xff" * 8 + content[8:], "empty": b""}
        path.write_bytes(spoilt[spoil])

    said = unusable(copy)

    assert f"the weights in {copy} cannot be loaded" in said
    assert "copy or fetch the folder again" in said


def test_weights_of_another_shape(copy: Path) -> None:
    path = copy / "unet" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "block_out_channels": [8, 16]}), encoding="utf-8")

    assert f"the weights in {copy} cannot be loaded" in unusable(copy)


def test_weights_that_are_no_numbers(copy: Path) -> None:
    """What comes of them is black, and never taken for a picture."""
    torch: Any = pytest.importorskip("torch")
    safetensors: Any = pytest.importorskip("safetensors.torch")
    path = copy / "vae" / PLAIN
    tensors = safetensors.load_file(path)
    spoilt = {name: torch.full_like(values, float("nan")) for name, values in tensors.items()}
    safetensors.save_file(spoilt, path, metadata={"format": "pt"})

    found = problem(replica(copy), asked())

    assert "black throughout" in str(found)
    assert 'dtype = "float32"' in str(found)


def test_a_pipeline_that_makes_no_pictures_from_words(copy: Path) -> None:
    index = json.loads((copy / "model_index.json").read_text(encoding="utf-8"))
    index["_class_name"] = "AudioLDMPipeline"
    (copy / "model_index.json").write_text(json.dumps(index), encoding="utf-8")

    assert "AutoPipeline can't find a pipeline linked to AudioLDMPipeline" in unusable(copy)


class _Touch:
    """What, unpickled, makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("is_looked_at", [True, False])
@pytest.mark.parametrize(
    "component, name",
    [("unet", "diffusion_pytorch_model.bin"), ("text_encoder", "pytorch_model.bin")],
)
def test_pickled_weights_are_never_read(
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    component: str,
    name: str,
    is_looked_at: bool,  # noqa: FBT001 - a case of the table
) -> None:
    """Nor are they where the look at the folder does not see them."""
    mark = copy / "mark"
    for path in (copy / component).glob("*.safetensors"):
        path.unlink()
    (copy / component / name).write_bytes(pickle.dumps(_Touch(mark)))
    if not is_looked_at:
        monkeypatch.setattr(diffusion, "problem_with", _nothing)

    said = unusable(copy)

    assert not mark.exists()
    assert ("only Python's pickle reads" if is_looked_at else "model.safetensors") in said


def _nothing(_folder: Path, _variant: str | None) -> None:
    """Find no fault with a folder."""


def _none(_folder: Path) -> tuple[str, ...]:
    return ()


@pytest.mark.parametrize("is_looked_at", [True, False])
def test_code_beside_weights_is_never_run(
    copy: Path,
    tmp_path: Path,
    is_looked_at: bool,  # noqa: FBT001 - a case of the table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark = tmp_path / "mark"
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\nclass Mine: pass\n"
    (copy / "unet" / "my_unet.py").write_text(code, encoding="utf-8")
    index = json.loads((copy / "model_index.json").read_text(encoding="utf-8"))
    index["unet"] = ["my_unet", "Mine"]
    (copy / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    if not is_looked_at:
        monkeypatch.setattr(diffusion, "problem_with", _nothing)
        monkeypatch.setattr(diffusion, "libraries_of", _none)

    said = unusable(copy)

    assert not mark.exists()
    assert ("code of their own" if is_looked_at else "remote code") in said


def test_no_library_is_imported_because_weights_name_it(copy: Path) -> None:
    index = json.loads((copy / "model_index.json").read_text(encoding="utf-8"))
    index["unet"] = ["antigravity", "Mine"]
    (copy / "model_index.json").write_text(json.dumps(index), encoding="utf-8")

    said = unusable(copy)

    assert "name classes of 'antigravity'" in said
    assert "antigravity" not in sys.modules


# Names -------------------------------------------------------------------------------------------


def test_a_name_that_is_not_in_the_cache() -> None:
    said = unusable("acme/tiny")

    assert "'acme/tiny' is neither a folder nor in this machine's cache" in said
    assert "say download = true" in said


def test_a_name_that_is_in_the_cache(weights: Path, one: Replica, offline: Path) -> None:
    """As the Hub's own client keeps it; it reads where that is but once in a process."""
    kept = offline / "models--acme--tiny"
    shutil.copytree(weights, kept / "snapshots" / "0123")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("0123", encoding="utf-8")

    said = in_a_process(
        "print(here.hash_of(here.made(here.replica('acme/tiny'), here.asked())[0]))"
    )

    assert said.strip() == hash_of(made(one, asked())[0])


def in_a_process(script: str) -> str:
    """Run lines in a process of its own, with this module as ``here``, and return what they say."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    begin = "from tests.diffusers import test_model as here"
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{begin}\n{script}"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


# Memory ------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory so")
def test_out_of_memory(weights: Path) -> None:
    """The system itself gives no more; the words say what to change, and the replica lives on."""
    said = in_a_process(
        f"""
of = here.replica({str(weights)!r}, "tests.diffusers.little_memory:LittleMemory")
small, large, again = (
    of.do([here.job_of(here.asked(width_px=side, height_px=side))])[0] for side in (64, 512, 64)
)
assert isinstance(small, bytes) and small == again
print(large, large.may_pass)
"""
    )

    assert "a picture of 512x512 cannot be rendered: cpu is out of memory" in said
    assert "can't allocate memory" in said
    assert "use a smaller size, at_once = 1" in said
