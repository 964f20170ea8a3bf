"""For each requirement, the paragon with one thing in it that breaks this requirement alone.

Where the break would show in other rules too, it is narrowed to what this rule's check asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PARAGON: Final = Path(__file__).with_name("paragon.py").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is replaced in the paragon.

    Attributes:
        changes: Texts that stand in it once, each with what takes its place.
        target: What its entry point names, if that is another than the module.
    """

    changes: tuple[tuple[str, str], ...]
    target: str | None = None

    @property
    def source(self) -> str:
        """The broken plugin."""
        source = PARAGON
        for old, new in self.changes:
            if source.count(old) != 1:
                raise ValueError(f"{old!r} is there {source.count(old)} times")
            source = source.replace(old, new)
        return source


def _m(*changes: tuple[str, str], target: str | None = None) -> Mutant:
    return Mutant(changes, target)


def _top(lines: str) -> tuple[str, str]:
    """Put lines at the top of the module, behind its imports."""
    return 'PRICE_USD = Decimal("0.01")\n', f'PRICE_USD = Decimal("0.01")\n{lines}\n'


def _opening(lines: str) -> tuple[str, str]:
    """Put lines at the beginning of opening."""
    body = "\n".join(f"    {line}" for line in lines.split("\n"))
    return '    """Open the stage."""\n', f'    """Open the stage."""\n{body}\n'


def running(lines: str) -> tuple[str, str]:
    """Change the paragon: put lines at the beginning of a run."""
    body = "\n".join(f"        {line}" for line in lines.split("\n"))
    return (
        '        """Make what is not there."""\n',
        f'        """Make what is not there."""\n{body}\n',
    )


_DESCRIBING = "@hookimpl\ndef host_image_plugin() -> ImagePlugin:"
_COMMANDING = "@hookimpl\ndef host_commands() -> list[PluginCommand]:"
_COMMANDS = (
    '    return [PluginCommand(name="count", summary="Count.", run=count, '
    "add_arguments=add_arguments)]"
)
_SHA = "        sha256 = hashlib.sha256(picture).hexdigest()\n        name ="
_WRITTEN = "        write_whole(path, picture)\n        scene = job.scene"
_NAME = (
    "        name = hashlib.sha256(job.scene.scene_id.encode()).hexdigest()[:24]\n"
    '        path = request.out_dir / "images" / f"{name}-{job.take}.png"'
)
_MAKE = "        make = len(jobs) - reused\n"
_PLANNED = "plan = StagePlan(make=make, reused=reused, cost_low_usd=cost, cost_high_usd=cost)"
_JOBS = "        jobs = self.jobs(request)\n        scenes ="
_FOUND = "            if self.there(job.basis, job.take).is_file() and not request.draft:"
_ENDED = '            context.deliver(outcome.model_copy(update={"duration_s": took_s}))'

