"""The lines of a first config, for somebody who runs without one: storyboards are drawn then.

Who has a key in the environment is shown the very table that buys real pictures; the key itself is
never read here, and stays out of the file. Which models are named is an example, as in the config
that ``init`` writes; a test holds it against what the plugin knows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from host_stub.config.file import HostConfig

PROVIDERS: Final[Mapping[str, tuple[str, str]]] = {
    "OPENROUTER_API_KEY": ("openrouter", "openai/gpt-image-2.5-flare"),
    "OPENAI_API_KEY": ("openai", "gpt-image-2.5-flare"),
    "GEMINI_API_KEY": ("gemini", "gemini-3.1-flash-image"),
    "FAL_KEY": ("fal", "fal-ai/flux/schnell"),
    "REPLICATE_API_TOKEN": ("replicate", "black-forest-labs/flux-schnell"),
    "BFL_API_KEY": ("bfl", "flux-2-pro"),
    "XAI_API_KEY": ("xai", "grok-imagine-image"),
}
"""The variable a provider's key is usually in, the provider, and a model of it to begin with."""


def is_without_choice(config: HostConfig) -> bool:
    """Return whether nobody chose who makes the pictures: no config does, and no option."""
    if config.path is not None or config.image != "stage3" or config.is_guest:
        return False
    return config.settings_of("stage3", only=["provider"]).values.get("provider") == "previz"


def first_lines(variables: Collection[str], scenes: str) -> tuple[str, ...]:
    """Say how a model makes the pictures instead, by the keys that are set.

    Args:
        variables: The names of the variables that are set.
        scenes: The scene file, as it would be typed.
    """
    there = [name for name in PROVIDERS if name in variables]
    if not there:
        how = "'host-stub init' writes a host.toml that says how a model makes pictures"
        return (f"these are storyboards, drawn here for nothing and without a key; {how}",)
    variable, *others = there
    provider, model = PROVIDERS[variable]
    also = f" (so {'is' if len(others) == 1 else 'are'} {', '.join(others)})" if others else ""
    put = "for pictures of a model, write this into host.toml"
    return (
        f"these are storyboards, drawn here for nothing. {variable} is set{also}: {put}",
        "",
        "  [plugin.stage3]",
        f'  provider = "{provider}"',
        f'  model = "{model}"',
        f'  api_key = {{ env = "{variable}" }}',
        '  budget_usd = "2.50"   # a run spends no more than this',
        "",
        f"then 'host-stub plan {scenes}' says what they cost, and spends nothing",
    )
