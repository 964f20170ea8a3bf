"""Why two machines did not come together, in words for people and in what follows from it.

From classes and codes of the standard library only: the texts of exceptions may hold headers, and
so the key. What OpenSSL says of a certificate holds names and dates, and is shown.
"""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass

from stage3_plugin.runtime.system_errors import THREADS_HINT, ThreadLacking, hint_for
from stage3_plugin.transport.lookups import AddressForbidden, NameServerSilent

NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)}
"""What ``getaddrinfo`` says of a name that is known not to exist."""


class TurnedAway(OSError):
    """A server ended a connection in TLS, over who asks, before a byte of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What keeps a connection from being made.

    Attributes:
        words: One line, naming the other side.
        is_permanent: It would be the same at once again.
        is_for_all: And for every other request to the same place.
    """

    words: str
    is_permanent: bool = False
    is_for_all: bool = False


def links(error: BaseException) -> list[BaseException]:
    """Return an exception and all that caused it."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain


def fault_of(error: BaseException, peer: str) -> Fault | None:
    """Return why a connection to ``peer`` was not made; ``None`` if that is not known."""
    for link in links(error):
        if isinstance(link, ssl.SSLError):
            return _of_tls(link, peer)
        if isinstance(link, AddressForbidden):
            words = f"{peer} stands for {link.number}, which is no address of the open internet"
            return Fault(words=words, is_permanent=True)
        reason = _of_socket(link)
        if reason is not None:
            return Fault(words=f"cannot connect to {peer}: {reason}")
    return None


def _of_socket(link: BaseException) -> str | None:
    if isinstance(link, NameServerSilent):
        return "the name server did not answer"
    if isinstance(link, socket.gaierror):
        if link.errno == socket.EAI_AGAIN:
            return "the name server did not answer"
        is_unknown = link.errno in NO_SUCH_NAME
        return "the host name could not be resolved" if is_unknown else "its name is not found"
    if isinstance(link, ConnectionRefusedError):
        return "the connection was refused: nothing listens there"
    if isinstance(link, OSError) and link.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return "there is no route to it"
    if isinstance(link, ThreadLacking):
        return f"{link.strerror}; {THREADS_HINT}"
    if isinstance(link, OSError) and link.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}:
        return f"{link.strerror}; {hint_for(link)}"
    return None


_ISSUER_UNKNOWN = {2, 18, 19, 20, 21}
"""Codes of X509_verify_cert for what one's own authority would cure."""
_NO_TLS = {"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL", "WRONG_VERSION_NUMBER"}
_ABOUT_CERTIFICATES = (
    "bad certificate",
    "certificate expired",
    "certificate required",
    "certificate revoked",
    "certificate unknown",
    "unknown ca",
    "unsupported certificate",
)
_WHO_MAY_NOT = (
    *_ABOUT_CERTIFICATES,
    "alert access denied",
    "alert handshake failure",
    "alert no application protocol",
    "unrecognized name",
)
"""OpenSSL's words for alerts that are sent only before anything is handed on."""
_OLD_TLS = {"NO_PROTOCOLS_AVAILABLE", "TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"}


def says_who_may_not(error: OSError) -> bool:
    """Return whether an error is an alert by which a server turns away whoever asks."""
    return isinstance(error, ssl.SSLError) and _ends_with(_WHO_MAY_NOT, error)


def _ends_with(words: tuple[str, ...], error: ssl.SSLError) -> bool:
    return str(error).partition(" (_ssl")[0].endswith(words)


def _of_tls(error: ssl.SSLError, peer: str) -> Fault:
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"the certificate of {peer} is not trusted: {error.verify_message.rstrip('.')}"
        if error.verify_code in _ISSUER_UNKNOWN:
            words += "; an authority of one's own is named by SSL_CERT_FILE"
        return Fault(words=words, is_permanent=True, is_for_all=True)
    reason = str(error.reason or "")
    if reason in _NO_TLS:
        words = f"{peer} does not speak TLS on this port; is its address one with http://?"
        return Fault(words=words, is_permanent=True, is_for_all=True)
    if reason in _OLD_TLS:
        words = f"{peer} speaks only versions of TLS that are no longer safe"
        return Fault(words=words, is_permanent=True, is_for_all=True)
    if isinstance(error, ssl.SSLEOFError) or not reason:
        return Fault(words=f"{peer} ended the connection while TLS was being agreed on")
    words = f"no TLS with {peer}: {reason.lower().replace('_', ' ')}"
    if _ends_with(_ABOUT_CERTIFICATES, error):
        words += "; it wants a certificate of the client's that it knows, which cannot be given"
    is_from_peer = "ALERT" in reason  # by the other side, which will say so again
    return Fault(words=words, is_permanent=is_from_peer, is_for_all=is_from_peer)
