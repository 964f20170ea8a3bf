"""The reference image plugin: one flat colour per scene, as a PNG written by hand.

No network, no cost, no library beyond the host's own. It is here to show that the contract is
enough to write a plugin against, to be swapped in with ``--image plain``, and as the control that
the conformance kit must find nothing wrong with; so it takes no short cut that an author should not
copy. Pictures are one bit deep with a palette of one colour, which makes any size cheap.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import struct
import unicodedata
import zlib
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Annotated, Final

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field

from host_stub.contract import (
    Capabilities,
    Cost,
    Failure,
    FailureCode,
    ImagePlugin,
    ImageRequest,
    ImageStage,
    PlaceFor,
    Scene,
    SceneOutcome,
    Services,
    StageContext,
    StageError,
    StagePlan,
    StageSummary,
)
from host_stub.hookspecs import hookimpl

MOST_WORKERS: Final = 8
"""More would only wait for each other: drawing holds one core."""

FREE: Final = Cost(usd=Decimal(0), basis="free")
_COLOUR_AT: Final = 41
"""Where the palette lies: behind the signature, the header's chunk, and a length and a name."""
_LEAST_BYTES: Final = 70
_MOST_BYTES: Final = 1 << 20
"""The largest picture is a tenth of it."""
_LARGEST_PX: Final = 16384
MOST_KEPT: Final = 20
"""Kept pictures that a run names one by one; one more line says where all others are."""


KEPT: Final = "kept"
"""The folder's name, within that of the pictures."""
MOST_SLUG_BYTES: Final = 60

_PLAIN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SECOND_FORM: Final = re.compile(r".*-[0-9a-f]{16}")
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])")
_UNSEEN: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Letters and marks that show nothing: fillers, and selectors of a letter's variant."""


class Settings(BaseModel):
    """The settings of the plain plugin."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    colour: Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")] | None = Field(
        None, description="`#rrggbb` for every picture; without it each prompt has its own."
    )
    size: Annotated[str, Field(pattern="^[1-9][0-9]{0,3}x[1-9][0-9]{0,3}$")] = Field(
        "1024x1024",
        description="Width x height in pixels, for scenes that do not name their own.",
    )


@hookimpl
def host_image_plugin() -> ImagePlugin:
    """Describe the plugin to the host."""
    return ImagePlugin(
        name="plain",
        contract=(1, 0),
        settings=Settings,
        capabilities=Capabilities(reports_cost=True, plans=True, offline=True),
        open=_open,
    )


@asynccontextmanager
async def _open(settings: Settings, services: Services) -> AsyncGenerator[ImageStage]:
    """Open the stage; there is nothing to hold open."""
    del services
    yield PlainStage(settings)


class PlainStage:
    """Draws each scene in its colour, a few at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept = 0

    async def plan(self, request: ImageRequest) -> StagePlan:
        """Plan to draw every take, at no cost."""
        _refuse_batches(request)
        free = Decimal(0)
        make = sum(scene.takes for scene in request.scenes)
        return StagePlan(make=make, cost_low_usd=free, cost_high_usd=free)

    async def run(self, request: ImageRequest, context: StageContext) -> StageSummary:
        """Draw the scenes; after ``stopping`` the rest is delivered as not tried."""
        _refuse_batches(request)
        takes = _takes(request.scenes)
        capacity = max(1, min(context.max_in_flight, MOST_WORKERS, len(request.scenes)))
        context.log.info("stage.started", scenes=len(request.scenes), capacity=capacity)
        try:
            async with anyio.create_task_group() as group:
                for _ in range(capacity):
                    group.start_soon(self._work, takes, request, context)
            if not _skip(takes, context):
                return StageSummary()
            return StageSummary(stopped="not_tried", message="stopped; run it again for the rest")
        finally:
            context.log.info("stage.finished")

    async def _work(
        self, takes: Iterator[tuple[Scene, int]], request: ImageRequest, context: StageContext
    ) -> None:
        """Draw one take after the other until there are none, or the run is to stop."""
        while not context.stopping.is_set():
            scene, take = next(takes, (None, 0))
            if scene is None:
                return
            await self._make(scene, take, request, context)

    async def _make(
        self, scene: Scene, take: int, request: ImageRequest, context: StageContext
    ) -> None:
        """Draw one take of a scene and deliver its outcome, whatever happens."""
        started = anyio.current_time()

        def end(outcome: SceneOutcome) -> None:
            taken_s = anyio.current_time() - started
            timed = outcome.model_copy(update={"duration_s": taken_s, "take": take})
            _log_end(timed, context)
            context.deliver(timed)

        context.log.info("scene.started", scene_id=scene.scene_id, attempt=1, queued_s=0.0)
        path = request.out_dir / "images" / f"{_name(scene, take)}.png"
        draw = partial(_draw, scene, take, self._settings, path, request.place)
        try:
            if request.place is None and is_taken(path):
                kept = await anyio.to_thread.run_sync(partial(make_way, path, is_flat))
                self._report_kept(path, kept, context)
            end(await anyio.to_thread.run_sync(draw))
        except OSError as error:
            end(_failed(scene, "storage", error.strerror or type(error).__name__))
        except anyio.get_cancelled_exc_class():
            end(_failed(scene, "cancelled", "the run was cancelled"))
            raise

    def _report_kept(self, path: Path, kept: Path | None, context: StageContext) -> None:
        """Say where a picture is kept before its name is taken."""
        if kept is None:
            return
        self._kept += 1
        if self._kept <= MOST_KEPT:
            place = kept.relative_to(path.parent)
            message = f"{path} was not drawn by this plugin, so it is kept there as {place}"
            context.log.warning("stage.warned", message=message)
        elif self._kept == MOST_KEPT + 1:
            message = f"further pictures that this plugin has not drawn are kept in {kept.parent}"
            context.log.warning("stage.warned", message=message)


