"""A PostgreSQL server of its own for tests: started by them, as an ordinary user, and gone after.

It refuses to run as root, so root starts it as ``nobody``. It listens on a socket in its folder,
where anybody is whom they say, and on a loopback port, where a password is asked for. Its files are
not synced, unless a test is about that. It ends with the process that started it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.rules.repository import blocks, page

OWNER = "owner"
"""The superuser's name; ``PASSWORD`` is everybody's."""
PASSWORD = "a pass/word: 100% @ease"
_CONFIG = """
unix_socket_directories = '{folder}'
unix_socket_permissions = 0777
listen_addresses = '127.0.0.1'
port = {port}
max_connections = 200
shared_buffers = 16MB
fsync = {fsync}
full_page_writes = {fsync}
password_encryption = scram-sha-256
log_min_messages = warning
{more}
"""
_WHO_MAY = """
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""


def grants(project: str, role: str) -> str:
    """Return what an owner runs, as the page has it, so that a role may buy and do no more."""
    (script,) = blocks(page("postgres.md"), "sql")
    quoted = '"' + project.replace('"', '""') + '"'
    return script.replace("lighthouse", quoted).replace("drivers", f'"{role}"')


def binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs; distributions keep them off the path."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return known[-1].parent if known else None


class PostgresServer:
    """A server in a folder of its own; made by :func:`running`.

    Attributes:
        folder: Its data, and the socket.
        port: On 127.0.0.1, and of the socket's name.
    """

    def __init__(self, folder: Path, port: int, *, durable: bool, more: str) -> None:
        self.folder = folder
        self.port = port
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._make(_CONFIG.format(
            folder=folder, port=port, fsync="on" if durable else "off", more=more
        ))  # fmt: skip

    def _make(self, config: str) -> None:
        secret = self.folder / "secret"
        secret.write_text(PASSWORD, encoding="utf-8")
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for path in (self.folder, secret):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        self._call("initdb", "-D", self._data, "-U", OWNER, "-E", "UTF8", "--no-locale", "-N",
                   "--auth=trust", f"--pwfile={secret}")  # fmt: skip
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(config)
        (self._data / "pg_hba.conf").write_text(_WHO_MAY, encoding="utf-8")

    def _call(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            self._command(program, arguments), capture_output=True, check=False, cwd=self.folder
        )
        if done.returncode:
            raise AssertionError(f"{program}: {done.stderr.decode(errors='replace')}")

    def _command(self, program: str, arguments: Sequence[object]) -> list[str]:
        folder = binaries()
        assert folder is not None
        command = [str(folder / program), *map(str, arguments)]
        if shutil.which("setpriv") is None:
            return command
        before = ["setpriv", "--pdeathsig=QUIT"]  # the server ends with us, however we end
        if os.geteuid() == 0:
            before += ["--reuid=nobody", f"--regid={pwd.getpwnam('nobody').pw_gid}"]
            before += ["--clear-groups"]
        return [*before, *command]

    # Its life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", ["-D", self._data]), stdout=log, stderr=log
            )
        until = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(self.log)
            time.sleep(0.02)

    def _answers(self) -> bool:
        import psycopg

        with suppress(psycopg.OperationalError):
            psycopg.connect(self.url(), connect_timeout=5).close()
            return True
        return False

    def stop(self, *, at_once: bool = False) -> None:
        """Stop it: in order, with all sessions ended; or at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def processes(self) -> list[int]:
        """Return its process identifiers, of all sessions too."""
        assert self._process is not None
        parent = self._process.pid
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, check=False
        )
        return [parent, *map(int, children.stdout.split())]

    @contextmanager
    def frozen(self) -> Generator[None]:
        """Stop all its processes in the block: its connections stay, and nothing answers."""
        stopped = self.processes()
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in stopped:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    @property
    def log(self) -> str:
        """Return what it has written."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    # Its databases -------------------------------------------------------------------------------

    def url(self, database: str = "postgres", *, role: str = OWNER, more: str = "") -> str:
        """Return the address of a database by the socket; no password is needed there."""
        where = quote(str(self.folder), safe="")
        return f"postgresql://{role}@/{database}?host={where}&port={self.port}{more}"

    def tcp_url(self, database: str = "postgres", *, role: str = OWNER, more: str = "") -> str:
        """Return the address of a database by the loopback port, with the password in it."""
        where = f"{role}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}"
        return f"postgresql://{where}/{database}{more}"

    def execute(
        self, statement: str, *, database: str = "postgres", role: str = OWNER
    ) -> list[Any]:
        """Run statements as anybody, each by itself, and return what the last one found."""
        import psycopg

        with psycopg.connect(self.url(database, role=role), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self) -> str:
        """Make a database that nobody else uses, and return its name."""
        name = f"d{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def new_role(self, rights: str = "") -> str:
        """Make a role that may log in, with further rights in SQL, and return its name."""
        name = f"r{uuid.uuid4().hex[:12]}"
        secret = PASSWORD.replace("'", "''")
        self.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{secret}' {rights}")
        return name

    @cached_property
    def shared_database(self) -> str:
        """Return a database that tests share, each with a project of its own."""
        return self.new_database()


@contextmanager
def running(*, durable: bool = False, more: str = "") -> Generator[PostgresServer]:
    """Run a server in the block.

    Args:
        durable: Its files are synced, as a real one's are.
        more: Further lines of its configuration.
    """
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        server = PostgresServer(folder, port, durable=durable, more=more)
        try:
            server.start()
            yield server
        finally:
            server.stop(at_once=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run a server until Ctrl-C, for looking around by hand."""
    with running() as server:
        print(server.url())
        sys.stdin.read()


if __name__ == "__main__":
    main()
