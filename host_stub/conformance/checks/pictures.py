"""Whether a picture is where and what its outcome says, and each wish honoured or dropped."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from host_stub.conformance.lab import Lab
from host_stub.conformance.recorded import Recorded
from host_stub.conformance.requirement import tries
from host_stub.conformance.surroundings import digest_of
from host_stub.conformance.verdict import Broken
from host_stub.contract import SceneOutcome

_HALF_WRITTEN: Final = (".part", ".partial", ".tmp", ".temp", ".download", ".crdownload")
_SIZE: Final = frozenset({"size", "width", "height"})
_CLOCKS_APART_S: Final = 0.5


def _there(recorded: Recorded) -> Iterator[tuple[SceneOutcome, bytes]]:
    """Yield each outcome whose picture can be read, with its bytes."""
    for one in recorded.pictures:
        if one.image is not None and one.image.is_file():
            yield one, one.image.read_bytes()


def _opened(picture: bytes) -> tuple[str, tuple[int, int]]:
    """Return a picture's media type and size, having read all of it."""
    from PIL import Image  # noqa: PLC0415 - other checks look at what importing a plugin brings in

    with Image.open(BytesIO(picture)) as image:
        image.load()
        return image.get_format_mimetype() or f"image/{str(image.format).lower()}", image.size


def _three(lab: Lab) -> Recorded:
    return lab.made(lab.scenes(3))


@tries("result.pictures-lie-in-out")
def pictures_lie_in_out(lab: Lab) -> str:
    """Run three scenes, and look where their pictures are."""
    for one in _three(lab).pictures:
        if one.image is None or not one.image.resolve().is_relative_to(lab.out.resolve()):
            raise Broken(f"{one.scene_id} has its picture at {one.image}, outside of {lab.out}")
    return "3 pictures below the out folder"


@tries("result.no-partial-files")
def no_partial_files(lab: Lab) -> str:
    """Run three scenes, and look for pictures that are not there, and for halves that are."""
    recorded = _three(lab)
    for one in recorded.pictures:
        if one.image is None or not one.image.is_file() or not one.image.stat().st_size:
            raise Broken(f"{one.scene_id} names {one.image}, and no picture is there")
    files = [path for path in lab.out.rglob("*") if path.is_file()]
    left = [
        path.relative_to(lab.out).as_posix()
        for path in files
        if path.name.endswith(_HALF_WRITTEN) or not path.stat().st_size
    ]
    if left:
        raise Broken(f"left behind: {', '.join(left)}")
    return f"{len(recorded.pictures)} pictures are there, and nothing half-written"


@tries("result.whole-when-delivered")
def whole_when_delivered(lab: Lab) -> str:
    """Read each picture while its outcome is delivered, and again when the run is over."""
    first: dict[str, str] = {}

    def look(outcome: SceneOutcome) -> None:
        if outcome.image is not None:
            first[outcome.scene_id] = digest_of(outcome.image)

    recorded = lab.made(lab.scenes(3), on_delivery=look)
    for one, picture in _there(recorded):
        if not first[one.scene_id] and picture:
            raise Broken(f"{one.scene_id} was delivered before its picture was there")
        if one.image is not None and first[one.scene_id] != digest_of(one.image):
            raise Broken(f"{one.scene_id} was delivered before its picture was whole")
    return f"{len(first)} pictures, whole when their outcomes came"


@tries("result.file-matches-hash")
def file_matches_hash(lab: Lab) -> str:
    """Compare each sha256 with the bytes on disk."""
    found = 0
    for one, _ in _there(_three(lab)):
        if one.image is not None and (there := digest_of(one.image)) != one.sha256:
            raise Broken(f"{one.scene_id} says {one.sha256}, and the file has {there}")
        found += 1
    return f"{found} pictures have the sha256 that was said"


@tries("result.readable")
def readable(lab: Lab) -> str:
    """Decode each picture, and compare its kind with what was said."""
    kinds: set[str] = set()
    for one, picture in _there(_three(lab)):
        try:
            kind, _ = _opened(picture)
        except Exception as error:
            raise Broken(f"the picture of {one.scene_id} cannot be read: {error}") from error
        if one.media_type is not None and one.media_type != kind:
            raise Broken(f"{one.scene_id} says {one.media_type}, and its bytes are {kind}")
        kinds.add(kind)
    return f"pictures of the kind {', '.join(sorted(kinds))}"


@tries("result.real-size")
def real_size(lab: Lab) -> str:
    """Compare width and height with the picture's own."""
    sizes: set[str] = set()
    for one, picture in _there(_three(lab)):
        try:
            _, size = _opened(picture)
        except Exception:  # noqa: BLE001, S112 - another requirement is about that
            continue
        if size != (one.width, one.height):
            said = f"{one.width}x{one.height}"
            raise Broken(f"{one.scene_id} says {said}, and the picture is {size[0]}x{size[1]}")
        sizes.add(f"{size[0]}x{size[1]}")
    return f"pictures of {', '.join(sorted(sizes)) or 'no known size'}"


