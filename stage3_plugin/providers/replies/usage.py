"""What an answer says it cost: the provider's own figure, and tokens by price class.

Apart from ``answers`` because money has its own caution: a figure that is missing, negative, no
number, or more than a million dollars for one answer is unknown, never zero, and a usage without a
token says nothing (self-hosted servers send zeros).
"""

from __future__ import annotations

from decimal import Decimal

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.money import MOST_USD, Usage
from stage3_plugin.providers.replies.figures import count_of, figure_of
from stage3_plugin.providers.replies.reading import Json, at, items_at, text_at

TICKS_PER_USD = 10**10
"""xAI counts in these: 200000000 ticks were recorded for a picture of $0.02."""
MOST_TOKENS = 10**9
_MOST_ROWS = 50
"""Of a breakdown; answers have one for each kind."""


def usage_in(document: Json) -> Usage | None:
    """Read the tokens of an answer, in the Images API's words, in chat completions' or in Gemini's.

    Without a breakdown all output counts as picture tokens, which cost the most: a recorded reply
    of OpenAI lacked it. What a breakdown leaves over counts as text: Google's rows do not add up to
    their count, and OpenRouter charges the rest at the text rate.
    """
    found = _of_gemini(at(document, "usageMetadata"))
    if found != Usage():
        return found
    usage = at(document, "usage")
    total_in = _first_count(usage, "input_tokens", "prompt_tokens")
    total_out = _first_count(usage, "output_tokens", "completion_tokens")
    input_text, input_image = _split(
        total_in, _first(usage, "input_tokens_details", "prompt_tokens_details"), without="text"
    )
    output_text, output_image = _split(
        total_out,
        _first(usage, "output_tokens_details", "completion_tokens_details"),
        without="image",
    )
    found = Usage(
        input_text=input_text,
        input_image=input_image,
        output_text=output_text,
        output_image=output_image,
    )
    return None if found == Usage() else found


def _of_gemini(metadata: Json) -> Usage:
    """Read the tokens of an answer of Gemini.

    All of the prompt has one price. The rows of what came out need not add up to its count, and
    thoughts lie outside of it; both are charged as text.
    """
    rows = items_at(metadata, "candidatesTokensDetails")[:_MOST_ROWS]
    counted = _count_at(metadata, "candidatesTokenCount")
    images = [
        _count_at(row, "tokenCount") for row in rows if text_at(row, "modality").upper() == "IMAGE"
    ]
    output_image = sum(images) if rows else counted
    return Usage(
        input_text=_count_at(metadata, "promptTokenCount")
        + _count_at(metadata, "toolUsePromptTokenCount"),
        output_text=max(0, counted - output_image) + _count_at(metadata, "thoughtsTokenCount"),
        output_image=output_image,
    )


def _count_at(value: Json, name: str) -> int:
    return count(at(value, name)) or 0


def _split(total: int | None, details: Json, *, without: str) -> tuple[int, int]:
    """Split a count into text and image; ``without`` a breakdown it is all of one kind."""
    text, image = count(at(details, "text_tokens")), count(at(details, "image_tokens"))
    if not image and not text:
        whole = total or 0
        return (whole, 0) if without == "text" else (0, whole)
    if total is None:
        return text or 0, image or 0
    if image is None:
        image = max(0, total - (text or 0)) if without == "image" else 0
    return max(0, total - image), image


def _first(usage: Json, *names: str) -> Json:
    return next((found for name in names if (found := at(usage, name)) is not None), None)


def _first_count(usage: Json, *names: str) -> int | None:
    return next((found for name in names if (found := count(at(usage, name))) is not None), None)


def count(value: object) -> int | None:
    """Read a number of tokens; ``None`` if it cannot be one."""
    return count_of(value, most=MOST_TOKENS)


def amount_of(value: object) -> Decimal | None:
    """Read an amount in USD; ``None`` if it cannot be a bill."""
    return figure_of(value, most=MOST_USD)


def reported_usd_of(reply: Reply) -> Decimal | None:
    """Read the provider's own figure for the answer, in USD.

    OpenRouter's ``usage.cost`` is what was charged. With a key of one's own behind it (``is_byok``)
    that is only its fee, and the real spend stands beside it: then the sum counts, and a missing
    part makes it unknown. xAI counts ticks. Of several figures for the same answer the highest
    counts.
    """
    usage = at(reply.document, "usage")
    cost = amount_of(at(usage, "cost"))
    upstream = amount_of(at(usage, "cost_details", "upstream_inference_cost"))
    if not _is_no(at(usage, "is_byok")):
        return None if cost is None or upstream is None else cost + upstream
    ticks = figure_of(at(usage, "cost_in_usd_ticks"), most=MOST_USD * TICKS_PER_USD)
    figures = [cost, upstream, None if ticks is None else ticks / TICKS_PER_USD]
    return max((figure for figure in figures if figure is not None), default=None)


def _is_no(flag: Json) -> bool:
    if isinstance(flag, str):
        return flag.lower() in {"", "false"}
    return flag is None or (isinstance(flag, int) and not flag)


def gateway_usd_of(reply: Reply) -> Decimal | None:
    """Read what a gateway makes of the answer; its zero means that it does not know the model.

    LiteLLM's header is its own price table times the tokens, not what the vendor charged.
    """
    return amount_of(reply.headers.get("x-litellm-response-cost")) or None
