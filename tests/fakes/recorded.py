"""Failed answers in the providers' own shapes, by name: recorded ones and documented ones.

Used twice: the tests of judging ask what each one means, and a script for the fake API can send it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.behaviours import Json


def _openai(status: int, code: str | None, kind: str, message: str, **more: Any) -> Json:
    error = {"message": message, "type": kind, "param": None, "code": code, **more}
    return Json({"error": error}, status=status, headers={"x-request-id": "req_0123"})


def _openrouter(status: int, message: str, headers: Mapping[str, str] = {}, **more: Any) -> Json:
    error = {"code": status, "message": message, **more}
    return Json({"error": error, "user_id": "user_2abc"}, status=status, headers=headers)


def _google(status: int, name: str, message: str, *details: Mapping[str, Any]) -> Json:
    error = {"code": status, "message": message, "status": name, "details": list(details)}
    return Json({"error": error}, status=status)


_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_QUOTA_FAILURE = "type.googleapis.com/google.rpc.QuotaFailure"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"

MODERATION: Mapping[str, Json] = {
    "openai moderation_blocked": _openai(
        400,
        "moderation_blocked",
        "image_generation_user_error",
        "Your request was rejected by the safety system.",
        moderation_details={"moderation_stage": "input", "categories": ["violence"]},
    ),
    "openai content_policy_violation": _openai(
        400, "content_policy_violation", "invalid_request_error", "Your request was rejected."
    ),
    "openrouter moderation with reasons": _openrouter(
        403,
        "Input was flagged.",
        metadata={
            "reasons": ["violence"],
            "flagged_input": "a lighthouse keeper fights...",
            "provider_name": "OpenAI",
            "model_slug": "openai/gpt-image-2",
        },
    ),
    "openrouter guardrail patterns": _openrouter(
        403, "Blocked by a guardrail.", metadata={"patterns": ["lighthouse"]}
    ),
    "openrouter block_reason": _openrouter(
        400,
        "Provider returned error",
        metadata={
            "provider_name": "Google AI Studio",
            "finish_reason": None,
            "block_reason": "PROHIBITED_CONTENT",
            "candidate_count": 0,
        },
    ),
    "openrouter error_type content_policy_violation": _openrouter(
        400, "Content policy", metadata={"error_type": "content_policy_violation"}
    ),
    "openrouter error_type refusal": _openrouter(
        400, "The model refused", metadata={"error_type": "refusal"}
    ),
    "openrouter provider_code moderation_blocked": _openrouter(
        400,
        "Provider returned error",
        metadata={"error_type": "invalid_request", "provider_code": "moderation_blocked"},
    ),
    "fal content_policy_violation": Json(
        {
            "detail": [
                {"loc": ["body", "prompt"], "msg": "flagged", "type": "content_policy_violation"}
            ]
        },
        status=422,
    ),
    "litellm moderation": _openai(
        400, "400", "image_generation_user_error", "Your request was rejected by the safety system."
    ),
    "litellm moderation without its type": _openai(
        400,
        "400",
        "server_error",
        "litellm.BadRequestError: OpenAIException - Your request was rejected by the safety system",
    ),
    "litellm moderation as a bad request": _openai(
        400,
        "400",
        "invalid_request_error",
        "litellm.BadRequestError: OpenAIException - Your request was rejected as a result of our "
        "safety system.",
    ),
    "azure contentFilter": Json(
        {
            "error": {
                "code": "contentFilter",
                "message": "Your task failed.",
                "inner_error": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
        400,
    ),
    "azure innererror": Json(
        {
            "error": {
                "code": "BadRequest",
                "message": "No.",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
        400,
    ),
    "azure in words": _openai(
        400, "400", "invalid_request_error", "It triggered the content management policy."
    ),
    "a policy told with 403": Json({"error": "This violates our content policy."}, 403),
    "200 with error content_policy": Json({"error": {"code": "content_policy"}}),
}

MONEY: Mapping[str, Json] = {
    "fal exhausted balance": Json(
        {"detail": "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai."}, 403
    ),
    "openai billing_hard_limit_reached": _openai(
        400, "billing_hard_limit_reached", "invalid_request_error", "Billing hard limit reached"
    ),
    **{
        f"openai {code}": _openai(429, code, kind, "You have reached a limit.")
        for code, kind in (
            ("insufficient_quota", "insufficient_quota"),
            ("credit_balance_exhausted", "insufficient_quota"),
            ("organization_spend_limit_exceeded", "requests"),
            ("project_spend_limit_exceeded", "requests"),
            ("organization_usage_limit_exceeded", "requests"),
            ("billing_not_active", "requests"),
        )
    },
    "litellm insufficient_quota": _openai(
        429,
        "429",
        "throttling_error",
        "litellm.RateLimitError: You exceeded your current quota, please check your plan and "
        "billing details.",
    ),
    "openrouter 402 credits": _openrouter(
        402, "Insufficient credits", metadata={"limit_source": "openrouter_credits"}
    ),
    "openrouter 402 key limit": _openrouter(
        402,
        "This request is too large",
        metadata={"limit_source": "openrouter_key_limit", "reason": "weight_exceeds_budget"},
    ),
    "openrouter 402 max_tokens": _openrouter(
        402, "This request requires more credits, or fewer max_tokens."
    ),
    "openrouter 402 without a word": _openrouter(402, "Payment Required"),
    "openrouter 403 key limit": _openrouter(403, "Key limit exceeded (daily limit)."),
    **{
        f"openrouter 403 {source}": _openrouter(
            403,
            "Budget reached",
            metadata={
                "limit_source": source,
                "limit_usd": 5,
                "spend_usd": 5.01,
                "resets_at": "2026-12-01T00:00:00Z",
            },
        )
        for source in (
            "openrouter_guardrail_budget",
            "openrouter_workspace_budget",
            "openrouter_key_limit",
        )
    },
    "openrouter free tier daily": _openrouter(
        429,
        "Rate limit exceeded: free-models-per-day.",
        {"X-RateLimit-Reset": "1789138080000"},
        metadata={"limit_source": "openrouter_free_tier_daily"},
    ),
    "google quota per day": _google(
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota.",
        {"@type": _RETRY_INFO, "retryDelay": "57.238747106s"},
        {
            "@type": _QUOTA_FAILURE,
            "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
        },
    ),
    "google limit 0": _google(
        429,
        "RESOURCE_EXHAUSTED",
        "Quota exceeded for metric: free_tier_requests, limit: 0",
        {"@type": _RETRY_INFO, "retryDelay": "57s"},
    ),
    "litellm budget of a deployment": _openai(
        429,
        "429",
        "internal_server_error",
        "No deployments available - crossed budget: Exceeded budget for deployment model_name: m",
    ),
    "litellm budget of a key": _openai(
        400, "400", "budget_exceeded", "Budget has been exceeded! Current cost: 2, Max budget: 1"
    ),
    "ideogram insufficient_funds": Json({"reject_reason": "insufficient_funds", "error": "x"}, 402),
}

CREDENTIALS: Mapping[str, Json] = {
    "openai invalid_api_key": _openai(
        401,
        "invalid_api_key",
        "invalid_request_error",
        "Incorrect API key provided: sk-test-********4b06. You can find your API key at ...",
    ),
    "openrouter 401": _openrouter(401, "No auth credentials found"),
    "google API_KEY_INVALID": _google(
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        {"@type": _ERROR_INFO, "reason": "API_KEY_INVALID"},
    ),
    "openai organization must be verified": _openai(
        403, None, "invalid_request_error", "Your organization must be verified to use the model."
    ),
    "openrouter 403 as documented": _openrouter(
        403, "Only management keys can perform this operation"
    ),
    "litellm without a database": _openai(400, "400", "no_db_connection", "No connected db."),
    "a wrong key as a server's error": _openai(401, None, "server_error", "Bad key."),
    "google PERMISSION_DENIED": _google(403, "PERMISSION_DENIED", "The caller is not allowed."),
    "openrouter permission_denied": _openrouter(
        403, "Not allowed", metadata={"error_type": "permission_denied"}
    ),
}

FOR_EVERY_SCENE: Mapping[str, Json] = {
    "openai model_not_found": _openai(
        404, "model_not_found", "invalid_request_error", "The model 'dall-e-3' does not exist."
    ),
    **{
        f"openrouter {code}": _openrouter(
            status, "No such model", availability={"code": code, "retryable": False}
        )
        for code, status in (
            ("model_not_found", 400),
            ("wrong_endpoint", 400),
            ("no_endpoints", 404),
            ("model_deprecated", 404),
            ("model_unavailable_upstream", 404),
            ("privacy_restricted", 404),
            ("constraint_filtered", 404),
            ("free_variant_ended", 404),
            ("region_restricted", 403),
        )
    },
    "openrouter invalid model id": Json(
        {"error": {"message": "a/painter is not a valid model ID", "code": 400}}, 400
    ),
    "openai another region's host": _openai(
        401,
        "incorrect_hostname",
        "invalid_request_error",
        "Attempted to access resource with incorrect regional hostname.",
    ),
    "a bare 404": Json({"error": {"message": "Invalid URL (POST /images/generations)"}}, 404),
    "openai region": _openai(
        403, "unsupported_country_region_territory", "request_forbidden", "Not supported."
    ),
    "openai region in words": _openai(
        403, None, "request_forbidden", "Country, region, or territory not supported"
    ),
    "google location": _google(
        400, "FAILED_PRECONDITION", "User location is not supported for the API use."
    ),
    "litellm unknown model": _openai(
        400,
        "400",
        "invalid_request_error",
        "400: {'error': '/image/generations: Invalid model name passed in model=no-such-model.'}",
    ),
    **{
        f"litellm bad {param}": _openai(
            400, "400", "invalid_request_error", "litellm.BadRequestError: No.", param=param
        )
        for param in ("quality", "output_format", "model", "background", "n")
    },
    "openai bad quality": _openai(
        400, "invalid_value", "invalid_request_error", "Invalid value: 'hd'.", param="quality"
    ),
}

FOR_ONE_SCENE: Mapping[str, Json] = {
    "openai unknown_parameter": _openai(
        400,
        "unknown_parameter",
        "invalid_request_error",
        "Unknown parameter: 'response_format'.",
        param="response_format",
    ),
    "openai invalid size": _openai(
        400, "invalid_value", "invalid_request_error", "Invalid size '1x1'.", param="size"
    ),
    "openrouter 413": _openrouter(413, "Too large", metadata={"error_type": "payload_too_large"}),
    "openrouter 422": _openrouter(422, "Unprocessable", metadata={"error_type": "unprocessable"}),
    "fastapi 422": Json(
        {
            "detail": [
                {
                    "loc": ["body", "prompt"],
                    "msg": "String should have at most 4000 characters",
                    "type": "string_too_long",
                    "input": "the whole secret prompt",
                }
            ]
        },
        status=422,
    ),
    "openai bad value that calls itself a user's error": _openai(
        400, "invalid_value", "image_generation_user_error", "Invalid size.", param="size"
    ),
    "openrouter image_not_found": _openrouter(
        404, "No such reference", metadata={"error_type": "image_not_found"}
    ),
    "sd-server": Json({"error": "prompt required"}, status=400),
    "litellm bad size": _openai(400, "400", "invalid_request_error", "No.", param="size"),
    "a generic word below 500": _openai(400, "400", "server_error", "litellm.BadRequestError"),
    "seconds below 500": _openai(400, None, "invalid_request_error", "timeout must be below 600"),
    "an unknown 418": Json({"error": {"message": "I'm a teapot"}}, status=418),
    "an unknown 403": _openrouter(403, "Forbidden"),
    "200 with an error nobody knows": Json({"error": {"message": "hm", "code": "odd"}}),
}

RATE_LIMITS: Mapping[str, tuple[Json, float | None]] = {
    "openai text hint": (
        _openai(
            429,
            "rate_limit_exceeded",
            "input-images",
            "Rate limit reached for gpt-image-2 on input-images per min: Limit 5, Used 5, "
            "Requested 1. Please try again in 12s.",
        ),
        12.0,
    ),
    "openai text hint in milliseconds": (
        _openai(429, "rate_limit_exceeded", "requests", "Please try again in 467ms."),
        0.467,
    ),
    "openai slow_down": (_openai(429, "slow_down", "requests", "Slow down."), None),
    "openrouter upstream, no hint": (
        _openrouter(
            429,
            "Provider returned error",
            metadata={
                "provider_name": "Google",
                "raw": "busy",
                "error_type": "rate_limit_exceeded",
            },
        ),
        None,
    ),
    "openrouter platform": (
        _openrouter(
            429,
            "Rate limit exceeded",
            {"Date": "Fri, 11 Sep 2026 14:07:53 GMT", "X-RateLimit-Reset": "1789135680000"},
            metadata={"headers": {"X-RateLimit-Reset": "1789135680000"}},
        ),
        7.0,
    ),
    "openrouter platform, only in the body": (
        _openrouter(
            429,
            "Rate limit exceeded",
            {"Date": "Fri, 11 Sep 2026 14:07:53 GMT"},
            metadata={"headers": {"X-RateLimit-Reset": "1789135680000"}},
        ),
        7.0,
    ),
    "openrouter capacity_exhausted": (
        _openrouter(
            429,
            "No capacity",
            availability={"code": "capacity_exhausted", "retryable": True, "retry_after": 9},
        ),
        9.0,
    ),
    **{
        f"openrouter {source}": (
            _openrouter(429, "Limited", metadata={"limit_source": source}),
            None,
        )
        for source in (
            "openrouter_shared_capacity",
            "upstream_provider_shared_pool",
            "openrouter_admission_control",
        )
    },
    "google per minute": (
        _google(
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details.",
            {"@type": _RETRY_INFO, "retryDelay": "57.238747106s"},
            {
                "@type": _QUOTA_FAILURE,
                "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}],
            },
        ),
        57.238747106,
    ),
    "google MODEL_CAPACITY_EXHAUSTED": (
        _google(
            429,
            "RESOURCE_EXHAUSTED",
            "No capacity available.",
            {"@type": _ERROR_INFO, "reason": "MODEL_CAPACITY_EXHAUSTED"},
        ),
        None,
    ),
    "litellm": (_openai(429, "429", "throttling_error", "litellm.RateLimitError"), None),
    "replicate": (
        Json({"detail": "Request was throttled. Your rate limit resets in ~30s."}, 429),
        30.0,
    ),
    "ideogram inflight_limit": (
        Json({"reject_reason": "inflight_limit", "error": "too many"}, 429),
        None,
    ),
    "openai 503 slow_down": (_openai(503, "slow_down", "server_error", "Slow down."), None),
    "200 with a rate limit in words": (
        Json({"error": {"message": "x", "metadata": {"error_type": "rate_limit_exceeded"}}}),
        None,
    ),
    "200 with a rate limit": (Json({"error": {"code": 429, "message": "retry in 5s"}}), 5.0),
}

PASSING: Mapping[str, Json] = {
    "openai 500": _openai(
        500,
        None,
        "server_error",
        "The server had an error while processing your request. Sorry about that! You can retry "
        "your request, or contact us through our help center at help.openai.com if the error "
        "persists.",
    ),
    "openai 503": _openai(
        503, None, "server_error", "The engine is currently overloaded, please try again later"
    ),
    "openai server_is_overloaded": _openai(
        503, "server_is_overloaded", "service_unavailable_error", "Please try again."
    ),
    "anthropic overloaded_error": Json(
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 529
    ),
    "litellm quotes openai": _openai(
        500,
        "500",
        "internal_server_error",
        "litellm.InternalServerError: InternalServerError: OpenAIException - The server had an "
        "error while processing your request. Sorry about that!\n\nLiteLLM: model group "
        "'my-gateway' failed with the error above. No fallback was attempted.",
    ),
    "litellm quotes openai's 503": _openai(
        503,
        "503",
        "internal_server_error",
        "litellm.ServiceUnavailableError: ServiceUnavailableError: OpenAIException - The engine is "
        "currently overloaded, please try again later",
    ),
    "openrouter provider_overloaded": _openrouter(
        503, "Overloaded", metadata={"error_type": "provider_overloaded"}
    ),
    "openrouter temporarily_unavailable": _openrouter(
        503, "Down", availability={"code": "temporarily_unavailable", "retryable": True}
    ),
    "openrouter 529": _openrouter(529, "Overloaded"),
    "a 409": Json({"error": {"message": "Conflict"}}, 409),
    "google UNAVAILABLE": _google(503, "UNAVAILABLE", "The model is overloaded."),
    "200 with openrouter's own 503": Json(
        {
            "error": {
                "code": 503,
                "message": "Overloaded",
                "metadata": {"error_type": "provider_overloaded"},
            }
        }
    ),
    "openai 500 with the request's id": _openai(
        500,
        None,
        "server_error",
        "The server had an error processing your request. Sorry about that! You can retry your "
        "request, or contact us through our help center at help.openai.com if you keep seeing this "
        "error. (Please include the request ID req_0123456789abcdef0123456789abcdef in your "
        "message.)",
    ),
    "openai 503 of a model": _openai(
        503,
        None,
        "server_error",
        "That model is currently overloaded with other requests. You can retry your request, or "
        "contact us through our help center at help.openai.com if the error persists. (Please "
        "include the request ID 0123456789abcdef0123456789abcdef in your message.)",
    ),
}
"""Failures in words that a vendor documents for what did not run, quoted by a gateway or not."""

_SORRY = "The server had an error while processing your request"


def _busy(message: str, code: str = "overloaded", **more: Any) -> tuple[int, dict[str, Any]]:
    return 503, {"error": {"code": code, "message": message}, **more}


_BESIDE_OTHER_WORDS: Mapping[str, tuple[int, Any]] = {
    "a cause": (500, {"error": {"message": _SORRY, "type": "server_error"}, "cause": "ETIMEDOUT"}),
    "a cause of 529": (
        529,
        {
            "type": "error",
            "error": {"type": "overloaded_error", "message": "Overloaded"},
            "cause": "ETIMEDOUT",
        },
    ),
    "a type": (503, {"type": "https://x/deadline", "detail": "The model is overloaded"}),
    "a connection": (500, {"error": {"message": f"{_SORRY}. (ECONNRESET)"}}),
    "a code": (500, {"error": {"message": _SORRY, "code": "ERR_HTTP2_STREAM_ERROR"}}),
    "a picture": (
        500,
        {"error": {"message": f"{_SORRY}: picture already generated, could not be stored"}},
    ),
    "a bill": _busy("overloaded: billed 0.04 USD"),
    "a wait": _busy("The service was overloaded and gave up waiting for the finished picture"),
    "an origin": _busy("504 from origin; overloaded"),
    "a loss": _busy("response was lost, overloaded"),
    "an inner error": _busy("overloaded", inner=[{"x": "stream reset"}]),
    "an inner document": _busy("overloaded", metadata={"raw": '{"code":"DEADLINE_EXCEEDED"}'}),
    "a client": _busy("Slow down, client gone"),
    "grpc": (503, {"error": {"code": "overloaded"}, "grpc-status": 4}),
    "another status": _busy("overloaded", status=504),
    "another language": _busy("Tempo scaduto", "slow_down"),
    "a field": _busy("overloaded", billed=True),
    "many fields": _busy("overloaded", metadata=[{}] * 500),
    "a foreign sentence of 529": (529, {"error": {"type": "overloaded_error", "message": "Fatto"}}),
}

IN_DOUBT: Mapping[str, Json] = {
    "openai 500 in other words": _openai(500, None, "server_error", "The server had an error."),
    "500 overloaded_error": _openai(500, None, "overloaded_error", "Overloaded."),
    "openrouter 500": _openrouter(500, "Internal Server Error"),
    "openrouter 502": _openrouter(502, "Provider returned error"),
    "openrouter 503": _openrouter(503, "Service temporarily unavailable"),
    "openrouter 524": _openrouter(524, "Request timed out. Please try again later."),
    "openrouter 529 in other words": _openrouter(529, "Provider returned error"),
    "openrouter provider_unavailable": _openrouter(
        502, "Bad gateway", metadata={"error_type": "provider_unavailable"}
    ),
    "openrouter timeout": _openrouter(504, "Timeout", metadata={"error_type": "timeout"}),
    "openrouter availability, not retryable": _openrouter(
        503, "Down", availability={"code": "temporarily_unavailable", "retryable": False}
    ),
    "a 520": _openrouter(520, "Odd"),
    "a 408": _openrouter(408, "Request timed out"),
    "a 499": Json({"error": "Client closed request"}, 499),
    "a 408 of litellm": _openai(
        408, "408", "invalid_request_error", "litellm.Timeout: APITimeoutError - Request timed out."
    ),
    "a service's 500 that quotes a time-out": _openai(
        500,
        None,
        "server_error",
        "The server had an error while processing your request: upstream timed out",
    ),
    "a gateway that is overloaded": Json({"error": {"message": "gateway overloaded"}}, 503),
    "overloaded, in a time-out's status": _openai(504, "overloaded", "server_error", "Overloaded"),
    "a busy server told by its connection": Json(
        {"error": {"message": "The engine is currently overloaded: connection reset by peer"}}, 503
    ),
    "fal runner": Json({"detail": "Runner failed", "error_type": "runner_disconnected"}, 503),
    "a problem of RFC 9457": Json(
        {"type": "about:blank", "title": "Gateway Timeout", "status": 504, "detail": "no answer"},
        504,
    ),
    "spring": Json(
        {"timestamp": "2026-11-25T10:00:00Z", "status": 500, "error": "Internal Server Error"}, 500
    ),
    "prism, of a paid answer": Json(
        {
            "type": "https://stoplight.io/prism/errors#VIOLATIONS",
            "title": "Request/Response not valid",
            "status": 500,
            "detail": "Your request/response is not valid",
        },
        500,
    ),
    "cloudflare": Json({"errors": [{"code": 1101, "message": "Worker threw exception"}]}, 500),
    "a policy's word with 500": _openai(500, "content_policy_violation", "server_error", "No."),
    "an empty purse with 500": _openai(500, "insufficient_quota", "server_error", "No."),
    "a limit with 503": _openai(503, "rate_limit_exceeded", "requests", "Please retry in 5s."),
    "google INTERNAL": _google(500, "INTERNAL", "An internal error has occurred."),
    "google DEADLINE_EXCEEDED": _google(504, "DEADLINE_EXCEEDED", "Too slow."),
    "200 with choices[].error": Json(
        {
            "choices": [
                {"finish_reason": "error", "error": {"code": 502, "message": "Upstream failed"}}
            ]
        }
    ),
    "200 with an SSE-like error": Json(
        {"type": "error", "error": {"message": "failed", "code": "server_error"}}
    ),
    "200 with a time-out": Json({"error": {"message": "Request timed out. Please try again."}}),
    "200 with a status and a time-out": Json(
        {"error": {"code": 400, "message": "upstream timed out"}}
    ),
    "200 with a limit and a connection": Json(
        {"error": {"code": 429, "message": "Too many requests", "cause": "ECONNRESET"}}
    ),
    "200 with openrouter's 408": Json({"error": {"code": 408, "message": "Request timed out"}}),
    **{
        f"beside other words, {name}": Json(document, status)
        for name, (status, document) in _BESIDE_OTHER_WORDS.items()
    },
    "museq 500": Json({"detail": "width and height must be multiples of 8"}, 500),
}
"""Failures that no vendor documents as free: the service behind may have worked on."""

IN_FLIGHT_BUDGET = _openrouter(
    402,
    "Too many requests in flight for this balance.",
    metadata={
        "limit_source": "openrouter_in_flight_budget",
        "reason": "in_flight_budget_exhausted",
        "error_type": "payment_required",
    },
)