def _refuse_batches(request: ImageRequest) -> None:
    """Refuse the lane that there is not, before anything is drawn.

    Raises:
        StageError: A picture is to be bought by it.
    """
    if "batch" in {request.lane, *(scene.lane for scene in request.scenes)}:
        raise StageError(
            "plain has no batch lane: it draws at once, for nothing",
            hint="leave --lane and the scenes' lanes out",
            starting=True,
        )


def _takes(scenes: Iterable[Scene]) -> Iterator[tuple[Scene, int]]:
    return ((scene, take) for scene in scenes for take in range(1, scene.takes + 1))


def _name(scene: Scene, take: int) -> str:
    stem = file_stem(scene.scene_id)
    return stem if take == 1 else f"{stem}.take-{take}"


def _skip(takes: Iterator[tuple[Scene, int]], context: StageContext) -> int:
    """Deliver what is left as not tried; return how much that was."""
    failure = Failure(
        code="not_tried", message="the run was stopped before this scene", retryable=True
    )
    count = 0
    for scene, take in takes:
        count += 1
        context.log.warning(
            "scene.skipped", scene_id=scene.scene_id, code=failure.code, message=failure.message
        )
        name = scene.scene_id
        context.deliver(SceneOutcome(scene_id=name, take=take, failure=failure, cost=FREE))
    return count


def _failed(scene: Scene, code: FailureCode, message: str) -> SceneOutcome:
    failure = Failure(code=code, message=message, retryable=True)
    return SceneOutcome(scene_id=scene.scene_id, failure=failure, attempts=1, cost=FREE)


def _log_end(outcome: SceneOutcome, context: StageContext) -> None:
    """Send the event that ends a scene."""
    log = context.log.bind(
        scene_id=outcome.scene_id,
        attempt=1,
        attempts=1,
        duration_s=round(outcome.duration_s, 6),
        cost_usd="0",
        cost_basis="free",
    )
    if outcome.failure is None:
        log.info("scene.finished", sha256=outcome.sha256)
    else:
        log.error("scene.failed", code=outcome.failure.code, message=outcome.failure.message)


def _draw(
    scene: Scene, take: int, settings: Settings, path: Path, place: PlaceFor | None
) -> SceneOutcome:
    """Write one picture of a scene; called in a thread.

    Args:
        scene: The scene.
        take: Which of its pictures; each has a colour of its own.
        settings: The plugin's.
        path: Where it goes if the host names no place.
        place: The host's places.
    """
    width_px, height_px = map(int, settings.size.split("x"))
    if scene.width is not None and scene.height is not None:
        width_px, height_px = scene.width, scene.height
    prompt = scene.prompt.encode(errors="surrogatepass")  # JSON may hold half of a surrogate pair
    words = prompt if take == 1 else prompt + b" take %d" % take
    colour = settings.colour or "#" + hashlib.sha256(words).hexdigest()[:6]
    picture = flat_png(width_px, height_px, bytes.fromhex(colour[1:]))
    digest = hashlib.sha256(picture).hexdigest()
    if place is None:
        make_way(path, is_flat)
        write_whole(path, picture)
    else:
        path = place(scene.scene_id, role="scene", sha256=digest, media_type="image/png")
        if not is_taken(path):  # a place is of its bytes
            write_whole(path, picture)
    wishes = {
        "negative_prompt": scene.negative_prompt,
        "seed": scene.seed,
        "references": scene.references,
        "model": scene.model,
        "quality": scene.quality,
    }
    return SceneOutcome(
        scene_id=scene.scene_id,
        image=path,
        sha256=digest,
        media_type="image/png",
        width=width_px,
        height=height_px,
        generation_params={
            "model": "plain",
            "size": f"{width_px}x{height_px}",
            "colour": colour,
            "prompt": scene.prompt,
        },
        attempts=1,
        cost=FREE,
        dropped=tuple(name for name, wish in wishes.items() if wish not in (None, "", ())),
    )


