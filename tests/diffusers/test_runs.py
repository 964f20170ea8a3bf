"""A folder of weights is all that a user writes: whole commands, each a process, with replicas."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.projects import Project

FOLDER = Path(__file__).parent


class DiffusersProject(Project):
    """A project with small pictures of two steps."""

    def settings(self, model: Path | str, /, **more: Any) -> None:
        """Write the config; tables as they are in JSON."""
        values: dict[str, Any] = {"provider": "local", "model": str(model), "size": "64x64"}
        args = {"steps": 2, "device": "cpu", **more.pop("model_args", {})}
        executor = more.pop("executor", {})
        lines = ["[plugin.stage3]", *_lines(values | more)]
        lines += ["[plugin.stage3.model_args]", *_lines(args)]
        lines += ["[plugin.stage3.executor]", *_lines(executor)]
        text = "\n".join([*lines, ""])
        (self.folder / "host.toml").write_text(text, encoding="utf-8")

    def story(self, *scenes: Mapping[str, Any]) -> None:
        story = [{"image_prompt": "a harbour at dusk", "seed": 7, **scene} for scene in scenes]
        (self.folder / "scenes.json").write_text(json.dumps(story), encoding="utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command; what is imported takes its time on a machine that has much to do."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=150)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def made(self, scene_id: str) -> bytes:
        return (self.folder / "out" / "images" / f"{scene_id}.png").read_bytes()


def _lines(table: Mapping[str, Any]) -> Sequence[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in table.items()]


@pytest.fixture
def project(tmp_path: Path) -> DiffusersProject:
    return DiffusersProject(tmp_path / "project")


def said_by(ended: subprocess.CompletedProcess[str]) -> str:
    return ended.stdout + ended.stderr


def test_a_folder_of_weights_is_all_it_takes(
    project: DiffusersProject, weights: Path, tmp_path: Path
) -> None:
    """Pictures of the right size; made again elsewhere by two replicas, they are the same bytes.

    A reference is what a picture begins with; of two, the second is left out, and that is said. A
    scene that can never be rendered costs the others nothing. The next run renders nothing.
    """
    Image.new("RGB", (40, 60), "red").save(tmp_path / "project" / "red.png")
    scenes: list[dict[str, Any]] = [
        {"scene_id": "plain"},
        {"scene_id": "other", "seed": 8},
        {"scene_id": "shown", "references": ["red.png"], "width": 96, "height": 64},
        {"scene_id": "shown_two", "references": ["red.png", "red2.png"], "quality": "high"},
        {"scene_id": "odd", "width": 100, "height": 64},
    ]
    shutil.copyfile(project.folder / "red.png", project.folder / "red2.png")
    Image.new("RGB", (40, 60), "blue").save(project.folder / "red2.png")
    project.settings(weights)
    project.story(*scenes)

    plan = project.run("plan", "scenes.json")
    first = project.run("run", "scenes.json")
    manifest = project.manifest()
    again = project.run("run", "scenes.json")

    odd = "100x64 is no size that diffusers paints: width and height are multiples of 8"
    assert f"warning: scene 'odd': {odd}" in said_by(plan)
    assert first.returncode == 1, said_by(first)
    assert project.codes() == {
        "plain": "made", "other": "made", "shown": "made", "shown_two": "made",
        "odd": "unreadable",
    }  # fmt: skip
    (failure,) = manifest["failures"]
    assert odd in failure["message"]
    assert failure["attempts"] == 1
    dropped = {image["scene_id"]: image["dropped"] for image in manifest["images"]}
    assert dropped == {
        "plain": [], "other": [], "shown": [], "shown_two": ["quality", "references"],
    }  # fmt: skip
    assert manifest["cost_usd"] == "0"
    with Image.open(project.folder / "out" / "images" / "shown.png") as image:
        assert (image.size, image.format) == ((96, 64), "PNG")
    assert project.made("plain") != project.made("other")
    assert project.made("plain") != project.made("shown_two")
    assert project.manifest()["reused"] == 4, said_by(again)

    elsewhere = DiffusersProject(tmp_path / "elsewhere")
    for name in ("red.png", "red2.png", "scenes.json"):
        shutil.copyfile(project.folder / name, elsewhere.folder / name)
    elsewhere.settings("tiny", executor={"replicas": 2}, model_args={"weights": str(weights)})
    two = elsewhere.run("run", "scenes.json")

    for scene_id in ("plain", "other", "shown", "shown_two"):
        assert elsewhere.made(scene_id) == project.made(scene_id), said_by(two)
    assert elsewhere.manifest()["images"][0]["generation_params"]["model"] == "tiny"


def test_both_replicas_render(project: DiffusersProject, weights: Path) -> None:
    """Each in a process of its own: a class derived from the ready one says in which."""
    (project.folder / "my_models.py").write_text(
        "import os\n"
        "from pathlib import Path\n"
        "from stage3_plugin.renderers.diffusion.model import Diffusion\n"
        "class Noted(Diffusion):\n"
        "    def __init__(self, notes, **options):\n"
        "        super().__init__(**options)\n"
        "        self.notes = Path(notes)\n"
        "    def render(self, request):\n"
        "        (self.notes / str(os.getpid())).touch()\n"
        "        while len(list(self.notes.iterdir())) < 2: pass\n"
        "        return super().render(request)\n",
        encoding="utf-8",
    )
    (project.folder / "notes").mkdir()
    args = {"weights": str(weights), "notes": str(project.folder / "notes")}
    project.settings(
        "noted", model_class="my_models:Noted", executor={"replicas": 2}, model_args=args
    )
    project.story({"scene_id": "s01"}, {"scene_id": "s02"}, {"scene_id": "s03"})

    ended = project.run("run", "scenes.json")

    assert ended.returncode == 0, said_by(ended)
    assert len(list((project.folder / "notes").iterdir())) == 2
    assert project.made("s01") == project.made("s03")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory so")
def test_out_of_memory_fails_the_picture_and_not_the_run(
    project: DiffusersProject, weights: Path
) -> None:
    """The system gives a replica no more; what was too large is said, and the rest is made."""
    shutil.copyfile(FOLDER / "little_memory.py", project.folder / "little_memory.py")
    project.settings(
        "tiny", model_class="little_memory:LittleMemory", model_args={"weights": str(weights)},
        capacity=1, backoff_base_s=0.01, backoff_max_s=0.01,
    )  # fmt: skip
    large = {"width": 512, "height": 512}
    project.story({"scene_id": "s01"}, {"scene_id": "s02", **large}, {"scene_id": "s03", "seed": 9})

    ended = project.run("run", "scenes.json")

    (failure,) = project.manifest()["failures"]
    assert ended.returncode == 1
    assert project.codes() == {"s01": "made", "s02": "unreadable", "s03": "made"}
    assert "a picture of 512x512 cannot be rendered: cpu is out of memory" in failure["message"]
    assert "use a smaller size" in failure["message"]
    assert failure["attempts"] == 2


def test_damaged_weights_end_the_run_once(project: DiffusersProject, weights: Path) -> None:
    """Nothing shows before they are loaded; then it is said, and what is left is not tried."""
    copy = Path(shutil.copytree(weights, project.folder / "copy"))
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    project.settings("copy")
    project.story(*({"scene_id": f"s{number:02}"} for number in range(5)))

    assert project.run("check").returncode == 0
    ended = project.run("run", "scenes.json")

    said = said_by(ended)
    assert ended.returncode not in {0, 1}
    assert f"setting 'model': diffusers: the weights in {copy} cannot be loaded: " in said
    assert "copy or fetch the folder again" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "model, words",
    [
        ("none", "setting 'model': the weights folder {project}/none is not there"),
        ("empty", "setting 'model': the weights folder {project}/empty holds no pipeline"),
        ("pickled", "{project}/pickled/unet has weights that only Python's pickle reads"),
        ("acme/tiny", "setting 'model': 'acme/tiny' is neither a folder nor in this machine's"),
    ],
)
def test_weights_that_cannot_be_loaded_are_refused_by_check(
    project: DiffusersProject, weights: Path, model: str, words: str
) -> None:
    """And by everything else that would open the stage; nothing is started for that."""
    (project.folder / "empty").mkdir()
    pickled = Path(shutil.copytree(weights, project.folder / "pickled"))
    unet = pickled / "unet" / "diffusion_pytorch_model.safetensors"
    unet.rename(unet.with_suffix(".bin"))
    project.settings(model)
    project.story({"scene_id": "s01"})

    ended = project.run("check")

    assert ended.returncode == 2, said_by(ended)
    assert words.format(project=project.folder) in said_by(ended)
    assert not (project.folder / ".stage3").exists()


def test_a_name_is_fetched_where_that_is_asked_for_and_check_says_so(
    project: DiffusersProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    project.settings("acme/tiny", model_args={"download": True})

    ended = project.run("check")

    assert ended.returncode == 0, said_by(ended)
    assert "weights 'acme/tiny': what this machine's cache lacks of them is fetched" in said_by(
        ended
    )


def test_without_the_extra_check_says_how_to_get_it(
    project: DiffusersProject, weights: Path
) -> None:
    """In one line; torch is not even looked into."""
    project.settings(weights)
    script = (
        "import sys; sys.modules['diffusers'] = None; from host_stub.cli import main; "
        "code = main(['check']); assert 'torch' not in sys.modules; sys.exit(code)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project.folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert "pip install '.[diffusers]'" in said_by(ended)
    assert "Traceback" not in said_by(ended)


def test_neither_check_nor_plan_imports_torch(project: DiffusersProject, weights: Path) -> None:
    project.settings(weights)
    project.story({"scene_id": "s01"})
    script = (
        "import sys; from host_stub.cli import main; "
        "codes = [main(['check']), main(['plan', 'scenes.json'])]; "
        "heavy = {'torch', 'diffusers', 'transformers', 'huggingface_hub'} & set(sys.modules); "
        "sys.exit(f'{codes} {heavy}' if heavy or any(codes) else 0)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project.folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, said_by(ended)
