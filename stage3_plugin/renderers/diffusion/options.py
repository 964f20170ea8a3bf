"""What ``model_args`` may hold for the ready model class. Pure."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator


class DiffusionOptions(BaseModel):
    """What the ready model class is made with."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    weights: str | None = Field(
        examples=["/models/sdxl"],
        default=None,
        min_length=1,
        max_length=1_000,
        description="The folder of a pipeline, relative to the config, or its name on the "
        "Hugging Face Hub; where nothing is said, the setting `model`.",
    )
    steps: Annotated[int, Strict()] | None = Field(
        examples=[30],
        default=None,
        ge=1,
        le=1_000,
        description="Steps of denoising; else the pipeline's own number.",
    )
    guidance: Annotated[float, Strict()] | None = Field(
        examples=[7.0],
        default=None,
        ge=0,
        le=100,
        allow_inf_nan=False,
        description="How closely the prompt is followed (`guidance_scale`); else the pipeline's "
        "own.",
    )
    scheduler: str | None = Field(
        examples=["DPMSolverMultistepScheduler"],
        default=None,
        pattern=r"^[A-Z][A-Za-z0-9]{0,80}Scheduler$",
        description="A scheduler's class in diffusers, if not the one in the folder.",
    )
    strength: Annotated[float, Strict()] | None = Field(
        examples=[0.6],
        default=None,
        gt=0,
        le=1,
        description="With a reference: how much of it is painted over, up to 1 for all; else the "
        "pipeline's own.",
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto",
        description="Of the weights: `auto` is float32 on a processor, and of bfloat16 and "
        "float16 what the card has.",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|(cuda|xpu)(:[0-9]{1,2})?)$",
        description="`auto` is `cuda`, or else `mps`, or else `cpu`.",
    )
    variant: str | None = Field(
        examples=["fp16"],
        default=None,
        pattern=r"^[A-Za-z0-9_]{1,40}$",
        description="Which files of the folder, where it has several: `fp16` for "
        "`model.fp16.safetensors`.",
    )
    revision: str | None = Field(
        examples=["462165984030d82259a11f4367a4eed129e94a7b"],
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,100}$",
        description="Which state of a name on the Hub: a commit, a tag or a branch.",
    )
    download: Annotated[bool, Strict()] = Field(
        default=False,
        description="Fetch a name from the Hub where this machine has not got it; else it is "
        "taken from this machine's cache alone.",
    )
    at_once: Annotated[int, Strict()] = Field(
        default=1,
        ge=1,
        le=64,
        description="So many pictures in one call of the pipeline, where that many are waiting.",
    )

    @model_validator(mode="after")
    def _is_a_step_left(self) -> Self:
        steps, strength = self.steps, self.strength
        if steps is not None and strength is not None and int(steps * strength) < 1:
            raise ValueError(
                f"strength {strength:g} of {steps} {'step' if steps == 1 else 'steps'} leaves no "
                "step to be done: steps times strength is at least 1"
            )
        return self


DECIDES_NOTHING = ("download", "at_once", "device")
"""What changes how a picture is made, and not which one it is."""
