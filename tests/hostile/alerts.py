"""A server that answers every request with an alert of TLS 1.3, one's own or OpenSSL's.

OpenSSL sends those alerts only that fit what it met, as it does for a client without a certificate.
Any other this server seals itself, by the keys that OpenSSL's handshake has agreed on.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import socket
import ssl
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

_ALERT: Final = 21
_HIDDEN: Final = 23
"""Types of records; under TLS 1.3 whatever is sealed is called application data from outside."""
_WARNING, _FATAL = 1, 2
_TAG_BYTES: Final = 16


@dataclass(slots=True)
class Alerting:
    """What came.

    Attributes:
        port: Where it listens.
        received_bytes: Of requests, before the alerts.
        connections: How many there were.
    """

    port: int
    received_bytes: int = 0
    connections: int = 0


@contextlib.contextmanager
def alerting(
    authority: trustme.CA, alert: int | None, folder: Path, *, behind: bytes = b""
) -> Generator[Alerting]:
    """Answer every request with an alert, in the block.

    Args:
        authority: Signs the server's certificate.
        alert: Its number; ``None`` wants a client's certificate, and leaves the rest to OpenSSL.
        folder: For the keys of the connections.
        behind: What is answered before it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # the alert is the first record, or the second behind an answer
    with authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    if alert is None:
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Alerting(listening.getsockname()[1])

        def serve(connection: socket.socket, number: int) -> None:
            keys = folder / f"keys-{number}"
            with contextlib.suppress(OSError), connection:
                server.received_bytes += _meet(connection, context, keys, alert, behind)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    server.connections += 1
                    serve(connection, server.connections)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            accepting.join()


def _meet(
    connection: socket.socket,
    context: ssl.SSLContext,
    keys: Path,
    alert: int | None,
    behind: bytes,
) -> int:
    """Agree on TLS, read a request, end it with the alert, and return how long it was."""
    connection.settimeout(10)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context.keylog_filename = str(keys)
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    request = b""
    is_agreed = False
    try:
        while not request.endswith(b"}"):  # the end of a request for a picture
            try:
                if not is_agreed:
                    tls.do_handshake()
                    is_agreed = True
                request += tls.read(65536)
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                piece = connection.recv(65536)
                if not piece:
                    return len(request)
                incoming.write(piece)
    except ssl.SSLError:  # a client without a certificate; OpenSSL has made the alert
        assert alert is None
    else:
        assert alert is not None
        if behind:
            tls.write(behind)
        cipher = tls.cipher()
        assert cipher is not None
        records_before = 1 if behind else 0
        outgoing.write(_sealed_alert(alert, cipher[0], _secret_in(keys), records_before))
    connection.sendall(outgoing.read())
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):  # to close on what was not read would reset
        pass
    return len(request)


def _secret_in(keys: Path) -> bytes:
    """Return the secret that the server's own records are sealed by."""
    for line in keys.read_text(encoding="ascii").splitlines():
        if line.startswith("SERVER_TRAFFIC_SECRET_0 "):
            return bytes.fromhex(line.rpartition(" ")[2])
    raise AssertionError("no TLS 1.3 was agreed on")


def _sealed_alert(alert: int, cipher: str, secret: bytes, records_before: int) -> bytes:
    """Make the record of an alert (RFC 8446, 5.2 and 7.3)."""
    digest = "sha384" if cipher.endswith("SHA384") else "sha256"
    key_bytes = 16 if "AES_128" in cipher else 32
    key = _expanded(secret, b"key", key_bytes, digest)
    nonce = int.from_bytes(_expanded(secret, b"iv", 12, digest)) ^ records_before
    inner = bytes([_WARNING if alert == 0 else _FATAL, alert, _ALERT])
    head = bytes([_HIDDEN, 3, 3]) + (len(inner) + _TAG_BYTES).to_bytes(2)
    seal = ChaCha20Poly1305(key) if "CHACHA20" in cipher else AESGCM(key)
    return head + seal.encrypt(nonce.to_bytes(12), inner, head)


def _expanded(secret: bytes, label: bytes, length: int, digest: str) -> bytes:
    label = b"tls13 " + label
    info = length.to_bytes(2) + bytes([len(label)]) + label + b"\0"
    assert length <= hashlib.new(digest).digest_size  # one block is enough
    return hmac.digest(secret, info + b"\x01", digest)[:length]
