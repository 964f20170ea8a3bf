"""Answers of Google's ``generateContent``: its picture among thoughts, and what its tokens cost."""

from __future__ import annotations

from typing import Any

import pytest

from stage3_plugin.domain.exchange import Reply
from stage3_plugin.domain.money import Usage
from stage3_plugin.domain.picture import InlinePicture, SpooledPart
from stage3_plugin.providers.replies.answers import details_of, pictures_in, request_id_of
from stage3_plugin.providers.replies.usage import usage_in
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


TEXT, IMAGE = (  # rows of a breakdown
    {"modality": word, "tokenCount": 20} for word in ("TEXT", "IMAGE")
)
RECORDED: dict[str, Any] = {
    "promptTokenCount": 8,
    "candidatesTokenCount": 1216,
    "thoughtsTokenCount": 181,
    "totalTokenCount": 1405,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}],
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
}
"""In the proportions of a recorded answer: 96 tokens are in no row, and thoughts in no count."""


@pytest.mark.parametrize(
    "metadata, expected",
    [
        (RECORDED, Usage(input_text=8, output_text=96 + 181, output_image=1120)),
        (
            {"promptTokenCount": 1119, "thoughtsTokenCount": 240},
            Usage(input_text=1119, output_text=240),
        ),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 1290},
            Usage(input_text=5, output_image=1290),
        ),
        (
            {"candidatesTokenCount": 20, "candidatesTokensDetails": [TEXT]},
            Usage(output_text=20),
        ),
        (
            {"promptTokenCount": 30, "promptTokensDetails": [IMAGE]},
            Usage(input_text=30),
        ),
        ({}, None),
        ({"promptTokenCount": 0, "totalTokenCount": 0}, None),
        ({"promptTokenCount": -1, "candidatesTokenCount": "many"}, None),
        ({"candidatesTokensDetails": 7}, None),
        ([], None),
        ("none", None),
    ],
)
def test_tokens_are_counted_as_they_are_charged(metadata: Any, expected: Usage | None) -> None:
    """Pictures by their rows; the rest of the count, and thoughts, as text; the prompt as one."""
    assert usage_in({"usageMetadata": metadata}) == expected


def test_an_answer_is_known_by_its_own_name() -> None:
    """It stands in the body; so does the model that answered."""
    named = answer(picture(PNG), responseId="kX3aZ", modelVersion="gemini-nano-banana-2.1")

    assert request_id_of(named) == "kX3aZ"
    assert details_of(named)["model"] == "gemini-nano-banana-2.1"
