"""Another name, for the tests, of ``stage3_plugin.testing.pngs``."""

from stage3_plugin.testing.pngs import *  # noqa: F403 - all of it
