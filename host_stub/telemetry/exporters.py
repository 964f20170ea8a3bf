"""Which exporters the environment asks for, and whether they are installed.

By the variables that every SDK of OpenTelemetry knows, and by metadata alone: nothing is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Final, Literal, TypeAlias

from host_stub.text.format import how_to_install

Kind: TypeAlias = Literal["traces", "metrics"]

KINDS: Final[tuple[Kind, ...]] = ("traces", "metrics")
EXTRA: Final = how_to_install("otel")
_SDK: Final = "opentelemetry.sdk"
_GROUP: Final[Mapping[Kind, str]] = {
    "traces": "opentelemetry_traces_exporter",
    "metrics": "opentelemetry_metrics_exporter",
}
_OTLP: Final[Mapping[str, str]] = {
    "grpc": "otlp_proto_grpc",
    "http/protobuf": "otlp_proto_http",
}
_DEFAULT_PROTOCOL: Final = "http/protobuf"
OWN: Final = "console"
"""The one that comes with the SDK; it writes to the standard error stream."""


def chosen(kind: Kind, environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield the exporters of one kind by their names in the metadata of distributions.

    Args:
        kind: Of what.
        environ: The environment; the process's own if absent.
    """
    env = os.environ if environ is None else environ
    said = env.get(f"OTEL_{kind.upper()}_EXPORTER", "").strip() or "otlp"
    for name in dict.fromkeys(one.strip() for one in said.split(",")):
        if name == "otlp":
            protocol = env.get(f"OTEL_EXPORTER_OTLP_{kind.upper()}_PROTOCOL") or env.get(
                "OTEL_EXPORTER_OTLP_PROTOCOL", ""
            )
            yield _OTLP.get(protocol.strip(), _OTLP[_DEFAULT_PROTOCOL])
        elif name and name != "none":
            yield name


def entry_point_of(kind: Kind, name: str) -> EntryPoint | None:
    """Return what makes an exporter, or ``None`` if no distribution brings one of that name."""
    return next(iter(entry_points(group=_GROUP[kind], name=name)), None)


def lacking() -> tuple[str, str] | None:
    """Return what is not installed that telemetry needs here, and the next step, if anything."""
    try:
        is_there = find_spec(_SDK) is not None
    except (ImportError, ValueError):  # of its parent; or an import hook forbids it
        is_there = False
    if not is_there:
        return f"the package {_SDK} is not installed", EXTRA
    for kind in KINDS:
        for name in chosen(kind):
            if name == OWN or entry_point_of(kind, name) is not None:
                continue
            what = f"no exporter of {kind} is installed under the name {name!r}"
            if name == _OTLP[_DEFAULT_PROTOCOL]:
                return what, EXTRA
            return what, f"install the one that OTEL_{kind.upper()}_EXPORTER names, or unset it"
    return None
