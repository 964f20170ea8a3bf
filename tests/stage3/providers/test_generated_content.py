"""Answers of Google's ``generateContent``: its picture among thoughts, and their names."""

from __future__ import annotations

from typing import Any

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.picture import InlinePicture, SpooledPart
from stage3_plugin.providers.replies.answers import details_of, pictures_in, request_id_of
from tests.stage3.providers.replies import PNG, part, reply

DRAFT, FINAL = PNG + "ZHJhZnQ=", PNG + "ZmluYWw="


def answer(*parts: Any, **more: Any) -> Reply:
    content = {"role": "model", "parts": list(parts)}
    return reply({"candidates": [{"content": content, "finishReason": "STOP"}], **more})


def picture(data: str, **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": data}, **more}


def found_in(answered: Reply) -> list[str]:
    sources = pictures_in(answered, base_url="https://a.test").sources
    assert all(isinstance(source, InlinePicture) for source in sources)
    return [source.base64 for source in sources if isinstance(source, InlinePicture)]


def test_the_last_picture_is_the_scenes_and_a_thoughts_is_none() -> None:
    """A model that thinks sends its drafts before what came of them."""
    thinking = answer(
        {"text": "A pier, then.", "thought": True},
        picture(DRAFT, thought=True),
        picture(PNG),
        {"text": "Here it is."},
        picture(FINAL, thoughtSignature="c2lnbmF0dXJl"),
    )

    assert found_in(thinking) == [FINAL, PNG]


def test_the_signature_of_a_thought_is_no_picture() -> None:
    """It may be a megabyte, and is spooled like one."""
    spooled = {"<0>": part(0, None), "<1>": part(1)}
    signed = Reply(
        status=200,
        headers={},
        document=answer(
            {"text": "I cannot draw that.", "thoughtSignature": "<0>"},
            picture("<1>", thought=True),
        ).document,
        parts=spooled,
    )
    made = Reply(
        status=200,
        headers={},
        document=answer(picture("<1>", thoughtSignature="<0>")).document,
        parts=spooled,
    )

    assert pictures_in(signed, base_url="https://a.test").sources == ()
    assert pictures_in(made, base_url="https://a.test").sources == (SpooledPart(1),)


def test_an_answer_is_known_by_its_own_name() -> None:
    """It stands in the body; so does the model that answered."""
    named = answer(picture(PNG), responseId="kX3aZ", modelVersion="gemini-nano-banana-2.1")

    assert request_id_of(named) == "kX3aZ"
    assert details_of(named)["model"] == "gemini-nano-banana-2.1"
