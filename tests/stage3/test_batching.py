"""How lines are cut into batches: no limit passed, none lost, and none cut off too soon."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stage3_plugin.domain.batch import BatchTerms
from stage3_plugin.domain.profile import Listing
from stage3_plugin.policy.batching import Cut, Filling, Load, cut, most_bytes_of, why_too_large

_LISTING = Listing(proves_absence=True, settle_s=1800.0, reaches_back_s=86_400.0)


def _terms(
    *, most_lines: int = 100, most_bytes: int = 1 << 20, most_queued_tokens: int | None = None
) -> BatchTerms:
    return BatchTerms(
        most_lines=most_lines,
        most_bytes=most_bytes,
        most_queued_tokens=most_queued_tokens,
        within_s=86_400.0,
        listing=_LISTING,
        references="inline",
    )


_LOADS = st.lists(
    st.builds(
        Load,
        st.integers(1, 40_000),
        tokens=st.integers(0, 60),
        hold_microusd=st.integers(0, 50),
    ),
    max_size=60,
)
_TERMS = st.builds(
    _terms,
    most_lines=st.integers(1, 12),
    most_bytes=st.integers(8_192, 70_000),
    most_queued_tokens=st.none() | st.integers(1, 400),
)


@given(_LOADS, _TERMS, st.integers(0, 100), st.none() | st.integers(0, 800))
def test_every_line_goes_to_one_place_and_no_limit_is_passed(
    loads: list[Load], terms: BatchTerms, queued: int, room: int | None
) -> None:
    """And a batch ends only where its next line does not fit."""
    found = cut(loads, terms, queued_tokens=queued, room_microusd=room)

    sent = [place for batch in found.batches for place in batch]
    places = [*sent, *found.too_large, *found.waiting, *found.over]
    assert sorted(places) == list(range(len(loads)))
    assert sent == sorted(sent)
    for batch in found.batches:
        assert 0 < len(batch) <= terms.most_lines
        assert sum(loads[place].size_bytes for place in batch) <= most_bytes_of(terms)
    if terms.most_queued_tokens is not None and sent:
        tokens = sum(loads[place].tokens for place in sent)
        assert queued + tokens <= terms.most_queued_tokens
    if room is not None:
        assert sum(loads[place].hold_microusd for place in sent) <= room
    for batch, behind in zip(found.batches, found.batches[1:], strict=False):
        filling = Filling(terms)
        for place in batch:
            filling.add(loads[place])
        assert not filling.fits(loads[behind[0]])
    assert all(why_too_large(loads[place], terms) for place in found.too_large)


@given(_LOADS, _TERMS)
def test_nothing_waits_and_nothing_is_over_where_nothing_is_bounded(
    loads: list[Load], terms: BatchTerms
) -> None:
    """What is small enough goes into some batch, now."""
    found = cut(loads, _terms(most_lines=terms.most_lines, most_bytes=terms.most_bytes))

    assert (found.waiting, found.over) == ((), ())


def test_what_is_cheaper_does_not_go_before_what_was_first() -> None:
    """The caps end a story where they end it: no later scene slips under what is left."""
    loads = [Load(10, hold_microusd=40), Load(10, hold_microusd=80), Load(10, hold_microusd=10)]

    assert cut(loads, _terms(), room_microusd=100) == Cut(batches=((0,),), over=(1, 2))


def test_what_the_queue_has_no_room_for_waits_in_its_order() -> None:
    """What is in the queue of the model counts, whichever batch it is in."""
    loads = [Load(10, tokens=50), Load(10, tokens=60), Load(10, tokens=1)]

    found = cut(loads, _terms(most_queued_tokens=200), queued_tokens=100)

    assert found == Cut(batches=((0,),), waiting=(1, 2))


def test_a_line_that_fits_into_no_batch_says_why() -> None:
    """By its bytes, or by what the model's queue takes at the most."""
    terms = _terms(most_queued_tokens=100)

    assert "bytes" in why_too_large(Load(1 << 20), terms)
    assert "tokens" in why_too_large(Load(10, tokens=101), terms)
    assert not why_too_large(Load(10, tokens=100), terms)
