"""Where pictures are bought: four facts that every purchase, answer and provider has together."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What a request is sent to, as the settings or a row of the ledger say it.

    Two that are spelled apart are two here; which addresses are one is for
    :mod:`~stage3_plugin.domain.keys` to say.

    Attributes:
        provider: Its name in the settings.
        api: Which of its ways of asking, and so how its answers are to be read.
        base_url: Where it is asked, or ``None`` for the provider's public address.
        model: The provider's name of the model; empty where there is none.
        like: The model by whose rows it is looked up, where it has none of its own. It says how
            to ask and not where, so that two which differ in it alone are one.
    """

    provider: str
    api: str = "images"
    base_url: str | None = None
    model: str = ""
    like: str = field(default="", compare=False)

    @property
    def known_as(self) -> str:
        """Return the model by whose rows it is looked up."""
        return self.like or self.model
