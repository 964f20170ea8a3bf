"""What is known of our vendors beforehand, as data: ``profiles.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from stage3_plugin.domain.profile import Listing, Profile
from stage3_plugin.providers.tables import shipped


def profile_named(name: str) -> Profile:
    """Return the profile of one of ours."""
    row = dict(_rows()[name])
    for field, kind in (("unsaid", frozenset), ("picture_hosts", tuple), ("job_hosts", tuple)):
        row[field] = kind(row.get(field, ()))
    listing = row.pop("listing", None)
    return Profile(name=name, listing=listing and Listing(**listing), **row)


@cache
def _rows() -> Mapping[str, Mapping[str, Any]]:
    return shipped("profiles.toml")
