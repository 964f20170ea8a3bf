"""What is sent of references, as base64 that all requests share.

It lies in files without a name, in the state folder where there is one, mapped into memory: a
thousand different pictures take up disk, and what is not being sent can be dropped from memory at
any time. A process that ends in whatever way leaves nothing of it. A few large files and not one
for each picture, since each takes a descriptor, and those are for answers.
"""

from __future__ import annotations

import mmap
import tempfile
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stage3_plugin.files.new_file import read_whole_at, write_whole_at
from stage3_plugin.files.on_disk import on_disk

_LEAST_SEGMENT = 16 << 20
_MOST_SEGMENT = 256 << 20
_IN_MEMORY = 96 << 20
"""As much of what was sent last stays mapped and present; the rest is read again when wanted."""
_PAGE = mmap.ALLOCATIONGRANULARITY


@dataclass(frozen=True, slots=True)
class Body:
    """A stretch of one of the files.

    Attributes:
        segment: Which file.
        start: Where it begins there; a page does, too.
        size_bytes: How long it is.
    """

    segment: _Segment
    start: int
    size_bytes: int

    def leave_memory(self) -> None:
        """Let the system drop it from this process's memory; it is read anew where it is used."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.segment.map.madvise(mmap.MADV_DONTNEED, self.start, max(self.size_bytes, 1))


class _Segment:
    """One file, of a length that does not change."""

    def __init__(self, folder: Path | None, size_bytes: int) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115 - close() does
        try:
            self.file.truncate(size_bytes)
            self.map = mmap.mmap(self.file.fileno(), size_bytes, access=mmap.ACCESS_READ)
        except BaseException:
            self.file.close()
            raise
        self.size_bytes = size_bytes

    def close(self) -> None:
        self.file.close()
        with suppress(BufferError):  # somebody still has a view: it goes when that does
            self.map.close()


class Bodies:
    """All that is held of references; its methods may be called from any thread.

    Args:
        folder: Where the files lie; the system's for temporary files by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._segments: list[_Segment] = []
        self._free: list[Body] = []
        self._lock = threading.Lock()
        self._recent: OrderedDict[tuple[int, int], Body] = OrderedDict()
        self._recent_bytes = 0

    def new(self, size_bytes: int) -> Body:
        """Make room for so many bytes.

        Raises:
            StorageFailed: There is none.
        """
        with self._lock:
            for free in self._free:
                if free.size_bytes >= size_bytes:
                    self._free.remove(free)
                    return self._from(free, size_bytes)
            return self._from(self._another(size_bytes), size_bytes)

    def _from(self, free: Body, size_bytes: int) -> Body:
        """Take room from the beginning of what is free, and keep the rest."""
        taken = _whole_pages(size_bytes)
        if free.size_bytes > taken:
            self._free.append(Body(free.segment, free.start + taken, free.size_bytes - taken))
        return Body(free.segment, free.start, size_bytes)

    def give_back(self, body: Body) -> None:
        """Let others have the room of a body that is not sent any more."""
        with self._lock:
            self._free.append(Body(body.segment, body.start, _whole_pages(body.size_bytes)))

    def _another(self, size_bytes: int) -> Body:
        before = self._segments[-1].size_bytes if self._segments else 0
        usual = min(max(before * 2, _LEAST_SEGMENT), _MOST_SEGMENT)
        with on_disk(self._place):
            segment = _Segment(self._folder, max(usual, _whole_pages(size_bytes)))
        self._segments.append(segment)
        return Body(segment, 0, segment.size_bytes)

    def write(self, body: Body, offset: int, data: bytes) -> None:
        """Write a piece of a body.

        Raises:
            StorageFailed: The disk did not take it.
        """
        with on_disk(self._place):
            write_whole_at(body.segment.file.fileno(), data, body.start + offset)

    @property
    def _place(self) -> Path:
        return self._folder or Path(tempfile.gettempdir())

    def read(self, body: Body) -> bytes:
        """Return a copy of a body, for which nothing of the file comes into memory.

        Raises:
            StorageFailed: The disk does not give it.
        """
        with on_disk(self._place, reading=True):
            return read_whole_at(body.segment.file.fileno(), body.size_bytes, body.start)

    def view(self, body: Body) -> memoryview:
        """Return a body to be sent, and let others that were sent longer ago leave the memory.

        Its bytes are the file's, and not copied.
        """
        with self._lock:
            self._touch(body)
        return memoryview(body.segment.map)[body.start : body.start + body.size_bytes]

    def _touch(self, body: Body) -> None:
        key = (id(body.segment), body.start)
        if key in self._recent:
            self._recent.move_to_end(key)
            return
        self._recent[key] = body
        self._recent_bytes += body.size_bytes
        while self._recent_bytes > _IN_MEMORY and len(self._recent) > 1:
            _, oldest = self._recent.popitem(last=False)
            self._recent_bytes -= oldest.size_bytes
            oldest.leave_memory()

    def close(self) -> None:
        """Give everything back to the system."""
        with self._lock:
            self._recent.clear()
            for segment in self._segments:
                segment.close()
            self._segments.clear()
            self._free.clear()


def _whole_pages(size_bytes: int) -> int:
    return -(-max(size_bytes, 1) // _PAGE) * _PAGE