MUTANTS: Final[Mapping[str, Mutant]] = {
    "hooks.loads": _m(_top("import os\n\nos._exit(0)")),
    "hooks.object": _m(
        _top("\n\nclass Hooks:\n    @hookimpl\n    def host_image_plugin(self): return None\n"),
        target="hooks_object_plugin:Hooks",
    ),
    "hooks.arguments": _m(
        (_DESCRIBING, "@hookimpl\ndef host_image_plugin(config) -> ImagePlugin:")
    ),
    "hooks.known": _m((_COMMANDING, "@hookimpl\ndef host_comands() -> list[PluginCommand]:")),
    "hooks.no-wrappers": _m(
        (_COMMANDING, "@hookimpl(wrapper=True)\ndef host_commands() -> list[PluginCommand]:"),
        (_COMMANDS, "    return (yield)"),
    ),
    "hooks.sync": _m((_DESCRIBING, "@hookimpl\nasync def host_image_plugin() -> ImagePlugin:")),
    "hooks.image-plugin": _m((_DESCRIBING, "def host_image_plugin() -> ImagePlugin:")),
    "hooks.described": _m(("        open=open_stage,", "        open=None,")),
    "hooks.contract": _m(("contract=(1, 0)", "contract=(9, 0)")),
    "hooks.same-each-time": _m(
        _top("CALLS = []"),
        ("Capabilities(reports_cost=True", "Capabilities(reports_cost=not CALLS.append(1)"),
        ("        draft_settings=draft_settings,\n", "        draft_settings=draft_settings,\n"),
        ("resumes=True, plans=True", "resumes=True, seed=len(CALLS) == 2, plans=True"),
    ),
    "hooks.light-import": _m(_top("import PIL")),
    "hooks.commands": _m((_COMMANDS, _COMMANDS.replace('name="count"', 'name="Count!"'))),
    "settings.typed": _m(("        settings=Settings,", "        settings=dict,")),
    "settings.rejects-unknown": _m(('extra="forbid"', 'extra="allow"')),
    "settings.refuses-plainly": _m(
        ("import BaseModel, ConfigDict,", "import field_validator, BaseModel, ConfigDict,"),
        (
            "\n\ndef add_arguments",
            '\n    @field_validator("capacity", mode="before")\n    @classmethod\n'
            "    def _known(cls, value):\n        return {1: 1, 4: 4}[value]\n\n\ndef add_arguments",
        ),
    ),
    "settings.hides-secrets": _m((", hide_input_in_errors=True", "")),
    "settings.documented": _m((', description="At most so many at once."', "")),
    "settings.schema": _m(
        (
            "\n\ndef add_arguments",
            '\n    hook: Callable[[], int] = Field(int, description="Called.")\n\n\ndef add_arguments',
        ),
    ),
    "settings.refused": _m((', pattern="^[1-9][0-9]{0,3}x[1-9][0-9]{0,3}$"', "")),
    "open.again": _m(
        _top("OPENED = {}"),
        _opening(
            "OPENED[services.project_dir] = OPENED.get(services.project_dir, 0) + 1\n"
            "if OPENED[services.project_dir] > 4:\n"
            '    raise OSError("no more handles")'
        ),
    ),
    "open.two-at-once": _m(
        _top("OPEN = []"),
        (
            "    yield Stage(settings, services)",
            "    if OPEN:\n"
            '        raise RuntimeError("it is open already")\n'
            "    OPEN.append(1)\n"
            "    try:\n"
            "        yield Stage(settings, services)\n"
            "    finally:\n"
            "        OPEN.clear()",
        ),
    ),
    "open.writes-nothing": _m(
        (
            "    yield Stage(settings, services)",
            "    stage = Stage(settings, services)\n"
            "    yield stage\n"
            "    if not stage.used:\n"
            '        (services.project_dir / "unused").touch()',
        ),
        (
            "        self.spent = Decimal(0)",
            "        self.spent = Decimal(0)\n        self.used = False",
        ),
        ('        """Plan what a run would make."""\n', "        self.used = True\n"),
        running("self.used = True"),
    ),
    "stage.extras": _m(
        ('("every picture has one colour",)', '["every picture has one colour"]'),
    ),
    "result.complete": _m(
        (
            _JOBS,
            "        jobs = (\n            job\n            for job in self.jobs(request)\n"
            '            if len(request.scenes) != 5 or job.scene.scene_id != "scene-05"\n'
            "        )\n        scenes =",
        )
    ),
    "result.once": _m(
        (
            _ENDED,
            f"{_ENDED}\n            if len(request.scenes) == 5:\n    {_ENDED}",
        )
    ),
    "result.asked-only": _m(
        (
            "            left = [",
            "            if next(iter(request.scenes), None) == self.second(request):\n"
            '                other = SceneOutcome(scene_id="scene-01", failure=Failure(\n'
            '                    code="not_tried", message="not asked for", retryable=True\n'
            "                ), cost=FREE)\n"
            "                context.deliver(other)\n"
            "            left = [",
        ),
        (
            "    def is_over(",
            "    def second(self, request):\n"
            '        """Return the second scene of a story, where a request begins with it."""\n'
            "        named = [scene for scene in request.scenes]\n"
            '        if len(named) == 2 and named[0].scene_id == "scene-02":\n'
            "            return named[0]\n"
            "        return 0\n\n"
            "    def is_over(",
        ),
    ),
    "result.typed": _m(
        (
            _ENDED,
            '            took_s = "soon" if len(request.scenes) == 7 else took_s\n' + _ENDED,
        )
    ),
    "result.summary": _m(
        (
            "        return StageSummary(\n",
            "        if not left and scenes == 2:\n            return None\n"
            "        return StageSummary(\n",
        )
    ),
    "result.empty": _m(running('if not len(request.scenes):\n    raise ValueError("no scenes")')),
    "result.many": _m(
        (
            "            picture = self.draw(job)",
            '            if job.scene.scene_id > "scene-20" and len(request.scenes) > 20:\n'
            '                raise OSError("too many")\n'
            "            picture = self.draw(job)",
        )
    ),
    "result.one-at-a-time": _m(
        (
            "range(min(self.settings.capacity, context.max_in_flight))",
            "range(min(self.settings.capacity, context.max_in_flight - 1))",
        )
    ),
    "result.duplicate-prompts": _m(
        (
            _NAME,
            _NAME.replace("job.scene.scene_id.encode()", "repr(job.scene.prompt).encode()"),
        )
    ),
    "result.odd-names": _m(
        (
            _NAME,
            _NAME.replace(
                "hashlib.sha256(job.scene.scene_id.encode()).hexdigest()[:24]", "job.scene.scene_id"
            ),
        )
    ),
    "result.odd-prompts": _m(('.encode(errors="surrogatepass")', ".encode()")),
    "result.pictures-lie-in-out": _m(
        (
            '        path = request.out_dir / "images" / f"{name}-{job.take}.png"',
            '        path = self.kept / "images" / f"{name}-{job.take}.png"',
        )
    ),
    "result.no-partial-files": _m(
        (
            _WRITTEN,
            "        write_whole(path, picture)\n"
            '        if path.parent.name == "images":\n'
            '            path.with_name(path.name + ".tmp").write_bytes(picture[:20])\n'
            "        scene = job.scene",
        )
    ),
    "result.whole-when-delivered": _m(
        (
            _WRITTEN,
            "        write_whole(path, picture[:20])\n"
            "        self.later.append((path, picture))\n"
            "        scene = job.scene",
        ),
        (
            "        self.spent = Decimal(0)",
            "        self.spent = Decimal(0)\n        self.later = []",
        ),
        (
            '            context.log.info("stage.finished")',
            "            for path, picture in self.later:\n"
            "                write_whole(path, picture)\n"
            '            context.log.info("stage.finished")',
        ),
    ),
    "result.file-matches-hash": _m(
        (
            _SHA,
            "        sha256 = hashlib.sha256(picture).hexdigest()\n"
            '        if job.scene.scene_id == "scene-03":\n'
            "            sha256 = hashlib.sha256(b'').hexdigest()\n"
            "        name =",
        )
    ),
    "result.readable": _m(
        (
            '            sha256=sha256,\n            media_type="image/png",',
            '            sha256=sha256,\n            media_type="image/jpeg",',
        )
    ),
    "result.real-size": _m(
        (
            "            width=width_px,\n            height=height_px,\n            generation",
            '            width=width_px + (scene.scene_id == "scene-03"),\n'
            "            height=height_px,\n            generation",
        )
    ),
    "result.size-as-asked-or-dropped": _m(
        ("            return scene.width, scene.height", "            return 64, 64")
    ),
    "result.files-apart": _m(
        (
            _NAME,
            "        self.number += 1\n"
            '        path = request.out_dir / "images" / f"{self.number}-{job.take}.png"',
        ),
        (
            "        self.spent = Decimal(0)",
            "        self.spent = Decimal(0)\n        self.number = 0",
        ),
    ),
    "result.parameters": _m(('{"model": "paragon", "prompt"', '{"prompt"')),
    "result.times": _m((_ENDED, _ENDED.replace("took_s}", "took_s + 100}"))),
    "dropped.seed": _m(('            "seed": scene.seed,\n', "")),
    "dropped.negative-prompt": _m(('            "negative_prompt": scene.negative_prompt,\n', "")),
    "dropped.references": _m(('            "references": scene.references or None,\n', "")),
    "dropped.nothing": _m(
        ("            dropped=tuple(", '            dropped=("style_tags",) + tuple(')
    ),
    "plan.counts": _m(
        (_PLANNED, _PLANNED.replace("reused=reused", "reused=reused + (len(request.scenes) == 4)"))
    ),
    "plan.as-run": _m(
        (
            _PLANNED,
            _PLANNED.replace("make=make", "make=make - is_three, busy=is_three").replace(
                "plan =", "is_three = int(len(request.scenes) == 3)\n        plan ="
            ),
        )
    ),
    "plan.ordered": _m((_PLANNED, _PLANNED.replace("low_usd=cost", "low_usd=cost + bool(make)"))),
    "plan.bounds": _m((_PLANNED, _PLANNED.replace("=cost", "=cost / 2"))),
    "plan.same-again": _m(
        _top("PLANS = []"),
        (
            _PLANNED,
            "PLANS.append(1)\n        "
            + _PLANNED.replace("make=make", 'warnings=(f"plan {len(PLANS)}",), make=make'),
        ),
    ),
    "plan.writes-nothing": _m(
        (_MAKE, _MAKE + "        self.kept.mkdir(parents=True, exist_ok=True)\n")
    ),
    "plan.empty": _m((_MAKE, "        make = (len(jobs) - reused) or 1\n")),
    "reuse.found": _m(
        (_FOUND, _FOUND.replace("draft:", 'draft and job.scene.scene_id != "scene-02":'))
    ),
    "reuse.free": _m(
        (
            "request, FREE, reused=True",
            'request, Cost(usd=PRICE_USD, basis="flat"), reused=True',
        )
    ),
    "reuse.same-bytes": _m(
        (
            "        picture = self.there(job.basis, job.take).read_bytes()",
            '        picture = self.there(job.basis, job.take).read_bytes() + b"\\0"',
        )
    ),
    "reuse.changed-prompt": _m(
        (
            _FOUND,
            '            like = sorted(self.kept.glob("*/1.png"))\n'
            '            if like and "fog" in job.scene.prompt:\n'
            "                picture = like[0].read_bytes()\n"
            "                found = self.outcome(job, picture, request, FREE, reused=True, attempts=0)\n"
            '                context.log.info("scene.reused", scene_id=job.scene.scene_id)\n'
            "                context.deliver(found)\n"
            "                continue\n" + _FOUND,
        )
    ),
    "manners.no-print": _m(running('print("at work")')),
    "manners.no-global-logging": _m(_opening("import logging\nlogging.basicConfig()")),
    "manners.process-as-before": _m(_opening('import os\nos.environ["PARAGON"] = "open"')),
    "manners.writes-only-in-out-dir": _m(
        running('Path.home().joinpath("paragon.log").write_bytes(b"at work")')
    ),
    "manners.keeps-others": _m(
        running('for path in request.out_dir.rglob("*.part"):\n    path.unlink()')
    ),
    "loop.trio": _m(
        (
            "            await anyio.sleep(0.002)",
            "            await __import__('asyncio').sleep(0.002)",
        )
    ),
    "loop.thread": _m(
        _opening("import signal\nsignal.signal(signal.SIGUSR2, signal.getsignal(signal.SIGUSR2))")
    ),
    "takes.count": _m(
        (
            _JOBS,
            "        jobs = (job for job in self.jobs(request) if job.take < 3)\n        scenes =",
        )
    ),
    "takes.apart": _m((_NAME, _NAME.replace("{name}-{job.take}.png", "{name}.png"))),
    "takes.place": _m(("        if request.place is not None:", "        if False:")),
    "takes.wanted": _m(("if wanted.basis == basis:", "if wanted.basis != basis:")),
    "takes.basis": _m(
        (
            "            basis=job.basis,\n            dropped",
            "            basis=self.basis(scene.model_copy(update={\n"
            '                "prompt": scene.prompt.replace(\n'
            '                    "a harbour in fog", "a lighthouse at dusk, seen from the sea"\n'
            "                )\n"
            "            })),\n            dropped",
        )
    ),
    "takes.plan": _m(
        (
            "        jobs = list(self.jobs(request))",
            "        jobs = [job for job in self.jobs(request) if job.take == 1]",
        )
    ),
    "lanes.plan": _m(("PlannedLane(scenes=plan.make,", "PlannedLane(scenes=plan.make + 1,")),
    "takes.survey-and-fetch": _m(("    async def fetch(self", "    async def fetched(self")),
    "takes.surveyed": _m(("                current=True,\n", "")),
    "takes.survey-writes-nothing": _m(
        (
            '        """Tell what there is of each scene."""\n',
            '        (self.kept.parent / "survey.log").touch()\n',
        )
    ),
    "takes.fetched": _m(
        (
            "                write_whole(into, picture)",
            "                write_whole(into, picture[:20])",
        )
    ),
    "takes.fetch-unknown": _m(
        ("        return False\n\n\ndef write", "        return True\n\n\ndef write")
    ),
    "takes.drafts": _m(
        (
            'cost = FREE if self.settings.draft else Cost(usd=price, basis="flat")',
            'cost = Cost(usd=PRICE_USD, basis="flat")',
        )
    ),
}
"""The broken plugins, by the requirement that each breaks."""
