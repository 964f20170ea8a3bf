"""A closed contract never changes, and a later one takes nothing away; nor do the kit's sentences.

``python tests/host/frozen.py`` writes what these files hold. What a plugin may rely on is closed
with the version that is released: a further field or method is a new minor number, with a file and
a set of requirements of its own.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from host_stub.conformance import requirement
from host_stub.conformance.requirement import SETS
from host_stub.contract import CONTRACT
from tests.host.frozen import described
from tests.host.test_swap import HOST_OF_1_0

FROZEN = Path(__file__).with_name("frozen")
SENTENCES = Path(requirement.__file__).with_name("requirements")
DIGESTS = {
    "1.0.toml": "89d8d22c73335ee3de70fbc5d24883c26609200f3e279bfe259bed00ca88d225",
    "1.1.toml": "6ef4c69f89c3a5c5b02cad251f6ff858d07338313e18d4c98682bcbd086edd54",
    "1.2.toml": "60486486694b18814813cefc29c3f8abe303cce91159b0f1c94eb950904d241d",
}
"""The sets of requirements, as they were closed with their contracts."""
CLOSED = {
    "1.0.txt": "246247340972948249043bcc79f89dec2dfd7866a30d1f94abd023cd9deb6f18",
    "1.1.txt": "416f54568c0a910ca0b543f4a9fdc46ef3e9d1a12ae026ffad2d2397c7869fc3",
}
"""What the closed contracts have, as it was written down."""


def frozen(contract: str) -> set[str]:
    """Return what a contract has, a line each."""
    return set(FROZEN.joinpath(f"{contract}.txt").read_text(encoding="utf-8").splitlines())


def test_the_contract_is_as_it_was_closed() -> None:
    """Another field, event or code would be contract 1.3: see the top of this file."""
    now = set(described())

    assert ".".join(map(str, CONTRACT)) == SETS[-1] == "1.2"
    assert sorted(frozen("1.2") - now) == []
    assert sorted(now - frozen("1.2")) == []


def test_a_later_contract_takes_nothing_away() -> None:
    """Every name of an earlier one is there, with its type; what was optional is so still."""
    assert sorted(frozen("1.0") - frozen("1.1")) == []
    assert sorted(frozen("1.1") - frozen("1.2")) == []


@pytest.mark.parametrize("name", CLOSED)
def test_a_closed_contract_is_as_it_was_written_down(name: str) -> None:
    """Byte for byte: what a later one adds stands in a file of its own."""
    text = FROZEN.joinpath(name).read_text(encoding="utf-8")

    assert hashlib.sha256(text.encode()).hexdigest() == CLOSED[name]


def test_the_first_contract_is_that_of_its_host(tmp_path: Path) -> None:
    """The last host of 1.0 says itself what it was."""
    with tarfile.open(HOST_OF_1_0) as packed:
        packed.extractall(tmp_path, filter="data")
    script = Path(__file__).with_name("frozen.py")

    ended = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=True,
        text=True,
        encoding="utf-8",
    )

    assert set(ended.stdout.splitlines()) == frozen("1.0")


@pytest.mark.parametrize("name", DIGESTS)
def test_a_set_of_requirements_is_as_it_was_closed(name: str) -> None:
    """What a plugin was held to, it is held to for ever: a new rule comes with a new contract."""
    text = SENTENCES.joinpath(name).read_text(encoding="utf-8")

    assert hashlib.sha256(text.encode()).hexdigest() == DIGESTS[name]


def test_every_set_is_closed() -> None:
    """A file of another contract has its digest here, too."""
    assert {path.name for path in SENTENCES.glob("*.toml")} == DIGESTS.keys()
    assert {f"{name}.toml" for name in SETS} == DIGESTS.keys()
