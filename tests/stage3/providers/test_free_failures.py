"""Which failures cost nothing: by the table, at the vendors' own addresses, and elsewhere."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Fetch, Reply
from stage3_plugin.domain.verdict import Verdict, VerdictKind
from stage3_plugin.providers.registry import provider_at
from stage3_plugin.providers.replies.batches import why_not_created
from stage3_plugin.providers.replies.unbilled import free
from tests.stage3.providers.replies import (
    FAILURES,
    NOW_S,
    RELAY,
    gemini,
    openai,
    page,
    reply,
    verdict_on,
)

HIGH_DEMAND = (
    "This model is currently experiencing high demand. Spikes in demand are usually temporary. "
    "Please try again later."
)
"""Google's words since December of 2025."""


class Shape(NamedTuple):
    """How a vendor writes an error.

    Attributes:
        model: A model of its.
        document: The error, with its sentence where ``{said}`` stands.
        statuses: Those that are presumed free there.
    """

    model: str
    document: dict[str, Any]
    statuses: tuple[int, ...] = (503,)

    def saying(self, said: str, status: int = 503) -> Reply:
        return reply(_filled(self.document, said, status), status)


def _filled(value: Any, said: str, status: int) -> Any:
    if isinstance(value, dict):
        held = cast("dict[str, Any]", value)
        return {name: _filled(inner, said, status) for name, inner in held.items()}
    return {"{said}": said, "{status}": status}.get(value, value)


SHAPES = {row.pop("word"): Shape(**row) for row in map(dict, FAILURES["shapes"])}
EVERYDAY, RAN = FAILURES["everyday"], FAILURES["ran"]
MADE = FAILURES["made"]
"""What a body has beside its error where something was made, or begun, and no word says so."""


def judged(word: str, answer: Reply, base_url: str | None = None) -> Verdict:
    """Judge an answer to a request as the provider does, at its vendor's own address or another."""
    endpoint = Endpoint(provider=word, model=SHAPES[word].model, base_url=base_url)
    step = provider_at(endpoint).next(answer)
    assert isinstance(step, Verdict | Fetch)
    return step if isinstance(step, Verdict) else step.verdict


# The table ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", free(), ids=lambda row: f"{row.vendor}: {row.quoted}"[:60])
def test_a_row_says_whose_word_it_is_and_where_it_stands(row: Any) -> None:
    """With the day; and what holds for any words holds at one address, in one shape."""
    assert row.quoted
    assert row.page
    assert date(2026, 1, 1) < row.seen <= date(2026, 12, 31)
    assert (row.says is None) == bool(row.at) == bool(row.has)
    assert row.at or row.kind == "said"


def test_every_vendor_has_a_row_for_its_everyday_refusal() -> None:
    """And no other has one: the shapes below are all that are tried."""
    assert {row.at for row in free() if row.kind == "presumed"} == set(SHAPES)


# At a vendor's own address -----------------------------------------------------------------------


@pytest.mark.parametrize("said", EVERYDAY)
@pytest.mark.parametrize("word", SHAPES)
def test_an_everyday_refusal_of_a_vendors_is_an_overload(word: str, said: str) -> None:
    """In any words: it is tried again until the deadline, with fewer beside it."""
    for status in SHAPES[word].statuses:
        verdict = judged(word, SHAPES[word].saying(said, status))

        assert (verdict.kind, verdict.may_be_billed) == (VerdictKind.BUSY, False)
        assert verdict.lower_capacity
        assert not verdict.stops_run


@pytest.mark.parametrize("said", RAN)
@pytest.mark.parametrize("word", SHAPES)
def test_a_refusal_that_speaks_of_more_may_have_been_billed(word: str, said: str) -> None:
    """Of time, a connection, what stands in between, or of what was made or billed."""
    for status in SHAPES[word].statuses:
        assert judged(word, SHAPES[word].saying(said, status)).is_unknown


@pytest.mark.parametrize("beside", FAILURES["beside"], ids=" ".join)
@pytest.mark.parametrize("word", SHAPES)
def test_what_stands_beside_it_is_looked_through(word: str, beside: dict[str, Any]) -> None:
    """Names of fields too; and what is too much to be looked through is not believed."""
    answer = SHAPES[word].saying(HIGH_DEMAND)
    assert isinstance(answer.document, dict)

    assert judged(word, reply({**answer.document, **beside}, 503)).is_unknown


@pytest.mark.parametrize("made", MADE, ids=" ".join)
@pytest.mark.parametrize("word", SHAPES)
def test_a_body_with_anything_besides_an_error_leaves_it_open(
    word: str, made: dict[str, Any]
) -> None:
    """Whatever the words; in the error itself as well, where it can hold something."""
    for status in SHAPES[word].statuses:
        document = SHAPES[word].saying(HIGH_DEMAND, status).document
        assert isinstance(document, dict)
        answers = [{**document, **made}]
        error, (name, held) = document.get("error"), next(iter(made.items()))
        if isinstance(error, dict) and isinstance(held, dict | list):
            answers.append({**document, "error": {**error, name: held}})

        for answer in answers:
            assert judged(word, reply(answer, status)).is_unknown


@pytest.mark.parametrize("made", [one for one in MADE if "id" not in one], ids=" ".join)
def test_a_sentence_of_the_table_does_not_free_what_was_made(made: dict[str, Any]) -> None:
    """Whoever quotes it."""
    document = {"error": {"message": "The engine is currently overloaded"}, **made}

    assert judged("openai", reply(document, 503)).is_unknown
    assert judged("openai", reply(document, 503), RELAY).is_unknown


