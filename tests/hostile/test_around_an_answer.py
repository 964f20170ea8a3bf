"""What a gateway puts before, behind and in place of an answer, and what a run makes of it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from host_stub.contract import SceneOutcome
from stage3_plugin import make_pictures
from tests.fakes.behaviours import Ok, Redirect
from tests.fakes.image_api import ImageApi
from tests.fakes.pngs import make_png
from tests.fakes.wire import Exchange
from tests.heavy import first_of, further
from tests.hostile.pages import Serve, response, serving
from tests.hostile.received import Odd
from tests.library.calling import code, painter

LONG = "a harbour at dusk " * (1 << 19)
"""A prompt that no buffer of a socket holds which is not read from."""
READ_BYTES = 100_000
PAGE = b"<html><title>%d</title>" + b"<p>The server behind this one is away.</p>" * 5


def asked_of(
    api: ImageApi,
    folder: Path,
    *,
    prompt: str = "a harbour at dusk",
    deadline_s: float | None = None,
    **more: object,
) -> SceneOutcome:
    """Have one picture made, or try to."""
    made = make_pictures(
        {"scene_id": "pier", "prompt": prompt},
        painter(api, **more),
        out_dir=folder / "out",
        project_dir=folder,
        deadline_s=deadline_s,
        check=False,
    )
    (outcome,) = made.outcomes
    return outcome


# In place of one, before the request was there ---------------------------------------------------


def answers_in_mid_upload(answer: bytes) -> Serve:
    """Read a part of a request, answer, and read on for nobody, as a gateway without its server.

    A reset would take the answer away from whoever has not read it yet, which is another case.
    """

    def serve(connection: socket.socket, _: bytes) -> None:
        left = READ_BYTES
        while left > 0 and (piece := connection.recv(left)):
            left -= len(piece)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(30)
        connection.recv(1)  # and no more, until the client has gone

    return serve


def met_in_mid_upload(folder: Path, status: int, *, cut_bytes: int) -> tuple[SceneOutcome, int]:
    """Ask such a gateway, three times at most; return what came of it, and how often it was."""
    page = response(status, PAGE % status, content_type="text/html")
    with ImageApi() as api, serving() as server:  # the first lends its settings
        server.otherwise = answers_in_mid_upload(page[: len(page) - cut_bytes])
        at = f"http://127.0.0.1:{server.port}/v1"
        outcome = asked_of(api, folder, prompt=LONG, base_url=at, max_attempts=3)
        return outcome, server.connections


@pytest.mark.parametrize("status", [502, *further([500, 503, 504, 520])])
def test_a_whole_page_in_mid_upload_is_free(tmp_path: Path, status: int) -> None:
    """Who answers half of a request has handed on no request: nothing is left to decide."""
    outcome, _ = met_in_mid_upload(tmp_path, status, cut_bytes=0)

    assert outcome.failure is not None
    assert (code(outcome), outcome.cost.usd) == ("unavailable", Decimal(0))


@pytest.mark.parametrize("status", further([500, 502, 503, 504, 520]))
def test_a_cut_page_in_mid_upload_is_free(tmp_path: Path, status: int) -> None:
    """The same of one whose end is lost."""
    outcome, _ = met_in_mid_upload(tmp_path, status, cut_bytes=10)

    assert outcome.failure is not None
    assert (code(outcome), outcome.cost.usd) == ("unavailable", Decimal(0))


@pytest.mark.parametrize("cut_bytes", [0, *further([10])])
def test_a_page_in_mid_upload_is_no_reason_to_give_up(tmp_path: Path, cut_bytes: int) -> None:
    """The gateway may have its server again in a moment, and trying costs nothing."""
    outcome, asked = met_in_mid_upload(tmp_path, 502, cut_bytes=cut_bytes)

    assert outcome.failure is not None
    assert (outcome.attempts, asked) == (3, 3)


# Behind one --------------------------------------------------------------------------------------

BEHIND: Mapping[str, bytes] = {
    "another document": b"\n{}",
    "the end of a stream": b"\ndata: [DONE]\n",
    "a comment": b"\n<!-- served by edge 7 -->",
    "a number": b"\n0",
}


@pytest.mark.parametrize("name", first_of(BEHIND, "the end of a stream"))
def test_a_line_behind_a_long_answer_is_left_out(
    image_api: ImageApi, tmp_path: Path, name: str
) -> None:
    """The picture was paid for, and is there whole."""
    image_api.always(Odd(make=lambda _, body: body + BEHIND[name]))

    assert code(asked_of(image_api, tmp_path)) == "made"


@pytest.mark.parametrize("name", first_of(BEHIND, "the end of a stream"))
def test_a_line_behind_a_short_answer_is_left_out(
    image_api: ImageApi, tmp_path: Path, name: str
) -> None:
    """One parser, one answer: a picture's length decides nothing."""
    image_api.always(Odd(make=lambda _, body: body + BEHIND[name], heavy=False))
    first = code(asked_of(image_api, tmp_path))
    again = code(asked_of(image_api, tmp_path))

    assert image_api.received() == 1
    assert (first, again) == ("made", "reused")


