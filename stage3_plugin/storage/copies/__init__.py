"""The job of making a copy that an endpoint takes, in words for an executor.

A stranger's picture is decoded in a process of its own, which holds no secret, and may take only so
much memory and time. Apart from what does the job there (:mod:`.shrinking`), because that imports
an imaging library, and this side never does; and from the references, of which that process needs
nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from stage3_plugin.domain.reference import Limits

WORK = "stage3_plugin.storage.copies.shrinking:copy"
"""What an executor runs: imported there, and never here."""
SLOTS = 2
"""So many copies are made at once: each may take a gigabyte for a moment."""
MOST_BYTES = 100_000_000
"""A larger file is refused unread."""
MOST_PIXELS = 100_000_000
MOST_SIDE_PX = 32_768
"""A larger picture is refused before any of its pixels is decoded."""
CONVERTIBLE = frozenset({"a GIF", "a BMP", "a TIFF", "an AVIF"})
"""Kinds that no endpoint takes as they are, and that copies are made of."""


def job_of(original: bytes, limits: Limits) -> bytes:
    """Put a job into bytes: a picture's own, and what a copy of it has to keep to."""
    return json.dumps(asdict(limits)).encode("ascii") + b"\n" + original


def job_from(job: bytes) -> tuple[bytes, Limits]:
    """Read what :func:`job_of` wrote."""
    head, _, original = job.partition(b"\n")
    limits = json.loads(head)
    return original, Limits(**limits | {"media_types": tuple(limits["media_types"])})