def flat_png(width_px: int, height_px: int, colour: bytes) -> bytes:
    """Make a PNG of one colour.

    Args:
        width_px: At least 1.
        height_px: At least 1.
        colour: Red, green and blue, one byte each.
    """
    row = bytes(1 + (width_px + 7) // 8)  # filter type 0, then palette index 0 in every bit
    deflate = zlib.compressobj(9)
    rows = b"".join(deflate.compress(row) for _ in range(height_px)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width_px, height_px, 1, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", colour), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def is_flat(picture: bytes) -> bool:
    """Return whether this plugin would make the same bytes again, so that none would be lost."""
    if not _LEAST_BYTES <= len(picture) < _MOST_BYTES or picture[12:16] != b"IHDR":
        return False
    width_px, height_px = struct.unpack_from(">II", picture, 16)
    if not (0 < width_px <= _LARGEST_PX and 0 < height_px <= _LARGEST_PX):
        return False
    return picture == flat_png(width_px, height_px, picture[_COLOUR_AT : _COLOUR_AT + 3])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# A picture's place beside the story; stage3_plugin, which may not know this host, has the same. --


def file_stem(scene_id: str) -> str:
    """Name a scene's file; no two ids meet, and none leads out of the folder.

    A plain lower-case name is its own; any other is ``<letters and digits>-<16 hex>``.
    """
    if _PLAIN.fullmatch(scene_id) and not (
        _SECOND_FORM.fullmatch(scene_id) or _RESERVED.fullmatch(scene_id)
    ):
        return scene_id
    digest = hashlib.sha256(scene_id.encode(errors="surrogatepass")).hexdigest()
    return f"{readable(scene_id) or 'scene'}-{digest[:16]}"


def readable(text: str) -> str:
    """Return the letters and digits of a text in lower case, with dashes for all else between."""
    shown: list[str] = []
    for character in unicodedata.normalize("NFKC", text).lower():
        kind = unicodedata.category(character)
        if kind == "Cf" or character in _UNSEEN:
            continue
        is_after_letter = bool(shown) and shown[-1] != "-"
        if kind[0] in "LN" or (kind[0] == "M" and is_after_letter):
            shown.append(character)
        elif is_after_letter:
            shown.append("-")
    whole = unicodedata.normalize("NFC", "".join(shown)).encode()
    return whole[:MOST_SLUG_BYTES].decode(errors="ignore").strip("-")


def is_taken(path: Path) -> bool:
    """Return whether anything has a picture's name."""
    return os.path.lexists(path)


def make_way(path: Path, is_ours: Callable[[bytes], bool]) -> Path | None:
    """Keep the file that has a picture's name, in another place; it has its name until then.

    Not kept are links, empty files and whatever else is no picture, and what the plugin can make
    again at any time.

    Args:
        path: Where the picture is to go.
        is_ours: Whether the plugin would make these bytes again.

    Returns:
        Where it is kept; ``None`` if nothing had to be.

    Raises:
        OSError: The disk did not let us; the file has its name as before.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
        return None
    digest: str | None = None
    with suppress(OSError):  # what cannot be read is not known to be ours
        if found.st_size < _MOST_BYTES and is_ours(path.read_bytes()):
            return None
        digest = _digest(path)
    return _kept(path, digest)


def _kept(path: Path, digest: str | None) -> Path:
    label = secrets.token_hex(8) if digest is None else digest[:16]
    folder = path.parent / KEPT
    folder.mkdir(exist_ok=True)
    for number in count(1):
        again = "" if number == 1 else f"-{number}"
        second = folder / f"{path.stem}-{label}{again}{path.suffix}"
        try:
            _name_again(path, second)
        except FileExistsError:
            if digest is not None and second.is_file() and _digest(second) == digest:
                return second
        else:
            _sync_folder(folder)
            _sync_folder(folder.parent)  # the folder for what is kept may be new
            return second
    raise AssertionError("there are more names than files")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name_again(path: Path, second: Path) -> None:
    """Link a file under a second name; where it cannot have two, it loses the first.

    Raises:
        FileExistsError: The name is taken.
    """
    try:
        second.hardlink_to(path)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        with second.open("xb"):
            pass  # the name is ours now, and no file of another program can be replaced
        try:
            path.replace(second)
        except OSError:
            second.unlink(missing_ok=True)
            raise


def _sync_folder(folder: Path) -> None:
    """See to it that a power cut does not take the names in it, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes) -> None:
    """Write aside, then rename: a picture is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".tmp-{secrets.token_hex(16)}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
