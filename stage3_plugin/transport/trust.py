"""Whose certificates are trusted: the usual authorities, or those the environment names instead.

``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are OpenSSL's own variables, which curl and Python's ``ssl``
obey, too. They count without ``trust_env``: a proxy changes where a request goes, a certificate
only which server is believed, and these variables are meant for every program.
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

from stage3_plugin.errors import EnvironmentRefused

FILE = "SSL_CERT_FILE"
FOLDERS = "SSL_CERT_DIR"

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")


def named_trust() -> ssl.SSLContext | None:
    """Return the trust that the environment names; ``None`` if it names none.

    Raises:
        EnvironmentRefused: A file or folder is not there, or has no certificate in it.
    """
    file, folders = os.environ.get(FILE), os.environ.get(FOLDERS)
    if not file and not folders:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts no certificate yet
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate that is named is trusted
    if file:
        _trust_file(context, Path(file))
    for folder in (folders or "").split(os.pathsep):
        if folder:
            _trust_folder(context, Path(folder))
    return context


def _trust_file(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise _refused(FILE, f"names {path}, which holds no certificates") from None
    except OSError as error:
        raise _refused(FILE, f"names {path}, which cannot be read: {error.strerror}") from None


def _trust_folder(context: ssl.SSLContext, path: Path) -> None:
    try:
        names = [entry.name for entry in path.iterdir()]
    except OSError as error:
        raise _refused(FOLDERS, f"names {path}, which cannot be read: {error.strerror}") from None
    if not any(_HASHED.fullmatch(name) for name in names):
        raise _refused(
            FOLDERS, f"names {path}, which has no certificates under their hashes (openssl rehash)"
        )
    context.load_verify_locations(capath=path)


def _refused(variable: str, problem: str) -> EnvironmentRefused:
    return EnvironmentRefused(
        variable,
        problem,
        hint=f"correct it, or unset {variable} to trust the usual authorities",
    )
