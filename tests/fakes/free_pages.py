"""Another name, for the tests, of ``stage3_plugin.testing.free_pages``."""

from stage3_plugin.testing.free_pages import *  # noqa: F403 - all of it