# Where its picture lies --------------------------------------------------------------------------

NOWHERE = {
    "a local file": "file:///etc/passwd",
    "another protocol": "ftp://127.0.0.1/picture.png",
    "mail": "mailto:studio@example.com",
    "nothing": "about:blank",
    "a picture in its own address": "data:image/png;base64,iVBORw0KGgo=",
}


@pytest.mark.parametrize("name", first_of(NOWHERE, "a local file"))
def test_an_address_that_leads_out_of_the_web_is_asked_again(
    image_api: ImageApi, tmp_path: Path, name: str
) -> None:
    """A fetch that fails changes nothing: the store may be itself again when it is asked next."""
    image_api.always(Ok(url="own"))
    image_api.visit_always(Redirect(NOWHERE[name]))
    outcome = asked_of(image_api, tmp_path, deadline_s=2)

    assert image_api.received() == 1
    assert code(outcome) == "pending"


@pytest.mark.parametrize("name", first_of(NOWHERE, "a local file"))
def test_a_picture_whose_address_led_nowhere_once_is_had_for_nothing(
    image_api: ImageApi, tmp_path: Path, name: str
) -> None:
    """Whatever the run that met it has called it, the next one fetches what was bought."""
    image_api.always(Ok(url="own"))
    image_api.visit(Redirect(NOWHERE[name]))
    first = asked_of(image_api, tmp_path)
    again = asked_of(image_api, tmp_path)

    assert (first.image is None or first.cost.usd) is not None
    assert again.image is not None
    assert image_api.received() == 1


@dataclass(frozen=True, slots=True)
class AsAPart:
    """Return a picture as a part of one, all of it or the first half."""

    is_whole: bool

    async def answer(self, exchange: Exchange) -> None:
        picture = make_png("pier", 64, 64, heavy=True)
        there = picture if self.is_whole else picture[: len(picture) // 2]
        headers = {
            "Content-Type": "image/png",
            "Content-Range": f"bytes 0-{len(there) - 1}/{len(picture)}",
        }
        await exchange.reply(206, there, headers)


def test_a_whole_picture_that_is_called_a_part_is_taken(
    image_api: ImageApi, tmp_path: Path
) -> None:
    """Some stores answer so, every time; whether it is whole is seen by its bytes."""
    image_api.always(Ok(url="own"))
    image_api.visit_always(AsAPart(is_whole=True))

    assert code(asked_of(image_api, tmp_path)) == "made"


def test_a_part_of_a_picture_is_asked_for_again(image_api: ImageApi, tmp_path: Path) -> None:
    """It was bought once, and comes when the store has all of it."""
    image_api.always(Ok(url="own"))
    image_api.visit(AsAPart(is_whole=False))

    assert code(asked_of(image_api, tmp_path)) == "made"
    assert image_api.received() == 1
