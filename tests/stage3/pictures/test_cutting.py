"""Laws of cutting base64 out of a body, with bytes and pieces of any kind."""

import base64
import json
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stage3_plugin.errors import SpoolRefused
from stage3_plugin.storage.spool.receipt import is_complete
from stage3_plugin.storage.spool.writing import SpooledAnswer
from tests.laws import tried
from tests.stage3.pictures.spooling import SHORT, a_folder, everything_in, feed, spooled

SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
PIECES = st.one_of(
    st.integers(0, 5 * SHORT).map(lambda count: base64.b64encode(Random(count).randbytes(count))),
    st.text(alphabet=SIGNS, max_size=3 * SHORT).map(str.encode),
    st.sampled_from([b'"', b"\\", b"=", b"==", b'",', b"data:;base64,", b"\\/", b"\n", b"-"]),
    st.binary(max_size=20),
)


@pytest.mark.usefixtures("short_strings_count_as_long")
@tried(3000)
@given(body=st.lists(PIECES, max_size=12).map(b"".join), seed=st.integers(0, 2**32))
@example(body=b'"' + b"A" * (SHORT + 1) + b'="', seed=0)
@example(body=b"A" * SHORT + b"=", seed=1)
@example(body=b'"' + b"A" * SHORT, seed=2)
def test_of_a_body_cut_into_any_pieces_every_byte_stays(body: bytes, seed: int) -> None:
    """What was cut out is the same as what came, to the last sign, wherever the body ends."""
    random = Random(seed)
    lengths = [random.randint(1, random.choice([1, 2, 7, 50, 1000])) for _ in range(9)]
    with a_folder() as folder:
        answer = SpooledAnswer(folder)
        answer.opened(200, {})
        feed(answer, b"[" + body, lengths)
        answer.finish("cut")

        assert everything_in(folder) == b"[" + body
        assert answer.received_bytes == len(body) + 1


@pytest.mark.usefixtures("short_strings_count_as_long")
@tried(1000)
@given(count=st.integers(SHORT, 6 * SHORT), seed=st.integers(0, 2**32))
def test_a_long_string_of_plain_base64_is_never_written_as_text(count: int, seed: int) -> None:
    """Its bytes are in a file of their own, once, however the network cuts it."""
    random = Random(seed)
    data = random.randbytes(count)
    lengths = [random.randint(1, random.choice([1, 3, 40, 1000])) for _ in range(9)]
    body = json.dumps({"b64_json": base64.b64encode(data).decode()}).encode()
    with a_folder() as folder:
        reply = spooled(folder, body, pieces=lengths)

        [part] = reply.parts.values()
        assert part.path.read_bytes() == data
        assert len((folder / "answer").read_bytes()) < 400


@pytest.mark.usefixtures("short_strings_count_as_long")
@tried(500)
@given(most=st.integers(0, 2000), seed=st.integers(0, 2**32))
def test_no_answer_takes_more_than_it_may(most: int, seed: int) -> None:
    """And one that would is not whole."""
    random = Random(seed)
    text = base64.b64encode(random.randbytes(random.randrange(400))).decode()
    body = json.dumps([text, "a word " * random.randrange(200)]).encode()
    with a_folder() as folder:
        answer = SpooledAnswer(folder, most_bytes=most)
        answer.opened(200, {})
        refused = False
        try:
            feed(answer, body, [random.randint(1, 60)])
        except SpoolRefused:
            refused = True
        counts = answer.finish("cut" if refused else "whole")

        assert answer.received_bytes <= most
        assert counts is not refused
        assert is_complete(folder) is counts
        assert sum(path.stat().st_size for path in folder.glob("part-*")) <= most
