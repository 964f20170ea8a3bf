"""The ladder's law over whole runs: whatever each route answers, no picture is paid for twice.

The protocol's I2 and R8 as oracle, with makers that need no network: at every request it is asked
what may have been billed for that picture before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

import anyio
from hypothesis import given
from hypothesis import strategies as st

from host_stub.contract import Scene
from stage3_plugin.domain.attempt import AttemptResult
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.engine.backend import Backend, Sender, route_of
from stage3_plugin.settings import Settings
from tests.doors import Ran, Story, context_of
from tests.laws import tried
from tests.stage3.running import asking, costing
from tests.stage3.showing import MEMORY, stage_of, virtually
from tests.stage3.test_stage import attempted

K = VerdictKind
Truth: TypeAlias = Literal[
    "made", "refused", "output", "billed refusal", "none", "unknown", "unsent"
]
ANSWERS: dict[Truth, Verdict] = {
    "made": Verdict(kind=K.PICTURES),
    "refused": Verdict(kind=K.REFUSED, about="prompt"),
    "output": Verdict(kind=K.REFUSED, about="output"),
    "billed refusal": Verdict(kind=K.REFUSED, about="output", may_be_billed=True),
    "none": Verdict(kind=K.NO_PICTURE, may_be_billed=True),
    "unknown": Verdict(kind=K.UNKNOWN, may_be_billed=True),
    "unsent": Verdict(kind=K.NOT_SENT, should_retry=False),
}
ROUTES = 3


@dataclass
class Sent:
    """One request, and what came of it."""

    run: int
    route: int
    truth: Truth


@dataclass
class Books:
    """All requests for the one picture, and what they may not be sent after."""

    sent: list[Sent] = field(default_factory=list[Sent])
    after_billed: bool = False
    run: int = 0

    def check(self, route: int) -> None:
        for before in self.sent:
            assert before.truth not in {"made", "unknown"}, (before, route)
            if before.run == self.run and before.truth == "none":
                raise AssertionError(f"sent after {before} in one run")
            if before.run == self.run and before.truth == "billed refusal":
                assert self.after_billed, (before, route)
                assert before.route != route, (before, route)


@dataclass
class Maker:
    """One route: answers from the script that all of them share."""

    route: int
    script: list[Truth]
    books: Books

    async def attempt(
        self, attempt_id: str, request: PictureRequest, _jobs: object = None
    ) -> AttemptResult:
        del attempt_id
        self.books.check(self.route)
        truth: Truth = self.script.pop(0) if self.script else "refused"
        self.books.sent.append(Sent(self.books.run, self.route, truth))
        await anyio.sleep(1)
        return attempted(ANSWERS[truth], request)


def settings(**more: Any) -> Settings:
    routes = [{"provider": "openai", "model": f"m{n}", "price_usd": "0.05"} for n in range(ROUTES)]
    return Settings.model_validate(routes[0] | {"fallback": routes[1:], "max_attempts": 2} | more)


async def run(wanted: Settings, makers: list[Maker], scene: Scene, folder: Path) -> Ran:
    backends = [
        Backend(
            route=replace(route_of(of_route, None), list_price=costing(50_000)),
            sender=partial(Sender, attempt=maker.attempt, conversation_for=lambda _: None),
        )
        for of_route, maker in zip(wanted.routes, makers, strict=True)
    ]
    ran = Ran()
    stage = stage_of(wanted, backends, folder)
    ran.ending = await stage.run(asking(Story([scene])), context_of(ran))
    return ran


@tried(40)
@given(
    script=st.lists(st.sampled_from(sorted(ANSWERS)), max_size=14),
    after_billed=st.lists(st.booleans(), min_size=3, max_size=3),
    seeds=st.integers(0, 1),
    prompts=st.integers(0, 2),
)
def test_no_picture_is_paid_for_twice_whatever_each_route_answers(
    script: list[Truth], after_billed: list[bool], seeds: int, prompts: int
) -> None:
    """Over three runs on one ledger: nothing is sent after what may have been billed."""
    books = Books()
    makers = [Maker(route, script, books) for route in range(ROUTES)]
    scene = Scene(scene_id="s", prompt="p", if_refused=tuple(f"p{n}" for n in range(prompts)))
    with TemporaryDirectory(dir=MEMORY) as folder:
        for number, is_set in enumerate(after_billed):
            books.run, books.after_billed = number, is_set
            wanted = settings(after_billed_refusal=is_set, seeds_after_refusal=seeds)
            ran = virtually(lambda: run(wanted, makers, scene, Path(folder)))  # noqa: B023 - called here
            assert len(ran.outcomes) == 1

    assert sum(one.truth == "made" for one in books.sent) <= 1
