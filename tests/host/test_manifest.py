import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub.contract import Cost, CostBasis, Failure, FailureCode, SceneOutcome
from host_stub.run.manifest import RunFacts, write_manifest
from host_stub.run.outcomes import Outcomes
from host_stub.run.summary import summary_lines
from host_stub.scenes.file import read_scenes
from host_stub.text.redaction import Redactor

KEY = "sk-CANARY-0123456789"
SHA = "0" * 64
FACTS = RunFacts(
    run_id="run-1",
    plugin="fake",
    source="fake 1.0",
    started_at="2026-11-24T12:00:00.000+00:00",
    elapsed_s=2.0,
    mode="concurrent",
    stopped=None,
    exit_code=0,
    events_rejected=0,
)


def _cost(usd: str | None, basis: CostBasis = "reported") -> Cost:
    if usd is None:
        return Cost(usd=None, basis="unknown")
    return Cost(usd=Decimal(usd), basis=basis)


def _made(scene_id: str, image: Path, **parts: Any) -> SceneOutcome:
    usual: dict[str, Any] = {"cost": _cost("0.04"), "duration_s": 3.0, "attempts": 1}
    return SceneOutcome(
        scene_id=scene_id, image=image, sha256=SHA, width=64, height=32, **(usual | parts)
    )


def _failed(scene_id: str, code: FailureCode = "refused", **parts: Any) -> SceneOutcome:
    failure = Failure(code=code, message=parts.pop("message", "no"), retryable=False)
    return SceneOutcome(scene_id=scene_id, failure=failure, cost=parts.pop("cost", _cost("0")))


