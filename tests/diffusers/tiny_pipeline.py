"""Make a whole pipeline of random weights, some 250 KB: ``python tiny_pipeline.py FOLDER``."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

BLOCKS = (4, 8)


def main(folder: Path) -> None:
    """Write it; the folder appears whole."""
    torch: Any = importlib.import_module("torch")
    diffusers: Any = importlib.import_module("diffusers")
    transformers: Any = importlib.import_module("transformers")
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=BLOCKS,
        layers_per_block=1,
        sample_size=32,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=8,
        norm_num_groups=2,
        attention_head_dim=2,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=BLOCKS,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=2,
    )
    text = transformers.CLIPTextConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        vocab_size=1000,
        bos_token_id=0,
        eos_token_id=1,
    )
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        pipe = diffusers.StableDiffusionPipeline(
            unet=unet,
            vae=vae,
            text_encoder=transformers.CLIPTextModel(text),
            tokenizer=tokenizer(transformers, Path(scratch)),
            scheduler=diffusers.EulerDiscreteScheduler(steps_offset=1),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipe.save_pretrained(Path(scratch) / "whole")
        (Path(scratch) / "whole").rename(folder)


def tokenizer(transformers: Any, scratch: Path) -> Any:
    """Return one that knows printable ASCII letters, each for itself."""
    letters = [chr(code) for code in range(33, 127)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{one}</w>" for one in letters)]
    vocabulary = {word: number for number, word in enumerate(words)}
    (scratch / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (scratch / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return transformers.CLIPTokenizer(
        str(scratch / "vocab.json"), str(scratch / "merges.txt"), model_max_length=77
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
