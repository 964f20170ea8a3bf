"""Where secrets come from: ``{ env = "NAME" }``, ``{ file = "PATH" }``, ``{ command = ["…"] }``.

They stand in a plugin's table. They are filled in at the last moment, into a copy, and only for
plugins that are used: a config can be read, listed and shown without any of them being there. What
comes out keeps them from being printed by accident; a settings model then holds them as
``SecretStr``. (A host that wrote resolved secrets back into its config once published them with it:
simonw/datasette#538.)

A command is asked without a shell, so that no text of a config is ever taken for more than a word;
without standard input; and neither for long nor for much, whatever the command does. What it writes
to standard error is shown to nobody: it may be the secret, said in another way.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO, Any, Final, cast

from host_stub.errors import SecretUnavailable

LONGEST_S: Final = 60.0
"""Long enough for a person to touch a key, or to be asked by another program."""
MOST_BYTES: Final = 64 << 10
"""More than this is not a secret but a mistake, such as ``yes``."""


class NoSecret(Exception):
    """The command gave none; the text says why, without a word that it wrote."""


def secret_of(command: Sequence[str], *, folder: Path, longest_s: float = LONGEST_S) -> str:
    """Run a command, and return what it writes to standard output, without its last line break.

    Args:
        command: The program and its arguments, as they are.
        folder: Where it runs.
        longest_s: Seconds that it may take.

    Raises:
        NoSecret: It cannot be run, failed, took too long, or wrote nothing that is a secret.
    """
    known = f"the command {command[0]!a}" if shutil.which(command[0]) else "its command"
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own words, and no shell reads them
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in a word
        reason = error.strerror if isinstance(error, OSError) else None
        raise NoSecret(f"{known} cannot be run: {reason or type(error).__name__}") from None
    assert process.stdout is not None
    reader = _Reader(process.stdout)
    reader.start()
    reader.join(longest_s)
    is_late = reader.is_alive()
    if is_late or len(reader.content) > MOST_BYTES:
        process.kill()
    try:
        code = process.wait(longest_s)
    except subprocess.TimeoutExpired:  # it closed its output, and goes on
        process.kill()
        code, is_late = process.wait(), True
    if is_late:
        raise NoSecret(f"{known} did not end within {longest_s:g} s")
    if len(reader.content) > MOST_BYTES:
        raise NoSecret(f"{known} wrote more than {MOST_BYTES} bytes")
    if code != 0:
        raise NoSecret(f"{known} ended with code {code}")
    try:
        secret = reader.content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise NoSecret(f"{known} wrote what is not UTF-8 text") from None
    if not secret:
        raise NoSecret(f"{known} wrote nothing")
    return secret


class _Reader(Thread):
    """Reads as much as there may be; what the command has begun may keep it from its end."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self.content = b""

    def run(self) -> None:
        with self._pipe:
            self.content = self._pipe.read(MOST_BYTES + 1)


LONGEST_FILE_BYTES: Final = 64 << 10
"""More than this is not a secret but a mistake, such as ``/dev/zero``."""

