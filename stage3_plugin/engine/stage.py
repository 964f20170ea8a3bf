"""An opened stage: plans a story, or runs it from its first scene to the last outcome.

``Stage`` is what a host's plugin and the library both use. It makes no decision;
it puts together what one run needs, and takes it apart again when the run has ended. What only that
needs is imported by it: a plan buys nothing, and is asked for most often.
"""

# ruff: noqa: PLC0415  - see above

from __future__ import annotations

import os
import random
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import KW_ONLY, dataclass, replace
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from host_stub.contract import (
    ImageRequest,
    Scene,
    SceneSurvey,
    StageContext,
    StagePlan,
    StageSummary,
)
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.events import StageStarted, Warned, coded, warn_of
from stage3_plugin.domain.money import cap_in_microusd
from stage3_plugin.domain.purchase import AskedFor, Limits, Purchase
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.waited import Waited
from stage3_plugin.engine import preconditions
from stage3_plugin.engine.asked import Asked, Lanes, request_for
from stage3_plugin.engine.backend import Backend
from stage3_plugin.engine.notices import Notices, readable
from stage3_plugin.engine.planning import Planning
from stage3_plugin.engine.showing.casting import Casting
from stage3_plugin.engine.showing.references import OpenShelf, unshown_in
from stage3_plugin.engine.showing.survey import Survey
from stage3_plugin.engine.steps import Steps
from stage3_plugin.engine.surveying import Surveying
from stage3_plugin.errors import LookupRefused, NotStarted, SettingsRefused, StorageFailed
from stage3_plugin.files import descriptors
from stage3_plugin.ledger.book import Ledger
from stage3_plugin.ledger.calendar import days_ahead
from stage3_plugin.ledger.session import Accounts, Session
from stage3_plugin.policy.ladder import Step
from stage3_plugin.providers.models import row_named, table
from stage3_plugin.purchase.forecast import Forecast
from stage3_plugin.purchase.takes import Takes
from stage3_plugin.settings import Settings
from stage3_plugin.storage.pictures import Pictures

if TYPE_CHECKING:
    from stage3_plugin.engine.following import Place
    from stage3_plugin.purchase.conversation import Conversation
    from stage3_plugin.purchase.recovery import Recovery
    from stage3_plugin.purchase.run_ledger import RunLedger

_SURVEYED_A_TURN = 100
_NEAR_ALONE = (
    "`ledger` is on a server and no `store` is set: another machine finds that pictures are paid "
    "for, and cannot have them"
)


