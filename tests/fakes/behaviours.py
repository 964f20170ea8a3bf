"""Another name, for the tests, of ``stage3_plugin.testing.behaviours``."""

from stage3_plugin.testing.behaviours import *  # noqa: F403 - all of it
