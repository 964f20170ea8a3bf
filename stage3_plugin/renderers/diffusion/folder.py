"""Whether a folder holds a pipeline that may be loaded: read from names and small JSON files.

Nothing of a weight is read, and nothing heavy imported, so a driver can look before anything
begins, and a replica looks again before it loads. Weights that Python's pickle wrote run what they
like when they are read; code beside the weights is code. Neither is ever loaded.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

INDEX = "model_index.json"
_MOST_BYTES = 64 << 20
"""Of a file of JSON; what tokenizers say of themselves can be a few megabytes."""
_PICKLED = (".bin", ".ckpt", ".pkl", ".pt", ".pth")
_SAFE = ".safetensors"
_SHARD = re.compile(r"-[0-9]{5}-of-[0-9]{5}")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_CONFIGS = ("config.json", "tokenizer_config.json", "preprocessor_config.json")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a folder is not loaded.

    Attributes:
        what: What is wrong with it.
        hint: What to do.
    """

    what: str
    hint: str


def is_name(weights: str) -> bool:
    """Return whether weights may be the name of a pipeline on the Hub, ``OWNER/NAME``."""
    return _NAME.fullmatch(weights) is not None and "--" not in weights and ".." not in weights


def cache_of_hub(environment: Mapping[str, str], home: Path) -> Path:
    """Return the folder in which the Hub's own client keeps what it has fetched."""
    if own := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return Path(own).expanduser()
    if whole := environment.get("HF_HOME"):
        return Path(whole).expanduser() / "hub"
    caches = environment.get("XDG_CACHE_HOME")
    return (Path(caches).expanduser() if caches else home / ".cache") / "huggingface" / "hub"


def is_cached(name: str, cache: Path) -> bool:
    """Return whether some state of a pipeline is in the cache of the Hub's client."""
    kept = cache / f"models--{name.replace('/', '--')}" / "snapshots"
    return any(kept.glob(f"*/{INDEX}"))


def problem_with(folder: Path, variant: str | None) -> Problem | None:
    """Say what keeps a folder from being loaded, if anything does; blocks.

    Args:
        folder: Of a pipeline, as ``save_pretrained`` writes it.
        variant: Which files of it are to be loaded.
    """
    try:
        return next(_problems(folder, variant), None)
    except OSError as error:
        return Problem(
            f"the weights folder {folder} cannot be read: {error.strerror}",
            "let this user read it, or name another folder",
        )


def libraries_of(folder: Path) -> tuple[str, ...]:
    """Return the libraries that a pipeline's components are taken from, each once; blocks."""
    index = _read(folder / INDEX)
    return tuple(dict.fromkeys(library for _, library in _components(index or {})))


def _problems(folder: Path, variant: str | None) -> Iterator[Problem]:
    if not folder.exists():
        yield Problem(
            f"the weights folder {folder} is not there",
            "name the folder of a pipeline, or a name OWNER/NAME of the Hugging Face Hub",
        )
        return
    if not (folder / INDEX).is_file():
        yield _no_pipeline(folder)
        return
    index = _read(folder / INDEX)
    if index is None:
        yield _no_object(folder / INDEX)
        return
    if not isinstance(index.get("_class_name"), str):
        yield _own_code(folder / INDEX)
    components = dict(_components(index))
    for component in components:
        yield from _own_codes(folder / component)
    variants = {component: _variants(folder / component) for component in components}
    yield from _pickled(folder, variants)
    yield from _no_such_variant(folder, variants, variant)


def _no_pipeline(folder: Path) -> Problem:
    if folder.is_file():
        what = f"{folder} is a file, and weights are a whole folder"
    else:
        what = f"the weights folder {folder} holds no pipeline: it has no {INDEX}"
    return Problem(
        what,
        "name a folder that diffusers' save_pretrained wrote, or that was fetched whole from the "
        "Hub; one file of all weights is turned into a folder by from_single_file of diffusers",
    )


def _read(path: Path) -> dict[str, object] | None:
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        return None
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _components(index: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield each component's name and the library of its class."""
    for name, entry in index.items():
        if name.startswith("_") or not isinstance(entry, list):
            continue
        library = next(iter(cast("list[object]", entry)), None)
        if isinstance(library, str):  # null, where a pipeline does without
            yield name, library


def _own_codes(component: Path) -> Iterator[Problem]:
    if not component.is_dir():
        return
    for name in sorted(os.listdir(component)):  # noqa: PTH208 - names are all it needs
        if name.endswith(".py"):
            yield _own_code(component / name)
    for name in _CONFIGS:
        path = component / name
        if not path.is_file():
            continue
        config = _read(path)
        if config is None:
            yield _no_object(path)
        elif "auto_map" in config:
            yield _own_code(path)


def _no_object(path: Path) -> Problem:
    return Problem(f"{path} is not a JSON object", "copy or fetch the folder again")


def _own_code(path: Path) -> Problem:
    return Problem(
        f"the weights bring code of their own ({path}), which is never run",
        "use weights for a pipeline of diffusers itself, or write a model class of your own",
    )


def _variants(component: Path) -> frozenset[str] | None:
    """Return the variants that a component's weights are there in; ``""`` is the usual one.

    ``None`` where there are weights that only pickle reads.
    """
    names = os.listdir(component) if component.is_dir() else []  # noqa: PTH208 - likewise
    safe = [name for name in names if name.endswith(_SAFE)]
    if not safe and any(name.endswith(_PICKLED) for name in names):
        return None
    stems = (_SHARD.sub("", name.removesuffix(_SAFE)) for name in safe)
    return frozenset(stem.partition(".")[2] for stem in stems)


def _pickled(folder: Path, variants: Mapping[str, frozenset[str] | None]) -> Iterator[Problem]:
    for component, found in variants.items():
        if found is None:
            yield Problem(
                f"{folder / component} has weights that only Python's pickle reads, and no "
                f"{_SAFE} beside them; reading such files can run any code",
                "fetch the safetensors of the same weights, or convert them where you trust them: "
                "load them there and save_pretrained(FOLDER, safe_serialization=True)",
            )


def _no_such_variant(
    folder: Path, variants: Mapping[str, frozenset[str] | None], variant: str | None
) -> Iterator[Problem]:
    weighty = {component: found for component, found in variants.items() if found}
    there = sorted(set[str]().union(*weighty.values()) - {""})
    if variant is not None and weighty and variant not in there:
        yield Problem(
            f"the weights folder {folder} has no files of the variant {variant!r}",
            f"it has {_listed(there)}" if there else "leave `variant` out: it has none",
        )
    if variant is None:
        for component, found in weighty.items():
            if "" not in found:
                yield Problem(
                    f"{folder / component} has weights of the variant {_listed(sorted(found))} "
                    "alone",
                    f'add variant = "{min(found)}" to model_args',
                )


def _listed(variants: Iterable[str]) -> str:
    return " and ".join(map(repr, variants))