@dataclass(eq=False, repr=False)
class Stage:
    """Settings that fit together, and where their pictures are made.

    Args:
        settings: Validated settings.
        backends: What makes the pictures, in the order in which their routes are tried.
        pictures: Takes them.
        accounts: Opens the ledger.
        draw: Returns a number in [0, 1) for jitter.
        project_dir: Where relative references start, beside the current folder.
        open_shelf: Opens what holds the references of one run or plan, by the scenes' folder.

    Attributes:
        pictures: The same.
        warnings: What opening found that a person should know although everything works.
    """

    settings: Settings
    backends: tuple[Backend, ...]
    _: KW_ONLY
    pictures: Pictures
    accounts: Accounts
    draw: Callable[[], float] = random.random
    project_dir: Path = Path()
    open_shelf: OpenShelf
    _unsaid: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        after_billed = self.settings.steps_after_billed
        self.backends = tuple(
            replace(one, route=replace(one.route, is_after_billed=after_billed(number)))
            for number, one in enumerate(self.backends)
        )
        self.routes = routes = tuple(one.route for one in self.backends)
        self.warnings = tuple(chain.from_iterable(route.warnings for route in routes))
        self._route = routes[0]
        self._steps = Steps(routes, self.settings)

    async def plan(self, request: ImageRequest, *, pictures_dir: Path | None = None) -> StagePlan:
        """Return what ``run`` would make and cost; spends and writes nothing.

        Args:
            request: What is asked for.
            pictures_dir: As in :meth:`run`.

        Raises:
            SettingsRefused: As ``run`` would.
            NotStarted: No run would start, since its ledger could not be believed.
            StorageFailed: The ledger cannot be read, or a reference.
        """
        limits = self._limits(request.max_cost_usd)
        images = pictures_dir or request.out_dir / "images"
        async with AsyncExitStack() as stack:
            planning = await self._foreseen(stack, request, limits, images)
            capacity = self._capacity(request.max_in_flight)
            _, fewer = self._with_descriptors(capacity, to_come=descriptors.OF_A_RUN)
            return planning.plan(limits, capacity=capacity, fewer=fewer)

    async def run(
        self, request: ImageRequest, context: StageContext, *, pictures_dir: Path | None = None
    ) -> StageSummary:
        """Make the pictures of a request.

        Args:
            request: What is asked for.
            context: What may be used of the caller's; once it is stopping, nothing new starts, and
                what is in flight has ``drain_s`` to end.
            pictures_dir: The folder the picture files go into, instead of ``images`` in that of
                the results.

        Raises:
            SettingsRefused: There is a cap and a price is not known, or the time zone is not
                known, or a sheet has the id of a scene, or a batch is asked for and the provider
                has no such lane. Nothing was tried.
            NotStarted: The ledger cannot be opened.
            StorageFailed: What a run before left behind cannot be taken in, or a reference read.
            Exception: What the story raised while it was read, or a fault of our own, after
                everything in flight has ended and every scene has its outcome.
        """
        from stage3_plugin.engine.following import Following
        from stage3_plugin.engine.reporter import ContractEvents, Reporter, Results
        from stage3_plugin.engine.run import Run
        from stage3_plugin.runtime import trace

        limits = self._limits(request.max_cost_usd)
        asked = await self._asked(request, limits)
        stopping, pictures_dir = context.stopping, pictures_dir or request.out_dir / "images"
        at_once = self._capacity(context.max_in_flight)
        async with AsyncExitStack() as stack:
            log = ContractEvents(context.log)
            stack.enter_context(trace.listening(log.handle))
            session, capacity, fewer = await self._opened(stack, at_once)
            if asked.shows_any:
                shelf = await stack.enter_async_context(self.open_shelf(asked.scenes_dir))
                takes, is_over = Takes(session.reader), stopping.is_set
                await Survey(asked, shelf, takes, is_over=is_over).go_through()
                self._need_prices(asked.to_be_made(), limits)
            started = StageStarted(
                scenes=len(request.scenes),
                provider=self.settings.provider,
                model=self.settings.model or "",
                capacity=capacity,
                sheets=tuple(sheet.scene_id for sheet in asked.references.sheets),
            )
            trace.event(started)
            stack.callback(lambda: trace.event(log.finished()))
            for line in (*filter(None, (fewer,)), *asked.told):
                warn_of(line)
            notices = self._notices(request, pictures_dir, session.reader)
            await notices.look_at_all(asked.to_be_made(), stopping)
            for line in (*notices.warnings(), *asked.lanes.warnings_but(self.warnings)):
                warn_of(line)
            story = _name_of(pictures_dir.parent, self.project_dir)
            run_ledger, recovery = self._bought_by(session, limits, story=story, beside=capacity)
            run = Following(
                settings=self.settings,
                asked=asked,
                places=self._places(run_ledger, recovery, asked, capacity),
                results=Results(self.pictures, pictures_dir, place=request.place),
                reporter=Reporter(context.deliver, asked, self.pictures.store.url_of),
                draw=self.draw,
                recovery=recovery,
                pictures=self.pictures,
            )
            try:
                return await Run(run).to_the_end(stopping, request.deadline_s)
            finally:
                await run_ledger.withdraw()

    async def survey(self, request: ImageRequest, tell: Callable[[SceneSurvey], None]) -> None:
        """Tell what there is of every scene, and of every sheet that scenes name, sheets first.

        Each is told once. Nothing is spent or written; caps do not matter.

        Raises:
            SettingsRefused: The time zone is not known, or a sheet has the id of a scene.
            NotStarted: The ledger could not be believed.
            StorageFailed: The ledger cannot be read, or a reference.
        """
        async with AsyncExitStack() as stack:
            planning = await self._foreseen(stack, request, Limits(), None, buys=False)
            surveying = Surveying(planning, url_of=self.pictures.store.url_of)
            for number, one in enumerate(planning.asked.looked_at()):
                tell(surveying.of(one))
                if number % _SURVEYED_A_TURN == 0:
                    await anyio.lowlevel.checkpoint()

    async def ask(self, ids: Sequence[str] = ()) -> tuple[AskedFor, ...]:
        """Ask providers what became of requests whose answer was lost; nothing is bought.

        Each is brought as far as a run would bring it before it buys: a job that is found is asked
        how far it is, once.

        Args:
            ids: Only these purchases; all that can be asked for, if there is none.

        Raises:
            LookupRefused: One of them is not there, or several begin so.
            NotStarted: The ledger cannot be opened.
        """
        async with AsyncExitStack() as stack:
            session, recovery = await self._without_a_run(stack)
            reader = session.reader
            wanted = [_purchase_of(reader, one) for one in ids] or [
                *reader.open_purchases(),
                *reader.lost(),
            ]
            asked = [
                (before, await recovery.bring_on(before.new.attempt_id))
                for before in wanted
                if before.job is not None
            ]
            askings = reader.askings()
            return tuple(
                AskedFor(
                    before=before,
                    after=brought.purchase or before,
                    asking=askings.get(before.new.attempt_id),
                )
                for before, brought in asked
            )

    async def wait(
        self, *, for_s: float | None = None, report: Callable[[Waited], None] = lambda _: None
    ) -> Waited:
        """Stay until what is being made at providers has come to its end; nothing is bought.

        What comes is taken in: its cost is known then, and the next run puts its picture where it
        belongs. Leaving at any moment changes nothing, and so does being killed.

        Args:
            for_s: At most so many seconds.
            report: Called with how all of it stands, whenever something was asked.

        Raises:
            NotStarted: The ledger cannot be opened.
            StorageFailed: It cannot be read any more.
        """
        from stage3_plugin.engine.waiting import Waiting

        await self._need_preconditions()
        if not self.accounts.place.exists():  # nothing was ever bought, and none is begun
            return Waited(jobs=(), waited_s=0.0)
        async with AsyncExitStack() as stack:
            session, recovery = await self._without_a_run(stack)
            stack.callback(recovery.halt)
            waiting = Waiting(
                session,
                recovery,
                can_ask=lambda one: _conversation_at(self.backends, one.new.endpoint) is not None,
                report=report,
            )
            return await waiting.to_the_end(for_s)

    async def _asked(self, request: ImageRequest, limits: Limits, *, buys: bool = True) -> Asked:
        """Return what is asked for, looked through once.

        Raises:
            SettingsRefused: No run could keep to it: there is a cap, and a picture's price is not
                known; or some of it is to be bought by a lane that the provider does not have.
        """
        asked = Asked(request, self.settings, self._steps, buys=buys)
        if not request.draft:
            asked.lanes.check()
        renderer = self.backends[0].renderer
        if renderer is not None:
            await renderer.study(asked.whole_story)
        sends = self._route.limits_of is not None
        asked.shows_any = sends and bool(self.settings.cast)
        scenes = self._priced(asked.scenes) if limits.any else readable(asked.scenes)
        for one in scenes:
            asked.lanes.need(one)
            asked.shows_any = asked.shows_any or (sends and bool(one.wishes))
        return asked

    async def _need_preconditions(self) -> None:
        """Refuse what no run would start with, where nothing is written.

        Raises:
            NotStarted: The ledger could not be believed.
        """
        with _as_not_started():
            await self.pictures.blocking(partial(preconditions.check, self.accounts, self.pictures))

    async def _foreseen(
        self,
        stack: AsyncExitStack,
        request: ImageRequest,
        limits: Limits,
        images: Path | None,
        *,
        buys: bool = True,
    ) -> Planning:
        """Return what foresees what is asked for; the ledger stays open with the stack.

        Raises:
            SettingsRefused: No run could keep to it.
            NotStarted: The ledger could not be believed.
        """
        asked = await self._asked(request, limits, buys=buys)
        await self._need_preconditions()
        ledger = stack.enter_context(self.accounts.read())
        forecast = Forecast(self.settings, self.accounts, self.pictures, ledger, self._route)
        notices, said = self._notices(request, images, ledger), self.warnings
        planning = Planning(asked, forecast, ledger, notices=notices, said_before=said)
        if asked.shows_any:
            shelf = await stack.enter_async_context(self.open_shelf(asked.scenes_dir))
            survey = Survey(asked, shelf, planning.takes, forecast=forecast)
            await survey.go_through()
            self._need_prices(asked.to_be_made(), limits)
        return planning

    async def _opened(
        self, stack: AsyncExitStack, wanted: int
    ) -> tuple[Session, int, Warned | None]:
        """Open the ledger, and see how many may be in flight beside that.

        Raises:
            NotStarted: The ledger cannot be opened, or there is no room to send anything.
        """
        await self._need_preconditions()
        with _as_not_started():
            session = await stack.enter_async_context(self.accounts.open())
            await self.pictures.check_store()
            capacity, fewer = self._with_descriptors(wanted)
        self.pictures.spool.state_dir.keep_to_what_is_there()
        return session, capacity, fewer

    async def _without_a_run(self, stack: AsyncExitStack) -> tuple[Session, Recovery]:
        """Open the ledger for what buys nothing, with what asks for what runs before have left."""
        session, _, _ = await self._opened(stack, 1)
        return session, self._bought_by(session, Limits(), beside=1)[1]

    def _bought_by(
        self, session: Session, limits: Limits, *, beside: int, story: str = ""
    ) -> tuple[RunLedger, Recovery]:
        """See what runs before have left; it is looked after while the run goes on."""
        from stage3_plugin.purchase.recovery import MOST_TAKEN_AT_ONCE, Recovery
        from stage3_plugin.purchase.run_ledger import RunLedger

        run_ledger = RunLedger(
            session,
            is_local=self._route.is_here,
            limits=limits,
            on_unknown=self.settings.on_unknown,
            story=story,
            caretaker=self.accounts.caretaker,
        )
        room = None if self._route.is_here else descriptors.room()
        recovery = Recovery(
            session,
            self.pictures,
            partial(_conversation_at, self.backends),
            longest_s=max(one.timeout_s for one in self.settings.routes),
            taken_at_once=MOST_TAKEN_AT_ONCE if room is None else room.beside(beside),
            book=run_ledger,
        )
        recovery.look()
        return run_ledger, recovery

    def _places(
        self, run_ledger: RunLedger, recovery: Recovery, asked: Asked, at_most: int
    ) -> list[Place]:
        """Return the routes as a run goes about them; none takes more at once than all together."""
        from stage3_plugin.engine.following import Place, limiter_of
        from stage3_plugin.purchase.checkout import Checkout

        first = self._route
        checkout = Checkout(
            run_ledger,
            first,
            keys_of=self._steps.keys_of,
            story=asked.to_be_made(),
            free_bytes=self.pictures.free_bytes,
            free_files=self.pictures.free_files,
            answer_bytes=0 if first.is_here else self.settings.max_reply_bytes,
            recovery=recovery,
        )
        capacity, places = at_most, list[Place]()
        for number, (backend, settings) in enumerate(
            zip(self.backends, self.settings.routes, strict=True)
        ):
            route = backend.route
            if number:
                checkout = checkout.at(route, partial(self._steps.keys_of, route=number))
                capacity = min(at_most, settings.capacity)
            limiter = limiter_of(checkout, settings, capacity, self.draw)
            places.append(
                Place(route=route, sender=backend.sender(), checkout=checkout, limiter=limiter)
            )
        return places

    def check(self, out_dir: Path | None = None) -> None:
        """Refuse what no run could work with, as far as that is known without a story.

        Args:
            out_dir: The folder of results, which may be deleted at any time.

        Raises:
            SettingsRefused: There is a cap and no price, the time zone is not known, the
                ledger's day is ahead of the clock and there is a cap of a day, or a ledger would
                be begun among the results.
            NotStarted: The ledger cannot be read, or could not be made.
        """
        with _as_not_started():
            self._with_descriptors(1, to_come=descriptors.OF_A_RUN)
            self.accounts.check()
            with self.accounts.look() as ledger:
                warnings = self._warnings_of_days(None if ledger is None else ledger.last_day())
            places = self.accounts.place.warnings
            if out_dir is not None:
                places += preconditions.among_results(self.accounts, out_dir)
        self.warnings += (*self.accounts.warnings, *warnings, *places)
        if self.settings.ledger is not None and self.pictures.store.address is None:
            self.warnings += (coded("store_not_shared", _NEAR_ALONE),)
        lanes = Lanes(self.settings, self._route, None)
        lanes.check()
        self.warnings += lanes.warnings_but(())
        unnamed = request_for(Scene(scene_id="any", prompt=""), self.settings)
        self._need_prices([unnamed], self._limits(None))
        self._need_no_free_ones(unnamed)
        route = self._route
        wishes = route.dropped(unnamed)
        unasked = f"{self.settings.provider} is not asked for that"
        self.warnings += tuple(
            coded("wish_left_out", f"{wish} is set and will be left out: {unasked}")
            for wish in wishes
        )
        # What a storyboard has no use for is in nearly every story, and costs nothing.
        of_words = ("negative_prompt", "style_tags") if route.is_here else ()
        # Whom a cast does not have, the look through the story says, with their ids.
        of_cast = ("characters",) if self.settings.cast else ()
        self._unsaid = frozenset((*wishes, *of_words, *of_cast))

    async def look_at_cast(self) -> None:
        """See which pictures of the cast cannot be shown, before there is a story.

        Raises:
            SettingsRefused: A sheet has an id that no file can have.
            StorageFailed: One cannot be read now.
        """
        casting = Casting(self.settings.cast)
        if self._route.limits_of is None or not casting:
            return
        casting.check()
        async with self.open_shelf(self.project_dir) as shelf:
            self.warnings += await unshown_in(casting, shelf)

    def _warnings_of_days(self, last_day: date | None) -> tuple[Warned, ...]:
        """Say that a ledger is days ahead of the clock; refuse where a cap of a day hangs on it.

        Raises:
            SettingsRefused: No day would begin anew under ``daily_usd`` until the ledger's is over.
        """
        today = self.accounts.calendar().today()
        ahead = days_ahead(last_day, today)
        if not ahead:
            return ()
        ahead_of_clock = (
            f"the ledger's last day is {last_day}, {ahead} days after this machine's, {today}: "
            "one of the clocks was wrong"
        )
        resolve = self.accounts.caretaker(f"resolve --day {today}")
        step = f"if this machine's is right, say so with '{resolve}'"
        if self._limits(None).daily_microusd is None:
            return (coded("clock_differs", f"{ahead_of_clock}; {step}"),)
        raise SettingsRefused(
            "daily_usd",
            f"{ahead_of_clock}, and daily_usd would not begin anew before the ledger's day is over",
            hint=step,
        )

    def _notices(self, request: ImageRequest, images: Path | None, ledger: Ledger) -> Notices:
        return Notices(
            steps=self._steps,
            folders=(request.scenes_dir or Path(), self.project_dir),
            images=None if request.place else images,
            was_said=self._unsaid,
            pictures=self.pictures,
            ledger=ledger,
        )

    def _capacity(self, max_in_flight: int | None) -> int:
        is_set = "capacity" in self.settings.model_fields_set or not self._route.has_own_capacity
        capacity = self.settings.capacity if is_set else None
        ceilings = (capacity, max_in_flight, self._route.slots)
        return min(ceiling for ceiling in ceilings if ceiling is not None)

    def _with_descriptors(self, wanted: int, *, to_come: int = 0) -> tuple[int, Warned | None]:
        """Return how many may be in flight as far as descriptors go, and words if those are fewer.

        Raises:
            ResourceLacking: Not even one.
        """
        if self._route.is_here:
            return wanted, None
        most, fewer = descriptors.most_of(wanted, self.accounts.state_dir, to_come=to_come)
        return most, coded("fewer_in_flight", fewer) if fewer else None

    def _limits(self, max_cost_usd: Decimal | None) -> Limits:
        """Put the caps together; what is not limited has none."""
        if self._route.is_here:
            return Limits()
        settings = self.settings
        budgets = map(_microusd, (settings.budget_usd, max_cost_usd))
        return Limits(
            budget_microusd=min((cap for cap in budgets if cap is not None), default=None),
            daily_microusd=_microusd(settings.daily_usd),
            total_microusd=_microusd(settings.total_usd),
        )

    def _need_no_free_ones(self, unnamed: PictureRequest) -> None:
        """Refuse a route whose pictures cost nothing behind one that is paid for.

        Raises:
            SettingsRefused: There is one.
        """
        is_paid = False
        for number, route in enumerate(self.routes):
            request = self._steps.request_at(unnamed, Step(route=number))
            is_free = route.list_price(request).high_microusd == 0
            if is_free and is_paid:
                raise SettingsRefused(
                    f"fallback.{number - 1}",
                    "its pictures cost nothing, and would stand for those of a route that is paid",
                    hint="try what is free first, or say what a picture there costs (price_usd)",
                )
            is_paid = is_paid or not is_free

    def _need_prices(self, requests: Iterable[PictureRequest], limits: Limits) -> None:
        """Refuse to start under a cap that could not be kept.

        Raises:
            SettingsRefused: A picture's price is not known.
        """
        for _ in self._priced(requests) if limits.any else ():
            pass

    def _priced(self, requests: Iterable[PictureRequest]) -> Iterator[PictureRequest]:
        """Yield requests whose prices are known; one that is like another has one if that has.

        Raises:
            SettingsRefused: A picture's price is not known.
        """
        known = set[tuple[object, ...]]()
        for request in requests:
            asked = (request.model, request.width_px, request.height_px, request.quality)
            kind = (*asked, len(request.shown), request.lane)
            if kind not in known:
                for number in range(len(self.routes)):
                    self._need_price(request, number)
                known.add(kind)
            yield request

    def _need_price(self, request: PictureRequest, number: int) -> None:
        asked = self._steps.request_at(request, Step(route=number))
        list_price = self.routes[number].list_price
        if list_price(asked).high_microusd is not None:
            return
        unknown = f"a picture of {asked.size} in quality {asked.quality!r} costs with"
        others = ""
        if asked.shown and list_price(replace(asked, shown=())).high_microusd is not None:
            unknown = f"a reference that {asked.scene_id!r} shows adds to the price of"
            others = "a scene's own model must be that of the settings for it; "
        elif row_named(table(asked.provider).tokens, asked.provider, asked.model) is not None:
            others = 'or prices = { output_image = "30" }, in USD per million tokens; '
        raise SettingsRefused(
            f"fallback.{number - 1}.price_usd" if number else "price_usd",
            f"there is a cap, but what {unknown} model {asked.model!r} is not known",
            hint='write price_usd = "0.05", the most that one picture can cost, in USD; '
            f"{others}or leave the caps out",
        )


