"""A pgbouncer of the tests' own, in front of a server: by the session, or by the transaction."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.engines.postgres_server import PostgresServer

_CONFIG = """
[databases]
* = host={folder} port={server} user=owner
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
server_round_robin = {robin}
ignore_startup_parameters = options
"""


def is_there() -> bool:
    """Return whether this system has a pgbouncer."""
    return shutil.which("pgbouncer") is not None


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def pooling(
    server: PostgresServer, mode: str, *, size: int, robin: int = 0, port: int = 0
) -> Generator[int]:
    """Run a pooler in the block, and give the port that it listens on: by default a free one."""
    port = port or free_port()
    folder = Path(tempfile.mkdtemp(prefix="pool-", dir="/tmp"))
    config = folder / "pgbouncer.ini"
    config.write_text(
        _CONFIG.format(
            folder=server.folder, server=server.port, port=port, mode=mode, size=size, robin=robin
        ),
        encoding="utf-8",
    )
    command = ["pgbouncer", str(config)]
    if os.geteuid() == 0:  # it refuses root
        folder.chmod(0o755)
        nobody = pwd.getpwnam("nobody")
        command = [
            "setpriv", "--pdeathsig=QUIT", "--reuid=nobody", f"--regid={nobody.pw_gid}",
            "--clear-groups", *command,
        ]  # fmt: skip
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, process.stdout and process.stdout.read()
            time.sleep(0.01)
        yield port
    finally:
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)
