"""Another name, for the tests, of ``stage3_plugin.testing.hidden``."""

from stage3_plugin.testing.hidden import *  # noqa: F403 - all of it
