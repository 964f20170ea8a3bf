"""How one long string of an answer becomes a file: decoded, or kept as text if it was not base64.

Whether a string of 4 MB is base64 is only known at its end. It is decoded on trust, and its text
can be had back at any time: by encoding again what was decoded, or, once blanks were seen that
encoding cannot restore, from a copy of the text that is kept beside the part from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from stage3_plugin.errors import StorageFailed
from stage3_plugin.pictures.base64_stream import (
    Base64Stream,
    NotBase64,
    has_words,
    split_data_url,
    unescaped,
)
from stage3_plugin.pictures.new_file import NewFile

_READ_BYTES = 3 * 64 * 1024
"""A multiple of three, so that each piece encodes by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LongString:
    """What became of one long string.

    Attributes:
        index: Its number in the answer, from 0.
        kind: ``base64``: decoded into ``part-<index>``; ``text``: kept as JSON source in
            ``part-<index>.raw``.
        media_type: From its data URL.
        size_bytes: Of that file.
        is_whole: Whether its closing quote came.
        rest: Of a string that was cut: the last characters, too few to decode.
    """

    index: int
    kind: Literal["base64", "text"]
    media_type: str | None
    size_bytes: int
    is_whole: bool
    rest: str = ""


class PartWriter:
    """One long string on its way to the disk; make it with :meth:`begin`."""

    __slots__ = ("_file", "_index", "_media_type", "_path", "_prefix", "_stream", "_text")

    def __init__(
        self, path: Path, index: int, stream: Base64Stream, prefix: bytes, media_type: str | None
    ) -> None:
        self._path = path
        self._index = index
        self._stream: Base64Stream | None = stream
        self._prefix = prefix
        self._media_type = media_type
        self._file = NewFile(path)
        self._text: NewFile | None = None

    @classmethod
    def begin(cls, directory: Path, index: int, head: bytes) -> Self | None:
        """Begin a part with the first bytes of a string, unless they are not base64.

        Args:
            directory: Where ``part-<index>`` goes.
            index: The string's number.
            head: JSON source, no escape cut.

        Raises:
            StorageFailed: Here and in every method: the disk did not take it.
        """
        stream = Base64Stream()
        try:
            text = unescaped(head) if b"\\" in head else head
            prefix, media_type = split_data_url(text)
            decoded = stream.take(text[len(prefix) :])
        except NotBase64:
            return None
        if stream.has_blanks and has_words(text):
            return None
        part = cls(directory / f"part-{index}", index, stream, prefix, media_type)
        try:
            if stream.has_blanks:
                part._copy_text(rest=b"")
                part._text_write(text[len(prefix) :])
            part._file.write(decoded)
        except StorageFailed:
            part.close()
            raise
        return part

    @property
    def size_bytes(self) -> int:
        """Give the bytes decoded so far."""
        return self._file.size_bytes

    def add(self, source: bytes) -> None:
        """Take more of the string: JSON source, no escape cut."""
        if self._stream is None:
            self._text_write(source)
            return
        rest = self._stream.rest
        try:
            decoded = self._stream.take(source)
        except NotBase64:
            self._keep_text()
            self._text_write(source)
            return
        if self._stream.has_blanks:
            if self._text is None:
                self._copy_text(rest)
            self._text_write(source)
        self._file.write(decoded)

    def end(self) -> LongString:
        """See the closing quote."""
        if self._stream is not None:
            try:
                last = self._stream.end()
            except NotBase64:
                self._keep_text()
            else:
                self._file.write(last)
                self._drop_copy()
        return self._close(is_whole=True)

    def cut(self, held: bytes) -> LongString:
        """See the answer stop within the string, ``held`` being the beginning of an escape."""
        rest = held
        if self._stream is not None:
            rest = self._stream.rest + held
        return self._close(is_whole=False, rest=rest.decode("latin-1"))

    def _close(self, *, is_whole: bool, rest: str = "") -> LongString:
        is_base64 = self._stream is not None
        kept = self._file if is_base64 else self._text
        assert kept is not None
        self.close()
        return LongString(
            index=self._index,
            kind="base64" if is_base64 else "text",
            media_type=self._media_type,
            size_bytes=kept.size_bytes,
            is_whole=is_whole,
            rest=rest,
        )

    def close(self) -> None:
        """Close the files; a second time does nothing."""
        self._file.close()
        if self._text is not None:
            self._text.close()

    # The way back to text ------------------------------------------------------------------------

    def _keep_text(self) -> None:
        """Give up decoding: the text so far becomes the file that counts."""
        assert self._stream is not None
        if self._text is None:
            self._copy_text(self._stream.rest)
        self._stream = None
        self._file.close()
        self._unlink(self._path)

    def _copy_text(self, rest: bytes) -> None:
        """Write what was decoded so far as the text it came from, and ``rest`` behind it."""
        assert self._stream is not None
        self._text = NewFile(self._path.with_name(f"{self._path.name}.raw"))
        self._text.write(self._prefix)
        try:
            with self._path.open("rb") as decoded:
                while piece := decoded.read(_READ_BYTES):
                    self._text.write(self._stream.text_of(piece))
        except OSError as error:
            raise StorageFailed(self._path, error) from error
        self._text.write(rest)

    def _text_write(self, source: bytes) -> None:
        assert self._text is not None
        self._text.write(source)

    def _drop_copy(self) -> None:
        if self._text is not None:
            self._text.close()
            self._unlink(self._text.path)
            self._text = None

    @staticmethod
    def _unlink(path: Path) -> None:
        try:
            path.unlink()
        except OSError as error:
            raise StorageFailed(path, error) from error
