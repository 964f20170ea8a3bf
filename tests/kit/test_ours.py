"""Our own two plugins keep what others are held to, with nothing known and nothing left out."""

from __future__ import annotations

from pathlib import Path

from host_stub.conformance.requirement import sentences
from tests.kit.trying import conform

NAMES = sentences().keys()


def test_stage3_keeps_every_requirement_and_skips_none(tmp_path: Path) -> None:
    """Its case is the loopback server that providers are tested with."""
    tried = conform(tmp_path, "stage3")

    assert tried.named("fail", "skipped", "known_deviation", "harness_error") == {}, tried.said
    assert tried.named("pass").keys() == NAMES
    assert tried.code == 0


def test_plain_keeps_whatever_it_can_be_asked(tmp_path: Path) -> None:
    """It asks no service and keeps nothing, and says so."""
    tried = conform(tmp_path, "plain")

    assert tried.named("fail", "known_deviation", "harness_error") == {}, tried.said
    assert tried.named("pass").keys() | tried.named("skipped").keys() == NAMES
    assert len(tried.named("pass")) > 70
    assert tried.code == 0
