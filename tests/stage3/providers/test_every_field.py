"""Nothing that a scene says is left out without a word: it is sent, or named, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_stub import contract
from stage3_plugin.domain.endpoint import Endpoint
from stage3_plugin.domain.exchange import Send
from stage3_plugin.domain.reference import Reference, SentPicture
from stage3_plugin.domain.request import PictureRequest
from stage3_plugin.engine.asked import draft_for, request_for
from stage3_plugin.errors import SettingsRefused
from stage3_plugin.providers.models import models_known_of
from stage3_plugin.providers.registry import hosted_named, provider_at
from stage3_plugin.providers.showing import prompt_in
from stage3_plugin.renderers.diffusion.ready import ReadyModel
from stage3_plugin.renderers.previz import WORK, Previz
from stage3_plugin.runtime.offers import PROVIDERS
from stage3_plugin.settings import Settings
from stage3_plugin.testing.dialects import dialect_of
from stage3_plugin.testing.wire import prompt_of
from stage3_plugin.transport.bodies import body_of
from tests.fakes.tables import TABLES
from tests.laws import tried
from tests.stage3.in_process import InProcess

SCENE = contract.Scene(scene_id="s", prompt="A pier at dawn.")
TWO = contract.SceneReference(image="a.png", name="Mira", role="character")
SAID: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "A whale."},
    "negative_prompt": {"negative_prompt": "fog"},
    "width": {"width": 640, "height": 1088},
    "height": {"width": 1088, "height": 640},
    "seed": {"seed": 7},
    "references": {"references": ("a.png",)},
    "reference_details": {"references": ("a.png",), "reference_details": (TWO,)},
    "model": {"model": "another"},
    "quality": {"quality": "high"},
    "characters": {"characters": ("char_001",)},
    "style_tags": {"style_tags": ("ink", "soft light")},
}
"""What a scene may say of its picture, and nothing else."""
NO_WISHES = {
    "scene_id",  # its name
    "extra",  # what is no field: notes of a person's own
    "takes",  # how many of it are asked for
    "lane",  # how it is bought; a provider without such a lane refuses the run
    "if_refused",  # other words for the prompt, each of which is asked for as that is
}
CALLED = {"width": "size", "height": "size", "reference_details": "references"}
"""What a wish is called in ``dropped``, where that is not its field."""


def asked(settings: Settings, scene: contract.Scene, *, shows: bool = False) -> PictureRequest:
    """Return what is asked for, with its references there."""
    request = request_for(scene, settings)
    sent = SentPicture(
        sha256="a" * 64,
        media_type="image/png",
        size_bytes=10,
        base64=lambda: memoryview(b"a" * 64),
    )
    shown = [Reference(wish=one, sha256="a" * 64, sent=sent) for one in request.wishes]
    return replace(request, shown=tuple(shown)) if shows else request


def settings_of(table: str, **more: Any) -> Settings:
    values: dict[str, Any] = {**TABLES[table], "size": "1024x1024", **more}
    return Settings(**values)


def begun(settings: Settings, request: PictureRequest) -> Send:
    own = Endpoint(provider=settings.provider, api=settings.api, model=request.model)
    return provider_at(own, style_tags=settings.style_tags).begin(request)


def document_of(send: Send) -> dict[str, Any]:
    """Return the body as it leaves, with the name of a picture in place of its bytes."""
    body = body_of(send.payload)
    document: dict[str, Any] = json.loads(b"".join(map(bytes, body)))
    return document


def words_in(table: str, send: Send) -> str:
    """Return the prompt as the service of a vendor reads it."""
    dialect = dialect_of(TABLES[table]["provider"])
    document = document_of(send)
    return prompt_of(document) if dialect is None else dialect().prompt_of(document)


def test_every_field_of_a_scene_is_in_the_law() -> None:
    """A field that joins the contract has to be put into one of the two."""
    assert set(contract.Scene.model_fields) == set(SAID) | NO_WISHES
    paid = {name for name in PROVIDERS.names if hosted_named(name) is not None}
    assert {one["provider"] for one in TABLES.values()} >= paid - {"plain"}


@pytest.mark.parametrize("style_tags", ["append", "drop"])
@pytest.mark.parametrize("shows", [False, True], ids=["unshown", "shown"])
@pytest.mark.parametrize("field", SAID)
@pytest.mark.parametrize("table", TABLES)
def test_nothing_is_left_out_of_a_paid_request_without_a_word(
    table: str, field: str, *, shows: bool, style_tags: str
) -> None:
    """Who sets a field sends something else, or is told, or is refused."""
    settings = settings_of(table, style_tags=style_tags)
    said = SAID[field]
    if field == "model":
        provider = settings.provider
        said = {"model": next(m for m in models_known_of(provider) if m != settings.model)}
    bare = SCENE.model_copy(
        update={} if field != "reference_details" else {"references": ("a.png",)}
    )
    plain = begun(settings, asked(settings, bare, shows=shows))
    try:
        wished = begun(settings, asked(settings, bare.model_copy(update=said), shows=shows))
    except SettingsRefused:
        return

    is_sent = (wished.url, document_of(wished)) != (plain.url, document_of(plain))
    assert is_sent or CALLED.get(field, field) in wished.dropped


class _Recorder(InProcess):
    """Keeps what would be drawn."""

    def __init__(self) -> None:
        super().__init__(WORK)
        self.orders: list[bytes] = []

    async def run(self, job: bytes, into: Path) -> None:
        del into
        self.orders.append(job)


@pytest.mark.anyio
@pytest.mark.parametrize("field", SAID)
async def test_nothing_is_left_out_of_a_storyboard_without_a_word(
    tmp_path: Path, field: str
) -> None:
    """It is drawn otherwise, or ``dropped`` names it."""
    settings, recorder = Settings(), _Recorder()
    renderer = Previz(recorder)
    wished = asked(settings, SCENE.model_copy(update=SAID[field]))
    for request in (asked(settings, SCENE), wished):
        await renderer.render(request, tmp_path / "x.png")

    plain, drawn = recorder.orders
    assert drawn != plain or CALLED.get(field, field) in renderer.unmet(wished)


def test_a_ready_model_class_is_not_told_of_characters() -> None:
    """It renders words; of those whom these do not name it says so."""
    settings = Settings(provider="local", model="sdxl")
    wished = asked(settings, SCENE.model_copy(update=SAID["characters"]))

    assert ReadyModel.unmet(wished) == ("characters",)


@pytest.mark.parametrize("table", TABLES)
@tried(30)
@given(
    prompt=st.text(min_size=1, max_size=40),
    tags=st.lists(st.text(max_size=12), max_size=3),
    avoid=st.none() | st.text(max_size=12),
)
def test_the_prompt_that_is_told_is_the_one_that_leaves(
    table: str, prompt: str, tags: list[str], avoid: str | None
) -> None:
    """Byte for byte, whatever a person writes; tags and what to avoid alone are added."""
    settings = settings_of(table)
    scene = SCENE.model_copy(
        update={"prompt": prompt, "style_tags": tuple(tags), "negative_prompt": avoid}
    )
    request = asked(settings, scene)
    send = begun(settings, request)

    assert prompt_in(send.payload) == words_in(table, send) == request.whole_prompt
    assert request.whole_prompt.startswith(prompt)
    assert all(" ".join(tag.split()) in request.whole_prompt for tag in request.unsaid_tags)


def test_a_draft_says_its_style_tags_as_well() -> None:
    """Where somebody is paid for it: what it must not show is left out, and its style is not."""
    scene = SCENE.model_copy(update={**SAID["style_tags"], "negative_prompt": "fog"})
    send = begun(settings_of("openai"), draft_for(scene, settings_of("openai")))

    assert send.payload["prompt"] == "A pier at dawn. Style: ink, soft light"