_SOURCES: Final = frozenset({"env", "file", "command"})
_PLAIN_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class ResolvedTable:
    """A plugin's table with its secrets filled in; printing it shows none of its values.

    Attributes:
        values: The settings.
        secrets: The texts that came from variables, files and commands.
        asks_commands: A command was asked for one: it may have another one by now.
        lacks: Those that could not be had; an :class:`~host_stub.config.absent.AbsentSecret` stands
            for each.
    """

    values: dict[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    asks_commands: bool = False
    lacks: Sequence[SecretUnavailable] = ()


def resolve(
    settings: Mapping[str, Any],
    *,
    table: str,
    config: Path | None,
    project_dir: Path,
    may_lack: bool = False,
) -> ResolvedTable:
    """Copy a table with every ``{env=…}``, ``{file=…}`` and ``{command=…}`` in it replaced.

    Args:
        settings: The table as it was written; it is not changed.
        table: Its name, for messages: ``plugin.stage3``.
        config: The config file, for messages.
        project_dir: Where relative paths start.
        may_lack: For a command that sends nothing: a secret that cannot be had is missed where it
            is read, and only there.

    Raises:
        SecretUnavailable: A variable is unset or empty, a file cannot be read, or a command fails.
    """
    resolver = _Resolver(table, config, project_dir, may_lack=may_lack)
    values = {name: resolver.copy(value, name) for name, value in settings.items()}
    return ResolvedTable(values, tuple(resolver.secrets), resolver.asks_commands, resolver.lacks)


class _Resolver:
    """Walks one table and collects the secrets it meets."""

    def __init__(
        self, table: str, config: Path | None, project_dir: Path, *, may_lack: bool
    ) -> None:
        self._table = table
        self._config = config
        self._project_dir = project_dir
        self._may_lack = may_lack
        self.secrets: list[str] = []
        self.lacks: list[SecretUnavailable] = []
        self.asks_commands = False

    def copy(self, value: object, key: str) -> object:
        if isinstance(value, list):
            parts = cast("Sequence[object]", value)
            return [self.copy(part, f"{key}.{index}") for index, part in enumerate(parts)]
        if not isinstance(value, dict):
            return value
        table = cast("Mapping[str, object]", value)
        if table and table.keys() <= _SOURCES:
            try:
                secret = self._fetch(table, key)
            except SecretUnavailable as error:
                if not self._may_lack:
                    raise
                from host_stub.config.absent import AbsentSecret  # noqa: PLC0415 - loads pydantic

                self.lacks.append(error)
                return AbsentSecret(error)
            self.secrets.append(secret)
            return secret
        return {name: self.copy(part, f"{key}.{name}") for name, part in table.items()}

    def _fetch(self, source: Mapping[str, object], key: str) -> str:
        kind, value = next(iter(source.items()))
        if len(source) == 1 and kind == "command":
            return self._command(value, key)
        if len(source) > 1 or not isinstance(value, str):
            raise self._unavailable(
                key,
                "should name one source",
                'write { env = "NAME" }, { file = "PATH" } or { command = ["PROGRAM", "WORD"] }',
            )
        return self._variable(value, key) if kind == "env" else self._file(value, key)

    def _command(self, value: object, key: str) -> str:
        words = cast("Sequence[object]", value) if isinstance(value, list) else ()
        command = [word for word in words if isinstance(word, str)]
        if not command or len(command) < len(words) or not command[0]:
            raise self._unavailable(
                key,
                "should name a command by its words",
                'write { command = ["PROGRAM", "WORD"] }: a list, since no shell reads it',
            )
        self.asks_commands = True
        try:
            return secret_of(command, folder=self._project_dir)
        except NoSecret as error:
            problem = str(error)
        raise self._unavailable(
            key,
            problem,
            "run it by hand, in the config's folder: it should write the secret, and nothing else, "
            "to standard output. No shell reads its words: ~, $NAME and | stand as they are",
        )

    def _variable(self, name: str, key: str) -> str:
        secret = os.environ.get(name, "")
        if secret:
            return secret
        if _PLAIN_NAME.fullmatch(name) is None:
            # The secret itself may stand where its variable's name belongs, so it is not shown.
            raise self._unavailable(
                key,
                "the environment variable it names is not set",
                "env takes the name of a variable, such as IMAGE_API_KEY, never the value",
            )
        state = "is empty" if name in os.environ else "is not set"
        raise self._unavailable(
            key, f"environment variable {name} {state}", f"export {name}=… and run again"
        )

    def _file(self, name: str, key: str) -> str:
        path = self._project_dir / name
        hint = "write the secret, and nothing else, into that file, or correct the path"
        try:
            path = self._project_dir / Path(name).expanduser()
            with path.open("rb") as handle:
                content = handle.read(LONGEST_FILE_BYTES + 1)
            secret = content.decode()
        except UnicodeDecodeError:
            problem = f"file {path} is not UTF-8 text"
        except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL in the path
            reason = error.strerror if isinstance(error, OSError) else None
            problem = f"file {path} cannot be read: {reason or type(error).__name__}"
        else:
            secret = secret.removesuffix("\n").removesuffix("\r")  # an editor's last line break
            if len(content) > LONGEST_FILE_BYTES:
                problem = f"file {path} has more than {LONGEST_FILE_BYTES} bytes"
            elif secret:
                return secret
            else:
                problem = f"file {path} is empty"
        # Not chained: a decoding error carries the file's content.
        raise self._unavailable(key, problem, hint)

    def _unavailable(self, key: str, what: str, hint: str) -> SecretUnavailable:
        return SecretUnavailable(self._config, self._table, key, what, hint=hint)
