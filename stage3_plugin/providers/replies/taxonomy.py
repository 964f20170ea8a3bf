"""What a provider's words and statuses mean: the outcome table, as data.

Rules about words come before those about statuses, because the status is often wrong: 429 may mean
an empty balance, 402 may pass in a minute, 400 may be a bad key or a moderation block. The first
rule that fits counts. Codes are compared whole unless a rule says otherwise; sentences for people
are looked at only where a proxy is known to hide the code. Whether an answer may have been billed
is decided first, by ``unbilled``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stage3_plugin.domain.verdict import VerdictKind
from stage3_plugin.providers.replies.words import ErrorWords


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a failed answer means.

    Attributes:
        case: The rule's name, for tests and people.
        kind: See :class:`~stage3_plugin.domain.verdict.VerdictKind`.
        stops_run: True for every scene of the run.
        lower_capacity: The provider is overloaded by what is in flight.
        hint_s: Seconds to wait where the answer names none.
        next_step: What a person can do about it.
    """

    case: str
    kind: VerdictKind
    stops_run: bool = False
    lower_capacity: bool = False
    hint_s: float | None = None
    next_step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """When a meaning holds; every condition given must be met.

    Attributes:
        words: A pattern for one of the error's words, in whole.
        upstream: A pattern for the word of the service behind the provider.
        fields: One of these fields is present.
        says: A pattern within the message.
        quotas: A pattern within the names of passed quotas.
        params: The parameter complained of is one of these.
        statuses: The status is one of these.
        unless_hinted: Not if the answer says how long to wait.
    """

    meaning: Meaning
    words: re.Pattern[str] | None = None
    upstream: re.Pattern[str] | None = None
    fields: frozenset[str] = frozenset()
    says: re.Pattern[str] | None = None
    quotas: re.Pattern[str] | None = None
    params: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    unless_hinted: bool = False

    def fits(self, error: ErrorWords, status: int, *, hinted: bool) -> bool:
        return (
            (self.words is None or any(map(self.words.fullmatch, error.words)))
            and (self.upstream is None or self.upstream.fullmatch(error.upstream) is not None)
            and (not self.fields or not self.fields.isdisjoint(error.fields))
            and (self.says is None or self.says.search(error.message) is not None)
            and (self.quotas is None or self.quotas.search(error.quotas) is not None)
            and (not self.params or error.param in self.params)
            and (not self.statuses or status in self.statuses)
            and not (self.unless_hinted and hinted)
        )


def _one_of(words: str) -> re.Pattern[str]:
    """Compile a list of words, or patterns, parted by spaces."""
    return re.compile("|".join(words.split()))


def _said(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE)


REFUSAL = _one_of(
    "moderation_blocked content_policy(_violation)? content_filter(ed)? refusal "
    "safety image_safety prohibited_content image_prohibited_content blocklist "
    "spii blocked recitation image_recitation model_armor jailbreak language "
    "escalation (content|request)_moderated unsafe_content policy_violation "
    "responsible_ai_policy_violation"
)
"""Words of a policy's no, in errors and as reasons of a success without a picture."""

ACCOUNT_LIMITED = _one_of("pup_limited_disabled")

