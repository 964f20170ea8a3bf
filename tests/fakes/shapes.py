"""Another name, for the tests, of ``stage3_plugin.testing.shapes``."""

from stage3_plugin.testing.shapes import *  # noqa: F403 - all of it
