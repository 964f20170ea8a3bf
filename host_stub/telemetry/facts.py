"""What spans and metrics say of an event: attributes and amounts, as plain values.

Pure, and without a package of OpenTelemetry: what leaves the machine is decided here and read in
one place. Names are those of its conventions for generative models where they have one, and begin
with ``stage3.`` where they have none. A prompt, and the words of a provider, which may quote one,
are in nothing that is made here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from host_stub.contract import Event

Attributes: TypeAlias = dict[str, str | bool | int | float]

GENERATE, RUN = "generate_content", "invoke_workflow"
"""What the conventions call a request for a picture, and a run."""
BUCKETS_S: Final = (
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
    90.0, 120.0, 180.0, 240.0, 300.0, 420.0, 600.0,
)  # fmt: skip
"""Seconds: pictures take longer than the text for which the conventions have theirs."""

_SOURCES: Final[Mapping[str, str]] = {"reported": "provider", "gateway": "provider"}
"""Who says what a request cost; all else was worked out here."""
_NOT_DECIDED: Final = frozenset({"unknown", "pending", "cancelled"})
"""Codes of a request that may have been billed; nobody can say that it failed."""
_SIZE: Final = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")


def of_picture(event: Event) -> tuple[str, int]:
    """Return which picture an event is about: its scene, and its take from 1."""
    return str(event["scene_id"]), event.get("take") or 1


def of_run(plugin: str, run_id: str, scenes: int) -> Attributes:
    """Return what a run's span begins with."""
    return {
        "gen_ai.operation.name": RUN,
        "gen_ai.workflow.name": plugin,
        "stage3.run_id": run_id,
        "stage3.scenes": scenes,
    }


def of_scene(event: Event) -> Attributes:
    """Return what a scene's span begins with."""
    scene_id, take = of_picture(event)
    return {"stage3.scene_id": scene_id, "stage3.take": take}


def of_model(event: Event) -> Attributes:
    """Return who is asked, and for what, as far as an event says it."""
    found: Attributes = {"gen_ai.operation.name": GENERATE}
    for name, field in (("gen_ai.provider.name", "provider"), ("gen_ai.request.model", "model")):
        value = event.get(field)
        if isinstance(value, str) and value:
            found[name] = value
    return found


def of_attempt(event: Event) -> Attributes:
    """Return what the span of a request begins with."""
    found = of_scene(event) | of_model(event) | {"gen_ai.output.type": "image"}
    size = _SIZE.fullmatch(str(event.get("size", "")))
    if size is not None:
        found["gen_ai.request.image.width"] = int(size[1])
        found["gen_ai.request.image.height"] = int(size[2])
    found["stage3.attempt"] = event.get("attempt", 0)
    purchase = event.get("purchase")
    if isinstance(purchase, str):
        found["stage3.purchase"] = purchase
    return found | _server(event.get("base_url"))


def _server(base_url: object) -> Attributes:
    """Return where a request goes: the host alone, since an address may hold a login."""
    if not isinstance(base_url, str):
        return {}
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return {}
    found: Attributes = {} if host is None else {"server.address": host}
    return found if host is None or port is None else found | {"server.port": port}


def span_name(attributes: Mapping[str, object]) -> str:
    """Return how the span of a request is called."""
    model = attributes.get("gen_ai.request.model")
    return f"{GENERATE} {model}" if model else GENERATE


def of_cost(usd: Decimal | None, basis: str) -> Attributes:
    """Return what a request cost, and who says so; what is not known has no amount."""
    found: Attributes = {"stage3.cost_basis": basis}
    if usd is None:
        return found
    return found | {
        "gen_ai.usage.cost.amount": float(usd),
        "gen_ai.usage.cost.currency": "USD",
        "gen_ai.usage.cost.source": _SOURCES.get(basis, "local"),
    }


def of_end(event: Event) -> Attributes:
    """Return how a request, or a scene, came to its end."""
    found: Attributes = {"stage3.outcome": outcome_of(event)}
    code = event.get("cause") or event.get("code")
    if isinstance(code, str):
        found["error.type"] = code
    request_id = event.get("request_id")
    if isinstance(request_id, str):
        found["gen_ai.response.id"] = request_id
    return found


def amount(value: object) -> Decimal | None:
    """Return money as a plugin's own field has it; ``None`` if that is none."""
    try:
        usd = Decimal(str(value))
    except InvalidOperation:
        return None
    return usd if usd.is_finite() and usd >= 0 else None


def outcome_of(event: Event) -> str:
    """Name how it ended in one word."""
    name, code = event["event"], event.get("cause") or event.get("code")
    if name == "scene.recovered":
        return str(event["outcome"])
    if name in {"scene.finished", "scene.reused", "scene.skipped"}:
        return {"scene.finished": "made", "scene.reused": "reused"}.get(name, "skipped")
    return str(code) if code in _NOT_DECIDED else "failed"


def last_cost(event: Event, before: Decimal | None) -> tuple[Decimal | None, str]:
    """Return what the request that an event ends has cost, and how that is known.

    A plugin that does not say it of the last one alone has said what all together cost.

    Args:
        event: ``scene.retried``, ``scene.finished`` or ``scene.failed``.
        before: What the scene's requests before it cost; ``None`` if one of them is not known.
    """
    total, basis = event.get("cost_usd"), str(event.get("cost_basis", "unknown"))
    if event["event"] == "scene.retried" or event.get("attempts") == 1:
        return total, basis
    if "last_cost_usd" in event:
        usd = amount(event["last_cost_usd"])
        own = str(event.get("last_cost_basis", basis))
        return usd, "unknown" if usd is None else own
    if total is None or before is None:
        return None, "unknown"
    return max(Decimal(0), total - before), basis
