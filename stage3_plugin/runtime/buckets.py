"""Addresses of buckets as text: which store, which bucket, and where in it.

Apart from what speaks to a bucket, since settings have to be judged without any library for it.
What could be a credential is refused here: an address stands in configs, manifests and errors.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_PREFIX = re.compile(r"[A-Za-z0-9._=+-]+(/[A-Za-z0-9._=+-]+)*")
_UP = re.compile(r"(^|/)\.{1,2}(/|$)")

CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of the machine",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or the account of the machine",
    "az": "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, "
    "or the identity of the machine",
}
"""By scheme, where its credentials are read from, for a person's next step."""
SCHEMES: Final = (*CREDENTIALS, "file")


class BucketAddress(NamedTuple):
    """Where objects lie.

    Attributes:
        scheme: One of :data:`SCHEMES`.
        bucket: Its name (Azure: the container's); nothing for ``file``.
        prefix: What all names in it begin with, without slashes around it; for ``file`` the
            absolute folder.
    """

    scheme: str
    bucket: str
    prefix: str

    def __str__(self) -> str:
        """Write it as a setting has it."""
        if self.scheme == "file":
            return f"file://{quote(self.prefix)}"
        return "/".join(filter(None, (f"{self.scheme}://{self.bucket}", self.prefix)))


def bucket_address(text: str) -> BucketAddress:
    """Read an address.

    Raises:
        ValueError: It is none, or has what could be a credential; says so without showing it.
    """
    scheme, separator, rest = text.partition("://")
    if scheme != "file" and any(mark in text for mark in "@?#"):
        raise ValueError(
            "an address of a bucket has no user, password, signature or query; credentials are "
            f"read from the environment: {CREDENTIALS.get(scheme, CREDENTIALS['s3'])}"
        )
    if not separator or scheme not in SCHEMES:
        raise ValueError(
            "an address of a bucket starts with s3://, gs://, az:// or file://; a server of your "
            "own that speaks S3 is s3:// too, with its address in the variable AWS_ENDPOINT_URL"
        )
    if scheme == "file":
        return BucketAddress(scheme, "", _folder(rest))
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if _BUCKET.fullmatch(bucket) is None:
        raise ValueError(
            f"an address of a bucket names it after {scheme}://, in letters, digits, '.', '_' and "
            "'-'"
        )
    if prefix and (_PREFIX.fullmatch(prefix) is None or _UP.search(prefix)):
        raise ValueError(
            "what follows the bucket's name is words of letters, digits, '.', '_', '=', '+' and "
            "'-', parted by single slashes"
        )
    return BucketAddress(scheme, bucket, prefix)


def _folder(rest: str) -> str:
    folder = unquote(rest).rstrip("/")
    if not rest.startswith("/") or not folder or any(mark in rest for mark in "?#"):
        raise ValueError("a folder is written with three slashes and its whole path: file:///srv/x")
    if not folder.isprintable() or _UP.search(folder):
        raise ValueError("a folder's path has no '..' and no control characters")
    return folder