@pytest.mark.parametrize("beside", FAILURES["no_doubt"], ids=" ".join)
@pytest.mark.parametrize("word", SHAPES)
def test_what_vendors_put_beside_an_error_is_no_doubt(word: str, beside: dict[str, Any]) -> None:
    """Names of the request, waits, and places with nothing in them."""
    document = SHAPES[word].saying(HIGH_DEMAND).document
    assert isinstance(document, dict)

    assert not judged(word, reply({**document, **beside}, 503)).is_unknown


@pytest.mark.parametrize("status", [500, 502, 504, 520, 524, 529, 599])
@pytest.mark.parametrize("word", SHAPES)
def test_another_status_is_presumed_to_be_nothing(word: str, status: int) -> None:
    """A time-out has one of its own; Google alone says of its 500 that it is free."""
    is_free = status in SHAPES[word].statuses or (word, status) == ("gemini", 500)

    assert judged(word, SHAPES[word].saying(HIGH_DEMAND, status)).is_unknown is not is_free


@pytest.mark.parametrize("word", SHAPES)
def test_what_is_not_in_the_vendors_shape_is_not_the_vendors(word: str) -> None:
    """A page, a gateway's JSON, an error with another status in it."""
    others = (
        page(503),
        reply({"message": HIGH_DEMAND}, 503),
        reply({"errors": [{"message": HIGH_DEMAND}]}, 503),
        reply({"error": {"message": HIGH_DEMAND, "status": 504}}, 503),
        reply({"error": {"message": HIGH_DEMAND}}, 503),
    )

    for answer in others:
        assert judged(word, answer).is_unknown


@pytest.mark.parametrize("said", [*EVERYDAY, *RAN])
def test_google_does_not_charge_for_a_500(said: str) -> None:
    """Its billing page says so, without a word on what the answer says."""
    document = {"error": {"code": 500, "message": said, "status": "INTERNAL"}}
    verdict = verdict_on(gemini(), reply(document, 500))

    assert (verdict.kind, verdict.may_be_billed) == (VerdictKind.BUSY, False)
    assert verdict_on(gemini(base_url=RELAY), reply(document, 500)).is_unknown
    assert verdict_on(openai(), reply(document, 500)).is_unknown
    assert verdict_on(gemini(), page(500)).is_unknown


# At any other ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", SHAPES)
def test_at_another_address_nothing_is_presumed(word: str) -> None:
    """There the table's own sentences count, and nothing else: a gateway writes any shape."""
    everyday = [judged(word, SHAPES[word].saying(said), RELAY) for said in EVERYDAY]

    assert [verdict.is_unknown for verdict in everyday] == [True] * len(EVERYDAY)


_ASKING = (
    "That model is currently overloaded with other requests. You can retry your request, or "
    "contact us through our help center at help.openai.com if the error persists."
)
SENTENCES = (
    "The server had an error while processing your request. Sorry about that!",
    "The engine is currently overloaded, please try again later.",
    f"{_ASKING} (Please include the request ID 0123456789abcdef0123456789abcdef in your message.)",
    "Overloaded",
    "Slow down",
)


@pytest.mark.parametrize("said", SENTENCES)
def test_a_sentence_of_the_table_is_free_whoever_quotes_it(said: str) -> None:
    """As it is, and with what LiteLLM puts around it."""
    quoted = (
        f"litellm.ServiceUnavailableError: ServiceUnavailableError: OpenAIException - {said}"
        "\n\nLiteLLM: model group 'my-gateway' failed with the error above. "
        "No fallback was attempted."
    )
    for text in (said, quoted):
        document = {"error": {"message": text, "type": "server_error", "code": "503"}}
        verdict = verdict_on(openai(base_url=RELAY), reply(document, 503))

        assert (verdict.is_unknown, verdict.may_be_billed) == (False, False)


WORDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_characters=".,!:;"), min_size=2
).filter(lambda text: any(map(str.isalpha, text)))


@given(
    said=st.sampled_from(SENTENCES),
    more=WORDS,
    place=st.sampled_from(["before", "behind", "message", "cause", "code", "inner"]),
)
def test_a_sentence_frees_only_alone(said: str, more: str, place: str) -> None:
    """One foreign word, in any place and any language, leaves the outcome open."""
    error: dict[str, Any] = {"message": said, "type": "server_error"}
    document: dict[str, Any] = {"error": error}
    match place:
        case "before":
            error["message"] = f"{more} {said}"
        case "behind":
            error["message"] = f"{said} {more}"
        case "message" | "cause":
            document[place] = more
        case "code":
            error["code"] = f"x-{more}"
        case _:
            error["inner"] = [{"x": more}]

    assert verdict_on(openai(base_url=RELAY), reply(document, 503)).is_unknown


# Whole batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["openai", "gemini"])
def test_what_is_presumed_of_a_picture_is_not_presumed_of_a_batch(word: str) -> None:
    """Its listing says for nothing whether it was begun; the table's own sentence is enough."""
    busy, said = (SHAPES[word].saying(text) for text in (HIGH_DEMAND, "The model is overloaded."))
    created = [why_not_created(one, judged(word, one), now_s=NOW_S) for one in (busy, said)]

    assert [verdict.is_unknown for verdict in created] == [True, False]
