"""Stands between us and a provider's own code, which may be a stranger's and may be wrong.

What it raises becomes one error that names it, and what it returns is looked at before anything
is done with it: a request before it leaves, an estimate before money is held by it, a step before
an answer is given up by it. Apart from the providers, so that none of them has to think of it, and
from those that ask them, so that a fault is never taken for one of the disk or of ours.

What decides is refused where it is not what it should be; then the answer is kept, and a later run
asks a mended provider again. A fact beside it, such as a request's name, is only left out: it is no
reason to keep a picture back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from math import isfinite
from typing import TypeGuard, TypeVar, get_args
from urllib.parse import urlsplit

from stage3_plugin.domain.batch import (
    BatchEnded,
    BatchLine,
    BatchMaking,
    BatchPolled,
    BatchTerms,
    CreateStep,
    LineSaid,
    Upload,
    Uploaded,
    UploadedAs,
    UploadStep,
)
from stage3_plugin.domain.exchange import (
    Asked,
    Fetch,
    Found,
    Gone,
    Lost,
    NotListed,
    Poll,
    Reply,
    Send,
    Unclear,
    Unsaid,
)
from stage3_plugin.domain.free_checks import About, Ask, Finding, Standing
from stage3_plugin.domain.job import Accepted, LineCount
from stage3_plugin.domain.money import MOST_MICROUSD, MOST_USD, Estimate, Prices
from stage3_plugin.domain.picture import InlinePicture, RemotePicture, SpooledPart
from stage3_plugin.domain.profile import Listing, Profile
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import RefusedFor, Verdict, VerdictKind
from stage3_plugin.errors import ProviderBroken
from stage3_plugin.providers.base import BatchLane, Looked, Next, Polled, Provider
from stage3_plugin.providers.replies.answers import MOST_PICTURES
from stage3_plugin.runtime.system_errors import from_lack
from stage3_plugin.settings import HEADER_NAME, OUR_HEADERS

Result = TypeVar("Result")

_MOST_MESSAGE = 300
_MOST_FACT = 2000
"""Characters of a fact that is only reported."""


class Wrong(Exception):
    """What was returned is not what it should be; says what is wrong with it."""


class Guarded:
    """A :class:`~stage3_plugin.providers.base.Provider` that keeps to what one promises.

    Args:
        provider: Says the steps.
        name: Its word in the settings.

    Raises:
        ProviderBroken: Here and in every method: it failed, or returned what it must not.
    """

    def __init__(self, provider: Provider, name: str) -> None:
        self._provider = provider
        self._name = name
        self._profile = self.asked("profile_of", lambda: _profile(provider.profile))
        self._begun: tuple[PictureRequest | None, Send | None] = (None, None)

    @property
    def profile(self) -> Profile:
        """Return what is known of it beforehand."""
        return self._profile

    @property
    def batch(self) -> BatchLane | None:
        """Return its batch lane, if it has one."""
        lane = self.asked("batch", lambda: _lane(getattr(self._provider, "batch", None)))
        return None if lane is None else GuardedBatch(lane, self)

    @property
    def prices(self) -> Prices | None:
        """Return the price table in force."""
        return self.asked("prices", lambda: self._provider.prices)

    def begin(self, request: PictureRequest) -> Send:
        """Return the request to send for a picture."""
        known, send = self._begun
        if send is None or known is not request:  # of one request, a plan asks several times
            send = self.asked("begin", lambda: _send(self._provider.begin(request)))
            self._begun = request, send
        return send

    def next(self, reply: Reply) -> Next:
        """Return what follows from a complete answer."""
        return self.asked("next", lambda: _next(self._provider.next(reply)))

    def polled(self, reply: Reply, job: Accepted, of: Asked) -> Polled:
        """Return what follows from a complete answer to a poll."""
        return self.asked("polled", lambda: _polled(self._provider.polled(reply, job, of)))

    def look_for(self, lost: Lost) -> str:
        """Return the address of the first page of a listing."""
        return self.asked("look_for", lambda: _address(self._provider.look_for(lost), "look_for"))

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        """Return what a page of a listing shows."""
        return self.asked("looked", lambda: _looked(self._provider.looked(reply, lost)))

    def estimate(self, request: PictureRequest) -> Estimate:
        """Return what the picture is expected to cost by the price table."""
        return self.asked("estimate", lambda: _estimate(self._provider.estimate(request)))

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        """Return what can be asked for free; the judges of the answers are looked at as well."""
        found = self.asked("checks", lambda: _checks(self._provider.checks(models)))
        return tuple(self._judging(one) if isinstance(one, Ask) else one for one in found)

    def _judging(self, ask: Ask) -> Ask:
        def judge(_: Ask, reply: Reply, today: date) -> tuple[Finding, ...]:
            return self.asked("checks", lambda: _findings(ask.judged(reply, today)))

        return replace(ask, judge=judge)

    def asked(self, call: str, ask: Callable[[], Result]) -> Result:
        try:
            return ask()
        except Wrong as wrong:
            raise ProviderBroken(self._name, call, f"returned {wrong}") from None
        except (Exception, SystemExit) as error:
            if from_lack(error) is not None:  # of memory, say: that is nobody's fault
                raise
            raise ProviderBroken(self._name, call, f"raised {type(error).__name__}") from error


class GuardedBatch:
    """A :class:`~stage3_plugin.providers.base.BatchLane` that keeps to what one promises.

    Args:
        lane: Says the steps.
        provider: Whose it is: it makes one error of what the lane raises or must not return.

    Raises:
        ProviderBroken: In every method: it failed, or returned what it must not.
    """

    def __init__(self, lane: BatchLane, provider: Guarded) -> None:
        self._lane = lane
        self.asked = provider.asked

    @property
    def terms(self) -> BatchTerms:
        """Return what it takes and promises."""
        return self.asked("batch.terms", lambda: _terms(self._lane.terms))

    def share(self, model: str) -> Decimal | None:
        """Return what part of the ordinary price a picture costs."""
        return self.asked("batch.share", lambda: _share(self._lane.share(model)))

    def kind(self, request: PictureRequest) -> str:
        """Return what the lines of one batch have in common."""
        return self.asked("batch.kind", lambda: _kind_of(self._lane.kind(request)))

    def line(self, request: PictureRequest, key: str, files: Mapping[str, str]) -> BatchLine:
        """Return a request as a line."""
        return self.asked("batch.line", lambda: _batch_line(self._lane.line(request, key, files)))

    def upload(self, size_bytes: int, of: UploadedAs, media_type: str) -> UploadStep:
        """Return the first step of handing over a file."""
        return self.asked(
            "batch.upload", lambda: _upload_step(self._lane.upload(size_bytes, of, media_type))
        )

    def uploaded(self, reply: Reply, size_bytes: int, of: UploadedAs) -> UploadStep:
        """Return what follows from the answer to a step of it."""
        return self.asked(
            "batch.uploaded", lambda: _upload_step(self._lane.uploaded(reply, size_bytes, of))
        )

    def create(self, input_file: str, label: str, kind: str) -> Send:
        """Return the request that begins a batch."""
        return self.asked("batch.create", lambda: _send(self._lane.create(input_file, label, kind)))

    def created(self, reply: Reply) -> CreateStep:
        """Return what follows from its complete answer."""
        return self.asked("batch.created", lambda: _created(self._lane.created(reply)))

    def polled(self, reply: Reply, job: Accepted) -> BatchPolled:
        """Return what follows from a complete answer to a poll."""
        return self.asked("batch.polled", lambda: _batch_polled(self._lane.polled(reply, job)))

    def look_for(self, lost: Lost) -> str:
        """Return the address of the first page of the listing."""
        return self.asked("batch.look_for", lambda: _address(self._lane.look_for(lost), "look_for"))

    def looked(self, reply: Reply, lost: Lost) -> Looked:
        """Return what a page of it shows."""
        return self.asked("batch.looked", lambda: _looked(self._lane.looked(reply, lost)))

    def said(self, reply: Reply) -> LineSaid:
        """Return what one line of a result file says."""
        return self.asked("batch.said", lambda: _line_said(self._lane.said(reply)))


def _lane(found: Result) -> Result:
    if isinstance(found, type) or (found is not None and callable(found)):
        raise Wrong("a batch that is no lane but makes one")
    return found


def _send(found: object) -> Send:
    if not isinstance(found, Send):
        raise Wrong(f"{_kind(found)} where a Send was expected")
    if not _is_address(found.url):
        raise Wrong("a Send whose url is no http address")
    if not _is_mapping(found.payload):
        raise Wrong("a Send whose payload is no mapping")
    _look_at_headers(found.headers, "a Send")
    if not _are(_is_line, found.dropped, tuple):
        raise Wrong("a Send whose dropped is no tuple of words")
    return found


def _look_at_headers(headers: object, of: str) -> None:
    if not _is_mapping(headers):
        raise Wrong(f"{of} whose headers are no mapping")
    for name, value in headers.items():
        if not (_is_line(name) and HEADER_NAME.fullmatch(name.lower()) and _is_line(value)):
            raise Wrong(f"{of} with a header that is not one line of printable ASCII")
        if name.lower() in OUR_HEADERS:
            raise Wrong(f"{of} with the header {name.lower()}, which the program itself sets")


def _next(found: object) -> Next:
    return _accepted(found) if isinstance(found, Accepted) else _step(found)


def _accepted(found: Accepted) -> Accepted:
    if not (_is_line(found.job_id) and len(found.job_id) <= _MOST_FACT):
        raise Wrong("an Accepted whose job_id is not one line of printable ASCII")
    _address(found.poll_url, "poll_url")
    for name in ("result_url", "cancel_url"):
        if getattr(found, name) is not None:
            _address(getattr(found, name), name)
    if not _duration(found.keeps_s):
        raise Wrong("an Accepted whose keeps_s is no number of seconds")
    return replace(found, cost_usd=_usd(found.cost_usd))


def _usd(amount: object) -> Decimal | None:
    """Return an amount that can be one; a broken figure is no reason to lose the job."""
    if not isinstance(amount, Decimal) or not amount.is_finite():
        return None
    return amount if 0 <= amount <= MOST_USD else None


def _polled(found: object) -> Polled:
    match found:
        case Poll():
            if found.of not in get_args(Asked):
                raise Wrong("a Poll of nothing known")
            _address(found.url, "Poll")
            return replace(found, after_s=_duration(found.after_s))
        case Unsaid():
            return _unsaid(found)
        case Gone() | Unclear():
            return replace(found, message=_message(found.message))
        case _:
            return _step(found)


def _looked(found: object) -> Looked:
    match found:
        case Found():
            if not _is_one_of(found.accepted, Accepted):
                raise Wrong("a Found without an Accepted")
            return replace(found, accepted=_accepted(found.accepted))
        case NotListed():
            if found.next_url is not None:
                _address(found.next_url, "NotListed")
            return found
        case Unsaid():
            return _unsaid(found)
        case _:
            raise Wrong(f"{_kind(found)} where a Found or a NotListed was expected")


def _unsaid(found: Unsaid) -> Unsaid:
    if not _is_one_of(found.stops_run, bool):
        raise Wrong("an Unsaid whose stops_run is not True or False")
    return replace(found, message=_message(found.message), hint_s=_duration(found.hint_s))


def _address(url: object, of: str) -> str:
    if not (isinstance(url, str) and _is_address(url)):
        raise Wrong(f"a {of} that is no http address")
    return url


def _message(text: object) -> str:
    return (_fact(text) or "")[:_MOST_MESSAGE]


def _step(found: object) -> Verdict | Fetch:
    if isinstance(found, Verdict):
        verdict = _verdict(found)
        if verdict.kind is VerdictKind.PICTURES:
            _look_at_sources(found.sources, (SpooledPart, InlinePicture))
        return verdict
    if not isinstance(found, Fetch):
        raise Wrong(f"{_kind(found)} where a Verdict or a Fetch was expected")
    _look_at_sources(found.sources, (SpooledPart, InlinePicture, RemotePicture))
    return replace(found, sources=found.sources[:MOST_PICTURES], verdict=_verdict(found.verdict))


def _look_at_sources(sources: object, kinds: tuple[type, ...]) -> None:
    """Look at where pictures are said to be; none at all would be paid for, and bought again."""
    if not _is_tuple(sources) or not sources:
        raise Wrong("pictures whose sources are not a tuple with one at least")
    for source in sources:
        if not isinstance(source, kinds):
            raise Wrong(f"{_kind(source)} where the source of a picture was expected")
        if not _has_what_it_says(source):
            raise Wrong(f"a {type(source).__name__} of something else")


def _has_what_it_says(source: object) -> bool:
    match source:
        case SpooledPart(index):
            return type(index) is int
        case InlinePicture(text) | RemotePicture(text):
            return _is_text(text)
        case _:
            return False


def _verdict(found: object) -> Verdict:
    if not isinstance(found, Verdict):
        raise Wrong(f"{_kind(found)} where a Verdict was expected")
    if not _is_one_of(found.kind, VerdictKind):
        raise Wrong("a Verdict of no known kind")
    if found.kind is VerdictKind.NOT_SENT:  # an answer came
        raise Wrong("a Verdict that nothing was sent")
    for name in ("may_be_billed", "stops_run", "lower_capacity"):
        if not _is_one_of(getattr(found, name), bool):
            raise Wrong(f"a Verdict whose {name} is not True or False")
    if not (found.should_retry is None or _is_one_of(found.should_retry, bool)):
        raise Wrong("a Verdict whose should_retry is not True, False or None")
    return replace(
        found,
        message=_message(found.message),
        hint_s=_duration(found.hint_s),
        used_up_s=_duration(found.used_up_s),
        provider_status=found.provider_status if type(found.provider_status) is int else None,
        provider_code=_fact(found.provider_code),
        request_id=_fact(found.request_id),
        details=_facts(found.details),
        about=found.about if found.about in get_args(RefusedFor) else None,
    )


def _estimate(found: object) -> Estimate:
    if not isinstance(found, Estimate):
        raise Wrong(f"{_kind(found)} where an Estimate was expected")
    for amount in (found.low_microusd, found.high_microusd):
        if amount is not None and not (type(amount) is int and 0 <= amount <= MOST_MICROUSD):
            raise Wrong("an Estimate that is not in whole millionths of a dollar, 0 or more")
    low, high = found.low_microusd, found.high_microusd
    if low is not None and high is not None and low > high:
        raise Wrong("an Estimate whose low_microusd is above its high_microusd")
    return found


def _profile(found: object) -> Profile:
    if not isinstance(found, Profile):
        raise Wrong(f"{_kind(found)} where a Profile was expected")
    if not _is_address(found.base_url):
        raise Wrong("a Profile whose base_url is no http address")
    if not _are(_is_line, (found.name, found.vendor or found.name, found.key_variable), tuple):
        raise Wrong("a Profile whose name, vendor or key_variable is no word")
    header = found.key_header
    if not (_is_line(header) and HEADER_NAME.fullmatch(header)) or header in OUR_HEADERS:
        raise Wrong("a Profile whose key_header cannot be the name of one, in lower case")
    if found.key_prefix != "" and not _is_line(found.key_prefix):
        raise Wrong("a Profile whose key_prefix is not one line of printable ASCII")
    if not _are(lambda status: type(status) is int, found.billed_statuses, frozenset):
        raise Wrong("a Profile whose billed_statuses are no frozenset of numbers")
    if not _are(_is_line, found.picture_hosts, tuple):
        raise Wrong("a Profile whose picture_hosts are no tuple of hosts")
    _look_at_wishes(found)
    if found.pictures_last_s is not None and _duration(found.pictures_last_s) is None:
        raise Wrong("a Profile whose pictures_last_s is no number of seconds")
    _look_at_jobs(found)
    return found


def _look_at_wishes(found: Profile) -> None:
    if not _are(_is_line, found.unsaid, frozenset):
        raise Wrong("a Profile whose unsaid is no frozenset of wishes")


def _look_at_jobs(found: Profile) -> None:
    if not _are(_is_line, found.job_hosts, tuple):
        raise Wrong("a Profile whose job_hosts are no tuple of hosts")
    if not (_is_one_of(found.has_jobs, bool) and _is_one_of(found.token_is_seed, bool)):
        raise Wrong("a Profile whose has_jobs or token_is_seed is not True or False")
    if found.keeps_s is not None and _duration(found.keeps_s) is None:
        raise Wrong("a Profile whose keeps_s is no number of seconds")
    if not (found.listing is None or _is_listing(found.listing)):
        raise Wrong("a Profile whose listing is none")


def _is_listing(found: object) -> bool:
    if not isinstance(found, Listing) or not _is_one_of(found.proves_absence, bool):
        return False
    return _duration(found.settle_s) is not None and _duration(found.reaches_back_s) is not None


# A lane of batches ------------------------------------------------------------------------------


def _terms(found: object) -> BatchTerms:
    if not isinstance(found, BatchTerms):
        raise Wrong(f"{_kind(found)} where BatchTerms were expected")
    for name in ("most_lines", "most_bytes"):
        if not _is_amount(getattr(found, name)):
            raise Wrong(f"BatchTerms whose {name} is no whole number above 0")
    for name in ("most_queued_tokens", "most_reference_bytes"):
        amount = getattr(found, name)
        if not (amount is None or _is_amount(amount)):
            raise Wrong(f"BatchTerms whose {name} is neither None nor a whole number above 0")
    if _duration(found.within_s) is None:
        raise Wrong("BatchTerms whose within_s is no number of seconds")
    if not _is_listing(found.listing):
        raise Wrong("BatchTerms whose listing is none")
    if found.references not in {"file", "inline"}:
        raise Wrong("BatchTerms whose references are neither file nor inline")
    return found


def _share(found: object) -> Decimal | None:
    if found is None:
        return None
    if not (isinstance(found, Decimal) and found.is_finite() and 0 <= found <= 1):
        raise Wrong("a share that is neither None nor a Decimal from 0 to 1")
    return found


def _kind_of(found: object) -> str:
    if not (isinstance(found, str) and _is_line(found) and len(found) <= _MOST_FACT):
        raise Wrong("a kind of batch that is not one line of printable ASCII")
    return found


def _batch_line(found: object) -> BatchLine:
    if not isinstance(found, BatchLine):
        raise Wrong(f"{_kind(found)} where a BatchLine was expected")
    if not _is_mapping(found.payload):
        raise Wrong("a BatchLine whose payload is no mapping")
    if not _are(_is_line, found.dropped, tuple):
        raise Wrong("a BatchLine whose dropped is no tuple of words")
    if not (type(found.tokens) is int and found.tokens >= 0):
        raise Wrong("a BatchLine whose tokens are no whole number of 0 or more")
    return found


def _upload_step(found: object) -> UploadStep:
    match found:
        case Upload():
            return _upload(found)
        case Uploaded():
            return Uploaded(_name(found.name, "an Uploaded whose name"))
        case Verdict():
            return _free_verdict(found)
        case _:
            raise Wrong(f"{_kind(found)} where an Upload, Uploaded or a Verdict was expected")


def _upload(found: Upload) -> Upload:
    if not _is_address(found.url):
        raise Wrong("an Upload whose url is no http address")
    _look_at_headers(found.headers, "an Upload")
    if not _is_one_of(found.has_file, bool):
        raise Wrong("an Upload whose has_file is not True or False")
    if found.has_file and found.payload is not None:
        raise Wrong("an Upload with a payload beside its file")
    if not (found.payload is None or _is_mapping(found.payload)):
        raise Wrong("an Upload whose payload is no mapping")
    if not (found.file_field is None or _is_line(found.file_field)):
        raise Wrong("an Upload whose file_field is no word")
    if not _is_mapping(found.fields) or not all(
        _is_line(name) and _is_line(value) for name, value in found.fields.items()
    ):
        raise Wrong("an Upload whose fields are no mapping of words")
    if not (_is_line(found.media_type) and _is_line(found.file_name)):
        raise Wrong("an Upload whose media_type or file_name is no word")
    return found


def _free_verdict(found: Verdict) -> Verdict:
    """Look at the verdict on an upload: nothing was paid for it, and there is no picture in it."""
    verdict = _verdict(found)
    if verdict.kind in {VerdictKind.PICTURES, VerdictKind.UNKNOWN} or verdict.may_be_billed:
        raise Wrong("a Verdict on an upload that may be billed, or has pictures")
    return verdict


def _created(found: object) -> CreateStep:
    if isinstance(found, Accepted):
        return _accepted(found)
    verdict = _verdict(found)
    if verdict.kind is VerdictKind.PICTURES:
        raise Wrong("pictures where a batch was expected")
    return verdict


def _batch_polled(found: object) -> BatchPolled:
    match found:
        case BatchMaking():
            return replace(
                found,
                lines=_count(found.lines),
                hint_s=_duration(found.hint_s),
                message=_message(found.message),
            )
        case BatchEnded():
            return _ended(found)
        case Unsaid():
            return _unsaid(found)
        case Gone() | Unclear():
            return replace(found, message=_message(found.message))
        case _:
            raise Wrong(f"{_kind(found)} where a BatchMaking or a BatchEnded was expected")


def _ended(found: BatchEnded) -> BatchEnded:
    if found.how not in {"completed", "expired", "cancelled", "failed"}:
        raise Wrong("a BatchEnded in no known way")
    if found.lacking not in {"never_ran", "unknown"}:
        raise Wrong("a BatchEnded whose lacking is nothing known")
    if not _are(_is_address, found.files, tuple):
        raise Wrong("a BatchEnded whose files are no tuple of http addresses")
    verdict = None if found.verdict is None else _verdict(found.verdict)
    if verdict is not None and (
        verdict.may_be_billed or verdict.kind in {VerdictKind.PICTURES, VerdictKind.UNKNOWN}
    ):
        raise Wrong("a BatchEnded whose verdict is not that nothing was begun")
    if verdict is not None and found.files:
        raise Wrong("a BatchEnded in which nothing was begun, with result files")
    return replace(
        found, lines=_count(found.lines), message=_message(found.message), verdict=verdict
    )


def _line_said(found: object) -> LineSaid:
    if not isinstance(found, LineSaid):
        raise Wrong(f"{_kind(found)} where a LineSaid was expected")
    if not _is_one_of(found.never_ran, bool):
        raise Wrong("a LineSaid whose never_ran is not True or False")
    step = _step(found.step)
    if found.never_ran and (isinstance(step, Fetch) or step.may_be_billed or step.sources):
        raise Wrong("a LineSaid that never ran, and may be billed")
    is_name = _is_text(found.key) and len(found.key) <= _MOST_FACT
    return replace(found, key=found.key if is_name else None, step=step)


def _count(found: object) -> LineCount | None:
    """Return how far a batch is, if it can be that: it is only shown."""
    if not isinstance(found, LineCount):
        return None
    figures = (found.total, found.done, found.failed, found.expired)
    return found if all(type(one) is int and one >= 0 for one in figures) else None


def _name(text: object, of: str) -> str:
    if not (isinstance(text, str) and _is_line(text) and len(text) <= _MOST_FACT):
        raise Wrong(f"{of} is not one line of printable ASCII")
    return text


def _is_amount(found: object) -> bool:
    return type(found) is int and found > 0


def _checks(found: object) -> tuple[Ask | Finding, ...]:
    if not _is_tuple(found):
        raise Wrong("checks that are no tuple")
    return tuple(_ask(one) if isinstance(one, Ask) else _finding(one) for one in found)


def _ask(found: Ask) -> Ask:
    if not _is_address(found.url):
        raise Wrong("an Ask whose url is no http address")
    if not (_is_tuple(found.about) and found.about and set(found.about) <= _ABOUT):
        raise Wrong("an Ask that is about nothing known")
    if not callable(found.judge):
        raise Wrong("an Ask whose judge cannot be called")
    return replace(found, model=_fact(found.model))


def _findings(found: object) -> tuple[Finding, ...]:
    if not _is_tuple(found):
        raise Wrong("findings that are no tuple")
    return tuple(map(_finding, found))


def _finding(found: object) -> Finding:
    if not isinstance(found, Finding):
        raise Wrong(f"{_kind(found)} where a Finding was expected")
    if found.about not in _ABOUT or found.verdict not in _STANDINGS:
        raise Wrong("a Finding about nothing known, or of no known verdict")
    return replace(
        found,
        message=_message(found.message),
        hint=None if found.hint is None else (_fact(found.hint) or "")[:_MOST_MESSAGE],
        model=_fact(found.model),
    )


_ABOUT: frozenset[object] = frozenset(get_args(About))
_STANDINGS: frozenset[object] = frozenset(get_args(Standing))


def _is_address(url: object) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


# Types say what a provider should return, so that a checker takes these questions for settled: they
# are asked of what is there.


def _is_one_of(found: object, kind: type[Result]) -> TypeGuard[Result]:
    return isinstance(found, kind)


def _is_mapping(found: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(found, Mapping)


def _is_tuple(found: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(found, tuple)


def _is_text(found: object) -> TypeGuard[str]:
    return isinstance(found, str)


def _is_line(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and text != "" and text.isascii() and text.isprintable()


def _are(is_one: Callable[[object], bool], found: object, kind: type[Collection[object]]) -> bool:
    """Return whether something is a collection of that kind, with nothing else in it."""
    return _is_one_of(found, kind) and all(map(is_one, found))


def _duration(seconds: object) -> float | None:
    """Return a number of seconds; ``None`` for anything else, as if nothing was said."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return seconds if isfinite(seconds) and seconds >= 0 else None


def _fact(text: object) -> str | None:
    return text[:_MOST_FACT] if isinstance(text, str) else None


def _facts(facts: object) -> dict[str, str]:
    if not _is_mapping(facts):
        return {}
    return {name: value for name, value in facts.items() if _is_text(name) and _is_text(value)}


def _kind(found: object) -> str:
    return "nothing" if found is None else f"a {type(found).__name__}"
