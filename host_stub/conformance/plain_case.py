"""The case of ``plain``: it asks no service, so there is nothing to bring but sizes."""

from __future__ import annotations

from host_stub.conformance.case import Case

case = Case(
    sizes=("64x48", "48x64"),
    wrong_settings={"no colour": {"colour": "red"}, "a size in words": {"size": "large"}},
)
