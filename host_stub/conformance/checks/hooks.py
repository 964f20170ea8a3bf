"""How a plugin is found, imported and described."""

from __future__ import annotations

import sys
from typing import Final

from host_stub.conformance.lab import Lab
from host_stub.conformance.requirement import tries
from host_stub.conformance.verdict import Broken, NotShown
from host_stub.contract import CONTRACT
from host_stub.errors import ContractViolation, HostError

HEAVY: Final = frozenset(
    {
        "PIL",
        "aiohttp",
        "cv2",
        "diffusers",
        "google.genai",
        "httpcore",
        "httpx",
        "jax",
        "numpy",
        "openai",
        "pandas",
        "ray",
        "replicate",
        "requests",
        "tensorflow",
        "torch",
        "transformers",
    }
)
"""Libraries that take their time: network, pictures, models."""


def _loaded(lab: Lab) -> str:
    """Say what a plugin that came this far has shown: loading it looks at all hooks."""
    return f"{', '.join(sorted(lab.loaded.implementations))} of {lab.loaded.source}"


@tries("hooks.loads", needs="description")
def loads(lab: Lab) -> str:
    """Import it and ask for its description, in a process of its own, before all else."""
    return _loaded(lab)


@tries("hooks.object", needs="description")
def is_an_object(lab: Lab) -> str:
    """Load it: the loader refuses a class."""
    return _loaded(lab)


@tries("hooks.arguments", needs="description")
def arguments(lab: Lab) -> str:
    """Load it: the loader compares each hook with its specification."""
    return _loaded(lab)


@tries("hooks.known", needs="description")
def known(lab: Lab) -> str:
    """Load it: the loader refuses a name that is no hook's."""
    return _loaded(lab)


@tries("hooks.no-wrappers", needs="description")
def no_wrappers(lab: Lab) -> str:
    """Load it: the loader refuses a wrapper."""
    return _loaded(lab)


@tries("hooks.sync", needs="description")
def sync(lab: Lab) -> str:
    """Load it: the loader refuses coroutine functions and generators."""
    return _loaded(lab)


@tries("hooks.image-plugin", needs="description")
def image_plugin(lab: Lab) -> str:
    """Load it: the loader wants one description."""
    return f"{len(lab.loaded.implementations['host_image_plugin'])} implementation"


@tries("hooks.described", needs="description")
def described(lab: Lab) -> str:
    """Load it: the loader looks at each part of the description."""
    return f"name {lab.plugin.name!r}, {lab.plugin.settings.__name__} as settings"


@tries("hooks.contract", needs="description")
def contract(lab: Lab) -> str:
    """Load it: the loader compares the contract with the host's."""
    needs, speaks = (".".join(map(str, one)) for one in (lab.plugin.contract, CONTRACT))
    return f"it needs {needs}, and the host speaks {speaks}"


@tries("hooks.same-each-time", needs="description")
def same_each_time(lab: Lab) -> str:
    """Describe it again, as a program does that opens it twice."""
    try:
        again = lab.loaded.describe()
    except HostError as error:
        raise Broken(f"the second time, {error}") from error
    for part in ("name", "contract", "settings", "capabilities"):
        if getattr(again, part) != getattr(lab.plugin, part):
            raise Broken(f"the second description has another {part}")
    return "two descriptions are the same"


@tries("hooks.light-import", needs="description", alone=True)
def light_import(lab: Lab) -> str:
    """Look at what this process has loaded, in which nothing was done but to describe it."""
    found = sorted(HEAVY & sys.modules.keys())
    if found:
        raise Broken(f"importing it brought in {', '.join(found)}")
    return f"none of {len(HEAVY)} heavy libraries was imported for {lab.plugin.name!r}"


@tries("hooks.commands", needs="description")
def commands(lab: Lab) -> str:
    """Ask for the commands it brings."""
    if "host_commands" not in lab.loaded.implementations:
        raise NotShown("the plugin brings no commands")
    try:
        brought = lab.loaded.commands()
    except ContractViolation as error:
        raise Broken(error.detail) from error
    return f"{len(brought)} commands: {', '.join(one.name for one in brought)}"
