"""What the bucket of a project lacks of what was paid for, and how it is filled.

A bucket is listed, a thousand names a request, and compared by name and length. What is in it is
read only where a person asks for that: it costs as much as all pictures together. Its address is
what the last run noted; its credentials are the environment's, as a run's are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from stage3_plugin.domain.picture import Picture
from stage3_plugin.storage.base import PictureStore
from stage3_plugin.storage.bucket import Bucket

_AT_ONCE = 12


def sizes_of(bucket: Bucket, wanted: Iterable[Picture]) -> dict[str, int]:
    """Return which of these pictures a bucket has, with their lengths there in bytes.

    Raises:
        BucketFailed: It cannot be listed.
    """
    names = {picture.sha256 for picture in wanted}
    return {sha256: size for sha256, size in bucket.sizes() if sha256 in names}


def what_lacks(picture: Picture, there: Mapping[str, int]) -> str | None:
    """Say what is wrong with a picture in a bucket, as far as a list of names shows."""
    size = there.get(picture.sha256)
    if size is None:
        return "the bucket lacks it"
    if size != picture.size_bytes:
        return f"the bucket has {size:,} bytes of its {picture.size_bytes:,}"
    return None


def is_whole(bucket: Bucket, sha256: str) -> bool:
    """Return whether what a bucket has by a picture's name are its bytes; reads all of them.

    Raises:
        BucketFailed: It cannot be read.
    """
    digest = hashlib.sha256()
    return bucket.get(sha256, digest.update) and digest.hexdigest() == sha256


def fill(
    bucket: Bucket,
    store: PictureStore,
    lacking: Iterable[Picture],
    *,
    progress: Callable[[int, int], None],
) -> frozenset[str]:
    """Put pictures into a bucket that lacks them, each as it is in the store, whole.

    Returns:
        Which; those that the store lacks too are not among them.

    Raises:
        StorageFailed: One cannot be read or written; those before it are there.
    """
    pictures = list(lacking)
    filled: set[str] = set()

    def put(picture: Picture) -> str | None:
        if not store.holds(picture.sha256):
            return None
        bucket.put(picture.sha256, store.where(picture.sha256), picture.media_type)
        return picture.sha256

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for done, sha256 in enumerate(threads.map(put, pictures)):
            progress(done, len(pictures))
            if sha256 is not None:
                filled.add(sha256)
    return frozenset(filled)