_REFUSED = Meaning(
    case="refused",
    kind=VerdictKind.REFUSED,
    next_step="change the scene's prompt",
)
_NO_MONEY = Meaning(
    case="no money",
    kind=VerdictKind.OUT_OF_MONEY,
    stops_run=True,
    next_step="add credit or raise the limit at the provider",
)
BAD_KEY = Meaning(
    case="bad key",
    kind=VerdictKind.BAD_CREDENTIALS,
    stops_run=True,
    next_step="check api_key",
)
_NOT_ALLOWED = Meaning(
    case="not allowed",
    kind=VerdictKind.BAD_CREDENTIALS,
    stops_run=True,
    next_step="check what the key and its organization may do",
)
KEY_OF_ANOTHER = "check api_key and base_url: a key is of one server, and may be of one region"
"""What a person can do about a bad key where it is not the vendor's own address that is asked."""
_REGION = Meaning(
    case="wrong region",
    kind=VerdictKind.REJECTED,
    stops_run=True,
    next_step="use a model or a provider that serves where you are",
)
_HOST = Meaning(
    case="wrong host",
    kind=VerdictKind.REJECTED,
    stops_run=True,
    next_step="set base_url to the host of your account's region",
)
_MODEL = Meaning(
    case="no such model",
    kind=VerdictKind.REJECTED,
    stops_run=True,
    next_step="check model, api and base_url",
)
_SETTING = Meaning(
    case="bad setting",
    kind=VerdictKind.REJECTED,
    stops_run=True,
    next_step="check the setting the message names",
)
_REJECTED = Meaning(case="rejected", kind=VerdictKind.REJECTED)
_LIMITED = Meaning(case="rate limited", kind=VerdictKind.RATE_LIMITED)
_BUSY = Meaning(case="passing trouble", kind=VerdictKind.BUSY)
_OVERLOADED = Meaning(case="overloaded", kind=VerdictKind.BUSY, lower_capacity=True)
_IN_FLIGHT_BUDGET = Meaning(
    case="in-flight budget",
    kind=VerdictKind.RATE_LIMITED,
    lower_capacity=True,
    hint_s=60.0,  # documented with Retry-After; without it, one to two minutes
)
_PROXY = Meaning(
    case="the proxy wants a login",
    kind=VerdictKind.BAD_CREDENTIALS,
    stops_run=True,
    next_step="put user and password into the proxy's address",
)

_BELOW_500 = frozenset(range(200, 500))
_FROM_500 = frozenset(range(500, 600))

_SETTINGS = frozenset({"model", "quality", "output_format", "background", "n"})
"""Parameters that are the same for every scene; a size is a scene's own."""

TROUBLE = _one_of(
    r"server(_error)? internal(_server)?(_error)? unmapped provider_unavailable "
    r"(service_|temporarily_)?unavailable(_error)? (request_|startup_)?timeout bad_gateway "
    r"deadline_exceeded aborted runner_\w+"
)
"""Words for trouble of any kind, which gateways put beside whatever happened to them."""