@contextmanager
def _as_not_started() -> Generator[None]:
    """Say of what fails that no run would start with it."""
    try:
        yield
    except StorageFailed as failure:
        raise NotStarted(failure) from failure


def _purchase_of(reader: Ledger, attempt_id: str) -> Purchase:
    purchase = reader.purchase(attempt_id)
    if purchase is None:
        raise LookupRefused(attempt_id, "there is no such purchase")
    return purchase


def _conversation_at(backends: Sequence[Backend], endpoint: Endpoint) -> Conversation | None:
    """Return the conversation with an endpoint of the ledger: that of its route, which has its key.

    What was bought at a place that is none of these any more is the first route's to speak with.
    """
    there = [one for one in backends if one.route.is_at(endpoint)]
    named = [one for one in backends if one.route.endpoint.provider == endpoint.provider]
    return (*there, *named, *backends)[0].sender().conversation_for(endpoint)


def _microusd(usd: Decimal | None) -> int | None:
    return None if usd is None else cap_in_microusd(usd)


def _name_of(results: Path, project_dir: Path) -> str:
    """Return what the story of a folder of results is called: the folder, seen from the project."""
    there, project = os.path.realpath(results), os.path.realpath(project_dir)
    try:
        return Path(os.path.relpath(there, project)).as_posix()
    except ValueError:  # Windows: another drive
        return Path(there).as_posix()