class _Pictures:
    """A story that shows what its run made, and nothing else."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def images(self) -> Iterator[bytes]:
        return self._outcomes.rows("images")

    def sheets(self) -> Iterator[bytes]:
        return self._outcomes.rows("sheets")

    def counts(self) -> dict[str, int | None]:
        return {}


class _Bench:
    """Outcomes of a story of so many scenes, in a folder of its own."""

    def __init__(self, folder: Path, scenes: int, spill: BinaryIO) -> None:
        self.out_dir = folder / "out"
        (self.out_dir / "images").mkdir(parents=True)
        self.picture = self.out_dir / "images" / "a.png"
        self.picture.write_bytes(b"png")
        self.path = folder / "scenes.jsonl"
        with self.path.open("w", encoding="utf-8") as file:
            for number in range(scenes):
                file.write(json.dumps({"scene_id": f"s{number}", "prompt": ""}) + "\n")
        self.heard: list[str] = []
        self.outcomes = Outcomes(
            read_scenes(self.path),
            out_dir=self.out_dir,
            plugin="fake",
            source="fake 1.0",
            redactor=Redactor([KEY]),
            spill=spill,
            listener=lambda outcome: self.heard.append(outcome.scene_id),
        )

    def manifest(self, facts: RunFacts = FACTS) -> dict[str, Any]:
        path = write_manifest(self.out_dir, self.outcomes, facts, _Pictures(self.outcomes))
        read: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
        return read

    def summary(self, facts: RunFacts = FACTS) -> list[str]:
        return list(summary_lines(self.outcomes, facts, "out/manifest.json"))


MakeBench = Callable[..., _Bench]


@pytest.fixture
def make_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBench]:
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:

        def make(scenes: int, spill: BinaryIO | None = None) -> _Bench:
            if spill is None:
                spill = stack.enter_context(TemporaryFile(buffering=0))
            return _Bench(tmp_path, scenes, spill)

        yield make


class TestShape:
    def test_figures_are_measured(self, make_bench: MakeBench) -> None:
        """Speed-up is the scenes' own time over the time that passed, failures included."""
        bench = make_bench(3)
        bench.outcomes.deliver(_made("s0", bench.picture, duration_s=3.0))
        bench.outcomes.deliver(_made("s1", bench.picture, duration_s=2.0))
        late = _failed("s2").model_copy(update={"duration_s": 1.0})
        bench.outcomes.deliver(late)

        manifest = bench.manifest()

        assert manifest["total_images"] == 2
        assert (manifest["elapsed_seconds"], manifest["avg_seconds_per_image"]) == (2.0, 1.0)
        assert (manifest["speedup"], manifest["cost_usd"]) == (3.0, "0.08")

    def test_nothing_is_divided_by_nothing(self, make_bench: MakeBench) -> None:
        """A run without pictures, or without time, has no average."""
        bench = make_bench(1)
        bench.outcomes.deliver(_failed("s0"))

        manifest = bench.manifest(replace(FACTS, elapsed_s=0.0))

        assert (manifest["avg_seconds_per_image"], manifest["speedup"]) == (None, None)
        assert (manifest["images"], len(manifest["failures"])) == ([], 1)

    @given(amounts=st.lists(st.decimals(0, 100, places=6), max_size=8))
    def test_costs_add_up_exactly(
        self, amounts: list[Decimal], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """No float comes in between, however small the parts."""
        with io.BytesIO() as spill:
            bench = _Bench(tmp_path_factory.mktemp("costs"), len(amounts) + 1, spill)
            for number, amount in enumerate(amounts):
                cost = Cost(usd=amount, basis="tokens")
                bench.outcomes.deliver(_made(f"s{number}", bench.picture, cost=cost))
            bench.outcomes.fill("test")
            manifest = bench.manifest()

        assert Decimal(manifest["cost_usd"]) == sum(amounts)
        assert [Decimal(row["cost_usd"]) for row in manifest["images"]] == amounts


class TestOrder:
    @given(order=st.permutations(range(7)), failing=st.sets(st.integers(0, 6)))
    def test_rows_come_in_input_order_whatever_ended_first(
        self,
        order: list[int],
        failing: set[int],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        """Every scene is in exactly one of the two lists, in the order of its file."""
        with io.BytesIO() as spill:
            bench = _Bench(tmp_path_factory.mktemp("order"), 7, spill)
            for number in order:
                name = f"s{number}"
                bench.outcomes.deliver(
                    _failed(name) if number in failing else _made(name, bench.picture)
                )
            manifest = bench.manifest()

        images = [row["scene_id"] for row in manifest["images"]]
        failures = [row["scene_id"] for row in manifest["failures"]]
        assert failures == [f"s{number}" for number in sorted(failing)]
        assert images == [f"s{number}" for number in range(7) if number not in failing]

    @pytest.mark.slow
    def test_outcomes_do_not_sit_in_memory(self, make_bench: MakeBench) -> None:
        """5,000 outcomes of 4 kB take a tenth of what their manifest weighs at most."""
        bench = make_bench(5_000)
        params = {"prompt": "x" * 4_000}
        tracemalloc.start()
        try:
            for number in range(5_000):
                bench.outcomes.deliver(_made(f"s{number}", bench.picture, generation_params=params))
            bench.heard.clear()
            path = write_manifest(bench.out_dir, bench.outcomes, FACTS, _Pictures(bench.outcomes))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert path.stat().st_size > 20_000_000
        assert peak < path.stat().st_size / 10

    def test_a_full_disk_loses_no_outcome(self, make_bench: MakeBench) -> None:
        """What cannot be spilled is held until the manifest is written."""

        class Full(io.BytesIO):
            def write(self, _: object) -> int:
                raise OSError("no space")

        bench = make_bench(2, Full())
        bench.outcomes.deliver(_made("s1", bench.picture))
        bench.outcomes.deliver(_failed("s0"))

        manifest = bench.manifest()
        assert manifest["images"][0]["scene_id"] == "s1"
        assert manifest["failures"][0]["scene_id"] == "s0"


class TestContract:
    @pytest.mark.parametrize(
        "image, requirement",
        [
            ("out/images/missing.png", "result.no-partial-files"),
            ("out/images", "result.no-partial-files"),
            ("elsewhere.png", "manners.writes-only-in-out-dir"),
            ("out/../elsewhere.png", "manners.writes-only-in-out-dir"),
            ("out/images/link.png", "manners.writes-only-in-out-dir"),
            ("out/images/\0", "result.no-partial-files"),
        ],
    )
    def test_a_picture_that_is_not_where_it_should_be_is_a_failure(
        self, image: str, requirement: str, make_bench: MakeBench, tmp_path: Path
    ) -> None:
        """The manifest names no file that is not there, and none outside its folder."""
        bench = make_bench(1)
        (tmp_path / "elsewhere.png").write_bytes(b"png")
        (bench.out_dir / "images" / "link.png").symlink_to(tmp_path / "elsewhere.png")
        bench.outcomes.deliver(_made("s0", Path(image)))

        (violation,) = bench.outcomes.violations
        (row,) = bench.manifest()["failures"]
        assert violation.requirement == requirement
        assert (row["scene_id"], row["code"], row["cost_usd"]) == ("s0", "storage", "0.04")
        assert bench.manifest()["images"] == []


class TestSummary:
    def test_many_pictures_are_named_by_their_folder(self, make_bench: MakeBench) -> None:
        """Nobody reads a thousand lines."""
        bench = make_bench(51)
        for number in range(51):
            bench.outcomes.deliver(_made(f"s{number}", bench.picture, reused=True))

        lines = bench.summary()
        assert sum(line.endswith("a.png") for line in lines) == 20
        assert f"  and 31 more in {Path('out/images')}" in lines
        assert "all of them reused (nothing paid for those)" in lines[-2]

    def test_failures_are_told_once_per_reason(self, make_bench: MakeBench) -> None:
        """With code, message and the first scenes it holds for; nothing is shown raw."""
        bench = make_bench(9)
        for number in range(7):
            bench.outcomes.deliver(_failed(f"s{number}", "not_tried", message="stopped"))
        bench.outcomes.deliver(_failed("s7", message="\x1b[2Jhate"))
        bench.outcomes.deliver(_failed("s8", "unknown", cost=_cost(None)))

        assert bench.summary() == [
            "9 scenes without a picture:",
            "  not_tried: stopped (s0, s1, s2, s3, s4 and 2 more)",
            r"  refused: \x1b[2Jhate (s7)",
            "  unknown: no (s8)",
            (
                "money may be spent for 1 scene whose outcome or cost is unknown: "
                "the provider's own account tells whether it was billed"
            ),
            "no pictures in 2.0 s, cost unknown",
            "manifest: out/manifest.json",
        ]

    def test_a_reason_that_is_only_the_code_is_said_once(self, make_bench: MakeBench) -> None:
        """Not ``cancelled: cancelled``."""
        bench = make_bench(1)
        bench.outcomes.deliver(_failed("s0", "cancelled", message="cancelled"))

        assert "  cancelled (s0)" in bench.summary()

    def test_a_thousand_reasons_are_not_all_told(self, make_bench: MakeBench) -> None:
        """Messages may hold a request id each; the manifest has them all."""
        bench = make_bench(100)
        for number in range(100):
            bench.outcomes.deliver(_failed(f"s{number}", message=f"request {number}"))

        lines = bench.summary()
        assert len(lines) == 24
        assert lines[21] == "  and 80 more; the manifest names them"
