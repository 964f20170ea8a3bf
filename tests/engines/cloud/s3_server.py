"""A real S3 server for tests: Ceph's radosgw with its store in one SQLite file, on loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

RADOSGW: Final = shutil.which("radosgw")
REGION: Final = "us-east-1"
SECRET: Final = "a secret of nothing but this test"

_TRIES: Final = 4
_CONFIG: Final = """\
[global]
fsid = 11111111-1111-1111-1111-111111111111
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
mon_host = 127.0.0.1
[client]
rgw_backend_store = dbstore
rgw_config_store = dbstore
dbstore_db_dir = {folder}/db
dbstore_config_uri = file:{folder}/config.db
rgw_data = {folder}/data
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_enable_apis = s3
rgw_run_sync_thread = false
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
rgw_enable_quota_threads = false
rgw_thread_pool_size = 32
client_mount_timeout = 3
rados_mon_op_timeout = 3
run_dir = {folder}
log_file = {folder}/radosgw.log
admin_socket =
"""


class S3Server:
    """One server; users and buckets are made as they are needed.

    Args:
        folder: Where it keeps everything.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("db", "data"):
            (folder / name).mkdir()
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = folder / "ceph.conf"
        self._config.write_text(_CONFIG.format(folder=folder, port=self.port), encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "out.txt").open("ab") as out:
            self._process = subprocess.Popen(
                [str(RADOSGW), *self._options(), "-f", "-d"], stdout=out, stderr=out
            )
        for _ in range(600):
            try:
                with urllib.request.urlopen(self.url, timeout=2) as answer:
                    assert b"ListAllMyBucketsResult" in answer.read()
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self._folder / "out.txt").read_text("utf-8", "replace")[-2000:])

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Have it take connections and answer none."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _options(self) -> list[str]:
        return ["-c", str(self._config), "-n", "client.rgw", "--no-mon-config"]

    def user(self, name: str) -> dict[str, str]:
        """Make a user, and return what the environment of its programs says."""
        command = [
            "radosgw-admin",
            *self._options(),
            *("user", "create", f"--uid={name}", f"--display-name={name}"),
            *(f"--access-key={name}", f"--secret={SECRET}"),
        ]
        for _ in range(_TRIES):  # once in a hundred times it never ends
            with suppress(subprocess.TimeoutExpired):
                ran = subprocess.run(command, check=False, capture_output=True, timeout=10)
                assert ran.returncode == 0 or b"exists" in ran.stderr, ran.stderr
                break
        return self.environment(name)

    def environment(self, name: str, secret: str = SECRET) -> dict[str, str]:
        """Return the variables with which a program reaches it as a user."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": name,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": REGION,
        }

    def bucket(self, name: str, owner: str, *, readers: tuple[str, ...] = ()) -> str:
        """Make a bucket, which some other users may only read; return its address."""
        self._ask("PUT", f"/{name}", owner)
        if readers:
            users = {"AWS": [f"arn:aws:iam:::user/{one}" for one in readers]}
            self._allow(name, owner, users, "s3:GetObject", "s3:ListBucket")
        return f"s3://{name}"

    def open_bucket(self, name: str, owner: str) -> None:
        """Make a bucket that everybody may read and write."""
        self._ask("PUT", f"/{name}", owner)
        self._allow(name, owner, "*", "s3:GetObject", "s3:ListBucket", "s3:PutObject")

    def _allow(self, name: str, owner: str, whom: object, *actions: str) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": whom,
            "Action": actions,
            "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self._ask("PUT", f"/{name}", owner, query="policy=", body=json.dumps(policy).encode())

    def _ask(self, method: str, path: str, key: str, *, query: str = "", body: bytes = b"") -> None:
        """Ask as a user, signed as AWS has it (version 4)."""
        now = datetime.now(UTC)
        moment, day = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}"
        scope = f"{day}/{REGION}/s3/aws4_request"
        digest = hashlib.sha256(body).hexdigest()
        headers = {
            "host": f"127.0.0.1:{self.port}",
            "x-amz-content-sha256": digest,
            "x-amz-date": moment,
        }
        named = ";".join(headers)
        asked = "\n".join(
            (method, path, query, *(f"{a}:{b}" for a, b in headers.items()), "", named, digest)
        )
        to_sign = "\n".join(
            ("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(asked.encode()).hexdigest())
        )
        secret = f"AWS4{SECRET}".encode()
        for part in (*scope.split("/"), to_sign):
            secret = hmac.digest(secret, part.encode(), "sha256")
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={named}, "
            f"Signature={secret.hex()}"
        )
        url = f"{self.url}{path}{'?' if query else ''}{query}"
        request = urllib.request.Request(url, method=method, headers=headers, data=body or None)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status in {200, 204}


def _free_port() -> int:
    """Return a port that no program is handed by chance while the server is down."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
