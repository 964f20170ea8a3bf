"""Stands between us and a provider's own code, which may be a stranger's and may be wrong.

What it raises becomes one error that names it, and what it returns is looked at before anything
is done with it: a request before it leaves, an estimate before money is held by it, a step before
an answer is given up by it. Apart from the providers, so that none of them has to think of it, and
from those that ask them, so that a fault is never taken for one of the disk or of ours.

What a call returns is declared by its protocol, and pydantic holds it to that, strictly and field
by field. What decides is refused where it is not what it should be; then the answer is kept, and a
later run asks a mended provider again. A fact beside it, such as a request's name, is only left
out: it is no reason to keep a picture back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache, partial
from types import GenericAlias
from typing import Any, cast, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from stage3_plugin.domain.batch import BatchEnded, LineSaid, Upload, Uploaded
from stage3_plugin.domain.exchange import Fetch, Reply, Send
from stage3_plugin.domain.free_checks import Ask, Finding
from stage3_plugin.domain.job import Accepted
from stage3_plugin.domain.money import Estimate
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.errors import ProviderBroken
from stage3_plugin.providers.base import BatchLane, Provider
from stage3_plugin.providers.replies.answers import MOST_PICTURES
from stage3_plugin.runtime.declared import Wrong
from stage3_plugin.runtime.system_errors import from_lack


def guarded(provider: Provider, name: str) -> Provider:
    """Return a provider that keeps to what one promises.

    Args:
        provider: Says the steps.
        name: Its word in the settings.

    Raises:
        ProviderBroken: Here, for its profile, and by every call of it or of its batch lane: it
            failed, or returned what it must not.
    """
    return cast("Provider", _GuardedProvider(provider, name))


class _Guarded:
    """Has the calls of a protocol, each looked at.

    Args:
        of: Who is asked.
        protocol: Declares its calls, and what they return.
        name: The provider's word in the settings.
        within: What stands before the names of the calls.
    """

    def __init__(self, of: object, protocol: type, name: str, within: str = "") -> None:
        self._of, self._protocol, self._name, self._within = of, protocol, name, within

    def __getattr__(self, call: str) -> Any:
        declared = vars(self._protocol).get(call)
        if declared is None:
            raise AttributeError(call)
        if isinstance(declared, property):
            return self._looked_at(call, declared.fget, lambda: getattr(self._of, call))
        asked = self.__dict__[call] = partial(self._asked, call)
        return asked

    def _asked(self, call: str, *given: object) -> Any:
        declared = vars(self._protocol)[call]
        return self._looked_at(call, declared, lambda: getattr(self._of, call)(*given))

    def _looked_at(self, call: str, declared: Any, ask: Callable[[], object]) -> Any:
        try:
            return _read(declared, ask())
        except Wrong as wrong:
            raise ProviderBroken(self._name, f"{self._within}{call}", f"returned {wrong}") from None
        except (Exception, SystemExit) as error:
            if from_lack(error) is not None:  # of memory, say: that is nobody's fault
                raise
            told = f"raised {type(error).__name__}"
            raise ProviderBroken(self._name, f"{self._within}{call}", told) from error


class _GuardedProvider(_Guarded):
    def __init__(self, provider: Provider, name: str) -> None:
        super().__init__(provider, Provider, name)
        self.profile = self.__getattr__("profile")
        self._begun: tuple[PictureRequest | None, Send | None] = (None, None)

    @property
    def batch(self) -> object:
        lane = self.__getattr__("batch")
        return lane and _Guarded(lane, BatchLane, self._name, "batch.")

    def begin(self, request: PictureRequest) -> Send:
        known, send = self._begun
        if send is None or known is not request:  # of one request, a plan asks several times
            send = cast("Send", self._asked("begin", request))
            self._begun = request, send
        return send

    def checks(self, models: tuple[str, ...]) -> tuple[Ask | Finding, ...]:
        found: tuple[Ask | Finding, ...] = self._asked("checks", models)
        return tuple(self._judging(one) if isinstance(one, Ask) else one for one in found)

    def _judging(self, ask: Ask) -> Ask:
        def judge(_: Ask, reply: Reply, today: date) -> tuple[Finding, ...]:
            found: tuple[Finding, ...] = self._looked_at(
                "judge of checks", Ask.judged, lambda: ask.judged(reply, today)
            )
            return found

        return replace(ask, judge=judge)


# What is returned ---------------------------------------------------------------------------------


_MOST_NAME = 40
"""Characters of a field's name; a mapping's key may be anything, and is not repeated."""
_STRICT = ConfigDict(strict=True, revalidate_instances="always", arbitrary_types_allowed=True)


@cache
def _returned(call: Callable[..., object]) -> tuple[TypeAdapter[tuple[Any]], tuple[object, ...]]:
    """Return what reads what a call returns, and the kinds of it, if there are several."""
    declared: Any = get_type_hints(call, include_extras=True)["return"]
    in_a_tuple: Any = GenericAlias(tuple, (declared,))  # by itself it would take no config
    return TypeAdapter(in_a_tuple, config=_STRICT), get_args(declared)


def _read(call: Callable[..., object], found: object) -> object:
    """Return what was returned as it is believed."""
    reads, kinds = _returned(call)
    try:
        (believed,) = reads.validate_python((found,))
    except ValidationError as error:
        raise Wrong(_told(found, error)) from None
    return _whole(believed, kinds)


def _told(found: object, error: ValidationError) -> str:
    """Say where what is wrong stands, and what it should be."""
    errors = error.errors(include_url=False, include_input=False)
    deepest = max(len(one["loc"]) for one in errors)
    told = [one for one in errors if len(one["loc"]) == deepest]
    steps = (str(step) for step in told[0]["loc"][1:])  # kinds have capitals, and fields have none
    where = ".".join(step for step in steps if step.isdigit() or _is_field(step))
    words = (one["msg"][max(0, one["msg"].find("should")) :] for one in told)
    should = " or ".join(dict.fromkeys(words))
    kind = type(found).__name__
    article = "an" if kind[:1] in "AEIOUaeiou" else "a"
    return f"{article} {kind} {f'whose {where}' if where else 'that'} {should}"


def _is_field(step: str) -> bool:
    return step.isidentifier() and step.islower() and len(step) <= _MOST_NAME


def _whole(found: object, kinds: tuple[object, ...]) -> object:
    """Refuse what is right in each field, and wrong as a whole, or where it stands."""
    match found:
        case Estimate(low_microusd=int(low), high_microusd=int(high)) if low > high:
            raise Wrong("an Estimate whose low_microusd is above its high_microusd")
        case Fetch(sources=()) | Verdict(kind=VerdictKind.PICTURES, sources=()) if Fetch in kinds:
            raise Wrong("pictures without a source of one, to be paid for and bought again")
        case Fetch():
            return replace(found, sources=found.sources[:MOST_PICTURES])
        case Verdict(kind=VerdictKind.PICTURES) if Accepted in kinds and Fetch not in kinds:
            raise Wrong("pictures where a batch was expected")
        case Verdict() if Uploaded in kinds and _may_be_paid(found):
            raise Wrong("a Verdict on an upload that may be billed, or has pictures")
        case Upload(has_file=True, payload=Mapping()):
            raise Wrong("an Upload with a payload beside its file")
        case BatchEnded(verdict=Verdict() as verdict) if found.files or _may_be_paid(verdict):
            raise Wrong("a BatchEnded in which nothing was begun, with files or to be paid for")
        case LineSaid(never_ran=True) if _may_be_paid(found.step) or found.step.sources:
            raise Wrong("a LineSaid that never ran, and may be billed")
        case LineSaid():
            return replace(
                found, step=cast("Verdict | Fetch", _whole(found.step, (Verdict, Fetch)))
            )
        case _:
            return found


def _may_be_paid(step: Verdict | Fetch) -> bool:
    is_open = isinstance(step, Fetch) or step.kind in {VerdictKind.PICTURES, VerdictKind.UNKNOWN}
    return is_open or cast("Verdict", step).may_be_billed
