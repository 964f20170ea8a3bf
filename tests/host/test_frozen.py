"""A closed contract never changes; nor do the kit's sentences.

``python tests/host/frozen.py`` writes what the file holds. What a plugin may rely on is closed with
the version that is released: a further field or method is a new minor number.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from host_stub.conformance import requirement
from host_stub.contract import CONTRACT
from tests.host.frozen import described

FROZEN = Path(__file__).with_name("frozen")
SENTENCES = Path(requirement.__file__).with_name("requirements.toml")
DIGEST = "778ba1ac3b416b317d39695c2bf91d2a72ddee05fccc1c2d411872d3c7472edd"
"""The requirements, as they are closed with their contract."""


def test_the_contract_is_as_it_was_written_down() -> None:
    """Another field, event or code is another contract: see the top of this file."""
    name = ".".join(map(str, CONTRACT))
    written = set(FROZEN.joinpath(f"{name}.txt").read_text(encoding="utf-8").splitlines())
    now = set(described())

    assert sorted(written - now) == []
    assert sorted(now - written) == []


def test_the_requirements_are_as_they_were_closed() -> None:
    """What a plugin is held to, it is held to for ever: a new rule comes with a new contract."""
    text = SENTENCES.read_text(encoding="utf-8")

    assert hashlib.sha256(text.encode()).hexdigest() == DIGEST
