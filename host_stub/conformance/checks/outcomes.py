"""Whether every scene gets its outcome, and just one, whatever it is called and says."""

from __future__ import annotations

from collections import Counter
from typing import Final

from host_stub.conformance.lab import Lab
from host_stub.conformance.requirement import tries
from host_stub.conformance.surroundings import digest_of
from host_stub.conformance.verdict import Broken
from host_stub.contract import StageSummary

ODD_NAMES: Final = (
    "../../evil",
    "/dev/null/picture",
    "..",
    "CON",
    "a/b\\c",
    "\u706f\u5854",
    "\u00e9" * 120,
    "x" * 300,
    "two words",
    "-rf",
    ".hidden",
    "Scene",
    "scene",
    "scene.png",
    "100%\n",
)
ODD_PROMPTS: Final = (
    "\u706f\u5854\u5728\u6d77\u4e0a",
    "\u0645\u0646\u0627\u0631\u0629",
    "\U0001f5fc\u200d\U0001f30a",
    "two\nlines\tand a tab",
    "%s {prompt} $HOME `id` <script>",
    '"quotes" \\ and \\u0000',
    "long " * 4000,
    "\ud800 half of a pair",
    "\x00\x1b[31m",
)


def counted(number: int, what: str) -> str:
    """Write a number of things."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@tries("result.complete")
def complete(lab: Lab) -> str:
    """Run five scenes, and look for the outcome of each."""
    scenes = lab.scenes(5)
    recorded = lab.well(lab.run(scenes))
    missing = [scene.scene_id for scene in scenes if not recorded.of(scene.scene_id)]
    if missing:
        raise Broken(f"no outcome came for {', '.join(missing)}")
    return f"{counted(len(scenes), 'scene')}, {counted(len(recorded.outcomes), 'outcome')}"


@tries("result.once")
def once(lab: Lab) -> str:
    """Run five scenes, and count the outcomes of each."""
    recorded = lab.well(lab.run(lab.scenes(5)))
    takes = Counter((one.scene_id, one.take) for one in recorded.outcomes)
    twice = sorted({name for (name, _), count in takes.items() if count > 1})
    if twice:
        raise Broken(f"a second outcome came for {', '.join(twice)}")
    return f"{counted(len(takes), 'outcome')}, each of another scene"


@tries("result.asked-only")
def asked_only(lab: Lab) -> str:
    """Run two scenes of a story of five, and look for outcomes of others."""
    story = lab.scenes(5)
    recorded = lab.well(lab.run(story[1:3]))
    asked = {scene.scene_id for scene in story[1:3]}
    others = sorted({one.scene_id for one in recorded.outcomes} - asked)
    if others:
        raise Broken(f"an outcome came for {', '.join(others)}, which was not asked for")
    return f"2 scenes were asked for, and {counted(len(recorded.outcomes), 'outcome')} came"


@tries("result.typed")
def typed(lab: Lab) -> str:
    """Validate each outcome anew: one that was made without validation is found."""
    recorded = lab.run(lab.scenes(7))
    if recorded.malformed:
        raise Broken("; ".join(recorded.malformed[:3]))
    return f"{counted(len(recorded.delivered), 'outcome')} are as the contract has them"


@tries("result.summary")
def summary(lab: Lab) -> str:
    """Look at what a run returns that nothing was in the way of."""
    recorded = lab.run(lab.scenes(2))
    if recorded.trouble is not None:
        raise Broken(recorded.trouble)
    if not isinstance(recorded.summary, StageSummary):
        raise Broken("run returned something else than a StageSummary")
    if recorded.summary.stopped is not None and not recorded.failures:
        raise Broken(f"everything was made, and yet it stopped for {recorded.summary.stopped!r}")
    return f"stopped is {recorded.summary.stopped!r}"


@tries("result.empty")
def empty(lab: Lab) -> str:
    """Run no scenes."""
    recorded = lab.well(lab.run([]))
    if recorded.delivered:
        raise Broken(f"{counted(len(recorded.delivered), 'outcome')} came for no scenes")
    calls = 0 if lab.backend is None else len(lab.backend.calls())
    if calls:
        raise Broken(f"{counted(calls, 'request')} came to the backend for no scenes")
    return "no outcome, and no request"


@tries("result.many")
def many(lab: Lab) -> str:
    """Run six times as many scenes as may be in work at once."""
    lab.made(lab.scenes(24), max_in_flight=4)
    return "24 scenes, of which 4 may be in work at once: 24 pictures"


@tries("result.one-at-a-time")
def one_at_a_time(lab: Lab) -> str:
    """Run three scenes under a ceiling of one."""
    lab.made(lab.scenes(3), max_in_flight=1)
    return "3 scenes, one at a time: 3 pictures"


@tries("result.duplicate-prompts")
def duplicate_prompts(lab: Lab) -> str:
    """Run three scenes that say the same."""
    recorded = lab.made(lab.scenes(3, prompt="a lighthouse at dusk, three times"))
    if len({one.image for one in recorded.pictures}) < len(recorded.pictures):
        raise Broken("scenes with one prompt have the same file")
    return "3 scenes with one prompt: 3 pictures"


@tries("result.odd-names")
def odd_names(lab: Lab) -> str:
    """Run scenes with names that lead astray where a path is made of them."""
    scenes = [
        lab.scene(number, scene_id=name, prompt=f"a lighthouse, number {number}")
        for number, name in enumerate(ODD_NAMES)
    ]
    recorded = lab.made(scenes)
    for one in recorded.pictures:
        if one.image is None or digest_of(one.image) != one.sha256:
            raise Broken(f"the picture of scene {one.scene_id!r} is another one by now")
    return f"{len(scenes)} odd names, a picture for each"


@tries("result.odd-prompts")
def odd_prompts(lab: Lab) -> str:
    """Run scenes with prompts that break a program which is careless with text."""
    scenes = [lab.scene(number, prompt=prompt) for number, prompt in enumerate(ODD_PROMPTS)]
    recorded = lab.well(lab.run(scenes))
    missing = [scene.scene_id for scene in scenes if not recorded.of(scene.scene_id)]
    if missing:
        raise Broken(f"no outcome came for {', '.join(missing)}")
    made = len(recorded.pictures)
    return f"{len(scenes)} odd prompts: {made} pictures, {len(scenes) - made} failures"
