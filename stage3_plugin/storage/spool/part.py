"""How one long string of an answer becomes a file: decoded, or kept as text if it was not base64.

Whether a string of 4 MB is base64 is only known at its end. It is decoded on trust, and its text
can be restored at any time: by encoding again what was decoded, or, once blanks were seen that
encoding cannot restore, from a copy of the text that is kept beside the part from then on. Only
reading the answer does that; while it arrives, no step is longer than the piece that came.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from stage3_plugin.domain.signature import is_picture_behind
from stage3_plugin.errors import StorageFailed
from stage3_plugin.files.new_file import NewFile
from stage3_plugin.storage.spool.base64_stream import (
    Base64Stream,
    NotBase64,
    beginning_of,
    encoded,
    has_words,
    split_data_url,
    unescaped,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongString:
    """What became of one long string.

    Attributes:
        index: Its number in the answer, from 0.
        kind: ``base64``: decoded into ``part-<index>``; ``text``: see :meth:`source`.
        media_type: From its data URL.
        size_bytes: Of ``part-<index>``, or of the text in ``part-<index>.raw``.
        is_whole: Whether its closing quote came.
        rest: Of a string that was cut: the last characters, too few to decode.
        prefix: What stood before the base64 it is, or began with: a data URL's head, a quote.
        decoded_bytes: Of a text: how much of ``part-<index>`` is its beginning, decoded.
        is_url_safe: Of a text: in which alphabet that was written.
    """

    index: int
    kind: Literal["base64", "text"]
    media_type: str | None
    size_bytes: int
    is_whole: bool
    rest: str = ""
    prefix: str = ""
    decoded_bytes: int = 0
    is_url_safe: bool = False

    @property
    def text_bytes(self) -> int:
        """Return how long a text is, as JSON source."""
        return len(self.prefix) + self.decoded_bytes // 3 * 4 + self.size_bytes

    @property
    def prefix_source(self) -> bytes:
        """Return the prefix as JSON source."""
        return self.prefix.encode("latin-1").replace(b'"', rb"\"")

    def source(self, part: bytes, raw: bytes) -> bytes:
        """Return a text as it stood in the answer, from what lies in its two files."""
        decoded = part[: self.decoded_bytes]
        return self.prefix_source + encoded(decoded, self.is_url_safe) + raw


class PartWriter:
    """One long string on its way to the disk; make it with :meth:`begin`.

    Attributes:
        is_picture: What was decoded begins as one.
    """

    __slots__ = (
        "_decoded_bytes",
        "_file",
        "_index",
        "_is_url_safe",
        "_media_type",
        "_path",
        "_prefix",
        "_stream",
        "_text",
        "is_picture",
    )

    def __init__(
        self,
        path: Path,
        index: int,
        stream: Base64Stream,
        prefix: bytes,
        media_type: str | None,
        *,
        decoded: bytes,
    ) -> None:
        self._path = path
        self._index = index
        self._stream: Base64Stream | None = stream
        self._prefix = prefix
        self._media_type = media_type
        self.is_picture = is_picture_behind(decoded)
        self._file = NewFile(path)
        self._text: NewFile | None = None
        self._decoded_bytes = 0
        self._is_url_safe = False

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
            return cls._begin_oddly(directory / f"part-{index}", index, head)
        if stream.has_blanks and has_words(text):
            return None
        path = directory / f"part-{index}"
        part = cls(path, index, stream, prefix, media_type, decoded=decoded)
        try:
            if stream.has_blanks:
                part._begin_text(text[len(prefix) :])
            part._file.write(decoded)
        except StorageFailed:
            part.close()
            raise
        return part

    @classmethod
    def _begin_oddly(cls, path: Path, index: int, head: bytes) -> Self | None:
        """Begin a text that begins as a picture and has an odd character soon: it may still be one.

        It would be megabytes of the document otherwise.
        """
        prefix, media_type = split_data_url(head)
        decoded, rest = beginning_of(head[len(prefix) :])
        if not is_picture_behind(decoded):
            return None
        stream = Base64Stream()
        try:
            decoded = stream.take(head[len(prefix) : len(head) - len(rest)])
        except NotBase64:  # it mixes two alphabets
            return None
        part = cls(path, index, stream, prefix, media_type, decoded=decoded)
        try:
            part._file.write(decoded)
            part._give_up()
            part._text_write(rest)
        except StorageFailed:
            part.close()
            raise
        return part

    @property
    def is_light(self) -> bool:
        """Return whether taking more of it is little work, as for a picture in base64."""
        return self.is_picture and self._text is None

    @property
    def size_bytes(self) -> int:
        """Return the bytes decoded so far."""
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
            self._give_up()
            self._text_write(source)
            return
        if self._text is not None:
            self._text_write(source)
        elif self._stream.has_blanks:
            self._begin_text(rest + source)
        self._file.write(decoded)

    def end(self) -> LongString:
        """Take the closing quote."""
        if self._stream is not None:
            try:
                last = self._stream.end()
            except NotBase64:
                self._give_up()
            else:
                self._file.write(last)
                self._drop_copy()
        return self._close(is_whole=True)

    def cut(self, held: bytes) -> LongString:
        """Take an end of the answer within the string; ``held`` begins an escape."""
        rest = held
        if self._stream is not None:
            rest = self._stream.rest + held
        return self._close(is_whole=False, rest=rest.decode("latin-1"))

    def _close(self, *, is_whole: bool, rest: str = "") -> LongString:
        self.close()
        prefix = self._prefix.decode("latin-1")
        if self._stream is not None:
            return LongString(
                index=self._index,
                kind="base64",
                media_type=self._media_type,
                size_bytes=self._file.size_bytes,
                is_whole=is_whole,
                rest=rest,
                prefix=prefix,
            )
        assert self._text is not None
        return LongString(
            index=self._index,
            kind="text",
            media_type=self._media_type,
            size_bytes=self._text.size_bytes,
            is_whole=is_whole,
            rest=rest,
            prefix=prefix,
            decoded_bytes=self._decoded_bytes,
            is_url_safe=self._is_url_safe,
        )

    def close(self) -> None:
        """Close the files; a second time does nothing."""
        try:
            self._file.close()
        finally:
            if self._text is not None:
                self._text.close()

    # The way back to text ------------------------------------------------------------------------

    def _begin_text(self, source: bytes) -> None:
        """Keep the text from here on; what came before is what was decoded so far."""
        self._text = NewFile(self._path.with_name(f"{self._path.name}.raw"))
        self._decoded_bytes = self._file.size_bytes
        self._text_write(source)

    def _give_up(self) -> None:
        """Take the string for text from now on: it is no base64."""
        assert self._stream is not None
        if self._text is None:
            self._begin_text(self._stream.rest)
        self._is_url_safe = self._stream.is_url_safe
        self._stream = None

    def _text_write(self, source: bytes) -> None:
        assert self._text is not None
        self._text.write(source)

    def _drop_copy(self) -> None:
        if self._text is not None:
            self._text.close()
            try:
                self._text.path.unlink()
            except OSError as error:
                raise StorageFailed(self._text.path, error) from error
            self._text = None
