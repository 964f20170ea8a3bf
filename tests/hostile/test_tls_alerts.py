"""An alert of TLS that comes in place of an answer: which of them prove that nothing ran.

Under TLS 1.3 a server looks at the client's certificate when the client may have sent its request
already, so its refusal comes as an alert behind the handshake. Those about certificates, names and
protocols are sent before anything is handed on. Any other may end a connection whose request has
long been passed to who makes pictures.
"""

from __future__ import annotations

import re
import socket
import ssl
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
import trustme

from host_stub.contract import SceneOutcome
from stage3_plugin import make_pictures
from tests.fakes.image_api import ImageApi
from tests.heavy import first_of
from tests.hostile.alerts import alerting
from tests.library.calling import code, painter, scenes
from tests.projects import Project

OF_THE_CERTIFICATE: Final = {
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    48: "unknown_ca",
    116: "certificate_required",
}
PROVE: Final = {
    40: "handshake_failure",
    49: "access_denied",
    112: "unrecognized_name",
    120: "no_application_protocol",
    **OF_THE_CERTIFICATE,
}
"""What is sent only before anything is handed on."""
PROVE_NOTHING: Final = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    47: "illegal_parameter",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    255: "a number without a meaning",
}
FIRST: Final = ("close_notify", "illegal_parameter", "decrypt_error", "internal_error")
NUMBERS: Final = {name: number for number, name in (PROVE | PROVE_NOTHING).items()}


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that is trusted, as a company names its own."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


def asked_of(port: int, folder: Path) -> SceneOutcome:
    """Ask for one picture."""
    with ImageApi() as api:  # lends its settings, and is never asked
        settings = painter(api, base_url=f"https://127.0.0.1:{port}/v1", max_attempts=1)
        made = make_pictures(
            scenes(1), settings, out_dir=folder / "out", project_dir=folder, check=False
        )
        assert api.connections == 0
    (outcome,) = made.outcomes
    return outcome


@pytest.mark.parametrize("name", PROVE.values())
def test_an_alert_about_who_asks_proves_that_nothing_ran(
    authority: trustme.CA, tmp_path: Path, name: str
) -> None:
    """Nothing is left to decide; where it is about the certificate, the message says that word."""
    with alerting(authority, NUMBERS[name], tmp_path) as server:
        outcome = asked_of(server.port, tmp_path)

    assert server.received_bytes > 100
    assert outcome.failure is not None
    assert (code(outcome), outcome.cost.usd) == ("unavailable", Decimal(0))
    assert NUMBERS[name] not in OF_THE_CERTIFICATE or "certificate" in outcome.failure.message


def test_a_server_that_wants_a_clients_certificate_is_told_as_that(
    authority: trustme.CA, tmp_path: Path
) -> None:
    """One connection and one message for all scenes, and the run stops: none would fare better."""
    with alerting(authority, None, tmp_path) as server, ImageApi() as api:
        project = Project(tmp_path)
        project.scenes(3)
        project.config(api, base_url=f"https://127.0.0.1:{server.port}/v1", capacity=1)
        ran = project.run("run", "scenes.json")

    assert ({*project.codes().values()}, ran.returncode) == ({"unavailable", "not_tried"}, 3)
    assert server.connections == 1
    assert "certificate" in ran.stderr
    assert project.manifest()["cost_usd"] == "0"


@pytest.mark.parametrize("name", first_of(PROVE_NOTHING.values(), *FIRST))
def test_any_other_alert_proves_nothing(authority: trustme.CA, tmp_path: Path, name: str) -> None:
    """What was asked for may be being made; it is never asked for again by itself."""
    with alerting(authority, NUMBERS[name], tmp_path) as server:
        first = asked_of(server.port, tmp_path)
        again = asked_of(server.port, tmp_path)

    assert (code(first), code(again)) == ("unknown", "unknown")
    assert server.connections == 1


@pytest.mark.parametrize("name", first_of(PROVE.values(), "certificate_required"))
def test_no_alert_proves_anything_behind_the_first_byte_of_an_answer(
    authority: trustme.CA, tmp_path: Path, name: str
) -> None:
    """Somebody has begun to answer, and so may have begun to work."""
    with alerting(authority, NUMBERS[name], tmp_path, behind=b"H") as server:
        outcome = asked_of(server.port, tmp_path)

    assert code(outcome) == "unknown"


@pytest.mark.parametrize("behind", [b"", b"HTTP/1.1 200 OK\r\n"], ids=["at once", "behind words"])
@pytest.mark.parametrize("alert", [112, 116, 80])
def test_the_server_of_these_tests_sends_what_it_says(
    authority: trustme.CA, tmp_path: Path, alert: int, behind: bytes
) -> None:
    """OpenSSL reads its alert, which it could not if one bit of the seal were wrong."""
    context = ssl.create_default_context(cafile=tmp_path / "authority.pem")
    with (
        alerting(authority, alert, tmp_path, behind=behind) as server,
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
    ):
        client.sendall(b"{}")
        with pytest.raises(ssl.SSLError) as caught:  # noqa: PT012 - of any read
            while client.recv(100):
                pass

    assert re.search("(tls|ssl)v1?[13] ", str(caught.value))  # and no word of a broken record