_BY_WORDS = (
    _Rule(meaning=_REFUSED, words=REFUSAL),
    _Rule(meaning=_REFUSED, upstream=REFUSAL),
    _Rule(
        meaning=_REFUSED,
        fields=frozenset(
            {"reasons", "flagged_input", "patterns", "block_reason", "moderation_details"}
        ),
    ),
    _Rule(  # OpenAI's and Azure's sentences; a gateway overwrites the code beside them
        meaning=_REFUSED,
        says=_said("safety system", "content policy", "content management policy"),
        statuses=frozenset({400, 403}),
    ),
    _Rule(
        meaning=_IN_FLIGHT_BUDGET,
        words=_one_of("openrouter_in_flight_budget in_flight_budget_exhausted"),
    ),
    _Rule(meaning=_NO_MONEY, words=_one_of("openrouter_free_tier_daily")),
    _Rule(meaning=_NO_MONEY, quotas=_said("per_?day")),
    _Rule(meaning=_NO_MONEY, says=_said(r"\blimit: 0(?![.\d])"), statuses=frozenset({429})),
    _Rule(
        meaning=_NO_MONEY,
        words=_one_of(
            ".*(quota|spend_limit|usage_limit|billing|credit|insufficient_(funds|balance)).* "
            ".*_(key_limit|budget) budget_exceeded payment_required"
        ),
    ),
    _Rule(
        meaning=_NO_MONEY,
        says=_said("key limit exceeded", "requires more credits", "billing hard limit"),
    ),
    _Rule(  # fal's "User is locked. Reason: Exhausted balance", with 402 or 403
        meaning=_NO_MONEY,
        says=_said("exhausted balance", "insufficient credits"),
        statuses=frozenset({402, 403}),
    ),
    _Rule(  # LiteLLM's own budgets, of a deployment and of a key: 429 and 400
        meaning=_NO_MONEY,
        says=_said("(crossed|exceeded) budget", "budget has been exceeded"),
        statuses=_BELOW_500,
    ),
    _Rule(  # LiteLLM hides the code; Google says the same of a limit per minute, with a hint
        meaning=_NO_MONEY,
        says=_said("exceeded your current quota", "insufficient.{0,4}quota", "out of credit"),
        statuses=frozenset({400, 402, 403, 429}),
        unless_hinted=True,
    ),
    _Rule(  # of an account that is kept to one region: its key is good, and comes as a 401
        meaning=_HOST,
        words=_one_of("incorrect_hostname"),
    ),
    _Rule(
        meaning=_HOST,
        says=_said("incorrect regional hostname"),
        statuses=frozenset({400, 401, 403}),
    ),
    _Rule(
        meaning=BAD_KEY,
        words=_one_of(
            "api_key_invalid invalid_api_key authentication(_error)? unauthenticated "
            "unauthorized auth_error account_deactivated no_db_connection"
        ),
    ),
    _Rule(
        meaning=_REGION,
        words=_one_of("region_restricted unsupported_country_region_territory"),
    ),
    _Rule(
        meaning=_REGION,
        says=_said(
            r"(country|region|territory|location)\W.{0,40}\b(not|un)\s?(supported|available)",
            "not available in your (country|region|location)",
        ),
        statuses=frozenset({400, 403}),
    ),
    _Rule(
        meaning=_NOT_ALLOWED,
        words=_one_of("permission_(denied|error) account_limited pup_limited_disabled"),
    ),
    _Rule(
        meaning=_NOT_ALLOWED,
        says=_said(
            "must be verified", "permission", "not have access", "not authorized", "management keys"
        ),
        statuses=frozenset({403}),
    ),
    _Rule(
        meaning=_MODEL,
        words=_one_of(
            "model_not_found model_deprecated model_unavailable_upstream wrong_endpoint "
            "no_endpoints privacy_restricted constraint_filtered free_variant_ended"
        ),
    ),
    _Rule(  # LiteLLM's own words and OpenRouter's, under a code that says nothing
        meaning=_MODEL,
        says=_said("invalid model name passed in", "is not a valid model id"),
        statuses=frozenset({400, 404}),
    ),
    _Rule(
        meaning=_SETTING,
        words=_one_of("unknown_parameter invalid_value unsupported_(value|parameter)"),
        params=_SETTINGS,
    ),
    _Rule(  # behind a gateway the code is the status, and type and parameter are left
        meaning=_SETTING,
        words=_one_of("invalid_request_error"),
        params=_SETTINGS,
        statuses=frozenset({400}),
    ),
    _Rule(
        meaning=_REJECTED,
        words=_one_of(
            "unknown_parameter invalid_(value|size|request|prompt|parameter|image_file) "
            "unsupported_(value|parameter) payload_too_large unprocessable(_entity)? "
            "image_(?!generation_user_error).* string_above_max_length"
        ),
        statuses=_BELOW_500,
    ),
    _Rule(  # what is left of a moderation block behind LiteLLM, which overwrites its code
        meaning=_REFUSED,
        words=_one_of("image_generation_user_error"),
        statuses=_BELOW_500,
    ),
    _Rule(meaning=_OVERLOADED, words=_one_of("(provider|server|engine)?_?overloaded(_error)?")),
    _Rule(
        meaning=_LIMITED,
        words=_one_of(
            "rate_limit_exceeded rate_limited rate_limit_error too_many_requests "
            "throttling_error slow_down resource_exhausted (model_)?capacity_exhausted "
            "inflight_limit openrouter_shared_capacity openrouter_admission_control "
            "upstream_provider_shared_pool"
        ),
    ),
    _Rule(meaning=_BUSY, words=TROUBLE, statuses=_FROM_500),
)

_STATUSES: dict[int, Meaning] = {
    401: BAD_KEY,
    402: _NO_MONEY,
    404: _MODEL,
    405: _MODEL,
    407: _PROXY,
    408: _BUSY,
    409: _BUSY,
    429: _LIMITED,
}
_TOO_MUCH = frozenset({503, 529})


def meaning_of(error: ErrorWords, status: int, *, hinted: bool) -> Meaning:
    """Return what a failed answer means.

    Args:
        error: The provider's words; empty where it gave none.
        status: The HTTP status, or the one the body gives instead.
        hinted: Whether the answer says how long to wait.
    """
    fitting = (rule.meaning for rule in _BY_WORDS if rule.fits(error, status, hinted=hinted))
    meaning = next(fitting, None) or _by_status(status)
    return _OVERLOADED if meaning is _BUSY and status in _TOO_MUCH else meaning


def _by_status(status: int) -> Meaning:
    if status in _STATUSES:
        return _STATUSES[status]
    return _BUSY if status >= 500 else _REJECTED
