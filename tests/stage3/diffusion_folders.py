"""A folder that looks like a pipeline, for whoever looks at names and small files alone."""

from __future__ import annotations

import json
from pathlib import Path

PLAIN = "diffusion_pytorch_model.safetensors"


def pipeline_folder(folder: Path, **index: object) -> Path:
    """Write a folder of a pipeline with one component, whose weights are nothing."""
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / PLAIN).write_bytes(b"")
    (folder / "unet" / "config.json").write_text("{}", encoding="utf-8")
    content = {
        "_class_name": "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "safety_checker": [None, None],
        **index,
    }
    (folder / "model_index.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
