"""One mutant of the model plugin for each requirement about what a service does.

A mutant is the plugin's text with a few words changed, so that it breaks one rule and no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Change: TypeAlias = tuple[str, str]
"""What stands in the text, once, and what is put there instead."""

_RETRIED_TOO = "if answer.status in {429, 503}:"
_LATE_START: Change = (
    """work.say_start()
            work.attempts += 1
            answer = await self.ask(work, size_px)""",
    """try:
                answer = await self.ask(work, size_px)
            finally:
                work.say_start()
                work.attempts += 1""",
)
_DRAWN = "await self.stage.service.paint(work.scene.prompt, '', size_px)"

MUTANTS: Mapping[str, Sequence[Change]] = {
    "faults.retry-then-ok": [
        ("if work.attempts >= self.settings.attempts:", "if answer.status == 503:"),
    ],
    "faults.gives-up": [("if work.attempts >= self.settings.attempts:", "if not work.attempts:")],
    "faults.honours-retry-after": [
        ("wait_s = max(self.settings.wait_s, answer.wait_s or 0.0)", "wait_s = 0.0"),
    ],
    "faults.no-retry-on-refusal": [
        (_RETRIED_TOO, 'if answer.kind == "policy" or answer.status in {429, 503}:'),
    ],
    "faults.no-retry-on-rejection": [
        (_RETRIED_TOO, 'if answer.kind == "wrong" or answer.status in {429, 503}:'),
    ],
    "faults.wrong-key": [(_RETRIED_TOO, "if answer.status in {401, 429, 503}:")],
    "faults.empty-account": [(_RETRIED_TOO, "if answer.status in {402, 429, 503}:")],
    "faults.spares-others": [('frozenset({"credentials"', 'frozenset({"refused", "credentials"')],
    "hostile.empty": [
        (
            'raise Failed("no_picture", "an answer without a picture")',
            "content = picture_for('', (8, 8))",
        ),
        ("import PRICE_USD,", "import picture_for, PRICE_USD,"),
    ],
    "hostile.garbage": [
        (
            "if answer.status == 200 and not answer.kind:",
            (
                'if answer.kind == "page":\n'
                "                return picture_for('', size_px)\n"
                "            if answer.status == 200 and not answer.kind:"
            ),
        ),
        ("import PRICE_USD,", "import picture_for, PRICE_USD,"),
    ],
    "hostile.half-a-picture": [("picture.load()", "pass")],
    "hostile.too-large": [
        (
            "if answer.status == 200 and not answer.kind:",
            (
                'if answer.kind == "endless":\n'
                "                return picture_for('', size_px)\n"
                "            if answer.status == 200 and not answer.kind:"
            ),
        ),
        ("import PRICE_USD,", "import picture_for, PRICE_USD,"),
    ],
    "hostile.cut-short": [
        (
            "except (TimeoutError, ConnectionCut):",
            (
                "except (TimeoutError, ConnectionCut) as cut:\n"
                '            if getattr(cut, "part", b""):\n'
                "                return Answer(status=200, picture=picture_for('', size_px))"
            ),
        ),
        ("import PRICE_USD,", "import picture_for, PRICE_USD,"),
    ],
    "hostile.hang": [("anyio.fail_after(self.settings.timeout_s)", "anyio.CancelScope()")],
    "unanswered.is-unknown": [
        ('raise Failed("unknown", "no whole', 'raise Failed("unavailable", "no whole'),
    ],
    "unanswered.once": [
        (
            "except (TimeoutError, ConnectionCut):",
            (
                "except ConnectionCut as cut:\n"
                "            if work.attempts < 2 and not cut.part:\n"
                "                work.attempts += 1\n"
                "                return await self.ask(work, size_px)\n"
                '            raise Failed("unknown", "no answer", is_known=False) from None\n'
                "        except TimeoutError:"
            ),
        )
    ],
    "unanswered.is-not-free": [
        ("if self.is_known else UNKNOWN", "if self.is_known else FREE"),
    ],
    "concurrency.ceiling": [
        (
            "min(self.settings.capacity, self.context.max_in_flight)",
            "self.settings.capacity",
        ),
        _LATE_START,
    ],
    "concurrency.used": [
        (
            "min(self.settings.capacity, self.context.max_in_flight)",
            "self.context.max_in_flight if self.context.max_in_flight < 4 else 1",
        ),
    ],
    "concurrency.own-picture": [
        (
            "content = await self.buy(work, size_px)",
            "content = self.first.setdefault(size_px, await self.buy(work, size_px))",
        ),
        (
            'self.why = ""\n',
            'self.why = ""\n        self.first: dict[tuple[int, int], bytes] = {}\n',
        ),
    ],
    "money.cap-holds": [("self.committed + PRICE_USD > self.cap", "self.committed > self.cap")],
    "money.cap-is-told": [("the cap of {self.cap} USD for", "the cap for")],
    "money.cap-leaves-out": [('work.skip("budget", self.why)', 'work.skip("rejected", self.why)')],
    "costs.as-billed": [
        (
            "work.spent += answer.billed_usd",
            "work.spent += answer.billed_usd / (2 if answer.picture else 1)",
        ),
        ("cost_low_usd=high", "cost_low_usd=Decimal(0)"),
    ],
    "costs.failed-ones-count": [
        (
            "work.spent += answer.billed_usd",
            "work.spent += answer.billed_usd if answer.picture else 0",
        ),
    ],
    "resume.makes-what-is-missing": [
        (
            "self.stage.kept.doubt(name)\n",
            "pass\n            self.stage.kept.doubt(name)\n",
        )
    ],
    "resume.keeps-what-is-in-doubt": [
        ('return (self.folder / f"{name}.unknown").exists()', "return False"),
    ],
    "stopping.starts-nothing": [
        (
            "while self.stopped is None and not self.context.stopping.is_set():",
            "while self.stopped is None:",
        ),
    ],
    "stopping.ends-what-is-paid-for": [
        (
            "work.spent += answer.billed_usd",
            (
                "work.spent += answer.billed_usd\n"
                "            if self.context.stopping.is_set():\n"
                '                raise Failed("cancelled", "stopped")'
            ),
        )
    ],
    "stopping.accounts-for-the-rest": [
        (
            'work.skip("not_tried", self.why or "the run was stopped")',
            'work.skip("not_tried" if self.why else "cancelled", self.why or "stopped")',
        )
    ],
    "stopping.is-told": [("if self.stopped is None and left:", "if self.why and not left:")],
    "cancelling.goes-on": [
        (
            "return await run.whole()\n",
            (
                "return await run.whole()\n"
                "        except anyio.get_cancelled_exc_class():\n"
                '            return StageSummary(stopped="cancelled")\n'
            ),
        )
    ],
    "cancelling.accounts-for-what-was-started": [
        (
            'work.end(failure=Failure(code="cancelled", message="it was cut off", retryable=True))',
            "pass",
        )
    ],
    "cancelling.starts-nothing": [
        (
            'work.is_known = False\n            work.end(failure=Failure(code="cancelled"',
            (
                "work.is_known = False\n"
                "            with anyio.CancelScope(shield=True):\n"
                f"                {_DRAWN}\n"
                '            work.end(failure=Failure(code="cancelled"'
            ),
        )
    ],
    "secrets.not-in-events": [
        (
            "        try:\n            with anyio.fail_after",
            (
                "        work.log.info('asking', key=key)\n"
                "        try:\n            with anyio.fail_after"
            ),
        ),
    ],
    "secrets.not-in-outcomes": [
        ('"the service does not take the key"', '""'),
        ("code=outcome.failure.code, message=outcome.failure.message", "code=outcome.failure.code"),
    ],
    "secrets.not-in-results": [
        (
            "        sha256 = hashlib",
            (
                "        content += self.settings.key.get_secret_value().encode()\n"
                "        sha256 = hashlib"
            ),
        ),
    ],
    "events.valid": [(", queued_s=0.0)", ")")],
    "events.of-the-stage": [('context.log.info("stage.finished")', "pass")],
    "events.paired": [
        (
            "            work.say_start()\n",
            "            if not work.attempts:\n                work.say_start()\n",
        ),
    ],
    "events.as-delivered": [("code=outcome.failure.code, message", "code='storage', message")],
    "events.costs-add-up": [
        ("log.bind(cost_usd=outcome.cost.usd,", "log.bind(cost_usd=Decimal(0),")
    ],
    "events.attempts": [
        (
            "            attempts=self.attempts,\n            duration_s",
            "            attempts=1,\n            duration_s",
        )
    ],
    "events.retries": [
        (
            "answer = await self.ask(work, size_px)\n",
            (
                "answer = await self.ask(work, size_px)\n"
                "            if answer.status == 503:\n"
                "                work.attempts += 1\n"
                "                answer = await self.ask(work, size_px)\n"
            ),
        )
    ],
    "events.within-the-ceiling": [
        (
            "            work.say_start()\n",
            "            if work.attempts:\n                work.say_start()\n",
        ),
        (
            "        async with anyio.create_task_group() as group:\n",
            (
                "        for scene, take in self.stage.wanted(self.request):\n"
                "            Work(scene, take, self.context).say_start()\n"
                "        async with anyio.create_task_group() as group:\n"
            ),
        ),
    ],
    "lifetime.opening-sends-nothing": [
        (
            'yield Stage(settings, service, Kept(services.project_dir / ".model"))\n',
            (
                'stage = Stage(settings, service, Kept(services.project_dir / ".model"))\n'
                "        yield stage\n"
                "        if not stage.is_asked:\n"
                "            await service.paint('', '', (8, 8))\n"
            ),
        ),
        ("        self.kept = kept\n", "        self.kept = kept\n        self.is_asked = False\n"),
        ('        """Return what ``run`` would do."""\n', "        self.is_asked = True\n"),
        ('        """Make the pictures."""\n', "        self.is_asked = True\n"),
    ],
    "lifetime.planning-sends-nothing": [
        (
            '        """Return what ``run`` would do."""\n',
            "        await self.service.paint('', '', (8, 8))\n",
        ),
    ],
    "lifetime.closes-connections": [
        (
            "    async with service.connection():\n",
            "    service.open_connections += 1\n    if True:\n",
        ),
    ],
    "lifetime.ends-its-tasks": [
        (
            "    async with service.connection():\n",
            (
                "    import asyncio, sniffio\n"
                "    if sniffio.current_async_library() == 'asyncio':\n"
                "        LEFT.append(asyncio.create_task(asyncio.sleep(3600)))\n"
                "    async with service.connection():\n"
            ),
        ),
        ("FAILURES: Mapping", "LEFT = []\nFAILURES: Mapping"),
    ],
}

SUBTLER: Mapping[str, Sequence[Change]] = {
    "unanswered.once": [
        (
            "except (TimeoutError, ConnectionCut):",
            (
                "except TimeoutError:\n"
                "            if work.attempts < 2:\n"
                "                work.attempts += 1\n"
                "                return await self.ask(work, size_px)\n"
                '            raise Failed("unknown", "no answer", is_known=False) from None\n'
                "        except ConnectionCut:"
            ),
        )
    ],
    "costs.as-billed": [
        (
            "work.spent += answer.billed_usd",
            "work.spent += PRICE_USD if answer.kind == 'policy' else answer.billed_usd",
        ),
    ],
}
"""Another mutant of a rule, which breaks it where the first one keeps it: what times out is asked
for again, and a refusal is said to have cost a picture."""
