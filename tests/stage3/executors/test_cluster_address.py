"""Where a cluster is, and whether strangers could get at it: decisions, without Ray."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stage3_plugin.errors import ExtraMissing, SettingsRefused
from stage3_plugin.executors.base import Surroundings, Work
from stage3_plugin.executors.cluster.address import (
    an_address,
    broker_environment,
    is_of_this_machine,
    need_token,
    place_of,
)
from stage3_plugin.executors.registry import executor_of

FAR = "10.0.0.5:6379"
WORK = Work(target="nothing:made")


@pytest.mark.parametrize("address", ["auto", "local", "127.0.0.1:6379", "head:1", "[::1]:6379"])
def test_an_address_can_be(address: str) -> None:
    """A word, or host and port."""
    assert an_address(address) == address


@pytest.mark.parametrize(
    "address", ["", "head", "head:", ":6379", "head:0", "head:66000", "head:x", "ray://head:10001"]
)
def test_an_address_cannot_be(address: str) -> None:
    """It is refused with the setting's name, before anything is looked for."""
    with pytest.raises(SettingsRefused, match=r"'executor.address': should be"):
        executor_of({"kind": "ray", "address": address})


def test_auto_is_what_ray_left(tmp_path: Path) -> None:
    """The variable first, then the file that ``ray start`` writes, then nothing."""
    (tmp_path / "ray").mkdir()
    here = {"RAY_TMPDIR": str(tmp_path)}

    assert place_of("auto", here) is None
    (tmp_path / "ray" / "ray_current_cluster").write_text("192.0.2.7:6379\n", encoding="utf-8")
    assert place_of("auto", here) == "192.0.2.7:6379"
    assert place_of("auto", here | {"RAY_ADDRESS": FAR}) == FAR
    assert place_of("local", here | {"RAY_ADDRESS": FAR}) == "local"
    assert place_of("head:1", here | {"RAY_ADDRESS": FAR}) == "head:1"


@pytest.mark.parametrize(
    "place, is_here",
    [
        ("local", True), ("127.0.0.1:1", True), ("127.9.9.9:1", True), ("[::1]:1", True),
        ("localhost:1", True), (FAR, False), ("head:1", False), ("0.0.0.0:1", False),
        ("127.0.0.1.example.com:1", False),
    ],
)  # fmt: skip
def test_only_loopback_is_this_machines_alone(place: str, is_here: bool) -> None:  # noqa: FBT001 - a case
    """A name may lead anywhere, so it counts as far away."""
    assert is_of_this_machine(place) is is_here


def test_a_cluster_that_others_reach_needs_a_token(tmp_path: Path) -> None:
    """From wherever Ray would take it; and it must not be switched off."""
    home = {"HOME": str(tmp_path)}
    file = tmp_path / "token"
    file.write_text("a-token\n", encoding="utf-8")

    need_token("127.0.0.1:1", home)
    need_token(FAR, home | {"RAY_AUTH_TOKEN": "a-token"})
    need_token(FAR, home | {"RAY_AUTH_TOKEN_PATH": str(file)})
    for lacking in (
        {},
        {"RAY_AUTH_TOKEN": " "},
        {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")},
        {"RAY_AUTH_TOKEN": "a-token", "RAY_AUTH_MODE": "disabled"},
    ):
        with pytest.raises(SettingsRefused, match="others can reach the cluster"):
            need_token(FAR, home | lacking)
    (tmp_path / ".ray").mkdir()
    file.rename(tmp_path / ".ray" / "auth_token")
    need_token(FAR, home)


def test_it_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the stage opens, so ``check`` says it; with the next step."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "ray", sys)  # as good as installed
    of, options = executor_of({"kind": "ray", "address": FAR})

    with pytest.raises(SettingsRefused) as caught:
        of(WORK, options, surroundings=Surroundings())
    assert str(caught.value) == (
        "setting 'executor.address': others can reach the cluster at 10.0.0.5:6379, and there is "
        "no token to show to it (make one with `ray get-auth-token --generate`, copy "
        "~/.ray/auth_token to every node, and start the cluster with RAY_AUTH_MODE=token; or keep "
        "it to 127.0.0.1)"
    )


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, with what to type."""
    monkeypatch.setitem(sys.modules, "ray", None)  # which forbids its import
    of, options = executor_of({"kind": "ray"})

    with pytest.raises(ExtraMissing, match=r"pip install '\.\[ray\]'"):
        of(WORK, options, surroundings=Surroundings())


def test_the_drivers_environment() -> None:
    """No telemetry; a cluster of this machine stays on loopback, one of ours has its own token."""
    given = {"RAY_AUTH_TOKEN": "a-token", "RAY_ADDRESS": FAR, "LANG": "C"}

    far = broker_environment(FAR, given)
    assert far["RAY_USAGE_STATS_ENABLED"] == "0"
    assert (far["RAY_AUTH_MODE"], far["RAY_AUTH_TOKEN"], far["LANG"]) == ("token", "a-token", "C")
    assert "RAY_ADDRESS" not in far
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in far
    assert broker_environment("127.0.0.1:1", given)["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    ours, others = (broker_environment("local", given)["RAY_AUTH_TOKEN"] for _ in range(2))
    assert len({ours, others, "a-token"}) == 3
