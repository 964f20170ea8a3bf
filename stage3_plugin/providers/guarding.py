"""Stands between us and a provider's own code, which may be a stranger's and may be wrong.

What it raises becomes one error that names it, and what it returns is looked at before anything
is done with it: a request before it leaves, an estimate before money is held by it, a step before
an answer is given up by it. Apart from the providers, so that none of them has to think of it, and
from those that ask them, so that a fault is never taken for one of the disk or of ours.

Nothing here names a call or a field: what a call returns is declared by its protocol, and what a
field must be by the type that it has in the domain. What decides is refused where it is not what it
should be; then the answer is kept, and a later run asks a mended provider again. A fact beside it,
such as a request's name, is only left out: it is no reason to keep a picture back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

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
from stage3_plugin.runtime.declared import Rule, Wrong, must
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
            return self._looked_at(call, _returned(declared.fget), lambda: getattr(self._of, call))
        asked = self.__dict__[call] = partial(self._asked, call)
        return asked

    def _asked(self, call: str, *given: object) -> Any:
        rule = _returned(vars(self._protocol)[call])
        return self._looked_at(call, rule, lambda: getattr(self._of, call)(*given))

    def _looked_at(self, call: str, rule: Rule, ask: Callable[[], object]) -> Any:
        try:
            return rule(ask())
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
                "judge of checks", _rule(tuple[Finding, ...]), lambda: ask.judged(reply, today)
            )
            return found

        return replace(ask, judge=judge)


# From a declaration to its rule ------------------------------------------------------------------


@cache
def _returned(call: Callable[..., object]) -> Rule:
    return _rule(get_type_hints(call, include_extras=True)["return"])


@cache
def _rule(declared: Any) -> Rule:
    """Return the rule of a type: its own, or that of what it is made of."""
    kind: Any = get_origin(declared) or declared
    parts = get_args(declared)
    if kind is Annotated:
        own: Rule = parts[1]
        return own
    if kind is Literal:
        return must(parts.__contains__, f"none of {', '.join(parts)}")
    if kind in {Union, UnionType}:
        known = [one for one in parts if one is not NoneType]
        rule = _rule(known[0]) if len(known) == 1 else _a(*known)
        return _or_none(rule) if NoneType in parts else rule
    if kind in {tuple, frozenset}:
        return _each(kind, _rule(parts[0]))
    if is_dataclass(kind):
        return _a(cast("type", kind))
    return must(
        lambda found: callable(found) if kind is Callable else isinstance(found, kind),
        f"no {kind.__name__}",
    )


def _or_none(rule: Rule) -> Rule:
    return lambda found: None if found is None else rule(found)


def _each(kind: Any, rule: Rule) -> Rule:
    def of_each(found: Any) -> object:
        if not isinstance(found, kind):
            raise Wrong(f"no {kind.__name__}")
        believed = kind(map(rule, found))
        return found if believed == found else believed

    return of_each


def _a(*kinds: type) -> Rule:
    """Want one of these, with each of its fields as its type is declared."""
    wanted = " or ".join(map(_kind, kinds))

    def rule(found: Any) -> object:
        kind = next((kind for kind in kinds if isinstance(found, kind)), None)
        if kind is None:
            told = "nothing" if found is None else _kind(found.__class__)
            raise Wrong(f"{told} where {wanted} was expected")
        otherwise: dict[str, object] = {}
        for name, rule_of_it in _fields(kind):
            value = getattr(found, name)
            try:
                believed = rule_of_it(value)
            except Wrong as wrong:
                raise Wrong(f"{_kind(kind)} whose {name} is {wrong}") from None
            if believed is not value:
                otherwise[name] = believed
        return _whole(replace(found, **otherwise) if otherwise else found, kinds)

    return rule


@cache
def _fields(kind: type) -> tuple[tuple[str, Rule], ...]:
    unfollowed = {"Payload": object}  # what it holds may hold it
    declared = get_type_hints(kind, localns=unfollowed, include_extras=True)
    return tuple((one.name, _rule(declared[one.name])) for one in fields(kind))


def _kind(kind: type[object]) -> str:
    return f"{'an' if kind.__name__[0] in 'AEIOUaeiou' else 'a'} {kind.__name__}"


def _whole(found: object, kinds: tuple[type, ...]) -> object:
    """Refuse what is right in each field, and wrong as a whole, or where it stands."""
    match found:
        case Estimate(low_microusd=int(low), high_microusd=int(high)) if low > high:
            raise Wrong("an Estimate whose low_microusd is above its high_microusd")
        case Fetch(sources=()) | Verdict(kind=VerdictKind.PICTURES, sources=()) if Fetch in kinds:
            raise Wrong("pictures without a source of one, to be paid for and bought again")
        case Fetch(sources=sources):
            return replace(found, sources=sources[:MOST_PICTURES])
        case Verdict(kind=VerdictKind.PICTURES) if Accepted in kinds and Fetch not in kinds:
            raise Wrong("pictures where a batch was expected")
        case Verdict() if Uploaded in kinds and _may_be_paid(found):
            raise Wrong("a Verdict on an upload that may be billed, or has pictures")
        case Ask(about=()):
            raise Wrong("an Ask about nothing")
        case Upload(has_file=True, payload=Mapping()):
            raise Wrong("an Upload with a payload beside its file")
        case BatchEnded(verdict=Verdict() as verdict) if found.files or _may_be_paid(verdict):
            raise Wrong("a BatchEnded in which nothing was begun, with files or to be paid for")
        case LineSaid(never_ran=True) if _may_be_paid(found.step) or found.step.sources:
            raise Wrong("a LineSaid that never ran, and may be billed")
        case _:
            return found


def _may_be_paid(step: Verdict | Fetch) -> bool:
    is_open = isinstance(step, Fetch) or step.kind in {VerdictKind.PICTURES, VerdictKind.UNKNOWN}
    return is_open or cast("Verdict", step).may_be_billed