@tries("result.size-as-asked-or-dropped")
def size_as_asked_or_dropped(lab: Lab) -> str:
    """Ask for two sizes, and look at what came."""
    lab.ask(_look)
    asked = [tuple(map(int, size.split("x"))) for size in lab.sizes[:2]]
    scenes = [
        lab.scene(number, width=width, height=height)
        for number, (width, height) in enumerate(asked)
    ]
    recorded = lab.made(scenes)
    for scene in scenes:
        for one in recorded.of(scene.scene_id):
            is_same = (one.width, one.height) == (scene.width, scene.height)
            if not is_same and not _SIZE & {*one.dropped}:
                wish = f"{scene.width}x{scene.height}"
                raise Broken(
                    f"{wish} was asked for, {one.width}x{one.height} came, and dropped says nothing"
                )
    return f"asked for {' and '.join(lab.sizes[:2])}"


async def _look(_stage: object) -> None:
    """Have the lab see what the opened stage says that it can do."""


@tries("result.files-apart")
def files_apart(lab: Lab) -> str:
    """Run two scenes, then two others into the same folder, and look for all four pictures."""
    first = lab.made(lab.scenes(2))
    before = {
        one.scene_id: (one.image, digest_of(one.image)) for one in first.pictures if one.image
    }
    second = lab.made(lab.scenes(2, first=3))
    images = [one.image for run in (first, second) for one in run.pictures if one.image]
    if len({image.resolve() for image in images}) < len(images):
        raise Broken("two scenes have the same file")
    for name, (image, digest) in before.items():
        if digest_of(image) != digest:
            raise Broken(f"the picture of {name} is another one after a run of other scenes")
    return f"{len(images)} pictures in {len(images)} files"


@tries("result.parameters")
def parameters(lab: Lab) -> str:
    """Look at what the pictures are said to be made with."""
    models: set[str] = set()
    for one in _three(lab).pictures:
        model: object = one.generation_params.get("model")
        if not isinstance(model, str) or not model:
            raise Broken(f"generation_params of {one.scene_id} name no model")
        try:
            json.dumps(one.generation_params, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise Broken(f"generation_params of {one.scene_id} are not plain: {error}") from error
        models.add(model)
    return f"model {', '.join(sorted(models))}"


@tries("result.times")
def times(lab: Lab) -> str:
    """Compare durations with the run's own, and look for attempts."""
    recorded = _three(lab)
    took_s = recorded.ended_s - recorded.begun_s
    for one in recorded.pictures:
        if one.duration_s > took_s + _CLOCKS_APART_S:
            raise Broken(f"{one.scene_id} took {one.duration_s:.3f} s of a run of {took_s:.3f} s")
        if not one.reused and one.attempts < 1:
            raise Broken(f"{one.scene_id} has a picture after {one.attempts} attempts")
    return f"{len(recorded.pictures)} pictures in {took_s:.3f} s"


def _wish(lab: Lab, name: str, value: object, *, can: str) -> str:
    recorded = lab.made([lab.scene(1, **{name: value})])
    is_able = bool(getattr(lab.capabilities, can))
    for one in recorded.pictures:
        is_dropped = name in one.dropped
        if is_able and is_dropped:
            raise Broken(f"the plugin declares the capability {can!r}, and dropped {name!r}")
        if not is_able and not is_dropped:
            raise Broken(f"the plugin cannot honour {name!r}, and dropped is {list(one.dropped)}")
    return f"{name!r} is {'honoured' if is_able else 'listed in dropped'}"


@tries("dropped.seed")
def seed(lab: Lab) -> str:
    """Ask for a seed."""
    return _wish(lab, "seed", 7, can="seed")


@tries("dropped.negative-prompt")
def negative_prompt(lab: Lab) -> str:
    """Ask for something not to be there."""
    return _wish(lab, "negative_prompt", "fog", can="negative_prompt")


@tries("dropped.references")
def references(lab: Lab) -> str:
    """Show a picture."""
    _write_picture(lab.project / "reference.png")
    return _wish(lab, "references", ("reference.png",), can="references")


@tries("dropped.nothing")
def nothing(lab: Lab) -> str:
    """Ask for nothing in particular."""
    for one in lab.made(lab.scenes(2, width=None, height=None)).pictures:
        if one.dropped:
            raise Broken(f"nothing was wished for, and {', '.join(one.dropped)} was dropped")
    return "2 scenes without wishes, and no wish was dropped"


def _write_picture(path: Path) -> None:
    """Write a small PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    side = 64
    rows = b"".join(b"\x00" + bytes((row * 3, 90, 160)) * side for row in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks))
