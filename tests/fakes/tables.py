"""A config table for each provider that the fake image API speaks for, as a rehearsal has it."""

from __future__ import annotations

from stage3_plugin.testing.rehearsal import MODELS, table_of

CHAT = {
    "provider": "openrouter",
    "api": "chat",
    "model": "google/gemini-nano-banana-2.1",
    "budget_usd": "2.50",
}
TABLES = {**{name: table_of(name) for name in MODELS}, "chat": CHAT}
"""What goes before the address and the key, by a name."""
